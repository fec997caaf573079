"""What is said of a run before it is known: that it is being read, and not that there is nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.errors import MimError
from engine.events import Snapshot
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.screens import leafing
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import FolderSession
from mim4dd_tui.dashboard.snapshots import read_sheet
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.sheet import Sheet
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine, _FakeRun
from tests.dashboard.helpers import run_screen, text, told, until
from tests.dashboard.shelves import make_run

NEVER = ("no data yet", "no iteration yet", "no evaluation yet", "no bound read yet", "no picture yet")


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the curves of a run say in place of a curve, each time that one is painted."""
    said: list[str] = []
    paint = PlotPane.render_line

    def painting(pane: PlotPane, y: int) -> object:
        if not pane.figure.series:
            said.append(pane.figure.empty)
        return paint(pane, y)

    monkeypatch.setattr(PlotPane, "render_line", painting)
    return said


async def in_view_of_the_log(app: DashboardApp, pilot: Pilot[Leave], run: RunFolder) -> None:
    app.open_run(run)
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)


@pytest.mark.parametrize("view", ["1", "2"])
async def test_curves_are_there_as_soon_as_they_are_seen(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    run = make_run(tmp_path / "runs", "lion", state="done")
    Remembered(view="log").save()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await in_view_of_the_log(app, pilot, run)
        said = watched(monkeypatch)
        await pilot.press(view)
        await until(pilot, lambda: run_screen(app).query_one("#losses", PlotPane).display and "objective" in text(app))
    assert not set(said) & set(NEVER)


async def test_curves_that_a_larger_terminal_shows_are_there_at_once(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs", "lion", state="done")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await in_view_of_the_log(app, pilot, run)
        said = watched(monkeypatch)
        await pilot.resize_terminal(160, 48)
        await until(pilot, lambda: "NCE / objective gradient" in text(app))
    assert not set(said) & set(NEVER)


async def test_a_run_that_is_being_read_is_not_said_to_have_nothing(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, held = make_run(tmp_path / "runs", "lion", state="done"), threading.Event()
    poll: Callable[[FolderSession], object] = FolderSession.poll

    def slow(session: FolderSession) -> object:
        held.wait(30)
        return poll(session)

    monkeypatch.setattr(FolderSession, "poll", slow)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(run)
        await until(pilot, lambda: text(app).count("reading the journal") >= 4)
        assert not [words for words in NEVER if words in text(app)]
        held.set()
        await until(pilot, lambda: "objective" in text(app))
        await until(pilot, lambda: "reading the journal" not in text(app))


async def test_a_run_with_nothing_says_so_once_it_is_read(make_app: MakeApp, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "waiting", state="queued")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(run)
        await until(pilot, lambda: all(words in text(app) for words in NEVER[1:]))
        assert "reading the journal" not in text(app)


async def test_a_picture_that_is_being_read_is_not_said_to_be_missing(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, read = threading.Event(), read_sheet

    def slow(folder: RunFolder, snapshot: Snapshot, start: Snapshot | None) -> Sheet:
        held.wait(30)
        return read(folder, snapshot, start)

    monkeypatch.setattr(leafing, "read_sheet", slow)
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "reading the picture" in text(app))
        assert "no picture" not in text(app)
        held.set()
        await until(pilot, lambda: "reading the picture" not in text(app))
        assert "no picture" not in text(app)


async def test_a_run_that_goes_on_and_cannot_be_read_is_not_said_to_have_failed(
    make_app: MakeApp, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "runs", "lion", state="running")
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await in_view_of_the_log(app, pilot, run)
        kept = run.journal_path.rename(tmp_path / "kept")
        run.journal_path.mkdir()
        await until(pilot, lambda: "the run goes on, but what is shown stands still: cannot read" in told(app))
        assert run_screen(app).state == "running"
        assert "failed" not in text(app)
        run.journal_path.rmdir()
        kept.rename(run.journal_path)
        await until(pilot, lambda: not told(app))
        assert run_screen(app).state == "running"


@pytest.mark.parametrize("view", ["1", "2", "3"])
async def test_of_a_run_that_fails_before_its_first_iteration_nothing_is_said_to_come(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    monkeypatch.setattr(_FakeRun, "snapshot", lambda *_: None)
    go = threading.Event()

    def failing(*_: object) -> None:
        go.wait(60)
        raise MimError("the pixels are no numbers any more: lower objective.pixel_rate")

    monkeypatch.setattr(_FakeRun, "distill", failing)
    app = make_app(FakeEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.full_set is not None)
        await pilot.press(view)
        await until(pilot, lambda: " yet" in text(app))
        go.set()
        await until(pilot, lambda: run_screen(app).state == "failed")
        await until(pilot, lambda: not any(words in text(app) for words in NEVER), 10)
        assert {"1": "no bound read", "2": "no iteration", "3": "no picture"}[view] in text(app)
