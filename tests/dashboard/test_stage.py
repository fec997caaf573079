"""Screens over screens: one of a kind at most, each come back to where it is open already."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.telling import QUEUE
from mim4dd_tui.dashboard.widgets.table import Table
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until
from tests.dashboard.shelves import fill, make_run

NAMES = ("lion", "tapir")


def waiting(make_app: MakeApp, runs: Path) -> DashboardApp:
    """An app with two stopped runs in its queue, which does not ask whether it goes on."""
    for age, name in enumerate(NAMES):
        RunQueue(runs).add_again(make_run(runs, name, state="stopped", age=100.0 * age))
    app = make_app(FakeEngine(iterations=12, hold=True))
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    return app


def kinds(app: DashboardApp) -> list[type[Screen[object]]]:
    """Of the screens that lie over each other, without Textual's own lowest one."""
    return [type(screen) for screen in app.screen_stack[1:]]


def shows(app: DashboardApp, name: str) -> bool:
    path = getattr(app.screen, "path", None)
    return isinstance(app.screen, RunScreen) and app.screen.heard_once and path is not None and path.name == name


async def from_home(app: DashboardApp, pilot: Pilot[Leave]) -> RunScreen:
    """The first run, opened on the first screen."""
    await until(pilot, lambda: all(name in text(app) for name in NAMES))
    await pilot.press("r", "enter")
    await until(pilot, lambda: shows(app, "lion"))
    return run_screen(app)


async def queue(app: DashboardApp, pilot: Pilot[Leave]) -> QueueScreen:
    """The queue, as its key shows it."""
    await pilot.press("Q")
    await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "tapir" in text(app))
    assert isinstance(app.screen, QueueScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_and_the_queue_do_not_pile_up(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = waiting(make_app, tmp_path / "runs")
    async with app.run_test(size=size) as pilot:
        lion = await from_home(app, pilot)
        await queue(app, pilot)
        assert kinds(app) == [HomeScreen, RunScreen, QueueScreen]
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is lion)
        assert kinds(app) == [HomeScreen, RunScreen]

        listed = await queue(app, pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: shows(app, "tapir"))
        assert kinds(app) == [HomeScreen, QueueScreen, RunScreen]
        await until(pilot, lambda: not lion.is_attached)  # it reads no more

        assert await queue(app, pilot) is listed
        assert kinds(app) == [HomeScreen, QueueScreen]
        assert listed.query_one(Table).chosen == "tapir"
        await pilot.press("enter")
        await until(pilot, lambda: shows(app, "tapir"))
        for came_from in (QueueScreen, HomeScreen):
            await pilot.press("escape")
            await until(pilot, lambda kind=came_from: isinstance(app.screen, kind))  # type: ignore[misc]
        assert kinds(app) == [HomeScreen]


async def test_the_palette_comes_back_to_it_too(make_app: MakeApp, tmp_path: Path) -> None:
    app = waiting(make_app, tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await from_home(app, pilot)
        listed = await queue(app, pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: shows(app, "tapir"))
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        app.screen.query_one(Input).value = "wait for their turn"
        await until(pilot, lambda: "queue (Q)" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is listed)
        assert kinds(app) == [HomeScreen, QueueScreen]


async def test_a_run_begun_from_the_queue_takes_the_place_of_the_one_below(make_app: MakeApp, tmp_path: Path) -> None:
    app = waiting(make_app, tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        before = await from_home(app, pilot)
        await queue(app, pilot)
        await pilot.press("s")
        await until(pilot, lambda: app.session is not None and app.watches(app.session))
        live = run_screen(app)
        assert kinds(app) == [HomeScreen, QueueScreen, RunScreen]
        await until(pilot, lambda: not before.is_attached)
        await queue(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is live)  # kept with all it has heard
        assert kinds(app) == [HomeScreen, QueueScreen, RunScreen]


async def test_a_comparison_is_left_below_the_run_opened_from_it(make_app: MakeApp, tmp_path: Path) -> None:
    app = waiting(make_app, tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: all(name in text(app) for name in NAMES))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "tapir" in text(app))
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "tapir" in text(app))
        table = app.screen.query_one(Table)
        table.post_message(Table.Heading(table, 1))
        await until(pilot, lambda: shows(app, "lion"))
        await queue(app, pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: shows(app, "tapir"))
        assert kinds(app) == [HomeScreen, RunsScreen, CompareScreen, QueueScreen, RunScreen]
        await pilot.press("Q", "escape")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        app.action_browse()
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert kinds(app) == [HomeScreen, RunsScreen]


async def test_a_question_and_the_run_it_is_about_stay(make_app: MakeApp, tmp_path: Path) -> None:
    app = waiting(make_app, tmp_path / "runs")
    over = make_run(tmp_path / "runs", "okapi", age=300.0)
    async with app.run_test(size=(80, 24)) as pilot:
        lion = await from_home(app, pilot)
        app.open_run(over)
        await until(pilot, lambda: shows(app, "okapi"))
        assert kinds(app) == [HomeScreen, RunScreen]
        asked = run_screen(app)
        await pilot.press("I")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        assert lion.session.path is not None
        app.resume_run(RunFolder(lion.session.path))
        await until(pilot, lambda: app.session is not None and app.watches(app.session))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is asked)


async def test_what_notices_tell_of_the_queue_is_seen_when_it_is_come_back_to(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = waiting(make_app, tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await from_home(app, pilot)
        await queue(app, pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: shows(app, "tapir"))
        app.notify("the queue is held", about=[QUEUE], timeout=600, lasting=True)
        await until(pilot, lambda: "the queue is held" in told(app))
        await queue(app, pilot)
        await until(pilot, lambda: not told(app))


# ---- marks


async def browser(app: DashboardApp, pilot: Pilot[Leave], count: int = 3) -> None:
    """The list of all runs, read."""
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and f"runs  {count} " in text(app))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", ["escape", "D"])
async def test_marks_are_there_when_the_list_is_opened_again(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, way: str
) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(app.shelf.known) == 3)
        await browser(app, pilot)
        await pilot.press("space", "j", "space")
        await until(pilot, lambda: "2 marked" in text(app))
        marked = [line.strip() for line in text(app).splitlines() if line.strip().startswith("*")]
        inks = dict(app.marks.inks)
        assert len(marked) == 2
        await pilot.press(way)
        await until(pilot, lambda: kinds(app) == [HomeScreen])
        if way == "D":  # which goes to the settings
            await until(pilot, lambda: app.focused is not None and app.focused.id == "settings-list")
        await browser(app, pilot)
        await until(pilot, lambda: "2 marked" in text(app))
        assert [line.strip() for line in text(app).splitlines() if line.strip().startswith("*")] == marked
        assert app.marks.inks == inks
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


async def test_marks_of_deleted_runs_go_and_those_of_runs_that_cannot_be_read_stay(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    fill(runs)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.shelf.known) == 3)
        await browser(app, pilot)
        await pilot.press("space", "space", "space")
        await until(pilot, lambda: "3 marked" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: kinds(app) == [HomeScreen])
        (runs / "second").rename(tmp_path / "elsewhere")
        await browser(app, pilot, 2)
        await until(pilot, lambda: "2 marked" in text(app))
        assert sorted(app.marks.names) == ["first", "third"]

        def refused() -> None:
            raise OSError("the disk is away")

        monkeypatch.setattr(app.shelf, "read", refused)
        assert isinstance(app.screen, RunsScreen)
        app.screen._reading.anew()
        await until(pilot, lambda: "the disk is away" in text(app))
        monkeypatch.undo()
        app.screen._reading.anew()
        await until(pilot, lambda: "runs  2 " in text(app))
        assert "2 marked" in text(app)
