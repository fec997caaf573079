"""Runs compared: which curve is seen, what its title reads, and where the keys go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.compare import NAME_WIDTH, CompareScreen
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.table import Table
from mim4dd_tui.plots.figure import Figure, Series
from mim4dd_tui.spelling import every_setting
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


@pytest.mark.parametrize(("size", "seen"), [((80, 24), 6), ((60, 20), 4)])
async def test_what_differs_is_seen_below_the_accuracies(
    make_app: MakeApp, size: tuple[int, int], seen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "runs", "zebra", preset="cifar10-ipc1", accuracy=0.6)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await compared(app, pilot, tmp_path / "runs")
        table = screen.query_one(Table)
        await until(pilot, lambda: "cifar10" in text(app))
        copied: list[str] = []
        monkeypatch.setattr(app, "copy", lambda words, _: copied.append(words))
        await pilot.press("c")
        await until(pilot, lambda: bool(copied))
        rows = [line.split("\t")[0] for line in copied[0].splitlines()]
        assert rows[:6] == ["run", "state", "best accuracy", "newest accuracy", "seed", "data.name"]
        assert rows[-7:] == [
            "iteration", "objective", "MI bound", "step size", "random selection", "full set", "worked",
        ]  # fmt: skip
        shown = text(app).splitlines()[table.region.y + 1 : table.region.bottom]
        assert [line[1:NAME_WIDTH].strip() for line in shown] == rows[: 4 + seen]
        await pilot.press("d", "c")  # of all settings as well
        await until(pilot, lambda: len(copied) == 2)
        every = [line.split("\t")[0] for line in copied[1].splitlines()]
        assert (every[:5], every[-7:]) == (rows[:5], rows[-7:])
        assert len(every) == 11 + len(every_setting())
