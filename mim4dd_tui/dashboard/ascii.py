"""Plain characters for terminals whose locale or font has no others: every cell keeps its width."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from mim4dd_tui.characters import of_console, plain


class PlainCharacters(LineFilter):
    """Passes all that is painted through :func:`plain`, or on the Linux ``console`` through :func:`of_console`."""

    def __init__(self, *, console: bool) -> None:
        super().__init__()
        self._spell = of_console if console else plain

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Every segment spelt so; styles stay."""
        return [Segment(self._spell(text), style, control) for text, style, control in segments]
