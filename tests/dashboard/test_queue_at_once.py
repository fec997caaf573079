"""The queue where several things happen at once: two processes that work on it, a run that is just being begun, a
request that comes as a run ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from engine.config.load import resolve
from engine.errors import MimError, RunFailed, RunLocked
from engine.events import Observer
from engine.runs.control import Control
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from engine.runs.status import host_name, process_identity
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.onward import Onward
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import Launch, Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within, words
from tests.dashboard.shelves import make_run, stands, states
from tests.dashboard.test_queue_again import going, state_of, unasked

CONFIG = resolve("digits-ipc1").config


class Loading:
    """An engine that takes as long to load as it is told to."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.loaded = engine, threading.Event()

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        self.loaded.wait(60)
        return self.engine(order, observer, control)


def elsewhere(folder: RunFolder) -> None:
    """As if another process of this machine worked on a run by itself."""
    parent = os.getppid()
    stands(folder, state="running", pid=parent, host=host_name(), identity=process_identity(parent), started=2e9)


# ---- two processes


async def test_what_another_process_works_off_is_not_begun_here_too(make_app: MakeApp, tmp_path: Path) -> None:
    """Nor is it said to follow, nor does it when this dashboard is left while its own run goes on."""
    other = RunQueue(tmp_path / "runs")
    other.runs_dir.mkdir()
    assert other.claim()
    engine = FakeEngine(iterations=12, hold=True)
    app = unasked(make_app(engine))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await going(app, pilot)
        await pilot.press("w", "enter")
        await until(pilot, lambda: "another process works it off" in told(app))
        assert not app.turns.going
        await pilot.press("Q")
        await until(pilot, lambda: "1 waiting · another process works on this queue" in text(app))
        app.turns.left_alone()
        engine.hold = False
        await until(pilot, lambda: app.session is not None and not app.session.running)
    assert states(tmp_path / "runs") == ["done", "queued"]
    assert app.turns.left() == 0, "it was offered to whoever comes, though it is worked off"
    other.give_back()
    assert app.turns.left() == 1


def test_left_alone_nothing_is_begun_that_another_process_works_off(tmp_path: Path) -> None:
    queue, other = RunQueue(tmp_path), RunQueue(tmp_path)
    first, _ = queue.add(CONFIG, [0, 1])
    assert other.claim()
    onward = Onward(FakeEngine(iterations=12), queue)
    onward.alone.set()
    onward(Order(tmp_path, resume=first.path), lambda _event: None, Control())
    assert states(tmp_path) == ["done", "queued"]
    other.give_back()


def test_a_disk_that_refuses_the_claim_is_told_of(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, _ = queue.add(CONFIG, [0, 1])
    onward = Onward(FakeEngine(iterations=12), queue)
    onward.alone.set()
    full = RunFailed("cannot write .queue.worker: full")
    with mock.patch.object(queue, "claim", side_effect=full), pytest.raises(RunFailed, match="full"):
        onward(Order(tmp_path, resume=first.path), lambda _event: None, Control())
    assert states(tmp_path) == ["done", "queued"]


async def test_what_another_process_works_off_does_not_follow_a_run_that_goes_on_here(
    make_app: MakeApp, tmp_path: Path
) -> None:
    other = RunQueue(tmp_path / "runs")
    other.add(CONFIG, [0])
    app = make_app(FakeEngine(iterations=12, hold=True))
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        assert other.claim()
        await pilot.press("Q")
        await until(pilot, lambda: "another process works on this queue" in words(app))
        await pilot.press("s")
        await until(pilot, lambda: "another process works on this queue" in told(app))
        assert not app.turns.going
        await until(pilot, lambda: "after" not in within(app, app.screen.query_one("#runs-title")))
    other.give_back()


async def test_a_queue_held_by_hand_is_not_kept_from_others_by_a_run_that_is_added(
    make_app: MakeApp, tmp_path: Path
) -> None:
    engine, other = FakeEngine(iterations=12, hold=True), RunQueue(tmp_path / "runs")
    app = unasked(make_app(engine))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await going(app, pilot)
        app.turns.hold()
        await pilot.press("w", "enter")
        await until(pilot, lambda: "s there starts it" in told(app))
        assert other.claim()
        other.give_back()
        engine.hold = False
        await until(pilot, lambda: app.session is not None and not app.session.running)


async def test_a_run_that_is_taken_up_by_itself_does_not_hold_the_queue(make_app: MakeApp, tmp_path: Path) -> None:
    """As `mim4dd resume` does, which is told of to whoever asks for a run that waits."""
    engine, queue = FakeEngine(iterations=12, hold=True), RunQueue(tmp_path / "runs")
    app = unasked(make_app(engine))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await going(app, pilot)
        await pilot.press("w", "0", "backspace", "backspace", *"1-2", "enter")
        await until(pilot, lambda: len(queue.waiting()) == 2)
        first, second = (one.folder for one in queue.waiting().values())
        elsewhere(first)
        engine.hold = False
        await until(pilot, lambda: state_of(second) == "done")
        await until(pilot, lambda: not app.turns.going)
        assert "another process works on this queue" not in told(app)


# ---- a run that is just being begun


async def test_a_run_whose_turn_has_just_come_is_not_taken_away(make_app: MakeApp, tmp_path: Path) -> None:
    """Its engine is loaded, which its status does not know."""
    (folder,) = RunQueue(tmp_path / "runs").add(CONFIG, [0])
    app = unasked(make_app(launch := Loading(FakeEngine(iterations=12))))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "1 waiting" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        app.resume_run(folder)
        await until(pilot, lambda: app.turns.begun == folder.name)
        app.back()
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: f"{folder.name} has begun meanwhile" in told(app))
        assert folder.exists
        launch.loaded.set()
        await until(pilot, lambda: state_of(folder) == "done")


async def test_a_run_that_is_being_begun_is_not_deleted(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "early", state="stopped")
    app = unasked(make_app(launch := Loading(FakeEngine(iterations=24))))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "early" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("escape", "R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("escape", "X")
        await until(pilot, lambda: told(app) == "early is going on: stop it first")
        launch.loaded.set()
        await until(pilot, lambda: state_of(folder) == "done")


async def test_a_run_that_goes_on_here_in_its_turn_is_no_other_processs(make_app: MakeApp, tmp_path: Path) -> None:
    """Its screen, of when it failed, is still looked at."""
    first, second = Loading(FakeEngine(iterations=24, fail_at=22)), FakeEngine(iterations=12, hold=True)
    engines: Iterator[Launch] = iter([first, second, FakeEngine(iterations=24)])

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        return next(engines)(order, observer, control)

    app = unasked(make_app(launch))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("escape", "w", "enter")
        await until(pilot, lambda: "will follow" in told(app))
        await pilot.press("l")
        first.loaded.set()
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        failed = run_screen(app).path
        assert failed is not None
        await until(pilot, lambda: app.turns.begun not in ("", failed.name))
        assert run_screen(app).path == failed
        app.turns.add_again(read_run(RunFolder(failed)), lambda: None)
        await until(pilot, lambda: f"{failed.name} will follow" in told(app))
        seen: list[str] = []

        def gone_on() -> bool:
            seen.append(told(app))
            return isinstance(app.screen, RunScreen) and run_screen(app).state == "done"

        second.hold = False
        await until(pilot, gone_on)
        assert run_screen(app).path == failed
        assert not any("another process" in each for each in seen)


# ---- a request that comes as a run ends


def test_what_a_run_was_asked_for_as_it_ended_is_none_of_the_next_ones(tmp_path: Path) -> None:
    queue, control, heard = RunQueue(tmp_path), Control(), list[tuple[bool, bool, bool]]()
    first, _ = queue.add(CONFIG, [0, 1])

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        heard.append((control.paused, control.pending("evaluate"), control.pending("checkpoint")))
        for what in ("pause", "evaluate", "checkpoint"):
            control.request(what)
        return {"state": "done"}

    onward = Onward(launch, queue)
    onward.alone.set()
    onward(Order(tmp_path, resume=first.path), lambda _event: None, control)
    assert heard == [(False, False, False)] * 2


def test_a_stop_that_came_as_a_run_ended_holds() -> None:
    control = Control()
    control.request("stop")
    control.forget()
    assert control.stopping


# ---- runs that are put there, and one that cannot go on


def test_runs_are_put_into_the_queue_all_or_none(tmp_path: Path) -> None:
    """Else they lay there for nobody, and asked for again there were twice as many."""
    queue = RunQueue(tmp_path)
    create, left = RunFolder.create, iter([True, False])

    def full(*arguments: Any, **options: Any) -> RunFolder:
        if next(left):
            return create(*arguments, **options)
        raise RunFailed("the disk is full")

    with mock.patch.object(RunFolder, "create", full), pytest.raises(RunFailed):
        queue.add(CONFIG, [0, 1])
    refused = mock.patch("mim4dd_tui.dashboard.run_queue.write_json", side_effect=RunFailed("full"))
    with refused, pytest.raises(RunFailed):
        queue.add(CONFIG, [0, 1])
    soon, held = mock.patch("mim4dd_tui.dashboard.run_queue.WAIT_SECONDS", 0.1), RunQueue(tmp_path)._changing()
    with soon, held, pytest.raises(RunLocked):
        queue.add(CONFIG, [0, 1])
    assert list_runs(tmp_path) == []
    assert queue.read() == []


async def test_a_queue_with_a_run_that_could_not_go_on_is_not_called_done(make_app: MakeApp, tmp_path: Path) -> None:
    first, second = RunQueue(tmp_path / "runs").add(CONFIG, [0, 1])
    engine = FakeEngine(iterations=12)

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if order.resume == first.path:
            raise MimError("there is no device cuda here")
        return engine(order, observer, control)

    app = unasked(make_app(launch))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "2 waiting" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: state_of(second) == "done")
        await until(pilot, lambda: f"the queue is done but for what could not go on: {first.name}" in told(app))
