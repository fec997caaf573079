"""The history's lists as arrays that grow with them: what was copied and smoothed once is not gone through again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from engine.runs.history import RunHistory
from engine.runs.series import Series
from mim4dd_tui.plots.figure import Floats
from mim4dd_tui.plots.smooth import Smoothing, extended

Transform = Callable[[Floats], Floats]


class Growing:
    """The points of one series so far. What was handed out stays as it was, whatever is added."""

    def __init__(self) -> None:
        self._known = 0
        self._x = self._y = np.empty(0)
        self._smoothing: tuple[float, Smoothing] | None = None

    def __len__(self) -> int:
        return self._known

    def add(self, x: Floats, y: Floats) -> None:
        """Further points."""
        self._x, self._y = extended(self._x, self._known, x), extended(self._y, self._known, y)
        self._known += len(x)

    @property
    def x(self) -> Floats:
        """The iterations. Not to be written to."""
        return self._x[: self._known]

    @property
    def y(self) -> Floats:
        """The values. Not to be written to."""
        return self._y[: self._known]

    def smoothed(self, weight: float) -> Floats:
        """The values so far, smoothed; the newest weight's are kept."""
        if self._smoothing is None or self._smoothing[0] != weight:
            self._smoothing = (weight, Smoothing(weight))
        return self._smoothing[1].of(self.y)


@dataclass
class _Followed:
    """A series of a history, at which count of cuts, and its points as arrays."""

    source: Series
    cuts: int
    points: Growing


_KEPT: WeakKeyDictionary[RunHistory, dict[tuple[str, Transform | None], _Followed]] = WeakKeyDictionary()


def grown(history: RunHistory, name: str, transform: Transform | None = None) -> Growing:
    """A series of a history as arrays, for the interface's thread alone; empty ones where there is none yet.

    Only what is new is copied, and all of it where points were taken back. ``transform`` is applied to the values,
    each for itself.
    """
    source = history.series.get(name)
    if source is None:
        return Growing()
    kept = _KEPT.setdefault(history, {})
    followed = kept.get((name, transform))
    if followed is None or followed.source is not source or followed.cuts != source.cuts:
        followed = kept[(name, transform)] = _Followed(source, source.cuts, Growing())
    points = followed.points
    if len(source) > len(points):
        values = np.array(source.values[len(points) :], dtype=float)
        iterations = np.array(source.iterations[len(points) :], dtype=float)
        points.add(iterations, values if transform is None else transform(values))
    return points
