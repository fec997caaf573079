"""Who works on a run: one process at a time, and the others are told which.

Two layers, because neither is enough alone. An advisory lock of the operating system (``lock``) vanishes
with its process and is exact on one machine; a note (``holder.json``) with host, process and start time
carries the claim to machines that share the folder over a network, where such locks may not reach.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RunLocked
from engine.files import ASIDE, explained, read_json_object, sync_folder, write_json
from engine.runs.called import called
from engine.runs.status import STALE_SECONDS, Status, holds, host_name, process_identity

if TYPE_CHECKING:
    from filelock import FileLock


FILE = "lock"
NOTE = "holder.json"
LOOK_SECONDS = 0.1
"""Far longer than a look whether a run is free takes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claimed the run. ``started`` is seconds since the epoch."""

    host: str
    pid: int
    started: float
    identity: str | None = None

    @staticmethod
    def read(path: Path) -> Holder | None:
        """The claim in a file; None where there is none that can be read."""
        values = read_json_object(path) or {}
        host, pid, started = values.get("host"), values.get("pid"), values.get("started")
        identity = values.get("identity")
        if isinstance(host, str) and isinstance(pid, int) and isinstance(started, (int, float)):
            return Holder(host, pid, float(started), identity if isinstance(identity, str) else None)
        return None

    def describe(self) -> str:
        """For example "process 123 on gpu1 since 2026-01-31 12:00:00"."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(max(0.0, min(self.started, 2.0**35))))
        return f"process {self.pid} on {self.host} since {when}"


class RunLock:
    """Holds a run while the ``with`` block lasts.

    Attributes:
        recovered: a sentence about the dead process whose claim was taken over, None where there was none.

    Raises:
        RunLocked: another process holds the run, or may still hold it on a host that cannot be asked.
        RunFailed: the lock file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recovered: str | None = None
        self._note = folder / NOTE
        self._lock: FileLock | None = None

    def acquire(self) -> RunLock:
        """Takes the run or refuses; waits only as long as somebody may look whether it is free (see :func:`free`)."""
        from filelock import Timeout

        lock = _system_lock(self.folder)
        with explained(self.folder / FILE):
            try:
                lock.acquire(timeout=LOOK_SECONDS if holder(self.folder) is None else 0, poll_interval=0.01)
            except Timeout:  # an OSError, but no fault of the disk
                raise RunLocked(refusal(self.folder)) from None
        try:
            previous = Holder.read(self._note)
            if previous is not None:
                self.recovered = self._take_over(previous)
            mine = Holder(host_name(), os.getpid(), time.time(), process_identity(os.getpid()))
            with explained(self._note):
                self._claim(mine, previous)
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        return self

    def release(self) -> None:
        """Gives the run back; safe to call twice."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            with explained(self._note):
                self._note.unlink(missing_ok=True)
                sync_folder(self.folder)
        finally:
            lock.release()

    def __enter__(self) -> RunLock:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _claim(self, mine: Holder, previous: Holder | None) -> None:
        """Writes the note so that of two machines that both see none (or the same dead one) one succeeds."""
        aside = self._note.with_name(f".{self._note.name}.{secrets.token_hex(6)}{ASIDE}")
        write_json(aside, asdict(mine))
        try:
            if Holder.read(self._note) == previous:
                self._note.unlink(missing_ok=True)
            os.link(aside, self._note)
        except FileExistsError:
            raise RunLocked(refusal(self.folder)) from None
        except OSError:
            aside.replace(self._note)  # a file system without links
        finally:
            aside.unlink(missing_ok=True)

    def _take_over(self, previous: Holder) -> str:
        if previous.host == host_name():
            mine = previous.pid == os.getpid()  # an earlier hold of this very process, not given back
            if not mine and holds(previous.pid, previous.identity):
                raise RunLocked(refusal(self.folder))
            return f"took over the run from {previous.describe()}, which is gone"
        status = Status.read(self.folder)
        seen = status.heartbeat if status and status.host == previous.host else previous.started
        age = time.time() - max(seen, previous.started)
        if age < STALE_SECONDS:
            wait = f"{STALE_SECONDS:.0f} s after its last sign of life it counts as gone"
            if age < 0:
                wait = "its last sign of life lies in the future, so the clocks differ"
            raise RunLocked(
                f"run {self.folder.name} is held by {previous.describe()}, another machine, which cannot be "
                f"asked from here; {wait}. If you know that it has ended, delete {self._note} and try again"
            )
        return f"took over the run from {previous.describe()}, which has given no sign of life for {age:.0f} s"


def _system_lock(folder: Path) -> FileLock:
    """The operating system's lock of a run, not taken yet; it never waits."""
    from filelock import FileLock

    return FileLock(folder / FILE, timeout=0, mode=0o600, thread_local=False)


def holder(folder: Path) -> Holder | None:
    """Who claims the run at the moment, None where nobody does. It may be dead: see ``Status.liveness``."""
    return Holder.read(folder / NOTE)


def free(folder: Path) -> bool:
    """Whether nobody holds the run, by its note and by the operating system's lock, which is given back after it. The
    note of a process that has ended at once stays, and holds nothing."""
    from filelock import Timeout

    claim = holder(folder)
    if claim is not None and (claim.host != host_name() or holds(claim.pid, claim.identity)):
        return False
    lock = _system_lock(folder)
    try:
        lock.acquire()
    except Timeout:
        return False
    except OSError:  # a disk that refuses to say
        return True
    lock.release()
    return True


def refusal(folder: Path) -> str:
    """What a second process is told: who holds the run, and what can be done."""
    claim = holder(folder)
    who = claim.describe() if claim else "another process"
    run = called(folder)
    return f"run {folder.name} is held by {who}: watch it with `mim4dd attach {run}` or end it with `mim4dd stop {run}`"
