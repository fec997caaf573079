"""How the dashboard behaves while a real run trains: keys, bytes, processor time, first paint, redraw.

    python -m benchmarks.interface [--json FILE] [--keys 60] [--watch 20]

Everything but the redraw is measured from outside, on the dashboard in a pseudo-terminal of its own with a real run
(the built-in digits, its training going on in the same process):

    key to paint        from a key's byte being written (? opens the help) to the help's text being there:
                        milliseconds, the largest part of the screen being painted anew
    bytes a second      what the dashboard writes while the run is watched and nobody types
    interface's share   processor time of the interface's thread over the whole process's, in the same span
    first paint         from starting the process to the first screen with its words on it
    redraw              one curve of 20,000 points, drawn anew; processor time
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

SIZES = ((80, 24), (160, 48))
SETTINGS = ("objective.iterations=100000", "evaluation.every=0", "execution.checkpoint_seconds=600")
"""A run that trains as long as it is watched."""
START = "import sys; from mim4dd_tui.__main__ import main; sys.exit(main())"
TICKS = os.sysconf("SC_CLK_TCK")


class Watched:
    """A dashboard in a pseudo-terminal."""

    def __init__(self, size: tuple[int, int], folder: Path, arguments: list[str]) -> None:
        self.begun = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
            environ |= {"XDG_STATE_HOME": str(folder / "state")}
            for variable in ("COLUMNS", "LINES", "NO_COLOR", "SSH_CONNECTION", "SSH_TTY"):
                environ.pop(variable, None)
            os.execve(sys.executable, [sys.executable, "-c", START, *arguments], environ)  # noqa: S606
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def read(self, seconds: float) -> bytes:
        """What comes within a time."""
        out, end = b"", time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                out += os.read(self.master, 1 << 16)
        return out

    def until(self, words: bytes, seconds: float) -> float:
        """Seconds from the process's start until words were written."""
        out = b""
        while time.monotonic() < self.begun + seconds:
            out = (out + self.read(0.02))[-(1 << 20) :]
            if words in out:
                return time.monotonic() - self.begun
        raise TimeoutError(f"{words!r} was not shown within {seconds} s")

    def key(self, key: bytes, effect: bytes) -> float:
        """Milliseconds from a key until its effect was painted."""
        self.read(0.25)
        begun, out = time.perf_counter(), b""
        os.write(self.master, key)
        while effect not in out:
            if time.perf_counter() > begun + 10:
                raise TimeoutError(f"{effect!r} was not painted after {key!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                out += os.read(self.master, 1 << 16)
        return (time.perf_counter() - begun) * 1e3

    def opened_help(self) -> float:
        """Milliseconds from the key until the help's text was painted; closes it again."""
        taken = self.key(b"?", b"Pause the run")
        os.write(self.master, b"q")
        return taken

    def processor(self) -> tuple[float, float]:
        """Seconds of processor time of the interface's thread, and of the whole process."""
        return self._seconds(f"/proc/{self.pid}/task/{self.pid}/stat"), self._seconds(f"/proc/{self.pid}/stat")

    @staticmethod
    def _seconds(path: str) -> float:
        fields = Path(path).read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def watching(size: tuple[int, int], keys: int, seconds: float) -> dict[str, Any]:
    """Keys, bytes and processor time at one size, while the run trains."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = [part for setting in SETTINGS for part in ("--set", setting)]
        arguments = ["run", "digits-ipc1", *settings, "--runs-dir", str(folder / "runs")]
        watched = Watched(size, folder, arguments)
        try:
            watched.until(b"/100000", 400)
            watched.read(3.0)  # the first iterations warm caches up
            before, begun = watched.processor(), time.monotonic()
            written = len(watched.read(seconds))
            after, span = watched.processor(), time.monotonic() - begun
            taken = [watched.opened_help() for _ in range(keys)]
        finally:
            watched.close()
    interface, whole = (b - a for a, b in zip(before, after, strict=True))
    return {
        "size": f"{size[0]}x{size[1]}",
        "key_to_paint_ms": {
            "median": round(statistics.median(taken), 1),
            "p95": round(statistics.quantiles(taken, n=20)[-1], 1),
            "largest": round(max(taken), 1),
            "keys": len(taken),
        },
        "bytes_per_second": round(written / span),
        "interface_share_percent": round(100 * interface / whole, 2) if whole else None,
        "process_cores": round(whole / span, 2),
        "watched_seconds": round(span, 1),
    }


def first_paint() -> float:
    """Seconds from the process's start to the first screen."""
    with tempfile.TemporaryDirectory() as place:
        watched = Watched((80, 24), Path(place), ["--runs-dir", str(Path(place) / "runs")])
        try:
            return round(watched.until(b"digits-ipc1", 120), 2)
        finally:
            watched.close()


def redraw(points: int = 20_000) -> dict[str, float]:
    """Milliseconds of processor time to draw one curve anew, plain and with everything switched on."""
    from engine.events import Iteration
    from engine.runs.history import RunHistory
    from mim4dd_tui.dashboard import curves
    from mim4dd_tui.plots import Viewport, draw

    history, noise = RunHistory(), np.random.default_rng(0).standard_normal(points)
    for i, value in enumerate(noise.tolist(), 1):
        history.apply(Iteration(i, 2 + value, None, None, None, None, 0.1, 0.8 + value, 0.05, 0.1), time=float(i))

    def milliseconds(view: Viewport) -> float:
        taken = []
        for _ in range(25):
            begun = time.process_time()
            draw(curves.ratio(history), view, 80, 24)
            taken.append((time.process_time() - begun) * 1e3)
        return round(statistics.median(taken), 2)

    everything = Viewport(smoothing=0.9, log_x=True, log_y=True)
    return {"points": points, "plain_ms": milliseconds(Viewport()), "smoothed_log_ms": milliseconds(everything)}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the document to this file too")
    parser.add_argument("--keys", type=int, default=60, help="how often a key is pressed at each size")
    parser.add_argument("--watch", type=float, default=20.0, help="seconds")
    options = parser.parse_args()
    document = {
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
        "redraw": redraw(),
        "first_paint_s": first_paint(),
        "watching": [watching(size, options.keys, options.watch) for size in SIZES],
    }
    text = json.dumps(document, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
