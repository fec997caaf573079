"""Lists in which a click looks before it acts."""

from __future__ import annotations

from textual.events import Click
from textual.widgets import OptionList


class CalmList(OptionList):
    """A click puts the cursor on a line, so that what it stands for is described; a second one there is enter."""

    def _on_click(self, event: Click) -> None:  # type: ignore[override]
        option: int | None = event.style.meta.get("option")
        if option is not None and option != self.highlighted and not self.get_option_at_index(option).disabled:
            event.prevent_default()  # Textual's own handler would select it as well
            self.highlighted = option
