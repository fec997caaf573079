"""The synthetic images as half-blocks or ASCII, with their snapshots over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from mim4dd_tui.dashboard.ink import Inks
from mim4dd_tui.pictures import Grid, Mode, Pixels, Row, arrange, compose, render


@dataclass(frozen=True, eq=False)
class Sheet:
    """One snapshot: uint8 [images, h, w, c], ordered by class, and how it is called."""

    images: Pixels
    caption: str
    classes: int
    images_per_class: int


class PicturesPane(Widget, can_focus=True):
    """Shows as many images as fit, the first of every class first; repainted only when they change."""

    DEFAULT_CSS = "PicturesPane { width: 1fr; height: 1fr; }"

    mode: reactive[Mode] = reactive(Mode.TRUE, init=False)
    first: reactive[int] = reactive(0, init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sheet: Sheet | None = None
        self._rows: list[Row] | None = None
        self._grid: Grid | None = None
        self._left = 0
        self.waiting = "no picture yet"

    def show(self, sheet: Sheet | None) -> None:
        """Show another snapshot, or nothing."""
        self._sheet = sheet
        self._stale()

    def page(self, step: int) -> None:
        """Further images, or those before."""
        if self._sheet is not None and self._grid is not None:
            last = max(0, len(self._sheet.images) - 1) // self._grid.shown * self._grid.shown
            self.first = max(0, min(self.first + step * self._grid.shown, last))

    def watch_mode(self) -> None:
        """Draw anew."""
        self._stale()

    def watch_first(self) -> None:
        """Draw anew."""
        self._stale()

    def on_resize(self) -> None:
        """Draw anew, from the first image."""
        self.set_reactive(PicturesPane.first, 0)
        self._stale()

    def _stale(self) -> None:
        self._rows = None
        self.refresh()

    def _draw(self) -> list[Row]:
        if self._rows is None:
            self._rows = []
            size = self.content_size
            if self._sheet is not None and size.width > 0 and size.height > 1:
                images = _ordered(self._sheet)
                shape = (images.shape[1], images.shape[2])
                self._grid = arrange(len(images), shape, size.width, size.height - 1)
                shown = images[self.first : self.first + self._grid.shown]
                sheet = compose(shown, self._grid, self._background())
                self._left = max(0, (size.width - sheet.shape[1]) // 2)
                self._rows = render(sheet, self.mode)[: size.height - 1]
        return self._rows

    def _background(self) -> tuple[int, int, int]:
        if self.mode is Mode.ASCII:
            return (0, 0, 0)
        colour = Color.parse(self.app.theme_variables.get("background", "black"))
        return colour.rgb if colour.ansi is None else (0, 0, 0)

    def render_line(self, y: int) -> Strip:
        """One line: the caption, or a row of the images."""
        inks = Inks(self)
        width = self.content_size.width
        rows = self._draw()
        if y == 0:
            return Strip(self._caption(inks)).adjust_cell_length(width, inks.base)
        if self._sheet is None:
            return self._placeholder(y, width, inks)
        if y - 1 >= len(rows):
            return Strip.blank(width, inks.base)
        segments = [Segment(" " * self._left, inks.base)]
        for cell in rows[y - 1]:
            style = inks.base
            if cell.top is not None and cell.bottom is not None:
                style = Style(color=RichColor.from_rgb(*cell.top), bgcolor=RichColor.from_rgb(*cell.bottom))
            segments.append(Segment(cell.text, style))
        return Strip(segments).adjust_cell_length(width, inks.base)

    def _placeholder(self, y: int, width: int, inks: Inks) -> Strip:
        if y != max(1, self.content_size.height // 2):
            return Strip.blank(width, inks.base)
        text = self.waiting[:width].center(width)
        return Strip([Segment(text, inks.muted)]).adjust_cell_length(width, inks.base)

    def _caption(self, inks: Inks) -> list[Segment]:
        bold = Style(bold=True)
        segments = [Segment("images", inks.colour("primary") + bold if self.has_focus else inks.base + bold)]
        if self._sheet is None:
            return segments
        segments.append(Segment(f"  {self._sheet.caption}", inks.muted))
        total = len(self._sheet.images)
        if self._grid is not None and self._grid.shown < total:
            last = min(total, self.first + self._grid.shown)
            segments.append(Segment(f"  {self.first + 1}-{last} of {total}", inks.muted))
        return segments


def _ordered(sheet: Sheet) -> Pixels:
    """One image of every class, then the second of every class ...: what fits shows all classes."""
    if sheet.images_per_class <= 1 or len(sheet.images) != sheet.classes * sheet.images_per_class:
        return sheet.images
    shape = (sheet.classes, sheet.images_per_class, *sheet.images.shape[1:])
    return np.ascontiguousarray(sheet.images.reshape(shape).swapaxes(0, 1).reshape(sheet.images.shape))
