"""Which graphics protocol is wanted, and why it cannot be used here where it cannot.

Nothing is asked of the terminal: neither protocol is ever chosen by the program, and what would garble the screen
for certain is refused in a sentence. Only the size of a cell in pixels is looked up, in the kernel's own record of
the terminal's size.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum

from mim4dd_tui.terminal import Abilities, Colours

VARIABLE = "MIM4DD_GRAPHICS"
"""Environment variable that stands for the option where it is not given."""
PIXELLESS = ("linux", "vt100", "vt102", "vt220", "ansi", "cons25", "dumb", "unknown", "eterm")
"""Beginnings of the types of terminals that show characters alone, and would print what they do not know."""
WITHOUT_KITTY = ("foot", "alacritty", "rxvt")
"""Beginnings of the types of terminals that have no kitty graphics, and print the characters it places them by."""

Cell = tuple[int, int]
"""Width and height of a cell in pixels."""


class Graphics(Enum):
    """How pictures are sent; ``OFF`` draws them with characters."""

    OFF = "off"
    KITTY = "kitty"
    KITTY_TMUX = "kitty-tmux"
    SIXEL = "sixel"

    @property
    def kitty(self) -> bool:
        """Whether it is the kitty protocol, in whichever envelope."""
        return self in (Graphics.KITTY, Graphics.KITTY_TMUX)


NAMES = {
    Graphics.OFF: "characters",
    Graphics.KITTY: "kitty graphics",
    Graphics.KITTY_TMUX: "kitty graphics through tmux",
    Graphics.SIXEL: "sixel",
}
"""The choices in words."""


def refusal(
    wanted: Graphics, able: Abilities, environ: Mapping[str, str] | None = None, *, cell: Cell | None = None
) -> str:
    """Why ``wanted`` cannot be used on this terminal, as a sentence; empty where nothing speaks against it.

    Args:
        able: the terminal's abilities.
        environ: the environment; the process's where None.
        cell: a cell's size in pixels, where it is known.
    """
    env = os.environ if environ is None else environ
    if wanted is Graphics.OFF:
        return ""
    if not able.term or able.term.startswith(PIXELLESS):
        return f"a terminal of type {able.term or '(not set)'} (TERM) shows characters alone"
    tmux = bool(env.get("TMUX")) or able.term.startswith("tmux")
    if not tmux and able.term.startswith("screen"):
        return "GNU screen does not pass pictures on"
    if wanted is Graphics.SIXEL:
        if tmux:
            return "inside tmux sixel pictures do not stay where they belong; kitty-tmux does"
        return "" if cell else "this terminal does not say how large a cell is in pixels, so sixel has no measure"
    return _kitty_refusal(wanted, able, tmux=tmux)


def _kitty_refusal(wanted: Graphics, able: Abilities, *, tmux: bool) -> str:
    if able.term.startswith(WITHOUT_KITTY):
        return f"{able.term} (TERM) has none"
    if not able.unicode:
        return "kitty graphics are placed by characters that this locale (LC_ALL, LANG) does not have"
    if able.no_color:
        return "kitty graphics are named by a cell's colour, and NO_COLOR is set"
    if able.colours < Colours.PALETTE:
        return "kitty graphics are named by a cell's colour, and this terminal has 16 (TERM, COLORTERM)"
    if tmux and wanted is Graphics.KITTY:
        return "inside tmux it is kitty-tmux (with `set -g allow-passthrough on` in tmux)"
    if not tmux and wanted is Graphics.KITTY_TMUX:
        return "this is not tmux; outside it is kitty"
    return ""


def named(text: str) -> Graphics | None:
    """The choice of a name, or None."""
    with suppress(ValueError):
        return Graphics(text.strip().lower())
    return None


def here(environ: Mapping[str, str] | None = None) -> str:
    """What a remembered choice belongs to: the type of the terminal, and whether tmux stands between."""
    env = os.environ if environ is None else environ
    return env.get("TERM", "") + (" in tmux" if env.get("TMUX") else "")


def cell_pixels(descriptor: int | None = None) -> Cell | None:
    """Width and height of a cell in pixels as the kernel knows them (ssh and tmux hand them on), or None.

    Asked by standard input, which is the terminal: under the dashboard the others lead elsewhere.
    """
    import fcntl
    import termios

    try:
        number = sys.__stdin__.fileno() if descriptor is None and sys.__stdin__ is not None else descriptor
        if number is None:
            return None
        rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(number, termios.TIOCGWINSZ, bytes(8)))
    except (OSError, ValueError):
        return None
    if not (rows and columns and width and height):
        return None
    cell = width // columns, height // rows
    return cell if min(cell) >= 2 else None
