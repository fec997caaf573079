"""Runs in the queue that are lengthened when their turn comes, and are until then what they were."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from engine.errors import ConfigError, DataError, RunFailed, RunLocked
from engine.events import Event, Lengthened, RunStarted
from engine.runs.checkpoint import save
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.lengthening import lengthen
from engine.runs.lock import RunLock
from engine.runs.status import host_name
from mim4dd_tui.dashboard.details import run_text
from mim4dd_tui.dashboard.onward import Onward, ordered
from mim4dd_tui.dashboard.run_queue import FILE, RunQueue
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Launch, Order
from mim4dd_tui.dashboard.shelf import Shelf, chosen
from mim4dd_tui.dashboard.widgets.summary import Summary
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within
from tests.dashboard.shelves import make_run, stands
from tests.dashboard.test_longer import give, over, state_of
from tests.dashboard.test_queue_again import CONFIG, among_the_runs, going, names, unasked
from tests.reliability.kills import Killed, ended_at

WAITS = "over waits in the queue, to be lengthened to 60 iterations; Q shows it"


def files(folder: RunFolder) -> dict[str, bytes]:
    """Everything that the folder of a run holds, but for its lock."""
    found = [path for path in folder.path.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in found}


def waiting(runs_dir: Path, iterations: int = 60, **values: Any) -> tuple[RunFolder, RunQueue]:
    """A run of 50 iterations, done by default, that waits in the queue to be given more."""
    folder, queue = over(runs_dir, **values), RunQueue(runs_dir)
    queue.add_again(folder, iterations)
    return folder, queue


def alone(queue: RunQueue, launch: Launch) -> list[Event]:
    """Have the queue worked off as after a hang-up, behind a new run; what was said."""
    (first,) = queue.add(CONFIG, [0])
    onward, heard = Onward(launch, queue), list[Event]()
    onward.alone.set()
    onward(Order(runs_dir=queue.runs_dir, resume=first.path), heard.append, Control())
    return heard


# ---- the file


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_taken_out_it_is_what_it_was(tmp_path: Path, state: str) -> None:
    folder, queue = over(tmp_path, state=state), RunQueue(tmp_path)
    before = files(folder)
    queue.add_again(folder, 60)
    assert [(one.name, one.state, one.iterations) for one in RunQueue(tmp_path).read()] == [("over", "to resume", 60)]
    queue.tidy()
    assert names(queue) == [("over", "to resume")]
    queue.drop("over")
    assert names(queue) == []
    assert files(folder) == before
    assert json.loads((tmp_path / FILE).read_text()) == {"runs": []}


def test_an_earlier_lengthening_stays(tmp_path: Path) -> None:
    folder = over(tmp_path)
    lengthen(folder, 55)
    before, queue = files(folder), RunQueue(tmp_path)
    queue.add_again(folder, 60)
    queue.drop("over")
    assert files(folder) == before
    assert state_of(folder) == ("stopped", 55)
    assert [e.iterations for e in RunHistory.load(folder.journal_path).lengthened] == [55]


def test_it_is_lengthened_when_its_turn_comes(tmp_path: Path) -> None:
    folder, queue = waiting(tmp_path)
    heard = alone(queue, FakeEngine(iterations=60))
    assert state_of(folder) == ("done", 60)
    assert folder.config().objective.iterations == 60
    told_of = [event for event in heard if isinstance(event, Lengthened | RunStarted)]
    assert [type(event) for event in told_of] == [RunStarted, Lengthened, RunStarted]
    assert [(e.before, e.iterations) for e in RunHistory.load(folder.journal_path).lengthened] == [(50, 60)]
    queue.tidy()
    assert json.loads((tmp_path / FILE).read_text())["runs"] == []


def test_a_number_that_it_waited_for_once_is_forgotten(tmp_path: Path) -> None:
    """It had its turn and was stopped; put there again it goes on to what it has."""
    folder, queue = waiting(tmp_path)
    stands(folder, state="stopped", started=2e9)
    assert names(queue) == []
    queue.add_again(folder)
    assert [(one.name, one.iterations) for one in queue.read()] == [("over", None)]


def test_a_later_dashboard_knows_it_and_what_is_moved_stays_so(tmp_path: Path) -> None:
    folder, queue = waiting(tmp_path)
    (other,) = queue.add(CONFIG, [0])
    RunQueue(tmp_path).move("over", 1)
    found = RunQueue(tmp_path).read()
    assert [(one.name, one.iterations) for one in found] == [(other.name, None), ("over", 60)]
    assert ordered(found[1], None) == Order(runs_dir=tmp_path, resume=folder.path, iterations=60)


def test_a_file_from_before_there_were_numbers_in_it(tmp_path: Path) -> None:
    """A run that was lengthened when it was put there goes on as it is; one that is done does not wait."""
    longer, done = make_run(tmp_path, "longer", state="stopped"), over(tmp_path)
    ended = {one.name: status.started for one in (longer, done) if (status := one.status()) is not None}
    (tmp_path / FILE).write_text(json.dumps({"runs": ["longer", "over"], "ended": ended}))
    assert [(one.name, one.state, one.iterations) for one in RunQueue(tmp_path).read()] == [
        ("longer", "to resume", None)
    ]


@pytest.mark.parametrize("kept", ['"over"', '{"over": "60"}', '{"over": true}', '{"over": null}', '{"over": -60}'])
def test_a_damaged_file_lengthens_nothing(tmp_path: Path, kept: str) -> None:
    _, queue = waiting(tmp_path)
    values = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps(values | {"longer": json.loads(kept)}))
    assert queue.read() == []


def test_what_cannot_be_given_more_does_not_wait(tmp_path: Path) -> None:
    queue, bare = RunQueue(tmp_path), make_run(tmp_path, "bare", objective__iterations=50)
    folder, lost = over(tmp_path), make_run(tmp_path, "lost", state="failed")
    stands(lost, diverged=True)
    early = make_run(tmp_path, "early", state="stopped")
    queue.add_again(early)
    before = files(folder)
    for run, number, kind, why in (
        (folder, 50, ConfigError, "over has 50 iterations already"),
        (bare, 60, DataError, "bare is done and has no whole checkpoint"),
        (lost, 1000, ConfigError, "lost diverged"),
        (early, 100_000, ConfigError, "early waits in the queue already; Q shows it"),
    ):
        with pytest.raises(kind, match=why):
            queue.add_again(run, number)
    assert names(queue) == [("early", "to resume")]
    assert files(folder) == before


def test_a_full_disk_when_it_is_put_there_leaves_it_as_it_was(tmp_path: Path) -> None:
    folder, queue = over(tmp_path), RunQueue(tmp_path)
    before = files(folder)
    full = RunFailed("cannot write .queue.json: full")
    with mock.patch("mim4dd_tui.dashboard.run_queue.write_json", side_effect=full), pytest.raises(RunFailed):
        queue.add_again(folder, 60)
    assert files(folder) == before
    assert queue.read() == []


# ---- its turn


def begin(queue: RunQueue) -> None:
    """Have the first run's turn come, with an engine that does nothing."""
    onward = Onward(lambda *_: {"state": "stopped"}, queue)
    onward(ordered(queue.read()[0], None), lambda _event: None, Control())


def test_killed_at_any_change_before_it_went_on_it_waits_still(tmp_path: Path) -> None:
    """Also where the number holds already; the next dashboard goes on with it to as many."""
    _, queue = waiting(tmp_path / "all")
    count, numbers = ended_at(partial(begin, queue)), []
    assert count >= 8
    for at in range(1, count + 1):
        folder, queue = waiting(tmp_path / str(at))
        with pytest.raises(Killed):
            ended_at(partial(begin, queue), at)
        later = RunQueue(queue.runs_dir)
        assert names(later) == [("over", "to resume")]
        numbers.append(folder.config().objective.iterations)
        assert later.read()[0].iterations == 60 or numbers[-1] == 60
        alone(later, FakeEngine(iterations=60))
        assert (state_of(folder), folder.config().objective.iterations) == (("done", 60), 60)
    assert numbers == sorted(numbers)
    assert set(numbers) == {50, 60}


def test_a_disk_that_is_full_when_its_turn_comes_leaves_it_waiting_as_it_was(tmp_path: Path) -> None:
    folder, queue = waiting(tmp_path)
    before, full = files(folder), RunFailed("cannot write config.toml: full")
    with mock.patch.object(RunFolder, "write_config", side_effect=full), pytest.raises(RunFailed, match="full"):
        begin(queue)
    assert json.loads(before["status.json"]) == json.loads(files(folder)["status.json"])
    assert files(folder)["journal.jsonl"] == before["journal.jsonl"]
    assert [(one.name, one.iterations) for one in queue.read()] == [("over", 60)]
    queue.drop("over")
    assert state_of(folder) == ("done", 50)


def test_one_that_somebody_holds_when_its_turn_comes_is_left_to_them(tmp_path: Path) -> None:
    folder, queue = waiting(tmp_path)
    with RunLock(folder.path), pytest.raises(RunLocked, match="mim4dd stop"):
        begin(queue)
    assert state_of(folder) == ("done", 50)
    assert names(queue) == [("over", "to resume")]


@pytest.mark.parametrize(("number", "left", "comes_to"), [(55, 60, 60), (60, None, 60), (70, None, 70)])
def test_one_that_was_lengthened_elsewhere_meanwhile(
    tmp_path: Path, number: int, left: int | None, comes_to: int
) -> None:
    """As many as were asked for here, or more where it has more by then."""
    folder, queue = waiting(tmp_path)
    lengthen(folder, number)
    assert [(one.name, one.iterations) for one in queue.read()] == [("over", left)]
    begin(queue)
    assert folder.config().objective.iterations == comes_to


def test_one_that_went_on_elsewhere_meanwhile_is_not_of_the_queue_any_more(tmp_path: Path) -> None:
    folder, queue = waiting(tmp_path)
    lengthen(folder, 55)
    FakeEngine(iterations=55)(Order(runs_dir=tmp_path, resume=folder.path), lambda _event: None, Control())
    assert state_of(folder) == ("done", 55)
    assert queue.read() == []


def test_a_run_without_a_process_is_lengthened_too(tmp_path: Path) -> None:
    folder, queue = make_run(tmp_path, "killed", state="running", objective__iterations=50), RunQueue(tmp_path)
    stands(folder, pid=999_999_999, host=host_name())
    queue.add_again(folder, 60)
    assert [(one.state, one.iterations) for one in queue.read()] == [("interrupted", 60)]
    begin(queue)
    assert folder.config().objective.iterations == 60


# ---- what is said


def test_the_lists_say_what_it_waits_for(tmp_path: Path) -> None:
    waiting(tmp_path)
    (run,) = chosen(Shelf(tmp_path).read(), which="queued")
    assert (run.state, run.progress, run.refusal, run.too_long) == ("done", "50/50", WAITS, WAITS)
    assert not run.resumable
    assert not run.lengthenable
    assert "it waits in the queue (Q), to be lengthened to 60 iterations" in run_text(run, "", unicode=True).plain


async def test_taken_out_of_the_queue_by_a_key_it_is_done_as_before(make_app: MakeApp, tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    before = files(folder)
    app = unasked(make_app(FakeEngine(iterations=12, hold=True)))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await going(app, pilot)
        await among_the_runs(app, pilot, "over")
        await pilot.press("I")
        await give(app, pilot, 60)
        said = "it waits in the queue (Q), to be lengthened to 60 iterations"
        await until(pilot, lambda: said in within(app, app.screen.query_one(Summary)))
        for key in "RI":
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: told(app) == WAITS)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "I lengthen" not in text(app).splitlines()[-1])
        for key in "RI":
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: told(app) == WAITS)
        app.clear_notifications()
        await pilot.press("x")
        await until(pilot, lambda: told(app) == f"the run is done; {said}")
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "over" in text(app))
        row = next(line for line in text(app).splitlines() if "over" in line)
        assert "to lengthen" in row
        assert "50/50 to 60" in row
        await pilot.press("j", "X")
        await until(pilot, lambda: "0 waiting" in text(app))
        assert files(folder) == before
        await pilot.press("escape")
        await until(pilot, lambda: "I lengthen" in text(app).splitlines()[-1])


async def test_a_run_that_ended_here_waits_and_then_goes_on_here(make_app: MakeApp, tmp_path: Path) -> None:
    app = unasked(make_app(engine := FakeEngine(24), preset="digits-ipc1", overrides=("objective.iterations=24",)))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        path = run_screen(app).path
        assert path is not None
        save(path, 24, {}, {})
        engine.iterations, engine.hold = 12, True
        await pilot.press("escape", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        app.open_run(RunFolder(path))
        await until(pilot, lambda: run_screen(app).path == path and run_screen(app).state == "done")
        await pilot.press("I")
        await give(app, pilot, 40)
        await until(pilot, lambda: "will follow from where it stands, lengthened to 40 iterations" in told(app))
        assert run_screen(app).state == "done"
        engine.iterations, engine.hold = 40, False
        await until(pilot, lambda: state_of(RunFolder(path)) == ("done", 40))
        await until(pilot, lambda: run_screen(app).history.iteration == 40)
        assert [e.iterations for e in run_screen(app).history.lengthened] == [40]
        assert "another process" not in told(app)


async def test_what_a_screen_shows_of_one_that_is_lengthened_here(make_app: MakeApp, tmp_path: Path) -> None:
    """Its settings are those that it has now."""
    folder, queue = waiting(tmp_path / "runs")
    app = unasked(make_app(FakeEngine(iterations=60)))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "over" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: state_of(folder) == ("done", 60))
        screen = run_screen(app)
        assert screen.session.config is not None
        assert screen.session.config.objective.iterations == 60
        assert [(e.before, e.iterations) for e in screen.history.lengthened] == [(50, 60)]
    assert queue.read() == []
