"""Running the engine without a dashboard: in a thread of its own, with the main thread answering signals.

The first Ctrl-C, SIGTERM and SIGUSR1 (what batch systems send before the time is up) ask the run to stop
with a checkpoint; a Ctrl-C after that ends the process at once. A hang-up of the terminal stops nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol, TypeVar

from mim4dd_tui.cli.failures import AbandonedError
from mim4dd_tui.cli.output import descriptors, tell

T = TypeVar("T")

STOPPING = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGUSR1: "SIGUSR1"}
"""Signals that ask for a stop with a checkpoint; the exit code is then 128 + the signal's number."""

WAIT = 0.2  # seconds between looks at the signals: the longest that a Ctrl-C goes unanswered


class StopRequests(Protocol):
    """The part of the engine's control object that is needed here."""

    def request(self, name: str) -> None:
        """Ask for something, from any thread."""
        ...


class Supervisor:
    """Runs work in a thread while the main thread answers signals."""

    def __init__(self, control: StopRequests) -> None:
        self._control = control
        self._received: deque[int] = deque()  # handlers only write down: locks must not be taken in one
        self._terminals = terminals()  # noted now: a terminal that has hung up no longer says that it is one
        self.stopped_by: int | None = None

    def run(self, work: Callable[[], T]) -> T:
        """Do ``work`` and return what it returns, or raise what it raises.

        Raises:
            AbandonedError: Ctrl-C was pressed again before the run had stopped.
        """
        outcome: list[T] = []
        failure: list[BaseException] = []

        def body() -> None:
            try:
                outcome.append(work())
            except BaseException as error:
                failure.append(error)

        previous = {number: signal.signal(number, self._note) for number in (*STOPPING, signal.SIGHUP)}
        thread = threading.Thread(target=body, name="engine", daemon=True)
        try:
            thread.start()
            while thread.is_alive():
                thread.join(WAIT)
                while self._received:
                    self._answer(self._received.popleft())
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if failure:
            raise failure[0]
        return outcome[0]

    @property
    def exit_code(self) -> int:
        """128 + the signal that stopped the work, or 0."""
        return 0 if self.stopped_by is None else 128 + self.stopped_by

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)

    def _answer(self, number: int) -> None:
        if number == signal.SIGHUP:
            leave(self._terminals)
            return
        if self.stopped_by is None:
            self.stopped_by = number
            again = "; press again to end at once" if number == signal.SIGINT else ""
            tell(f"{STOPPING[signal.Signals(number)]}: stopping with a checkpoint{again}")
            self._control.request("stop")
        elif number == signal.SIGINT:
            raise AbandonedError(
                "ended at once, without a checkpoint of its own; `mim4dd resume` goes on from the last one"
            )


def terminals() -> list[int]:
    """The descriptors of this process's output that are terminals."""
    return [descriptor for descriptor in descriptors() if os.isatty(descriptor)]


def leave(hung_up: list[int]) -> None:
    """Point descriptors away from a terminal that has hung up, so that no later write can fail."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in hung_up:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)
