"""Keeping Python's garbage collector off what is there to stay.

A full collection goes through every object there is while all threads wait. torch and its compiler make some
600,000 that live as long as the process: a third of a second, several times a minute, in which no key is heard.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from engine.events import Event, Observer, Phase


@contextmanager
def settled(observer: Observer) -> Iterator[Observer]:
    """An observer that calls ``observer``, and that at the beginning of every phase sets aside what exists by then.

    What is garbage already is collected first; what becomes garbage later, in cycles, is found when the block has
    ended: then everything is the collector's again.
    """

    def observe(event: Event) -> None:
        if isinstance(event, Phase):
            gc.collect()
            gc.freeze()
        observer(event)

    try:
        yield observe
    finally:
        gc.unfreeze()
