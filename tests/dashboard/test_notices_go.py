"""How long notices stand: no longer than what they tell is so, and not on screens about something else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from engine.events import Observer
from engine.runs.control import Control
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.graphics.choice import Graphics
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until
from tests.dashboard.shelves import make_run

SIZE = (100, 30)


@pytest.fixture(autouse=True)
def _notices_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an hour: where one is gone, something took it away."""
    monkeypatch.setattr("mim4dd_tui.dashboard.app.DashboardApp.NOTIFICATION_TIMEOUT", 3600.0)


async def test_a_notice_goes_with_its_screen_and_an_error_does_not(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.screen.notify("an answer to a key", severity="warning")
        app.screen.notify("a thing to be read", severity="error")
        app.notify("whose place is everywhere", lasting=True)
        await until(pilot, lambda: "everywhere" in text(app))
        await pilot.press("?")
        await until(pilot, lambda: "Presets and runs" in text(app))
        await pilot.press("escape")
        assert "an answer to a key" in told(app), "a dialog lies over the same screen"
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "an answer to a key" not in told(app))
        assert told(app) == "a thing to be read\nwhose place is everywhere"
        await until(pilot, lambda: "a thing to be read" in text(app) and "an answer" not in text(app))


async def test_a_run_put_into_the_queue_is_told_of_until_the_queue_goes_on(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "lion", state="stopped")
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "lion" in text(app))
        await pilot.press("w")
        await until(pilot, lambda: "lion put into the queue" in told(app))
        app.turns.go()
        assert not told(app), "s there starts it: it was started"
        await until(pilot, lambda: app.session is not None and app.session.running)


async def test_a_run_put_into_the_queue_is_told_of_until_it_is_deleted(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "lion", state="stopped")
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "lion" in text(app))
        await pilot.press("w")
        await until(pilot, lambda: "lion put into the queue" in told(app))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "lion is deleted" in told(app))
        assert "put into the queue" not in told(app)


async def test_a_notice_of_the_queue_is_gone_where_the_queue_is_seen(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.turns.going = True
        app.turns._next([], lambda: False)
        await until(pilot, lambda: "the queue is done" in told(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert "the queue is done" in told(app)
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and not told(app))


@pytest.mark.parametrize("state", ["stopped", "queued"])
async def test_a_run_taken_out_is_no_longer_told_of(make_app: MakeApp, tmp_path: Path, state: str) -> None:
    run = make_run(tmp_path / "runs", "lion", state=state)
    app = make_app()
    app.turns.queue.add_again(run) if state == "stopped" else None
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        if state == "queued":
            with app.turns.queue._changing() as kept:
                kept.names.append("lion")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen | ConfirmScreen))
        app.action_show_queue()
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "lion" in text(app))
        app.turns._put(lambda: ["lion"], lambda: None)  # w, and Q at once: its notice comes here
        await until(pilot, lambda: "lion put into the queue" in told(app))
        await pilot.press("X")
        if state == "queued":
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press("y")
        await until(pilot, lambda: not told(app) and "nothing waits" in text(app))


async def test_a_run_that_goes_on_is_told_of_until_it_has_ended(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("escape", "s")
        await until(pilot, lambda: "is going on here already" in told(app))
        assert app.session is not None
        app.session.request("stop")
        await until(pilot, lambda: not told(app))


async def test_the_dashboard_that_stays_does_not_say_that_it_closes(make_app: MakeApp) -> None:
    freed, engine = threading.Event(), FakeEngine(iterations=20)

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        freed.wait(60)
        return engine(order, observer, control)

    app = make_app(launch)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("q", "s")
        await until(pilot, lambda: "this closes when" in told(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await pilot.press("c")
        await until(pilot, lambda: "then this closes" not in told(app))
        freed.set()
        await until(pilot, lambda: app.session is not None and not app.session.running)
        assert app.return_value is None


async def test_what_was_told_of_a_run_goes_when_it_stands_otherwise(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=10_000, delay=0.01))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 20)
        await pilot.press("R")
        await until(pilot, lambda: "the run is going on" in told(app))
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).over)
        await until(pilot, lambda: not told(app))
        await pilot.press("x")
        await until(pilot, lambda: "the run is stopped; R resumes it" in told(app))
        await pilot.press("R")
        await until(pilot, lambda: run_screen(app).state == "running")
        assert not told(app)


async def test_what_is_told_at_the_start_is_read_on_the_first_screen(make_app: MakeApp) -> None:
    app = make_app(graphics=Graphics.SIXEL)
    app.cell = None
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "no sixel here" in text(app))


async def test_that_a_preset_is_gone_is_read_on_whatever_screen(make_app: MakeApp, tmp_path: Path) -> None:
    own = tmp_path / "config" / "presets"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text('extends = "digits-ipc1"\n')
    app = make_app(preset="mine")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, lambda: "mine" in text(app))
        (own / "mine.toml").unlink()
        await until(pilot, lambda: "the preset mine is gone" in told(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert "the preset mine is gone" in told(app)
