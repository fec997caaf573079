"""The lines over curves name what they say, however little room there is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.comparison import METRICS, table
from mim4dd_tui.dashboard.contenders import Contender
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.plot_title import Title
from mim4dd_tui.plain import percent
from mim4dd_tui.plots.figure import Band, Figure, Level, Moment, Series, Viewport
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.helpers import text, until
from tests.dashboard.shelves import make_run
from tests.runs.helpers import evaluation


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


async def test_the_cursors_place_is_told_to_the_iteration_in_a_long_run() -> None:
    x = np.arange(1.0, 20_001.0)
    few = np.array([12_000.0, 12_300.0])
    app = Alone(Figure((Series("a", x, x, 1), Series("b", few, few, 2))))
    async with app.run_test(size=(60, 12)) as pilot:
        pane = app.query_one(PlotPane)
        pane.viewport = Viewport(x=(12_340.0, 12_352.0), cursor=12_347.0)
        await pilot.pause()
        assert pane.render_line(0).text.rstrip().removesuffix("  zoomed") == "loss  a 12.3k  b 12.3k (12300)  at 12347"


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


def accuracies(live: list[float], asked: list[float]) -> Figure:
    """A run's live accuracies and those asked for: 0.8 at iteration 0, and a thousandth more at each."""
    x, more = np.array(live), np.array(asked)
    curve = Series("live, quick-100", x, 0.8 + x / 1000, 5, markers=True) if live else None
    marks = Series("asked for", more, 0.8 + more / 1000, 2, markers=True, line=False)
    return Figure(((curve,) if curve else ()) + (marks,), (Level("random", 0.618, 8),), told=percent)


def told(figure: Figure, place: float | None, width: int, happened: tuple[str, ...] = ()) -> str:
    title = Title(figure, Viewport(cursor=place), ("accuracy", "acc."), "z", width, {}, "->", happened)
    heading, said = title.said()
    return heading + "".join(part for part, _ in said)


@pytest.mark.parametrize(
    ("place", "width", "said"),
    [
        (75.0, 80, "accuracy  live, quick-100 85.0 %  at 50  random 61.8 %  asked for 89.4 % (94)"),
        (75.0, 60, "accuracy  live, quick-100 85.0 %  at 50  random 61.8 %"),
        (75.0, 40, "accuracy  live, quick-100 85.0 %  at 50"),
        (75.0, 25, "acc.  live 85.0 %  at 50"),
        (94.0, 60, "accuracy live, quick-100 90.0 % (100) asked for 89.4 % at 94"),
        (94.0, 36, "accuracy live asked for 89.4 % at 94"),
        (94.0, 28, "acc. asked for 89.4 % at 94"),
    ],
)
def test_a_place_is_named_with_the_value_that_stands_there(place: float, width: int, said: str) -> None:
    assert told(accuracies([0.0, 50.0, 100.0], [94.0, 111.0, 112.0]), place, width) == said


@given(st.integers(0, 130), st.integers(12, 90), st.booleans())
def test_no_value_in_a_title_is_said_to_be_where_it_is_not(place: int, width: int, started: bool) -> None:
    figure = accuracies([0.0, 50.0, 100.0] if started else [], [94.0, 111.0, 112.0])
    said = told(figure, float(place), width).replace(" (z)", "")
    read = [
        (float(value), own) for value, own in re.findall(r"(?:live|quick-100|for) ([\d.]+)(?: %)?(?: \((\d+)\))?", said)
    ]
    (at,) = re.findall(r" at (\d+)", said) or [""]
    if at:
        assert any(not own for _, own in read), said
        assert all(value == round(80 + int(own or at) / 10, 1) for value, own in read), said


def test_an_expert_that_is_trained_is_read_where_its_curve_has_come_to() -> None:
    before, now = np.arange(1.0, 31.0), np.array([1.0, 2.0, 3.0])
    figure = Figure((Series("", before, before / 30, 101), Series("expert 2", now, now / 7, 1)))
    assert told(figure, 20.0, 60) == "accuracy  expert 2 0.429  at 3"


def test_what_happened_at_the_cursor_is_not_put_where_the_values_are() -> None:
    figure = replace(accuracies([0.0, 50.0, 100.0], [94.0]), moments=(Moment("lengthened", 75.0),))
    assert told(figure, 75.0, 60, ("lengthened",)).startswith(
        "accuracy  live, quick-100 85.0 %  at 50  lengthened (75)"
    )


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
