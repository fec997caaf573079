"""Lists in which a click looks before it acts, and whose ends are ends."""

from __future__ import annotations

from collections.abc import Sequence

from textual.events import Click
from textual.geometry import Region
from textual.style import Style
from textual.widgets import OptionList
from textual.widgets.option_list import Option

LEFT = 1
"""The mouse button that means a line."""


class SeenList(OptionList):
    """Its cursor is seen in any colours, and in none."""

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        """Textual forgets ``reverse``."""
        style = super().get_visual_style(*component_classes, partial=partial)
        reverse = any(self.get_component_styles(name).text_style.reverse for name in component_classes)
        return style + Style(reverse=True) if reverse else style


class Answers(SeenList):
    """The answers to a question, with the keys of every list."""

    BINDINGS = [  # noqa: RUF012
        ("j", "cursor_down", "down"),
        ("k", "cursor_up", "up"),
    ]


class CalmList(SeenList):
    """A click puts the cursor on a line, so that what it stands for is described; a second one there is enter.

    So does a click that gives the list the focus on the line where its cursor was: that is described only now.
    At an end the cursor stays, as it does in tables.
    """

    _came = False  # the focus is only just here
    _looks = False  # the click that is under way gave it
    _begun = False  # the first click of a double one was here, not on what was here before

    @property
    def in_use(self) -> bool:
        """Whether somebody works on the line under the cursor."""
        return self.has_focus

    @property
    def kept_free(self) -> Region:
        """The line under the cursor, while it is in use."""
        line = self._index_to_line.get(self.highlighted) if self.in_use and self.highlighted is not None else None
        if line is None:
            return Region()
        top = self.content_region.y + line - round(self.scroll_offset.y)
        whole = Region(self.region.x, top, self.region.width, self._heights[self.highlighted or 0])
        return whole.intersection(self.region)

    def action_half_up(self) -> None:
        """Up by half of what is seen."""
        for _ in range(max(1, self.size.height // 2)):
            self.action_cursor_up()

    def action_half_down(self) -> None:
        """Down by half of what is seen."""
        for _ in range(max(1, self.size.height // 2)):
            self.action_cursor_down()

    def action_cursor_up(self) -> None:
        """The line above, where there is one."""
        at = self.highlighted
        if at is None or _any_open(self.options[:at]):
            super().action_cursor_up()

    def action_cursor_down(self) -> None:
        """The line below, where there is one."""
        at = self.highlighted
        if at is None or _any_open(self.options[at + 1 :]):
            super().action_cursor_down()

    def on_blur(self) -> None:
        """Clicks go elsewhere."""
        self._begun = False

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
        if event.button != LEFT:
            event.prevent_default()
            return
        option: int | None = event.style.meta.get("option")
        if event.chain == 1:
            self._begun = True
        elif self._begun and self.highlighted is not None:  # that line may have moved from under the mouse
            event.prevent_default()
            self.action_select()
            return
        if option is None or self.get_option_at_index(option).disabled:
            return
        if option != self.highlighted or self._looks:
            event.prevent_default()  # Textual's own handler would select it as well
            self.highlighted = option


def _any_open(options: Sequence[Option]) -> bool:
    return any(not option.disabled for option in options)
