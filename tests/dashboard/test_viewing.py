"""Zoom, pan and cursor: pure arithmetic, linear and logarithmic; and the same by mouse."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Iteration
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.plots import Figure, Series, Viewport, draw
from mim4dd_tui.plots.page import to_svg
from mim4dd_tui.plots.paper import lay_out
from mim4dd_tui.plots.viewing import following, panned, stepped, whole, window, zoomed
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine, _FakeRun
from tests.dashboard.helpers import SIZES, run_screen, text, until, within

X = np.arange(1, 1001, dtype=float)
FIGURE = Figure((Series("a", X, np.sqrt(X)),))


def view_of(*, log: bool = False, x: tuple[float, float] | None = None, cursor: float | None = None) -> Viewport:
    return Viewport(x=x, log_x=log, cursor=cursor)


def test_zooming_keeps_the_place_under_the_pointer() -> None:
    view = zoomed(FIGURE, view_of(), 0.5, at=250.0)
    assert view.x is not None
    low, high = view.x
    assert high - low == pytest.approx(999 / 2)
    assert (250 - low) / (high - low) == pytest.approx((250 - 1) / 999)


def test_zooming_on_a_logarithmic_axis_goes_by_factors() -> None:
    view = zoomed(FIGURE, view_of(log=True), 0.5, at=math.sqrt(1000))
    assert view.x == pytest.approx((1000**0.25, 1000**0.75))


def test_zooming_out_ends_with_everything() -> None:
    view = zoomed(FIGURE, view_of(x=(400.0, 600.0)), 0.5)
    for _ in range(9):
        view = zoomed(FIGURE, view, 2.0)
    assert view.x is None
    near = view_of(x=(500.0, 502.5))
    assert zoomed(FIGURE, near, 0.5) == near, "zoomed into less than two iterations"


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("cursor", [1.0, 2.0, 400.0, 999.0, 1000.0])
def test_zooming_out_around_a_cursor_ends_with_everything(log: bool, cursor: float) -> None:
    """What an edge cuts off of a wider view is added at the other side."""
    view = view_of(log=log, x=(max(1.0, cursor - 30), min(1000.0, cursor + 30)), cursor=cursor)
    for _ in range(12):
        view = zoomed(FIGURE, view, 2.0)
    assert view.x is None


@given(
    st.booleans(),
    st.lists(st.sampled_from(["in", "out", "left", "right", "step", "back", "far"]), max_size=25),
)
def test_no_way_of_moving_leads_outside_or_turns_the_view_over(log: bool, moves: list[str]) -> None:
    view = view_of(log=log)
    full = whole(FIGURE, view)
    assert full is not None
    for move in moves:
        if move in ("in", "out"):
            view = zoomed(FIGURE, view, 0.5 if move == "in" else 2.0)
        elif move in ("left", "right"):
            view = panned(FIGURE, view, 0.5 if move == "right" else -0.5)
        else:
            view = stepped(FIGURE, view, {"step": 1, "back": -1, "far": -10}[move], 60)
        seen = window(FIGURE, view)
        assert seen is not None
        assert full[0] * (1 - 1e-9) <= seen[0] < seen[1] <= full[1] * (1 + 1e-9)
        if view.cursor is not None:
            assert full[0] <= view.cursor <= full[1]


def test_panning_stops_at_the_ends_and_keeps_the_width() -> None:
    view = view_of(x=(100.0, 300.0))
    assert panned(FIGURE, view, 0.5).x == pytest.approx((200.0, 400.0))
    assert panned(FIGURE, view, -9.0).x == pytest.approx((1.0, 201.0))
    assert panned(FIGURE, view, 99.0).x == pytest.approx((800.0, 1000.0))
    assert panned(FIGURE, view_of(), 0.5) == view_of(), "nothing to pan in what is seen whole"


def test_the_view_follows_the_cursor_out_of_its_edge() -> None:
    view = stepped(FIGURE, view_of(x=(100.0, 200.0), cursor=199.0), 10, 50)
    assert view.cursor == pytest.approx(219.0)
    assert view.x == pytest.approx((119.0, 219.0))


def test_the_cursor_goes_from_point_to_point() -> None:
    """Between two evaluations there is nothing to read, and on a long curve no half iteration."""
    few = Figure((Series("accuracy", np.array([0.0, 50.0, 100.0, 150.0]), np.array([0.1, 0.5, np.nan, 0.9])),))
    places, view = [], view_of()
    for columns in (1, -1, -1, -1, 1, 1):
        view = stepped(few, view, columns, 40)
        places.append(view.cursor)
    assert places == [150.0, 50.0, 0.0, 0.0, 50.0, 150.0]
    view = stepped(FIGURE, view_of(cursor=500.0), -1, 60)
    assert view.cursor == 483.0, "1000 iterations in 60 columns"


@pytest.mark.parametrize("size", SIZES)
async def test_all_curves_are_read_at_one_place(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=60))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("2", "h", "h", "h")
        await pilot.pause()
        seen = [pane for pane in app.screen.query(PlotPane) if pane.display]
        (place,) = {pane.viewport.cursor for pane in seen}
        assert place is not None
        assert place == int(place) < 60
        assert len(seen) == 6
        for pane in seen:
            points = next(series.x for series in pane.figure.series if series.side == "left")
            nearest = float(points[np.abs(points - place).argmin()])
            assert f" at {nearest:g} " in f"{within(app, pane)} ", f"{pane.id} is read where it has no point"


def test_a_zoomed_view_follows_a_cursor_that_another_curve_leads() -> None:
    view = following(FIGURE, view_of(x=(100.0, 200.0), cursor=240.0))
    assert view.x == pytest.approx((140.0, 240.0))
    assert following(FIGURE, view_of(x=(100.0, 200.0), cursor=150.0)).x == (100.0, 200.0)
    assert following(FIGURE, view_of()) == view_of()


def test_zooming_does_not_change_what_is_smoothed() -> None:
    """A smoothed value depends on the whole past, not on the part in view."""
    y = np.random.default_rng(0).standard_normal(1000).cumsum()
    figure = Figure((Series("a", X, y),), y_floor=None)
    smooth = Viewport(smoothing=0.95)
    whole_curve = draw(figure, smooth.changed(x=(500.0, 540.0)), 60, 20)
    cut = Figure((Series("a", X[499:541], y[499:541]),))
    assert whole_curve.text() != draw(cut, smooth.changed(x=(500.0, 540.0)), 60, 20).text()


def test_20000_points_are_redrawn_within_their_budget() -> None:
    history, noise = RunHistory(), np.random.default_rng(0).standard_normal((20_000, 2))
    for i in range(1, 20_001):
        a, b = noise[i - 1].tolist()
        history.apply(Iteration(i, 2 + a, 5 + b, None, None, None, 0.1, 0.8, 0.05, 0.1), time=float(i))

    def seconds(view: Viewport) -> float:
        taken = []
        for _ in range(9):
            begun = time.process_time()
            draw(curves.ratio(history), view, 80, 22)
            taken.append(time.process_time() - begun)
        return sorted(taken)[2]

    # 15 ms on an idle core; a core shared with others may be several times slower
    assert seconds(Viewport()) < 0.045
    assert seconds(Viewport(smoothing=0.9, log_x=True, log_y=True)) < 0.045


@pytest.mark.parametrize("size", SIZES)
async def test_the_mouse_zooms_pans_and_sets_the_cursor(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("2")
        await until(pilot, lambda: "step size" in text(app))
        pane = app.screen.query_one("#losses", PlotPane)
        before_drag, after_drag = ((pane.size.width * part // 4, pane.size.height // 2) for part in (3, 2))
        await pilot.click("#losses", offset=before_drag)
        assert pane.viewport.cursor is not None
        pane.move("in")
        await pilot.pause()
        before = pane.viewport.x
        assert before is not None
        await pilot.mouse_down("#losses", offset=before_drag)
        await pilot.hover("#losses", offset=after_drag)
        await pilot.mouse_up("#losses", offset=after_drag)
        await pilot.pause()
        assert pane.viewport.x is not None
        assert pane.viewport.x[0] > before[0], "dragging to the left did not show what is to the right"
        width = pane.viewport.x[1] - pane.viewport.x[0]
        assert width == pytest.approx(before[1] - before[0])
        await pilot.press("left_parenthesis")
        await pilot.pause()
        assert pane.viewport.x[0] < before[0] + width


@pytest.mark.parametrize("size", SIZES)
async def test_all_curves_have_their_cursor_at_one_place(make_app: MakeApp, size: tuple[int, int]) -> None:
    """Whether it was set by a click on one, or moved by keys on the one in focus."""
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("2")
        await until(pilot, lambda: "step size" in text(app))
        panes = list(app.screen.query(PlotPane))

        def places() -> set[float | None]:
            return {pane.viewport.cursor for pane in panes}

        for name in ("#losses", "#step_size"):
            pane = app.screen.query_one(name, PlotPane)
            await pilot.click(name, offset=(pane.size.width * 3 // 4, pane.size.height // 2))
            await until(pilot, lambda pane=pane: places() == {pane.viewport.cursor} != {None})  # type: ignore[misc]
        assert app.focused is app.screen.query_one("#step_size"), "other keys act on the one clicked"
        await pilot.press("H")
        assert len(places()) == 1
        await pilot.press("y", "0")
        assert places() == {None}


def test_a_logarithmic_axis_says_that_it_has_no_place_for_what_is_there() -> None:
    start = Figure((Series("a", np.zeros(1), np.ones(1)),), empty="no evaluation yet")
    assert "nothing right of 0" in draw(start, Viewport(log_x=True), 60, 10).text()
    assert "nothing right of 0" in to_svg(lay_out(start, Viewport(log_x=True), {}, "a"))
    assert "nothing right of 0" not in draw(start, Viewport(), 60, 10).text()
    over = draw(replace(start, over=True), Viewport(log_x=True), 60, 10).text()
    assert "nothing right of 0" in over
    assert "yet" not in over
    assert "no evaluation yet" in draw(Figure(empty="no evaluation yet"), Viewport(log_x=True), 60, 10).text()


async def test_curves_that_differ_are_made_logarithmic_together_first(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("2")
        panes = [pane for pane in run_screen(app).query(PlotPane) if pane.display]
        panes[1].viewport = panes[1].viewport.changed(log_y=True)
        run_screen(app).set_focus(None)
        for logarithmic in (True, False, True):
            await pilot.press("y")
            assert {pane.viewport.log_y for pane in panes} == {logarithmic}


@pytest.mark.parametrize(
    ("y", "view"),
    [
        ([1.0, math.nan, math.nan, math.nan, 1.0], Viewport(x=(1.0, 3.0))),
        ([1.0, -1.0, -2.0, -1.0, 1.0], Viewport(x=(1.0, 3.0), log_y=True)),
    ],
)
def test_where_a_zoomed_view_has_no_value_that_is_said(y: list[float], view: Viewport) -> None:
    figure = Figure((Series("a", np.arange(5.0), np.array(y)),))
    assert "no value in view" in draw(figure, view, 60, 10).text()
    assert "no value in view" in to_svg(lay_out(figure, view, {}, "a"))
    assert "no value in view" not in draw(figure, view.changed(x=None), 60, 10).text()
    assert "no value in view" not in to_svg(lay_out(figure, view.changed(x=None), {}, "a"))


async def test_curves_that_were_taken_back_before_the_window_are_not_called_zoomed(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one("#losses", PlotPane)
        pane.viewport = Viewport(x=(800.0, 900.0))
        pane.show(FIGURE)
        assert "zoomed" in pane.render_line(0).text
        pane.show(Figure((Series("a", X[:500], X[:500]),)))
        assert "zoomed" not in pane.render_line(0).text


async def test_a_zoomed_view_follows_the_snapshots(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "iteration 30" in text(app))
        pane = app.screen.query_one("#losses", PlotPane)
        pane.viewport = pane.viewport.changed(x=(25.0, 30.0))
        await pilot.press("comma", "comma")
        await until(pilot, lambda: pane.viewport.cursor == 10.0)
        assert pane.viewport.x == (10.0, 15.0)


async def test_a_place_among_epochs_is_none_among_iterations(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = threading.Event()
    own = _FakeRun.baselines

    def baselines(run: _FakeRun) -> None:
        while not trained.is_set():
            run.control.tick()
            time.sleep(0.01)
        own(run)

    monkeypatch.setattr(_FakeRun, "baselines", baselines)
    app = make_app(FakeEngine(iterations=30, epochs=8))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "experts' loss" in text(app))
        pane = app.screen.query_one("#losses", PlotPane)
        await until(pilot, lambda: (whole(pane.figure, pane.viewport) or (0, 0))[1] == 8)
        await pilot.press("h", "h", "plus")
        await until(pilot, lambda: pane.viewport.x is not None and pane.viewport.cursor is not None)
        trained.set()
        await until(pilot, lambda: run_screen(app).state == "done")
        assert {(one.viewport.x, one.viewport.cursor) for one in app.screen.query(PlotPane)} == {(None, None)}
        await until(pilot, lambda: window(pane.figure, pane.viewport) == (1.0, 30.0))


async def test_the_iteration_of_a_copied_value_is_whole_in_a_very_long_run(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one("#losses", PlotPane)
        pane.show(Figure((Series("a", np.array([1_234_567.0]), np.array([0.5])),)))
        pane.focus()
        await pilot.press("c")
        await until(pilot, lambda: app.clipboard == "a\t1234567\t0.5")
