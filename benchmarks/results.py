"""Accuracy, measured: groups of cells, and the tables made from them.

    python -m benchmarks.results run GROUP [--only WORD] [--seed N] [--jobs N] [--minutes M] [--device cuda]
                                     [--threads N] [--cells DIR] [--data-dir DIR]
    python -m benchmarks.results table

``run`` runs the cells of a group that are missing, several side by side where ``--jobs`` says so, and ends after
``--minutes`` with a checkpoint of each run, from which the next call goes on: unfinished runs lie in the cache folder.
A finished cell (``engine.analysis.cells``) is a small JSON file under ``docs/results/`` (or ``--cells``); tables are
made from these alone and put into docs/results.md and docs/performance.md. A cell whose preset has changed since is
run again.

Groups: ``small`` (minutes a cell on a CPU), ``study`` (the paper's claim on three bases and two data sets; hours a cell
on a CPU, minutes on a GPU), ``rates`` (both sides of a pair over pixel rates), ``precision`` (the same run at every
precision; cells under ``precision/``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from pathlib import Path

from benchmarks import tables
from benchmarks.tables import (
    CELLS,
    PRECISION_PRESET,
    PRECISIONS,
    RATES,
    SMALL,
    arithmetic_folder,
    at_rate,
    seeds_of,
    study_presets,
)
from engine.analysis.cells import Cell, Places, settings_of
from engine.analysis.plan import WITH, WITHOUT, Variant
from engine.files import default_cache_dir
from engine.runs.control import Control, StopRequested

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("small", "study", "rates", "precision")
PAIR = (WITH, WITHOUT)


@dataclass(frozen=True)
class Task:
    """A cell of a group.

    Attributes:
        arithmetic: of the group ``precision``, whose cells are kept apart by it.
    """

    cell: Cell
    arithmetic: Variant | None = None

    @property
    def name(self) -> str:
        """What ``--only`` looks at: the cell's name, after its arithmetic where the group is about that."""
        return self.cell.name if self.arithmetic is None else f"{self.arithmetic.label}/{self.cell.name}"

    def places(self, cells: Path, data: Path | None = None) -> Places:
        """Where it is kept below the folder of all cells, and a folder in the cache for its run alone: a preset that
        changes has another."""
        words = json.dumps([self.name, settings_of(self.cell.config)], sort_keys=True)
        return Places(
            cells=cells if self.arithmetic is None else arithmetic_folder(cells, self.arithmetic),
            runs=default_cache_dir() / "cells" / sha256(words.encode()).hexdigest()[:16],
            data=data,
        )


def tasks(group: str) -> Iterator[Task]:
    """All cells of a group, the cheapest presets first, the two sides of a pair one after the other."""
    if group == "precision":
        for seed in range(5):
            yield from (Task(Cell(PRECISION_PRESET, v.changes, seed), v) for v in PRECISIONS)
        return
    if group == "rates":
        for preset, rates in RATES.items():
            for rate, seed, side in product(rates, range(seeds_of(preset)), PAIR):
                yield Task(Cell(preset, at_rate(side, rate).changes, seed))
        return
    presets = SMALL.items() if group == "small" else study_presets()
    for preset, seeds in presets:
        yield from (Task(Cell(preset, v.changes, seed)) for seed in range(seeds) for v in PAIR)


def execution(options: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    """Settings of where to compute, which are no part of what a cell is."""
    return ("execution.device", options.device), ("execution.threads", str(options.threads))


def work(task: Task, options: argparse.Namespace, control: Control) -> bool:
    """Run a cell in this process, or go on with it, and remove its run once the cell is kept.

    Returns:
        Whether it is finished; else it was stopped, with a checkpoint.
    """
    places = task.places(options.cells, options.data_dir)
    cell = replace(task.cell, changes=(*task.cell.changes, *execution(options)))
    try:
        cell.measure(places, control=control)
    except StopRequested:
        return False
    shutil.rmtree(places.runs, ignore_errors=True)
    return True


def command(task: Task, options: argparse.Namespace) -> list[str]:
    """What runs a cell in a process of its own."""
    given = ["--device", options.device, "--threads", str(options.threads), "--cells", str(options.cells)]
    if options.data_dir is not None:
        given += ["--data-dir", str(options.data_dir)]
    return [sys.executable, "-m", "benchmarks.results", "cell", options.group, "--only", task.name, *given]


def run(options: argparse.Namespace) -> int:
    """Run what is missing, ``jobs`` cells at a time.

    Returns:
        How many cells of those asked for are still missing.
    """
    wanted = [t for t in tasks(options.group) if options.only in t.name and options.seed in (None, t.cell.seed)]
    waiting = missing(wanted, options.cells)
    end = time.monotonic() + 60 * options.minutes
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while (waiting or running) and time.monotonic() < end:
            running = {name: process for name, process in running.items() if process.poll() is None}
            while waiting and len(running) < options.jobs:
                task = waiting.pop(0)
                print(f"{task.name} ...", file=sys.stderr, flush=True)
                running[task.name] = subprocess.Popen(command(task, options), cwd=ROOT)
            time.sleep(0.5)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    left = missing(wanted, options.cells)
    if left:
        print(f"missing: {', '.join(task.name for task in left)}", file=sys.stderr)
    return len(left)


def missing(wanted: list[Task], cells: Path) -> list[Task]:
    """Those that are not kept with the settings they have now."""
    return [task for task in wanted if task.cell.kept(task.places(cells)) is None]


def listening() -> Control:
    """Requests of this process's run; SIGTERM stops it with a checkpoint."""
    control = Control()
    signal.signal(signal.SIGTERM, lambda *_: control.request("stop"))
    return control


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "cell", "table"))
    parser.add_argument("group", nargs="?", choices=GROUPS)
    parser.add_argument("--only", default="", help="only cells whose name contains this, e.g. mnist-ipc1-study-seed")
    parser.add_argument("--seed", type=int, default=None, help="only cells of this seed")
    parser.add_argument("--jobs", type=int, default=1, help="cells side by side")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop with checkpoints after this long")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, for each cell")
    parser.add_argument("--cells", type=Path, default=CELLS, help="where finished cells are kept")
    parser.add_argument("--data-dir", type=Path, default=None)
    options = parser.parse_args()
    if options.what == "table":
        tables.write()
        return 0
    if options.group is None:
        parser.error(f"which group: {', '.join(GROUPS)}?")
    options.cells = options.cells.resolve()
    if options.what == "cell":
        task = next(task for task in tasks(options.group) if task.name == options.only)
        work(task, options, listening())
        return 0
    return 1 if run(options) else 0


if __name__ == "__main__":
    raise SystemExit(main())
