"""The tables of docs/results.md and docs/performance.md, from finished cells alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import random_images
from benchmarks.marked import filled
from engine.analysis.cells import Cell, Document, Places
from engine.analysis.estimates import paired, unpaired
from engine.analysis.plan import WITH, WITHOUT, Variant
from engine.analysis.tables import DASH, percent, points
from engine.config.load import resolve
from engine.files import default_cache_dir
from engine.wording import counted

ROOT = Path(__file__).resolve().parent.parent
CELLS = ROOT / "docs" / "results"

SMALL = {
    **dict.fromkeys(("digits-ipc1", "mnist-ipc1-small", "cifar10-ipc1-small"), 3),
    "mnist-ipc1-bptt-small": 5,
    "mnist-ipc1-dream-small": 3,
    **dict.fromkeys(("digits-ipc1-bptt", "digits-ipc1-dream"), 5),
    **dict.fromkeys(("cifar10-ipc1-bptt-small", "cifar10-ipc1-dream-small"), 3),
}
"""Presets of minutes a cell on a CPU, each with its number of seeds."""
RATES = {
    "mnist-ipc1-bptt-small": (12, 20, 30, 40),
    "cifar10-ipc1-bptt-small": (12, 20),
    "mnist-ipc1-bptt-study": (20, 30),
}
"""Pixel rates that a preset is run at beside its own, on the same seeds: both sides of a pair at their best."""
BASES = ("", "-bptt", "-dream")
PRECISION_PRESET = "mnist-ipc1-small"
EAGER = Variant("float32-eager", (("execution.compile", "off"),))
PRECISIONS = (
    EAGER,
    Variant("float32-compiled", (("execution.compile", "on"),)),
    Variant("mixed", (("execution.precision", "mixed"), ("execution.compile", "on"))),
)
PAPER = {
    # Table 1 of the paper: base without the term, base with it.
    "mnist-ipc1-study": ("91.4 ± 0.9", "92.0 ± 0.6"),
    "mnist-ipc10-study": ("97.3 ± 0.1", "98.1 ± 0.2"),
    "cifar10-ipc1-study": ("46.3 ± 0.8", "47.6 ± 0.2"),
    "cifar10-ipc10-study": ("65.3 ± 0.7", "66.4 ± 0.2"),
    "mnist-ipc1-bptt-study": ("94.7 ± 0.2", "95.8 ± 0.3"),
    "mnist-ipc10-bptt-study": ("98.9 ± 0.1", "98.9 ± 0.1"),
    "cifar10-ipc1-bptt-study": ("49.1 ± 0.6", "51.8 ± 0.3"),
    "cifar10-ipc10-bptt-study": ("62.4 ± 0.4", "66.4 ± 0.8"),
    "cifar10-ipc1-dream-study": ("51.1 ± 0.3", "51.9 ± 0.3"),
    "cifar10-ipc10-dream-study": ("69.4 ± 0.4", "70.8 ± 0.1"),
}


def study_presets() -> Iterator[tuple[str, int]]:
    """The study's presets in the order they are run, each with its number of seeds."""
    for each, seeds in ((1, 5), (10, 3)):
        for data in ("mnist", "cifar10"):
            yield from ((f"{data}-ipc{each}{base}-study", seeds) for base in BASES)


def seeds_of(preset: str) -> int:
    """How many seeds a preset of these tables is run with."""
    return {**SMALL, **dict(study_presets())}[preset]


def arithmetic_folder(cells: Path, variant: Variant) -> Path:
    """Where the cells of one arithmetic are kept: whether a run is compiled is no part of a cell's name."""
    return cells / "precision" / variant.label


def kept(preset: str, variant: Variant, seeds: int, folder: Path) -> list[Document | None]:
    """What is kept of a variant's cells, by seed; None where one is missing."""
    places = Places(folder, runs=default_cache_dir() / "cells")
    return [Cell(preset, variant.changes, seed).kept(places) for seed in range(seeds)]


def sides(preset: str, seeds: int) -> tuple[list[Document | None], list[Document | None]]:
    """What is kept of a preset's cells with the term and without, by seed."""
    ours, theirs = (kept(preset, variant, seeds, CELLS) for variant in (WITH, WITHOUT))
    return ours, theirs


def finished(preset: str, seeds: int) -> list[Document]:
    """The kept cells of a preset, of both sides."""
    return [document for side in sides(preset, seeds) for document in side if document is not None]


def means(documents: Sequence[Document | None], key: str) -> list[float | None]:
    """One accuracy of every seed; None where there is none."""
    return [document[key]["mean"] if document is not None and document[key] else None for document in documents]


def over_seeds(documents: Sequence[Document], key: str) -> str:
    """Mean and standard deviation over seeds of one accuracy, in percent."""
    values = [value for value in means(documents, key) if value is not None]
    if not values:
        return DASH
    return percent(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def apart(ours: Sequence[Document | None], theirs: Sequence[Document | None], key: str) -> str:
    """Paired difference of one accuracy with its 95 % interval, in points."""
    return points(paired(means(ours, key), means(theirs, key)), signed=True)


def nats(documents: Sequence[Document]) -> str:
    """The bound at the end, mean over seeds, of its ceiling; a dash without the term."""
    found = [document["mutual_information"] for document in documents if document["mutual_information"]]
    return f"{statistics.fmean(f['nats'] for f in found):.2f} of {found[0]['ceiling']:.2f}" if found else DASH


def rows(preset: str, seeds: int) -> Iterator[str]:
    """Table rows of a preset: with and without the term, and their paired difference."""
    ours, theirs = sides(preset, seeds)
    step_size = random_images.step_size_of(preset, finished(preset, seeds))
    without, with_it = PAPER.get(preset, (DASH, DASH))
    weight = resolve(preset).config.information.weight
    for value, documents, paper in ((weight, ours, with_it), (0.0, theirs, without)):
        done = [document for document in documents if document is not None]
        if done:
            yield _row(preset, value, done, paper, step_size)
    pairs = [a for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if pairs:
        chosen, by_test, last = (apart(ours, theirs, key) for key in ("accuracy", "accuracy_by_test", "last"))
        if pairs[0]["accuracy"]["selected_on"] == "test":
            chosen, by_test = DASH, chosen
        count = counted(len(pairs), "pair")
        yield f"| {preset} | term − none | | {count} | {chosen} | {by_test} | {last} | | | | | | | |"


def drawn(preset: str, document: Document) -> list[list[float]]:
    """Accuracies of random real images, a list a draw: of many where they were measured, else of the run's own."""
    if found := random_images.kept(preset):
        return found
    return random_images.by_draw(resolve(preset).config, document["random_selection"]["accuracies"])


def gain(done: Sequence[Document], draws: Sequence[Sequence[float]]) -> str:
    """Best iterates over random real images, in points with Welch's 95 % interval."""
    return points(
        unpaired([d["accuracy"]["mean"] for d in done], [statistics.fmean(draw) for draw in draws]), signed=True
    )


def over_draws(draws: Sequence[Sequence[float]]) -> str:
    """Mean and standard deviation over draws and networks, in percent."""
    every = [accuracy for draw in draws for accuracy in draw]
    return percent(statistics.fmean(every), statistics.stdev(every))


def _row(preset: str, weight: float, done: Sequence[Document], paper: str, step_size: float | None) -> str:
    """One side of a preset; ``step_size`` is that of its sets, None where it is not known."""
    draws = drawn(preset, done[0])
    chosen, by_test = over_seeds(done, "accuracy"), over_seeds(done, "accuracy_by_test")
    if done[0]["accuracy"]["selected_on"] == "test":
        chosen, by_test = DASH, chosen
    # the same for all seeds, so that their spread is that of draws and networks
    random, full = over_draws(draws), percent(done[0]["full_set"]["mean"], done[0]["full_set"]["std"])
    random_as_sets, gain_as_sets = as_sets(preset, done, step_size)
    return (
        f"| {preset} | {weight:g} | {done[0]['accuracy']['protocol']} | {len(done)} | {chosen} | {by_test} "
        f"| {over_seeds(done, 'last')} | {random} | {random_as_sets} | {full} | {gain(done, draws)} | {gain_as_sets} "
        f"| {nats(done)} | {paper} |"
    )


def as_sets(preset: str, done: Sequence[Document], step_size: float | None) -> tuple[str, str]:
    """Random real images at the step size of the sets, and what the sets have over them; dashes where the protocol
    trains both at its own rate."""
    if not random_images.trained_at_own(preset):
        return DASH, DASH
    draws = None if step_size is None else random_images.kept(preset, step_size)
    if not draws:
        return "not measured", "not measured"
    return f"{over_draws(draws)} (at {step_size:g})", gain(done, draws)


HEAD = [
    "| preset | weight | protocol | seeds | best by validation | best by test | last iterate | random real images "
    "| random, at the sets' step size | full set | best − random | best − random, at the sets' step size "
    "| MI bound (nats) | paper |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
]


def accuracy_table() -> str:
    """All finished cells of the small settings and of the study."""
    presets = [*SMALL.items(), *study_presets()]
    return "\n".join([*HEAD, *(row for preset, seeds in presets for row in rows(preset, seeds))])


def at_rate(variant: Variant, rate: float) -> Variant:
    """A side of a pair at another pixel rate than its preset's."""
    return Variant(f"{variant.label} at {rate:g}", (*variant.changes, ("objective.pixel_rate", f"{rate:g}")))


def rate_table() -> str:
    """The last iterate with and without the term over pixel rates, the preset's own among them."""
    lines = [
        "| preset | pixel rate | with the term | without | pairs | term − none | best iterate, term − none |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, rates in RATES.items():
        own = resolve(preset).config.objective.pixel_rate
        for rate in sorted({own, *rates}):
            sides = [side if rate == own else at_rate(side, rate) for side in (WITH, WITHOUT)]
            ours, theirs = (kept(preset, side, seeds_of(preset), CELLS) for side in sides)
            pairs = sum(a is not None and b is not None for a, b in zip(ours, theirs, strict=True))
            scores = [over_seeds([each for each in side if each is not None], "last") for side in (ours, theirs)]
            gains = [apart(ours, theirs, key) if pairs else DASH for key in ("last", "accuracy")]
            if scores != [DASH, DASH]:
                lines.append(f"| {preset} | {rate:g} | {' | '.join(scores)} | {pairs} | {' | '.join(gains)} |")
    return "\n".join(lines)


def precision_table() -> str:
    """The same run at every precision."""
    lines = [
        "| arithmetic | seeds | best iterate | last iterate | minus float32 eager, paired |",
        "|---|---|---|---|---|",
    ]
    found = {v.label: kept(PRECISION_PRESET, v, 5, arithmetic_folder(CELLS, v)) for v in PRECISIONS}
    plain = found[EAGER.label]
    for name, documents in found.items():
        done = [document for document in documents if document is not None]
        if not done:
            continue
        against = DASH if name == EAGER.label else apart(documents, plain, "accuracy")
        lines.append(
            f"| {name} | {len(done)} | {over_seeds(done, 'accuracy')} | {over_seeds(done, 'last')} | {against} |"
        )
    return "\n".join(lines)


def put(page: Path, mark: str, table: str) -> None:
    """Write a table between its marks in a page."""
    page.write_text(filled(page.read_text(), mark, table))


def write() -> None:
    """Put all tables into their pages."""
    put(ROOT / "docs" / "results.md", "tables", accuracy_table())
    put(ROOT / "docs" / "results.md", "rates", rate_table())
    put(ROOT / "docs" / "performance.md", "precision", precision_table())
