"""What a plot shows: series, horizontal levels, moments, and the part of the plane that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Side = Literal["left", "right"]


@dataclass(frozen=True, eq=False)
class Band:
    """A range around a series, for example mean -/+ deviation; same length as the series.

    ``name`` says on paper what it is; empty where the page says so elsewhere.
    """

    low: Floats
    high: Floats
    name: str = ""


DEVIATION = "mean ± standard deviation over the networks of an evaluation"
"""What the band of an accuracy is."""


@dataclass(frozen=True, eq=False)
class Series:
    """One curve: ``x`` ascending, ``y`` of the same length; a value that is not finite is a gap.

    ``ink`` is a number that the view turns into a colour; ``side`` the axis that ``y`` is read on.
    """

    name: str
    x: Floats
    y: Floats
    ink: int = 1
    side: Side = "left"
    band: Band | None = None
    markers: bool = False  # draw every point as a mark: for few, precious points
    line: bool = True  # else its marks alone
    smoother: Callable[[float], Floats] | None = None  # smoothed values by weight, where they are kept

    def __post_init__(self) -> None:
        if self.x.shape != self.y.shape or self.x.ndim != 1:
            raise ValueError(f"series {self.name!r}: x {self.x.shape} and y {self.y.shape} must be one length")


@dataclass(frozen=True)
class Level:
    """A horizontal line, dashed: a ceiling or a baseline."""

    name: str
    value: float
    ink: int = 1
    side: Side = "left"


@dataclass(frozen=True)
class Moment:
    """A place on the x axis at which something happened: a thin upright line."""

    name: str
    x: float


@dataclass(frozen=True)
class Viewport:
    """How a figure is looked at. ``x`` None shows everything; ``cursor`` is a place on the x axis."""

    x: tuple[float, float] | None = None
    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0
    cursor: float | None = None

    def changed(self, **values: object) -> Viewport:
        """A copy with some fields replaced."""
        return replace(self, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Figure:
    """Everything one plot shows."""

    series: tuple[Series, ...] = ()
    levels: tuple[Level, ...] = ()
    moments: tuple[Moment, ...] = ()
    percent: bool = False  # y is a fraction, labelled in percent
    told: Callable[[float, float], str] | None = None  # a value and its spread (nan: none) in words; else a number
    y_floor: float | None = None  # the y axis reaches at least down to this (left axis, linear)
    x_name: str = "iteration"  # on paper
    y_name: str = ""  # its unit, on paper
    empty: str = "no data yet"
    over: bool = False  # no more will come
    extent: tuple[float, float] | None = None  # the x axis covers at least this

    @property
    def smooths(self) -> bool:
        """Whether it has curves that are smoothed: single measurements, which are marked, stay as they are."""
        return any(not series.markers for series in self.series)

    def bounds_x(self) -> tuple[float, float] | None:
        """Smallest and largest finite x of all series (and ``extent``); None where there is no point."""
        lows = [float(s.x[0]) for s in self.series if len(s.x)]
        highs = [float(s.x[-1]) for s in self.series if len(s.x)]
        if not lows:
            return None
        if self.extent is not None:
            lows.append(self.extent[0])
            highs.append(self.extent[1])
        return min(lows), max(highs)
