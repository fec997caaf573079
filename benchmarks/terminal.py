"""A program in a pseudo-terminal of its own, measured from outside: what it writes, when, and what it costs.

Nothing here draws what was written: bytes are searched for words and counted, so that the instrument takes next to
nothing of the cores it measures on.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

START = "import sys; from mim4dd_tui.__main__ import main; sys.exit(main())"
TICKS = os.sysconf("SC_CLK_TCK")


def settings(*wanted: str) -> list[str]:
    """Settings as the command line takes them."""
    return [part for setting in wanted for part in ("--set", setting)]


def journal_of(runs: Path) -> bytes:
    """The journal of the one run below a runs folder; nothing while there is none."""
    found = next(runs.glob("*/journal.jsonl"), None)
    return b"" if found is None else found.read_bytes()


class Watched:
    """A dashboard in a pseudo-terminal."""

    def __init__(self, size: tuple[int, int], folder: Path, arguments: list[str], *, start: str = START) -> None:
        self.begun = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
            environ |= {"XDG_STATE_HOME": str(folder / "state")}
            for variable in ("COLUMNS", "LINES", "NO_COLOR", "SSH_CONNECTION", "SSH_TTY"):
                environ.pop(variable, None)
            os.execve(sys.executable, [sys.executable, "-c", start, *arguments], environ)  # noqa: S606
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def read(self, seconds: float) -> bytes:
        """What comes within a time."""
        out, end = bytearray(), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                out += os.read(self.master, 1 << 16)
        return bytes(out)

    def until(self, words: bytes, seconds: float) -> float:
        """Seconds from the process's start until words were written."""
        out = b""
        while time.monotonic() < self.begun + seconds:
            out = (out + self.read(0.02))[-(1 << 20) :]
            if words in out:
                return time.monotonic() - self.begun
        raise TimeoutError(f"{words!r} was not shown within {seconds} s")

    def iterated(self, runs: Path, iteration: int, seconds: float) -> None:
        """Read on until the run has made so many iterations."""
        end, mark = time.monotonic() + seconds, f'"iteration":{iteration},'.encode()
        while mark not in journal_of(runs):
            if time.monotonic() > end:
                raise TimeoutError(f"iteration {iteration} was not reached within {seconds} s")
            self.read(0.5)

    def key(self, key: bytes, effect: bytes) -> float:
        """Milliseconds from a key's byte being written until its effect's bytes had come."""
        self.read(0.25)
        begun, out = time.perf_counter(), b""
        os.write(self.master, key)
        while effect not in out:
            if time.perf_counter() > begun + 10:
                raise TimeoutError(f"{effect!r} was not painted after {key!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                out += os.read(self.master, 1 << 16)
        return (time.perf_counter() - begun) * 1e3

    def processor(self) -> tuple[float, float]:
        """Seconds of processor time of the interface's thread, and of the whole process."""
        running = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0]
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(running) / 1e9, (int(fields[11]) + int(fields[12])) / TICKS

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)
