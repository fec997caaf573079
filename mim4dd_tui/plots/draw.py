"""From a figure to rows of cells. No terminal, no widget: numbers in, characters and inks out.

Every screen column holds two columns of braille dots. The points that fall into one dot column are drawn as
the whole range from their smallest to their largest value, so that a spike of one sample in a hundred
thousand is seen at any zoom. A value that is not finite (or has no place on a log axis) breaks the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mim4dd_tui.plots.along import along
from mim4dd_tui.plots.figure import Figure, Floats, Level, Moment, Side, Viewport
from mim4dd_tui.plots.in_view import InView, scale_of
from mim4dd_tui.plots.scale import Scale
from mim4dd_tui.plots.viewing import NONE_HERE, nothing, window
from mim4dd_tui.quantities import labels

Glyphs = Literal["braille", "ascii"]
SIDES: tuple[Side, Side] = ("left", "right")
PLAIN, CURSOR = 0, -1
"""Inks of tick labels and of the cursor; series and levels bring their own from 1 up."""
DIM = 100
"""Added to a series' ink where it is only the background of its smoothed self, or a band."""

FLAT = 2
"""Dots of a column that a dash may leave out: a spike has more, and is drawn."""
MARKS = "*o+x#@%&"
"""Characters of the curves by ink, where there are neither dots nor colours."""

MOMENT: dict[Glyphs, str] = {"braille": "┊", "ascii": ":"}
"""What the upright line of a moment is made of."""

_DOTS: dict[Glyphs, tuple[int, int]] = {"braille": (2, 4), "ascii": (1, 1)}
"""Dots of a cell, across and down."""
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Drawing:
    """Cells of a plot: ``chars`` [height, width] single characters, ``inks`` [height, width] numbers.

    ``left`` and ``right`` are the first and one past the last column of the plotting area and ``x`` its axis,
    so that a pointer's column can be turned into a value; ``x`` is None where nothing is drawn. ``across`` is how
    many columns of dots a cell has.
    """

    chars: NDArray[np.str_]
    inks: NDArray[np.int16]
    left: int
    right: int
    x: Scale | None
    across: int = 1

    def rows(self) -> Iterator[list[tuple[str, int]]]:
        """Each row as runs of one ink."""
        height, width = self.chars.shape
        if not self.chars.size:
            yield from ([] for _ in range(height))
            return
        lines = np.ascontiguousarray(self.chars).view(f"<U{width}")[:, 0].tolist()
        changes = self.inks[:, 1:] != self.inks[:, :-1]
        for line, inks, changed in zip(lines, self.inks, changes, strict=True):
            cuts = [0, *(changed.nonzero()[0] + 1).tolist(), width]
            yield [(line[a:b], ink) for (a, b), ink in zip(pairwise(cuts), inks[cuts[:-1]].tolist(), strict=True)]

    def text(self) -> str:
        """The characters alone, for tests and plain output."""
        return "\n".join("".join(line.tolist()) for line in self.chars)

    def value_at(self, column: int) -> float | None:
        """The x value under a screen column of the plotting area, None outside."""
        if self.x is None or not self.left <= column < self.right:
            return None
        return self.x.value((column - self.left + 0.5) / (self.right - self.left))

    def column_of(self, value: float | None) -> int | None:
        """The screen column in which a point of an x value is drawn; None outside the plotting area, or where there is
        no value."""
        if self.x is None or value is None:
            return None
        place = float(self.x.place(np.array([value]))[0])
        dots = (self.right - self.left) * self.across
        return self.left + round(place * (dots - 1)) // self.across if 0 <= place <= 1 else None

    def happened(self, value: float | None, moments: Iterable[Moment]) -> tuple[str, ...]:
        """Names of the moments that are drawn in the column of an x value."""
        column = self.column_of(value)
        there = [moment.name for moment in moments if column is not None and self.column_of(moment.x) == column]
        return tuple(dict.fromkeys(there))

    def with_cursor(self, value: float | None, glyphs: Glyphs = "braille") -> Drawing:
        """The drawing with a cursor at an x value: a line through all cells that are empty there."""
        return self._upright(value, "│" if glyphs == "braille" else "|", CURSOR, over=(" ", MOMENT[glyphs]))

    def with_moments(self, moments: Iterable[Moment], glyphs: Glyphs = "braille") -> Drawing:
        """The drawing with moments: likewise, and the cursor takes the place of one where both stand."""
        drawing = self
        for moment in moments:
            drawing = drawing._upright(moment.x, MOMENT[glyphs], PLAIN, over=(" ",))
        return drawing

    def _upright(self, value: float | None, letter: str, ink: int, *, over: Sequence[str]) -> Drawing:
        column = self.column_of(value)
        if column is None:
            return self
        chars, inks = self.chars.copy(), self.inks.copy()
        free = np.isin(chars[:-1, column], over)
        chars[:-1, column][free] = letter
        inks[:-1, column][free] = ink
        return replace(self, chars=chars, inks=inks)


@dataclass(frozen=True)
class Stroke:
    """How a curve is drawn where its colour does not tell it from others; ``dim`` is up to who colours the cells."""

    thick: bool
    dashed: bool
    dim: bool
    mark: str

    @staticmethod
    def of(ink: int) -> Stroke:
        """The stroke of an ink: eight that differ, neighbours in two ways."""
        number = (ink - 1) % len(MARKS)
        return Stroke(number % 4 in (1, 2), number >= 4, number % 2 == 1, MARKS[number])

    def sample(self, glyphs: Glyphs) -> str:
        """One character of it, for a legend."""
        if glyphs == "ascii":
            return self.mark
        return ("⠆" if self.dashed else "⠶") if self.thick else ("⠂" if self.dashed else "⠒")


def draw(
    figure: Figure, view: Viewport, width: int, height: int, glyphs: Glyphs = "braille", *, strokes: bool = False
) -> Drawing:
    """Draw a figure into ``width`` x ``height`` cells, axes included (at least 12 x 3 to show anything).

    With ``strokes`` curves differ by how they are drawn, for where their inks are no colours.
    """
    chars = np.full((max(height, 0), max(width, 0)), " ", dtype="<U1")
    page = _Page(chars, np.zeros(chars.shape, dtype=np.int16))
    x_scale = _x_scale(figure, view)
    empty = nothing(figure, view)
    if x_scale is None or empty or width < 12 or height < 3:
        page.centre(empty or "too small")
        return Drawing(page.chars, page.inks, 0, width, None)
    drawn = [InView.of(series, view, x_scale) for series in figure.series]
    scales = {side: scale_of(figure, drawn, view, side) for side in SIDES}
    if not any(scales.values()):
        page.centre(NONE_HERE)
        return Drawing(page.chars, page.inks, 0, width, x_scale)
    across, down = _DOTS[glyphs]
    gutters = {side: _labels(scales[side], height - 1, down, percent=figure.percent) for side in SIDES}
    left = max((len(text) for text in gutters["left"].values()), default=0) + 1
    right = width - max((len(text) + 1 for text in gutters["right"].values()), default=0)
    if right - left < 2:
        page.centre("too small")
        return Drawing(page.chars, page.inks, 0, width, None)
    canvas = _Canvas(right - left, height - 1, glyphs, strokes=strokes)
    for level in figure.levels:
        canvas.level(level, scales[level.side])
    for curve in drawn:
        canvas.curve(curve, scales[curve.series.side])
    canvas.paste(page.chars, page.inks, left)
    for row, text in gutters["left"].items():
        page.write(row, left - 1 - len(text), text, _gutter_ink(figure, "left"))
    for row, text in gutters["right"].items():
        page.write(row, right + 1, text, _gutter_ink(figure, "right"))
    page.x_axis(x_scale, left, right)
    whole = Drawing(page.chars, page.inks, left, right, x_scale, across)
    return whole.with_moments(figure.moments, glyphs).with_cursor(view.cursor, glyphs)


# ---- scales


def _x_scale(figure: Figure, view: Viewport) -> Scale | None:
    bounds = window(figure, view)
    return None if bounds is None else Scale(*bounds, view.log_x)


# ---- dots


class _Canvas:
    """The plotting area: dots in braille, or one character a cell in ASCII."""

    def __init__(self, columns: int, rows: int, glyphs: Glyphs, *, strokes: bool) -> None:
        self.columns, self.rows, self.glyphs, self.strokes = columns, rows, glyphs, strokes
        self.across, self.down = _DOTS[glyphs]
        self.width, self.height = columns * self.across, rows * self.down
        self.bits = np.zeros((rows, columns), dtype=np.uint8)
        self.chars = np.full((rows, columns), " ", dtype="<U1")
        self.inks = np.zeros((rows, columns), dtype=np.int16)

    def level(self, level: Level, scale: Scale | None) -> None:
        if scale is None:
            return
        dots = self._blank()
        place = scale.place(np.array([level.value]))[0]
        if np.isfinite(place) and 0 <= place <= 1:
            dash = np.arange(self.width) % 4 < (2 if self.across == 2 else 3)
            dots[self._row(place), dash] = True
            self._stamp(dots, level.ink, "-")

    def curve(self, curve: InView, y_scale: Scale | None) -> None:
        if y_scale is None:
            return
        series = curve.series
        if curve.low is not None and curve.high is not None:
            dots = self._area(curve.x, y_scale.place(curve.low), y_scale.place(curve.high))
            dots[(np.add.outer(np.arange(self.height), np.arange(self.width)) % 2) == 0] = False
            self._stamp(dots, series.ink + DIM, ".")
        if curve.raw is not None:
            self._stamp(self._line(curve.x, curve.raw, y_scale), series.ink + DIM, ".")
        dots, mark = (self._line(curve.x, curve.y, y_scale), "*") if series.line else (self._blank(), "o")
        if self.strokes and series.line and series.ink < DIM:
            mark = self._stroked(dots, Stroke.of(series.ink))
        if series.markers:
            self._mark(dots, curve.x[curve.own], y_scale.place(curve.y[curve.own]))
        self._stamp(dots, series.ink, mark)

    def _stroked(self, dots: NDArray[np.bool_], stroke: Stroke) -> str:
        """Makes a line thick or dashed (which takes nothing from what is higher than a dash), and gives its mark."""
        if self.glyphs == "braille":
            if stroke.dashed:
                flat = dots.sum(axis=0) <= FLAT
                dots[:, flat & (np.arange(self.width) % 8 >= 5)] = False
            if stroke.thick:
                dots[1:] |= dots[:-1].copy()
        return stroke.mark

    def paste(self, chars: NDArray[np.str_], inks: NDArray[np.int16], left: int) -> None:
        """Put the cells into the whole drawing."""
        if self.glyphs == "braille":
            lit = self.bits > 0
            self.chars[lit] = (self.bits[lit].astype(np.uint32) + 0x2800).view("<U1")
        chars[: self.rows, left : left + self.columns] = self.chars
        inks[: self.rows, left : left + self.columns] = self.inks

    def _blank(self) -> NDArray[np.bool_]:
        return np.zeros((self.height, self.width), dtype=np.bool_)

    def _row(self, place: float) -> int:
        return _dot(place, self.height)

    def _rows_of(self, places: Floats) -> Floats:
        return np.clip((1 - places) * (self.height - 1), -1.0, float(self.height))

    def _line(self, x: Floats, values: Floats, y_scale: Scale) -> NDArray[np.bool_]:
        """Dots of a curve at places ``x`` of 0..1; a value without a place breaks it.

        Points are gathered by dot columns first and placed on the axis then: a monotone scale keeps the smallest
        and the largest of a column, and a few hundred logarithms do for any number of points.
        """
        dots = self._blank()
        good = np.isfinite(x) & np.isfinite(values)
        if y_scale.log:
            good &= values > 0
        if not good.any():
            return dots
        segment = np.cumsum(~good)[good]
        columns, values = x[good] * (self.width - 1), values[good]
        places = np.rint(np.clip(columns, -2, self.width + 1)).astype(np.int64)
        # groups: the points of one dot column, of one unbroken piece
        cuts = np.flatnonzero((segment[1:] != segment[:-1]) | (places[1:] != places[:-1])) + 1
        starts = np.concatenate(([0], cuts))
        ends = np.concatenate((cuts, [len(places)])) - 1

        def rows(some: Floats) -> Floats:
            return self._rows_of(y_scale.place(some))

        low, high = rows(np.maximum.reduceat(values, starts)), rows(np.minimum.reduceat(values, starts))
        first, last = rows(values[starts]), rows(values[ends])
        joined = np.flatnonzero(segment[starts[1:]] == segment[ends[:-1]])
        distance = places[starts[joined + 1]] - places[ends[joined]]
        near = joined[distance == 1]
        # neighbouring columns meet halfway
        middle = (last[near] + first[near + 1]) / 2
        for group in (near, near + 1):
            low[group], high[group] = np.minimum(low[group], middle), np.maximum(high[group], middle)
        self._verticals(dots, places[starts], low, high)
        for index in joined[distance > 1].tolist():
            a, b = (columns[ends[index]], last[index]), (columns[starts[index + 1]], first[index + 1])
            self._join(dots, a, b)
        return dots

    def _verticals(self, dots: NDArray[np.bool_], columns: NDArray[np.int64], low: Floats, high: Floats) -> None:
        inside = (columns >= 0) & (columns < self.width)
        columns, rows = columns[inside], np.arange(self.height)
        top, bottom = np.rint(low[inside])[:, None], np.rint(high[inside])[:, None]
        marks = (rows >= top) & (rows <= bottom)
        if len(np.unique(columns)) == len(columns):
            dots.T[columns] |= marks
        else:  # a gap inside a column: its pieces come one by one
            np.logical_or.at(dots.T, columns, marks)

    def _join(self, dots: NDArray[np.bool_], a: tuple[float, float], b: tuple[float, float]) -> None:
        """A line between two points, in as many steps as its longer side has dots."""
        (ax, ay), (bx, by) = a, b
        steps = int(max(abs(bx - ax), abs(by - ay))) + 1
        along = np.linspace(0.0, 1.0, steps + 1)
        columns = np.rint(ax + along * (bx - ax)).astype(np.int64)
        rows = np.rint(ay + along * (by - ay)).astype(np.int64)
        inside = (columns >= 0) & (columns < self.width) & (rows >= 0) & (rows < self.height)
        dots[rows[inside], columns[inside]] = True

    def _area(self, x: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
        """All dots between two curves, interpolated between their points."""
        dots = self._blank()
        good = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
        if not good.any():
            return dots
        columns = np.arange(self.width)
        places = columns / max(1, self.width - 1)
        half = 0.5 / max(1, self.width - 1)
        covered = (places >= x[good][0] - half) & (places <= x[good][-1] + half)
        top = np.rint(self._rows_of(np.interp(places, x[good], high[good])))
        bottom = np.rint(self._rows_of(np.interp(places, x[good], low[good])))
        rows = np.arange(self.height)[:, None]
        dots[:, :] = (rows >= top) & (rows <= bottom) & covered
        return dots

    def _mark(self, dots: NDArray[np.bool_], x: Floats, y: Floats) -> None:
        """A small cross on every point (a single dot would be lost)."""
        good = np.isfinite(x) & np.isfinite(y) & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        columns = np.rint(x[good] * (self.width - 1)).astype(np.int64)
        rows = np.rint((1 - y[good]) * (self.height - 1)).astype(np.int64)
        for across, down in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)) if self.across == 2 else ((0, 0),):
            c, r = columns + across, rows + down
            inside = (c >= 0) & (c < self.width) & (r >= 0) & (r < self.height)
            dots[r[inside], c[inside]] = True

    def _stamp(self, dots: NDArray[np.bool_], ink: int, mark: str) -> None:
        """Lay one curve over what is there: in a cell it touches, only the newest curve is seen."""
        if self.glyphs == "ascii":
            self.chars[dots] = mark
            self.inks[dots] = ink
            return
        cells = dots.reshape(self.rows, 4, self.columns, 2)
        bits = np.einsum("rdca,da->rc", cells, _BITS, dtype=np.uint8, casting="unsafe")
        touched = bits > 0
        self.bits[touched] = bits[touched]
        self.inks[touched] = ink


# ---- labels


def _dot(place: float, height: int) -> int:
    """The row of dots, of so many, that a place of the y axis falls into."""
    return round((1 - min(max(place, 0.0), 1.0)) * (height - 1))


def _labels(scale: Scale | None, rows: int, down: int, *, percent: bool) -> dict[int, str]:
    """Labels by rows of cells, ``down`` dots high: each in the row in which a curve has its value."""
    if scale is None:
        return {}
    written: dict[int, str] = {}
    ticks = scale.ticks(max(2, min(6, rows // 2)))
    for tick, text in zip(ticks, labels(ticks, percent=percent), strict=True):
        place = float(scale.place(np.array([tick]))[0])
        written.setdefault(_dot(place, rows * down) // down, text)
    return written


def _gutter_ink(figure: Figure, side: Side) -> int:
    """With two axes each is written in the colour of its only curve."""
    if all(series.side == "left" for series in figure.series):
        return PLAIN
    inks = {series.ink for series in figure.series if series.side == side}
    return inks.pop() if len(inks) == 1 else PLAIN


@dataclass(frozen=True, eq=False)
class _Page:
    """The cells of the whole drawing."""

    chars: NDArray[np.str_]
    inks: NDArray[np.int16]

    def write(self, row: int, column: int, text: str, ink: int = PLAIN) -> None:
        for offset, letter in enumerate(text):
            if 0 <= column + offset < self.chars.shape[1]:
                self.chars[row, column + offset] = letter
                self.inks[row, column + offset] = ink

    def centre(self, text: str) -> None:
        """A sentence alone; what stands in brackets is left out where it has no room."""
        height, width = self.chars.shape
        if len(text) > width:
            text = text.partition(" (")[0]
        if height:
            self.write(height // 2, max(0, (width - len(text)) // 2), text[:width])

    def x_axis(self, scale: Scale, left: int, right: int) -> None:
        for start, text in along(scale, right - left):
            self.write(self.chars.shape[0] - 1, left + start, text)
