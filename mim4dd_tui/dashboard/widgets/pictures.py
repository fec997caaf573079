"""The synthetic images as half-blocks or ASCII: all of them, one class, or one image, with what it started from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from mim4dd_tui.dashboard.ink import Inked, Inks
from mim4dd_tui.dashboard.keys import KEYS, Scope, bindings
from mim4dd_tui.dashboard.palette import as_shown
from mim4dd_tui.pictures import RGB, Cell, Grid, Mode, Pixels, Row, arrange, bracketed, compose, framed, render

Extent = Literal["all", "class", "one"]
EXTENTS: tuple[Extent, ...] = ("all", "class", "one")

ALL = frozenset(key.action for key in KEYS if key.scope == "gallery")
"""What can be done with pictures in focus."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """One snapshot: uint8 [images, h, w, c], ordered by class; how it is called, and how contrast was treated.

    ``start`` is the set before the first iteration, in the same order and shape, and ``origin`` what that was.
    """

    images: Pixels
    caption: str
    classes: int
    images_per_class: int
    contrast: str = ""
    names: tuple[str, ...] = ()
    start: Pixels | None = None
    origin: str = ""

    @property
    def ordered(self) -> bool:
        """Whether the images are as many as classes and images per class say."""
        return len(self.images) == self.classes * self.images_per_class

    def name(self, index: int) -> str:
        """What an image stands for."""
        if not self.ordered:
            return f"image {index + 1}"
        label, number = divmod(index, self.images_per_class)
        name = f"class {self.names[label]}" if label < len(self.names) else f"class {label}"
        return f"{name}, {number + 1} of {self.images_per_class}" if self.images_per_class > 1 else name


class PicturesPane(Inked, can_focus=True):
    """Shows as many images as fit, the first of every class first; repainted only when they change."""

    DEFAULT_CSS = "PicturesPane { width: 1fr; height: 1fr; }"
    BINDINGS = bindings("gallery")
    SCOPE: ClassVar[Scope] = "gallery"

    mode: reactive[Mode] = reactive(Mode.TRUE, init=False)
    first: reactive[int] = reactive(0, init=False)  # place (in the order shown) of the first image shown
    extent: reactive[Extent] = reactive("all", init=False)
    selected: reactive[int] = reactive(0, init=False)  # number of an image in the sheet
    beside: reactive[bool] = reactive(False, init=False)

    class Scrubbed(Message):
        """The wheel asks for an earlier (negative) or later snapshot."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sheet: Sheet | None = None
        self._rows: list[Row] | None = None
        self._grid: Grid | None = None
        self._pressed: int | None = None  # the image that the button went down on
        self._order: list[int] = []
        self._left = 0
        self.waiting = "no picture yet"
        self.playing = False  # snapshots go by on their own

    def show(self, sheet: Sheet | None) -> None:
        """Show another snapshot, or nothing."""
        before, idle = self._rows, self.idle_actions
        self._sheet = sheet
        if idle != self.idle_actions:
            self.screen.refresh_bindings()
        if sheet is not None:
            self.set_reactive(PicturesPane.selected, min(self.selected, len(sheet.images) - 1))
        self._rows = None
        if before is None or not self.display or len(before) != len(rows := self._draw()):
            self.refresh()
            return
        # half-blocks in colours are the dearest thing on the wire: rows that stayed are not sent again
        changed = [0, *(y for y, (a, b) in enumerate(zip(before, rows, strict=True), 1) if a != b)]
        top, width = self.gutter.top, self.outer_size.width
        self.refresh(*(Region(0, top + y, width, 1) for y in changed))

    def play(self, playing: bool) -> None:
        """Say whether snapshots go by on their own."""
        self.playing = playing
        self.refresh(Region(0, self.gutter.top, self.outer_size.width, 1))

    def recolour(self) -> None:
        """The theme is another: so is what lies between the images."""
        self._stale()

    @property
    def idle_actions(self) -> frozenset[str]:
        """Actions that show nothing new of what is shown."""
        if self._sheet is None:
            return ALL
        idle = {"enlarge(1)"} if self.extent == "one" else {"enlarge(-1)"} if self.extent == "all" else set[str]()
        return frozenset(idle if self.beside or self._sheet.start is not None else {*idle, "beside"})

    @property
    def labels(self) -> Mapping[str, str]:
        """What keys lead to from here, while it has the focus."""
        back = {} if self.extent == "all" else {"back": "all images"}
        return back | ({"beside": "alone"} if self.beside else {})

    # ---- moving about

    def page(self, step: int) -> None:
        """Further images, or those before."""
        if self._sheet is not None and self._grid is not None:
            shown = self._grid.shown
            last = max(0, len(self._order) - 1) // shown * shown
            self.first = max(0, min(self.first + step * shown, last))

    def action_select(self, across: int, down: int) -> None:
        """Move to a neighbour; in a sheet too large for the pane the page follows."""
        if self._sheet is None:
            return
        if self.extent == "one":
            self.selected = max(0, min(self.selected + across + down, len(self._sheet.images) - 1))
            return
        self._draw()
        if self._grid is None or not self._order:
            return
        place = self._order.index(self.selected) if self.selected in self._order else self.first
        place = max(0, min(place + across + down * self._grid.columns, len(self._order) - 1))
        self.set_reactive(PicturesPane.first, place // self._grid.shown * self._grid.shown)
        self.selected = self._order[place]
        self._stale()

    def action_enlarge(self, step: int) -> None:
        """All images, the selected one's class, or that image alone."""
        sheet = self._sheet
        steps = [extent for extent in EXTENTS if extent != "class" or (sheet is not None and _has_classes(sheet))]
        index = steps.index(self.extent) + step if self.extent in steps else 0
        self.extent = steps[max(0, min(index, len(steps) - 1))]

    def key_escape(self, event: events.Key) -> None:
        """Back to all images; there, escape is the screen's."""
        if self.extent != "all":
            event.stop()
            event.prevent_default()
            self.extent = "all"

    def action_beside(self) -> None:
        """Each image beside what it started from, or alone."""
        if self._sheet is not None and self._sheet.start is None and not self.beside:
            self.notify("the set before the first iteration was not kept", severity="warning")
            return
        self.beside = not self.beside

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click begins on an image."""
        self._pressed = self._place_at(event.x, event.y)

    def on_click(self, event: events.Click) -> None:
        """Select the image under the pointer; a second click enlarges it."""
        place = self._place_at(event.x, event.y)
        if place is None or place != self._pressed:
            return
        if place == self.selected:
            self.action_enlarge(1)
        self.selected = place

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Back in time."""
        event.stop()
        self.post_message(self.Scrubbed(-1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """On in time."""
        event.stop()
        self.post_message(self.Scrubbed(1))

    def _place_at(self, x: int, y: int) -> int | None:
        grid, inset = self._grid, self.gutter.left
        if grid is None or y < 1:
            return None
        column = (x - inset - self._left) // (grid.width + grid.gap)
        row = (2 * (y - 1)) // (grid.height + grid.gap)
        place = self.first + row * grid.columns + column
        inside = 0 <= column < grid.columns and 0 <= row < grid.rows and place < len(self._order)
        return self._order[place] if inside else None

    # ---- drawing

    def watch_mode(self) -> None:
        """Draw anew."""
        self._stale()

    def watch_first(self) -> None:
        """Draw anew."""
        self._stale()

    def watch_selected(self) -> None:
        """Draw anew."""
        self._stale()

    def watch_beside(self) -> None:
        """Draw anew, from the first image: there is room for fewer or for more."""
        self._from_first()

    def watch_extent(self) -> None:
        """Draw anew, from the first image."""
        self._from_first()

    def _from_first(self) -> None:
        self.set_reactive(PicturesPane.first, 0)
        self._stale()
        self.screen.refresh_bindings()

    def watch_has_focus(self, focused: bool) -> None:
        """The frame of the selected image is there only in focus."""
        super().watch_has_focus(focused)
        self._stale()

    def on_resize(self) -> None:
        """Draw anew, from the first image."""
        self.set_reactive(PicturesPane.first, 0)
        self._stale()

    def _stale(self) -> None:
        self._rows = None
        self.refresh()

    @property
    def _marks(self) -> bool:
        """Whether the selected image is framed."""
        return self.has_focus and self.extent != "one"

    def _draw(self) -> list[Row]:
        if self._rows is None:
            self._rows = []
            size = self.content_size
            if self._sheet is not None and size.width > 0 and size.height > 1:
                self._rows = self._lay(self._sheet, size.width, size.height - 1)
        return self._rows

    def _lay(self, sheet: Sheet, width: int, height: int) -> list[Row]:
        self._order = _order(sheet, self.extent, self.selected)
        images = sheet.images
        if self.beside and sheet.start is not None:
            images = _pairs(sheet.start, images, self._background())
        shape = (images.shape[1], images.shape[2])
        self._grid = arrange(len(self._order), shape, width, height)
        shown = self._order[self.first : self.first + self._grid.shown]
        page = compose(images[shown], self._grid, self._background())
        place = shown.index(self.selected) if self._marks and self.selected in shown else None
        if place is not None and self.mode is not Mode.ASCII:
            page = framed(page, self._grid, place, self._colour("primary"))
        self._left = max(0, (width - page.shape[1]) // 2)
        rows = [[Cell(" " * self._left), *row] for row in render(page, self.mode, ink_is_dark=self._light)[:height]]
        if place is not None and self.mode is Mode.ASCII:
            rows = bracketed(rows, self._grid, place, self._left, width)
        return rows

    def _background(self) -> tuple[int, int, int]:
        if self.mode is Mode.ASCII:  # no ink
            return (255, 255, 255) if self._light else (0, 0, 0)
        return self._colour("background")

    @property
    def _light(self) -> bool:
        """Whether ink is darker than what it is written on; the terminal's own colours are taken for dark ones."""
        return not self.app.current_theme.dark

    def _colour(self, name: str) -> tuple[int, int, int]:
        colour = Color.parse(self.app.theme_variables.get(name, "black"))
        if colour.ansi is None:
            palette = self.mode is Mode.PALETTE
            return as_shown(colour.rgb) if palette else colour.rgb
        return (0, 0, 0) if name == "background" else (85, 85, 255)

    def render_line(self, y: int) -> Strip:
        """One line: the caption, or a row of the images."""
        inks = self.inks
        width = self.content_size.width
        rows = self._draw()
        if y == 0:
            return Strip(self._caption(inks)).adjust_cell_length(width, inks.base)
        if self._sheet is None:
            return self._placeholder(y, width, inks)
        if y - 1 >= len(rows):
            return Strip.blank(width, inks.base)
        segments = []
        for cell in rows[y - 1]:
            style = inks.colour("primary") + Style(bold=True) if cell.mark else inks.base
            if cell.top is not None and cell.bottom is not None:
                style = _halves(cell.top, cell.bottom)
            segments.append(Segment(cell.text, style))
        return Strip(segments).adjust_cell_length(width, inks.base)

    def _placeholder(self, y: int, width: int, inks: Inks) -> Strip:
        if y != max(1, self.content_size.height // 2):
            return Strip.blank(width, inks.base)
        text = self.waiting[:width].center(width)
        return Strip([Segment(text, inks.muted)]).adjust_cell_length(width, inks.base)

    def _caption(self, inks: Inks) -> list[Segment]:
        segments = [Segment("images", inks.heading(focused=self.has_focus))]
        sheet = self._sheet
        if sheet is None:
            return segments
        notes = [sheet.caption, sheet.contrast]
        if self.beside and sheet.start is not None:
            notes.insert(1, f"left: {sheet.origin} it started from")
        if self.has_focus or self.extent != "all":
            name = sheet.name(self.selected)
            notes.insert(0, f"{name} chosen" if self.extent == "all" else name)
        if self.playing:
            notes.insert(0, "playing")
        if self._grid is not None and self._grid.shown < len(self._order):
            last = min(len(self._order), self.first + self._grid.shown)
            notes.append(f"{self.first + 1}-{last} of {len(self._order)}")
        room = self.content_size.width - len("images")
        for note in notes:
            text = f"  {note}"
            if len(text) > room:
                text = text.removesuffix(" it started from")
            if len(text) <= room:
                room -= len(text)
                segments.append(Segment(text, inks.muted))
        return segments


@lru_cache(maxsize=8192)
def _halves(top: RGB, bottom: RGB) -> Style:
    """The style of a half-block."""
    return Style(color=RichColor.from_rgb(*top), bgcolor=RichColor.from_rgb(*bottom))


def _has_classes(sheet: Sheet) -> bool:
    return sheet.ordered and sheet.images_per_class > 1


def _order(sheet: Sheet, extent: Extent, selected: int) -> list[int]:
    """Numbers of the images to show, in their order.

    Of all: one image of every class, then the second of every class ..., so that what fits shows all classes.
    """
    count, each = len(sheet.images), sheet.images_per_class
    if extent == "one":
        return [selected]
    if not _has_classes(sheet):
        return list(range(count))
    if extent == "class":
        label = selected // each
        return list(range(label * each, (label + 1) * each))
    return [label * each + number for number in range(each) for label in range(sheet.classes)]


def _pairs(start: Pixels, images: Pixels, background: RGB) -> Pixels:
    """Each image to the right of what it started from, w // 8 columns between them: uint8 [n, h, 2 w + w // 8, 3]."""
    if start.shape != images.shape:
        return images
    count, height, width, _ = images.shape
    between = np.full((count, height, max(1, width // 8), 3), background, dtype=np.uint8)
    parts = [np.broadcast_to(each, (count, height, width, 3)) for each in (start, images)]
    return np.concatenate([parts[0], between, parts[1]], axis=2)
