"""More iterations for a run that is over, by a key: asked for, given, and gone on to or queued."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine.runs.changes import changes
from engine.runs.checkpoint import save
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.lengthening import lengthen
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.longer import wrong
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.screens.dialogs import NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import FolderSession
from mim4dd_tui.dashboard.shelf import Shelf
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within
from tests.dashboard.shelves import make_run, stands


def over(runs_dir: Path, name: str = "over", **values: str | float) -> RunFolder:
    """A run of 50 iterations that is done, with a whole checkpoint."""
    folder = make_run(runs_dir, name, objective__iterations=50, **values)  # type: ignore[arg-type]
    save(folder.path, 50, {}, {})
    return folder


def state_of(folder: RunFolder) -> tuple[str, int]:
    status = folder.status()
    return ("", 0) if status is None else (status.state, status.iterations)


def asked(app: DashboardApp) -> str:
    """What stands under the line to type in."""
    return within(app, app.screen.query_one("#name-verdict")) if isinstance(app.screen, NameScreen) else ""


async def give(app: DashboardApp, pilot: Pilot[Leave], number: int) -> None:
    """Answer the question with a number."""
    await until(pilot, lambda: isinstance(app.screen, NameScreen))
    app.screen.query_one(Input).value = str(number)
    await pilot.press("enter")


async def test_what_is_open_follows_the_settings_of_a_run_that_is_lengthened_meanwhile(
    make_app: MakeApp, tmp_path: Path
) -> None:
    """Else runs that differ in more than their seed pass for several seeds of one."""
    first, second = (over(tmp_path / "runs", f"run{seed}", seed=seed) for seed in (0, 1))
    session = FolderSession(first)
    session.poll()
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.compare([read_run(first), read_run(second)], {"run0": 1, "run1": 2})
        await until(pilot, lambda: "2 seeds" in text(app))
        lengthen(first, 90)
        await until(pilot, lambda: "objective.iterations" in text(app) and "2 seeds" not in text(app))
    session.poll()
    assert session.config is not None
    assert session.config.objective.iterations == 90


async def test_the_browser_lengthens_the_run_under_the_cursor(make_app: MakeApp, tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    app = make_app(FakeEngine(iterations=60))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "over" in text(app))
        await pilot.press("R")
        await until(pilot, lambda: told(app) == "over is done; I lengthens it")
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        present = "iterations in all: it has 50 now and stands at iteration 50; it goes on at once"
        await until(pilot, lambda: "Lengthen over" in text(app) and asked(app) == present)
        assert app.screen.query_one(Input).value == "100"
        app.screen.query_one(Input).value = "50"
        await until(pilot, lambda: asked(app) == "it has 50 iterations already, and can only be given more")
        await pilot.press("enter")
        assert state_of(folder) == ("done", 50)
        await give(app, pilot, 60)
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: state_of(folder) == ("done", 60))
    assert folder.config().objective.iterations == 60
    assert [(e.before, e.iterations) for e in RunHistory.load(folder.journal_path).lengthened] == [(50, 60)]


async def test_a_run_that_ended_here_goes_on_here(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(engine := FakeEngine(iterations=24), preset="digits-ipc1", overrides=("objective.iterations=24",))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        path = run_screen(app).path
        assert path is not None
        save(path, 24, {}, {})
        await until(pilot, lambda: "I lengthen" in text(app).splitlines()[-1] and "R resume" not in text(app))
        await pilot.press("R")
        await until(pilot, lambda: told(app) == "the run is done; I lengthens it")
        app.clear_notifications()
        engine.iterations = 40
        await pilot.press("I")
        await give(app, pilot, 40)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        await until(pilot, lambda: run_screen(app).state == "done")
        assert run_screen(app).session.owned
        assert "another process" not in told(app)
        assert "lengthened from 24 to 40 iterations" in [
            line.text.partition(";")[0] for line in run_screen(app).history.log
        ]


async def test_while_another_run_goes_on_it_waits_in_the_queue(make_app: MakeApp, tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    app = make_app(engine := FakeEngine(iterations=40, hold=True))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        await pilot.press("escape", "b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "over" in text(app))
        await pilot.press("j", "I")
        await until(
            pilot,
            lambda: (
                "it waits in the queue, as another run is going on here, and stays as it is until its turn"
                in asked(app)
            ),
        )
        await give(app, pilot, 60)
        will_follow = "over will follow from where it stands, lengthened to 60 iterations; Q shows the queue"
        await until(pilot, lambda: will_follow in told(app))
        assert state_of(folder) == ("done", 50)
        assert [*RunQueue(tmp_path / "runs").waiting()] == ["over"]
        engine.hold, engine.iterations = False, 60
        await until(pilot, lambda: state_of(folder) == ("done", 60))


async def test_the_first_screen_lengthens_a_run_that_was_stopped(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "early", state="stopped", objective__iterations=50)
    app = make_app(FakeEngine(iterations=60))
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "early" in text(app))
        await pilot.press("r")
        await pilot.press("I")
        await until(pilot, lambda: "it has 50 now and stands at iteration 25" in asked(app))
        await give(app, pilot, 60)
        await until(pilot, lambda: state_of(folder) == ("done", 60))


async def test_why_it_is_not_lengthened_is_said(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "over", objective__iterations=50)  # without a checkpoint
    app = make_app()
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "over" in text(app))
        await pilot.press("I")
        await give(app, pilot, 60)
        await until(pilot, lambda: "over is done and has no whole checkpoint to go on from" in told(app))
        assert "--set objective.iterations=60" in told(app)
        assert isinstance(app.screen, RunsScreen)
        assert state_of(folder) == ("done", 50)
        assert app.session is None


@pytest.mark.parametrize(
    ("state", "values", "why"),
    [
        ("queued", {}, "it was never begun: D takes its settings into a new run"),
        ("failed", {"diverged": True}, "it would fail again as it is: D takes its settings into a new run"),
        ("done", {}, ""),
        ("stopped", {}, ""),
        ("failed", {}, ""),
    ],
)
def test_which_runs_can_be_lengthened(state: str, values: dict[str, bool], why: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path, "it", state=state)
    stands(folder, **values)
    run = read_run(folder)
    assert run.lengthenable == (not why)
    assert not why or run.too_long == why


def test_what_is_no_number_of_iterations(tmp_path: Path) -> None:
    config = over(tmp_path).config()
    assert wrong(config, "many") == wrong(config, "²") == wrong(config, "-60") == "write a number, as 2000"
    assert wrong(config, "2,5") == wrong(config, ",500") == "write a number, as 2000"
    assert wrong(config, "") == wrong(config, "51") == wrong(config, "2,500") == wrong(config, "1,000,000") == ""


def test_lists_learn_of_the_new_number(tmp_path: Path) -> None:
    folder, shelf = over(tmp_path), Shelf(tmp_path)
    assert [(run.progress, dict(run.changes)) for run in shelf.read()] == [("50/50", {})]
    lengthen(folder, 60)
    assert [(run.progress, dict(run.changes)) for run in shelf.read()] == [("50/60", {"objective.iterations": 60})]
    assert changes(folder) == {"objective.iterations": 60}
