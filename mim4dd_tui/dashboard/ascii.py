"""Plain characters for terminals whose locale has no others: every cell keeps its width."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from mim4dd_tui.characters import plain


class PlainCharacters(LineFilter):
    """Passes all that is painted through :func:`mim4dd_tui.characters.plain`."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Every segment in ASCII; styles stay."""
        return [Segment(plain(text), style, control) for text, style, control in segments]
