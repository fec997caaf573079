"""Whose turn it is: what follows by itself, what holds the queue, and where things happen at once (two dashboards, a
question that stands, a lock that is held)."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from filelock import FileLock
from textual.pilot import Pilot
from textual.widgets import Input

from engine.config.load import resolve
from engine.errors import MimError, RunLocked
from engine.events import Observer
from engine.runs.control import Control
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from engine.runs.status import host_name, process_identity
from mim4dd_tui.dashboard.app import HANDS_SECONDS, DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.run_queue import FILE, LOCK, RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, words
from tests.dashboard.shelves import make_run, stands, states

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
        await until(here, lambda: " starting " in text(first) and "1 waiting" in text(first))
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
        assert text(app).count("Leave") == text(app).count("nothing goes on here") == 1
        await pilot.press("c")
        await until(pilot, lambda: not isinstance(app.screen, QuitScreen))


async def test_who_was_about_to_let_a_run_go_on_leaves_when_it_ends(make_app: MakeApp) -> None:
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: "12/12" in text(app))
        await pilot.press("q", "down")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        engine.hold = False
        await until(pilot, lambda: "has ended" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DONE


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


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_added_while_another_goes_on_follows_by_itself(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 0)
        await pilot.press("escape", "w", "enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and len(list_runs(tmp_path / "runs")) == 2)
        engine.hold = False
        await until(pilot, lambda: states(tmp_path / "runs") == ["done", "done"])
        assert isinstance(app.screen, HomeScreen), "the next run took the screen from what somebody looks at"


@pytest.mark.parametrize("size", SIZES)
async def test_stopping_a_run_holds_the_queue(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app(FakeEngine(iterations=12, hold=True))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app))
        await pilot.pause()
        app.turns.queue.add(CONFIG, [0, 1])
        await pilot.press("Q", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        await pilot.press("x")
        await until(pilot, lambda: not app.turns.going)
        assert sorted(states(tmp_path / "runs")) == ["queued", "stopped"]


@pytest.mark.parametrize("size", SIZES)
async def test_opening_again_offers_to_go_on(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    queue = RunQueue(tmp_path / "runs")
    first, _ = queue.add(CONFIG, [0, 1])
    stands(first, state="running", pid=999_999_999, host=host_name())
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen) and "interrupted" in text(app))
        assert "one after another, begun ones from their last" in words(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        assert not app.turns.going
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: states(tmp_path / "runs") == ["done", "done"])


@pytest.mark.parametrize("size", SIZES)
async def test_a_queue_that_another_process_works_on_is_not_called_held(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    queue = RunQueue(tmp_path / "runs")
    first, _ = queue.add(CONFIG, [0, 1])
    stands(first, state="running", pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "another process works on this queue" in text(app))
        assert "held" not in text(app)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("key", "told"), [("", "begins; l shows it"), ("b", "begins"), ("Q", "begins")])
async def test_a_run_that_begins_by_itself_names_only_keys_that_the_screen_has(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, key: str, told: str
) -> None:
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        await pilot.press("escape", "w", "enter")
        await until(
            pilot, lambda: isinstance(app.screen, HomeScreen) and app.turns._waiting(app.turns.queue.read()) == 1
        )
        name = next(one.name for one in app.turns.queue.read() if one.state == "queued")
        if key:
            await pilot.press(key)
            await until(pilot, lambda: not isinstance(app.screen, HomeScreen))
        with mock.patch.object(app, "notify", wraps=app.notify) as notified:  # it is taken back soon, at the run's end
            engine.hold = False
            await until(pilot, lambda: any("begins" in call.args[0] for call in notified.call_args_list))
        said = [call.args[0] for call in notified.call_args_list if "begins" in call.args[0]]
        assert said == [f"{name} {told}"]


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_that_another_process_has_taken_is_passed_over(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    queue, engine = RunQueue(tmp_path / "runs"), FakeEngine(iterations=12)
    first, second = queue.add(CONFIG, [0, 1])

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if order.resume == first.path:
            raise RunLocked("another process holds it")
        return engine(order, observer, control)

    app = make_app(launch)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: f"{first.name} is passed over" in told(app))
        await until(pilot, lambda: states(tmp_path / "runs").count("done") == 1)
        assert second.status() is not None
        await until(pilot, lambda: app.session is not None and not app.session.running)
    assert app.exit_status == 0, "nothing failed here"


@pytest.mark.parametrize("size", SIZES)
async def test_a_queue_held_by_hand_stays_held_when_a_run_is_added(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    app = make_app(FakeEngine(iterations=12, hold=True))
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        await pilot.press("escape", "w", "enter")
        await until(pilot, lambda: "will follow" in told(app))
        assert app.turns.going
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "1 waiting · after" in text(app))
        await pilot.press("p")
        await until(pilot, lambda: "held: s starts them" in text(app))
        await pilot.press("escape", "w", "enter")
        await until(pilot, lambda: "put into the queue; Q shows it, s there starts it" in told(app))
        assert not app.turns.going
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "2 waiting" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: app.turns.going)
        await pilot.press("escape", "w", "enter")
        await until(pilot, lambda: app.turns._waiting(app.turns.queue.read()) == 3)
        assert app.turns.going, "it was let go on by hand"


async def test_runs_that_nobody_watched_hold_no_events_when_the_next_begins(make_app: MakeApp, tmp_path: Path) -> None:
    engine = FakeEngine(iterations=12)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        app.turns.queue.add(CONFIG, [0, 1, 2])
        app.turns.going = True
        app.turns._begin(lambda: False)
        await until(pilot, lambda: len(app.sessions) == 4 and not app.turns.going)
        *before, last = app.sessions
        assert [session.poll() for session in before] == [[], [], []]
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        assert run_screen(app).session is last, "the last one is still there to be looked at, whole"


@pytest.mark.parametrize("hands", ["off", "field", "key", "opened", "at the end"])
async def test_the_screen_goes_on_to_the_next_run_only_where_somebody_looks_on(
    make_app: MakeApp, hands: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter that was typed into a field, or a key for one run, would be a command to another."""
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    since = 0.0
    app._collector._clock = lambda: time.monotonic() + since
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        first = run_screen(app)
        (waits,) = app.turns.queue.add(CONFIG, [0])
        app.turns.going = True
        if hands == "field":
            await pilot.press("4", "slash", *"acc")
            await until(pilot, lambda: isinstance(app.focused, Input))
        if hands != "opened":
            since = HANDS_SECONDS + 1
        if hands == "key":
            await pilot.press("4")
        read = threading.Event()
        if hands == "at the end":
            monkeypatch.setattr(app.turns.queue, "claim", lambda: read.wait(60) and RunQueue.claim(app.turns.queue))
        engine.hold = False
        if hands == "at the end":
            await until(pilot, lambda: first.state == "done")
            await pilot.press("h")
            read.set()
        await until(pilot, lambda: len(app.sessions) == 2 and not app.turns.going)
        if hands == "off":
            await until(pilot, lambda: run_screen(app) is not first)
        else:
            assert app.screen is first
            assert app.session is not None
            assert app.session.path == waits.path
        if hands == "field":
            assert isinstance(app.focused, Input)
            assert app.focused.value == "acc"


async def test_a_run_that_is_looked_at_beneath_another_screen_keeps_its_last_events(
    make_app: MakeApp, tmp_path: Path
) -> None:
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        first = run_screen(app)
        app.turns.queue.add(CONFIG, [0])
        app.turns.going = True
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is not first)
        engine.hold = False
        await until(pilot, lambda: len(app.sessions) == 2 and not app.turns.going)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is first and first.state == "done")


async def test_what_follows_a_run_that_goes_on_is_not_offered_elsewhere(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(FakeEngine(iterations=30, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: app.session is not None and app.session.running)
        app.turns.add(CONFIG, [5, 6], None, {}, lambda: None)
        await until(pilot, lambda: app.turns.going and len(RunQueue(tmp_path / "runs").read()) == 2)
        other = RunQueue(tmp_path / "runs")
        assert other.elsewhere()
        assert not other.claim(), "another dashboard would begin them beside the run"


async def test_s_in_a_queue_that_another_process_works_on_promises_nothing(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(tmp_path / "runs", "one", "two")
    other, looked = RunQueue(tmp_path / "runs"), threading.Event()
    assert other.claim()
    app = make_app(FakeEngine(iterations=12))
    claim = app.turns.queue.claim
    monkeypatch.setattr(app.turns.queue, "claim", lambda: looked.wait(60) and claim())
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "2 waiting · another process works on this queue" in text(app))
        app.turns.go()
        app.screen._reading.anew()  # type: ignore[attr-defined]
        said, end = set[str](), time.monotonic() + 2.5
        while time.monotonic() < end:
            await pilot.pause(0.1)
            said |= {line for line in text(app).splitlines() if "waiting" in line or "hold" in line}
        assert app.turns.going
        looked.set()
        await until(pilot, lambda: not app.turns.going)
        assert {line.strip() for line in said} == {"queue  2 waiting · another process works on this queue"}
    other.give_back()


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ("stopped", "the queue is held, because a run was stopped;"),
        ("done", "the queue is held, because a run was to stop, which was done first;"),
        ("failed", "the queue is held, because a run was to stop, which failed first;"),
    ],
)
async def test_why_the_queue_is_held_is_told_as_it_was(make_app: MakeApp, tmp_path: Path, ends: str, why: str) -> None:
    queued(tmp_path / "runs", "one", "two")
    engine = FakeEngine(iterations=5, hold=ends == "stopped")

    def deaf(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        """It has no more to compute when it is asked to stop."""
        if ends == "stopped":
            return engine(order, observer, control)
        while not control.stopping:
            time.sleep(0.01)
        if ends == "failed":
            raise MimError("not a number")
        return engine(order, observer, Control())

    app = make_app(deaf)
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await agreed(app, pilot)
        await until(pilot, lambda: app.session is not None and app.session.running)
        assert app.session is not None
        app.session.request("stop")
        await until(pilot, lambda: why in told(app))
