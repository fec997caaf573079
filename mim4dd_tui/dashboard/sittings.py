"""How long a run was at work, from its journal, without parsing all of it.

A run that was stopped and resumed has several sittings. Each begins with the journal's line of the run's start and
ends with the line before the next one. The same sum as :attr:`engine.runs.history.RunHistory.worked`, which hears
every line and so also bears a clock that is set back within a sitting: here only its two ends are read.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

from engine.errors import DataError
from engine.runs.journal import MalformedLineError, parse_line

START = b'"kind":"run_started"'
"""Nowhere else in a journal: within a text its quotation marks would be escaped."""


@dataclass(frozen=True)
class Sittings:
    """What is known after the first ``size`` bytes. ``begun`` and ``last`` are seconds since the epoch.

    Attributes:
        past: seconds of the sittings before the newest.
        begun: when the newest began; None before the first.
        last: when the newest last said something.
    """

    size: int = 0
    past: float = 0.0
    begun: float | None = None
    last: float | None = None

    def worked(self, heartbeat: float | None = None) -> float | None:
        """Seconds at work, up to the last sign of life of a run that is going on; None where it never began."""
        if self.begun is None or self.last is None:
            return None
        return self.past + max(0.0, max(self.last, heartbeat or 0.0) - self.begun)


def read_sittings(path: Path, before: Sittings | None = None) -> Sittings:
    """The sittings in a journal; only what was added since ``before`` is searched. None are in a missing file."""
    known = before or Sittings()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _searched(data, known if known.size <= len(data) else Sittings())
    except (OSError, ValueError):  # an empty file cannot be mapped
        return Sittings()


def _searched(data: mmap.mmap, known: Sittings) -> Sittings:
    whole = data.rfind(b"\n") + 1
    past, begun, place = known.past, known.begun, known.size
    while (found := data.find(START, place, whole)) >= 0:
        first = data.rfind(b"\n", 0, found) + 1
        place = data.find(b"\n", found) + 1
        ended, moment = _moment(data, first), _moment(data, place)
        if begun is not None and ended is not None:
            past += max(0.0, ended - begun)
        begun = moment
    return Sittings(whole, past, begun, _moment(data, whole))


def _moment(data: mmap.mmap, end: int) -> float | None:
    """The time of the last record that ends at or before ``end``, where a line ends; damaged lines are passed over."""
    while end > 0:
        first = data.rfind(b"\n", 0, end - 1) + 1
        try:
            return parse_line(data[first : end - 1]).time
        except (MalformedLineError, DataError):
            end = first
    return None
