"""Axes: from values to places, and round numbers for ticks."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from mim4dd_tui.plots.figure import Floats


@dataclass(frozen=True)
class Scale:
    """Maps ``low``..``high`` to 0..1, linearly or by the logarithm (then both must be positive)."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"axis from {self.low} to {self.high} (log: {self.log}) is empty")

    def place(self, values: Floats) -> Floats:
        """0..1 inside the axis; nan where the value has no place (not finite, or <= 0 on a log axis)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if not self.log:
                placed = (values - self.low) / (self.high - self.low)
            else:
                span = math.log(self.high) - math.log(self.low)
                placed = (np.log(np.where(values > 0, values, np.nan)) - math.log(self.low)) / span
        return np.where(np.isfinite(placed), placed, np.nan)

    def value(self, place: float) -> float:
        """The value at a place of 0..1: the inverse of :meth:`place`."""
        if self.log:
            return float(math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low))))
        return self.low + place * (self.high - self.low)

    def ticks(self, most: int, *, whole: bool = False) -> list[float]:
        """At most ``most`` (>= 2) round values inside the axis, ascending; ``whole``: of them the whole numbers."""
        return [tick for tick in self._ticks(most) if not whole or tick == round(tick)]

    def _ticks(self, most: int) -> list[float]:
        if self.log and math.log10(self.high / self.low) >= 1.5:
            return self._decades(most)
        return self._round_steps(most)

    def _decades(self, most: int) -> list[float]:
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        stride = max(1, math.ceil((last - first + 1) / most))
        return [10.0**power for power in range(first, last + 1, stride)]

    def _round_steps(self, most: int) -> list[float]:
        raw = (self.high - self.low) / max(1, most)
        if raw < sys.float_info.min * 10:
            return [self.low, self.high]  # no round number is that small
        magnitude = 10.0 ** math.floor(math.log10(raw))
        for factor in (1, 2, 2.5, 5, 10, 20):
            step = factor * magnitude
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            if last - first + 1 <= most:
                return [index * step for index in range(first, last + 1)]
        return [self.low, self.high]


EQUAL = 1e-9
"""Values that differ by less, as a part of them, are equal: smoothing a constant leaves it in the last bits."""


def spread(low: float, high: float, *, log: bool, margin: float = 0.04) -> tuple[float, float]:
    """A little air around a range, and a range of some width where all values are equal."""
    differ = high - low > EQUAL * max(abs(low), abs(high))
    if log:
        ratio = (high / low) ** margin if differ else 1.5
        return low / ratio, high * ratio
    if differ:
        air = (high - low) * margin
        return low - air, high + air
    air = abs(high) * 0.1 or 0.5
    return low - air, high + air
