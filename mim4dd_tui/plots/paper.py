"""A figure on paper: laid out once, as the shapes of a page. No terminal, no widget."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mim4dd_tui.plots.draw import DIM
from mim4dd_tui.plots.figure import Figure, Floats, Level, Side, Viewport
from mim4dd_tui.plots.in_view import InView, scale_of
from mim4dd_tui.plots.letters import length
from mim4dd_tui.plots.page import FAINT, INK, QUIET, Area, Page, Point, Shape, Stroke, Words, towards_white
from mim4dd_tui.plots.scale import Scale
from mim4dd_tui.plots.viewing import NONE_HERE, nothing, window
from mim4dd_tui.quantities import labels

SIDES: tuple[Side, Side] = ("left", "right")
TOP, BOTTOM, MARGIN, GUTTER = 56, 34, 14, 56
LINE, BELOW, LEGEND = 18, 4, 42
"""Pixels from one line of notes to the next, from the lowest words of a page to its edge, and from the upper edge to
the legend's first line."""
ABOVE = 16
"""Pixels that a level and the name over it take."""
WIDER = 1.15
"""How much wider than a PNG's the letters of an SVG may be: whoever shows it chooses the font."""
PLATE = 0.85
"""How strongly what lies under a name within the axes is covered."""
BEHIND = 0.4
"""How strongly curves behind the others are drawn."""
MOST_POINTS = 3
"""Points kept of a series for every pixel column: the first of its range, the smallest and the largest."""


def lay_out(
    figure: Figure, view: Viewport, colours: Mapping[int, str], title: str, width: int = 900, height: int = 420
) -> Page:
    """The page of a figure as it is looked at: the same range, axes and smoothing as on the screen.

    Args:
        figure: what is shown.
        view: how.
        colours: ``#rrggbb`` by ink (1..8); other inks are drawn in the text's colour.
        title: heading of the page.
        width: pixels, at least 200.
        height: pixels, at least 120.
    """
    page = Page(width, height)
    unit = f" ({figure.y_name})" if figure.y_name else ""
    page.shapes.append(fitted(Words((MARGIN, 22), title + unit, size=15, bold=True), width - 2 * MARGIN))
    bounds, empty = window(figure, view), nothing(figure, view)
    if bounds is None or empty:
        page.shapes.append(Words((width / 2, height / 2), empty, anchor="middle"))
        return page
    plot = _Plot(figure, view, colours, Scale(*bounds, view.log_x), width, height)
    page.shapes.extend(plot.shapes())
    if not any(plot.y.values()):
        page.shapes.append(Words((width / 2, height / 2), NONE_HERE, anchor="middle"))
    return page


def fitted(words: Words, room: float) -> Words:
    """Words in smaller letters where they would take more pixels than that: a name may be long."""
    long = _long(words)
    return replace(words, size=words.size * room / long) if long > room else words


def noted(page: Page, notes: Sequence[tuple[str, str]]) -> Page:
    """A page with notes below it, each in its colour and in as many lines as it takes."""
    lines = [(colour, line) for colour, note in notes for line in lines_of(note, page.width - 2 * MARGIN)]
    words = [
        Words((MARGIN, page.height + LINE * (place + 1) - BELOW), line, colour)
        for place, (colour, line) in enumerate(lines)
    ]  # fmt: skip
    return Page(page.width, page.height + LINE * len(lines) + (BELOW if lines else 0), [*page.shapes, *words])


def lines_of(text: str, room: float) -> Iterator[str]:
    """A note in lines of so many pixels, broken at spaces where it can be; all but the first are indented."""
    indent, line = "    ", ""
    for word in re.findall(r"\s*\S+", text):
        for piece in [word] if length(indent + word, Words.size) < room / WIDER else word:
            if line and length(line + piece, Words.size) > room / WIDER:
                yield line
                line = indent + piece.lstrip()
            else:
                line += piece
    yield line


class _Plot:
    def __init__(
        self, figure: Figure, view: Viewport, colours: Mapping[int, str], x: Scale, width: int, height: int
    ) -> None:
        self.figure, self.view, self.colours, self.x = figure, view, colours, x
        self.curves = [InView.of(series, view, x) for series in figure.series]
        self.bottom = height - BOTTOM
        self.y = {side: scale_of(figure, self.curves, view, side) for side in SIDES}
        self.names = list(self._legend(width - MARGIN))
        further = max((name.at[1] for name in self.names), default=LEGEND) - LEGEND
        self.top = min(TOP + further, self.bottom - 2 * ABOVE)
        self.y = {side: self._roomy(scale, side) for side, scale in self.y.items()}
        self.left, self.right = MARGIN + self._gutter("left"), width - MARGIN - self._gutter("right")

    def _roomy(self, scale: Scale | None, side: Side) -> Scale | None:
        """The axis, as far up as the name over its highest level takes."""
        values = [level.value for level in self.figure.levels if level.side == side and level.name]
        if scale is None or not values:
            return scale
        most, room = float(scale.place(np.array([max(values)]))[0]), 1 - ABOVE / (self.bottom - self.top)
        return replace(scale, high=scale.value(most / room)) if most > room else scale

    def shapes(self) -> Iterator[Shape]:
        """Axes, then levels, moments, bands, curves, then the names of all, and below what the bands are."""
        yield from self._axes()
        heights = self._heights()
        lines = [y for y, _ in heights]
        over = list(self._level_names(heights))
        for y, level in heights:
            yield Stroke([(self.left, y), (self.right, y)], self._colour(level.ink), 1.2, dashed=True)
        moments = list(self._moments([*((y - 3, y + 3) for y in lines), *(_upright(name) for name in over)]))
        yield from (shape for shape in moments if isinstance(shape, Stroke))
        shades = [list(self._shade(curve)) for curve in self.curves]
        yield from (shape for shade in shades for shape in shade)
        for curve in self.curves:
            yield from self._curve(curve)
        for name in (*over, *(shape for shape in moments if isinstance(shape, Words))):
            yield from (_plate(name), name) if name.text else ()
        yield from self.names
        bands = [curve.series.band for curve, shade in zip(self.curves, shades, strict=True) if shade]
        shaded = dict.fromkeys(band.name for band in bands if band is not None and band.name)
        if shaded:
            yield Words((MARGIN, self.bottom + 31), f"shaded: {', '.join(shaded)}", QUIET, size=11)

    def _colour(self, ink: int) -> str:
        return self.colours.get(ink % DIM, INK)

    def _paler(self, ink: int) -> str:
        """The colour of a curve's name: as faint as the curve."""
        if ink < DIM:
            return self._colour(ink)
        red, green, blue = towards_white(self._colour(ink), BEHIND)
        return f"#{red:02x}{green:02x}{blue:02x}"

    def _across(self, places: Floats) -> Floats:
        return self.left + places * (self.right - self.left)

    def _down(self, scale: Scale, values: Floats) -> Floats:
        return self.bottom - scale.place(values) * (self.bottom - self.top)

    def _axes(self) -> Iterator[Shape]:
        corners = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom), (self.right, self.top)]
        yield Stroke([*corners, corners[0]], FAINT, 1)
        ticks = self.x.ticks(9, whole=True)  # iterations or epochs
        for tick, text in zip(ticks, labels(ticks), strict=True):
            x = self._across(self.x.place(np.array([tick])))[0]
            yield Stroke([(x, self.top), (x, self.bottom)], FAINT, 0.5)
            yield Words((x, self.bottom + 18), text, anchor="middle", size=11)
        yield Words((self.right, self.bottom + 31), self.figure.x_name, QUIET, "end", 11)
        for side, scale in self.y.items():
            if scale is None:
                continue
            for tick, text in self._labelled(scale):
                y = self._down(scale, np.array([tick]))[0]
                if side == "left":
                    yield Stroke([(self.left, y), (self.right, y)], FAINT, 0.5)
                    yield Words((self.left - 6, y + 4), text, anchor="end", size=11)
                else:
                    yield Words((self.right + 6, y + 4), text, size=11)

    def _labelled(self, scale: Scale) -> list[tuple[float, str]]:
        ticks = scale.ticks(7)
        return list(zip(ticks, labels(ticks, percent=self.figure.percent), strict=True))

    def _gutter(self, side: Side) -> float:
        """Room for the labels of an axis."""
        scale = self.y[side]
        told = [length(text, 11) for _, text in self._labelled(scale)] if scale is not None else []
        return max([GUTTER, *(WIDER * each + 8 for each in told)]) if told or side == "left" else 0.0

    def _curve(self, curve: InView) -> Iterator[Shape]:
        series = curve.series
        scale = self.y[series.side]
        if scale is None:
            return
        colour, faint = self._colour(series.ink), series.ink >= DIM
        x = self._across(curve.x)
        if curve.raw is not None:
            for part in _pieces(x, self._down(scale, curve.raw)):
                yield Stroke(part, colour, 1, 0.3)
        y, own = self._down(scale, curve.y), x[curve.own]
        for part in _pieces(x, y):
            if series.line:
                yield Stroke(part, colour, 1.6, BEHIND if faint else 1.0)
            if series.markers or len(part) == 1:
                yield from (Stroke([(px - 2, py), (px + 2, py)], colour, 4) for px, py in part if px in own)

    def _shade(self, curve: InView) -> Iterator[Shape]:
        """The band of a series: below every curve."""
        scale = self.y[curve.series.side]
        if scale is not None and curve.low is not None and curve.high is not None:
            low, high = (self._down(scale, edge) for edge in (curve.low, curve.high))
            yield from self._band(self._across(curve.x), low, high, self._colour(curve.series.ink))

    def _band(self, x: Floats, low: Floats, high: Floats, colour: str) -> Iterator[Shape]:
        good = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
        if good.sum() > 1:
            there = list(zip(x[good].tolist(), low[good].tolist(), strict=True))
            back = list(zip(x[good].tolist(), high[good].tolist(), strict=True))[::-1]
            yield Area([*there, *back], colour, 0.16)

    def _heights(self) -> list[tuple[float, Level]]:
        """The levels that have a place, and where their lines are."""
        placed = [(scale, level) for level in self.figure.levels if (scale := self.y[level.side]) is not None]
        found = [(float(self._down(scale, np.array([level.value]))[0]), level) for scale, level in placed]
        return [(y, level) for y, level in found if np.isfinite(y)]

    def _level_names(self, heights: Sequence[tuple[float, Level]]) -> Iterator[Words]:
        """Each at the right end of its line: above it, or below it where another level is in the way; of several that
        lie close together further left."""
        taken: list[tuple[float, float, Words]] = []
        for y, level in heights:
            words = Words((self.right - 4, y - 4), level.name, self._colour(level.ink), "end", 11)
            ways = [replace(words, at=(words.at[0], y + down)) for down in (-4, 12)]
            inside = [way for way in ways if self.top + 1 < _upright(way)[0] and _upright(way)[1] < self.bottom] or ways
            others = [(line - 1, line + 1) for line, other in heights if other is not level and abs(line - y) > 1]
            clear = [way for way in inside if not any(_meet(_upright(way), other) for other in others)] or inside
            beside = [[one for one in taken if _meet(_upright(way), one[:2])] for way in clear]
            way, met = min(zip(clear, beside, strict=True), key=lambda pair: len(pair[1]))
            end = min((one[2].at[0] - _long(one[2]) - 10 for one in met), default=way.at[0])
            words = replace(way, at=(end, way.at[1]))
            taken.append((*_upright(words), words))
            yield words

    def _moments(self, levels: Sequence[tuple[float, float]]) -> Iterator[Shape]:
        """Each with its name at its upper end, on the side where there is room; neighbours' names at three heights,
        none of them where lines and names of ``levels`` are, from their upper edge to their lower one."""
        heights = [self.top + 13.0 * row for row in range(1, 4 + 3 * len(levels))]
        free = [y for y in heights if not any(_meet((y - 11, y + 3), level) for level in levels)]
        for number, moment in enumerate(self.figure.moments):
            place = float(self.x.place(np.array([moment.x]))[0])
            if 0 <= place <= 1:
                x = float(self._across(np.array([place]))[0])
                yield Stroke([(x, self.top), (x, self.bottom)], QUIET, 1, 0.6)
                y = free[number % 3]
                if place > 0.5:
                    yield Words((x - 4, y), moment.name, QUIET, "end", 11)
                else:
                    yield Words((x + 4, y), moment.name, QUIET, size=11)

    def _legend(self, end: float) -> Iterator[Words]:
        """The curves' names and how they are looked at, in as many lines as it takes up to ``end``."""
        x, y = float(MARGIN), float(LEGEND)
        both = all(scale is not None for scale in self.y.values())
        sides = {"left": "", "right": " (right axis)" if both else ""}
        named = sorted((s for s in self.figure.series if s.name), key=lambda s: (s.side == "right", s.ink >= DIM))
        notes = [(s.name + sides[s.side], self._paler(s.ink)) for s in named]
        marks = [name for name, on in (("log y", self.view.log_y), ("log x", self.view.log_x)) if on]
        if self.view.smoothing and self.figure.smooths:
            marks.append(f"smooth {self.view.smoothing:g}")
        for name, colour in [*notes, *((mark, QUIET) for mark in marks)]:
            words = Words((x, y), name, colour, size=12, bold=colour != QUIET)
            if x > MARGIN and x + _long(words) > end:
                x, y = float(MARGIN), y + LINE
            yield replace(words, at=(x, y))
            x += max(7.4 * len(name), _long(words)) + 18


def _upright(words: Words) -> tuple[float, float]:
    """From which height to which a text reaches."""
    return words.at[1] - 0.9 * words.size, words.at[1] + 0.25 * words.size


def _plate(words: Words) -> Area:
    """White under a text, so that curves do not strike it through."""
    x, y, long = *words.at, length(words.text, words.size)
    left = x - long if words.anchor == "end" else x
    top, bottom = y - 0.85 * words.size, y + 0.22 * words.size
    corners = [(left - 2, top), (left + long + 2, top), (left + long + 2, bottom), (left - 2, bottom)]
    return Area(corners, "#ffffff", PLATE)


def _meet(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _long(words: Words) -> float:
    """The most pixels that a text takes."""
    return WIDER * length(words.text, words.size)


def _pieces(x: Floats, y: Floats) -> Iterator[list[Point]]:
    """Unbroken pieces of a curve, thinned to what a pixel column can show."""
    there = np.isfinite(x) & np.isfinite(y)
    for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(there)) + 1):
        if len(part) and there[part[0]]:
            kept = _thinned(x[part], y[part])
            yield list(zip(x[part][kept].tolist(), y[part][kept].tolist(), strict=True))


def _thinned(x: Floats, y: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Indices of the points to keep: of each pixel column the first and last, the highest and the lowest."""
    columns = np.floor(x).astype(np.int64)
    cuts = np.concatenate(([0], np.flatnonzero(np.diff(columns)) + 1, [len(x)]))
    if len(x) <= MOST_POINTS * len(cuts):
        return np.arange(len(x))
    kept: set[int] = set()
    for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        part = y[start:end]
        kept |= {start, end - 1, start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(kept))
