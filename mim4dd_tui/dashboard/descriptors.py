"""Descriptors 1 and 2 while the dashboard draws on the terminal: what is written to them would lie over the screen.

Native libraries, and processes that a run starts, write there without asking Python. Meanwhile the two lead to a file:
the run's ``output.log`` while one goes on, else one whose text is told when the dashboard has closed. Files, no pipes:
nobody who holds one ever waits for a reader.

Descriptor 0 leads nowhere meanwhile: a process that a run starts would else take keys that are meant for the dashboard.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

from engine.runs.status import host_name, process_identity
from engine.wording import counted
from mim4dd_tui.dashboard.unanswered import unanswered
from mim4dd_tui.signals import lead_nowhere

TOLD = 20
"""Lines that are told as they are; of more it is told where they lie."""
LINES = 1  # C's _IOLBF
PREFIX = "printed-"
KEPT = 5
"""Such files of dashboards that have ended, which stay: the newest."""
TOLD_MODE = 0o400
"""Nobody writes there any more, and somebody was told of it."""


class Descriptors:
    """Holds the terminal behind the three, and the file of what no run has written.

    Args:
        folder: where that file lies, so that a crash leaves it behind; where it cannot be made the file has no name.

    Attributes:
        keys: where descriptor 0 led before: what the dashboard reads.
        ends: where 1 and 2 led before.
        terminal: what the dashboard draws with.
        taken: whether the three lead elsewhere now.
        left: files of dashboards that were killed, of which nobody has been told.
    """

    def __init__(self, folder: Path) -> None:
        self.keys, *ends = map(_copy, range(3))
        self.ends = tuple(ends)
        # warnings that are sent away (2>/dev/null) leave standard output
        stream, end = (sys.__stderr__, self.ends[1]) if os.isatty(2) else (sys.__stdout__, self.ends[0])
        encoding, errors = (None, None) if stream is None else (stream.encoding, stream.errors)
        self.terminal = open(end, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        self.taken = False
        self.left = _tidy(folder)
        self._file, self._path = _opened(folder)
        self._target = self._file
        self._closed = False
        self._lock = threading.RLock()  # a signal's handler suspends, whatever it interrupts
        self._undo = ExitStack()

    def take(self) -> None:
        """The dashboard has the terminal now."""
        with self._lock:
            if self.taken or self._closed:
                return
            self.taken = True
            _flush()
            _by_lines()
            self._point()
            lead_nowhere((0,))
            self._undo.enter_context(unanswered())
            if not faulthandler.is_enabled():
                faulthandler.enable(2)  # the descriptor: wherever it leads by then
                self._undo.callback(faulthandler.disable)

    def give_back(self) -> None:
        """The shell, or plain lines, have the terminal again."""
        with self._lock:
            if self.taken:
                self._undo.close()
                _flush()
                for descriptor, end in enumerate((self.keys, *self.ends)):
                    os.dup2(end, descriptor)
                self.taken = False

    def lead(self, file: int | None, since: int | None = None) -> None:
        """From now on to ``file``, or (None) to the one of no run.

        Args:
            file: a descriptor that only appends.
            since: what was written to the one of no run after so many bytes is the run's too, and is moved.

        Raises:
            OSError: it cannot be moved, and stays.
        """
        with self._lock:
            if self._closed:
                return
            _flush()
            self._target = self._file if file is None else file
            if self.taken:
                self._point()
            if file is not None and since is not None and (early := self._read(since)):
                append(file, early)
                os.ftruncate(self._file, since)

    def write(self, data: bytes) -> None:
        """Text that came another way, to where the two lead."""
        with self._lock, suppress(OSError):
            if not self._closed:
                append(self._target, data)

    @property
    def size(self) -> int:
        """Bytes in the file of no run."""
        with self._lock:
            return 0 if self._closed else os.fstat(self._file).st_size

    def close(self) -> list[str]:
        """The dashboard has closed: give the three back for good. What no run has written, as lines to tell."""
        with self._lock:
            if not self.taken:  # else something still draws: a descriptor that is closed may become another file's
                for end in (self.keys, *self.ends):
                    os.close(end)
            self.give_back()
            text = self._read(0).decode(errors="replace")
            self._closed = True
            os.close(self._file)
        return self._told(text.rstrip().splitlines())

    def _told(self, lines: list[str]) -> list[str]:
        path = self._path
        if path is not None and (len(lines) > TOLD or (lines and not os.isatty(2))):
            with suppress(OSError):
                path.chmod(TOLD_MODE)
            number = "1 line was" if len(lines) == 1 else f"{len(lines)} lines were"
            return [f"while the dashboard was open {number} printed: {path}"]
        if path is not None:
            path.unlink(missing_ok=True)
        return ["while the dashboard was open this was printed:", *lines] if lines else []

    def _point(self) -> None:
        for descriptor in (1, 2):
            os.dup2(self._target, descriptor)

    def _read(self, begin: int) -> bytes:
        return os.pread(self._file, max(0, os.fstat(self._file).st_size - begin), begin)


def append(file: int, data: bytes) -> None:
    """Write all of it.

    Raises:
        OSError: the disk refuses it.
    """
    while data:
        data = data[os.write(file, data) :]


def _copy(descriptor: int) -> int:
    """Another for the same, above the three that are led elsewhere; one that is closed is opened on nothing."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 3)  # the lowest that is free


def _opened(folder: Path) -> tuple[int, Path | None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
    path = folder / f"{PREFIX}{host_name()}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, flags, 0o600), path
    except OSError:
        with tempfile.TemporaryFile("ab+") as file:
            return os.dup(file.fileno()), None


def told_of(left: Sequence[Path]) -> str:
    """What is said of files that killed dashboards have left; "" where there are none."""
    if not left:
        return ""
    others = f" (and {counted(len(left) - 1, 'file')} before it, beside it)" if len(left) > 1 else ""
    return f"a dashboard was killed before it could tell what was printed: {left[-1]}{others}"


def _tidy(folder: Path) -> list[Path]:
    """Take away what dashboards of this machine that have ended left, where nothing is in it or newer ones are enough;
    those of which nobody has been told, the newest last."""
    left = list[Path]()
    with suppress(OSError):  # another dashboard that opens does the same
        for path in sorted(folder.glob(f"{PREFIX}{host_name()}-*.txt")):
            number = path.stem.rpartition("-")[2]
            if not number.isdecimal() or process_identity(int(number)) is not None:
                continue
            if path.stat().st_size:
                left.append(path)
            else:
                path.unlink(missing_ok=True)
        for path in left[:-KEPT]:
            path.unlink(missing_ok=True)
        left = [path for path in left[-KEPT:] if path.stat().st_mode & stat.S_IWUSR]
        for path in left:
            path.chmod(TOLD_MODE)
    return left


def _flush() -> None:
    """What Python's and C's streams still hold belongs where the descriptors lead until now."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with suppress(AttributeError, OSError, ValueError):  # none, refused, closed
            stream.flush()  # type: ignore[union-attr]
    library, streams = _of_c()
    for each in streams:
        library.fflush(each)


def _by_lines() -> None:
    """C writes to a file by blocks, out of order with all else, unless it is told otherwise."""
    library, streams = _of_c()
    for each in streams[:1]:
        library.setvbuf(each, None, LINES, ctypes.c_size_t(0))


@cache
def _of_c() -> tuple[ctypes.CDLL, list[ctypes.c_void_p]]:
    """C's library, and its standard output and error where it has them under a name that is known here."""
    library, streams = ctypes.CDLL(None), []
    for name in ("stdout", "stderr", "__stdoutp", "__stderrp"):
        with suppress(ValueError):
            streams.append(ctypes.c_void_p.in_dll(library, name))
    return library, streams
