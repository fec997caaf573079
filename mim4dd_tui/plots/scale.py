"""Axes: from values to places, and round numbers for ticks."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable, Iterator
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
        """At most ``most`` (>= 2) round values inside the axis, ascending; ``whole``: only whole numbers. Two at least,
        so that a value can be read between them, where there are two."""
        steps = self._round_steps(most, whole)
        if not self.log:
            return steps
        ways = [*self._decades(most, whole), steps]
        return min(ways, key=lambda ticks: (len(ticks) < 2, self._bare(ticks)))

    def whole_steps(self, most: int) -> Iterator[list[float]]:
        """Whole numbers inside a linear axis, a round step apart: ever fewer, from somewhat more than ``most`` down to
        one."""
        power = max(0, math.floor(math.log10(max((self.high - self.low) / most, 1.0))) - 1)
        steps = (factor * 10.0**more for more in itertools.count(power) for factor in (1, 2, 2.5, 5))
        for step in (step for step in steps if step == round(step)):
            yield (ticks := self._multiples(step, whole=True))
            if len(ticks) < 2:
                return

    def _decades(self, most: int, whole: bool) -> Iterator[list[float]]:
        """Powers of ten; where there are two at most, also 1, 2 and 5 of each decade, or the outermost of these with or
        without the powers, or all digits."""
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        powers = _whole([10.0**power for power in range(first, last + 1)], whole)
        if powers:
            yield powers[:: math.ceil(len(powers) / most)]
        if len(powers) > 2:
            return

        def of(factors: Iterable[int]) -> list[float]:
            every = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in factors]
            return _whole([tick for tick in every if self.low <= tick <= self.high], whole)

        usual = of((1, 2, 5))
        ends = [tick for tick in usual if tick in (usual[0], usual[-1])]
        more = [tick for tick in usual if tick in ends or tick in powers]
        yield from (ticks for ticks in (usual, more, ends, of(range(1, 10))) if len(ticks) <= most)

    def _bare(self, ticks: list[float]) -> float:
        """The largest share of the axis without a tick; twice where it is at an end, beyond all ticks."""
        places = self.place(np.array(ticks))
        if not len(places) or np.isnan(places).any():  # a logarithmic axis has no 0
            return math.inf
        return float(max(2 * places[0], 2 * (1 - places[-1]), *np.diff(places)))

    def _round_steps(self, most: int, whole: bool) -> list[float]:
        raw = max((self.high - self.low) / max(1, most), 1.0 if whole else 0.0)
        if raw < sys.float_info.min * 10:
            return _whole([self.low, self.high], whole)  # no round number is that small
        magnitude = 10.0 ** math.floor(math.log10(raw))
        finer: list[float] = []
        for factor in (1, 2, 2.5, 5, 10, 20):
            step = factor * magnitude
            found = self._multiples(step, whole)
            if len(found) <= most:
                return found if len(found) > 1 or len(finer) < 2 else [finer[0], finer[-1]]
            finer = found
        return [finer[0], finer[-1]]

    def _multiples(self, step: float, whole: bool) -> list[float]:
        slack = min(1e-9, 1e-6 * (self.high - self.low) / step)  # a range may lie within a billionth of a step
        first, last = math.ceil(self.low / step - slack), math.floor(self.high / step + slack)
        return _whole([index * step for index in range(first, last + 1)], whole)


def _whole(ticks: list[float], whole: bool) -> list[float]:
    return [tick for tick in ticks if not whole or tick == round(tick)]


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
