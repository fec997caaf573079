"""What is told of a run in answer to keys: it stands no longer than it is so, and what was promised is told again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.notifications import SeverityLevel

from engine.events import CheckpointWritten, Evaluation, Event, Notice, Phase
from mim4dd_tui.dashboard.session import Request

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.screens.watch import WatchScreen

BETWEEN: tuple[Request, ...] = ("checkpoint", "evaluate")
"""Requests that are answered between two iterations."""
INSTEAD: Mapping[str, str] = {
    "checkpoint": "its last checkpoint is written",
    "evaluate": "its final evaluation is going on",
}
"""What is said of them after the last iteration."""
PACE, STANDING, READING = "pace", "standing", "reading"
"""What notices are about, beside those requests: a pause, its end or a stop; how the run stands; whether it is read."""


class Answers:
    """The notices of one run."""

    def __init__(self, screen: WatchScreen) -> None:
        self._screen = screen
        self._promised: set[Request] = set()  # and not kept yet
        self._unread = ""
        self.unsaved = False  # the newest checkpoint that was tried could not be written

    def tell(
        self, message: str, about: str = "", *, severity: SeverityLevel = "information", timeout: float | None = None
    ) -> None:
        """A notice about one of these."""
        self._screen.dashboard.notify(message, severity=severity, timeout=timeout, about=[(self, about)])

    def refuse(self, message: str) -> None:
        """Say why a key does nothing as the run stands."""
        self.tell(message, STANDING, severity="warning")

    def take_back(self, *about: str) -> None:
        """Take away what was told of these."""
        self._screen.dashboard.take_back(*((self, one) for one in about))

    def promise(self, what: Request) -> None:
        """It was told that this follows."""
        self._promised.add(what)

    def changed(self) -> None:
        """The run has ended, or goes on: nothing is so any more, nor follows."""
        self._promised.clear()
        self.take_back(PACE, STANDING, *BETWEEN)

    def hear(self, event: Event) -> None:
        """What was promised may have come, or come no more."""
        if isinstance(event, CheckpointWritten) or (isinstance(event, Notice) and event.refused == "checkpoint"):
            self.unsaved = isinstance(event, Notice)
        if isinstance(event, CheckpointWritten) and self._kept("checkpoint"):
            self.tell(f"checkpoint written at iteration {event.iteration}", timeout=3)
        elif isinstance(event, Notice) and event.refused == "checkpoint" and self._kept("checkpoint"):
            self.tell(event.message, severity="error", timeout=12)
        elif isinstance(event, Evaluation) and event.subject == "request":
            self._promised.discard("evaluate")
        elif isinstance(event, Phase) and event.name == "evaluate":
            for what in [what for what in BETWEEN if self._kept(what)]:
                self.refuse(f"distillation is over: {INSTEAD[what]}")

    def unreadable(self, problem: str) -> None:
        """Say once that a run which goes on cannot be read; empty where it can."""
        if problem != self._unread:
            self._unread = problem
            self.take_back(READING)
            if problem:
                self.tell(f"the run goes on, but what is shown stands still: {problem}", READING, severity="error")

    def _kept(self, what: Request) -> bool:
        """Whether it was promised; it is no longer."""
        promised = what in self._promised
        if promised:
            self._promised.discard(what)
            self.take_back(what)
        return promised
