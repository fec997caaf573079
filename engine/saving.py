"""Checkpoints of a run's loop: when they are written, to which one a run goes back, and what a refusal means.

A checkpoint is kept against a kill that may come. Where the disk refuses one, ending the run would lose for certain
what the checkpoint was to save; going on loses it only where the kill comes before a later one is taken. So a refused
checkpoint, due or asked for, is a warning: the older ones stay, and the next that is due is tried. It ends the run
where there is nothing to lose or nothing to wait for: there is no older one, or the run is at its end. A run that is to
stop holds what it has in memory and tries again for a while, so that somebody can make room.

A run that goes back goes to its last checkpoint that was due. One of these that was refused is kept in memory until
the disk takes it, before any newer one: so that what a run gives does not depend on the disk.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.config.schema import Config
from engine.distill import Loop
from engine.errors import RunFailed
from engine.events import Notice
from engine.record import Recorder
from engine.runs import checkpoint as checkpoints
from engine.runs.folder import RunFolder
from engine.state import State

PATIENCE_SECONDS, RETRY_SECONDS = 600.0, 2.0
"""How long a run that stops holds what the disk refuses, and how often it tries."""


@dataclass(frozen=True)
class _Content:
    """What a checkpoint is made of."""

    iteration: int
    tensors: dict[str, Tensor]
    document: dict[str, Any]


class Saves:
    """The checkpoints of one process's work on a run.

    Attributes:
        at: iteration of the newest one, where the run has not gone back behind it since; else None.
    """

    def __init__(self, config: Config, folder: RunFolder, record: Recorder) -> None:
        self._config = config
        self._folder = folder
        self._record = record
        self._loop: Loop | None = None
        self.at: int | None = None
        self._any = False  # is on the disk
        self._due = -1  # iteration of the newest one that was due, refused or not
        self._tried = time.monotonic()
        self._owed: _Content | None = None  # the newest that was due, until the disk has taken it

    def attach(self, loop: Loop, resumed: int | None) -> None:
        """Give the loop whose term is saved too, and the iteration of the checkpoint a run continues from."""
        self._loop = loop
        if resumed is not None:
            self.at, self._any = resumed, True
            found = checkpoints.newest_due(self._folder.path)
            self._due = found if found is not None else -1

    def if_due(self, state: State) -> bool:
        """Write one where it is due by iterations or by the clock, asked for, or of the last iterate; whether it was.

        Raises:
            RunFailed: the disk refuses, and there is no older one, or this is the last iterate.
        """
        due, over = self._due_by_iterations(state), self._over(state)
        if state.iteration == self.at and not due:
            return False
        waited = time.monotonic() - self._tried > self._config.execution.checkpoint_seconds
        asked = self._record.control.take("checkpoint")  # taken also where one is due anyway: it answers the request
        if not (due or over or waited or asked):
            return False
        if over or not self._any:
            self.write(state, due=due)
            return True
        return self.attempt(state, due=due)

    def _over(self, state: State) -> bool:
        return state.iteration == self._config.objective.iterations

    def _due_by_iterations(self, state: State) -> bool:
        """Whether that of the last multiple of ``checkpoint_every`` is still to be attempted.

        In a suspicious stretch it waits: a few iterations will tell whether this is a state to go back to. The last
        iterate's, which is always written, is none of these: of a run that is lengthened it is any other.
        """
        every = self._config.execution.checkpoint_every
        return state.iteration // every * every > self._due and state.vigil.streak == 0

    def attempt(self, state: State, *, due: bool) -> bool:
        """Write one, or say that the disk refuses it; whether it was written."""
        try:
            self.write(state, due=due)
        except checkpoints.Refused as error:
            self._say(state.iteration, error)
            return False
        return True

    def write(self, state: State, *, due: bool) -> None:
        """Write one; before it, unless it is due itself, the one that was due and that the disk has refused.

        Raises:
            Refused: the disk refuses; one that was due is kept in memory.
            RunFailed: the journal cannot be written.
        """
        self._tried = time.monotonic()
        if due:
            self._due, self._owed = state.iteration, self._content(state)
        written = self._owed
        if written is not None:
            self._put(written, due=True)
            self._owed = None
        if written is None or written.iteration != state.iteration:
            self._put(self._content(state), due=False)
        self.at = state.iteration

    def at_a_stop(self, state: State) -> None:
        """Write one, and where the disk refuses it try again, as the iterations since the last one would be lost.

        Raises:
            Refused: it refuses for :data:`PATIENCE_SECONDS`, or there is no iteration to be lost.
            RunFailed: the journal cannot be written.
        """
        end, told = time.monotonic() + PATIENCE_SECONDS, False
        while True:
            try:
                self.write(state, due=False)
                return
            except checkpoints.Refused as error:
                if not state.iteration or time.monotonic() >= end:
                    raise
                if not told:
                    told = True
                    self._hold(state.iteration, error)
            time.sleep(RETRY_SECONDS)

    def _hold(self, iteration: int, error: RunFailed) -> None:
        text = (
            f"not stopped yet: no checkpoint was written at iteration {iteration}: {error}; it is tried again for "
            f"{PATIENCE_SECONDS / 60:.0f} minutes, and what came since the last one is lost after that"
        )
        with suppress(RunFailed):  # a disk that takes no line either may take all later
            self._record(Notice("warning", text, refused="checkpoint"))

    def _content(self, state: State) -> _Content:
        assert self._loop is not None
        tensors = state.tensors()
        if self._loop.term is not None:
            tensors |= self._loop.term.tensors()
        # Copies: the term goes on learning in place, and what the disk refuses may be wanted much later.
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        return _Content(state.iteration, copies, state.document() | {"journal": self._record.journal.sequence})

    def _put(self, content: _Content, *, due: bool) -> None:
        self._record.checkpoint(content.iteration, content.tensors, content.document, due=due)
        self._any = True

    def _say(self, iteration: int, error: RunFailed) -> None:
        text = (
            f"no checkpoint was written at iteration {iteration}: {error}; the run goes on, the older ones stay, "
            "and the next that is due is tried"
        )
        self._record(Notice("warning", text, refused="checkpoint"))

    def back(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and document of the last one that was due, which the run goes back to; None where there is none.

        Of no other, which a clock, a request or a stop has left: what a run gives does not depend on these.

        Raises:
            DataError: no checkpoint is whole.
        """
        self.at = None
        if self._owed is not None:
            return self._owed.tensors, self._owed.document
        path = self._folder.path
        found = checkpoints.latest(path, due=True) or checkpoints.latest(path)  # older versions did not tell them apart
        if found is None:
            return None
        self._record.passed_over(found)
        return found.tensors, found.state
