"""Means of small samples with their deviations and t-intervals: what is said of seeds, wherever that is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: of the values; nan of none.
        half: half of the 95 % t-interval's width; nan of fewer than two values.
        count: how many there were.
    """

    mean: float
    half: float
    count: int

    @property
    def low(self) -> float:
        """The interval's lower end; the mean itself where there is no interval."""
        return self.mean - (self.half if math.isfinite(self.half) else 0.0)

    @property
    def high(self) -> float:
        """The interval's upper end; the mean itself where there is no interval."""
        return self.mean + (self.half if math.isfinite(self.half) else 0.0)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) of some values; the deviation is nan of one."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def _quantile(freedom: float) -> float:
    """Of Student's t: what half of the interval is, in standard errors."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval of independent values, by Student's t: half = t(n - 1) * s / sqrt(n)."""
    count = len(values)
    if count < 2:
        return Estimate(values[0] if count else math.nan, math.nan, count)
    return Estimate(statistics.fmean(values), _quantile(count - 1) * statistics.stdev(values) / math.sqrt(count), count)


def unpaired(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Of the difference of the means of two independent samples: Welch's t-interval.

    ``count`` is that of the smaller sample; below two there is no interval.
    """
    mean = statistics.fmean(ours) - statistics.fmean(theirs) if ours and theirs else math.nan
    count = min(len(ours), len(theirs))
    if count < 2:
        return Estimate(mean, math.nan, count)
    parts = [(statistics.variance(side) / len(side), len(side) - 1) for side in (ours, theirs)]
    total = sum(part for part, _ in parts)
    if total == 0:
        return Estimate(mean, 0.0, count)
    freedom = total**2 / sum(part**2 / left for part, left in parts)
    return Estimate(mean, _quantile(freedom) * math.sqrt(total), count)


def paired(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Estimate:
    """Of the differences ``ours - theirs``, pair by pair; a pair with a missing side (None) is left out.

    Raises:
        ValueError: the two are not of one length.
    """
    pairs = zip(ours, theirs, strict=True)
    return estimate([a - b for a, b in pairs if a is not None and b is not None])
