"""What a run's code prints while the dashboard has the terminal: it goes to a file of the run's folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.runs.folder import RunFolder
from engine.runs.lock import free
from mim4dd_tui.dashboard.descriptors import Descriptors, append

SAID = "the run's code prints: output.log in its folder holds it"


class Printed:
    """Appends to the run's ``output.log``. Used by the run's own thread alone, but for :meth:`let_go`.

    Args:
        tell: is given one sentence, with the first text or with the first that was refused.
        descriptors: lead there too, so that all is in the order it was written in; None where they are left alone.
    """

    def __init__(self, tell: Callable[[str], object], descriptors: Descriptors | None = None) -> None:
        self._tell = tell
        self._descriptors = descriptors
        self._since = 0 if descriptors is None else descriptors.size
        self._early = b""  # from before the run had a folder, where there are no descriptors to keep it
        self._folder: RunFolder | None = None
        self._file: int | None = None
        self._before = 0  # bytes of earlier sittings
        self._told = set[str]()
        self._lock = threading.RLock()

    def begin(self, folder: Path) -> None:
        """The run has its folder, where from now on everything goes, and what was printed before."""
        if self._folder is not None:
            return
        with self._lock:
            self._folder = RunFolder(folder)
            early, self._early = self._early, b""
            if self._descriptors is not None:
                try:
                    self._descriptors.lead(self._opened(), self._since)
                except OSError as error:
                    self._refused(error)
                self.look()
            elif early:
                self._append(early)

    def write(self, text: str) -> None:
        """Append, once the run's folder is known."""
        data = text.encode(errors="replace")
        if self._folder is not None:
            self._append(data)
        elif self._descriptors is not None:
            self._descriptors.write(data)
        else:
            self._early += data

    def look(self) -> None:
        """Tell of what was written to the descriptors, where it is the first."""
        with self._lock, suppress(OSError):
            if self._file is None or self._descriptors is None or SAID in self._told:
                return
            if os.fstat(self._file).st_size > self._before:
                self._say(SAID)

    def close(self) -> None:
        """Nothing more is printed."""
        if self._descriptors is not None:
            self._descriptors.lead(None)
            self.look()
        self._shut(given_back=True)

    def let_go(self) -> None:
        """The dashboard has closed, and the run goes on: what it still prints here makes the file anew."""
        self._shut(given_back=False)

    def _shut(self, *, given_back: bool) -> None:
        """Nothing leads to the file any more: one that is empty is taken away.

        Args:
            given_back: another process may hold the run by now, and print there.
        """
        with self._lock:
            file, self._file = self._file, None
            if file is None or self._folder is None:
                return
            os.close(file)
            if not given_back or (self._folder.exists and free(self._folder.path)):  # asking would make the folder
                self._folder.drop_empty_output()

    def _append(self, data: bytes) -> None:
        try:
            with self._lock:
                append(self._opened(), data)
        except OSError as error:
            self._refused(error)
            if self._descriptors is not None:
                self._descriptors.write(data)
        else:
            self._say(SAID)

    def _opened(self) -> int:
        if self._file is None:
            assert self._folder is not None
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._file = os.open(self._folder.output_path, flags, 0o600)
            self._before = os.fstat(self._file).st_size
        return self._file

    def _refused(self, error: OSError) -> None:
        what = "what the run's code prints is lost: output.log in its folder refuses it"
        if self._descriptors is not None:
            self._descriptors.lead(None)
            what = "output.log in the run's folder refuses what its code prints: it is told when this closes"
        self._say(f"{what} ({error.strerror})")

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)
