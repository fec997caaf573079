"""The part of the app that shows pictures as pixels, and keeps from the terminal what it would print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rich.console import RenderableType
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.driver import Driver
from textual.geometry import Region
from textual.screen import Screen

from mim4dd_tui.dashboard.driver import EnduringDriver
from mim4dd_tui.dashboard.telling import TellingApp
from mim4dd_tui.graphics.choice import NAMES, Cell, Graphics, cell_pixels, here, named, refusal
from mim4dd_tui.graphics.easel import Easel
from mim4dd_tui.terminal import Abilities, Colours

Answer = TypeVar("Answer")


class PixelsApp(TellingApp[Answer]):
    """Knows which graphics protocol was chosen, and tells sixel pictures when their cells were written over."""

    def __init__(
        self, runs_dir: Path, abilities: Abilities, *, driver_class: type[Driver] | None, graphics: Graphics | None
    ) -> None:
        super().__init__(runs_dir, abilities, driver_class=driver_class)
        self.cell: Cell | None = cell_pixels()
        self.easel = Easel(true_colour=abilities.colours >= Colours.TRUE)
        self.graphics = Graphics.OFF
        self.over: list[Callable[[CompositorUpdate], None]] = []  # told after each frame what it painted
        self._asked = graphics

    def choose_graphics(self) -> None:
        """At the start: what was asked for, else what was remembered for this kind of terminal."""
        if isinstance(self._driver, EnduringDriver):
            self._driver.farewell = self.easel.farewell
        wanted = self._asked
        if wanted is None and self.remembered.graphics_here == here():
            wanted = named(self.remembered.graphics)
        wanted = wanted or Graphics.OFF
        why = refusal(wanted, self.abilities, cell=self.cell)
        self.graphics = Graphics.OFF if why else wanted
        if why:
            told = f"no {NAMES[wanted]} here, pictures are characters: {why}"
            self.notify(told, severity="warning", timeout=10, lasting=True)

    def action_next_graphics(self) -> None:
        """The next way of sending pictures that nothing speaks against here."""
        ways = list(Graphics)
        elsewhere = Graphics.KITTY if self.voice.tmux else Graphics.KITTY_TMUX  # nobody looks for it here
        skipped = []
        for step in range(1, len(ways) + 1):
            wanted = ways[(ways.index(self.graphics) + step) % len(ways)]
            why = refusal(wanted, self.abilities, cell=self.cell)
            if not why:
                break
            if wanted is not elsewhere:
                skipped.append(f"passed over {NAMES[wanted]}: {why}")
        self.graphics = wanted
        self.remember(graphics=wanted.value, graphics_here=here())
        told = f"pictures: {NAMES[wanted]}"
        if wanted is not Graphics.OFF:
            told += "; if nothing is seen, this terminal does not know them (P goes on)"
        self.notify_anew("pictures", "\n".join([told, *skipped]), timeout=8 if skipped else 4)
        self.graphics_changed()

    def on_resize(self) -> None:
        """A new size may be that of a new font, whose cells have other pixels."""
        cell = cell_pixels()
        if cell is not None and cell != self.cell:
            self.cell = cell
            self.graphics_changed()

    def graphics_changed(self) -> None:
        """Screens that show pictures are told by the app."""

    def _set_pointer_shape(self, shape: str) -> None:
        """The pointer's shape (OSC 22) goes only to terminals that parse such sequences: others would print it."""
        if self.voice.sequences:
            super()._set_pointer_shape(shape)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if self.over and isinstance(renderable, CompositorUpdate) and not self.closing:
            for told in list(self.over):
                told(renderable)


def painted(update: CompositorUpdate, place: Region) -> bool:
    """Whether a frame wrote anything inside a region."""
    if not isinstance(update, ChopsUpdate):
        return True
    return any(place.y <= y < place.bottom and start < place.right and end > place.x for y, start, end in update.spans)
