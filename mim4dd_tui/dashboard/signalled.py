"""What a signal does while the dashboard is open."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import deque
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.signals import STOPPING, lead_nowhere, takes_output

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp


GIVEN_BACK = 2
"""Seconds that a terminal has to take what gives it back."""


class Signalled:
    """Answers a dashboard's signals.

    Attributes:
        received: those not yet answered; one that comes after the interface has closed waits here.
        stopped_by: the signal that asked for a stop; None while none did.
    """

    def __init__(self, app: DashboardApp) -> None:
        self._app = app
        self.received: deque[int] = deque()
        self.stopped_by: int | None = None

    def listen(self) -> None:
        """Not by the loop's own handlers: it takes those away when it closes, and a shell that hangs up sends
        SIGHUP twice."""
        loop = asyncio.get_running_loop()

        def note(number: int, _frame: FrameType | None) -> None:
            self.received.append(number)
            session = self._app.session
            if number != signal.SIGHUP and session is not None:
                # Now, from a thread of its own (a handler must take no lock): the loop may stand still for as long
                # as a frozen connection takes no output, and a scheduler does not wait.
                threading.Thread(target=session.request, args=("stop",), daemon=True).start()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._answer)

        for number in (*STOPPING, signal.SIGHUP):
            signal.signal(number, note)
        signal.signal(signal.SIGQUIT, self._quit)

    def _quit(self, number: int, _frame: FrameType | None) -> None:
        """At once, as it means; only the terminal is given back before, unless that takes nothing."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GIVEN_BACK)
        driver = self._app._driver
        if driver is not None and self._app.is_running:
            with suppress(Exception):
                driver.stop_application_mode()
                driver.close()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _answer(self) -> None:
        while self.received and not self._app.closing:
            number = self.received.popleft()
            if number == signal.SIGHUP:
                self._hung_up()
            else:
                self._terminated(number)

    def _hung_up(self) -> None:
        """The terminal is gone: nothing may be written to it again, so its descriptors lead nowhere now. Where only the
        signal came, the terminal is given back first."""
        held = self._app.descriptors
        keys, outputs = (0, (1, 2)) if held is None else (held.keys, held.ends)
        if not all(takes_output(descriptor) for descriptor in outputs):
            lead_nowhere((keys, *outputs))
        self._app.leave(Leave.HANGUP)

    def _terminated(self, number: int) -> None:
        self.stopped_by = number
        session = self._app.session
        if session is not None and session.running:
            session.request("stop")
        self._app.leave(Leave.TERMINATED)
