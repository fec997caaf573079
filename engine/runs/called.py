"""What commands are given, so that a printed one finds what it is about."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from engine.files import expanded

RUNS_DIR = "MIM4DD_RUNS_DIR"


def usual_runs_dir() -> Path:
    """Where a command looks for runs by itself: ``MIM4DD_RUNS_DIR``, else ``./runs``."""
    chosen = os.environ.get(RUNS_DIR)
    return expanded(chosen) if chosen else Path("runs")


def called(folder: Path, usual: Path | None = None) -> str:
    """What a command calls the run in a folder: its name, or its path where that alone would not be found.

    Args:
        usual: the folder of runs in which a name is looked for; :func:`usual_runs_dir` where None.
    """
    there = folder.absolute()
    return there.name if _is_usual(there.parent, usual) else shlex.quote(str(there))


def option(runs_dir: Path) -> str:
    """`` --runs-dir DIR``, for a command that is about the runs in a folder; empty where it looks there by itself."""
    return "" if _is_usual(runs_dir, None) else f" --runs-dir {shlex.quote(str(runs_dir.absolute()))}"


def _is_usual(runs_dir: Path, usual: Path | None) -> bool:
    return runs_dir.absolute() == (usual_runs_dir() if usual is None else usual).absolute()
