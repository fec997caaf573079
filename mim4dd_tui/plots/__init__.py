"""Curves drawn with braille dots: pure functions from numbers to rows of cells, and a widget around them."""

from __future__ import annotations

from mim4dd_tui.plots.draw import Drawing, draw
from mim4dd_tui.plots.figure import Band, Figure, Level, Series, Viewport
from mim4dd_tui.plots.scale import Scale
from mim4dd_tui.plots.smooth import ema
from mim4dd_tui.quantities import short

__all__ = ["Band", "Drawing", "Figure", "Level", "Scale", "Series", "Viewport", "draw", "ema", "short"]
