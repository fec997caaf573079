"""What the terminal can do, read from the environment alone: nothing is sent to it and nothing awaited.

Asking a terminal questions at start eats typed characters and stalls on slow links, so the answers come
from variables that every terminal program already goes by (TERM, COLORTERM, NO_COLOR, the locale).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TextIO


class Colours(IntEnum):
    """Number of colours, coarsely; ordered, so that ``>=`` means "at least"."""

    NONE = 0
    BASIC = 16
    PALETTE = 256
    TRUE = 1 << 24


class Stream(Protocol):
    """The little that is asked of a standard stream."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        ...


@dataclass(frozen=True)
class Abilities:
    """What can be shown. ``refusal`` says in a sentence why a dashboard cannot open; empty when it can."""

    term: str
    colours: Colours
    no_color: bool
    unicode: bool
    braille: bool
    remote: bool
    refusal: str

    @property
    def dashboard(self) -> bool:
        """Whether the dashboard can open here."""
        return not self.refusal

    @property
    def ascii_pictures(self) -> bool:
        """Whether pictures are drawn as an ASCII ramp unless asked otherwise: where colours are poor."""
        return self.no_color or not self.unicode or self.colours <= Colours.BASIC

    def describe(self) -> dict[str, str]:
        """The abilities in words, for ``doctor``."""
        names = {
            Colours.NONE: "none",
            Colours.BASIC: "16",
            Colours.PALETTE: "256",
            Colours.TRUE: "true colour",
        }
        return {
            "TERM": self.term or "(not set)",
            "colours": names[self.colours] + (" (NO_COLOR is set)" if self.no_color else ""),
            "characters": ("unicode" if self.unicode else "ascii") + (", braille" if self.braille else ""),
            "pictures": "ascii ramp" if self.ascii_pictures else "half-blocks",
            "link": "ssh" if self.remote else "local",
            "dashboard": self.refusal or "yes",
        }


def abilities(
    environ: Mapping[str, str] | None = None,
    *,
    stdin: Stream | None = None,
    stdout: Stream | None = None,
) -> Abilities:
    """Judge the terminal of this process, or (for tests) of the given environment and streams.

    The dashboard reads standard input, which must be a terminal. So must standard output: who leads that elsewhere
    waits there for lines. Standard error need not be: warnings are sent away by many.
    """
    env = os.environ if environ is None else environ
    term = env.get("TERM", "")
    unicode = _utf8(env) and term not in MONOCHROME
    return Abilities(
        term=term,
        colours=_colours(env, term),
        no_color=bool(env.get("NO_COLOR")),
        unicode=unicode,
        braille=unicode and term != "linux",
        remote=bool(env.get("SSH_CONNECTION") or env.get("SSH_TTY")),
        refusal=_refusal(term, stdin or sys.stdin, stdout or sys.stdout),
    )


def columns(stream: TextIO) -> int | None:
    """Width of the terminal that a stream leads to; None where it leads to none, or to one that does not say."""
    with suppress(OSError, ValueError):
        if stream.isatty():
            return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(stream.fileno()).columns or None
    return None


def _refusal(term: str, stdin: Stream | None, stdout: Stream | None) -> str:
    for name, stream in (("input", stdin), ("output", stdout)):
        if stream is None or not stream.isatty():
            return f"standard {name} is not a terminal"
    if term in ("dumb", "unknown", ""):
        return (
            f"the terminal type is {term!r} (TERM), which cannot show a full screen"
            if term
            else ("the terminal type is not set (TERM)")
        )
    return ""


MONOCHROME = ("vt100", "vt102", "vt220")
"""Kinds of terminals that have no colours, and no characters but ASCII; Textual sends some, which they leave out."""
TRUE_COLOUR = ("xterm-kitty", "xterm-ghostty", "ghostty", "alacritty", "foot", "wezterm", "contour", "rio", "iterm2")
"""Kinds of terminals that have all colours, and say so in COLORTERM, which ssh usually leaves behind."""
_FORCED = {
    "standard": Colours.BASIC,
    "256": Colours.PALETTE,
    "truecolor": Colours.TRUE,
    "windows": Colours.BASIC,
}


def _colours(env: Mapping[str, str], term: str) -> Colours:
    forced = _FORCED.get(env.get("TEXTUAL_COLOR_SYSTEM", ""))
    if forced is not None:
        return forced
    if term in ("dumb", "unknown", "", *MONOCHROME) or term.endswith(("-mono", "-m")):
        return Colours.NONE
    if env.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return Colours.TRUE
    if term in TRUE_COLOUR or term.endswith("-direct") or term.startswith(tuple(f"{kind}-" for kind in TRUE_COLOUR)):
        return Colours.TRUE
    last = term.lower().rpartition("-")[2]
    if last == "256color":
        return Colours.PALETTE
    return Colours.BASIC


def _utf8(env: Mapping[str, str]) -> bool:
    """Whether the locale writes UTF-8.

    ``LC_ALL=C`` is a wish for plain characters. No locale at all (usual in containers) is not: Python then
    writes UTF-8, and so do terminals.
    """
    forced = env.get("LC_ALL", "")
    name = forced or env.get("LC_CTYPE", "") or env.get("LANG", "")
    charset = name.partition(".")[2].partition("@")[0].lower().replace("-", "")
    if charset:
        return charset == "utf8"
    return name in ("C", "POSIX", "") and not forced
