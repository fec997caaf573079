"""How far a run has come, where its status and its journal do not say the same.

A process writes its status at most once a second, so that a kill leaves it behind the journal; what a machine lost when
its power went may be the journal's end.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from engine.errors import DataError
from engine.events import Iteration, Recovered, RunStarted
from engine.runs.folder import RunFolder
from engine.runs.journal import MalformedLineError, parse_line
from engine.runs.status import Status

TAIL = 65_536
"""Bytes at a journal's end that are looked through for the last iteration."""


def reached(status: Status | None, told: int) -> int:
    """The iteration a run has come to, whose journal told of ``told``: where its process is gone, the later one."""
    return max(told, status.iteration) if status is not None and status.liveness() == "crashed" else told


def standing(folder: RunFolder) -> Status | None:
    """A run's status, with the iteration it has come to; its journal is looked into only where its process is gone."""
    status = folder.status()
    if status is None or status.liveness() != "crashed":
        return status
    told = _last_told(folder.journal_path)
    return status if told is None else replace(status, iteration=reached(status, told))


def _last_told(journal: Path) -> int | None:
    """The iteration that the end of a journal tells of; None where it tells of none."""
    try:
        with journal.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        try:
            event = parse_line(line).event
        except (MalformedLineError, DataError):  # torn, or begun before what was read
            continue
        if isinstance(event, Iteration | Recovered):
            return event.iteration
        if isinstance(event, RunStarted):
            return event.resumed_from or 0
    return None
