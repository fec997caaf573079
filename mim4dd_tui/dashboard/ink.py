"""From theme colours to the styles of single cells, for widgets that draw line by line."""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from mim4dd_tui.dashboard.themes import SERIES
from mim4dd_tui.plots.draw import CURSOR, DIM, Stroke

FAINT, BEHIND = 0.5, 0.75
"""How far every second curve, and what lies behind a curve, is faded into the background without colours."""


@lru_cache(maxsize=512)
def _mixed(colour: str, towards: str, share: float) -> Color:
    """A colour moved towards another; the terminal's own palette cannot be mixed and stays."""
    a, b = Color.parse(colour), Color.parse(towards)
    return a if a.ansi is not None or b.ansi is not None else a.blend(b, share)


def in_rich(widget: Widget, name: str) -> str:
    """A colour of the theme as Rich spells it, for a Text."""
    return widget.app.theme_variables[name].removeprefix("ansi_")


class Inks:
    """Styles by ink number (see ``plots.draw``) for one widget, in its theme and on its background."""

    def __init__(self, widget: Widget) -> None:
        self.base = widget.rich_style
        self._variables = widget.app.theme_variables
        self._background = self._variables.get("background", "black")
        self.colourless = bool(getattr(widget.app, "colourless", False))
        self._styles: dict[int, Style] = {}

    def colour(self, name: str, *, faded: float = 0.0) -> Style:
        """The style of a theme variable, faded into the background by a share of 0..1."""
        mixed = _mixed(self._variables.get(name, "white"), self._background, faded)
        style = self.base + Style(color=mixed.rich_color)
        return style + Style(dim=True) if faded and mixed.ansi is not None else style

    @property
    def muted(self) -> Style:
        """For labels and everything that is not a value."""
        return self.colour("foreground", faded=0.45)

    def heading(self, *, focused: bool) -> Style:
        """For the name of a pane: the one that has the keys is told apart without colours too."""
        bold = Style(bold=True)
        return self.colour("primary") + bold + Style(reverse=True) if focused else self.base + bold

    def of(self, ink: int) -> Style:
        """The style of an ink."""
        if ink not in self._styles:
            if ink == CURSOR:
                self._styles[ink] = self.colour("foreground", faded=0.3)
            elif ink <= 0:
                self._styles[ink] = self.muted
            elif self.colourless:  # hues become greys that are all alike: two that are far apart, and a third behind
                faded = BEHIND if ink >= DIM else FAINT if Stroke.of(ink).dim else 0.0
                self._styles[ink] = self.colour("foreground", faded=faded)
            else:
                index = (ink % DIM - 1) % SERIES + 1
                self._styles[ink] = self.colour(f"series-{index}", faded=0.62 if ink >= DIM else 0.0)
        return self._styles[ink]


class Inked(Widget):
    """A widget that draws line by line, and finds its colours anew only when a style above it or the theme changed."""

    _inks: tuple[tuple[object, ...], Inks] | None = None
    _held = False  # while its lines are rendered: no style changes between two of them

    def render_lines(self, crop: Region) -> list[Strip]:
        """All lines wanted, in the colours found once."""
        _ = self.inks
        self._held = True
        try:
            return super().render_lines(crop)
        finally:
            self._held = False

    @property
    def inks(self) -> Inks:
        """Its styles now."""
        if self._held and self._inks is not None:
            return self._inks[1]
        key = (self.app.theme, *(node.styles._cache_key for node in self.ancestors_with_self))
        if self._inks is None or self._inks[0] != key:
            self._inks = (key, Inks(self))
        return self._inks[1]
