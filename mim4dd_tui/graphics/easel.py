"""The kitty pictures that the terminal holds for this process: their numbers, and how to be rid of them."""

from __future__ import annotations

from mim4dd_tui.graphics import kitty


class Easel:
    """Gives out names for pictures and knows which ones are to be taken away at the end.

    A name is an entry of the colour cube of a 256-colour terminal (see ``kitty.NUMBERS``).
    """

    def __init__(self, *, true_colour: bool) -> None:
        self._true_colour = true_colour
        self._next = 0
        self._held: dict[int, bool] = {}  # entry; whether it went through tmux

    def take(self, *, tmux: bool) -> int:
        """An entry that names no picture yet."""
        free = [entry for entry in kitty.NUMBERS if entry not in self._held] or [next(iter(self._held))]
        entry = free[self._next % len(free)]
        self._next += 1  # not the one that was just given back: its cells may still stand
        self._held[entry] = tmux
        return entry

    def number(self, entry: int) -> int:
        """The picture's number on the wire."""
        return kitty.picture_number(entry, true_colour=self._true_colour)

    def drop(self, entry: int) -> str:
        """The command that takes the picture away; empty where there is none of that name."""
        tmux = self._held.pop(entry, None)
        return "" if tmux is None else kitty.forget(self.number(entry), tmux=tmux)

    def farewell(self) -> str:
        """The commands that take all pictures away."""
        return "".join(self.drop(entry) for entry in list(self._held))
