"""Numbers of a run as a small table of names and values."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from mim4dd_tui.dashboard.ink import Inked, Inks

Fact = tuple[str, str, int]
"""Name, value, and the ink of the curve it belongs to (0 for none)."""


LABEL = 11
"""Columns of a name."""


class FactsPane(Inked):
    """Facts in as many columns as fit; the first ones are the most important."""

    DEFAULT_CSS = "FactsPane { width: 1fr; height: 1fr; }"

    facts: reactive[tuple[Fact, ...]] = reactive((), init=False)

    def render_line(self, y: int) -> Strip:
        """One row of the table."""
        inks = self.inks
        width, height = self.content_size
        if not self.facts or height == 0:
            return Strip.blank(width, inks.base)
        columns = max(1, min(len(self.facts), -(-len(self.facts) // height), width // 26))
        column_width = width // columns
        segments: list[Segment] = []
        for column in range(columns):
            index = column * height + y
            if index < len(self.facts) and y < height:
                segments += self._fact(self.facts[index], column_width, inks)
            else:
                segments.append(Segment(" " * column_width, inks.base))
        return Strip(segments).adjust_cell_length(width, inks.base)

    def _fact(self, fact: Fact, width: int, inks: Inks) -> list[Segment]:
        name, value, ink = fact
        name = name[: LABEL - 1].ljust(LABEL)
        room = max(0, width - LABEL - 1)
        value = (value if cell_len(value) <= room else value.removesuffix(" nats"))[:room]
        style = inks.of(ink) if ink and not inks.colourless else inks.base
        rest = max(0, width - len(name) - cell_len(value))
        return [
            Segment(name, inks.muted),
            Segment(value, style + Style(bold=bool(ink))),
            Segment(" " * rest, inks.base),
        ]
