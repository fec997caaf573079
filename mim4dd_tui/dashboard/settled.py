"""Keeping Python's garbage collector off what is there to stay.

A full collection goes through every object there is while all threads wait. torch and its compiler make some
600,000 that live as long as the process: a third of a second, several times a minute, in which no key is heard.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.events import Event, Observer, Phase
from mim4dd_tui.dashboard.pace import Pace

NEVER = 1 << 30
QUIET_SECONDS = 2.0
"""Without a key or the mouse, before a full collection is made."""
APART_SECONDS = 20.0
"""Least time between two of them."""
SHARE = 0.001
"""Of one core, the most that they may take while nobody types: what is costly is made more seldom."""
MANY = 100
"""Modules that are loaded together with what they stand on: torch, its compiler, scikit-learn."""
OVERDUE = 20
"""So many times as many objects as Python would wait for: then it is made, whoever types."""


class Collector:
    """Makes full collections when nobody types.

    Python begins one after so many new objects, and that is most often while a key is being answered: nothing else
    makes as many as opening a screen.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock = clock
        self._pace = Pace(SHARE, math.inf, clock=clock, processor=processor)
        self._pace.begin()  # none is due at once
        self._usual: tuple[int, int, int] | None = None
        self._touched = clock()

    def hold(self) -> None:
        """From now on full collections are made by :meth:`tick` alone."""
        if self._usual is None:
            self._usual = gc.get_threshold()
            gc.set_threshold(*self._usual[:2], NEVER)

    def release(self) -> None:
        """Python makes them again."""
        if self._usual is not None:
            gc.set_threshold(*self._usual)
            self._usual = None

    def touched(self) -> None:
        """Somebody types."""
        self._touched = self._clock()

    @property
    def untouched(self) -> float:
        """Seconds since somebody typed."""
        return self._clock() - self._touched

    def tick(self) -> bool:
        """Collect where it is time to and nobody types; whether that was done. Call it often."""
        if self._usual is None:
            return False
        waiting, enough = gc.get_count()[2], self._usual[2]
        quiet = self.untouched >= QUIET_SECONDS and self._pace.due(APART_SECONDS)
        if waiting <= (enough if quiet else enough * OVERDUE):
            return False
        self._pace.begin()
        gc.collect()
        self._pace.settle()
        return True


@contextmanager
def settled(observer: Observer) -> Iterator[Observer]:
    """An observer that calls ``observer``, and that at the beginning of every phase sets aside what exists by then.

    What is garbage already is collected first, but where the engine has loaded ``MANY`` modules since: next to nothing
    of that is garbage. What becomes garbage later, in cycles, is found when the block has ended: then everything is the
    collector's again.
    """
    known = len(sys.modules)

    def observe(event: Event) -> None:
        nonlocal known
        if isinstance(event, Phase):
            before, known = known, len(sys.modules)
            if known - before < MANY:
                gc.collect()
            gc.freeze()
        observer(event)

    try:
        yield observe
    finally:
        gc.unfreeze()
