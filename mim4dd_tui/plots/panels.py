"""Parts of a page: points with error bars over named places, and matrices as heat maps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mim4dd_tui.plots.letters import length
from mim4dd_tui.plots.page import FAINT, INK, Anchor, Area, Page, Shape, Stroke, Words
from mim4dd_tui.plots.scale import Scale, spread
from mim4dd_tui.quantities import labels

GUTTER, HEAD, FOOT, RIGHT = 52, 46, 40, 10
CAP = 4.0
"""Half the width of an error bar's ends, in pixels."""
SQUARE = 42.0
"""Least side of a heat map's squares, in pixels: numbers with three decimals and layers' names lie apart in it."""
DARK = 0.6
"""Opacity from which numbers on a heat map are white."""


@dataclass(frozen=True)
class Box:
    """A rectangle of the page, in pixels."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Points:
    """One set of points: for every place its value and the ends of its bar; nan where there is none."""

    name: str
    colour: str
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def width_of(places: Sequence[str], title: str) -> float:
    """Width that a box must have for error bars over ``places`` whose words lie apart."""
    widest = max((length(name, 11) for name in places), default=0.0)
    return max(GUTTER + RIGHT + len(places) * (widest + 8), length(title, 13) + 24)


def error_bars(
    box: Box, places: Sequence[str], sets: Sequence[Points], *, title: str, under: str, zero: bool = False
) -> Iterator[Shape]:
    """Points over places that are named and evenly apart, with their bars, axes and legend.

    Args:
        places: names, left to right.
        sets: drawn beside each other at every place.
        title: above; ``under`` what the places are, below.
        zero: draw a line at 0, and reach to it.
    """
    left, right = box.left + GUTTER, box.left + box.width - RIGHT
    top, bottom = box.top + HEAD, box.top + box.height - FOOT
    yield Words((box.left + 8, box.top + 16), title, size=13, bold=True)
    ends = np.array([value for s in sets for row in (s.values, s.low, s.high) for value in row], dtype=np.float64)
    ends = ends[np.isfinite(ends)]
    if len(ends) == 0:
        yield Words(((left + right) / 2, (top + bottom) / 2), "nothing measured yet", anchor="middle")
        return
    reach = [0.0] if zero else []
    scale = Scale(*spread(min(*ends, *reach, ends[0]), max(*ends, *reach, ends[0]), log=False))
    yield Stroke([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], FAINT, 1)
    ticks = scale.ticks(7)
    for tick, text in zip(ticks, labels(ticks), strict=True):
        y = _down(scale, tick, top, bottom)
        yield Stroke([(left, y), (right, y)], FAINT, 0.5)
        yield Words((left - 6, y + 4), text, anchor="end", size=11)
    if zero:
        y = _down(scale, 0.0, top, bottom)
        yield Stroke([(left, y), (right, y)], INK, 1, dashed=True)
    step = (right - left) / len(places)
    for place, name in enumerate(places):
        yield Words((left + (place + 0.5) * step, bottom + 15), name, anchor="middle", size=11)
    yield Words(((left + right) / 2, bottom + 32), under, anchor="middle", size=11)
    for number, each in enumerate(sets):
        shift = (number - (len(sets) - 1) / 2) * min(16.0, step / 4)
        yield from _bars(
            each, [left + (place + 0.5) * step + shift for place in range(len(places))], scale, top, bottom
        )
    x = box.left + 8
    for each in sets:
        yield Words((x, box.top + 34), each.name, each.colour, size=11, bold=True)
        x += 7.0 * len(each.name) + 16


def _down(scale: Scale, value: float, top: float, bottom: float) -> float:
    return bottom - float(scale.place(np.array([value]))[0]) * (bottom - top)


def _bars(points: Points, across: Sequence[float], scale: Scale, top: float, bottom: float) -> Iterator[Shape]:
    for x, value, low, high in zip(across, points.values, points.low, points.high, strict=True):
        if not math.isfinite(value):
            continue
        y = _down(scale, value, top, bottom)
        yield Stroke([(x - 3, y), (x + 3, y)], points.colour, 6)
        if math.isfinite(low) and math.isfinite(high):
            ends = [_down(scale, end, top, bottom) for end in (low, high)]
            yield Stroke([(x, ends[0]), (x, ends[1])], points.colour, 1.4)
            for end in ends:
                yield Stroke([(x - CAP, end), (x + CAP, end)], points.colour, 1.4)


def room(count: int) -> tuple[float, float]:
    """Width and height that a box must have for a heat map of ``count`` rows and columns whose words lie apart."""
    return GUTTER + 14 + count * SQUARE + RIGHT, HEAD + count * SQUARE + FOOT


def heat_map(
    box: Box,
    matrix: Sequence[Sequence[float]],
    names: Sequence[str],
    *,
    title: str,
    down: str,
    across: str,
    colours: tuple[str, str] = ("#2f5fc4", "#b3372f"),
    full: float = 1.0,
    signed: bool = False,
) -> Iterator[Shape]:
    """A matrix as coloured squares with their numbers.

    Args:
        names: of the rows and of the columns.
        title: above, and below it what the rows are (``down``); ``across`` what the columns are, below them.
        colours: of positive and of negative values.
        full: absolute value that has the whole colour.
        signed: write a sign before each number.
    """
    left, top = box.left + GUTTER + 14, box.top + HEAD
    right, bottom = box.left + box.width - RIGHT, box.top + box.height - FOOT
    yield Words((box.left + 8, box.top + 16), title, size=13, bold=True)
    if not matrix:
        yield Words((box.left + box.width / 2, box.top + box.height / 2), "nothing measured yet", anchor="middle")
        return
    side = min(right - left, bottom - top) / len(names)
    yield Words((box.left + 8, box.top + 34), f"down: {down}", size=11)
    yield Words((left, top + len(names) * side + 32), f"across: {across}", size=11)
    for i, row in enumerate(matrix):
        end: Anchor = "end"
        yield Words((left - 6, top + (i + 0.5) * side + 4), names[i], anchor=end, size=11)
        yield Words((left + (i + 0.5) * side, top + len(names) * side + 15), names[i], anchor="middle", size=11)
        for j, value in enumerate(row):
            x, y = left + j * side, top + i * side
            opacity = min(1.0, abs(value) / full) if full > 0 and math.isfinite(value) else 0.0
            corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
            yield Area(corners, colours[value < 0], opacity)
            text = f"{round(value, 3) + 0.0:+.3f}" if signed else f"{round(value, 2) + 0.0:.2f}"
            ink = "#ffffff" if opacity > DARK else INK
            yield Words((x + side / 2, y + side / 2 + 4), text, ink, "middle", 11)


def stacked(pages: Sequence[Page]) -> Page:
    """Pages as one, each below the one before."""
    whole = Page(max(page.width for page in pages), sum(page.height for page in pages))
    down = 0
    for page in pages:
        whole.shapes.extend(_lowered(shape, down) for shape in page.shapes)
        down += page.height
    return whole


def _lowered(shape: Shape, by: float) -> Shape:
    if isinstance(shape, Words):
        return replace(shape, at=(shape.at[0], shape.at[1] + by))
    return replace(shape, points=[(x, y + by) for x, y in shape.points])
