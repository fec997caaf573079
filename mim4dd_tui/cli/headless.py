"""Running the engine without a dashboard: in a thread of its own, with the main thread answering signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from mim4dd_tui.cli.output import descriptors
from mim4dd_tui.plain import tell
from mim4dd_tui.signals import Attendant

T = TypeVar("T")


class StopRequests(Protocol):
    """The part of the engine's control object that is needed here."""

    def request(self, name: str) -> None:
        """Ask for something, from any thread."""
        ...


class Supervisor:
    """Runs work in a thread while the main thread answers signals (``mim4dd_tui.signals``)."""

    def __init__(self, control: StopRequests, *, stop_on_hangup: bool = False) -> None:
        self._attendant = Attendant(control.request, tell, outputs=descriptors(), stop_on_hangup=stop_on_hangup)

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

        thread = threading.Thread(target=body, name="engine", daemon=True)

        def ended(seconds: float) -> bool:
            thread.join(seconds)
            return not thread.is_alive()

        with self._attendant.listening():  # from before the work begins
            thread.start()
            self._attendant.wait(ended)
        if failure:
            raise failure[0]
        return outcome[0]

    @property
    def exit_code(self) -> int:
        """128 + the signal that stopped the work, or 0."""
        return self._attendant.exit_code
