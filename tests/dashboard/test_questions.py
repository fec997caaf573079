"""What a question says is so at any moment at which it is seen."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from textual.pilot import Pilot

from engine import sealed
from engine.runs.folder import RunFolder
from engine.runs.lengthening import lengthen
from engine.runs.status import host_name
from mim4dd_tui.dashboard import longer
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen, QuitScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within
from tests.dashboard.shelves import make_run, stands
from tests.dashboard.test_longer import asked, give, over, state_of
from tests.dashboard.test_queue import CONFIG


def goes_on(folder: RunFolder) -> None:
    """As if in another process."""
    stands(folder, state="running", pid=os.getpid(), host=host_name())


def says(app: DashboardApp) -> str:
    """The question that stands, with its answers."""
    if not isinstance(app.screen, ConfirmScreen | QuitScreen):
        return ""
    return " ".join(within(app, app.screen.query_one(part)) for part in (".dialog-title", "#answers"))


async def lengthening(app: DashboardApp, pilot: Pilot[Leave]) -> None:
    """Ask of the run "over" in the list of all runs, nothing else being there."""
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "over" in text(app))
    await pilot.press("I")
    await until(pilot, lambda: isinstance(app.screen, NameScreen) and "it goes on at once" in asked(app))


async def test_a_run_that_begins_and_ends_meanwhile(make_app: MakeApp, tmp_path: Path) -> None:
    over(tmp_path / "runs")
    (other,) = RunQueue(tmp_path / "runs").add(CONFIG, [1])
    app = make_app(engine := FakeEngine(iterations=12, hold=True))
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "over" in text(app))
        longer.ask(app, next(run for run in app.shelf.known if run.name == "over"))
        await until(pilot, lambda: isinstance(app.screen, NameScreen) and app.screen.is_mounted)
        await until(pilot, lambda: "it goes on at once" in asked(app))
        app.start_run(Order(runs_dir=tmp_path / "runs", resume=other.path), watch=False)
        await until(pilot, lambda: "it waits in the queue, as another run is going on here" in asked(app))
        engine.hold = False
        await until(pilot, lambda: "it goes on at once" in asked(app))


async def test_a_run_that_goes_on_elsewhere_meanwhile(make_app: MakeApp, tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await lengthening(app, pilot)
        lengthen(folder, 60)
        await until(pilot, lambda: "it has 60 now and stands at iteration 50" in asked(app))
        goes_on(folder)
        await until(pilot, lambda: asked(app) == "over is going on: it can be lengthened once it is over")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, NameScreen), "what cannot be is not taken"


async def test_its_checkpoint_is_read_once_before_it_waits(make_app: MakeApp, tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    app = make_app(FakeEngine(iterations=40, hold=True))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        await pilot.press("escape", "b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "over" in text(app))
        await pilot.press("j", "I")
        with mock.patch("engine.sealed.verify", wraps=sealed.verify) as verified:
            await give(app, pilot, 60)
            await until(pilot, lambda: "over will follow" in told(app))
        assert verified.call_count == 1
        assert state_of(folder) == ("done", 50)


async def test_a_run_that_goes_on_while_its_deletion_is_asked_about(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "early", state="stopped")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "early" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: "stopped, iteration 25" in says(app))
        stands(folder, iteration=30)
        await until(pilot, lambda: "stopped, iteration 30" in says(app))
        goes_on(folder)
        await until(pilot, lambda: "early is going on, and stays" in says(app))


async def test_a_turn_that_comes_while_taking_out_is_asked_about(make_app: MakeApp, tmp_path: Path) -> None:
    (one,) = RunQueue(tmp_path / "runs").add(CONFIG, [0])
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "1 waiting" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: "it has not begun" in says(app))
        goes_on(one)
        await until(pilot, lambda: f"{one.name} has begun meanwhile" in says(app))
        assert "it has not begun" not in says(app)


async def test_a_queue_that_another_process_takes_while_it_is_offered(make_app: MakeApp, tmp_path: Path) -> None:
    queue = RunQueue(tmp_path / "runs")
    (one,) = queue.add(CONFIG, [0])
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "waits in the queue" in says(app))
        assert queue.claim()
        await until(pilot, lambda: "Another process works on this queue" in says(app))
        queue.give_back()
        await until(pilot, lambda: f"{one.name} waits in the queue" in says(app))
        queue.drop(one.name)
        await until(pilot, lambda: "Nothing waits in the queue any more" in says(app))


async def test_a_run_that_others_stop_or_pause_while_leaving_is_asked_about(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(FakeEngine(iterations=12, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        await pilot.press("q")
        await until(pilot, lambda: "is still going" in says(app))
        assert app.session is not None
        app.session.control._apply("pause")  # as a request from another process
        await until(pilot, lambda: "is paused" in says(app) and "Let it go on from its pause" in says(app))
        RunQueue(tmp_path / "runs").add(CONFIG, [3])
        await until(pilot, lambda: "1 run in the queue will wait" in says(app))
        app.session.control._apply("stop")
        await until(pilot, lambda: "is stopping" in says(app) or "has ended" in says(app))
