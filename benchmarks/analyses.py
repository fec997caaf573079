"""The paper's analyses at the size of digits: the tables and figures of docs/analyses.md.

    python -m benchmarks.analyses run [--only NAME] [--seeds 0-4] [--runs-dir DIR]    runs the cells that are missing
    python -m benchmarks.analyses page                                   makes tables and figures anew

Cells, documents and pictures lie under ``docs/analyses/``; page and figures are made from these alone. For presets of
your own: ``mim4dd analyse``, which this stands on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.marked import filled
from engine.analysis.ask import analyse
from engine.analysis.cells import Places
from engine.analysis.plan import Plan
from engine.analysis.tables import markdown
from engine.files import read_json_object, write_json
from mim4dd_tui.cli.options import several_seeds
from mim4dd_tui.plots.analyses import draw

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "analyses.md"
PRESET = "digits-ipc1"
KEPT = ROOT / "docs" / "analyses" / PRESET
NAMES = ("lambda", "critic", "beta", "loss", "cka", "grids")


def run(name: str, seeds: list[int], runs_dir: Path, *, finished: bool) -> None:
    """Measure one analysis, and keep its document; with ``finished`` of the runs that are done alone."""
    plan = Plan(
        target=PRESET,
        seeds=seeds,
        places=Places(KEPT / "cells", runs_dir),
        changes=[("execution.threads", "1")],  # one thread a run: the same bits on a machine of more cores
        tell=lambda text: print(text, file=sys.stderr, flush=True),
        finished=finished,
    )
    write_json(KEPT / f"{name}.json", analyse(name, plan))


def rendered(text: str) -> str:
    """The page with the table of every finished analysis in its place."""
    for name in NAMES:
        document = read_json_object(KEPT / f"{name}.json")
        if document is None:
            continue
        figure = f"![{name}](analyses/{PRESET}/{name}.png)"
        text = filled(text, name, f"{markdown(document)}\n\n{figure}")
    return text


def page() -> None:
    """Put the tables into the page, and draw the figures."""
    PAGE.write_text(rendered(PAGE.read_text()))
    for name in NAMES:
        document = read_json_object(KEPT / f"{name}.json")
        if document is not None:
            (KEPT / f"{name}.png").write_bytes(draw(document, KEPT / "cells"))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "page"))
    parser.add_argument("--only", default="", metavar="NAME", choices=("", *NAMES), help="only this analysis")
    parser.add_argument("--seeds", default="0-4", metavar="RANGE")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="where the runs take place")
    parser.add_argument("--finished", action="store_true", help="run nothing: take what is finished")
    options = parser.parse_args()
    if options.what == "run":
        for name in NAMES:
            if options.only in ("", name):
                run(name, several_seeds(options.seeds), options.runs_dir, finished=options.finished)
    page()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
