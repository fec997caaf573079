"""How long a phase still takes, from the times at which its units were finished."""

from __future__ import annotations

import statistics
from collections import deque

WINDOW = 256
SLOW_FIRST = 5
"""Iterations at the beginning that are slow (what they need is compiled then), and say little of the others."""
GAP = 30.0
"""A unit that seems to take this many times the typical one was a pause or a sleeping machine."""


class Estimate:
    """Remaining time of one phase at a time.

    Robust against a clock that steps (an interval that runs backwards or is far too long counts as a typical
    one), against units that were found done in a cache, against pauses, and against slow first units, where a phase
    is said to have some: the very first foretells nothing, and of the others the fastest, until later ones are known.
    """

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._intervals: deque[tuple[float, int]] = deque(maxlen=WINDOW)
        self._slow: list[tuple[float, int]] = []
        self._slow_first = 0
        self._grows = False  # the newest interval ends with the last unit
        self._total: int | None = None

    def begin(self, total: int | None, *, slow_first: int = 0) -> None:
        """A phase of ``total`` units begins, ``slow_first`` of which are slow at its beginning."""
        self._last = None
        self._grows = False
        self._intervals.clear()
        self._slow, self._slow_first = [], slow_first
        self._total = total

    def pause(self) -> None:
        """What passes from now to the next unit is not work."""
        self._last = None
        self._grows = False

    def found(self, units: int) -> None:
        """So many units more count as done that are no work of this phase, as in a cache."""
        if self._last is not None:
            self._last = (self._last[0], self._last[1] + units)

    def advance(self, now: float, done: int, total: int | None = None, *, together: bool = False) -> None:
        """``done`` units are finished at ``now`` seconds on any clock, the newest ``together`` with those before: what
        was worked on side by side is finished almost at once, and each alone would seem to take no time."""
        if total is not None:
            self._total = total
        if self._last is None or done < self._last[1]:
            self._last = (now, done)
            self._grows = False
            return
        before, previous = self._last
        if done <= previous:
            return
        self._last = (now, done)
        seconds, units = now - before, done - previous
        if len(self._slow) < self._slow_first:
            self._slow.append((seconds, units))
        elif not together:
            self._intervals.append((seconds, units))
            self._grows = True
        elif self._grows:
            first, others = self._intervals[-1]
            self._intervals[-1] = (first + seconds, others + units)

    def remaining(self, now: float | None = None) -> float | None:
        """Seconds to the phase's end; None where nothing is known yet.

        Args:
            now: on the same clock; what passed since the last unit is taken off.
        """
        if self._total is None or self._last is None:
            return None
        left = max(0, self._total - self._last[1])
        if left == 0:
            return 0.0
        each = self._seconds_each()
        if each is None:
            return None
        usual = each * min(left, self._intervals[-1][1] if self._grows else 1)  # to the next that are finished
        waited = 0.0 if now is None else min(max(0.0, now - self._last[0]), usual)
        return left * each - waited

    def _seconds_each(self) -> float | None:
        rates = [seconds / units for seconds, units in self._intervals if seconds >= 0]
        if not rates:
            return min((seconds / units for seconds, units in self._slow[1:] if seconds >= 0), default=None)
        typical = statistics.median(rates)
        total = units_seen = 0.0
        for seconds, units in self._intervals:
            usual = typical * units
            total += seconds if 0 <= seconds <= max(GAP * usual, GAP) else usual
            units_seen += units
        return total / units_seen
