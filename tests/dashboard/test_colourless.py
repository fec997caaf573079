"""Curves where there are no colours: told apart by brightness and by how they are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.color import Color, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import BLACK
from textual.widgets import Input

from mim4dd_tui.dashboard.ink import Inks
from mim4dd_tui.dashboard.palette import Colourless
from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.themes import TERMINAL, THEMES
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


SYSTEMS = {
    Colours.NONE: ColorSystem.STANDARD,
    Colours.BASIC: ColorSystem.STANDARD,
    Colours.PALETTE: ColorSystem.EIGHT_BIT,
    Colours.TRUE: ColorSystem.TRUECOLOR,
}


@pytest.mark.parametrize("no_color", [True, False], ids=["no-color", "colours"])
@pytest.mark.parametrize("colours", Colours, ids=lambda colours: colours.name.lower())
async def test_text_has_another_colour_than_its_ground_in_every_theme(
    make_app: MakeApp, colours: Colours, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(abilities=replace(RICH, colours=colours, no_color=no_color))

    def shown(colour: Color | None) -> Color | None:
        return None if colour is None or colour.is_default else colour.downgrade(SYSTEMS[colours])

    async with app.run_test(size=(80, 24)) as pilot:
        seen = set()
        for _ in THEMES:
            await pilot.pause()
            seen.add(app.theme)
            for segment in (one for strip in app.screen._compositor.render_strips() for one in strip):
                style = segment.style
                if not segment.text.strip() or style is None:
                    continue
                text, ground = shown(style.color), shown(style.bgcolor)
                assert text is None is ground or text != ground, (app.theme, segment)
                if no_color:  # greys, or no colours at all
                    assert all(one is None or len(set(one.get_truecolor())) == 1 for one in (text, ground)), segment
            await pilot.press("t")
        assert seen == {theme.name for theme in THEMES}


async def test_an_empty_no_color_is_none(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip]
        greys = [len(set(style.color.get_truecolor())) == 1 for style in styles if style is not None and style.color]
        assert not all(greys)


def test_selected_text_of_the_terminals_own_colours_is_reversed() -> None:
    marked = Segment("marked", Style(color="black", bgcolor="bright_blue"))
    (one,) = Colourless().apply([marked], BLACK)
    assert one.style == Style(color="default", bgcolor="default", reverse=True)
