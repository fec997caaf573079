"""Where a run was lengthened or went back: drawn in its curves, told at the cursor, and on paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.events import Event, ExpertEpoch, Iteration, Lengthened, Recovered, RunStarted
from engine.runs.history import RunHistory
from engine.runs.journal import JournalWriter
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.plot_title import Title
from mim4dd_tui.plots.draw import CURSOR, MOMENT, PLAIN, Drawing, Glyphs, draw
from mim4dd_tui.plots.figure import Figure, Level, Moment, Series, Viewport
from mim4dd_tui.plots.page import QUIET, Page, Stroke, Words, to_svg
from mim4dd_tui.plots.paper import lay_out
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import run_screen, until, within
from tests.dashboard.shelves import make_run

X = np.arange(1.0, 102.0)
CURVE = Series("a", X, X, 1)
LONGER = Lengthened(50, 50, 100)
BACK = Recovered(20, 23, 1, 3, 0.5)


def marked(*moments: Moment) -> Figure:
    return Figure((CURVE,), moments=moments)


def columns(drawing: Drawing, letter: str) -> set[int]:
    return set(np.flatnonzero((drawing.chars == letter).any(axis=0)).tolist())


def iteration(number: int) -> Iteration:
    size = 0.05 - number * 1e-4  # learned
    return Iteration(number, math.exp(-number / 50), 3.0, 1.0, math.log(10), [1.0], 0.1, 0.8, size, 0.1)


def history(*events: Event) -> RunHistory:
    found = RunHistory()
    for event in events:
        found.apply(event, time=1.0)
    return found


LENGTHENED = [
    *map(iteration, range(1, 24)),
    BACK,
    *map(iteration, range(21, 51)),
    LONGER,
    *map(iteration, range(51, 90)),
]


@pytest.mark.parametrize("glyphs", ["braille", "ascii"])
def test_a_moment_is_a_line_in_its_column_behind_the_curves(glyphs: Glyphs) -> None:
    bare = draw(marked(), Viewport(), 60, 12, glyphs)
    drawing = draw(marked(Moment("lengthened", 41.0)), Viewport(), 60, 12, glyphs)
    column = drawing.column_of(41.0)
    assert column is not None
    assert columns(drawing, MOMENT[glyphs]) == {column}
    line = drawing.chars[:-1, column]
    kept = bare.chars[:-1, column] != " "
    assert kept.any()
    assert (line[kept] == bare.chars[:-1, column][kept]).all()
    assert (line[~kept] == MOMENT[glyphs]).all()
    assert (drawing.inks[:-1, column][~kept] == PLAIN).all()


@pytest.mark.parametrize(
    "view", [Viewport(x=(50.0, 90.0)), Viewport(log_x=True)], ids=["zoomed past it", "no place on the axis"]
)
def test_one_that_is_not_in_view_is_not_drawn(view: Viewport) -> None:
    moment = Moment("went back", 0.0 if view.log_x else 20.0)
    assert not columns(draw(marked(moment), view, 60, 12), MOMENT["braille"])
    assert "went back" not in to_svg(lay_out(marked(moment), view, {}, "t"))


def test_the_cursor_is_seen_where_a_moment_stands() -> None:
    drawing = draw(marked(Moment("lengthened", 41.0)), Viewport(cursor=41.0), 60, 12)
    assert not columns(drawing, MOMENT["braille"])
    assert (drawing.inks == CURSOR).any()


@pytest.mark.parametrize("width", [20, 33, 60, 120])
@pytest.mark.parametrize("glyphs", ["braille", "ascii"])
def test_what_happened_is_told_in_the_column_of_its_line_and_in_no_other(glyphs: Glyphs, width: int) -> None:
    figure = marked(Moment("lengthened", 41.0), Moment("lengthened", 41.4), Moment("went back", 80.0))
    drawing = draw(figure, Viewport(), width, 12, glyphs)
    for name, places in (("lengthened", (41.0, 41.4)), ("went back", (80.0,))):
        lines = {drawing.column_of(place) for place in places}
        columns = range(drawing.left, drawing.right)
        told = {column for column in columns if name in drawing.happened(drawing.value_at(column), figure.moments)}
        assert told == lines
    assert drawing.happened(41.0, figure.moments) == ("lengthened",)
    assert drawing.happened(None, figure.moments) == ()
    assert draw(figure, Viewport(x=(90.0, 95.0)), width, 12, glyphs).happened(41.0, figure.moments) == ()


def test_the_title_tells_what_happened_at_the_cursor() -> None:
    title = Title(marked(), Viewport(cursor=41.0), ("loss",), "", 60, {}, "→", ("lengthened", "went back"))
    assert "".join(text for text, _ in title.said()[1]) == "  a 41  at 41  lengthened  went back"


def test_a_value_goes_before_what_happened() -> None:
    title = Title(marked(), Viewport(cursor=41.0), ("loss",), "", 20, {}, "→", ("lengthened",))
    assert "".join(text for text, _ in title.said()[1]) == "  a 41  at 41"


def test_every_curve_over_iterations_has_the_moments_of_its_run() -> None:
    run = history(*LENGTHENED)
    for name in curves.FIGURES:
        assert curves.drawn(name, run).moments == (Moment("lengthened", 50), Moment("went back", 20)), name
    twice = history(*LENGTHENED, LONGER)
    assert len(curves.drawn("losses", twice).moments) == 2


def test_the_experts_epochs_have_none() -> None:
    started = RunStarted("lion", "digits-ipc1", 0, 10, 50, "here", 1, "0", {"device": "cpu"})
    epochs = [ExpertEpoch(0, 2, epoch, 10, 1.0, 0.5, None, 0.1) for epoch in (1, 2)]
    training = history(started, *epochs, LONGER)
    assert curves.drawn("losses", training).x_name == "epoch"
    assert curves.drawn("losses", training).moments == ()


def named(page: Page) -> list[Words]:
    return [s for s in page.shapes if isinstance(s, Words) and s.text in ("lengthened", "went back")]


def upright(page: Page) -> Sequence[Stroke]:
    return [s for s in page.shapes if isinstance(s, Stroke) and s.colour == QUIET]


def test_on_paper_each_has_its_name_beside_it() -> None:
    page = lay_out(marked(Moment("went back", 21.0), Moment("lengthened", 81.0)), Viewport(), {}, "t")
    back, longer = upright(page)
    frame = next(s for s in page.shapes if isinstance(s, Stroke) and len(s.points) == 5)
    left, right = (pick(x for x, _ in frame.points) for pick in (min, max))
    for line, share in ((back, 0.2), (longer, 0.8)):
        (x, top), (same, bottom) = line.points
        assert x == same == pytest.approx(left + share * (right - left))
        assert (top, bottom) == (min(y for _, y in frame.points), max(y for _, y in frame.points))
    first, second = named(page)
    assert (first.text, first.anchor, second.text, second.anchor) == ("went back", "start", "lengthened", "end")
    assert first.at[0] > back.points[0][0]
    assert second.at[0] < longer.points[0][0]
    assert first.at[1] != second.at[1]
    assert "lengthened" in to_svg(page)


@pytest.mark.parametrize("place", [21.0, 81.0])
def test_on_paper_no_name_of_one_lies_on_a_level_or_its_name(place: float) -> None:
    """A ceiling is near the upper edge, where the names of moments are."""
    moments = tuple(Moment("lengthened", place + number) for number in range(3))
    for value in np.linspace(80.0, 101.0, 40):
        levels = (Level("full", float(value)), Level("random", float(value) - 7.0))
        page = lay_out(Figure((CURVE,), levels, moments=moments), Viewport(), {}, "t")
        lines = [s.points[0][1] for s in page.shapes if isinstance(s, Stroke) and s.dashed]
        ends = [s.at[1] for s in page.shapes if isinstance(s, Words) and s.text in ("full", "random")]
        assert len(lines) == len(ends) == 2
        names = [words.at[1] for words in named(page)]
        assert len(set(names)) == 3, "neighbours' names are at three heights"
        for y in names:
            assert not any(y - 9 <= line <= y + 3 for line in lines)
            assert not any(abs(y - end) < 11 for end in ends)


async def test_the_runs_screen_draws_and_tells_it(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "lion", journal=False)
    with JournalWriter(folder.journal_path) as writer:
        writer.append(RunStarted("lion", "digits-ipc1", 0, 10, 50, "here", 1, "0", {"device": "cpu"}))
        for event in LENGTHENED:
            writer.append(event)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.open_run(folder)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 89)
        pane = app.screen.query_one("#step_size", PlotPane)
        await until(pilot, lambda: within(app, pane).count(MOMENT["braille"]) > 4)
        pane.viewport = pane.viewport.changed(cursor=50.0)
        await until(pilot, lambda: "at 50 lengthened" in within(app, pane))
