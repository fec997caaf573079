"""Plain characters where the locale has no others (``terminal.Abilities.unicode``)."""

from __future__ import annotations

import codecs
from contextlib import suppress
from functools import lru_cache
from typing import TextIO

from rich.cells import cell_len

EQUIVALENTS = {
    "·": "-", "…": "~", "±": "~", "×": "x", "←": "<", "→": ">", "↑": "^", "↓": "v",
    "●": "*", "○": "o", "■": "#", "✓": "+", "✗": "x", "‖": "=", "•": "*", "–": "-", "—": "-", "−": "-",
    "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ",
}  # fmt: skip
CORNERS = "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝┏┓┗┛"
UPRIGHT = "│║┃▌▐▏▎▍▊▉▕"


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """The text in ASCII alone, as wide as it was."""
    return text if text.isascii() else "".join(_one(character) for character in text.replace(" ± ", " +-"))


@lru_cache(maxsize=4096)
def of_console(text: str) -> str:
    """The text in what the fonts of the Linux console have: the characters of code page 437."""
    return "".join(one if _on_console(one) else _one(one) for one in text)


def _on_console(character: str) -> bool:
    with suppress(UnicodeEncodeError):
        return bool(character.encode("cp437"))
    return False


def _one(character: str) -> str:
    return _known(character) or "?" * cell_len(character)


def _known(character: str) -> str:
    """What stands for a character; empty where nothing is known to."""
    if character.isascii():
        return character
    if character in EQUIVALENTS:
        return EQUIVALENTS[character]
    if character in CORNERS:
        return "+"
    if character in UPRIGHT:
        return "|"
    if "─" <= character <= "╿":
        return "-"
    return "#" if "▀" <= character <= "▟" else ""


def write_plain(stream: TextIO) -> None:
    """Have a stream write in ASCII, as :func:`plain` does, but names and paths as they are: a program may read them."""
    with suppress(AttributeError, ValueError, OSError):
        stream.reconfigure(encoding="ascii", errors="mim4dd")  # type: ignore[attr-defined]


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, at = error.object, error.start
    if text[at] == "±" and text[at - 1 : at] + text[at + 1 : at + 2] == "  ":  # as wide as it was
        return "+-", at + 2
    return _known(text[at]) or text[at].encode(errors="surrogateescape"), at + 1


codecs.register_error("mim4dd", _replaced)
