"""The queue: its order on disk, what kills and hang-ups leave of it, how it is worked off, and its screen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import resolve
from engine.errors import MimError, RunLocked
from engine.events import Event, Observer
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.status import host_name, process_identity
from engine.runs.unforeseen import TRACEBACK
from mim4dd_tui.dashboard.entry import exit_code
from mim4dd_tui.dashboard.onward import Onward
from mim4dd_tui.dashboard.run_queue import FILE, RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import EngineSession, Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until, within, words
from tests.dashboard.shelves import make_run, stands, states

CONFIG = resolve("digits-ipc1").config


def names(queue: RunQueue) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in queue.read()]


def heard(_event: Event) -> None:
    """Hears and forgets."""


# ---- the file


def test_runs_keep_their_order_and_leave_the_queue_when_they_end(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    a, b, c = (folder.name for folder in queue.add(CONFIG, [0, 1, 2], preset="digits-ipc1"))
    assert [folder.config().seed for folder in (one.folder for one in queue.read())] == [0, 1, 2]
    assert names(RunQueue(tmp_path)) == [(a, "queued"), (b, "queued"), (c, "queued")]
    queue.move(c, -2)
    queue.move(a, 99)
    assert [name for name, _ in names(queue)] == [c, b, a]
    stands(RunFolder(tmp_path / c), state="done", pid=1, host="x")
    assert [name for name, _ in names(queue)] == [b, a]
    queue.drop(b)
    assert [name for name, _ in names(queue)] == [a]
    assert json.loads((tmp_path / FILE).read_text()) == {"runs": [a]}


def test_a_run_whose_process_was_killed_is_the_next_one(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, second = queue.add(CONFIG, [0, 1])
    stands(first, state="running", pid=999_999_999, host=host_name())
    assert names(queue) == [(first.name, "interrupted"), (second.name, "queued")]
    assert queue.next() == first


def test_nothing_is_begun_beside_a_run_that_another_process_works_on(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, _ = queue.add(CONFIG, [0, 1])
    stands(first, state="running", pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    assert queue.next() is None


def test_a_deleted_run_is_no_longer_in_the_queue(tmp_path: Path) -> None:
    import shutil

    queue = RunQueue(tmp_path)
    first, second = queue.add(CONFIG, [0, 1])
    shutil.rmtree(first.path)
    assert queue.next() == second


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"runs": 3}', b'{"runs": [1, null, "../out", "/etc", ".hidden", "gone", ""]}']
)
def test_a_damaged_file_is_an_empty_queue_and_reaches_nowhere(tmp_path: Path, data: bytes) -> None:
    runs = tmp_path / "runs"
    queue = RunQueue(runs)
    queue.add(CONFIG, [0])
    RunQueue(tmp_path).add(CONFIG, [7])  # a run folder outside
    (runs / FILE).write_bytes(data)
    assert queue.read() == []
    (added,) = queue.add(CONFIG, [1])
    assert [name for name, _ in names(queue)] == [added.name]


# ---- without an interface


def order_for(folder: RunFolder) -> Order:
    return Order(runs_dir=folder.path.parent, resume=folder.path)


def test_left_alone_the_thread_works_off_the_queue(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, *_ = queue.add(CONFIG, [0, 1, 2])
    onward = Onward(FakeEngine(iterations=12), queue)
    onward.alone.set()
    onward(order_for(first), heard, Control())
    assert states(tmp_path) == ["done"] * 3


def test_with_the_dashboard_open_one_order_is_one_run(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, *_ = queue.add(CONFIG, [0, 1])
    Onward(FakeEngine(iterations=12), queue)(order_for(first), heard, Control())
    assert sorted(states(tmp_path)) == ["done", "queued"]


def test_a_stop_ends_the_queue_too(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, *_ = queue.add(CONFIG, [0, 1])
    onward = Onward(FakeEngine(iterations=12), queue)
    onward.alone.set()
    control = Control()
    control.request("stop")
    onward(order_for(first), heard, control)
    assert sorted(states(tmp_path)) == ["queued", "stopped"]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_nobody_foresaw_does_not_keep_the_others_from_their_turn(tmp_path: Path, failing: int) -> None:
    """Its traceback lies in the folder of the run that it ended, and of no other."""
    queue = RunQueue(tmp_path)
    folders = queue.add(CONFIG, [0, 1, 2])
    begun = list[str]()

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        assert order.resume is not None
        begun.append(order.resume.name)
        if order.resume == folders[failing].path:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return {"state": "done"}

    onward = Onward(launch, queue)
    onward.alone.set()
    session = EngineSession(order_for(folders[0]), onward)
    session.start()
    assert session.join(60)
    assert begun == [folder.name for folder in folders]
    kept = [folder for folder in folders if (folder.path / TRACEBACK).exists()]
    assert kept == [folders[failing]]
    assert "unspecified launch failure" in (kept[0].path / TRACEBACK).read_text()
    assert session.failed
    assert "unspecified launch failure" in str(session.error)


def test_an_unreadable_entry_of_the_queue_keeps_no_other_from_its_turn(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    (folder,) = queue.add(CONFIG, [0])
    (tmp_path / FILE).write_text(json.dumps({"runs": ["x" * 300, folder.name]}))  # longer than a name can be
    assert queue.next() == folder
    queue.move(folder.name, 1)
    assert names(queue) == [(folder.name, "queued")]


def test_a_failing_run_does_not_keep_the_others_from_their_turn(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, *_ = queue.add(CONFIG, [0, 1])
    engine = FakeEngine(iterations=40, fail_at=30)
    onward = Onward(engine, queue)
    onward.alone.set()
    with pytest.raises(MimError, match=r"objective\.pixel_rate"):
        onward(order_for(first), heard, Control())
    assert states(tmp_path) == ["failed", "failed"], "the second was not begun"


# ---- the screen


@pytest.mark.parametrize("size", SIZES)
async def test_seeds_are_queued_reordered_and_run_one_after_another(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mim4dd_tui.dashboard.app.HANDS_SECONDS", 0.0)  # these runs take less
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("backspace", *"3-1")
        await until(pilot, lambda: "3-1 runs backwards" in text(app))
        await pilot.press(*["backspace"] * 3, *"2147483648")
        await until(pilot, lambda: "2147483648 is too large" in text(app))
        await pilot.press(*["backspace"] * 10, *"0-2", "enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "3 waiting" in text(app))
        waiting = [one.name for one in app.turns.queue.read()]
        await pilot.press("j", "j", "K")
        await until(pilot, lambda: [one.name for one in app.turns.queue.read()] == [waiting[0], waiting[2], waiting[1]])
        await pilot.press("home", "X", "y")
        await until(pilot, lambda: "2 waiting" in text(app))
        assert not (tmp_path / "runs" / waiting[0]).exists()
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: states(tmp_path / "runs") == ["done", "done"])
        await until(pilot, lambda: not app.turns.going)
        path = run_screen(app).path
        assert path is not None
        assert path.name == waiting[1], "the screen did not follow to the last run"
        await until(pilot, lambda: run_screen(app).history.iteration == 12)


async def test_quitting_says_what_becomes_of_the_runs_that_wait(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=12, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        app.turns.queue.add(CONFIG, [0, 1])
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        assert within(app, app.screen.query_one("#answers")).count("2 runs in the queue will wait") == 2
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        app.turns.going = True
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        assert "then 2 runs in the queue" in within(app, app.screen.query_one("#answers"))
        assert within(app, app.screen.query_one("#answers")).count("2 runs in the queue will wait") == 1
        await pilot.press("s")
        await until(pilot, lambda: app.return_value is not None)


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_whose_turn_came_meanwhile_is_not_deleted(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    queue = RunQueue(tmp_path / "runs")
    (one,) = queue.add(CONFIG, [0])
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "1 waiting" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        stands(one, state="done", started=1.0)
        await pilot.press("y")
        await until(pilot, lambda: "has begun meanwhile" in words(app))
    assert one.config_path.exists(), "a finished run was deleted"


@pytest.mark.parametrize("size", SIZES)
async def test_the_queue_says_which_run_it_waits_for(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app(FakeEngine(iterations=4000, delay=0.01))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 2)
        await pilot.press("escape", "w")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("enter", "Q")
        await until(pilot, lambda: "1 waiting · after digits" in words(app))
        assert "paused" not in words(app)
        assert app.session is not None
        app.session.request("pause")
        await until(pilot, lambda: "(paused)" in words(app))
        app.session.request("stop")
        await until(pilot, lambda: "1 waiting · after" not in words(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_that_waits_can_be_looked_at_as_anywhere_else(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    RunQueue(tmp_path / "runs").add(CONFIG, [0])
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "1 waiting" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "queued" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen))


@pytest.mark.parametrize("size", SIZES)
async def test_a_failed_run_is_the_dashboards_exit_code_also_after_a_good_one(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    queue = RunQueue(tmp_path / "runs")
    queue.add(CONFIG, [0, 1])
    runs = iter([FakeEngine(iterations=9, fail_at=3), FakeEngine(iterations=9)])

    def launch(order: Order, observer: Any, control: Control) -> dict[str, Any]:
        return next(runs)(order, observer, control)

    app = make_app(launch)
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        await pilot.press("Q", "s")
        await until(pilot, lambda: states(tmp_path / "runs") in (["failed", "done"], ["done", "failed"]))
        await until(pilot, lambda: app.session is not None and not app.session.running)
        assert app.session is not None
        assert not app.session.failed
        assert len([s for s in app._installed_screens.values() if isinstance(s, RunScreen)]) <= 1, "kept for ever"
    assert exit_code(app, 0) == 1


async def test_a_queued_run_has_the_room_that_its_preset_leaves(make_app: MakeApp, tmp_path: Path) -> None:
    name = "digits-ipc1-s1-20261127-032145"
    make_run(tmp_path / "runs", name, state="queued")
    (tmp_path / "runs" / FILE).write_text(json.dumps({"runs": [name]}))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n", "Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and name in text(app))
        assert "digits-ipc1 " in text(app).replace(name, "")


def test_a_run_that_fails_after_one_that_was_held_is_not_forgotten(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, second, third = queue.add(CONFIG, [0, 1, 2])

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if order.resume == second.path:
            raise RunLocked("another process holds it")
        if order.resume == third.path:
            raise MimError("it fails")
        return {"state": "done"}

    onward = Onward(launch, queue)
    onward.alone.set()
    with pytest.raises(MimError, match="it fails"):
        onward(Order(runs_dir=tmp_path, resume=first.path), lambda _event: None, Control())


def test_only_runs_that_wait_change_their_places(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    first, second, third = queue.add(CONFIG, [0, 1, 2])
    stands(first, state="running", pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    queue.move(first.name, 1)
    queue.move(second.name, -1)
    assert [name for name, _ in names(queue)] == [first.name, second.name, third.name]
    queue.move(third.name, -1)
    assert [name for name, _ in names(queue)] == [first.name, third.name, second.name]
    queue.move(third.name, 5)
    assert [name for name, _ in names(queue)] == [first.name, second.name, third.name]
