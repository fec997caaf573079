"""Following a run of another process as plain lines, until it ends or nobody wants to see more of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mim4dd_tui.plain import PlainObserver

if TYPE_CHECKING:
    from engine.events import Event
    from engine.runs.folder import RunFolder
    from engine.runs.journal import Record

LOOK_SECONDS = 0.3
BEGIN_SECONDS = 10.0
"""A run whose folder was made this long ago and that no process holds was never begun."""


def follow(folder: RunFolder, observer: PlainObserver) -> str:
    """Tell what stands in a run's folder and what comes, until no process works on it; the state it is left in.

    Of what is past only the last event of each kind is told. The state is "failed" where the process is gone,
    and "queued" where none ever came.
    """
    from engine.runs.journal import JournalReader, without_superseded
    from engine.runs.lock import free

    reader = JournalReader(folder.journal_path)
    for event in newest_of_each_kind(without_superseded(reader.poll())):
        observer(event)
    made, told = folder.about().created, None
    while True:
        status = folder.status()  # before the journal: what was written last must still be heard
        for record in reader.poll():
            observer(record.event)
        liveness = status.liveness() if status is not None else "crashed"
        if status is not None and liveness == "alive":
            progress = status.progress  # of which the journal knows nothing
            if progress != told:
                observer(progress)
            told = progress
        elif liveness != "queued" or (time.time() - made > BEGIN_SECONDS and free(folder.path)):
            return status.effective_state() if status is not None else "failed"
        time.sleep(LOOK_SECONDS)


def newest_of_each_kind(records: Iterable[Record]) -> list[Event]:
    """The last event of every kind, in their order."""
    last: dict[str, Record] = {}
    for record in records:
        last[record.event.kind] = record
    return [record.event for record in sorted(last.values(), key=lambda record: record.sequence)]
