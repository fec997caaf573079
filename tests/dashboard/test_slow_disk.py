"""What waits for a disk or for another process is done beside the interface: one reader at a time, keys in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest
from filelock import FileLock

from engine.config.load import resolve
from engine.errors import RunFailed, RunLocked
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.one_by_one import OneByOne
from mim4dd_tui.dashboard.reading import Reading
from mim4dd_tui.dashboard.run_queue import LOCK, RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until
from tests.dashboard.shelves import make_run

CONFIG = resolve("digits-ipc1").config
SIZE = (80, 24)
Found = TypeVar("Found")


class Gate:
    """Stands for a slow disk: who comes through waits until it is open; counts who came and who is inside."""

    def __init__(self) -> None:
        self.came = self.inside = self.most = 0
        self.open = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.came += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.open.wait(120)
        with self._lock:
            self.inside -= 1

    def before(self, read: Callable[[], Found]) -> Found:
        self()
        return read()


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileLock:
    """The queue's lock in other hands: to be acquired, and released, by the test. One waits long for it."""
    monkeypatch.setattr("mim4dd_tui.dashboard.run_queue.WAIT_SECONDS", 60.0)
    (tmp_path / "runs").mkdir(exist_ok=True)
    return FileLock(tmp_path / "runs" / LOCK, thread_local=False)


# ---- reading


async def test_one_reading_at_a_time_and_once_more_for_what_was_asked_meanwhile(make_app: MakeApp) -> None:
    gate, app = Gate(), make_app()
    async with app.run_test(size=SIZE) as pilot:
        reading = Reading(app.screen, gate)
        reading.keep_up()
        await until(pilot, lambda: gate.inside == 1)
        for _ in range(5):
            reading.keep_up()
            reading.anew()
        await pilot.pause()
        assert (gate.came, gate.inside) == (1, 1)
        gate.open.set()
        await until(pilot, lambda: gate.came == 2 and not gate.inside)
        await pilot.pause(0.1)
        assert (gate.came, gate.most) == (2, 1), "what had changed meanwhile was not read, or several times"
        reading.anew()
        await until(pilot, lambda: gate.came == 3 and not gate.inside)


async def test_a_thread_that_asks_for_a_reading_while_the_app_closes_waits_for_nothing(make_app: MakeApp) -> None:
    gate, app = Gate(), make_app()
    gate.open.set()

    def asks(reading: Reading) -> bool:
        thread = threading.Thread(target=reading.anew, daemon=True)
        thread.start()
        thread.join(5)  # the interface's loop stands still meanwhile
        return not thread.is_alive()

    async with app.run_test(size=SIZE) as pilot:
        reading = Reading(app.screen, gate)
        assert asks(reading)
        await until(pilot, lambda: gate.came == 1)
        gone = QueueScreen()
        app.push_screen(gone)
        await until(pilot, lambda: app.screen is gone)
        app.pop_screen()
        await until(pilot, lambda: not gone.is_attached)
        assert asks(Reading(gone, gate))
    assert asks(reading)
    await asyncio.sleep(0.1)
    assert gate.came == 1, "for a screen that is gone"


async def test_a_reading_that_fails_does_not_keep_the_next_one_away(make_app: MakeApp) -> None:
    gate, app = Gate(), make_app()

    def fail() -> None:
        gate()
        raise ValueError("a fault")

    async with app.run_test(size=SIZE) as pilot:
        reading = Reading(app.screen, fail)
        reading.anew()
        await until(pilot, lambda: gate.inside == 1)
        reading.anew()
        await pilot.pause()
        gate.open.set()
        await until(pilot, lambda: not any(worker.is_running for worker in app.workers if worker.group == "reading"))
        reading.anew()
        await until(pilot, lambda: gate.came == 2)


@pytest.mark.parametrize(("key", "screen"), [("", HomeScreen), ("b", RunsScreen), ("Q", QueueScreen)])
async def test_a_slow_disk_is_read_by_one_thread_for_a_screen(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, key: str, screen: type
) -> None:
    for module in ("keeping_up.RUNS_SECONDS", "runs.REFRESH_SECONDS", "queue.REFRESH_SECONDS"):
        monkeypatch.setattr(f"mim4dd_tui.dashboard.screens.{module}", 0.02)
    gate, ticks, app = Gate(), 0, make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "none yet" in text(app) and "looking through" not in text(app))
        await pilot.press(*([key] if key else []))
        await until(pilot, lambda: type(app.screen) is screen)
        shelf, queue = app.shelf.read, app.turns.queue.read
        monkeypatch.setattr(app.shelf, "read", lambda: gate.before(shelf))
        monkeypatch.setattr(app.turns.queue, "read", lambda: gate.before(queue))

        def tick() -> None:
            nonlocal ticks
            ticks += 1

        app.screen.set_interval(0.02, tick)
        await until(pilot, lambda: gate.inside > 0)
        await until(pilot, lambda: ticks > 20)
        gate.open.set()
        assert gate.most <= 2, f"{gate.most} threads waited for the disk: one for a screen, and the first screen's"
        await until(pilot, lambda: gate.came > 2)


@pytest.mark.parametrize("key", ["", "b"])
async def test_what_the_system_refuses_is_said(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    app = make_app()

    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "/runs/secret")

    monkeypatch.setattr(app.shelf, "read", refuse)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*([key] if key else []))
        await until(pilot, lambda: "[Errno 13]" in text(app) and isinstance(app.screen, RunsScreen) == bool(key))


@pytest.mark.parametrize("key", ["", "b"])
async def test_what_cannot_be_looked_into_hides_no_run(make_app: MakeApp, tmp_path: Path, key: str) -> None:
    make_run(tmp_path / "runs", "lion")
    (tmp_path / "runs" / "circle").symlink_to("circle")
    (tmp_path / "runs" / "theirs").mkdir()
    # what no user, the superuser included, can look at: a link to a name too long
    (tmp_path / "runs" / "theirs" / "config.toml").symlink_to("x" * 300)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*([key] if key else []))
        await until(pilot, lambda: "lion" in text(app) and isinstance(app.screen, RunsScreen) == bool(key))


# ---- changing


async def test_deeds_are_done_in_order_and_what_they_cannot_do_is_told(make_app: MakeApp) -> None:
    gate, done, app = Gate(), list[str](), make_app()

    def refuse() -> None:
        raise RunFailed("the disk is full")

    async with app.run_test(size=SIZE) as pilot:
        deeds = OneByOne(app)
        deeds.afterwards(lambda: done.append("at once"))
        assert done == ["at once"]
        deeds.do(gate, lambda: done.append("first"))
        deeds.do(refuse, lambda: done.append("refused"))
        deeds.afterwards(lambda: done.append("after"))
        deeds.do(lambda: done.append("deed"), lambda: done.append("last"))
        await pilot.pause()
        assert done == ["at once"]
        gate.open.set()
        deeds.finish()
        await until(pilot, lambda: done[-1] == "last" and "the disk is full" in told(app))
        assert [what for what in done if what != "deed"] == ["at once", "first", "refused", "after", "last"]


async def test_a_fault_of_the_program_is_not_hidden(make_app: MakeApp) -> None:
    app = make_app()

    def fault() -> None:
        raise ValueError("a fault")

    async def ends() -> None:
        async with app.run_test(size=SIZE) as pilot:
            app.turns.changes.do(fault)
            await until(pilot, lambda: not app.is_running)

    with pytest.raises(ValueError, match="a fault"):
        await ends()


def test_a_queue_that_another_process_keeps_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mim4dd_tui.dashboard.run_queue.WAIT_SECONDS", 0.05)
    queue = RunQueue(tmp_path)
    (one,) = queue.add(CONFIG, [0])
    with FileLock(tmp_path / LOCK):
        for change in (lambda: queue.drop(one.name), lambda: queue.move(one.name, 1), lambda: queue.add(CONFIG, [1])):
            with pytest.raises(RunLocked, match=r"another process keeps .*: try again"):
                change()
    queue.drop(one.name)
    assert queue.read() == []


async def test_changes_that_wait_for_the_queue_wait_together_and_fail_with_one_notice(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: FileLock
) -> None:
    monkeypatch.setattr("mim4dd_tui.dashboard.run_queue.WAIT_SECONDS", 1.0)
    queue = RunQueue(tmp_path / "runs")
    first, *others = (folder.name for folder in queue.add(CONFIG, [0, 1, 2, 3]))
    app, done = make_app(), list[float]()
    unheard = OneByOne(cast("DashboardApp", SimpleNamespace(closing=True, call_later=lambda then: None)))
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: len(list_runs(tmp_path / "runs")) == 4 and app.is_running)
        app.turns.changes.finish()
        with held:
            begun = time.monotonic()
            for _ in range(5):
                app.turns.changes.do(
                    partial(app.turns.queue.move, first, 1), lambda: done.append(time.monotonic() - begun)
                )
            await until(pilot, lambda: len(done) == 5)
            assert done[-1] < 3.0, "they have waited one after the other"
            assert told(app).count("another process keeps") == 1
            for _ in range(2):
                unheard.do(partial(app.turns.queue.move, first, 1))
            unheard.finish()
            assert len(unheard.untold) == 1
        app.turns.changes.do(partial(app.turns.queue.move, first, 1))
        await until(pilot, lambda: [one.name for one in queue.read()] == [others[0], first, *others[1:]])


async def test_keys_that_change_the_queue_wait_beside_the_interface_in_their_order(
    make_app: MakeApp, tmp_path: Path, held: FileLock
) -> None:
    queue = RunQueue(tmp_path / "runs")
    a, b, c, d = (folder.name for folder in queue.add(CONFIG, [0, 1, 2, 3]))
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "4 waiting" in text(app))
        with held:
            await pilot.press("J", "j", "j", "K", "j", "X")  # a down, c up, d out
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press("y")
            await until(pilot, lambda: isinstance(app.screen, QueueScreen))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, HomeScreen))
            assert [one.name for one in queue.read()] == [a, b, c, d]
        await until(pilot, lambda: [one.name for one in queue.read()] == [b, c, a])
        await until(pilot, lambda: not (tmp_path / "runs" / d).exists())


async def test_s_after_a_key_that_waits_starts_the_queue_as_it_is_then(
    make_app: MakeApp, tmp_path: Path, held: FileLock
) -> None:
    queue = RunQueue(tmp_path / "runs")
    first, second = queue.add(CONFIG, [0, 1])
    app = make_app(FakeEngine(iterations=12, hold=True))
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "2 waiting" in text(app))
        with held:
            await pilot.press("J", "s")
            await pilot.pause()
            assert app.session is None
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert run_screen(app).path == second.path, f"{first.name} was moved behind it before"


async def test_runs_queued_while_the_lock_is_held_are_there_after_the_interface_has_closed(
    make_app: MakeApp, tmp_path: Path, held: FileLock
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "none yet" in text(app))
        held.acquire()
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press(*["backspace"] * 3, *"0-2", "enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        assert list_runs(tmp_path / "runs") == [], "none stands outside the queue"
        await pilot.press("q")
        await until(pilot, lambda: app.return_value is not None)
    held.release()
    assert app.turns.left() == 3
    assert app.turns.changes.untold == []


async def test_a_change_that_fails_after_the_interface_has_closed_is_not_silent(
    make_app: MakeApp, held: FileLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mim4dd_tui.dashboard.run_queue.WAIT_SECONDS", 0.5)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "none yet" in text(app))
        held.acquire()
        gate = Gate()
        app.turns.changes.do(gate)
        app.turns.add(CONFIG, [0], None, {}, lambda: None)
        await pilot.press("q")
        await until(pilot, lambda: app.return_value is not None)
    gate.open.set()
    assert app.turns.left() == 0
    held.release()
    (problem,) = app.turns.changes.untold
    assert "another process keeps" in problem


async def test_runs_added_just_before_the_end_of_a_run_follow_it(
    make_app: MakeApp, tmp_path: Path, held: FileLock
) -> None:
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        with held:
            await pilot.press("escape", "w", "enter")
            await until(pilot, lambda: isinstance(app.screen, HomeScreen))
            engine.hold = False
            await until(pilot, lambda: app.session is not None and not app.session.running and app._end_told)
        await until(pilot, lambda: [done(folder) for folder in list_runs(tmp_path / "runs")] == [True, True])


async def test_runs_added_just_before_leaving_follow_the_run_that_goes_on(
    make_app: MakeApp, tmp_path: Path, held: FileLock
) -> None:
    engine = FakeEngine(iterations=12, hold=True)
    app = make_app(engine)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        held.acquire()
        await pilot.press("escape", "w", "enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("q", "r")
        await until(pilot, lambda: app.return_value is not None)
    held.release()
    app.turns.changes.finish()
    engine.hold = False
    assert app.session is not None
    assert app.session.join(60)
    assert [done(folder) for folder in list_runs(tmp_path / "runs")] == [True, True]


def done(folder: RunFolder) -> bool:
    status = folder.status()
    return status is not None and status.state == "done"
