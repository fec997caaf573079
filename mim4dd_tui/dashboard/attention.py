"""Telling somebody who looks elsewhere: bell, desktop notification, window title, clipboard. Bytes only, no terminal.

Sequences go only to terminals that are known to understand or to swallow them: the others would print them.
Nothing here asks the terminal anything.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass

BELL = "\a"
ESC = "\x1b"
END = "\x1b\\"

SWALLOWING = ("xterm", "tmux", "screen", "rxvt", "kitty", "alacritty", "foot", "wezterm", "contour", "ghostty")
"""Beginnings of the terminal types whose terminals parse operating-system commands, known ones or not."""
ITERM, RXVT = 9, 777
"""A desktop notification's two sequences, by their numbers: iTerm2's (ConEmu) and rxvt's (VTE, Konsole)."""
ONE_OF_THEM = {
    "foot": RXVT,
    "wezterm": RXVT,
    "ghostty": RXVT,
    "xterm-ghostty": RXVT,
    "kitty": ITERM,
    "xterm-kitty": ITERM,
}
"""What is sent to terminals that understand both, and would show two; by the beginning of their type."""
LONGEST = 200
CLIPBOARD_BYTES = 70_000
"""What terminals take at most through OSC 52."""
SCREEN_BYTES = 256
"""What GNU screen passes on at once; it takes no more than 768 (or 256, in old ones)."""


def one_line(text: str) -> str:
    """Text without anything that could end a sequence or begin another."""
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST].strip()


@dataclass(frozen=True)
class Voice:
    """What this terminal understands. ``sequences`` is whether it parses operating-system commands at all."""

    sequences: bool
    screen: bool  # GNU screen, which has a way of its own for titles
    tmux: bool
    notices: tuple[int, ...] = (ITERM, RXVT)

    @staticmethod
    def of(environ: Mapping[str, str] | None = None) -> Voice:
        """By TERM and what multiplexers set."""
        env = os.environ if environ is None else environ
        term = env.get("TERM", "")
        tmux = bool(env.get("TMUX")) or term.startswith("tmux")
        known = any(term.startswith(name) for name in SWALLOWING)
        one = next((number for name, number in ONE_OF_THEM.items() if term.startswith(name)), None)
        notices = (ITERM, RXVT) if one is None else (one,)
        return Voice(known, term.startswith("screen") and not tmux, tmux, notices)

    def notification(self, title: str, body: str) -> str:
        """A desktop notification, OSC 9 and OSC 777: whichever the terminal understands, and one where it is both."""
        if not self.sequences or self.screen:
            return ""
        title, body = one_line(title).replace(";", ","), one_line(body).replace(";", ",")
        told = {ITERM: f"{title}: {body}", RXVT: f"notify;{title};{body}"}
        return "".join(self._through(f"{ESC}]{number};{told[number]}{END}") for number in self.notices)

    def title(self, text: str) -> str:
        """The window's title."""
        if not self.sequences:
            return ""
        return f"{ESC}k{one_line(text)}{END}" if self.screen else f"{ESC}]2;{one_line(text)}{END}"

    def keep_title(self) -> str:
        """Ask for the title to be put aside; :meth:`restore_title` brings it back."""
        return f"{ESC}[22;0t" if self.sequences and not self.screen else ""

    def restore_title(self) -> str:
        """The title of before."""
        return f"{ESC}[23;0t" if self.sequences and not self.screen else ""

    def copy(self, text: str) -> str:
        """Text to the clipboard of the terminal, through any number of ssh connections (OSC 52); empty if too long.

        tmux takes it with ``set-clipboard on``, and with ``allow-passthrough on`` hands it to the terminal around:
        whichever is set. GNU screen passes on pieces.
        """
        data = base64.b64encode(text.encode(errors="surrogateescape")).decode()
        if not self.sequences or len(data) > CLIPBOARD_BYTES:
            return ""
        sequence = f"{ESC}]52;c;{data}\a"
        if self.screen:
            pieces = (sequence[at : at + SCREEN_BYTES] for at in range(0, len(sequence), SCREEN_BYTES))
            return "".join(f"{ESC}P{piece}{END}" for piece in pieces)
        return sequence + self._through(sequence) if self.tmux else sequence

    def _through(self, sequence: str) -> str:
        """tmux passes on what it does not know only in an envelope."""
        return f"{ESC}Ptmux;{sequence.replace(ESC, ESC + ESC)}{END}" if self.tmux else sequence
