"""The part of the app that knows the themes: the program's own ones and the user's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

from textual.filter import LineFilter, Monochrome, NoColor
from textual.theme import Theme

from mim4dd_tui.dashboard.ascii import PlainCharacters
from mim4dd_tui.dashboard.own_themes import read_all
from mim4dd_tui.dashboard.palette import Colourless, NearestColours
from mim4dd_tui.dashboard.pixels import PixelsApp
from mim4dd_tui.dashboard.themes import TERMINAL, THEMES
from mim4dd_tui.terminal import Colours

Answer = TypeVar("Answer")


@runtime_checkable
class Coloured(Protocol):
    """A screen with texts whose colours are the theme's as it was when they were written."""

    def recolour(self) -> None:
        """Write them anew."""


class ThemedApp(PixelsApp[Answer]):
    """Has a theme at the start, and goes through them."""

    _themes: tuple[Theme, ...] = THEMES

    def choose_theme(self) -> None:
        """At the start: as last time, else by the terminal's colours."""
        own, problems = read_all()
        self._themes = (*THEMES, *own)
        for theme in self._themes:
            self.register_theme(theme)
        for problem in problems:
            self.notify(f"no theme: {problem}", severity="error", timeout=15)
        self.theme = self._first().name
        self.set_class(self.indistinct, "-indistinct")
        self.theme_changed_signal.subscribe(self, self._recolour)  # when its colours are there

    def _recolour(self, _theme: Theme) -> None:
        self.set_class(self.indistinct, "-indistinct")
        for screen in self.screen_stack:
            if isinstance(screen, Coloured) and screen.is_mounted:
                screen.recolour()

    def _first(self) -> Theme:
        """As last time; but of few colours the terminal's own, as others become the same there."""
        if self.abilities.colours <= Colours.BASIC:
            return TERMINAL
        return next((theme for theme in self._themes if theme.name == self.remembered.theme), THEMES[0])

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What comes out of what is painted: greys, where there are to be no colours; the nearest colours, where there
        are 256; plain characters, where the locale has no others."""
        # Textual's own filter without colours takes all of the terminal's palette for black
        filters = [one for one in super().get_line_filters() if not isinstance(one, Monochrome | NoColor)]
        if self.abilities.no_color:
            filters.append(Colourless())
        if self.abilities.colours is Colours.PALETTE:
            filters.append(NearestColours())
        return filters if self.abilities.braille else [*filters, PlainCharacters(console=self.unicode)]

    @property
    def indistinct(self) -> bool:
        """Whether colours do not tell curves apart: there are none, or few and the theme is made for many."""
        few = self.abilities.colours <= Colours.BASIC and self.theme != TERMINAL.name
        return self.colourless or few

    def action_next_theme(self) -> None:
        """The next theme."""
        names = [theme.name for theme in self._themes]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]
        few = self.abilities.colours <= Colours.BASIC
        if not few:  # where it has not all its colours it says nothing of other terminals
            self.remember(theme=self.theme)
        told = f"theme: {self.theme.removeprefix('mim4dd-')}" + (", for this time" if few else "")
        self.notify_anew("theme", told, timeout=2)
