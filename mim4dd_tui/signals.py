"""Signals while a run is at work: which of them stop it, and what is left where a terminal has gone.

The first Ctrl-C, SIGTERM and SIGUSR1 (what batch systems send before the time is up) ask the run to stop
with a checkpoint; a Ctrl-C after that ends the process at once. A hang-up of the terminal stops nothing,
unless ``execution.on_hangup`` says so.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

from engine.errors import MimError

STOPPING: dict[signal.Signals, str] = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGUSR1: "SIGUSR1",
}
"""Signals that ask for a stop with a checkpoint; the exit code is then 128 + the signal's number."""

JOB_CONTROL = (signal.SIGTSTP, signal.SIGCONT)
"""Signals that Textual's driver answers as long as the process lives: what is no dashboard any more is not to."""

WAIT = 0.2  # seconds between looks at the work and the signals: the longest that a Ctrl-C goes unanswered


class AbandonedError(MimError):
    """Nobody waits for the checkpoint: the process has to end with its engine thread still at work."""

    exit_code = 130


class Attendant:
    """Waits for work that is done in another thread, and answers signals meanwhile.

    Args:
        request: asks the run for something ("stop"); may be called from any thread.
        tell: shows a line to the person at the terminal.
        outputs: descriptors that lead nowhere once a terminal behind them has hung up.
        stop_on_hangup: whether a hang-up asks for a stop as well. ``nohup`` has the last word.
        hang_up: tells the work of a hang-up instead, and gives whether that stops what goes on.
        stopped_by: the signal that asked for a stop already.
        received: signals that came before and are still to be answered.

    Attributes:
        stopped_by: the signal that asked for a stop; None while none did.
    """

    def __init__(
        self,
        request: Callable[[str], None],
        tell: Callable[[str], None],
        *,
        outputs: Sequence[int] = (1, 2),
        stop_on_hangup: bool = False,
        hang_up: Callable[[], bool] | None = None,
        stopped_by: int | None = None,
        received: Iterable[int] = (),
    ) -> None:
        self.stopped_by = stopped_by
        self._request = request
        self._tell = tell
        self._stop_on_hangup = stop_on_hangup or hang_up is not None
        self._hang_up = hang_up
        self._received = deque(received)  # handlers only write down: locks must not be taken in one
        # noted now: a terminal that has hung up no longer says that it is one
        self._terminals = [descriptor for descriptor in outputs if os.isatty(descriptor)]

    def wait(self, ended: Callable[[float], bool]) -> None:
        """Until ``ended``, which may wait for as many seconds as it is given, says so; inside :meth:`listening`.

        Raises:
            AbandonedError: Ctrl-C was pressed again before the work had stopped.
        """
        while not ended(WAIT):
            self._answer_all()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the block lasts, signals are kept for :meth:`wait`, and a hang-up breaks no output.

        Outside the main thread, where Python takes no handlers, this changes nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._stop_on_hangup = self._stop_on_hangup and not ignored
        with handlers_kept(), forgiving_output():
            for number in (*STOPPING, signal.SIGHUP):
                signal.signal(number, self._note)
            yield

    @property
    def exit_code(self) -> int:
        """128 + the signal that stopped the work, or 0."""
        return 0 if self.stopped_by is None else 128 + self.stopped_by

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            lead_nowhere(self._terminals)  # at once: until then every write fails
        self._received.append(number)

    def _answer_all(self) -> None:
        while self._received:
            self._answer(self._received.popleft())

    def _answer(self, number: int) -> None:
        if number == signal.SIGHUP and not self._stop_on_hangup:
            return
        if number == signal.SIGHUP and self._hang_up is not None:
            if self._hang_up() and self.stopped_by is None:
                self.stopped_by = number
            return
        after = (
            self.stopped_by == signal.SIGHUP and number != signal.SIGHUP
        )  # others may go on behind what that stopped
        if self.stopped_by is None or after:
            self.stopped_by = number
            if number != signal.SIGHUP:
                again = "; press again to end at once" if number == signal.SIGINT else ""
                self._tell(f"{STOPPING[signal.Signals(number)]}: stopping at the next step{again}")
            self._request("stop")
        elif number == signal.SIGINT:
            raise AbandonedError("ended at once, without a checkpoint of its own")


@contextmanager
def handlers_kept(numbers: Iterable[signal.Signals] = (*STOPPING, signal.SIGHUP, signal.SIGQUIT)) -> Iterator[None]:
    """Puts back, at the end of the block, the handlers of signals: by default of those that are answered here."""
    previous = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def takes_output(descriptor: int) -> bool:
    """Whether what is behind a descriptor lives, and takes something within a twentieth of a second."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    try:
        return [events for _, events in poll.poll(50)] == [select.POLLOUT]
    except OSError:
        return False


def lead_nowhere(descriptors: Sequence[int]) -> None:
    """Point descriptors away from a terminal that has hung up, so that no later read or write can fail."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in descriptors:
            os.dup2(nowhere, descriptor)
        os.close(nowhere)


class Forgiving:
    """A text stream whose writes never raise once the terminal behind it is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def forgiving_output() -> Iterator[None]:
    """Where standard output or error is a terminal, what is written to it inside never raises.

    Between the moment a terminal goes away and the moment its signal is handled every write fails, and a line
    that some library prints then would end the run.
    """
    with ExitStack() as undo:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            with suppress(AttributeError, ValueError):  # no stream, or a closed one
                if stream.isatty():
                    setattr(sys, name, Forgiving(stream))
                    undo.callback(setattr, sys, name, stream)
        yield
