"""The letters of a PNG: the font that Pillow brings along, and what is written for the characters it lacks."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from PIL import ImageFont

from mim4dd_tui.characters import EQUIVALENTS

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
LATIN = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "µ": "u",
    "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=",
}  # fmt: skip
"""What is written for letters that are not others with an accent, and for signs of more than one character."""
NOWHERE = "\ue000"
"""A character that no font has a letter for."""


@cache
def font(size: float) -> Font:
    """The font in a size."""
    return ImageFont.load_default(size)


def length(text: str, size: float) -> float:
    """How many pixels a text takes, as a PNG has it."""
    return float(font(size).getlength(drawable(text)))


@lru_cache(maxsize=4096)
def drawable(text: str) -> str:
    r"""The text in letters of the font: without accents where it lacks these, else a character's number (``\u4e2d``).

    Different characters may come to the same letter; an SVG has the text as it is.
    """
    return text if text.isascii() else "".join(map(_drawable, unicodedata.normalize("NFC", text)))


@cache
def _drawable(character: str) -> str:
    if _has(character):
        return character
    known = LATIN.get(character) or EQUIVALENTS.get(character)
    if known:
        return known
    parts = unicodedata.normalize("NFD", character)
    base = "".join(one for one in parts if not unicodedata.combining(one))
    if base != character and not (plainer := "".join(map(_drawable, base))).startswith("\\"):
        return plainer
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _has(character: str) -> bool:
    """Whether the font has a letter for a character: else it has a box for it, always the same."""
    return character.isascii() or _pixels(character) != _pixels(NOWHERE)


def _pixels(character: str) -> bytes:
    return bytes(font(12).getmask(character))
