"""A run's voice and memory: events to the journal and the observer, the status file, the lock, the clock.

Everything a run tells the world passes here, once: the journal on disk first, then whoever listens. An event that
the disk refuses ends the run, and none is dropped: whoever reads the journal can rely on its being whole. Waiting for
space instead would hold lock and device for a message that cannot be written; nothing is lost by ending, for all that
the last checkpoint holds is on the disk, and ``resume`` computes the same iterations again. A status file that cannot
be kept up to date is only told of.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any

import torch

from engine import resident
from engine.errors import MimError, RunFailed
from engine.events import (
    CheckpointWritten,
    Event,
    Notice,
    Observer,
    Phase,
    Progress,
    Recovered,
    RunEnded,
    RunStarted,
    StateChanged,
)
from engine.files import remove_leftovers
from engine.runs.checkpoint import Checkpoint, save, set_aside
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalWriter
from engine.runs.lock import RunLock
from engine.runs.result import document
from engine.runs.status import ENDED, StatusWriter

PROGRESS_SECONDS = 0.1


class Recorder:
    """Holds a run folder while this process works on it.

    As a context manager it takes the lock on entry and gives everything back on exit.
    """

    def __init__(self, folder: RunFolder, observer: Observer | None, control: Control, *, resuming: bool) -> None:
        self.folder = folder
        self.observer = observer
        self.control = control
        self.host = socket.gethostname()
        self.pid = os.getpid()
        self.resuming = resuming
        self._lock = RunLock(folder.path)
        self._fault: str | None = None
        self._spoke, self._detail = 0.0, ""  # when progress was told last, and of what

    def __enter__(self) -> Recorder:
        self._lock.acquire()
        try:
            remove_leftovers(self.folder.path)
            if self._lock.recovered:  # killed before it could do so itself
                self.folder.drop_empty_output()
            self.journal = JournalWriter(self.folder.journal_path)
            self.status = StatusWriter(self.folder.path, memory=self._peak)
            # Requests to a process that is gone are void; those to a run just begun are meant for this one.
            void = self.control.watch(
                self.folder.control_path,
                on_pause=lambda: self.state("paused", "paused on request"),
                on_resume=lambda: self.state("running"),
                on_idle=self.status.beat,
                on_abandon=self._abandoned,
                discard=self.resuming,
            )
            self._found = [note for note in (self._lock.recovered, self.journal.repaired) if note]
            self._found += [f"a request to {name}, left for an earlier process, was dropped" for name in void]
            if self.status.status.state == "queued":  # until it has begun, for which the engine may take seconds
                self.status.beat()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control.unwatch()
        try:
            self.journal.close()
        finally:
            with suppress(RunFailed) if error is not None else nullcontext():  # the first fault is the one to tell
                self._lock.release()

    def __call__(self, event: Event) -> None:
        """Journal an event, update the status, and tell the observer."""
        if isinstance(event, Progress):
            self.progress(event)
            return
        self.journal.append(event)
        self.status.hear(event)
        if isinstance(event, Recovered) or (isinstance(event, RunStarted) and event.again):
            self.status.stand(RunHistory.load(self.folder.journal_path).best)
        if self.observer is not None:
            self.control.told_at = self.journal.moment
            try:
                self.observer(event)
            finally:
                self.control.told_at = None

    def progress(self, event: Progress) -> None:
        """Tell of progress at most ten times a second, always of the end of a phase and of other work. Not journaled.

        The status, which writes itself seldom enough, has all of it: a pause in the work may follow the last word.
        """
        self.status.hear(event)
        now = time.monotonic()
        same = event.done != event.total and event.detail == self._detail
        if now - self._spoke < PROGRESS_SECONDS and same:
            return
        self._spoke, self._detail = now, event.detail
        if self.observer is not None:
            self.observer(event)

    def tick(self) -> None:
        """Between two small pieces of work: wait while paused, beat the heart, stop where asked.

        Raises:
            StopRequested: a stop was asked for.
        """
        self.status.beat()
        if self.status.fault != self._fault:
            self._fault = self.status.fault
            if self._fault is not None:
                self.warn(f"the status file cannot be kept up to date ({self._fault}); the run goes on")
        self.control.tick()

    def started(self, event: RunStarted) -> None:
        """The first event of this process's work."""
        self(event)
        for note in self._found:
            self.warn(note)
        self.state("running")

    def phase(self, event: Phase) -> None:
        """A phase begins."""
        self(event)

    def warn(self, message: str) -> None:
        """A warning for the log."""
        self(Notice("warning", message))

    def unanswered(self) -> None:
        """Say which requests a stop has come before."""
        for name, what in (("evaluate", "evaluation"), ("checkpoint", "checkpoint")):
            if self.control.take(name):
                self(Notice("info", f"the {what} that was asked for was not made: the run stopped before", stands=True))

    def state(self, state: str, reason: str = "") -> None:
        """The run's state changes."""
        self(StateChanged(state, reason))

    def checkpoint(self, iteration: int, tensors: dict[str, torch.Tensor], state: dict[str, Any], *, due: bool) -> None:
        """Write a checkpoint, and say so. ``state`` names as "journal" the position in the journal that it was made at.

        Raises:
            Refused: the disk does not take it.
            RunFailed: the disk refuses the journal.
        """
        began = time.perf_counter()
        self.journal.sync()
        path = save(self.folder.path, iteration, tensors, state, due=due)
        relative = str(path.relative_to(self.folder.path))
        self(CheckpointWritten(iteration, relative, time.perf_counter() - began))

    def passed_over(self, found: Checkpoint) -> None:
        """Say which damaged checkpoints were not used, and put them out of the way."""
        for path, why in found.skipped:
            self.warn(f"checkpoint {path.name} was not used: {why}; an older one is")
        set_aside(self.folder.path, found.skipped)

    def end(self, state: str, message: str, *, diverged: bool = False) -> dict[str, Any]:
        """The last events; returns the result document, which is also written to the folder."""
        self.state(state, message)
        result = document(self.folder.path) | {"state": state}
        self(RunEnded(state, message, result, diverged))
        self.journal.sync()
        self.folder.write_result(result)
        return result

    def failed(self, message: str, *, diverged: bool = False) -> None:
        """End as failed, as far as the disk lets it be said: the fault itself is what its finder goes on to raise.

        A run that could not say so is found by its process, which is gone, and is resumed like a killed one.
        """
        try:
            self.end("failed", message, diverged=diverged)
        except MimError:
            self.status.update(state="failed", message=message, diverged=diverged)  # a refusal is kept in its ``fault``

    def _abandoned(self, message: str) -> None:
        """The last word from another thread, as the process ends: this one is still at work, and nobody listens."""
        if self.status.status.state not in ENDED:
            event = StateChanged("stopped", message)
            self.journal.append(event)
            self.status.hear(event)

    def memory_of(self, device: torch.device) -> Callable[[], float | None]:
        """How to ask for memory, in MiB: the run's peak, on a card or of this process. At its end most of what an
        iteration took is free again."""
        if device.type == "cuda":
            return lambda: torch.cuda.max_memory_allocated(device) / 2**20
        return self._peak

    @staticmethod
    def _peak() -> float:
        return resident.peak() / 2**20
