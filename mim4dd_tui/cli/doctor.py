"""``doctor``: can mim4dd work here, and if not, what to do."""

from __future__ import annotations

import dataclasses
import sys

from mim4dd_tui import __version__
from mim4dd_tui.cli.options import DataDir, Json, data_dir_of
from mim4dd_tui.cli.output import say, write_json
from mim4dd_tui.fitting import fitted, wrapped
from mim4dd_tui.terminal import columns

MARKS = {"ok": "ok  ", "warning": "note", "problem": "FAIL"}


def doctor(data_dir: DataDir = None, as_json: Json = False) -> int:
    """Check packages, torch and torchvision, devices, precision, the terminal and the data sets.

    Ends with 1 where something keeps runs from working, else with 0.
    """
    from engine.doctor import MISSING, examine
    from mim4dd_tui.terminal import abilities

    if not as_json:
        say(f"mim4dd {__version__}")  # the rest takes some seconds: torch is loaded, in a process of its own
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
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            say(f"\n{group}")
        _say(f"  {MARKS[check.state]} {check.name:<13} ", check.detail)
        if check.state != "ok" and check.detail != MISSING:
            _say(f"       {'':<13} -> ", check.advice)
    say("\nterminal")
    for name, value in (terminal.describe() | _as_chosen()).items():
        _say(f"       {name:<13} ", value)
    missing = [check.name for check in checks if check.detail == MISSING]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        say(
            fitted(
                f"\n{', '.join(missing)}: downloaded when a run needs {them}, or found under --data-dir.", sys.stdout
            )
        )
    say("\nAll is well." if healthy else "\nmim4dd cannot run here until what is marked FAIL is mended.")
    return 0 if healthy else 1


def _as_chosen() -> dict[str, str]:
    """What was chosen in the dashboard for this kind of terminal, in the place of what the terminal would have."""
    try:
        from mim4dd_tui.dashboard.remembered import Remembered
    except ImportError:  # a package is missing, which is said above
        return {}
    chosen = Remembered.load().chosen_pictures()
    return {"pictures": chosen} if chosen else {}


def _say(head: str, text: str) -> None:
    """A line of the report; on a terminal one that is too long goes on below its beginning. A path stays whole."""
    width = columns(sys.stdout)
    lines = wrapped(text, max(20, width - len(head))) if width and " " in text else [text]
    for line in lines or [""]:
        say(head + line)
        head = " " * len(head)
