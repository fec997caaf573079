"""Colours where the terminal has 256: each the nearest that it has, so that greys stay greys and shades keep their hue.

Rich's own reduction takes each of red, green and blue to its nearest of six levels, which makes dark greys with a tint
navy or black, and light ones yellow. And what stands for colours where there are to be none: greys, and the terminal's
own text on its own ground.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor
from textual.filter import LineFilter, monochrome_style

from mim4dd_tui.colours import COLOURS, FIRST, nearest
from mim4dd_tui.pictures import RGB


@lru_cache(maxsize=4096)
def _number(colour: RGB) -> int:
    return int(nearest(np.array(colour)))


def as_shown(colour: RGB) -> RGB:
    """What a colour comes out as."""
    red, green, blue = COLOURS[_number(colour) - FIRST].tolist()
    return red, green, blue


class NearestColours(LineFilter):
    """Passes every colour that is painted through :func:`colours.nearest`."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:  # noqa: ARG002
        """Every segment in colours of the palette."""
        return [Segment(text, _reduced(style) if style is not None else None, kept) for text, style, kept in segments]


@lru_cache(maxsize=8192)
def _reduced(style: Style) -> Style:
    return style + Style(color=_of_palette(style.color), bgcolor=_of_palette(style.bgcolor))


def _of_palette(colour: Color | None) -> Color | None:
    if colour is None or colour.type is not ColorType.TRUECOLOR:
        return None  # it stays
    return Color.from_ansi(_number(tuple(colour.get_truecolor())))


class Colourless(LineFilter):
    """Greys in place of colours; those of the terminal's palette, which have none, become its own text and ground."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:  # noqa: ARG002
        """Every segment without a hue."""
        return [Segment(text, _greyed(style) if style is not None else None, kept) for text, style, kept in segments]


@lru_cache(maxsize=8192)
def _greyed(style: Style) -> Style:
    if not any(colour is not None and colour.triplet is None for colour in (style.color, style.bgcolor)):
        return monochrome_style(style)
    marked = style.bgcolor is not None and not style.bgcolor.is_default  # a ground of its own, as of selected text
    return style + Style(color="default", bgcolor="default", reverse=True if marked else None)
