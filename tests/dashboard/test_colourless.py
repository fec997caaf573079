"""Curves where there are no colours: told apart by brightness and by how they are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widgets import Input

from mim4dd_tui.dashboard.ink import Inks
from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.themes import TERMINAL
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.pictures import Mode
from mim4dd_tui.terminal import Colours
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, until


async def test_without_colours_two_curves_are_far_apart_in_brightness_and_form(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30), abilities=replace(RICH, no_color=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = run_screen(app).query_one("#losses", PlotPane)
        await until(pilot, lambda: "⠒objective" in pane.render_line(0).text and "⠶nce" in pane.render_line(0).text)
        shades = {}
        for segment in pane.render_line(0):
            assert segment.style is not None
            assert segment.style.color is not None
            shades[segment.text.strip()[:4]] = sum(segment.style.color.get_truecolor()) / 3
        assert abs(shades["⠒obj"] - shades["⠶nce"]) > 60
        await until(pilot, lambda: any(Inks(pane).of(2) == s.style for y in range(1, 8) for s in pane.render_line(y)))


async def test_with_colours_curves_are_thin_and_the_legend_has_no_samples(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = run_screen(app).query_one("#losses", PlotPane)
        await until(pilot, lambda: "  objective" in pane.render_line(0).text and "  nce" in pane.render_line(0).text)


async def test_without_colours_what_typing_would_replace_is_underlined(make_app: MakeApp) -> None:
    app = make_app(abilities=replace(RICH, no_color=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "enter")
        box = app.screen.query_one("#settings-value", Input)
        await until(pilot, lambda: box.selected_text == "instance")
        marked = [segment for segment in box.render_line(0) if segment.style is not None and segment.style.underline]
        assert "".join(segment.text for segment in marked) == "instance"


async def test_of_few_colours_the_terminals_own_are_taken_and_others_are_helped_by_form(make_app: MakeApp) -> None:
    Remembered(theme="mim4dd-dark").save()
    app = make_app(FakeEngine(iterations=30), abilities=replace(RICH, colours=Colours.BASIC))
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.theme == TERMINAL.name, "two curves would have one colour"
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = run_screen(app).query_one("#losses", PlotPane)
        await until(pilot, lambda: "  objective" in pane.render_line(0).text)
        while app.theme != "mim4dd-dark":
            await pilot.press("t")
        await until(pilot, lambda: "⠒objective" in pane.render_line(0).text and "⠶nce" in pane.render_line(0).text)


async def test_a_letter_as_a_sample_stands_apart_from_the_name(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30), abilities=replace(RICH, no_color=True, unicode=False, braille=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = run_screen(app).query_one("#losses", PlotPane)
        await until(pilot, lambda: "* objective" in pane.render_line(0).text and "o nce" in pane.render_line(0).text)


async def test_how_pictures_are_drawn_is_remembered_for_the_kind_of_terminal(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a")
        assert app.picture_mode is Mode.ASCII
    assert make_app().picture_mode is Mode.ASCII
    monkeypatch.setenv("TERM", "foot")
    assert make_app().picture_mode is not Mode.ASCII
