"""Reading from the disk again and again beside the interface, on one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from textual.dom import DOMNode


class Reading:
    """Reads for a screen, on a worker thread.

    On a slow disk one thread after another would wait for it, until the pool has none for anything else: a thread
    cannot be ended, so that a worker that is "exclusive" is no remedy.

    Args:
        screen: for which is read; its worker ends with it.
        read: reads and posts what it found. An error that it lets through ends this reading, not the next one.
    """

    def __init__(self, screen: DOMNode, read: Callable[[], None]) -> None:
        self._screen = screen
        self._read = read
        self._lock = threading.Lock()
        self._busy = False
        self._again = False

    def keep_up(self) -> None:
        """Read, unless that is going on already: for a timer."""
        self._begin(again=False)

    def anew(self) -> None:
        """Read what is there from now on: where a reading is going on, once more after it.

        Any thread may ask, and waits for nothing; where the screen or the interface has closed, nothing is read.
        """
        with suppress(RuntimeError):  # the interface's loop is closed
            self._screen.call_later(self._begin, again=True)

    def _begin(self, *, again: bool) -> None:
        with self._lock:
            if self._busy:
                self._again |= again
                return
            self._busy = True
        self._screen.run_worker(self._work, thread=True, group="reading", exit_on_error=False)

    def _work(self) -> None:
        try:
            self._read()
            while self._wanted_again():
                self._read()
        except BaseException:
            with self._lock:
                self._busy = self._again = False
            raise

    def _wanted_again(self) -> bool:
        with self._lock:
            self._busy, self._again = self._again, False
            return self._busy
