"""Columns and rows of panes are moved by keys and by dragging, within limits, and stand so the next time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.remembered import Remembered, state_file
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.panes import LEAST, Panes, plausible
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import told, until
from tests.dashboard.shelves import make_run

SIZES = [(60, 20), (80, 24), (100, 30), (160, 48)]


def place(app: DashboardApp, pane: str) -> Region:
    """Where a pane of the screen lies."""
    return app.screen.query_one(f"#{pane}").region


async def watched(app: DashboardApp, pilot: Pilot[Leave]) -> None:
    """Wait for a run with curves, laid out."""
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
    await until(pilot, lambda: place(app, "losses").width > 10)


def going(make_app: MakeApp) -> DashboardApp:
    """A run that has made its iterations and waits."""
    return make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)


@pytest.mark.parametrize("size", SIZES)
async def test_keys_move_what_lies_between_panes(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = going(make_app)
    async with app.run_test(size=size) as pilot:
        await watched(app, pilot)
        losses, pictures, facts = place(app, "losses"), place(app, "pictures"), place(app, "facts")
        await pilot.press("right_square_bracket", "right_curly_bracket")
        await until(pilot, lambda: place(app, "losses").height == losses.height + 1)
        assert place(app, "losses").width == losses.width + 4
        assert place(app, "pictures").x == pictures.x + 4
        if size[0] < 120:  # else the numbers have a column among the curves
            assert place(app, "facts") == facts
        await pilot.press("left_square_bracket", "left_curly_bracket")
        await until(pilot, lambda: place(app, "losses") == losses and place(app, "pictures") == pictures)


async def test_the_pane_in_focus_is_the_one_that_grows(make_app: MakeApp) -> None:
    app = going(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await watched(app, pilot)
        before = place(app, "accuracy")
        app.screen.query_one("#accuracy").focus()
        await pilot.press("right_square_bracket", "right_curly_bracket")
        await until(pilot, lambda: place(app, "accuracy").width == before.width + 4)
        assert place(app, "accuracy").height == before.height + 1
        assert place(app, "accuracy").bottom == before.bottom


async def test_a_line_follows_the_mouse_and_nothing_else_does(make_app: MakeApp) -> None:
    app = going(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await watched(app, pilot)
        edge, top = place(app, "pictures").x, place(app, "information").y
        for start, end, there in (
            ((edge, 6), (edge - 9, 8), lambda: place(app, "pictures").x == edge - 9),
            ((5, top), (30, top + 2), lambda: place(app, "information").y == top + 2),
        ):
            await pilot.mouse_down(offset=start)
            await pilot.hover(offset=end)
            await until(pilot, there)
            await pilot.mouse_up(offset=end)
            await pilot.hover(offset=(20, 5))
        assert place(app, "pictures").x == edge - 9
        assert place(app, "information").y == top + 2
        assert all(pane.viewport.cursor is None and pane.viewport.x is None for pane in app.screen.query(PlotPane))


async def test_no_pane_gets_lost(make_app: MakeApp) -> None:
    app = going(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await watched(app, pilot)
        for _ in range(30):
            await pilot.press("left_square_bracket", "left_curly_bracket")
        await until(pilot, lambda: place(app, "losses").width == round(LEAST * 80))
        assert place(app, "losses").height >= 3
        edge = place(app, "pictures").x
        await pilot.mouse_down(offset=(edge, 6))
        await pilot.hover(offset=(79, 6))
        await until(pilot, lambda: place(app, "pictures").width == round(LEAST * 80))
        await pilot.mouse_up(offset=(79, 6))
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: place(app, "pictures").right == 60)
        assert place(app, "pictures").width == round(LEAST * 60)


async def test_each_view_has_its_own_and_all_are_kept(make_app: MakeApp) -> None:
    app = going(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await watched(app, pilot)
        overview = place(app, "losses").width
        await pilot.press("right_square_bracket", "2")
        await until(pilot, lambda: place(app, "losses").width == 40)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: place(app, "losses").width == 36)
        await pilot.press("1")
        await until(pilot, lambda: place(app, "losses").width == overview + 4)
    kept = json.loads(state_file().read_text())["panes"]
    assert kept == {"overview columns 1:1": [44, 36], "curves columns 1:1": [36, 44]}
    app = going(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await watched(app, pilot)
        assert place(app, "losses").width == overview + 4
        await pilot.press("backslash")
        await until(pilot, lambda: place(app, "losses").width == overview)
    assert json.loads(state_file().read_text())["panes"] == {"curves columns 1:1": [36, 44]}


async def test_where_there_is_nothing_to_move_a_key_says_so(make_app: MakeApp) -> None:
    app = going(make_app)
    async with app.run_test(size=(80, 24)) as pilot:
        await watched(app, pilot)
        await pilot.press("3", "right_square_bracket")
        await until(pilot, lambda: "there are no columns to be moved here" in told(app))


async def test_compared_runs_have_panes_too(make_app: MakeApp) -> None:
    app = make_app()
    for name, seed in (("one", 0), ("two", 1)):
        make_run(app.runs_dir, name, seed=seed)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b", "space", "j", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and place(app, "compare-table").height > 0)
        table = place(app, "compare-table")
        await pilot.press("right_curly_bracket")  # the table has the keys
        await until(pilot, lambda: place(app, "compare-table").height == table.height + 1)
        await pilot.press("M")
        await until(pilot, lambda: place(app, "compare-bound").height > 0)
        bound = place(app, "compare-bound")
        app.screen.query_one("#compare-bound").focus()
        await pilot.press("right_curly_bracket", "right_square_bracket")
        await until(pilot, lambda: place(app, "compare-bound").width == bound.width + 4)
        assert place(app, "compare-bound").height == bound.height + 1
        assert len(app.screen.query(Panes)) == 2


@pytest.mark.parametrize(
    ("sizes", "fine"),
    [
        ({}, True),
        ({"overview columns 1:1": [44, 36]}, True),
        ({"overview columns 1:1": [44, 0]}, False),
        ({"overview columns 1:1": [44, True]}, False),
        ({"overview columns 1:1": 44}, False),
        ([1], False),
    ],
)
def test_what_makes_no_sense_counts_as_not_there(sizes: Any, fine: bool) -> None:
    assert plausible(sizes) is fine
    state_file().parent.mkdir(parents=True, exist_ok=True)
    state_file().write_text(json.dumps({"panes": sizes}))
    assert Remembered.load().panes == (sizes if fine else {})
