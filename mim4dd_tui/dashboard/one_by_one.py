"""What a key asks for and the disk or another process may keep waiting: done beside the interface, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import MimError

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.telling import TellingApp

Deed = Callable[[], None]


def nothing() -> None:
    """Do nothing."""


class OneByOne:
    """Does one deed after another, on a thread that is there while there is something to do.

    All is done that was asked for, also where the interface closes meanwhile: the process waits for it.

    Attributes:
        untold: what went wrong when the interface had closed, each once.
    """

    def __init__(self, app: TellingApp[Any]) -> None:
        self.untold: list[str] = []
        self._app = app
        self._asked: deque[tuple[Deed, Deed]] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, deed: Deed, then: Deed = nothing) -> None:
        """Do something when its turn comes, and ``then`` something on the interface's thread.

        A MimError or OSError of the deed is told as a notice; ``then`` is done all the same.
        """
        with self._lock:
            self._asked.append((deed, then))
            if self._thread is None:
                # not a daemon: what a key has asked for is not lost when the interface goes away
                self._thread = threading.Thread(target=self._work, name="deeds", daemon=False)
                self._thread.start()

    def afterwards(self, then: Deed) -> None:
        """Do something on the interface's thread, which calls this, when all is done that was asked for: else now."""
        with self._lock:
            if self._thread is not None:
                self._asked.append((nothing, then))
                return
        then()

    def finish(self) -> None:
        """Wait until all is done."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            deed, then = asked
            try:
                deed()
            except (MimError, OSError) as error:
                self._tell(str(error))
            except Exception as error:  # a fault of the program ends it, as on the interface's own thread
                if self._app.closing:
                    self.untold.append(f"{type(error).__name__}: {error}")
                else:
                    self._post(partial(_fail, error))
            self._post(then)

    def _post(self, what: Deed) -> None:
        with suppress(RuntimeError):  # the interface's loop is closed
            self._app.call_later(what)

    def _next(self) -> tuple[Deed, Deed] | None:
        with self._lock:
            if not self._asked:
                self._thread = None
                return None
            return self._asked.popleft()

    def _tell(self, problem: str) -> None:
        if not self._app.closing:
            self._app.notify(problem, severity="error")
        elif problem not in self.untold:
            self.untold.append(problem)


def _fail(error: Exception) -> None:
    raise error
