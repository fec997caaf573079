"""Exponential smoothing of a whole series, before anything is zoomed or thinned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mim4dd_tui.plots.figure import Floats, Series


def ema(values: Floats, weight: float) -> Floats:
    """Exponential moving average with bias correction: the first value is itself, not a pull towards zero.

    Args:
        values: any length; what is not finite stays a gap and does not disturb its neighbours.
        weight: 0 (no smoothing) up to, not including, 1; the share of the past in each value.

    Raises:
        ValueError: the weight is outside 0 <= weight < 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"smoothing weight {weight} must be at least 0 and below 1")
    if weight == 0 or len(values) == 0:
        return values
    return _averaged(values, weight, _Past())[0]


def smoothed(series: Series, weight: float) -> Floats:
    """A series' values by :func:`ema`, from where they are kept if they are; ``y`` itself for weight 0."""
    return ema(series.y, weight) if weight == 0 or series.smoother is None else series.smoother(weight)


class Smoothing:
    """:func:`ema` of a series that grows at its end: every value is averaged once.

    Args:
        weight: as for ``ema``, and above 0.
    """

    def __init__(self, weight: float) -> None:
        if not 0 < weight < 1:
            raise ValueError(f"smoothing weight {weight} must be above 0 and below 1")
        self._weight = weight
        self._past = _Past()
        self._out = np.empty(0)
        self._known = 0

    def of(self, values: Floats) -> Floats:
        """The averages of ``values``, whose beginning is what was handed in the last time. Not to be written to."""
        if len(values) > self._known:
            new, self._past = _averaged(values[self._known :], self._weight, self._past)
            self._out = extended(self._out, self._known, new)
            self._known = len(values)
        return self._out[: self._known]


def extended(room: Floats, used: int, new: Floats) -> Floats:
    """An array with ``new`` after the first ``used`` values: ``room`` itself, or a copy of twice the size it needs.

    What was handed out as ``room[:used]`` before keeps its values.
    """
    if used + len(new) > len(room):
        room = np.concatenate([room[:used], np.empty(used + 2 * len(new))])
    room[used : used + len(new)] = new
    return room


@dataclass(frozen=True)
class _Past:
    """What the next average needs of all values before: their weighted sum, and how many were finite."""

    total: float = 0.0
    count: int = 0


def _averaged(values: Floats, weight: float, before: _Past) -> tuple[Floats, _Past]:
    finite = np.isfinite(values)
    inputs = values[finite] * (1 - weight)
    sums = np.empty(len(inputs))
    # s[k] = weight**k * cumsum(input[j] * weight**-j), in blocks short enough for the powers to stay finite
    block = max(1, min(len(inputs), int(200 / -math.log(weight))))
    powers = weight ** np.arange(1, block + 1)
    past = before.total
    for start in range(0, len(inputs), block):
        part = inputs[start : start + block]
        scale = powers[: len(part)]
        sums[start : start + block] = scale * (past + np.cumsum(part / scale))
        past = float(sums[start + len(part) - 1])
    count = before.count + len(inputs)
    out = np.full(len(values), np.nan)
    out[finite] = sums / (1 - weight ** np.arange(before.count + 1, count + 1))
    return out, _Past(past, count)
