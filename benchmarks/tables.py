"""The tables of docs/results.md and docs/performance.md, from finished cells alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell
from engine.config.load import resolve

ROOT = Path(__file__).resolve().parent.parent
CELLS = ROOT / "docs" / "results"
STUDENT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Two-sided 95 % quantiles by degrees of freedom."""

SMALL = ("digits-ipc1", "mnist-ipc1-small", "cifar10-ipc1-small")
BASES = ("", "-bptt", "-dream")
PRECISIONS: dict[str, tuple[str, ...]] = {
    "float32-eager": ("execution.compile=off",),
    "float32-compiled": ("execution.compile=on",),
    "mixed": ("execution.precision=mixed", "execution.compile=on"),
}
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

Document = dict[str, Any]


def study_presets() -> Iterator[tuple[str, int]]:
    """The study's presets in the order they are run, each with its number of seeds."""
    for each, seeds in ((1, 5), (10, 3)):
        for data in ("mnist", "cifar10"):
            yield from ((f"{data}-ipc{each}{base}-study", seeds) for base in BASES)


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval of a small sample, in points."""
    mean = statistics.fmean(values) * 100
    if len(values) < 2:
        return f"{mean:+.1f}"
    half = STUDENT_T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values)) * 100
    return f"{mean:+.1f} ± {half:.1f}"


def percent(documents: Sequence[Document], key: str) -> str:
    """Mean and deviation over seeds of one accuracy."""
    values = [document[key]["mean"] * 100 for document in documents if document.get(key)]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread}"


def own_spread(score: Document) -> str:
    """Mean and deviation of one score over its own networks: the baselines are the same for all seeds."""
    return f"{score['mean'] * 100:.1f} ± {score['std'] * 100:.1f}"


def nats(documents: Sequence[Document]) -> str:
    """The bound at the end, mean over seeds, of its ceiling; a dash without the term."""
    found = [d["mutual_information"] for d in documents if d.get("mutual_information")]
    return f"{statistics.fmean(f['nats'] for f in found):.2f} of {found[0]['ceiling']:.2f}" if found else "–"


def sides(preset: str, seeds: int) -> dict[str, list[Document | None]]:
    """Finished cells with and without the term, by seed."""
    changes = {"term": (), "weight-0": ("information.weight=0",)}
    return {name: [Cell(preset, name, c, seed).read(CELLS) for seed in range(seeds)] for name, c in changes.items()}


def rows(preset: str, seeds: int) -> Iterator[str]:
    """Table rows of a preset: with and without the term, and their paired difference."""
    found = sides(preset, seeds)
    paper = dict(zip(("weight-0", "term"), PAPER.get(preset, ("–", "–")), strict=True))
    weight = {"term": resolve(preset).config.information.weight, "weight-0": 0.0}
    for name, documents in found.items():
        done = [document for document in documents if document is not None]
        if not done:
            continue
        yield _row(preset, weight[name], done, paper[name])
    pairs = [(a, b) for a, b in zip(found["term"], found["weight-0"], strict=True) if a is not None and b is not None]
    if pairs:
        differences = {
            key: interval([a[key]["mean"] - b[key]["mean"] for a, b in pairs if a.get(key) and b.get(key)])
            for key in ("accuracy", "accuracy_by_test", "last")
            if all(a.get(key) and b.get(key) for a, b in pairs)
        }
        chosen, by_test = differences["accuracy"], differences.get("accuracy_by_test", "–")
        if pairs[0][0]["accuracy"]["selected_on"] == "test":
            chosen, by_test = "–", chosen
        yield (
            f"| {preset} | term − none | | {len(pairs)} pairs | {chosen} | {by_test} | {differences['last']} "
            "| | | | | |"
        )


def _row(preset: str, weight: float, done: Sequence[Document], paper: str) -> str:
    """One side of a preset."""
    gain = interval([d["accuracy"]["mean"] - d["random_selection"]["mean"] for d in done])
    chosen, by_test = percent(done, "accuracy"), percent(done, "accuracy_by_test")
    if done[0]["accuracy"]["selected_on"] == "test":
        chosen, by_test = "–", chosen
    baselines = " | ".join(own_spread(done[0][key]) for key in ("random_selection", "full_set"))
    return (
        f"| {preset} | {weight:g} | {done[0]['accuracy']['protocol']} | {len(done)} | {chosen} | {by_test} "
        f"| {percent(done, 'last')} | {baselines} | {gain} | {nats(done)} | {paper} |"
    )


HEAD = [
    "| preset | weight | protocol | seeds | best by validation | best by test | last iterate | random real images "
    "| full set | best − random | MI bound (nats) | paper |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
]


def accuracy_table() -> str:
    """All finished cells of the small settings and of the study."""
    presets = [*((preset, 3) for preset in SMALL), *study_presets()]
    return "\n".join([*HEAD, *(row for preset, seeds in presets for row in rows(preset, seeds))])


def precision_table() -> str:
    """The same run at every precision."""
    found = {
        name: [Cell("mnist-ipc1-small", name, changes, seed).read(CELLS) for seed in range(5)]
        for name, changes in PRECISIONS.items()
    }
    lines = [
        "| arithmetic | seeds | best iterate | last iterate | minus float32 eager, paired |",
        "|---|---|---|---|---|",
    ]
    plain = found["float32-eager"]
    for name, documents in found.items():
        done = [document for document in documents if document is not None]
        if not done:
            continue
        pairs = [(a, b) for a, b in zip(documents, plain, strict=True) if a is not None and b is not None]
        against = (
            ""
            if name == "float32-eager" or not pairs
            else interval([a["accuracy"]["mean"] - b["accuracy"]["mean"] for a, b in pairs])
        )
        lines.append(f"| {name} | {len(done)} | {percent(done, 'accuracy')} | {percent(done, 'last')} | {against} |")
    return "\n".join(lines)


def put(page: Path, mark: str, table: str) -> None:
    """Write a table between its marks in a page."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}")


def write() -> None:
    """Put all tables into their pages."""
    put(ROOT / "docs" / "results.md", "tables", accuracy_table())
    put(ROOT / "docs" / "performance.md", "precision", precision_table())
