"""What stands over a plot: its heading, the values of its curves, and how it is looked at, in the room there is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mim4dd_tui.plots.draw import DIM
from mim4dd_tui.plots.figure import Figure, Series, Viewport
from mim4dd_tui.plots.viewing import whole, window
from mim4dd_tui.quantities import number

DEVIATION, QUALIFIED = re.compile(r" ± \S+"), re.compile(r" ± \S+|, \S+")
"""What gives way first beside a value: its deviation, then what follows a comma in its name as well."""
UNIT = re.compile(r" %")
"""What a value can be read without: the axis has it too."""
Told = Literal["all", "one", "names", "some"]
"""What a title tells: all values; all names, with a value or more; all names; not even those."""


@dataclass(frozen=True)
class Title:
    """The title of a figure as it is looked at.

    Attributes:
        headings: what the plot is called, and shorter where that leaves no room for a value.
        whole: the key after which there is room for all names; empty: none.
        width: columns.
        samples: a sign of how each curve is drawn, by its ink, where no colour tells them apart.
        arrow: the sign of the right axis.
        happened: names of what is marked in the cursor's column.
    """

    figure: Figure
    view: Viewport
    headings: tuple[str, ...]
    whole: str
    width: int
    samples: Mapping[int, str]
    arrow: str
    happened: tuple[str, ...] = ()

    def said(self) -> tuple[str, list[tuple[str, int]]]:
        """The heading, and as much as there is room for beside it, each with its ink.

        Levels are left out first, and marks are shortened to their keys; then go deviations, then what qualifies a
        name, then values from the end. Before a name goes, which is what tells the curves apart, the marks go, then
        units, then, but of two curves with words for names, the cursor's place; names that are left out even so are
        counted. The place outlives all values but the first; so do the marks, unless without them a cursor's values
        can all be read.
        """
        said, levels = _spelled(self._values(), self.samples), _spelled(self._levels())
        place = said[-1:] if self.view.cursor is not None else []
        curves = said[: len(said) - len(place)]
        filled = self._filled(curves, place, levels, marked=True)
        if place and filled[2] != "all":
            bare = self._filled(curves, place, levels, marked=False)
            filled = bare if bare[2] == "all" else filled
        if filled[2] == "some":
            brief = _without(UNIT, curves)
            # of two curves with words for names the one without is known by the other's; not so of runs' letters
            words = len(curves) == 2 and all(len(one.name) > 1 for one in self.figure.series)
            for values, where in ((curves, place), (brief, place), (brief, place if words else [])):
                other = self._filled(values, where, levels, marked=False)
                # who has put a cursor somewhere wants to read a value
                if other[2] in ("all", "one") or (other[2] == "names" and not (place and filled[1])):
                    return other[:2]
        return filled[:2]

    def _filled(
        self,
        said: list[tuple[str, int]],
        place: list[tuple[str, int]],
        levels: list[tuple[str, int]],
        *,
        marked: bool,
    ) -> tuple[str, list[tuple[str, int]], Told]:
        """The heading, what stands beside it, and what of the curves that tells."""
        width = self.width
        for heading, spared in ((heading, spared) for spared in (DEVIATION, QUALIFIED) for heading in self.headings):
            marks = self._marks(said + place, width - len(heading)) if marked else []
            room = width - len(heading) - _length(marks)
            others = levels[: _fitting(said + place, levels, room)]
            behind = _spelled(self._behind()) if others == levels else []
            if _length([*said, *place, *others, *behind]) <= room:  # all of them, or none
                others = others + behind
            whole = said if _length(said + place + others) <= room else _without(spared, said)
            ways = ((way, told) for wide, told in self._ways(whole, place) for way in (wide, _close(wide)))
            kept, told = next(((way, told) for way, told in ways if _length(way) <= room), ([], "some"))
            if told in ("all", "one"):
                break
        return heading, kept + others + marks, told

    def _ways(
        self, said: list[tuple[str, int]], place: list[tuple[str, int]]
    ) -> Iterator[tuple[list[tuple[str, int]], Told]]:
        """Ever shorter ways of naming the curves beside the cursor's place, each with what it tells of them."""
        count = len(said)
        names = [(f" {self.samples.get(ink, '')}{name}", ink) for name, _, ink in self._values()[:count]]
        named = all(name.strip() for name, _ in names)
        yield said + place, "all"
        if named:
            yield from (([*said[:whole], *_begun(names[whole:]), *place], "one") for whole in range(count - 1, 0, -1))
        if named and not place:
            yield _begun(names), "names"
        key = f" ({self.whole})" if self.whole else ""
        for seen in range(count - 1 if count > 1 else 0, 0, -1):
            rest = (f"  +{count - seen} more{key}", 0)
            yield [*said[:1], *_begun(names[1:seen]), *place, rest], "some"
            if not place:  # who has put a cursor somewhere wants to read a value
                yield [*_begun(names[:seen]), rest], "some"
        yield said[:1] + place, "some"
        yield said[:1], "some"

    def _values(self) -> list[tuple[str, str, int]]:
        out = []
        place = self.view.cursor
        # of two axes the left one's curves matter more, in whatever order they are drawn
        read = [(one, nearest(one, place)) for one in sorted(self.figure.series, key=lambda one: one.side == "right")]
        points = [float(series.x[index]) for series, index in read if index is not None]
        at = min(points, key=lambda x: abs(x - (place or 0.0)), default=0.0)  # of few points, or ended, are beside it
        for series, index in read:
            if index is None:
                continue
            x = float(series.x[index])
            if _secondary(series) and not self._pointed(series):  # see below
                continue
            band, spread = series.band, math.nan
            if band is not None:
                spread = float(band.high[index] - band.low[index]) / 2
            value = self._told(float(series.y[index]), spread)
            if place is not None and abs(x - at) > 0.5:
                value += f" ({x:.0f})"  # it has no point where the others are read
            out.append((series.name + self._side(series), value, series.ink))
        if place is not None:
            out.append((f"at {at if points else place:.0f}", "", 0))
        return out

    def _side(self, series: Series) -> str:
        """A sign of the axis a curve is read on, where there are two."""
        if series.side == "left" or not any(other.side == "left" for other in self.figure.series):
            return ""
        return self.arrow

    def _levels(self) -> list[tuple[str, str, int]]:
        """After what happened where the cursor stands."""
        levels = [(level.name, self._told(level.value), level.ink) for level in self.figure.levels]
        return [*((name, "", 0) for name in self.happened), *levels]

    def _behind(self) -> list[tuple[str, str, int]]:
        """The curves behind the others, and marks beside them, where they have names."""
        behind = [one for one in self.figure.series if _secondary(one) and one.name and not self._pointed(one)]
        read = [(series, nearest(series, self.view.cursor)) for series in behind]
        return [
            (series.name, self._told(float(series.y[index])), series.ink) for series, index in read if index is not None
        ]

    def _pointed(self, series: Series) -> bool:
        """Whether it is marks, and the cursor stands on one of them."""
        index = None if self.view.cursor is None or series.line else nearest(series, self.view.cursor)
        return index is not None and abs(float(series.x[index]) - (self.view.cursor or 0.0)) <= 0.5

    def _told(self, value: float, spread: float = math.nan) -> str:
        return (self.figure.told or number)(value, spread)

    def _marks(self, said: Sequence[tuple[str, int]], room: int) -> list[tuple[str, int]]:
        """How the curves are looked at: in words beside all values, else by the keys that did it beside the first."""
        view = self.view
        marks = {
            "y": "log y" if view.log_y else "",
            "X": "log x" if view.log_x else "",
            "w": f"smooth {view.smoothing:g}" if view.smoothing and self.figure.smooths else "",
            "+": "zoomed" if window(self.figure, view) != whole(self.figure, view) else "",
        }
        words = [(f"  {mark}", 0) for mark in marks.values() if mark]
        if not words or _length([*said, *words]) <= room:
            return words
        keys = [(f" [{''.join(key for key, mark in marks.items() if mark)}]", 0)]
        return keys if _length([*_without(QUALIFIED, said[:1]), *keys]) <= room else []


def _secondary(series: Series) -> bool:
    """Whether it is told of where there is room: it lies behind the others, or is marks beside them."""
    return series.ink >= DIM or not series.line


def _spelled(values: Sequence[tuple[str, str, int]], samples: Mapping[int, str] | None = None) -> list[tuple[str, int]]:
    """Names and values as they stand in a title, each with its ink, and the sample of its curve where there is one."""
    known = samples or {}
    return [(f"  {known.get(ink, '')}{f'{label} {value}'.strip()}", ink) for label, value, ink in values]


def _fitting(said: Sequence[tuple[str, int]], more: Sequence[tuple[str, int]], room: int) -> int:
    """How many of the other notes there is room for beside all values."""
    count = len(more)
    while count and _length([*said, *more[:count]]) > room:
        count -= 1
    return count


def _close(said: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The same with one blank before each."""
    return [(f" {text.lstrip()}", ink) for text, ink in said]


def _begun(names: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Names one blank apart, and one more before the first."""
    return [(f" {name}" if not place else name, ink) for place, (name, ink) in enumerate(names)]


def _without(spared: re.Pattern[str], said: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Names and values without what there is no room for."""
    return [(spared.sub("", text), ink) for text, ink in said]


def _length(said: Sequence[tuple[str, int]]) -> int:
    return sum(len(text) for text, _ in said)


def nearest(series: Series, place: float | None) -> int | None:
    """Index of the finite point nearest to the cursor, or of the newest one."""
    finite = np.flatnonzero(np.isfinite(series.y))
    if len(finite) == 0:
        return None
    if place is None:
        return int(finite[-1])
    return int(finite[np.abs(series.x[finite] - place).argmin()])
