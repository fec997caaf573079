"""What a screen offers as things stand: its line of keys, and its help."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Input
from textual.widgets._footer import FooterKey

from engine.events import Event, Iteration, Notice, Observer
from engine.runs.control import Control
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.commands import commands
from mim4dd_tui.dashboard.keys import TYPING
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import HelpScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until
from tests.dashboard.shelves import make_run


def offered(app: DashboardApp) -> set[str]:
    return {str(key.description) for key in app.screen.query(FooterKey) if key.display}


async def test_the_footer_of_a_run_offers_what_works_as_it_stands(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=50, hold=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        await until(pilot, lambda: {"pause", "stop", "evaluate"} <= offered(app) and "resume" not in offered(app))
        await pilot.press("x")
        await until(pilot, lambda: "resume" in offered(app) and not {"pause", "stop", "evaluate"} & offered(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_that_goes_on_offers_a_new_one_of_its_settings(make_app: MakeApp, size: tuple[int, int]) -> None:
    """From when it has a folder, as the key works, and beside what steers it and leads back."""
    begin = threading.Event()

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        assert begin.wait(60)
        return FakeEngine(iterations=50, hold=True)(order, observer, control)

    app = make_app(launch)
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "pause" in offered(app))
        assert "new run" not in offered(app), "there is nothing to take them from"
        begin.set()
        steering = {"pause", "stop", "evaluate", "new run", "back", "help"}
        await until(pilot, lambda: run_screen(app).history.iteration == 50 and steering <= offered(app))
        assert whole(app)
        await pilot.press("D")
        await until(pilot, lambda: "start" in offered(app))


async def test_a_run_that_is_done_offers_neither_to_stop_nor_to_resume(tmp_path: Path, make_app: MakeApp) -> None:
    app = make_app(attach=make_run(tmp_path, "old").path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "view" in offered(app))
        assert not {"pause", "stop", "evaluate", "resume"} & offered(app)


async def test_keys_of_curves_are_offered_once_there_is_one(make_app: MakeApp) -> None:
    begun = threading.Event()

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        assert begun.wait(60)
        return FakeEngine(iterations=50, hold=True)(order, observer, control)

    app = make_app(launch)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and {"pause", "view"} <= offered(app))
        assert not {"cursor left", "zoom in", "log y"} & offered(app)
        begun.set()
        await until(pilot, lambda: {"cursor left", "zoom in", "log y"} <= offered(app))


async def test_an_empty_queue_and_an_empty_list_offer_what_does_something(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: "nothing waits" in text(app) and offered(app) == {"back", "help", "quit"})
        await pilot.press("escape", "b")
        await until(pilot, lambda: "no runs yet" in text(app) and "search" in offered(app))
        assert not {"mark", "compare", "open"} & offered(app)
        make_run(tmp_path / "runs", "first")
        await until(pilot, lambda: {"mark", "compare", "open"} <= offered(app))


def line_of_keys(app: DashboardApp) -> str:
    return text(app).splitlines()[-1].strip() if text(app) else ""


def whole(app: DashboardApp) -> bool:
    """Whether the line of keys consists of whole keys, the help's among them."""
    shown = [f"{key.key_display} {key.description}" for key in app.screen.query(FooterKey) if key.display]
    return "? help" in shown and line_of_keys(app) == " ".join(shown)


@pytest.mark.parametrize("size", SIZES)
async def test_the_line_of_keys_is_cut_between_keys_and_keeps_the_help(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        make_run(tmp_path / "runs", name, state="stopped")
    app = make_app(FakeEngine(iterations=50, hold=True))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "start" in line_of_keys(app) and whole(app))
        await pilot.press("Q")
        await until(pilot, lambda: "back" in line_of_keys(app) and whole(app))
        await pilot.press("escape", "b")
        await until(pilot, lambda: "mark" in line_of_keys(app) and whole(app))
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: "all settings" in line_of_keys(app) and whole(app))
        await pilot.press("escape", "escape", "s")
        await until(pilot, lambda: "pause" in line_of_keys(app) and whole(app))
        await pilot.press("4")
        await until(pilot, lambda: "filter" in line_of_keys(app) and whole(app))


@pytest.mark.parametrize("size", SIZES)
async def test_while_typing_only_keys_are_offered_that_are_not_typed(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    app = make_app(attach=make_run(tmp_path / "runs", "old").path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("4", "slash")
        await until(pilot, lambda: line_of_keys(app) == "enter to the log esc all lines ^r regex f1 help")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "/ filter" in line_of_keys(app) and whole(app))


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_the_footer_says_what_keys_do_while_something_is_typed(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "zebra")
    app = make_app()

    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "zebra" in text(app))
        start = line_of_keys(app)
        await pilot.press("slash", "m")
        await until(pilot, lambda: line_of_keys(app).startswith("enter to the list esc all presets f1 help"))
        await pilot.press("escape")
        await until(pilot, lambda: line_of_keys(app) == start)
        await pilot.press("e", "slash", *"student_steps")
        await until(pilot, lambda: line_of_keys(app).startswith("enter to the list esc all settings f1 help"))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: line_of_keys(app).startswith("enter take it esc leave it as it was f1 help"))
        await pilot.press("escape", "escape", "escape", "b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "zebra" in text(app))
        await pilot.press("slash")
        await until(pilot, lambda: line_of_keys(app).startswith("enter to the list esc all runs f1 help"))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("4", "slash")
        await until(pilot, lambda: line_of_keys(app).startswith("enter to the log esc all lines"))
        assert line_of_keys(app).endswith("f1 help")
        assert "^r regex" in line_of_keys(app)
        assert line_of_keys(app).count("esc") == 1


@pytest.mark.parametrize("size", SIZES)
async def test_in_the_settings_their_own_keys_come_first_in_footer_and_help(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "e settings" in line_of_keys(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "Presets and runs" in text(app))
        await pilot.press("escape", "e")
        await until(pilot, lambda: line_of_keys(app).startswith("enter edit c changed S save"))
        assert "e settings" not in line_of_keys(app)
        assert whole(app)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "Show only settings" in text(app))
        await pilot.press("escape", "p")
        await until(pilot, lambda: "e settings" in line_of_keys(app))


WAYS = {
    "presets-search": ("slash",),
    "settings-search": ("e", "slash"),
    "settings-value": ("e", "enter"),
    "runs-search": ("b", "slash"),
    "log-filter": ("r", "enter", "4", "slash"),
}
"""Keys that lead into every field."""


@pytest.mark.parametrize(("field", "key"), [(field, key) for field, keys in TYPING.items() for key, _, _ in keys])
async def test_keys_of_a_field_leave_it_as_they_say(make_app: MakeApp, field: str, key: str, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "zebra")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "zebra" in text(app))
        for way in WAYS[field]:
            await pilot.press(way)
            await until(pilot, lambda: "zebra" in text(app))
        await until(pilot, lambda: app.focused is not None and app.focused.id == field)
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.focused, Input))


async def test_with_a_run_chosen_the_first_screen_offers_what_is_done_to_runs(
    make_app: MakeApp, tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "stopped", state="stopped")
    make_run(tmp_path / "runs", "done", age=10)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "stopped" in text(app) and {"start", "settings"} <= offered(app))
        await pilot.press("r")
        await until(pilot, lambda: {"open", "resume", "new run", "presets"} <= offered(app))
        assert not {"start", "settings", "runs"} & offered(app)
        await pilot.press("j")
        await until(pilot, lambda: "open" in offered(app) and "resume" not in offered(app))
        await pilot.press("p")
        await until(pilot, lambda: {"start", "settings", "runs"} <= offered(app) and "open" not in offered(app))


async def test_the_help_scrolls_by_the_keys_that_it_lists(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert "j k or arrows scroll, esc closes" in text(app)
        page = app.screen.query_one(VerticalScroll)
        await pilot.press("j", "j")
        await until(pilot, lambda: page.scroll_offset.y == 2)
        await pilot.press("G")
        await until(pilot, lambda: page.scroll_offset.y == page.max_scroll_y > 2)
        await pilot.press("k")
        await until(pilot, lambda: page.scroll_offset.y == page.max_scroll_y - 1)
        await pilot.press("ctrl+b", "g")
        await until(pilot, lambda: page.scroll_offset.y == 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", ["1", "4"])
async def test_the_line_of_keys_says_what_space_does_now(make_app: MakeApp, size: tuple[int, int], view: str) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press(view)
        for name in ("pause", "go on", "pause"):
            await until(pilot, lambda name=name: f"space {name}" in text(app).splitlines()[-1])  # type: ignore[misc]
            await pilot.press("space")
        await until(pilot, lambda: "space go on" in text(app).splitlines()[-1])
        await pilot.press("2")
        await until(pilot, lambda: "space go on" in text(app).splitlines()[-1])
        await pilot.press("space")


def last_line(app: DashboardApp) -> str:
    """The line of keys; nothing before the first painting."""
    return "".join(text(app).splitlines()[-1:])


@pytest.mark.parametrize("size", [(160, 48)])
async def test_the_line_of_keys_says_what_a_key_does_from_here(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=20))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        for keys, said in (
            (("2",), "z enlarge"), (("z",), "z all again"), (("z",), "z enlarge"),
            (("y",), "y linear y"), (("y",), "y log y"),
            (("p",), "p stop playing"), (("p",), "p replay"),
            (("3",), "enter larger"), (("enter",), "bksp smaller"), ((), "esc all images"), (("escape",), "esc back"),
            (("o",), "o alone"), (("o",), "o origin"),
            (("4", "slash", "a", "enter"), "esc all lines"), (("escape",), "esc back"),
        ):  # fmt: skip
            await pilot.press(*keys)
            await until(pilot, lambda said=said: said in last_line(app))  # type: ignore[misc]
        await pilot.press("3")
        await until(pilot, lambda: "enter larger" in last_line(app) and "smaller" not in last_line(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "bksp smaller" in last_line(app) and "larger" not in last_line(app))


async def test_the_line_of_keys_of_a_comparison_says_what_a_key_does_from_here(
    make_app: MakeApp, tmp_path: Path
) -> None:
    infos = [read_run(make_run(tmp_path / "runs", name)) for name in ("one", "two")]
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        app.compare(infos, {"one": 1, "two": 2})
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "z enlarge" in last_line(app))
        for key, said in (("z", "z all again"), ("z", "z enlarge"), ("y", "y linear y"), ("y", "y log y")):
            await pilot.press(key)
            await until(pilot, lambda said=said: said in last_line(app))  # type: ignore[misc]


async def test_a_run_that_stops_is_not_asked_for_anything_more(make_app: MakeApp) -> None:
    going = threading.Event()

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        def slowly(event: Event) -> None:
            observer(event)
            if isinstance(event, Iteration) and event.iteration == 20:
                assert going.wait(60)

        return FakeEngine(iterations=50, hold=True)(order, slowly, control)

    app = make_app(launch)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await until(pilot, lambda: {"pause", "stop", "evaluate"} <= offered(app))
        assert "Back to where you came from; the run goes on." in {entry.help for entry in commands(app.screen)}
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "pausing" and "● pausing" in text(app))
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "running")
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopping")
        await until(pilot, lambda: not {"pause", "go on", "stop", "evaluate"} & offered(app))
        for key in ("x", "space", "e", "K"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: "the run is stopping already" in told(app))
            assert "cannot be written" not in told(app)
        run_screen(app)._answers.hear(Notice("warning", "not stopped yet: the disk is full", refused="checkpoint"))
        await pilot.press("e")
        await until(pilot, lambda: "stopping already: its checkpoint cannot be written yet, and is tried" in told(app))
        await pilot.press("R")
        await until(pilot, lambda: "the run is stopping: R resumes it once it has stopped" in told(app))
        assert "going on" not in told(app)
        assert not app.session or not app.session.control.paused
        going.set()
        await until(pilot, lambda: "resume" in offered(app))
        helps = {entry.help for entry in commands(app.screen)}
        assert "Back to where you came from." in helps
        assert not any("goes on" in line for line in helps if line.startswith("Back to"))
