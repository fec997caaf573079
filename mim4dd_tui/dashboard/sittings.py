"""How long a run was at work and where it went back, from its journal, without parsing all of it.

A run that was stopped and resumed has several sittings. Each begins with the journal's line of the run's start and
ends with the line before the next one; pauses within it are left out. The same sum as
:attr:`engine.runs.history.RunHistory.worked`, which hears every line and so also bears a clock that is set back within
a sitting: here only its ends and its pauses are read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import DataError
from engine.events import Recovered, RunStarted, StateChanged
from engine.runs.history import WORKING
from engine.runs.journal import MalformedLineError, parse_line

START = b'"kind":"run_started"'
"""Nowhere else in a journal: within a text its quotation marks would be escaped."""
STATE = b'"kind":"state"'
BACK = b'"kind":"recovered"'
"""Likewise."""
Back = tuple[int, int]
"""Where in a journal a run went back, in bytes, and behind which iteration what stands before is superseded."""


@dataclass(frozen=True)
class Sittings:
    """What is known after the first ``size`` bytes. ``begun`` and ``last`` are seconds since the epoch.

    Attributes:
        past: seconds of the sittings before the newest.
        begun: when the newest began; None before the first.
        last: when the newest last said something.
        paused: seconds of the newest one's pauses that are over.
        pausing: since when it is paused, or has ended; None where it is at work.
        backs: every time it went back, to a checkpoint or its beginning, oldest first.
    """

    size: int = 0
    past: float = 0.0
    begun: float | None = None
    last: float | None = None
    paused: float = 0.0
    pausing: float | None = None
    backs: tuple[Back, ...] = ()

    def worked(self, heartbeat: float | None = None) -> float | None:
        """Seconds at work, up to the last sign of life of a run that is going on; None where it never began."""
        if self.begun is None or self.last is None:
            return None
        return self.past + self._newest(max(self.last, heartbeat or 0.0))

    def after_start(self, ended: float | None, begun: float | None) -> Sittings:
        """A sitting begins; the one before ended, if there was one."""
        before = 0.0 if ended is None else self._newest(ended)
        return Sittings(past=self.past + before, begun=begun, backs=self.backs)

    def after_state(self, state: str, moment: float) -> Sittings:
        """The run is paused, goes on, or has ended: what it puts away afterwards is no work of it."""
        if state not in WORKING:
            return self if self.pausing is not None else replace(self, pausing=moment)
        if self.pausing is None:
            return self
        return replace(self, paused=self.paused + max(0.0, moment - self.pausing), pausing=None)

    def after_back(self, place: int, iteration: int) -> Sittings:
        """What stands before ``place`` no longer holds beyond this iteration."""
        return replace(self, backs=(*self.backs, (place, iteration)))

    def _newest(self, end: float) -> float:
        """Seconds of the newest sitting, up to its pause or its end."""
        if self.begun is None:
            return 0.0
        return max(0.0, (end if self.pausing is None else self.pausing) - self.begun - self.paused)


def read_sittings(path: Path, before: Sittings | None = None) -> Sittings:
    """The sittings in a journal; only what was added since ``before`` is searched. None are in a missing file."""
    known = before or Sittings()
    try:
        with path.open("rb") as file:  # not mapped: a file that is cut meanwhile would end the process
            if os.fstat(file.fileno()).st_size < known.size:
                known = Sittings()
            file.seek(known.size)
            return _searched(file.read(), known)
    except OSError:
        return Sittings()


def _searched(data: bytes, known: Sittings) -> Sittings:
    """``data``: what follows the lines known."""
    whole, place, size, earlier = data.rfind(b"\n") + 1, 0, known.size, known.last
    while (found := _next(data, place, whole)) >= 0:
        first = data.rfind(b"\n", 0, found) + 1
        place = data.find(b"\n", found) + 1
        if data.find(START, first, place) >= 0:
            known = known.after_start(_moment(data, first, earlier), _moment(data, place, earlier))
        with suppress(MalformedLineError, DataError):
            record = parse_line(data[first : place - 1])
            if isinstance(record.event, StateChanged):
                known = known.after_state(record.event.state, record.time)
            elif isinstance(record.event, RunStarted):
                known = known.after_back(size + first, record.event.resumed_from or 0)
            elif isinstance(record.event, Recovered):
                known = known.after_back(size + first, record.event.iteration)
    return replace(known, size=size + whole, last=_moment(data, whole, earlier))


def _next(data: bytes, place: int, end: int) -> int:
    """Where the next line of a start, a state or a way back is; -1 where there is none."""
    places = [data.find(mark, place, end) for mark in (START, STATE, BACK)]
    return min((found for found in places if found >= 0), default=-1)


def _moment(data: bytes, end: int, earlier: float | None) -> float | None:
    """The time of the last record that ends at or before ``end``, where a line ends, else that ``earlier``; damaged
    lines are passed over."""
    while end > 0:
        first = data.rfind(b"\n", 0, end - 1) + 1
        try:
            return parse_line(data[first : end - 1]).time
        except (MalformedLineError, DataError):
            end = first
    return earlier
