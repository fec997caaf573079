"""The journal: a run's events, one line of JSON each, only ever appended.

A kill can tear the last line; a power cut can leave zeros. Readers skip what is not a whole valid line
(and count it), the writer removes a torn end before it goes on, and sequence numbers strictly continue.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DataError
from engine.events import (
    KINDS,
    VERSION,
    Event,
    Lengthened,
    Progress,
    Recovered,
    RunStarted,
    from_dict,
    of_the_end,
    superseded,
    to_dict,
)
from engine.files import disk_error, explained
from engine.runs.plain import fits, hints

TAIL = 65536
MOST_BYTES = 64 * 1024 * 1024
"""A line longer than this is no event of ours."""


@dataclass(frozen=True, slots=True)
class Record:
    """One journaled event. ``time`` is seconds since the epoch by the writer's clock, which may step back."""

    sequence: int
    time: float
    event: Event


class MalformedLineError(ValueError):
    """A line that is not an event."""


_HINTS = {cls: hints(cls) for cls in KINDS.values()}


def parse_line(line: bytes) -> Record:
    """The record of one line.

    Raises:
        MalformedLineError: it is not JSON, not an event, or a field has the wrong type.
        DataError: it was written by a newer version of this program.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedLineError(f"not JSON: {error}") from None
    if not isinstance(values, dict):
        raise MalformedLineError("not a JSON object")
    vocabulary = values.get("vocabulary", VERSION)
    if isinstance(vocabulary, int) and vocabulary > VERSION:
        raise DataError(
            f"the journal was written by a newer version of mim4dd (events version {vocabulary}, this one "
            f"reads up to {VERSION}): update mim4dd"
        )
    sequence, moment = values.get("sequence"), values.get("time")
    if not fits(sequence, int) or not fits(moment, float) or int(values["sequence"]) < 1:
        raise MalformedLineError("no sequence number or time")
    try:
        event = from_dict(values)
    except (ValueError, TypeError) as error:
        raise MalformedLineError(str(error)) from None
    for name, hint in _HINTS[type(event)]:
        if not fits(getattr(event, name), hint):
            raise MalformedLineError(f"{event.kind}.{name} has the wrong type")
    return Record(int(values["sequence"]), float(values["time"]), event)


class JournalWriter:
    """Appends events to a journal; one writer at a time (see ``engine.runs.lock``), any of its threads.

    Opening repairs the end of a journal whose writer was killed. Every append reaches the operating system
    before it returns, so that a kill loses nothing; :meth:`sync` makes it survive a power cut.

    Raises:
        RunFailed: the disk is full, read-only or failing. The journal is left with whole lines only.
        DataError: the journal was written by a newer version.

    Attributes:
        moment: the time of the last event that was appended here; None before the first.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        with explained(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._end, self._sequence, self.repaired = self._repair()
            except BaseException:
                os.close(self._file)
                raise
        self.moment: float | None = None
        self._first = True
        self._closed = False

    @property
    def sequence(self) -> int:
        """Sequence number of the last event in the journal; 0 in an empty one."""
        return self._sequence

    def append(self, event: Event) -> int:
        """Writes one event and returns its sequence number.

        Raises:
            RunFailed: the disk refused; nothing of the event is left in the journal.
            ValueError: a Progress event, which is never journaled, or a closed journal.
        """
        if isinstance(event, Progress):
            raise ValueError("progress is not journaled")
        with self._lock:
            if self._closed:
                raise ValueError("the journal is closed")
            sequence = self._sequence + 1
            moment = round(self._clock(), 6)
            head: dict[str, Any] = {"sequence": sequence, "time": moment}
            if self._first:
                head["vocabulary"] = VERSION
            line = json.dumps({**head, **to_dict(event)}, separators=(",", ":"), allow_nan=False)
            self._write(line.encode() + b"\n")
            self._sequence, self.moment = sequence, moment
            self._first = False
            return sequence

    def sync(self) -> int:
        """Makes everything appended so far durable; returns the last sequence number."""
        with self._lock, explained(self.path):
            if not self._closed:
                os.fsync(self._file)
            return self._sequence

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._end + written)
        except OSError as error:
            # The next append starts at the same place, so that a piece that cannot be cut does no harm.
            try:
                os.ftruncate(self._file, self._end)
            except OSError as second:
                error.add_note(f"the torn line could not be cut: {second}")
            raise disk_error(error, self.path) from error
        self._end += len(data)

    def _repair(self) -> tuple[int, int, str | None]:
        """Where to append, the last sequence number, and what was done about a torn end."""
        size = os.fstat(self._file).st_size
        span = TAIL
        while True:
            start = max(0, size - span)
            data = os.pread(self._file, size - start, start)
            whole = data.rfind(b"\n") + 1
            last = _last_record(data[:whole], skip_first=start > 0)
            if last is not None or start == 0:
                break
            span *= 8
        sequence = last.sequence if last else 0
        torn = data[whole:]
        if not torn:
            return size, sequence, None
        try:
            record = parse_line(torn)
        except MalformedLineError:
            os.ftruncate(self._file, size - len(torn))
            return size - len(torn), sequence, f"removed a torn last line of {len(torn)} bytes"
        if record.sequence <= sequence:
            os.ftruncate(self._file, size - len(torn))
            return size - len(torn), sequence, "removed a repeated last line"
        os.pwrite(self._file, b"\n", size)
        return size + 1, record.sequence, "terminated a complete last line"


def _last_record(data: bytes, *, skip_first: bool) -> Record | None:
    """The record with the largest number: in a file whose pieces were doubled, not always the last one."""
    last: Record | None = None
    for line in data.split(b"\n")[1 if skip_first else 0 :]:
        if line:
            try:
                record = parse_line(line)
            except MalformedLineError:
                continue
            if last is None or record.sequence > last.sequence:
                last = record
    return last


class JournalReader:
    """Follows a journal that another thread or process may still be writing.

    Attributes:
        damaged: how many whole lines were not events and were skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        self._offset = 0
        self._sequence = 0

    def poll(self) -> list[Record]:
        """The records that were added since the last call, each given once; [] where there is no journal yet.

        A last line without its end is left for the next call. Sequence numbers strictly increase.

        Raises:
            DataError: the journal cannot be read, or was written by a newer version.
        """
        try:
            with self.path.open("rb") as file:
                if self._offset > os.fstat(file.fileno()).st_size:
                    self._offset = 0  # replaced by a shorter copy; what was given already is not given again
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"cannot read the journal {self.path}: {error.strerror}") from error
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        return list(self._parse(data[:whole].split(b"\n")))

    def _parse(self, lines: Iterable[bytes]) -> Iterator[Record]:
        for line in lines:
            if not line:
                continue
            try:
                record = parse_line(line) if len(line) <= MOST_BYTES else None
            except MalformedLineError:
                record = None
            if record is None:
                self.damaged += 1
            elif record.sequence > self._sequence:
                self._sequence = record.sequence
                yield record


def without_superseded(records: Iterable[Record]) -> list[Record]:
    """The records that still hold: what a later continuation replaced is dropped.

    A :class:`RunStarted` that continues from a checkpoint supersedes what was written after that checkpoint's
    sequence number; one that starts afresh supersedes the loop and what came of it: experts and baselines, which are
    found again, and the log stay. A :class:`Recovered` supersedes the
    iterations beyond the checkpoint it went back to, and what was made of them, a :class:`Lengthened` the end it puts
    off. That a run was lengthened always holds.
    """
    kept: list[Record] = []
    for record in records:
        if isinstance(record.event, RunStarted):
            if record.event.resumed_from is not None and record.event.after_sequence is not None:
                after = record.event.after_sequence
                kept = [r for r in kept if r.sequence <= after or isinstance(r.event, Lengthened)]
            else:
                kept = [r for r in kept if not superseded(r.event, record.event.resumed_from)]
        elif isinstance(record.event, Recovered):
            kept = [r for r in kept if not superseded(r.event, record.event.iteration)]
        elif isinstance(record.event, Lengthened):
            kept = [r for r in kept if not of_the_end(r.event)]
        kept.append(record)
    return kept


def read_all(path: Path) -> list[Record]:
    """Every record of a journal that still holds, oldest first; [] where there is no journal.

    Raises:
        DataError: the journal cannot be read, or was written by a newer version.
    """
    return without_superseded(JournalReader(path).poll())
