"""``doctor``: can mim4dd work here, and if not, what to do."""

from __future__ import annotations

import dataclasses
import sys

from mim4dd_tui import __version__
from mim4dd_tui.cli.options import DataDir, Json, data_dir_of
from mim4dd_tui.cli.output import say, write_json

MARKS = {"ok": "ok  ", "warning": "note", "problem": "FAIL"}


def doctor(data_dir: DataDir = None, as_json: Json = False) -> int:
    """Check packages, torch and torchvision, devices, precision, the terminal and the data sets.

    Ends with 1 where something keeps runs from working, else with 0.
    """
    from engine.doctor import MISSING, examine
    from mim4dd_tui.terminal import abilities

    checks = examine(data_dir_of(data_dir, looks=True))
    terminal = abilities(stdout=sys.stderr)  # where this is read, or kept, says nothing about the terminal
    healthy = all(check.state != "problem" for check in checks)
    if as_json:
        write_json(
            {
                "version": __version__,
                "healthy": healthy,
                "checks": [dataclasses.asdict(check) for check in checks],
                "terminal": terminal.describe(),
            }
        )
        return 0 if healthy else 1
    say(f"mim4dd {__version__}")
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            say(f"\n{group}")
        say(f"  {MARKS[check.state]} {check.name:<13} {check.detail}")
        if check.state != "ok" and check.detail != MISSING:
            say(f"       {'':<13} -> {check.advice}")
    say("\nterminal")
    for name, value in terminal.describe().items():
        say(f"       {name:<13} {value}")
    missing = [check.name for check in checks if check.detail == MISSING]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        say(f"\n{', '.join(missing)}: downloaded when a run needs {them}, or found under --data-dir.")
    say("\nAll is well." if healthy else "\nmim4dd cannot run here until what is marked FAIL is mended.")
    return 0 if healthy else 1
