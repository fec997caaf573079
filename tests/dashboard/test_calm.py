"""Keys are answered at once and watching is cheap: what is not done, or done once, or done when nobody types."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import weakref
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual._compositor import Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Static
from textual.widgets._footer import FooterKey

from engine.events import Iteration, Phase
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard import curves, settled
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.growing import grown
from mim4dd_tui.dashboard.pace import LONGEST, SHARE, TYPING_SECONDS, Pace
from mim4dd_tui.dashboard.screens.dialogs import HelpScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.settled import APART_SECONDS, NEVER, OVERDUE, QUIET_SECONDS, Collector
from mim4dd_tui.dashboard.widgets import plot
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.runs import RunList
from mim4dd_tui.plots.draw import Drawing, Glyphs, draw
from mim4dd_tui.plots.figure import Figure, Viewport
from mim4dd_tui.plots.smooth import Smoothing, ema
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, until
from tests.dashboard.shelves import make_run

# ---- the collector


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many collections of the young generation Python counts since the last full one."""

    def set_to(count: int) -> None:
        monkeypatch.setattr(gc, "get_count", lambda: (0, 0, count))

    return set_to


def test_costly_full_collections_are_made_more_seldom(waiting: Callable[[int], None]) -> None:
    usual, clock, processor = gc.get_threshold(), Clock(), Clock()

    def reading() -> float:
        processor.now += 0.05  # from one reading to the next, as if that had been the collection
        return processor.now

    collector = Collector(clock=clock, processor=reading)
    waiting(usual[2] + 1)
    collector.hold()
    try:
        clock.now += APART_SECONDS
        assert collector.tick()
        clock.now += 0.9 * 0.05 / settled.SHARE
        assert not collector.tick()
        clock.now += 0.2 * 0.05 / settled.SHARE
        assert collector.tick()
    finally:
        collector.release()


def test_full_collections_wait_until_nobody_types(waiting: Callable[[int], None]) -> None:
    usual, clock = gc.get_threshold(), Clock()
    collector = Collector(clock=clock)
    waiting(usual[2] + 1)
    assert not collector.tick(), "nothing is its business before it holds"
    collector.hold()
    try:
        assert gc.get_threshold()[2] == NEVER
        clock.now += APART_SECONDS
        collector.touched()
        assert not collector.tick()
        clock.now += QUIET_SECONDS
        waiting(usual[2])
        assert not collector.tick(), "too little to collect"
        waiting(usual[2] + 1)
        assert collector.tick()
        clock.now += APART_SECONDS / 2
        assert not collector.tick(), "too soon after the last"
        collector.touched()
        waiting(usual[2] * OVERDUE + 1)
        assert collector.tick(), "memory comes first at some point"
    finally:
        collector.release()
    assert gc.get_threshold() == usual


class Node:
    """Something that can hold itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_exists_when_a_phase_begins_is_set_aside_and_given_back() -> None:
    heard: list[object] = []
    garbage = weakref.ref(Node())
    before = gc.get_freeze_count()
    with settled.settled(heard.append) as observe:
        observe(Iteration(1, 1.0, None, None, None, None, 0.1, None, 0.05, 0.1))
        assert gc.get_freeze_count() == before
        observe(Phase("distill"))
        assert gc.get_freeze_count() > before
        assert garbage() is None, "garbage is collected before, or it would stay"
    assert gc.get_freeze_count() == 0
    assert [type(event) for event in heard] == [Iteration, Phase]


def test_an_error_of_the_run_gives_back_what_was_set_aside() -> None:
    def fail() -> None:
        with settled.settled(lambda _event: None) as observe:
            observe(Phase("distill"))
            raise RuntimeError("of the run")

    with pytest.raises(RuntimeError, match="of the run"):
        fail()
    assert gc.get_freeze_count() == 0


async def test_python_collects_by_itself_again_when_the_interface_is_gone(make_app: MakeApp) -> None:
    usual = gc.get_threshold()
    app = make_app()
    async with app.run_test(size=(80, 24)):
        assert gc.get_threshold()[2] == NEVER
    assert gc.get_threshold() == usual


# ---- pace


def test_a_painting_puts_off_the_next_one_by_its_cost() -> None:
    clock, processor = Clock(), Clock()
    pace = Pace(clock=clock, processor=processor)
    assert pace.due(0.4)
    pace.begin()
    processor.now += SHARE  # a second's worth
    pace.settle()
    processor.now += 5  # what a key cost later is not its cost
    pace.settle()
    assert pace.cost == pytest.approx(SHARE)
    clock.now += 0.9
    assert not pace.due(0.4)
    clock.now += 0.2
    assert pace.due(0.4)
    assert not pace.due(2.0)
    pace.begin()
    processor.now += 100
    pace.settle()
    clock.now += LONGEST + 0.1
    assert pace.due(0.4), "however slow the machine"


def test_nothing_is_painted_by_itself_while_somebody_types_but_not_for_ever() -> None:
    clock = Clock()
    pace = Pace(clock=clock, processor=Clock())
    assert pace.due(0.4, untouched=0.0), "the first painting"
    pace.begin()
    pace.settle()
    clock.now += 0.5
    assert pace.due(0.4, untouched=TYPING_SECONDS)
    assert not pace.due(0.4, untouched=TYPING_SECONDS - 0.1)
    clock.now += LONGEST
    assert pace.due(0.4, untouched=0.0), "a key held down does not stop the curves"


async def test_a_key_puts_off_the_curves(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
        asked: list[float] = []

        def due(_least: float, *, untouched: float) -> bool:
            asked.append(untouched)
            return False

        screen = run_screen(app)
        monkeypatch.setattr(screen._pace, "due", due)
        begun = time.monotonic()
        await pilot.press("h")
        screen._dirty.add("losses")
        screen._paint()
        assert 0 <= asked[-1] <= time.monotonic() - begun
        app._collector._touched -= 100
        screen._paint()
        assert asked[-1] >= 100


@given(st.integers(1, 6), st.integers(0, 9), st.data())
def test_rows_are_the_cells_in_runs_of_one_ink(height: int, width: int, data: st.DataObject) -> None:
    cells = st.lists(
        st.lists(st.sampled_from(" ⣿│x"), min_size=width, max_size=width), min_size=height, max_size=height
    )
    inks = st.lists(st.lists(st.integers(-1, 2), min_size=width, max_size=width), min_size=height, max_size=height)
    drawn, inked = data.draw(cells), data.draw(inks)
    chars = np.array(drawn, dtype="<U1").reshape(height, width)
    drawing = Drawing(chars, np.array(inked, dtype=np.int16).reshape(height, width), 0, width, None)
    rows = list(drawing.rows())
    assert [[(cell, ink) for text, ink in row for cell in text] for row in rows] == [
        list(zip(line, line_inks, strict=True)) for line, line_inks in zip(drawn, inked, strict=True)
    ]
    assert all(a[1] != b[1] for row in rows for a, b in pairwise(row))


# ---- curves that grow


numbers = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf]))


weights = st.sampled_from([0.5, 0.9, 0.99])


@given(st.lists(numbers, max_size=300), st.lists(st.integers(0, 300), max_size=8), weights)
def test_smoothing_piece_by_piece_is_smoothing_of_the_whole(
    values: list[float], cuts: list[int], weight: float
) -> None:
    whole, smoothing = np.array(values, dtype=float), Smoothing(weight)
    for cut in [*sorted(cuts), len(values)]:
        seen = smoothing.of(whole[:cut])
        np.testing.assert_allclose(seen, ema(whole[:cut], weight), rtol=1e-9, atol=1e-9)


def iterated(history: RunHistory, first: int, last: int, value: float = 1.0) -> None:
    """Iterations into a history; the objective is ``value`` times their number."""
    for i in range(first, last + 1):
        history.apply(Iteration(i, value * i, None, None, None, None, 0.1, 0.5, 0.05, 0.1), time=float(i))


def test_what_was_copied_once_is_not_copied_again(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    real = np.array

    def counting(values: Any, *arguments: Any, **named: Any) -> Any:
        copied.append(len(values))
        return real(values, *arguments, **named)

    history = RunHistory()
    iterated(history, 1, 1000)
    grown(history, "objective")
    iterated(history, 1001, 1003)
    monkeypatch.setattr(np, "array", counting)
    points = grown(history, "objective")
    assert copied == [3, 3]
    monkeypatch.undo()
    assert points.x.tolist() == list(range(1, 1004))
    assert points.y.tolist() == [float(i) for i in range(1, 1004)]
    copied.clear()
    assert grown(history, "objective").y is not None
    assert not copied


def test_points_taken_back_are_not_shown_and_an_earlier_figure_keeps_its_own() -> None:
    history = RunHistory()
    iterated(history, 1, 100)
    before = curves.losses(history).series[0]
    iterated(history, 51, 80, value=-1.0)  # the run went back
    now = curves.losses(history).series[0]
    assert now.y.tolist() == [*map(float, range(1, 51)), *(-float(i) for i in range(51, 81))]
    assert before.y.tolist() == list(map(float, range(1, 101)))
    assert before.smoother is not None
    assert now.smoother is not None
    np.testing.assert_allclose(before.smoother(0.9), ema(before.y, 0.9))
    np.testing.assert_allclose(now.smoother(0.9), ema(now.y, 0.9))
    iterated(history, 81, 90)
    np.testing.assert_allclose(now.smoother(0.9), ema(now.y, 0.9), err_msg="a figure's curve has its figure's length")


# ---- the run screen


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the curves as they are handed a figure."""
    names: list[str] = []
    real = PlotPane.show

    def show(pane: PlotPane, *arguments: Any, **named: Any) -> None:
        names.append(str(pane.id))
        real(pane, *arguments, **named)

    monkeypatch.setattr(PlotPane, "show", show)
    return names


async def test_without_news_nothing_is_painted(
    make_app: MakeApp, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
        screen = run_screen(app)
        screen._paint(force=True)
        await until(pilot, lambda: not screen._dirty & {"losses", "accuracy"})
        shown.clear()
        refreshed: list[str] = []
        monkeypatch.setattr(PlotPane, "refresh", lambda pane, *_regions, **_named: refreshed.append(str(pane.id)))
        for _ in range(5):
            screen.heard([])
            screen._paint(force=True)
        assert not shown
        assert not refreshed


async def test_a_covered_screen_draws_nothing_and_catches_up(make_app: MakeApp, shown: list[str]) -> None:
    app = make_app(FakeEngine(iterations=10_000, delay=0.01), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration > 5)
        screen = run_screen(app)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        shown.clear()
        reached = screen.history.iteration
        await until(pilot, lambda: screen.history.iteration > reached + 30)
        assert not shown
        assert "losses" in screen._dirty
        await pilot.press("escape")
        await until(pilot, lambda: "losses" in shown)
        pane = screen.query_one("#losses", PlotPane)
        assert pane.figure.series[-1].x[-1] > reached


async def test_a_covered_list_has_nothing_in_front_painted(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
        home, screen = app.screen_stack[-2], run_screen(app)
        assert isinstance(home, HomeScreen)
        await pilot.pause(0.2)
        refreshed: list[object] = []
        monkeypatch.setattr(screen, "refresh", lambda *regions, **_named: refreshed.append(regions))
        home.query_one("#runs-heading", Static).update("runs  31")
        home.query_one(RunList).refresh(layout=True)
        await pilot.pause(0.3)
        assert not refreshed
        monkeypatch.undo()
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is home and "runs" in text(app))


async def test_help_is_made_once_and_begins_at_the_top(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        first, top = app.screen, text(app)
        await pilot.press("pagedown")
        await until(pilot, lambda: text(app) not in ("", top))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is first and text(app) == top)
        await pilot.press("escape")
        await pilot.press("t")  # another theme has another page: its colours are part of it
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert app.screen is not first


async def test_a_line_of_keys_that_stays_the_same_is_not_made_anew(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and len(app.screen.query(FooterKey)) > 3)
        screen = run_screen(app)
        keys = list(screen.query(FooterKey))
        for _ in range(3):
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
        assert list(screen.query(FooterKey)) == keys
        await pilot.press("3")  # pictures in focus have a key of their own
        await until(pilot, lambda: "origin" in text(app).splitlines()[-1])


async def test_a_moved_cursor_repaints_two_columns_and_draws_no_curve(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
        screen = run_screen(app)
        await until(pilot, lambda: "objective" in text(app) and not screen._dirty & {"losses"})
        await pilot.press("h")
        await until(pilot, lambda: "│" in text(app))
        pane = screen.query_one("#losses", PlotPane)
        await until(pilot, lambda: not screen._dirty & {"losses"})
        drawn: list[Viewport] = []

        def drawing(figure: Figure, view: Viewport, width: int, height: int, glyphs: Glyphs) -> Drawing:
            drawn.append(view)
            return draw(figure, view, width, height, glyphs)

        monkeypatch.setattr(plot, "draw", drawing)
        regions: list[Region] = []
        monkeypatch.setattr(PlotPane, "refresh", lambda one, *some, **_n: regions.extend(some if one is pane else ()))
        old = pane.viewport.cursor
        pane.move("far_left")
        assert pane.viewport.cursor != old
        assert not drawn
        assert sorted(region.width for region in regions)[:-1] == [1, 1]
        monkeypatch.undo()
        pane.refresh(*regions)
        place = pane._draw().column_of(pane.viewport.cursor)
        assert place is not None
        place += pane.region.x + pane.gutter.left

        def marked() -> bool:
            lines = text(app).splitlines()[pane.region.y + 1 : pane.region.bottom - 1]
            return "│" in {line[place] for line in lines if len(line) > place}

        await until(pilot, marked)


async def test_colours_follow_the_theme(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
        pane = run_screen(app).query_one("#losses", PlotPane)
        kept, base = pane.inks, pane.inks.base
        assert pane.inks is kept
        await pilot.press("t")
        await until(pilot, lambda: pane.inks.base != base)
        await asyncio.sleep(0)
        assert pane.inks.base == pane.rich_style


# ---- paintings


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is painted: the whole screen (``LayoutUpdate``) or parts of it (``ChopsUpdate``)."""
    found: list[str] = []
    display = DashboardApp._display

    def noted(self: DashboardApp, screen: Screen[Any], renderable: Any) -> None:
        found.append(type(renderable).__name__)
        display(self, screen, renderable)

    monkeypatch.setattr(DashboardApp, "_display", noted)
    return found


async def test_a_run_that_is_opened_is_painted_at_once_and_whole_but_no_part_of_it_before(
    make_app: MakeApp, tmp_path: Path, painted: list[str]
) -> None:
    make_run(tmp_path / "runs", "lion")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "lion" in text(app))
        for _ in range(2):
            await pilot.pause(0.2)
            painted.clear()
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and "50/50" in text(app))
            await pilot.pause(0.2)
            assert painted[:2] == ["LayoutUpdate"] * 2, painted
            assert painted.count("LayoutUpdate") == 2, painted
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))


@pytest.mark.parametrize(("key", "said"), [("b", "lion"), ("Q", "waits")])
async def test_a_list_that_stays_the_same_is_not_painted_again(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, painted: list[str], key: str, said: str
) -> None:
    for module in ("runs", "queue"):
        monkeypatch.setattr(f"mim4dd_tui.dashboard.screens.{module}.REFRESH_SECONDS", 0.05)
    make_run(tmp_path / "runs", "lion", age=86_400.0)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, HomeScreen) and said in text(app))
        await pilot.pause(0.5)
        painted.clear()
        await pilot.pause(0.5)
        assert "LayoutUpdate" not in painted
        assert "ChopsUpdate" not in painted


@pytest.mark.parametrize("way", ["suspended", "ctrl+l"])
async def test_a_terminal_that_lost_the_screen_gets_it_whole(make_app: MakeApp, way: str) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app))
        await pilot.pause(0.3)
        whole: list[object] = []
        real = Compositor.render_full_update

        def told(compositor: Compositor, **named: Any) -> object:
            whole.append(compositor)
            return real(compositor, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Compositor, "render_full_update", told)
            if way == "suspended":
                app.app_resume_signal.publish(app)
            else:
                await pilot.press("ctrl+l")
            await until(pilot, lambda: bool(whole))
