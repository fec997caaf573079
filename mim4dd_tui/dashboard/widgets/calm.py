"""Lists in which a click looks before it acts."""

from __future__ import annotations

from textual.events import Click
from textual.widgets import OptionList


class CalmList(OptionList):
    """A click puts the cursor on a line, so that what it stands for is described; a second one there is enter.

    So does a click that gives the list the focus on the line where its cursor was: that is described only now.
    """

    _came = False  # the focus is only just here
    _looks = False  # the click that is under way gave it

    def on_focus(self) -> None:
        """By a key, or by a click that follows at once."""
        self._came = True
        self.call_after_refresh(self._settle)

    def _settle(self) -> None:
        self._came = False

    def on_mouse_down(self) -> None:
        """A click begins."""
        self._looks = self._came

    def _on_click(self, event: Click) -> None:  # type: ignore[override]
        option: int | None = event.style.meta.get("option")
        if option is None or self.get_option_at_index(option).disabled:
            return
        if option != self.highlighted or self._looks:
            event.prevent_default()  # Textual's own handler would select it as well
            self.highlighted = option
