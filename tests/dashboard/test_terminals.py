"""What poor and odd terminals get, in a real pseudo-terminal: only what they can show, and what they do not is said."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyte
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from mim4dd_tui.dashboard import run_dashboard
from tests.dashboard.fake import FakeEngine
engine = FakeEngine(iterations=60, hold=True)
sys.exit(run_dashboard(runs_dir=Path(sys.argv[1]), launch=engine, preset="digits-ipc1", autostart=True))
"""
PRIVATE = re.compile(rb"\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9;]*\$p")
"""Sequences of newer keyboard protocols, which pyte takes for others."""
OSC = re.compile(rb"\x1b\](0|2|9|52|777);|\x1bk")
"""Title, notification and clipboard; the pointer's shape (22) is Textual's own and goes everywhere."""


@dataclass
class Odd:
    """A dashboard under some environment, and all it wrote."""

    pid: int
    master: int
    out: bytes = b""
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(80, 24))

    def see(self, words: str, seconds: float = 90.0) -> None:
        """Wait until words stand on the screen."""
        stream, end = pyte.ByteStream(self.screen), time.monotonic() + seconds
        while not any(words in line for line in self.screen.display):
            assert time.monotonic() < end, "\n".join(self.screen.display)
            if select.select([self.master], [], [], 0.05)[0]:
                data = os.read(self.master, 1 << 16)
                stream.feed(PRIVATE.sub(b"", OSC_WHOLE.sub(b"", data)))
                self.out += data

    def read_on(self, quiet: float = 1.0) -> None:
        """Read what else is painted, until nothing came for a while."""
        while select.select([self.master], [], [], quiet)[0]:
            self.out += os.read(self.master, 1 << 16)

    def wait(self, seconds: float = 60.0) -> int:
        """The exit code; reads what comes meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                with suppress(OSError):
                    self.out += os.read(self.master, 1 << 16)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        raise AssertionError("it did not end")


OSC_WHOLE = re.compile(rb"\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1bk[^\x1b]*\x1b\\|\x1b\[2[23];0t")


@pytest.fixture
def opened(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Odd]:
    pid, master = pty.fork()
    if pid == 0:
        environ = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "LINES": "24", "COLUMNS": "80"}
        environ.pop("COLORTERM", None)
        environ |= request.param
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM, str(tmp_path / "runs")], environ)
    odd = Odd(pid, master)
    yield odd
    with suppress(OSError):
        os.close(master)
    with suppress(ChildProcessError, ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("opened", "colours", "half_blocks", "braille", "sequences"),
    [
        pytest.param({"COLORTERM": "truecolor"}, b"38;2;", True, True, True, id="xterm-truecolor"),
        pytest.param({}, b"38;5;", True, True, True, id="xterm-256color"),
        pytest.param({"TERM": "screen-256color"}, b"38;5;", True, True, True, id="screen-256color"),
        pytest.param({"TERM": "linux"}, b"", False, False, False, id="linux"),
        pytest.param({"TERM": "vt100"}, b"", False, False, False, id="vt100"),
        pytest.param({"NO_COLOR": "1"}, b"", False, True, True, id="no-color"),
        pytest.param({"LC_ALL": "C"}, b"38;5;", False, False, True, id="locale-c"),
        pytest.param({"LC_ALL": "en_US.ISO-8859-1"}, b"38;5;", False, False, True, id="locale-latin1"),
    ],
    indirect=["opened"],
)
def test_a_terminal_gets_what_it_can_show(
    opened: Odd, colours: bytes, half_blocks: bool, braille: bool, sequences: bool
) -> None:
    opened.see("60/60")
    opened.read_on()
    shown = opened.out.decode(errors="replace")
    assert ("▀" in shown) is half_blocks
    assert any("⠀" < character <= "⣿" for character in shown) is braille
    if colours:
        assert colours in opened.out
    if colours != b"38;2;":
        assert opened.out.count(b"38;2;") == 0, "true colour without being able to"
    if colours and not half_blocks:  # the locale, not the terminal, is poor
        assert shown.isascii(), sorted({c for c in shown if not c.isascii()})
    assert bool(OSC.search(opened.out)) is sequences
    os.kill(opened.pid, signal.SIGTERM)
    assert opened.wait() == 143
    assert b"\x1b[?1049l" in opened.out


@pytest.mark.parametrize("opened", [{"TERM": "dumb"}], indirect=True)
def test_a_dumb_terminal_gets_a_sentence(opened: Odd) -> None:
    assert opened.wait() == 2
    assert b"\x1b" not in opened.out
    assert b"no dashboard here: the terminal type is 'dumb'" in opened.out
    assert b"--headless" in opened.out
