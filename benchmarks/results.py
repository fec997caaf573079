"""Accuracy, measured: groups of cells, and the tables made from them.

    python -m benchmarks.results run GROUP [--only WORD] [--seed N] [--jobs N] [--minutes M] [--device cuda]
                                     [--threads N] [--cells DIR] [--data-dir DIR]
    python -m benchmarks.results table

``run`` runs the cells of a group that are missing, several side by side where ``--jobs`` says so, and ends after
``--minutes`` with a checkpoint of each run, from which the next call goes on. A finished cell is a small JSON file
under ``docs/results/`` (or ``--cells``); tables are made from these alone and put into docs/results.md and
docs/performance.md. A cell whose preset has changed since is run again.

Groups: ``small`` (minutes a cell on a CPU), ``study`` (the paper's claim on three bases and two data sets; hours a cell
on a CPU, minutes on a GPU), ``precision`` (the same run at every precision).
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tables
from benchmarks.cells import Cell
from benchmarks.tables import CELLS, PRECISIONS, SMALL, study_presets

ROOT = Path(__file__).resolve().parent.parent
TERM: tuple[tuple[str, tuple[str, ...]], ...] = (("term", ()), ("weight-0", ("information.weight=0",)))


def cells(group: str) -> Iterator[Cell]:
    """All cells of a group, the cheapest presets first, the two sides of a pair one after the other."""
    if group == "small":
        yield from (
            Cell(preset, name, changes, seed) for preset in SMALL for seed in range(3) for name, changes in TERM
        )
    elif group == "study":
        for preset, seeds in study_presets():
            yield from (Cell(preset, name, changes, seed) for seed in range(seeds) for name, changes in TERM)
    else:
        for seed in range(5):
            yield from (Cell("mnist-ipc1-small", name, changes, seed) for name, changes in PRECISIONS.items())


def execution(options: argparse.Namespace) -> tuple[str, ...]:
    """Settings of where and how to compute."""
    device = f"execution.device={options.device}"
    return (device, f"execution.threads={options.threads}") if options.device == "cpu" else (device,)


def work(name: str, group: str, options: argparse.Namespace) -> None:
    """Run one cell in this process; SIGTERM stops it with a checkpoint."""
    from engine.runs import control as requests

    cell = next(cell for cell in cells(group) if cell.name == name)
    listening = requests.Control()
    signal.signal(signal.SIGTERM, lambda *_: listening.request("stop"))
    cell.run(options.cells, execution(options), options.data_dir, listening)


def command(cell: Cell, options: argparse.Namespace) -> list[str]:
    """What runs a cell in a process of its own."""
    given = ["--device", options.device, "--threads", str(options.threads), "--cells", str(options.cells)]
    if options.data_dir is not None:
        given += ["--data-dir", str(options.data_dir)]
    return [sys.executable, "-m", "benchmarks.results", "cell", options.group, "--only", cell.name, *given]


def run(options: argparse.Namespace) -> int:
    """Run what is missing, ``jobs`` cells at a time.

    Returns:
        How many cells of those asked for are still missing.
    """
    wanted = [c for c in cells(options.group) if options.only in c.name and options.seed in (None, c.seed)]
    waiting = [cell for cell in wanted if cell.read(options.cells) is None]
    end = time.monotonic() + 60 * options.minutes
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while (waiting or running) and time.monotonic() < end:
            running = {name: process for name, process in running.items() if process.poll() is None}
            while waiting and len(running) < options.jobs:
                cell = waiting.pop(0)
                print(f"{cell.name} ...", file=sys.stderr, flush=True)
                running[cell.name] = subprocess.Popen(command(cell, options), cwd=ROOT)
            time.sleep(0.5)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    missing = [cell.name for cell in wanted if cell.read(options.cells) is None]
    if missing:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
    return len(missing)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "cell", "table"))
    parser.add_argument("group", nargs="?", choices=("small", "study", "precision"))
    parser.add_argument("--only", default="", help="only cells whose preset/variant-seed-N contains this")
    parser.add_argument("--seed", type=int, default=None, help="only cells of this seed")
    parser.add_argument("--jobs", type=int, default=1, help="cells side by side")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop with checkpoints after this long")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of each cell on a CPU")
    parser.add_argument("--cells", type=Path, default=CELLS, help="where finished cells are kept")
    parser.add_argument("--data-dir", type=Path, default=None)
    options = parser.parse_args()
    if options.what == "table":
        tables.write()
        return 0
    if options.group is None:
        parser.error("which group: small, study or precision?")
    options.cells = options.cells.resolve()
    if options.what == "cell":
        work(options.only, options.group, options)
        return 0
    return 1 if run(options) else 0


if __name__ == "__main__":
    raise SystemExit(main())
