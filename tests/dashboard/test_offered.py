"""What the screen of a run offers, and that the lines over curves name what they say."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input
from textual.widgets._footer import FooterKey

from engine.events import Event, Iteration, Observer
from engine.runs.control import Control
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.commands import commands
from mim4dd_tui.dashboard.comparison import METRICS, table
from mim4dd_tui.dashboard.contenders import Contender
from mim4dd_tui.dashboard.keys import TYPING
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import HelpScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.plain import percent
from mim4dd_tui.plots.figure import Band, Figure, Level, Series, Viewport
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until
from tests.dashboard.shelves import make_run
from tests.runs.helpers import evaluation


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


class Alone(App[None]):
    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.figure = figure

    def compose(self) -> ComposeResult:
        pane = PlotPane("loss", whole="z")
        pane.show(self.figure)
        yield pane


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (80, "loss  A 28.6 %  B 28.6 %  C 28.6 %  D 28.6 %  random 61.8 %"),
        (58, "loss  A 28.6 %  B 28.6 %  C 28.6 %  D 28.6 %"),
        (45, "loss  A 28.6 %  B 28.6 %  C 28.6 %  D 28.6 %"),
        (40, "loss A 28.6 % B 28.6 % C 28.6 % D 28.6 %"),
        (32, "loss  A 28.6 %  B 28.6 %  C D"),
        (22, "loss  A 28.6 %  B C D"),
        (20, "loss A 28.6 % B C D"),
        (13, "loss  A B C D"),
        (12, "loss A B C D"),
        (8, "loss"),
    ],
)
async def test_no_curve_loses_its_name_before_all_values_have_gone(width: int, said: str) -> None:
    x = np.array([1.0, 2.0])
    curves = [Series(letter, x, x / 7, ink) for ink, letter in enumerate("ABCD", 1)]
    app = Alone(Figure(tuple(curves), (Level("random", 0.618, 8),), told=percent))
    async with app.run_test(size=(width, 12)) as pilot:
        await pilot.pause()
        assert app.query_one(PlotPane).render_line(0).text.rstrip() == said


async def test_names_that_have_no_room_are_counted() -> None:
    x = np.array([1.0, 2.0])
    app = Alone(Figure(tuple(Series(f"curve{ink}", x, x / 7, ink) for ink in range(1, 9))))
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        pane = app.query_one(PlotPane)
        assert pane.render_line(0).text.rstrip() == "loss  curve1 curve2 curve3  +5 more (z)"
        await pilot.press("tab")
        pane.move("left")
        await pilot.pause()
        assert pane.render_line(0).text.rstrip() == "loss  curve1 0.286  at 2  +7 more (z)"


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (70, "loss  objective 0.286  information 0.571  log y  smooth 0.5  zoomed"),
        (50, "loss  objective 0.286  information 0.571 [yw+]"),
        (35, "loss  objective information [yw+]"),
        (30, "loss  objective information"),
        (22, "loss  objective 0.286"),
    ],
)
async def test_how_a_curve_is_looked_at_is_said_in_words_or_by_its_keys(width: int, said: str) -> None:
    x = np.array([1.0, 2.0, 8.0])
    app = Alone(Figure((Series("objective", x, x * 0 + 2 / 7, 1), Series("information", x, x * 0 + 4 / 7, 2))))
    async with app.run_test(size=(width, 12)) as pilot:
        pane = app.query_one(PlotPane)
        pane.viewport = Viewport(x=(1.0, 4.0), log_y=True, smoothing=0.5)
        await pilot.pause()
        assert pane.render_line(0).text.rstrip() == said
        pane.move("reset")
        assert pane.viewport == Viewport(log_y=True, smoothing=0.5), "the axes are no part of what 0 takes back"


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (50, "loss objective 0.286 information 0.571 at 2 [y]"),
        (45, "loss objective 0.286 information 0.571 at 2"),
    ],
)
async def test_a_cursors_values_go_before_how_its_curves_are_looked_at(width: int, said: str) -> None:
    x = np.array([1.0, 2.0, 8.0])
    app = Alone(Figure((Series("objective", x, x * 0 + 2 / 7, 1), Series("information", x, x * 0 + 4 / 7, 2))))
    async with app.run_test(size=(width, 12)) as pilot:
        pane = app.query_one(PlotPane)
        pane.viewport = Viewport(log_y=True, cursor=2.0)
        await pilot.pause()
        assert pane.render_line(0).text.split() == said.split()


async def test_what_qualifies_a_name_gives_way_to_how_its_curve_is_looked_at() -> None:
    x = np.array([1.0, 2.0])
    app = Alone(
        Figure((Series("live, quick-100", x, x * 0 + 0.889, 1, band=Band(x * 0 + 0.869, x * 0 + 0.909)),), told=percent)
    )
    async with app.run_test(size=(30, 12)) as pilot:
        pane = app.query_one(PlotPane)
        pane.viewport = Viewport(log_y=True, log_x=True, smoothing=0.5)
        await pilot.pause()
        assert pane.render_line(0).text.rstrip() == "loss  live 88.9 % [yXw]"


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
@pytest.mark.parametrize("grid", [False, True])
async def test_eight_compared_runs_are_all_named(
    make_app: MakeApp, size: tuple[int, int], grid: bool, tmp_path: Path
) -> None:
    for seed in range(8):
        make_run(tmp_path / "runs", f"quick-s{seed}", seed=seed)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: text(app).count("quick-s") == 8)
        await pilot.press(*["space"] * 8, "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and " A " in text(app))
        if grid:
            await pilot.press("M")
            await until(pilot, lambda: "H" in text(app) and "obj" in text(app))
        for pane in app.screen.query(PlotPane):
            if pane.display:
                said = pane.render_line(0).text
                named = all(f" {letter} " in said + " " for letter in "ABCDEFGH")
                assert named, said


@pytest.mark.parametrize("colours", [True, False], ids=["colours", "none"])
async def test_with_a_cursor_every_curve_of_four_plots_keeps_its_name(
    make_app: MakeApp, tmp_path: Path, colours: bool
) -> None:
    for seed, name in enumerate(("lion", "tapir", "zebra", "okapi")):
        make_run(tmp_path / "runs", name, seed=seed)
    app = make_app(abilities=RICH if colours else replace(RICH, no_color=True))
    async with app.run_test(size=(60, 20)) as pilot:
        infos = Shelf(tmp_path / "runs").read()
        app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "80.0" in text(app))
        await pilot.press("M", "g", "h", "w", "plus")
        panes = [pane for pane in app.screen.query(PlotPane) if pane.id != "compare-plot"]
        await until(pilot, lambda: all(pane.viewport.cursor is not None and pane.display for pane in panes))
        for pane in panes:
            said = re.sub(r"[\u2800-\u28ff]", "", pane.render_line(0).text).split()
            assert [word for word in said if word in "ABCD"] == list("ABCD"), said
            assert said[said.index("A") + 1].replace(".", "").isdecimal(), f"no value is read: {said}"


@pytest.mark.parametrize(
    ("names", "width", "said"),
    [
        ("ABC", 80, "loss  A 28.6 %  B 28.6 %  C 28.6 %  at 2  log y"),
        ("ABC", 36, "loss A 28.6 % B 28.6 % C 28.6 % at 2"),
        ("ABC", 31, "loss  A 28.6 %  B C  at 2 [y]"),
        ("ABC", 27, "loss A 28.6 % B C at 2 [y]"),
        ("ABC", 25, "loss  A 28.6 %  B C  at 2"),
        ("ABC", 22, "loss A 28.6 % B C at 2"),
        ("ABC", 20, "loss A 28.6 B C at 2"),
        ("ABC", 17, "loss  A 28.6  B C"),
        ("ABC", 15, "loss A 28.6 B C"),
        ("ABC", 14, "loss  A 28.6 %"),
        ("ABC", 12, "loss  A B C"),
        ("AB", 24, "loss A 28.6 % B at 2 [y]"),
        ("AB", 19, "loss A 28.6 B at 2"),
        ("AB", 16, "loss  A 28.6  B"),
        ("AB", 13, "loss A 28.6 B"),
    ],
)
async def test_before_a_name_go_marks_units_and_the_cursors_place(names: str, width: int, said: str) -> None:
    x = np.array([1.0, 2.0])
    app = Alone(Figure(tuple(Series(letter, x, x / 7, ink) for ink, letter in enumerate(names, 1)), told=percent))
    async with app.run_test(size=(width, 12)) as pilot:
        pane = app.query_one(PlotPane)
        pane.viewport = Viewport(log_y=True, cursor=2.0)
        await pilot.pause()
        assert pane.render_line(0).text.rstrip() == said


def test_a_comparison_says_which_accuracy_is_live() -> None:
    assert METRICS["accuracy"][0] == "live accuracy"
    going, over = RunHistory(), RunHistory()
    going.apply(evaluation(10, best_so_far=True))
    for subject in ("live", "best", "last"):
        over.apply(evaluation(10, subject, best_so_far=subject == "live"))
    lines = {line.name: line.values for line in table([_contender("A", going), _contender("B", over)])}
    for name in ("best accuracy", "last accuracy"):
        assert lines[name] == ("~50.0 ± 1.0 %", "50.0 ± 1.0 %")


def _contender(mark: str, history: RunHistory) -> Contender:
    return Contender(mark, mark, 1, "running", history, None)


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
            await until(pilot, lambda: "the run is stopping already: it ends its step first" in told(app))
        assert not app.session or not app.session.control.paused
        going.set()
        await until(pilot, lambda: "resume" in offered(app))
        helps = {entry.help for entry in commands(app.screen)}
        assert "Back to where you came from." in helps
        assert not any("goes on" in line for line in helps if line.startswith("Back to"))
