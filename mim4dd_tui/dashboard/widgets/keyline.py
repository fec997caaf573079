"""The line of keys at the bottom, made anew only when it changes."""

from __future__ import annotations

from textual.screen import Screen
from textual.widgets import Footer


class KeyLine(Footer):
    """Textual's footer, which else is taken apart and made again whenever a screen comes or goes.

    That also happens on screens that are covered, where what was taken apart is not given free until they are seen.
    """

    _shown: tuple[tuple[str, str, str, bool], ...] | None = None

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Keys may have changed: those that are shown decide."""
        shown = tuple(
            (active.binding.key, active.binding.description, active.binding.action, active.enabled)
            for active in screen.active_bindings.values()
            if active.binding.show
        )
        if shown == self._shown:
            return
        if screen.app.app_focus and screen is self.screen:  # else nothing is made anew
            self._shown = shown
        super().bindings_changed(screen)
