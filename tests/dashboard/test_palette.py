"""The theme of the terminal's own colours: readable whatever these are, and without any."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.color import ColorType
from rich.segment import Segment
from textual.widgets import Input

from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.themes import TERMINAL
from mim4dd_tui.terminal import Colours
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, told, until

GREYS = {0, 7, 8, 15}
"""Numbers of the palette that are the background of one terminal or another."""


def segments(app: object) -> list[Segment]:
    strips = app.screen._compositor.render_strips()  # type: ignore[attr-defined]
    return [segment for strip in strips for segment in strip if segment.text.strip()]


def greys(app: object) -> list[str]:
    """What is painted in, or on, a grey of the palette or a colour that is none of it."""
    found = []
    for segment in segments(app):
        if "▀" in segment.text:  # a picture has the colours it has
            continue
        for colour in (segment.style.color, segment.style.bgcolor) if segment.style is not None else ():
            if colour is None or colour.type is ColorType.DEFAULT:
                continue
            if colour.type is not ColorType.STANDARD or colour.number in GREYS:
                found.append(f"{segment.text!r} {colour}")
    return found


async def test_the_terminals_own_theme_takes_nothing_for_dark_or_light(make_app: MakeApp) -> None:
    Remembered(theme=TERMINAL.name).save()
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        assert app.theme == TERMINAL.name
        await pilot.press("e", "enter")
        await until(pilot, lambda: isinstance(app.focused, Input))
        field = app.screen.query_one("#settings-value", Input)
        await until(pilot, lambda: any(s.style is not None and s.style.reverse for s in field.render_line(0)))
        assert not greys(app)
        await pilot.press("escape", "escape", "question_mark")
        await pilot.pause()
        assert not greys(app)
        await pilot.press("escape", "colon")
        await pilot.pause(0.5)
        assert not greys(app)
        await pilot.press("escape", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("C")
        await until(pilot, lambda: "sent to the terminal's clipboard" in told(app))
        for view in "124":
            await pilot.press(view)
            await pilot.pause(0.3)
            assert not greys(app), view


@pytest.mark.parametrize("place", ["presets", "runs"])
async def test_the_chosen_line_is_seen_without_colours(make_app: MakeApp, place: str) -> None:
    app = make_app(FakeEngine(iterations=30), abilities=replace(RICH, colours=Colours.NONE, term="vt220"))
    async with app.run_test(size=(80, 24)) as pilot:
        if place == "runs":
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
            await pilot.press("escape", "r")
            await until(pilot, lambda: app.screen.id != "home" and bool(segments(app)))
        await until(pilot, lambda: any("digits" in s.text for s in segments(app) if s.style and s.style.reverse))


async def test_of_few_colours_the_palettes_line_is_marked_in_themes_made_for_many(make_app: MakeApp) -> None:
    app = make_app(abilities=replace(RICH, colours=Colours.BASIC))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "theme: dark, for this time" in told(app))
        assert Remembered.load().theme == "", "another terminal would begin with it"
        await pilot.press("colon", "down")
        await until(pilot, lambda: any(s.style is not None and s.style.underline for s in segments(app)))
