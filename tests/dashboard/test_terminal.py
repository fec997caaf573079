"""What is concluded from the environment, and that nothing is asked of the terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mim4dd_tui.characters import of_console, plain
from mim4dd_tui.terminal import Colours, abilities


class Stream:
    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


TTY, FILE = Stream(True), Stream(False)
UTF8 = {"LANG": "en_US.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, Colours.TRUE),
        ({"TERM": "xterm-256color"}, Colours.PALETTE),
        ({"TERM": "xterm-kitty"}, Colours.TRUE),
        ({"TERM": "alacritty"}, Colours.TRUE),
        ({"TERM": "alacritty-direct"}, Colours.TRUE),
        ({"TERM": "foot-extra"}, Colours.TRUE),
        ({"TERM": "xterm-direct"}, Colours.TRUE),
        ({"TERM": "tmux-256color"}, Colours.PALETTE),
        ({"TERM": "footlight"}, Colours.BASIC),
        ({"TERM": "xterm-mono"}, Colours.NONE),
        ({"TERM": "ansi-m"}, Colours.NONE),
        ({"TERM": "xterm"}, Colours.BASIC),
        ({"TERM": "linux"}, Colours.BASIC),
        ({"TERM": "screen"}, Colours.BASIC),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, Colours.NONE),
        ({"TERM": "xterm", "TEXTUAL_COLOR_SYSTEM": "truecolor"}, Colours.TRUE),
    ],
)
def test_colours(environ: dict[str, str], expected: Colours) -> None:
    assert abilities(environ, stdin=TTY, stdout=TTY).colours == expected


@pytest.mark.parametrize(
    ("environ", "unicode"),
    [
        ({}, True),
        (UTF8, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "C"}, True),
        ({"LC_ALL": "C", **UTF8}, False),
        ({"LC_ALL": "POSIX"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LC_CTYPE": "en_US.utf8", "LANG": "C"}, True),
    ],
)
def test_locale(environ: dict[str, str], unicode: bool) -> None:
    able = abilities({"TERM": "xterm", **environ}, stdin=TTY, stdout=TTY)
    assert able.unicode is unicode
    assert able.ascii_pictures or unicode


@pytest.mark.parametrize(
    ("term", "stdin", "stdout", "word"),
    [
        ("xterm", FILE, TTY, "standard input"),
        ("xterm", TTY, FILE, "standard output"),
        ("dumb", TTY, TTY, "dumb"),
        ("", TTY, TTY, "not set"),
    ],
)
def test_refusals_say_why(term: str, stdin: Stream, stdout: Stream, word: str) -> None:
    able = abilities({"TERM": term}, stdin=stdin, stdout=stdout)
    assert not able.dashboard
    assert word in able.refusal
    assert word in able.describe()["dashboard"]


def test_a_good_terminal_is_not_refused() -> None:
    able = abilities({"TERM": "xterm-256color", **UTF8}, stdin=TTY, stdout=TTY)
    assert able.dashboard
    assert not able.ascii_pictures


def test_the_linux_console_has_no_braille() -> None:
    able = abilities({"TERM": "linux", **UTF8}, stdin=TTY, stdout=TTY)
    assert able.unicode
    assert not able.braille


def test_on_the_linux_console_only_what_its_font_has_is_painted() -> None:
    text = "✓ done ● run ━━╸ ╭╮╰╯ ┌─┐ ▀▄█ größe ± 3 · x… ▅ ⠒ ←"
    assert of_console(text) == "+ done * run --- ++++ ┌─┐ ▀▄█ größe ± 3 · x~ # ? <"
    assert all(len(plain(one)) == len(of_console(one)) for one in text)


def test_no_color_turns_pictures_to_ascii() -> None:
    able = abilities({"TERM": "xterm-256color", "NO_COLOR": "1"}, stdin=TTY, stdout=TTY)
    assert able.ascii_pictures
    assert "NO_COLOR" in able.describe()["colours"]


@pytest.mark.parametrize("term", ["vt100", "vt220"])
def test_terminals_without_colours_are_known(term: str) -> None:
    able = abilities({"TERM": term, **UTF8}, stdin=TTY, stdout=TTY)
    assert able.colours is Colours.NONE
    assert not able.refusal


def test_ssh_is_noticed() -> None:
    assert abilities({"TERM": "xterm", "SSH_CONNECTION": "a b c d"}, stdin=TTY, stdout=TTY).remote


def test_the_dashboard_imports_no_torch_and_writes_nothing() -> None:
    """torch takes seconds: it is loaded on the engine's thread, after the first paint."""
    code = "import sys, mim4dd_tui.dashboard; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert done.stderr == ""
