"""What tests read from and do to a running app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import OptionList

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.run import RunScreen

_SMALL, _USUAL, _LARGER, _WIDE = (60, 20), (80, 24), (100, 30), (160, 48)
_LONG = pytest.mark.long
SIZES = [
    pytest.param(_SMALL, id="60x20"),
    pytest.param(_USUAL, id="80x24", marks=_LONG),
    pytest.param(_LARGER, id="100x30", marks=_LONG),
    pytest.param(_WIDE, id="160x48", marks=_LONG),
]
"""Terminal sizes every flow is tried at; the quick suite takes the one with the least room."""


async def until(pilot: Pilot[Leave], condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for a condition, letting the app work; fails when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s; on screen:\n{text(pilot.app)}"
        await pilot.pause()
        await asyncio.sleep(0.01)
    await pilot.pause()


def text(app: object) -> str:
    """The characters on the screen; none where it was not painted yet."""
    assert isinstance(app, DashboardApp)
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    if len(lines) != height:
        return ""  # a screen that is not laid out yet
    return "\n".join("".join(segment.text for segment in strip)[:width].rstrip() for strip in lines)


def words(app: object) -> str:
    """The text on the screen as one line: for what may be wrapped."""
    return " ".join(text(app).replace("▌", " ").split())


def told(app: DashboardApp) -> str:
    """The notices that stand on the screen, each as one line: there they lie over other text."""
    return "\n".join(" ".join(notice.message.split()) for notice in app._notifications)


def within(app: object, widget: Widget) -> str:
    """What of a widget is on the screen, as one line: for what may be wrapped, or have neighbours."""
    lines, place = text(app).splitlines(), widget.region
    return " ".join(" ".join(line[place.x : place.right] for line in lines[place.y : place.bottom]).split())


def run_screen(app: DashboardApp) -> RunScreen:
    """The run screen, which must be the one shown."""
    screen = app.screen
    assert isinstance(screen, RunScreen)
    return screen


def listed(field: OptionList) -> list[str]:
    """Ids of what a list has, in its order."""
    return [str(option.id) for option in field.options]
