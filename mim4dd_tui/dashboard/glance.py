"""A run's loss at a glance: a few values out of a journal of any length, without reading it all."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from engine.errors import DataError
from engine.events import Iteration
from engine.runs.journal import MalformedLineError, parse_line
from mim4dd_tui.dashboard.sittings import Back

PLACES = 16
"""Places of a journal that are looked at."""
WINDOW = 4096
"""Bytes read at each: a few iterations."""
LEVELS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
"""Characters of a small curve by height, and in ASCII."""


def losses(path: Path, backs: Sequence[Back] = (), places: int = PLACES) -> tuple[float, ...]:
    """The objective at up to ``places`` moments spread over the journal, oldest first; empty where there is none.

    Iterations that the run went back behind do not count: ``backs`` says which, as
    :attr:`mim4dd_tui.dashboard.sittings.Sittings.backs` has it.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            found = []
            for start in _starts(size, places):
                file.seek(start)
                found.append(_at(file.read(WINDOW), start, backs))
    except OSError:
        return ()
    return tuple(value for value in found if value is not None)


def _starts(size: int, places: int) -> list[int]:
    """Offsets from the beginning to the last window."""
    last = max(0, size - WINDOW)
    return sorted({last * index // max(1, places - 1) for index in range(places)})


def _at(data: bytes, start: int, backs: Sequence[Back]) -> float | None:
    """The first objective in a window that counts; the window begins inside a line, unless it is the file's
    beginning."""
    place = start
    for number, line in enumerate(data.split(b"\n")[:-1]):
        here, place = place, place + len(line) + 1
        if (start and not number) or b'"iteration"' not in line:
            continue
        try:
            event = parse_line(line).event
        except (MalformedLineError, DataError):
            continue
        if not isinstance(event, Iteration) or not math.isfinite(event.objective):
            continue
        if all(back < here or event.iteration <= iteration for back, iteration in backs):
            return event.objective
    return None


def sparkline(values: Sequence[float], *, unicode: bool) -> str:
    """Values as a line of characters, one each, from their smallest to their largest."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    levels = LEVELS[0 if unicode else 1]
    span = high - low or 1.0
    return "".join(levels[round((value - low) / span * (len(levels) - 1))] for value in values)
