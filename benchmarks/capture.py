"""Pictures of the dashboard for the documentation, made by the dashboard itself.

    python -m benchmarks.capture RUN_FOLDER [--size 110x34]

Opens the home screen and a run's screen without a terminal and writes ``docs/home.svg`` and ``docs/run.svg``.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.terminal import Abilities, Colours

DOCS = Path(__file__).resolve().parent.parent / "docs"
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


async def picture(path: Path, run: Path, size: tuple[int, int], *, home: bool) -> None:
    """Write one screen as SVG; what fonts there are is left to whoever shows it."""
    abilities = Abilities(
        term="xterm-256color",
        colours=Colours.TRUE,
        no_color=False,
        unicode=True,
        braille=True,
        remote=False,
        refusal="",
    )
    app = DashboardApp(runs_dir=run.parent, abilities=abilities, attach=None if home else run)
    async with app.run_test(size=size) as pilot:
        for _ in range(12):  # journal read, pictures loaded, plots drawn
            await pilot.pause(0.25)
        path.write_text(FONTS.sub("", app.export_screenshot(title="mim4dd")))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--size", default="110x34")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.size.split("x"))
    asyncio.run(picture(DOCS / "home.svg", options.run, (columns, rows), home=True))
    asyncio.run(picture(DOCS / "run.svg", options.run, (columns, rows), home=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
