"""Whose turn it is, where things happen at once: two dashboards, a question that stands, a lock that is held."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from textual.pilot import Pilot

from engine.config.load import resolve
from engine.events import Observer
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.run_queue import FILE, LOCK, RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, QuitScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until
from tests.dashboard.shelves import make_run

CONFIG = resolve("digits-ipc1").config


def queued(runs_dir: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        make_run(runs_dir, name, state="queued", seed=seed)
    (runs_dir / FILE).write_text(json.dumps({"runs": [*names]}))


def order_of(runs_dir: Path) -> list[str]:
    names: list[str] = json.loads((runs_dir / FILE).read_text())["runs"]
    return names


async def agreed(app: DashboardApp, pilot: Pilot[Leave]) -> None:
    """Go on with what waits."""
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    await pilot.press("y")


async def going(app: DashboardApp, pilot: Pilot[Leave]) -> None:
    """Go on with what waits, as far as the first run comes that is held at iteration 12."""
    await agreed(app, pilot)
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)


async def test_two_dashboards_do_not_begin_one_queue(make_app: MakeApp, tmp_path: Path) -> None:
    """Also while the one that was first still loads its engine, when no run is seen to go on."""
    queued(tmp_path / "runs", "one", "two")
    loading, begun = threading.Event(), list[str]()
    engine = FakeEngine(iterations=5)

    def slowly(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        begun.append(order.resume.name if order.resume is not None else "?")
        loading.wait(30)
        return engine(order, observer, control)

    first, second = make_app(slowly), make_app(slowly)
    async with first.run_test(size=(80, 24)) as here, second.run_test(size=(80, 24), notifications=True) as there:
        await agreed(first, here)
        await until(here, lambda: begun == ["one"])
        await here.press("Q")
        await until(here, lambda: "going" in text(first) and "1 waiting" in text(first))
        await agreed(second, there)
        await until(there, lambda: "another process works on this queue" in told(second))
        assert not second.turns.going
        assert begun == ["one"]
        await there.press("Q")
        await until(there, lambda: "2 waiting · another process works on this queue" in text(second))
        assert "s start" not in text(second)
        await there.press("escape")
        second.clear_notifications()
        await there.press("w", "enter")
        await until(there, lambda: "another process works it off" in told(second))
        loading.set()
        await until(here, lambda: not first.turns.going and first.session is not None and not first.session.running)
        assert begun[:2] == ["one", "two"]
        assert second.turns.queue.claim(), "what is done is anybody's again"


async def test_a_queue_that_is_held_is_anybodys(make_app: MakeApp, tmp_path: Path) -> None:
    queued(tmp_path / "runs", "one", "two")
    app = make_app(FakeEngine(iterations=12, hold=True))
    other = RunQueue(tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await going(app, pilot)
        assert not other.claim()
        app.turns.hold()
        assert not other.claim(), "its run goes on"
        await pilot.press("x")
        await until(pilot, lambda: app.session is not None and not app.session.running)
        await until(pilot, other.claim)
    other.give_back()


async def test_the_question_of_q_follows_what_goes_on(make_app: MakeApp, tmp_path: Path) -> None:
    queued(tmp_path / "runs", "one", "two", "three")
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await going(app, pilot)
        await pilot.press("q")
        await until(pilot, lambda: "one is still going" in text(app) and "; 2 runs in the" in text(app))
        engine.hold = False
        await until(pilot, lambda: "three is still going" in text(app) or "three has ended" in text(app))
        assert isinstance(app.screen, QuitScreen)
        await until(pilot, lambda: "three has ended" in text(app) and "s Leave" in text(app))
        assert "will wait" not in text(app)
        await pilot.press("c")
        await until(pilot, lambda: not isinstance(app.screen, QuitScreen))


async def test_a_stop_holds_the_queue_at_once_and_s_after_it_counts(make_app: MakeApp, tmp_path: Path) -> None:
    """What waits behind a change of the queue decides nothing that was decided before."""
    queued(tmp_path / "runs", "one", "two", "three")
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await going(app, pilot)
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "2 waiting" in text(app))
        await pilot.press("j")
        with FileLock(tmp_path / "runs" / LOCK):
            await pilot.press("J")
            assert app.session is not None
            app.session.request("stop")
            await until(pilot, lambda: not app.turns.going)
            engine.hold = False
            await pilot.press("s")
            await until(pilot, lambda: app.turns.going)
        await until(pilot, lambda: len(app.sessions) >= 3 and not app.turns.going)


def test_a_run_that_cannot_be_read_for_a_moment_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(tmp_path, "one", "two", "three", "four")
    queue, status = RunQueue(tmp_path), RunFolder.status
    monkeypatch.setattr(RunFolder, "status", lambda folder: None if folder.name == "two" else status(folder))
    (tmp_path / "three").rename(tmp_path / ".gone")
    queue.move("four", -1)
    monkeypatch.undo()
    assert order_of(tmp_path) == ["four", "one", "two"] or order_of(tmp_path) == ["two", "four", "one"]
    assert {one.name for one in queue.read()} == {"one", "two", "four"}
