"""Runs compared: which curve is seen, what its title reads, and where the keys go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.table import Table
from mim4dd_tui.plots.figure import Figure, Series
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text, until
from tests.dashboard.shelves import make_run


async def compared(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> CompareScreen:
    make_run(runs, "lion")
    make_run(runs, "tapir", seed=1, accuracy=0.7)
    infos = Shelf(runs).read()
    app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
    await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "80.0" in text(app) and "70.0" in text(app))
    assert isinstance(app.screen, CompareScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_table_has_the_keys_again_when_it_comes_back(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        table = screen.query_one(Table)
        await pilot.press("g", "z")
        await until(pilot, lambda: not table.display)
        await pilot.press("z")
        await until(pilot, lambda: table.display and table.has_focus)
        before = table.cursor
        await pilot.press("j")
        await until(pilot, lambda: table.cursor == before + 1)


@pytest.mark.parametrize("size", SIZES)
async def test_one_curve_of_four_is_shown_alone(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")

        def seen() -> list[str | None]:
            return [pane.id for pane in screen.query(PlotPane) if pane.display]

        await pilot.press("M")
        four = ["compare-accuracy", "compare-objective", "compare-bound", "compare-nce"]
        await until(pilot, lambda: seen() == four)
        screen.query_one("#compare-bound").focus()
        await pilot.press("z")
        await until(pilot, lambda: seen() == ["compare-bound"] and not screen.query_one(Table).display)
        await pilot.press("z")
        await until(pilot, lambda: seen() == four and screen.query_one(Table).display)
        screen.query_one("#compare-bound").focus()
        await pilot.press("z", "M")
        await until(pilot, lambda: seen() == ["compare-plot"])


async def test_beyond_the_end_of_one_curve_the_title_reads_the_place_of_the_others(
    make_app: MakeApp, tmp_path: Path
) -> None:
    short, long = np.arange(1.0, 151.0), np.arange(1.0, 301.0)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        pane = screen.query_one("#compare-plot", PlotPane)
        pane.show(Figure((Series("A", short, short, 1), Series("B", long, long, 2))))
        pane.viewport = pane.viewport.changed(cursor=296.0)
        assert pane.render_line(0).text.split("  ")[1:4] == ["A 150 (150)", "B 296", "at 296"]
