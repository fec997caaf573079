"""A screen that is painted once where Textual would paint it several times over."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import Screen

Result = TypeVar("Result")


class PaintedScreen(Screen[Result]):
    """Paints nothing by parts while all of it is about to be painted.

    Textual has a screen painted whole when it comes to the front or changes its size, and before that, at every
    layout in between, all that was laid out: the same bytes again. The first painting is there at once all the same.
    """

    _seen = False  # something was painted since it came to the front

    def _compositor_refresh(self) -> None:
        if self._seen and self._repaint_required and self.is_current:
            return  # the next turn of Textual's timer paints all
        super()._compositor_refresh()
        self._seen = self.is_current

    def on_screen_suspend(self) -> None:
        """When it comes back, it is painted at once."""
        self._seen = False
