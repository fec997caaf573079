"""What poor and odd terminals get, in a real pseudo-terminal: only what they can show, and what they do not is said."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyte
import pytest

from mim4dd_tui.dashboard.themes import THEMES
from mim4dd_tui.graphics.kitty import PLACEHOLDER
from tests.dashboard.drawn import SIXEL, Kitty, sixel
from tests.dashboard.test_leaving import ended

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from mim4dd_tui.dashboard import run_dashboard
from mim4dd_tui.graphics.choice import named
from tests.dashboard.fake import FakeEngine
engine, way = FakeEngine(iterations=60, hold=True), named(sys.argv[2])
code = run_dashboard(runs_dir=Path(sys.argv[1]), launch=engine, preset="digits-ipc1", autostart=True, graphics=way)
sys.exit(code)
"""
PRIVATE = re.compile(rb"\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9;]*\$p")
"""Sequences of newer keyboard protocols, which pyte takes for others."""
OSC = re.compile(rb"\x1b\](0|2|9|22|52|777);|\x1bk")
"""Title, notification, pointer's shape and clipboard."""
STRINGS = re.compile(rb"\x1b[\]_Pk][^\x07\x1b]*(\x07|\x1b\\)|\x1b\[2[23];0t")
"""Sequences with text in them, which pyte would print."""
OPEN = re.compile(rb"\x1b([\]_Pk][^\x07\x1b]*\x1b?)?$")
"""One that is not over yet."""


@dataclass
class Odd:
    """A dashboard under some environment, and all it wrote."""

    pid: int
    master: int
    out: bytes = b""
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(80, 24))
    _rest: bytes = b""

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    def see(self, words: str, seconds: float = 90.0) -> None:
        """Wait until words stand on the screen."""
        end = time.monotonic() + seconds
        while not any(words in line for line in self.screen.display):
            assert time.monotonic() < end, "\n".join(self.screen.display)
            self._read(0.05)

    def _read(self, wait: float) -> bool:
        if not select.select([self.master], [], [], wait)[0]:
            return False
        data = os.read(self.master, 1 << 16)
        self.out += data
        self._rest = STRINGS.sub(b"", self._rest + data)
        held = OPEN.search(self._rest)
        whole, self._rest = (self._rest[: held.start()], held[0]) if held else (self._rest, b"")
        self._stream.feed(PRIVATE.sub(b"", whole))
        return True

    def hear(self, ready: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Wait until all that was written satisfies a condition, and return it."""
        end = time.monotonic() + seconds
        while not ready(shown := self.out.decode(errors="replace")):
            assert time.monotonic() < end, "\n".join(self.screen.display)
            self._read(0.05)
        return shown

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def read_on(self, quiet: float = 1.0) -> None:
        """Read what else is painted, until nothing came for a while."""
        while self._read(quiet):
            pass

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


@pytest.fixture
def opened(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Odd]:
    pid, master = pty.fork()
    if pid == 0:
        environ = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "LINES": "24", "COLUMNS": "80"}
        environ.pop("COLORTERM", None)
        environ.pop("TMUX", None)
        environ |= {"XDG_STATE_HOME": str(tmp_path / "state"), **request.param}
        os.chdir(ROOT)
        time.sleep(0.2)  # the window gets its size meanwhile
        program = [sys.executable, "-c", PROGRAM, str(tmp_path / "runs"), environ.get("MIM4DD_GRAPHICS", "off")]
        os.execve(sys.executable, program, environ)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    odd = Odd(pid, master)
    yield odd
    ended(pid, master)


@pytest.mark.long
@pytest.mark.parametrize(
    ("opened", "colours", "half_blocks", "braille", "sequences"),
    [
        pytest.param({"COLORTERM": "truecolor"}, b"38;2;", True, True, True, id="xterm-truecolor"),
        pytest.param({"TERM": "xterm-kitty"}, b"38;2;", True, True, True, id="kitty-over-ssh"),
        pytest.param({"TERM": "alacritty"}, b"38;2;", True, True, True, id="alacritty-over-ssh"),
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
    if braille:  # curves are painted as seldom as they are dear
        opened.hear(lambda out: any("⠀" < character <= "⣿" for character in out))
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
    assert (b"$p" in opened.out) is sequences, "a terminal is asked what it would print"
    os.kill(opened.pid, signal.SIGTERM)
    assert opened.wait() == 143
    assert b"\x1b[?1049l" in opened.out


@pytest.mark.long
@pytest.mark.parametrize(
    "opened",
    [
        pytest.param({"TERM": term, "NO_COLOR": "1"}, id=term)
        for term in ("tmux-256color", "xterm", "linux", "xterm-16color", "vt100")
    ],
    indirect=True,
)
def test_without_colours_text_can_be_read_in_every_theme(opened: Odd) -> None:
    opened.see("60/60")
    for theme in (None, *THEMES):
        if theme is not None:
            opened.press("t")
            opened.see("theme: ")
        opened.read_on(0.5)
        written = [cell for row in opened.screen.buffer.values() for cell in row.values() if cell.data.strip()]
        assert written
        assert not [cell.data for cell in written if cell.fg == cell.bg != "default"], theme


@pytest.mark.parametrize("opened", [{"TERM": "dumb"}], indirect=True)
def test_a_dumb_terminal_gets_a_sentence(opened: Odd) -> None:
    assert opened.wait() == 2
    assert b"\x1b" not in opened.out
    assert b"no dashboard here: the terminal type is 'dumb'" in opened.out
    assert b"--headless" in opened.out


def _held(shown: str, *, tmux: bool) -> Kitty:
    terminal = Kitty()
    terminal.feed(shown, tmux=tmux)
    return terminal


@pytest.mark.long
@pytest.mark.parametrize(
    ("opened", "colour"),
    [
        pytest.param({"MIM4DD_GRAPHICS": "kitty"}, "38;5;{}", id="kitty-256"),
        pytest.param({"MIM4DD_GRAPHICS": "kitty", "TERM": "xterm-kitty"}, "38;2;{}", id="kitty-truecolor"),
        pytest.param(
            {"MIM4DD_GRAPHICS": "kitty-tmux", "TERM": "tmux-256color", "TMUX": "/nowhere,1,0"}, "38;5;{}", id="tmux"
        ),
    ],
    indirect=["opened"],
)
def test_kitty_pictures_are_held_named_and_given_back(opened: Odd, colour: str, request: pytest.FixtureRequest) -> None:
    tmux = "tmux" in request.node.callspec.id
    opened.see("60/60")
    opened.press("3")
    opened.see("iteration 60")
    shown = opened.hear(lambda out: PLACEHOLDER in out and bool(_held(out, tmux=tmux).images))
    terminal = _held(shown, tmux=tmux)
    assert terminal.silent
    number = max(terminal.images, key=lambda one: shown.rindex(f"i={one},"))
    spelled = number if "5" in colour else ";".join(str(number >> shift & 255) for shift in (16, 8, 0))
    opened.hear(lambda out: colour.format(spelled) in out)
    assert "\u2580" not in shown
    opened.press("2")
    opened.see("iterations a minute")
    assert not any(PLACEHOLDER in line for line in opened.screen.display)
    os.kill(opened.pid, signal.SIGTERM)
    assert opened.wait() == 143
    over = opened.out.decode(errors="replace")
    before, _, after = over.rpartition("\x1b[?1049l")
    assert not _held(before, tmux=tmux).images, "pictures stayed in the terminal"
    assert "\x1b_G" not in after


@pytest.mark.long
@pytest.mark.parametrize(
    "opened",
    [
        pytest.param({"MIM4DD_GRAPHICS": "sixel", "TERM": "xterm"}, id="xterm"),
        pytest.param({"MIM4DD_GRAPHICS": "sixel", "TERM": "foot", "NO_COLOR": "1", "LC_ALL": "C"}, id="plain"),
    ],
    indirect=True,
)
def test_sixel_pictures_stand_inside_the_pane(opened: Odd) -> None:
    opened.see("60/60")
    opened.press("3")
    opened.see("iteration 60")
    wide = 78 * 10
    shown = opened.hear(lambda out: any(sixel(found[3]).shape[1] > wide / 2 for found in SIXEL.finditer(out)))
    for found in SIXEL.finditer(shown):
        row, column, pixels = int(found[1]), int(found[2]), sixel(found[3])
        assert row + -(-pixels.shape[0] // 20) <= 24, "it would scroll the screen"
        assert column + pixels.shape[1] // 10 <= 81
    assert "\u2580" not in shown


@pytest.mark.long
@pytest.mark.parametrize(
    ("opened", "words"),
    [
        pytest.param({"MIM4DD_GRAPHICS": "kitty", "TERM": "linux"}, "linux", id="linux"),
        pytest.param({"MIM4DD_GRAPHICS": "sixel", "TERM": "screen"}, "GNU", id="screen"),
        pytest.param({"MIM4DD_GRAPHICS": "kitty", "NO_COLOR": "1"}, "NO_COLOR", id="no-color"),
        pytest.param({"MIM4DD_GRAPHICS": "kitty", "LC_ALL": "C"}, "locale", id="locale"),
    ],
    indirect=["opened"],
)
def test_graphics_that_cannot_be_are_refused_in_words(opened: Odd, words: str) -> None:
    opened.see(words)
    opened.see("60/60")
    opened.read_on()
    assert b"\x1b_G" not in opened.out
    assert b"\x1bP" not in opened.out
