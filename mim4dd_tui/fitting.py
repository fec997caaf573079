"""Text where there is little room: shortened, or in lines that leave paths and commands whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from mim4dd_tui.terminal import columns

SHORTEST = 8
"""Cells of the shortest text that is read by its two ends; where there are fewer, its beginning is all that is left."""


_UNITS = re.compile(r"[^\s`]*`[^`\n]*`[^\s`]*|\S+")
"""Words, and commands in backquotes with what stands close to them."""
_STEPS = re.compile(r"[^/]*/+|[^/]+")
"""A path's folders, each with its slash, and its end."""


def shortened(text: str, width: int, mark: str = "…", *, middle: bool = True) -> str:
    """A text in at most ``width`` cells, with ``mark`` (one cell) where something was left out.

    Args:
        middle: what is left out is in its middle, and more is kept of its end: there the names of runs differ.
    """
    if cell_len(text) <= width:
        return text
    kept = max(0, width - 1)
    if not middle or width < SHORTEST:
        return set_cell_size(text, kept) + mark
    begin = kept // 3
    return set_cell_size(text, begin) + mark + set_cell_size(text[::-1], kept - begin)[::-1]


def homely(text: str) -> str:
    """A text in which every path below the person's home folder begins with ``~``."""
    try:
        home = str(Path.home())
    except RuntimeError:  # of a user that the system does not know
        return text
    if home == "/":
        return text
    return re.sub(rf"(?<![\w./~-]){re.escape(home)}(?![\w.-])", "~", text)


def wrapped(text: str, width: int, *, within_paths: bool = False) -> list[str]:
    """A text in lines of ``width`` cells, broken at spaces, but not within a command in backquotes that fits in one.

    Args:
        within_paths: a path longer than a line is broken after slashes. Otherwise it stands alone in a line that is too
            long: a terminal breaks that where it must, and gives it whole to whoever copies it.
    """
    return [line for each in text.split("\n") for line in _filled(each, width, within_paths)]


def fitted(text: str, stream: TextIO) -> str:
    """A text as it is written to a stream: in lines as wide as the terminal, where it is one."""
    width = columns(stream)
    return text if width is None else "\n".join(wrapped(text, width))


def _filled(text: str, width: int, within_paths: bool) -> Iterator[str]:
    """One line in several, all indented as it is."""
    if cell_len(text) <= width:
        yield text
        return
    indent = text[: len(text) - len(text.lstrip())]
    room = max(1, width - len(indent))
    line = ""
    for piece in _pieces(text, room, within_paths):
        longer = f"{line} {piece}" if line else piece
        if line and cell_len(longer) > room:
            yield indent + line
            line = piece
        else:
            line = longer
    yield indent + line


def _pieces(text: str, room: int, within_paths: bool) -> Iterator[str]:
    """What stays together, as far as a line has room for it."""
    for unit in _UNITS.findall(text):
        for word in unit.split() if cell_len(unit) > room else [unit]:
            yield from _steps(word, room) if within_paths else [word]


def _steps(path: str, room: int) -> Iterator[str]:
    """A path in pieces as long as there is room for."""
    piece = ""
    for step in _STEPS.findall(path):
        if piece and cell_len(piece + step) > room:
            yield piece
            piece = ""
        piece += step
    yield piece
