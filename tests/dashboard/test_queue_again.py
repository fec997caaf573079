"""Runs that stopped or failed, put into the queue to go on; and what is offered of a run that waits there."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine.config.load import resolve
from engine.errors import ConfigError, MimError
from engine.events import Event, Observer, RunStarted
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.journal import read_all
from engine.runs.status import host_name, process_identity
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.onward import Onward
from mim4dd_tui.dashboard.run_queue import FILE, RunQueue
from mim4dd_tui.dashboard.screens.dialogs import NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.dashboard.shelf import Shelf, chosen
from mim4dd_tui.dashboard.widgets.keyline import KeyLine
from mim4dd_tui.dashboard.widgets.summary import Summary
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within
from tests.dashboard.shelves import make_run, stands

CONFIG = resolve("digits-ipc1").config


def names(queue: RunQueue) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in queue.read()]


def state_of(folder: RunFolder) -> str:
    status = folder.status()
    return status.state if status is not None else ""


def beginnings(folder: RunFolder) -> list[int | None]:
    """The iteration that every sitting of a run began after."""
    return [one.event.resumed_from for one in read_all(folder.journal_path) if isinstance(one.event, RunStarted)]


def keys(app: DashboardApp) -> str:
    return within(app, app.screen.query_one(KeyLine))


def unasked(app: DashboardApp) -> DashboardApp:
    """Without the question at the beginning whether the queue goes on."""
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    return app


async def going(app: DashboardApp, pilot: Pilot[Leave]) -> None:
    """Begin a run, which is held at iteration 12, and go back to the first screen."""
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
    await pilot.press("escape")
    await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def among_the_runs(app: DashboardApp, pilot: Pilot[Leave], name: str) -> None:
    """Put the cursor on a run of the first screen."""
    await until(pilot, lambda: name in [run.name for run in app.shelf.known])
    await pilot.press("r")
    await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.path is not None)
    for _ in range(len(app.shelf.known)):
        if app.screen.path.name == name:  # type: ignore[attr-defined]
            break
        await pilot.press("j")
        await pilot.pause()
    await until(pilot, lambda: name in within(app, app.screen.query_one(Summary)))


# ---- the file


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_run_that_ended_early_waits_until_it_has_gone_on(tmp_path: Path, state: str) -> None:
    folder = make_run(tmp_path, "early", state=state)
    queue = RunQueue(tmp_path)
    (first,) = queue.add(CONFIG, [0])
    queue.add_again(folder)
    assert names(RunQueue(tmp_path)) == [(first.name, "queued"), ("early", "to resume")]
    queue.move("early", -1)
    assert names(RunQueue(tmp_path)) == [("early", "to resume"), (first.name, "queued")]
    assert queue.next() == folder
    stands(folder, state="running", started=2e9, pid=999_999_999, host=host_name())
    assert names(queue)[0] == ("early", "interrupted")
    stands(folder, state="stopped")
    assert names(queue) == [(first.name, "queued")]
    queue.move(first.name, 1)
    assert json.loads((tmp_path / FILE).read_text()) == {"runs": [first.name]}


def test_a_run_that_had_its_turn_and_goes_on_later_by_itself_is_not_of_the_queue(tmp_path: Path) -> None:
    """Also where its process dies then: nothing of it was interrupted in the queue."""
    folder, queue = make_run(tmp_path, "early", state="stopped"), RunQueue(tmp_path)
    queue.add_again(folder)
    queue.tidy()
    assert names(queue) == [("early", "to resume")], "it had none yet"
    stands(folder, state="done", started=2e9)
    queue.tidy()
    stands(folder, state="running", started=3e9, pid=999_999_999, host=host_name())
    assert names(queue) == []


async def test_what_had_its_turn_is_forgotten_when_it_ends(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "early", state="stopped")
    RunQueue(tmp_path / "runs").add_again(folder)
    app = unasked(make_app(FakeEngine(iterations=24)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "early" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: state_of(folder) == "done")
        await until(pilot, lambda: json.loads((tmp_path / "runs" / FILE).read_text()) == {"runs": []})


async def test_the_queue_tells_how_far_a_killed_run_came_as_the_lists_do(make_app: MakeApp, tmp_path: Path) -> None:
    """By its journal: the status is older."""
    folder, queue = make_run(tmp_path / "runs", "killed", state="running"), RunQueue(tmp_path / "runs")
    stands(folder, pid=999_999_999, host=host_name(), iteration=47)
    queue.add_again(folder)
    assert read_run(folder).iteration == 50
    app = unasked(make_app())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "interrupted" in text(app))
        assert "50/50" in text(app)


async def test_the_screen_of_a_failed_run_that_waits_does_not_offer_to_resume_it(
    make_app: MakeApp, tmp_path: Path
) -> None:
    folder, queue = make_run(tmp_path / "runs", "early", state="failed"), RunQueue(tmp_path / "runs")
    app = unasked(make_app())
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(folder)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and " · 4 shows the whole log" in text(app))
        assert "R resumes at iteration" in text(app) or "R begins it again" in text(app)
        queue.add_again(folder)
        await until(pilot, lambda: "it goes on when its turn in the queue comes (Q)" in text(app))
        assert "R resumes" not in text(app)
        queue.drop("early")
        await until(pilot, lambda: "its turn in the queue" not in text(app))


def test_a_run_whose_process_is_gone_waits_as_what_it_is(tmp_path: Path) -> None:
    folder, queue = make_run(tmp_path, "killed", state="running"), RunQueue(tmp_path)
    stands(folder, pid=999_999_999, host=host_name())
    queue.add_again(folder)
    assert names(queue) == [("killed", "interrupted")]
    assert json.loads((tmp_path / FILE).read_text()) == {"runs": ["killed"]}


def test_one_that_is_taken_out_is_left_as_it_was(tmp_path: Path) -> None:
    folder, queue = make_run(tmp_path, "early", state="stopped"), RunQueue(tmp_path)
    queue.add_again(folder)
    queue.drop("early")
    assert names(queue) == []
    assert state_of(folder) == "stopped"
    assert [run.resumable for run in Shelf(tmp_path).read()] == [True]


def test_what_cannot_go_on_is_refused(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    done, lost = make_run(tmp_path, "done"), make_run(tmp_path, "diverged", state="failed")
    stands(lost, diverged=True)
    here = make_run(tmp_path, "here", state="running")
    stands(here, pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    early = make_run(tmp_path, "early", state="stopped")
    queue.add_again(early)
    for folder, why in (
        (done, "done is done; I lengthens it"),
        (lost, "diverged would fail again as it is: D takes its settings into a new run"),
        (here, "here is running"),
        (early, "early waits in the queue already; Q shows it"),
    ):
        with pytest.raises(ConfigError, match=why):
            queue.add_again(folder)
    assert names(queue) == [("early", "to resume")]


@pytest.mark.parametrize("kept", ['"early"', '{"early": "soon"}', '{"early": null}', '{"early": 3.5}'])
def test_a_damaged_file_says_nothing_of_a_run_that_has_ended(tmp_path: Path, kept: str) -> None:
    make_run(tmp_path, "early", state="stopped")
    (tmp_path / FILE).write_text(f'{{"runs": ["early"], "ended": {kept}}}')
    assert RunQueue(tmp_path).read() == []


def test_left_alone_the_thread_goes_on_with_it(tmp_path: Path) -> None:
    queue, early = RunQueue(tmp_path), make_run(tmp_path, "early", state="stopped")
    (first,) = queue.add(CONFIG, [0])
    queue.add_again(early)
    onward = Onward(FakeEngine(iterations=24), queue)
    onward.alone.set()
    heard = list[Event]()
    onward(Order(runs_dir=tmp_path, resume=first.path), heard.append, Control())
    assert state_of(first) == state_of(early) == "done"
    assert beginnings(early)[1:] == [20]
    assert queue.read() == []


def test_the_lists_know_what_waits(tmp_path: Path) -> None:
    early, other = make_run(tmp_path, "early", state="stopped"), make_run(tmp_path, "other", state="stopped")
    queue, shelf = RunQueue(tmp_path), Shelf(tmp_path)
    (first,) = queue.add(CONFIG, [0])
    assert {run.name for run in shelf.read() if run.resumable} == {"early", "other"}
    queue.add_again(early)
    found = shelf.read()
    assert {run.name for run in found if run.waits} == {"early", first.name}
    assert [run.name for run in found if run.resumable] == [other.name]
    assert {run.name for run in chosen(found, which="queued")} == {"early", first.name}


# ---- the screens


async def test_a_stopped_run_goes_on_after_the_one_that_is_going(make_app: MakeApp, tmp_path: Path) -> None:
    early = make_run(tmp_path / "runs", "early", state="stopped")
    engine = FakeEngine(iterations=12, hold=True)
    app = unasked(make_app(engine))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await going(app, pilot)
        await among_the_runs(app, pilot, "early")
        assert "R resumes it, w queues it, I lengthens it" in within(app, app.screen.query_one(Summary))
        assert "w queue" in keys(app)
        await pilot.press("R")
        await until(pilot, lambda: "l shows it; w puts this one into the queue" in told(app))
        app.clear_notifications()
        await pilot.press("w")
        await until(pilot, lambda: "early will follow from where it stands; Q shows the queue" in told(app))
        assert isinstance(app.screen, HomeScreen), "seeds were asked for"
        await until(pilot, lambda: "it waits in the queue (Q)" in within(app, app.screen.query_one(Summary)))
        assert "R resume" not in keys(app)
        assert "w queue" not in keys(app)
        for key in ("R", "w"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: told(app) == "early waits in the queue; Q shows it")
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "early" in text(app))
        row = next(line for line in text(app).splitlines() if "early" in line)
        assert "to resume" in row
        assert "25/50" in row
        engine.iterations, engine.hold = 24, False
        await until(pilot, lambda: state_of(early) == "done")
        assert beginnings(early)[1:] == [20]
        await until(pilot, lambda: not app.turns.going)


async def test_a_queued_run_is_not_offered_to_be_resumed(make_app: MakeApp, tmp_path: Path) -> None:
    (folder,) = RunQueue(tmp_path / "runs").add(CONFIG, [7], preset="digits-ipc1")
    app = unasked(make_app(FakeEngine(iterations=12, hold=True)))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await going(app, pilot)
        await among_the_runs(app, pilot, folder.name)
        said = within(app, app.screen.query_one(Summary))
        assert "it waits in the queue (Q)" in said
        assert "R resumes" not in said
        assert "R resume" not in keys(app)
        for key in ("R", "w"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: told(app) == f"{folder.name} waits in the queue; Q shows it")


async def test_the_screen_of_a_queued_run_offers_what_there_is(make_app: MakeApp, tmp_path: Path) -> None:
    (folder,) = RunQueue(tmp_path / "runs").add(CONFIG, [7], preset="digits-ipc1")
    app = unasked(make_app())
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        app.open_run(folder)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "queued")
        await until(pilot, lambda: "D new run" in keys(app))
        for key in ("R resume", ", earlier", ". later", "p replay"):
            assert key not in keys(app)
        await pilot.press("R")
        await until(pilot, lambda: told(app) == f"{folder.name} waits in the queue; Q shows it")
        await pilot.press("x")
        await until(pilot, lambda: "the run is queued; it waits in the queue (Q)" in told(app))
        app.turns.queue.drop(folder.name)
        await until(pilot, lambda: "R resume" in keys(app))


async def test_snapshots_are_leafed_through_where_there_are_two(make_app: MakeApp, tmp_path: Path) -> None:
    app = unasked(make_app(FakeEngine(iterations=12, hold=True)))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        await until(pilot, lambda: all(key in keys(app) for key in (", earlier", ". later", "p replay")))


async def test_the_browser_queues_the_run_under_the_cursor(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "over")
    early = make_run(tmp_path / "runs", "early", state="failed", age=50)
    app = unasked(make_app(FakeEngine(iterations=24)))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "early" in text(app))
        await pilot.press("w")
        await until(pilot, lambda: told(app) == "over is done; I lengthens it")
        app.clear_notifications()
        await pilot.press("j", "w")
        put = "early put into the queue, to go on from where it stands; Q shows it, s there starts it"
        await until(pilot, lambda: told(app) == put)
        await pilot.press("Q", "X")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "0 waiting" in text(app))
        assert early.exists
        await pilot.press("escape", "w", "Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "1 waiting" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: state_of(early) == "done")
        assert beginnings(early)[1:] == [20]


async def test_a_run_that_failed_in_the_queue_is_tried_again_where_that_is_asked_for(
    make_app: MakeApp, tmp_path: Path
) -> None:
    early = make_run(tmp_path / "runs", "early", state="stopped")
    RunQueue(tmp_path / "runs").add_again(early)
    (other,) = RunQueue(tmp_path / "runs").add(CONFIG, [3])
    engines = iter([FakeEngine(24, fail_at=22), holding := FakeEngine(12, hold=True), FakeEngine(24)])

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        return next(engines)(order, observer, control)

    app = unasked(make_app(launch))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("Q", "s")
        await until(pilot, lambda: state_of(early) == "failed" and state_of(other) == "running")
        await until(pilot, lambda: app.turns.begun == other.name)
        info = next(run for run in app.shelf.read() if run.name == "early")
        app.turns.add_again(info, lambda: None)
        await until(pilot, lambda: "early will follow" in told(app))
        holding.hold = False
        await until(pilot, lambda: state_of(early) == "done")


async def test_a_run_that_is_being_begun_is_not_queued_too(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "early", state="stopped")
    loading = threading.Event()
    engine = FakeEngine(iterations=24)

    def slowly(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        loading.wait(30)
        return engine(order, observer, control)

    app = unasked(make_app(slowly))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "early" in text(app))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("escape", "w")
        await until(pilot, lambda: told(app) == "early is going on")
        loading.set()
        await until(pilot, lambda: app.session is not None and not app.session.running)
    assert RunQueue(tmp_path / "runs").read() == []


async def test_what_the_key_means_is_what_the_notice_says_of_it(make_app: MakeApp, tmp_path: Path) -> None:
    """Among the presets ``w`` queues what they say, and the keys of a run mean none that was looked at before."""
    make_run(tmp_path / "runs", "early", state="stopped")
    app = unasked(make_app(FakeEngine(iterations=12, hold=True)))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await going(app, pilot)
        await among_the_runs(app, pilot, "early")
        await pilot.press("p")
        for key in "RID":
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: told(app) == "choose a run first (r)")
        app.clear_notifications()
        await pilot.press("s")
        await until(pilot, lambda: "w puts this one into the queue" in told(app))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))


async def test_the_screen_of_a_run_that_ended_here_knows_that_it_waits(make_app: MakeApp, tmp_path: Path) -> None:
    app = unasked(make_app(FakeEngine(iterations=24, fail_at=22)))
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "R resume" in keys(app) and "I lengthen" in keys(app))
        path = run_screen(app).path
        assert path is not None
        RunQueue(tmp_path / "runs").add_again(RunFolder(path))
        await until(pilot, lambda: "it goes on when its turn in the queue comes (Q)" in text(app))
        await until(pilot, lambda: "R resume" not in keys(app) and "I lengthen" not in keys(app))
        for key in "RI":
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: told(app) == f"{path.name} waits in the queue; Q shows it")
        RunQueue(tmp_path / "runs").drop(path.name)
        await until(pilot, lambda: "R resume" in keys(app))


def test_a_known_failure_of_one_that_goes_on_is_told(tmp_path: Path) -> None:
    """It fails where it stands in the queue: it has left it, as any other."""
    queue, early = RunQueue(tmp_path), make_run(tmp_path, "early", state="stopped")
    queue.add_again(early)
    onward = Onward(FakeEngine(iterations=40, fail_at=30), queue)
    with pytest.raises(MimError, match=r"objective\.pixel_rate"):
        onward(Order(runs_dir=tmp_path, resume=early.path), lambda _event: None, Control())
    assert queue.read() == []


async def test_the_list_of_all_runs_says_what_the_queue_is_to_do_with_one(make_app: MakeApp, tmp_path: Path) -> None:
    early, over = (make_run(tmp_path / "runs", name, state=name) for name in ("stopped", "done"))
    queue = RunQueue(tmp_path / "runs")
    (first,) = queue.add(CONFIG, [0])
    app = unasked(make_app())

    def row(name: str) -> str:
        return next(line for line in text(app).splitlines() if f" {name}  " in line)

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "3 · by newest" in text(app))
        assert "queue " not in text(app).splitlines()[1], "a column for a word that its state says"
        queue.add_again(early)
        await until(pilot, lambda: "to resume" in row("stopped") and "stopped  " in row("stopped"))
        (over.checkpoints / "000001-00000050.safetensors").touch()
        with queue._changing() as kept:
            kept.names.append("done")
            kept.ended["done"] = read_run(over).started
            kept.longer["done"] = 60
        await until(pilot, lambda: "to lengthen" in row("done"))
        assert text(app).count("queued") == 1, first.name
