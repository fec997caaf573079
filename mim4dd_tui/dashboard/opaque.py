"""The part of the app that paints one screen at a time, as each hides what is under it."""

from __future__ import annotations

from typing import Any, TypeVar

from textual.app import App
from textual.screen import Screen

Answer = TypeVar("Answer")


class OpaqueApp(App[Answer]):
    """Every screen's background is opaque, which Textual does not count on: for it the screen below may show through.

    Then whatever changes there (the list of runs, every three seconds) is laid out and has all that is in front
    painted anew, which is not seen and costs two screens of bytes each time.
    """

    def action_redraw(self) -> None:
        """Paint all anew: the terminal has lost it."""
        self.app_resume_signal.publish(self)  # pictures in pixels are sent again too

    def redraw_when_back(self) -> None:
        """After a suspension all is painted anew, as Textual paints what has changed; call it at the start."""
        self.app_resume_signal.subscribe(self, lambda _app: self.screen.refresh())

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        return []
