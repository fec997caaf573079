"""The kitty graphics protocol with Unicode placeholders. Strings only, no terminal.

The picture's pixels are sent once, under a number. Where it is to be seen the program writes ordinary characters
(U+10EEEE with two combining marks for row and column) whose foreground colour is that number, and the terminal shows
the picture's part in each. So whatever clips, covers or repaints cells treats the picture right, and a picture is gone
as soon as its cells are written over. Every command asks for silence (``q=2``), so that no answer is taken for typing.

Source: the protocol's own description (sw.kovidgoyal.net/kitty/graphics-protocol, "Unicode placeholders").
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

PLACEHOLDER = "\U0010eeee"
CHUNK = 4096
"""Bytes of base64 that one command holds at most."""
ESC = "\x1b"
END = "\x1b\\"


def _marks() -> str:
    """The protocol's marks in order: combining class 230, no decomposition, as of Unicode 6.0, less those that
    normalisation may fuse with another."""
    spans = (
        "305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599 59C-5A1 5A8-5A9 "
        "5AB-5AC 5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8 6EB-6EC 730 732-733 735-736 73A 73D "
        "73F-741 743 745 747 749-74A 7EB-7F1 7F3 816-819 81B-823 825-827 829-82D 951 953-954 F82-F83 F86-F87 "
        "135D-135F 17DD 193A 1A17 1A75-1A7C 1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1DC0-1DC1 1DC3-1DC9 1DCB-1DCC "
        "1DD1-1DE6 1DFE 20D0-20D1 20D4-20D7 20DB-20DC 20E1 20E7 20E9 20F0 2CEF-2CF1 2DE0-2DFF A66F A67C-A67D "
        "A6F0-A6F1 A8E0-A8F1 AAB0 AAB2-AAB3 AAB7-AAB8 AABE-AABF AAC1 FE20-FE26 10A0F 10A38 1D185-1D189 1D1AA-1D1AD "
        "1D242-1D244"
    )
    out = []
    for span in spans.split():
        first, _, last = span.partition("-")
        out += [chr(code) for code in range(int(first, 16), int(last or first, 16) + 1)]
    return "".join(out)


MARKS = _marks()
LARGEST = len(MARKS)
"""Rows and columns a picture can have at most."""

LEVELS = (0, 95, 135, 175, 215, 255)


def palette_colour(number: int) -> tuple[int, int, int]:
    """The colour of a number 16..231 in the colour cube of a 256-colour terminal."""
    rest, blue = divmod(number - 16, 6)
    red, green = divmod(rest, 6)
    return LEVELS[red], LEVELS[green], LEVELS[blue]


NUMBERS = tuple(
    number for number in range(17, 232) if len(set(palette_colour(number))) == 3 and min(palette_colour(number)) > 0
)
"""Entries of the cube that pictures are named by: far from the greys, which are not always sent as themselves."""


def picture_number(entry: int, *, true_colour: bool) -> int:
    """The number a terminal reads out of a cell whose foreground is this entry of the cube.

    With 256 colours the cell carries the entry itself, else its red, green and blue.
    """
    if not true_colour:
        return entry
    red, green, blue = palette_colour(entry)
    return red << 16 | green << 8 | blue


def packed(pixels: NDArray[np.uint8]) -> str:
    """uint8 [height, width, 3] as the protocol takes it: zlib, then base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(pixels).tobytes(), 6)).decode()


def transmit(number: int, size: tuple[int, int], data: str, cells: tuple[int, int], *, tmux: bool = False) -> str:
    """Commands that hand a picture over and let it be shown by placeholders.

    Args:
        number: what it is called, 1 .. 2**24 - 1; an older picture of that number goes.
        size: its width and height in pixels.
        data: its pixels as :func:`packed` makes them.
        cells: the columns and rows it fills.
        tmux: in tmux's envelope, which tmux opens only with ``allow-passthrough on``.
    """
    parts = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [""]
    out = []
    for index, part in enumerate(parts):
        more = f"m={int(index < len(parts) - 1)}"
        keys = f"a=t,f=24,o=z,t=d,s={size[0]},v={size[1]},i={number},q=2,{more}" if not index else f"q=2,{more}"
        out.append(_command(keys, part, tmux=tmux))
    out.append(_command(f"a=p,U=1,i={number},c={cells[0]},r={cells[1]},q=2", tmux=tmux))
    return "".join(out)


def forget(number: int, *, tmux: bool = False) -> str:
    """The command that takes a picture away and frees its memory in the terminal."""
    return _command(f"a=d,d=I,i={number},q=2", tmux=tmux)


def placeholder(row: int, column: int) -> str:
    """The characters of one cell: one column wide."""
    return PLACEHOLDER + MARKS[row] + MARKS[column]


def _command(keys: str, data: str = "", *, tmux: bool) -> str:
    command = f"{ESC}_G{keys}{';' + data if data else ''}{END}"
    return f"{ESC}Ptmux;{command.replace(ESC, ESC + ESC)}{END}" if tmux else command
