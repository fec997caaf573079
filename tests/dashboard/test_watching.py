"""What a run is called while nothing of it was heard yet."""

from __future__ import annotations

import errno
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.events import Observer
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.curves import information
from mim4dd_tui.dashboard.pace import Pace
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import FolderSession, Order
from mim4dd_tui.dashboard.widgets.facts import Fact, FactsPane
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from tests.dashboard import fake
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, within, words
from tests.dashboard.shelves import make_run
from tests.runs.helpers import iteration


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_of_another_process_is_not_called_queued_before_it_is_read(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make_run(tmp_path / "runs", "lion", state="running")
    waiting = make_run(tmp_path / "runs", "waiting", state="queued")
    held = threading.Event()
    poll = FolderSession.poll

    def slow(session: FolderSession) -> object:
        held.wait(30)
        return poll(session)

    monkeypatch.setattr(FolderSession, "poll", slow)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.open_run(shown)
        await until(pilot, lambda: "reading the journal" in text(app))
        assert run_screen(app).state == "starting"
        monkeypatch.setattr(app, "copy", lambda *_: pytest.fail("nothing is known of it yet"))
        await pilot.press("c")
        await until(pilot, lambda: "reading the journal" in told(app))
        held.set()
        await until(pilot, lambda: run_screen(app).history.iteration == 50)
        await pilot.press("escape")
        app.open_run(waiting)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "queued")
        await until(pilot, lambda: "loading the engine" not in text(app) and "queued" in text(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_resumed_run_is_starting_while_the_engine_loads(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    loaded, engine = threading.Event(), FakeEngine(iterations=50)

    def slowly(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        loaded.wait(30)
        return engine(order, observer, control)

    stopped = make_run(tmp_path / "runs", "lion", state="stopped")
    app = make_app(slowly)
    async with app.run_test(size=size) as pilot:
        app.resume_run(stopped)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        assert run_screen(app).state == "starting"
        await until(pilot, lambda: "starting" in text(app) and "loading the engine" in text(app))
        assert "■ stopped" not in text(app)
        progress = run_screen(app)._progress()
        assert (progress.rate, progress.remaining) == ("", None), "of the sitting before"
        assert (progress.phase, progress.done, progress.total) == ("starting", 50, 50)
        loaded.set()
        await until(pilot, lambda: run_screen(app).state == "done")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("view", "keys", "seen"), [("log", ["slash"], "#log-filter"), ("pictures", [], "#pictures")])
async def test_a_run_opened_in_a_remembered_view_has_that_views_keys(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, view: str, keys: list[str], seen: str
) -> None:
    shown = make_run(tmp_path / "runs", "lion")
    app = make_app()
    app.remembered.view = view
    async with app.run_test(size=size) as pilot:
        app.open_run(shown)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        await until(pilot, lambda: app.focused is not None)
        await pilot.press(*keys)
        await until(pilot, lambda: app.focused is run_screen(app).query_one(seen))


async def test_numbers_do_not_wait_for_the_curves_turn_nor_does_the_first_point(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "due", lambda *_, **__: False)
    app = make_app(FakeEngine(iterations=60, delay=0.01, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 60)
        screen = run_screen(app)
        assert screen.query_one("#losses", PlotPane).reading(), "the first point is there"
        newest = screen.history.last
        assert newest is not None
        said = f"{newest.mean * 100:.1f}"
        await until(pilot, lambda: said in {name: value for name, value, _ in facts_of(screen)}.get("last live", ""))
        await until(pilot, lambda: said in within(app, screen.query_one("#accuracy")))  # both say the same
        await pilot.press("x")
        await until(pilot, lambda: screen.state == "stopped")


def facts_of(screen: RunScreen) -> tuple[Fact, ...]:
    """The numbers it shows."""
    return screen.query_one(FactsPane).facts


async def test_a_long_reason_of_a_failure_is_there_whole(make_app: MakeApp, tmp_path: Path) -> None:
    shown = make_run(tmp_path / "runs", "lion", state="failed")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(shown)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        run_screen(app)._tell(" ".join(f"reason{number}" for number in range(40)) + " and the advice")
        await until(pilot, lambda: "and the advice" in words(app))


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_however_long_a_reason_is_it_is_said_what_helps_and_where_the_log_is(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    shown = make_run(tmp_path / "runs", "lion", state="failed", message=" ".join(f"reason{i}" for i in range(200)))
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.open_run(shown)
        await until(pilot, lambda: "R resumes at iteration 25 · 4 shows the whole log" in text(app))
        assert "log: journal.jsonl in" in text(app)
        assert "reason3" in text(app)
        last = [line for line in text(app).splitlines() if "reason" in line and line.startswith("▌")][-1]
        assert last.endswith("…"), "cut without a mark"
        await pilot.resize_terminal(100, 30)
        await until(
            pilot, lambda: next((row for row in text(app).splitlines() if "reason" in row), "").count("reason") > 10
        )


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_whose_process_is_gone_has_failed_wherever_it_is_named(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    left = make_run(tmp_path / "runs", "lion", state="running", age=86_400.0)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "✗ lion" in text(app) and "failed" in words(app))
        app.open_run(left)
        await until(pilot, lambda: "✗ failed" in text(app) and "the process behind it is gone" in words(app))
        assert "crashed" not in text(app)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("watched", [True, False])
async def test_a_run_that_another_process_has_gone_on_with_is_shown_as_it_is_there(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, watched: bool
) -> None:
    app = make_app(FakeEngine(iterations=30, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped" and app.session is not None)
        assert app.session is not None
        path = app.session.path
        assert path is not None
        await until(pilot, lambda: app.session is not None and not app.session.running)
        if not watched:
            await pilot.press("escape")
        Path(path / "control").mkdir(exist_ok=True)
        order = Order(runs_dir=path.parent, resume=path)
        threading.Thread(target=FakeEngine(iterations=60), args=(order, lambda _event: None, Control())).start()
        if watched:
            await until(pilot, lambda: "another process has been at work" in told(app))
        else:
            await until(pilot, lambda: app.session is not None and app.session.taken_up)
            await pilot.press("l")  # the run that went on here
        await until(pilot, lambda: run_screen(app).state == "done" and "60/60" in text(app))
        assert isinstance(run_screen(app).session, FolderSession)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("own", [False, True])
async def test_a_run_that_was_deleted_elsewhere_is_left_with_a_word(
    make_app: MakeApp, own: bool, size: tuple[int, int], tmp_path: Path
) -> None:
    app = make_app(FakeEngine(iterations=20))
    if not own:
        make_run(tmp_path / "runs", "lion")
    async with app.run_test(size=size, notifications=True) as pilot:
        if own:
            await pilot.press("s")
        else:
            app.open_run(RunFolder(tmp_path / "runs" / "lion"))
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        path = run_screen(app).path
        assert path is not None
        await pilot.press("question_mark")  # it is left when the screen is in front again
        shutil.rmtree(path)
        await pilot.pause(0.7)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await until(pilot, lambda: "is gone" in words(app))
        assert not path.exists()


async def test_nothing_is_exported_in_the_place_of_a_deleted_run(make_app: MakeApp, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "lion")
    app = make_app(attach=run.path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        shutil.rmtree(run.path)
        run_screen(app).action_export()
        await until(pilot, lambda: "folder is gone" in text(app) or isinstance(app.screen, HomeScreen))
        await pilot.pause(0.3)
        assert not run.path.exists()


@pytest.mark.parametrize("own", [False, True])
async def test_a_disk_that_fails_for_a_moment_loses_nothing(
    make_app: MakeApp, own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network file system: whether the folder is there cannot be told, so it is not taken for gone."""
    failing = threading.Event()
    whole = Path.is_file

    def is_file(path: Path) -> bool:
        if failing.is_set() and path.name == "config.toml":
            raise OSError(errno.ESTALE, "stale")
        return whole(path)

    app = make_app(FakeEngine(iterations=50))
    run = make_run(tmp_path / "runs", "lion")
    monkeypatch.setattr(Path, "is_file", is_file)
    async with app.run_test(size=(80, 24)) as pilot:
        if own:
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
            failing.set()
        else:
            failing.set()
            app.open_run(run)
        await pilot.pause(1.2)
        failing.clear()
        await until(pilot, lambda: run_screen(app).state == "done" and run_screen(app).history.iteration == 50)


async def test_first_numbers_do_not_wait_for_their_turn(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from mim4dd_tui.dashboard.screens import run as module

    monkeypatch.setattr(module, "FACTS_SECONDS", {False: 3600.0, True: 3600.0})
    app = make_app(FakeEngine(iterations=40, delay=0.02, hold=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s")

        def bound() -> str:
            facts: tuple[Fact, ...] = app.screen.query_one(FactsPane).facts
            return next((value for name, value, _ in facts if name == "MI bound"), "-")

        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        await until(pilot, lambda: bound() != "-", seconds=20)


async def test_a_pause_is_taken_back_before_it_has_begun(make_app: MakeApp) -> None:
    loaded, engine = threading.Event(), FakeEngine(iterations=20, hold=True)

    def slowly(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        loaded.wait(30)
        return engine(order, observer, control)

    app = make_app(slowly)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("space", "space")
        loaded.set()
        await until(pilot, lambda: run_screen(app).history.iteration == 20)
        assert run_screen(app).state == "running"
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "paused")
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "running")


async def test_a_pause_is_taken_back_when_the_run_has_begun_but_not_yet_paused(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it is running long before its first step, while it reads its data and compiles."""
    loaded, prepared, begin = threading.Event(), threading.Event(), fake._FakeRun.begin

    def slowly(run: fake._FakeRun, resumed: bool) -> None:
        loaded.wait(30)
        begin(run, resumed)
        prepared.wait(30)

    monkeypatch.setattr(fake._FakeRun, "begin", slowly)
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("space")
        await until(pilot, lambda: "space go on" in text(app))
        loaded.set()
        await until(pilot, lambda: run_screen(app).state == "pausing")
        assert "space go on" in text(app)
        await pilot.press("space")
        await until(pilot, lambda: "space pause" in text(app))
        prepared.set()
        await until(pilot, lambda: run_screen(app).history.iteration == 20)
        assert run_screen(app).state == "running"


async def test_the_list_of_runs_is_on_the_run_that_was_just_begun(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "old", age=100.0)
    make_run(tmp_path / "runs", "older", age=200.0)
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "older" in text(app))
        await pilot.press("r", "j")
        home = app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: home._run is not None and home._run.name == "older")
        await pilot.press("p", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        name = run_screen(app).path
        assert name is not None
        await pilot.press("escape", "r")
        await until(pilot, lambda: home._run is not None and home._run.name == name.name)
        await pilot.press("j")
        await until(pilot, lambda: home._run is not None and home._run.name == "old")
        home.refresh_runs()
        await pilot.pause(0.5)
        assert home._run is not None
        assert home._run.name == "old", "once, and not at every reading"


async def test_a_run_that_is_over_does_not_tell_the_dashboards_memory(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, fail_at=1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        facts = app.screen.query_one(FactsPane)
        await until(pilot, lambda: ("memory", "-", 0) in facts.facts)


async def test_numbers_that_come_into_sight_are_as_new_as_the_curves(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However seldom they are told beside them."""
    monkeypatch.setattr("mim4dd_tui.dashboard.screens.run.FACTS_SECONDS", {False: 3600.0, True: 3600.0})
    app = make_app(FakeEngine(iterations=400, delay=0.02), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 20)
        screen = run_screen(app)
        for view in ("4", "1", "2"):
            numbers = screen.query_one(FactsPane)
            numbers.facts = before = (("objective", "of long ago", 0),)
            await pilot.press(view)
            assert numbers.facts != before
        await pilot.press("x")
        await until(pilot, lambda: screen.state == "stopped")


async def test_curves_that_come_into_sight_are_drawn_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the curves that are seen are painted seldom."""
    app = make_app(FakeEngine(iterations=40, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        await pilot.pause(1.0)
        monkeypatch.setattr(Pace, "due", lambda *_, **__: False)
        run_screen(app)._news = False
        await pilot.resize_terminal(160, 48)
        ratio = app.screen.query_one("#ratio", PlotPane)
        await until(pilot, lambda: ratio.display and bool(ratio._figure.series), seconds=10)


def test_a_run_whose_term_is_off_says_so_in_the_place_of_its_bound() -> None:
    history = RunHistory()
    assert information(history).empty == "no bound read yet"
    history.apply(iteration(1, bound=None, bounds=None, ceiling=None))
    assert information(history).empty == "no bound read yet", "it is read every few iterations alone"
    history = RunHistory()
    history.apply(iteration(1, nce=None, bound=None, bounds=None, ceiling=None, gradient_ratio=None))
    assert information(history).empty == "the term is off (information.weight 0)"


async def test_title_and_numbers_tell_one_bound(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=200, delay=0.02), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration > 20)
        screen, told = run_screen(app), set[float]()
        while screen.history.iteration < 120:
            await pilot.pause(0.05)
            figure = screen.query_one("#information", PlotPane).figure
            bound = float(figure.series[-1].y[-1])
            facts = {name: value for name, value, _ in screen.query_one(FactsPane).facts}
            assert facts["MI bound"].startswith(f"{bound:.2f}"), "an old reading among the numbers"
            told.add(bound)
        assert len(told) > 1


async def test_while_nothing_is_new_no_part_of_the_screen_is_searched_for(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listens five times a second, and the interface is to take next to nothing of the run's cores."""
    app = make_app(FakeEngine(iterations=30, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
        screen, searched = run_screen(app), []
        walk = RunScreen.walk_children

        def counted(self: RunScreen, *arguments: Any, **named: Any) -> Any:
            searched.append(arguments)
            return walk(self, *arguments, **named)

        monkeypatch.setattr(RunScreen, "walk_children", counted)
        for _ in range(5):
            screen._listen()
        assert not searched
        assert list(screen.query(PlotPane)), "this is what is counted"
        assert len(searched) == 1
