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
        name, then values from the end, last those of the place that is named. Before a name goes, which is what tells
        the curves apart, the marks go, then units, then, but of two curves with words for names, the cursor's place;
        names that are left out even so are counted. The place outlives all values but the first; so do the marks,
        unless without them a cursor's values can all be read.
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
        order = self._order()
        if named:
            brief = _without(QUALIFIED, names)
            for whole in range(count - 1, 0, -1):
                yield [*_mixed(said, brief, order[:whole]), *place], "one"
        if named and not place:
            yield _begun(names), "names"
        key = f" ({self.whole})" if self.whole else ""
        first, others = [said[one] for one in order[:1]], [names[one] for one in order[1:]]
        for seen in range(count - 1 if count > 1 else 0, 0, -1):
            rest = (f"  +{count - seen} more{key}", 0)
            yield [*first, *_begun(others[: seen - 1]), *place, rest], "some"
            if not place:  # who has put a cursor somewhere wants to read a value
                yield [*_begun(names[:seen]), rest], "some"
        yield first + place, "some"
        yield first, "some"

    def _order(self) -> list[int]:
        """The curves in the order in which their values are kept: before others those of the place that is named."""
        places = [float(series.x[at]) for series, at in self._read()]
        return sorted(range(len(places)), key=lambda one: bool(self._elsewhere(places[one])))

    def _read(self) -> list[tuple[Series, int]]:
        """The curves whose values are told first, each with the place of its point nearest to the cursor.

        Of two axes the left one's matter more, in whatever order they are drawn. Marks are among them where the cursor
        stands on one, or where there is nothing else.
        """
        ordered = sorted(self.figure.series, key=lambda one: one.side == "right")
        known = [(one, at) for one in ordered if (at := nearest(one, self.view.cursor)) is not None]
        told = [(one, at) for one, at in known if not _secondary(one) or self._pointed(one)]
        return told or [(one, at) for one, at in known if not one.line]

    def _at(self) -> float | None:
        """Where the values are read that say no place of their own: of curves with few points, or that have ended,
        beside the cursor. None without one."""
        place = self.view.cursor
        if place is None:
            return None
        return min((float(series.x[at]) for series, at in self._read()), key=lambda x: abs(x - place), default=place)

    def _elsewhere(self, x: float) -> str:
        """The place of a value that is not read where the others are."""
        at = self._at()
        return f" ({x:.0f})" if at is not None and abs(x - at) > 0.5 else ""

    def _values(self) -> list[tuple[str, str, int]]:
        out = []
        for series, index in self._read():
            band, spread = series.band, math.nan
            if band is not None:
                spread = float(band.high[index] - band.low[index]) / 2
            value = self._told(float(series.y[index]), spread) + self._elsewhere(float(series.x[index]))
            out.append((series.name + self._side(series), value, series.ink))
        at = self._at()
        return out if at is None else [*out, (f"at {at:.0f}", "", 0)]

    def _side(self, series: Series) -> str:
        """A sign of the axis a curve is read on, where there are two."""
        if series.side == "left" or not any(other.side == "left" for other in self.figure.series):
            return ""
        return self.arrow

    def _levels(self) -> list[tuple[str, str, int]]:
        """After what happened where the cursor stands."""
        levels = [(level.name, self._told(level.value), level.ink) for level in self.figure.levels]
        return [*((name + self._moment(name), "", 0) for name in self.happened), *levels]

    def _moment(self, name: str) -> str:
        """When something happened, where the values beside it are not those of the cursor's place."""
        at, place = self._at(), self.view.cursor
        times = [moment.x for moment in self.figure.moments if moment.name == name]
        if at is None or place is None or abs(at - place) <= 0.5 or not times:
            return ""
        return self._elsewhere(min(times, key=lambda x: abs(x - place)))

    def _behind(self) -> list[tuple[str, str, int]]:
        """The curves behind the others, and marks beside them, where they have names."""
        read = [one for one, _ in self._read()]
        behind = [one for one in self.figure.series if one.name and one not in read]
        known = [(series, nearest(series, self.view.cursor)) for series in behind]
        return [
            (series.name, self._told(float(series.y[at])) + self._elsewhere(float(series.x[at])), series.ink)
            for series, at in known
            if at is not None
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


def _mixed(
    said: Sequence[tuple[str, int]], names: Sequence[tuple[str, int]], told: Sequence[int]
) -> list[tuple[str, int]]:
    """Values of some curves and names alone of the others, in their order."""
    out: list[tuple[str, int]] = []
    for place, (name, ink) in enumerate(names):
        apart = " " if place - 1 in told or not place else ""
        out.append(said[place] if place in told else (apart + name, ink))
    return out


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
