"""Accuracy, measured: cells of (preset, weight of the MIM4DD term, seed), and the tables made from them.

    python -m benchmarks.results run [--data-dir DIR] [--only WORD] [--seed N]    runs the cells that are missing
    python -m benchmarks.results table                                 rewrites the tables in docs/results.md

A finished cell is a small JSON file under ``docs/results/``; tables are made from these alone. A cell whose
preset has changed since is run again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config.load import resolve
from engine.config.schema import Config
from engine.files import write_json

ROOT = Path(__file__).resolve().parent.parent
CELLS = ROOT / "docs" / "results"
PAGE = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
STUDENT_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Two-sided 95 % quantiles by degrees of freedom."""


@dataclass(frozen=True)
class Cell:
    """One run to be measured."""

    preset: str
    weight: float | None  # None: the preset's own
    seed: int

    @property
    def path(self) -> Path:
        """Where its result is kept."""
        name = "term" if self.weight is None else f"weight-{self.weight:g}"
        return CELLS / self.preset / f"{name}-seed-{self.seed}.json"

    @property
    def overrides(self) -> list[str]:
        """What ``--set`` would be given."""
        own = [] if self.weight is None else [f"information.weight={self.weight:g}"]
        return [*own, "execution.threads=1"]  # so that cells can be measured side by side, one to a core

    def config(self) -> dict[str, Any]:
        """Its whole configuration."""
        return resolve(self.preset, self.overrides, seed=self.seed).config.model_dump(exclude={"summary"})

    def read(self) -> dict[str, Any] | None:
        """The finished cell, if there is one of this very configuration."""
        try:
            document: dict[str, Any] = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        return document if same_run(document.get("config", {}), self.config()) else None


def same_run(kept: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a cell's configuration is today's: a setting it does not know yet has to be at its default, which
    leaves a run as it was before there was the setting."""
    known = {name for name, value in kept.items() if not isinstance(value, dict)}
    if any(kept[name] != now.get(name) for name in known):
        return False
    for section, values in now.items():
        if not isinstance(values, dict):
            continue
        defaults = Config.model_fields[section].default.model_dump()
        old = kept.get(section, {})
        if not set(old) <= set(values) or any(value != old.get(key, defaults[key]) for key, value in values.items()):
            return False
    return set(kept) <= set(now)


PRESETS = ("digits-ipc1", "mnist-ipc1-small", "cifar10-ipc1-small")
SEEDS = (0, 1, 2)


def cells() -> Iterator[Cell]:
    """All cells, the cheapest presets first, the two sides of a pair one after the other."""
    for preset in PRESETS:
        for seed in SEEDS:
            for weight in (None, 0.0):
                yield Cell(preset, weight, seed)


def run(cell: Cell, data_dir: Path | None) -> None:
    """Run one cell and keep its result."""
    from engine.run import start

    config = resolve(cell.preset, cell.overrides, seed=cell.seed).config
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as runs:
        result = start(config, runs_dir=Path(runs), preset=cell.preset, data_dir=data_dir)
        execution = json.loads((Path(runs) / str(result["run"]) / "execution.json").read_text())
    kept = {key: result[key] for key in ("accuracy", "last", "random_selection", "full_set", "mutual_information")}
    cell.path.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        cell.path,
        {
            "preset": cell.preset,
            "set": cell.overrides,
            "seed": cell.seed,
            "config": cell.config(),
            "seconds": round(time.perf_counter() - began, 1),
            "fingerprint": result["fingerprint"],
            "execution": execution,
            **kept,
        },
    )


def interval(values: list[float]) -> str:
    """Mean and 95 % interval of a small sample, in points."""
    mean = statistics.fmean(values) * 100
    if len(values) < 2:
        return f"{mean:+.1f}"
    half = STUDENT_T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values)) * 100
    return f"{mean:+.1f} ± {half:.1f}"


def percent(documents: list[dict[str, Any]], key: str) -> str:
    """Mean and deviation over seeds of one accuracy."""
    values = [document[key]["mean"] * 100 for document in documents]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread}"


def own_spread(score: dict[str, Any]) -> str:
    """Mean and deviation of one score over its own networks: the baselines are the same for all seeds."""
    return f"{score['mean'] * 100:.1f} ± {score['std'] * 100:.1f}"


def rows(preset: str) -> Iterator[str]:
    """Table rows of a preset: with and without the term, and their paired difference."""
    sides = {weight: [Cell(preset, weight, seed).read() for seed in SEEDS] for weight in (None, 0.0)}
    done = {weight: [d for d in documents if d is not None] for weight, documents in sides.items()}
    own = resolve(preset).config.information.weight
    for weight, documents in done.items():
        if not documents:
            continue
        first = documents[0]
        gain = interval([d["accuracy"]["mean"] - d["random_selection"]["mean"] for d in documents])
        information = "–"
        if weight is None:
            nats = statistics.fmean(d["mutual_information"]["nats"] for d in documents)
            information = f"{nats:.2f} of {first['mutual_information']['ceiling']:.2f}"
        yield (
            f"| {preset} | {own if weight is None else 0:g} | {first['accuracy']['protocol']} | {len(documents)} "
            f"| {percent(documents, 'accuracy')} | {percent(documents, 'last')} "
            f"| {own_spread(first['random_selection'])} | {own_spread(first['full_set'])} | {gain} | {information} |"
        )
    pairs = [(a, b) for a, b in zip(sides[None], sides[0.0], strict=True) if a is not None and b is not None]
    if pairs:
        best = interval([a["accuracy"]["mean"] - b["accuracy"]["mean"] for a, b in pairs])
        last = interval([a["last"]["mean"] - b["last"]["mean"] for a, b in pairs])
        yield f"| {preset} | term − none | | {len(pairs)} pairs | {best} | {last} | | | | |"


def table() -> str:
    """The table of all finished cells."""
    head = [
        "| preset | weight | protocol | seeds | best iterate | last iterate | random real images | full set "
        "| best − random | MI bound (nats) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    body = [row for preset in PRESETS for row in rows(preset)]
    return "\n".join(head + body)


def write_table() -> None:
    """Put the table into the page."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--only", default="", help="run only cells of presets whose name contains this")
    parser.add_argument("--seed", type=int, default=None, help="run only cells of this seed")
    options = parser.parse_args()
    if options.what == "table":
        write_table()
        return 0
    for cell in cells():
        wanted = options.only in cell.preset and options.seed in (None, cell.seed)
        if wanted and cell.read() is None:
            print(f"{cell.path.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
            run(cell, options.data_dir)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
