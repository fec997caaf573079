"""Plain characters for terminals whose locale has no others: every cell keeps its width."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

EQUIVALENTS = {
    "·": "-", "…": "~", "±": "~", "×": "x", "←": "<", "→": ">", "↑": "^", "↓": "v",
    "●": "*", "○": "o", "■": "#", "✓": "+", "✗": "x", "‖": "=", "•": "*", "–": "-", "—": "-",
    "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ",
}  # fmt: skip
CORNERS = "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝┏┓┗┛"
UPRIGHT = "│║┃▌▐▏▎▍▊▉▕"


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """The text in ASCII alone, as wide as it was."""
    return text if text.isascii() else "".join(_one(character) for character in text.replace(" ± ", " +-"))


def _one(character: str) -> str:
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
    if "▀" <= character <= "▟":
        return "#"
    return "?" * cell_len(character)


class PlainCharacters(LineFilter):
    """Passes all that is painted through :func:`plain`."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Every segment in ASCII; styles stay."""
        return [Segment(plain(text), style, control) for text, style, control in segments]
