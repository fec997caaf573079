"""Pictures of the dashboard for the documentation, made by the dashboard itself.

    python -m benchmarks.capture RUN_FOLDER [--size 110x34] [--only NAME]

Opens every screen without a terminal, on the runs that lie beside RUN_FOLDER, and writes ``docs/dashboard/*.svg``
(and ``docs/home.svg`` and ``docs/run.svg`` for the README). Nothing is run and no run is changed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from engine.config.load import resolve
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.terminal import Abilities, Colours

DOCS = Path(__file__).resolve().parent.parent / "docs"
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
USUAL = (80, 24)


@dataclass(frozen=True)
class Shot:
    """A screen: its file's stem, the keys that lead there, whether the run is opened first, or a queue made."""

    name: str
    keys: tuple[str, ...] = ()
    opened: bool = False
    queue: bool = False


SHOTS = (
    Shot("home"),
    Shot("settings", ("e", "slash", *"network", "enter", "down", "down", "down", "right")),
    Shot("runs", ("b", "j", "space", "space", "space")),
    Shot("compare", ("b", "slash", *"done", "enter", "space", "space", "space", "c")),
    Shot("four", ("b", "slash", *"done", "enter", "space", "space", "space", "c", "M")),
    Shot("queue", ("n", "Q"), queue=True),
    Shot("run", ("1",), opened=True),
    Shot("curves", ("2", "tab", "h", "H", "w"), opened=True),
    Shot("pictures", ("3", "right", "o"), opened=True),
    Shot("log", ("4", "slash", "ctrl+r", *"accuracy|(full )?set"), opened=True),
    Shot("help", ("4", "question_mark"), opened=True),
    Shot("palette", ("4", "colon"), opened=True),
)


async def picture(shot: Shot, run: Path, size: tuple[int, int]) -> str:
    """One screen as SVG; what fonts there are is left to whoever shows it."""
    abilities = Abilities(
        term="xterm-256color",
        colours=Colours.TRUE,
        no_color=False,
        unicode=True,
        braille=True,
        remote=False,
        refusal="",
    )
    app = DashboardApp(runs_dir=run.parent, abilities=abilities, attach=run if shot.opened else None)
    async with app.run_test(size=size) as pilot:
        await _settle(pilot)
        for key in shot.keys:
            await pilot.press(key)
            await pilot.pause(0.1)
            if key == "b":
                await _settle(pilot)
        await _settle(pilot)
        return FONTS.sub("", app.export_screenshot(title="mim4dd"))


async def _settle(pilot: Pilot[Leave]) -> None:
    for _ in range(8):  # journal read, pictures loaded, plots drawn
        await pilot.pause(0.25)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--size", default="110x34", help="of the README's two pictures")
    parser.add_argument("--only", help="one screen by its name")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.size.split("x"))
    run = options.run.absolute()
    (DOCS / "dashboard").mkdir(exist_ok=True)
    for shot in SHOTS:
        if options.only in (None, shot.name):
            path = DOCS / "dashboard" / f"{shot.name}.svg"
            path.write_text(fresh(shot, run, USUAL))
            if shot.name in ("home", "run"):
                (DOCS / f"{shot.name}.svg").write_text(fresh(shot, run, (columns, rows)))
            print(path.relative_to(DOCS.parent))
    return 0


def fresh(shot: Shot, run: Path, size: tuple[int, int]) -> str:
    """One screen of a dashboard that is opened for the first time, and of which nothing is remembered."""
    with tempfile.TemporaryDirectory() as state:
        os.environ["XDG_STATE_HOME"] = state
        if shot.queue:
            run = Path(state) / "runs" / "none"
            RunQueue(run.parent).add(resolve("digits-ipc1").config, [0, 1, 2], preset="digits-ipc1")
        return asyncio.run(picture(shot, run, size))


if __name__ == "__main__":
    raise SystemExit(main())
