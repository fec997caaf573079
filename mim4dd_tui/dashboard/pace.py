"""How often what comes by itself is done: as seldom as its cost asks for. Pure: no widget, clocks handed in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SHARE = 0.004
"""Of one core, the most that painting curves by itself may take; the aim for the whole interface is 0.02."""
LONGEST = 8.0
"""Seconds between two paintings on however slow a machine."""
TYPING_SECONDS = 0.5
"""After a key, before anything is painted by itself: the next key would wait for it."""


class Pace:
    """Measures what something took of the calling thread's processor time, and puts off the next one accordingly.

    A painting is spread over several turns of the interface's loop: call :meth:`begin` before it, and :meth:`settle`
    at the first turn that finds it done. What is asked for by a key is painted without asking :meth:`due`.

    Args:
        share: of one core, the most that it may take.
        longest: seconds between two, whatever they cost.
    """

    def __init__(
        self,
        share: float = SHARE,
        longest: float = LONGEST,
        *,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.thread_time,
    ) -> None:
        self._share, self._longest = share, longest
        self._clock, self._processor = clock, processor
        self._begun: float | None = None
        self._started: float | None = None  # of the one not settled yet, in processor time
        self.cost = 0.0

    def begin(self) -> None:
        """One begins now."""
        self._begun, self._started = self._clock(), self._processor()

    def settle(self) -> None:
        """What was begun is done; ``cost`` is then its processor time in seconds."""
        if self._started is not None:
            self.cost, self._started = self._processor() - self._started, None

    def due(self, least: float, *, untouched: float = math.inf) -> bool:
        """Whether ``least`` seconds have passed since the last began, and as many more as its cost asks for.

        ``untouched`` is the time since the last key. Whoever types goes first, for ``longest`` seconds at most.
        """
        if self._begun is None:
            return True
        late = self._clock() - self._begun - max(least, min(self.cost / self._share, self._longest))
        return late >= (0.0 if untouched >= TYPING_SECONDS else self._longest)
