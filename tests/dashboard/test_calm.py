"""Watching is cheap: what stays the same is not painted or made again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Static
from textual.widgets._footer import FooterKey

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.screens.dialogs import HelpScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.widgets import plot
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.runs import RunList
from mim4dd_tui.plots.draw import Drawing, Glyphs, draw
from mim4dd_tui.plots.figure import Figure, Viewport
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, until
from tests.dashboard.shelves import make_run


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
