"""Snapshots and curves looked at together, at one moment or played again."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens import leafing
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until


async def done(app: DashboardApp, pilot: Pilot[Leave]) -> None:
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    await until(pilot, lambda: "iteration 30" in text(app))


def cursors(app: DashboardApp) -> set[float | None]:
    return {pane.viewport.cursor for pane in app.screen.query(PlotPane)}


@pytest.mark.parametrize("size", SIZES)
async def test_the_curves_cursors_go_with_the_snapshot(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await done(app, pilot)
        assert cursors(app) == {None}
        await pilot.press("comma")
        await until(pilot, lambda: "iteration 20" in text(app))
        assert cursors(app) == {20.0}
        assert "at 20" in text(app)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "iteration 0" in text(app))
        assert cursors(app) == {0.0}
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: "iteration 30" in text(app))
        assert cursors(app) == {None}


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_is_played_again(make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leafing, "REPLAY_SECONDS", {False: 0.15, True: 0.15})
    app = make_app(FakeEngine(iterations=30))
    seen: list[float | None] = []
    async with app.run_test(size=size) as pilot:
        await done(app, pilot)
        losses = app.screen.query_one("#losses", PlotPane)
        app.screen.watch(losses, "viewport", lambda view: seen.append(view.cursor), init=False)
        await pilot.press("p")
        await until(pilot, lambda: bool(seen) and seen[-1] is None)
        assert seen == [0.0, 1.0, 10.0, 20.0, None]
        monkeypatch.setattr(leafing, "REPLAY_SECONDS", {False: 1.0, True: 1.0})
        await pilot.press("p")
        await until(pilot, lambda: len(seen) > 5)
        await app.screen.run_action("replay")  # at once: on a loaded machine a key might come after the end
        count = len(seen)
        await pilot.pause(1.5)
        assert len(seen) == count, "it went on after it was stopped"


@pytest.mark.parametrize("size", SIZES)
async def test_leafing_by_hand_ends_a_replay(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leafing, "REPLAY_SECONDS", {False: 0.2, True: 0.2})
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await done(app, pilot)
        await pilot.press("p")
        await until(pilot, lambda: cursors(app) == {0.0})
        await pilot.press("full_stop")
        await pilot.pause(0.6)
        assert cursors(app) == {1.0}


@pytest.mark.parametrize("key", ["h", "0"])
async def test_a_replay_says_that_it_plays_and_a_cursor_moved_by_hand_ends_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(leafing, "REPLAY_SECONDS", {False: 0.2, True: 0.2})
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(80, 24)) as pilot:
        await done(app, pilot)
        assert "playing" not in text(app)
        await pilot.press("p")
        await until(pilot, lambda: cursors(app) not in ({None}, {0.0}) and "playing" in text(app))
        await pilot.press(key)
        await until(pilot, lambda: "playing" not in text(app))
        there = cursors(app)
        await pilot.pause(0.6)
        assert cursors(app) == there


async def test_a_replay_of_many_snapshots_leaves_some_out(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leafing, "REPLAY_SECONDS", {False: 0.2, True: 0.2})
    monkeypatch.setattr(leafing, "REPLAY_LONGEST", 0.5)
    app = make_app(FakeEngine(iterations=30))
    seen: list[float | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await done(app, pilot)
        losses = app.screen.query_one("#losses", PlotPane)
        app.screen.watch(losses, "viewport", lambda view: seen.append(view.cursor), init=False)
        await pilot.press("p")
        await until(pilot, lambda: bool(seen) and seen[-1] is None)
        assert seen == [0.0, 10.0, None], "five take a second, which is twice as long as they may"
