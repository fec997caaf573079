"""The synthetic images as half-blocks or ASCII: all of them, one class, or one image, with what it started from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from mim4dd_tui.by_class import Places
from mim4dd_tui.dashboard.ink import Inked, Inks
from mim4dd_tui.dashboard.keys import KEYS, Scope, bindings
from mim4dd_tui.dashboard.palette import as_shown
from mim4dd_tui.dashboard.widgets.pictures_title import caption
from mim4dd_tui.dashboard.widgets.sheet import EXTENTS, Extent, Sheet, arranged, pairs
from mim4dd_tui.pictures import RGB, Cell, Grid, Mode, Row, bracketed, compose, framed, render

ALL = frozenset(key.action for key in KEYS if key.scope == "gallery")
"""What can be done with pictures in focus."""
LEAST_ROWS = 4
"""Lines that pictures keep where something is said below them."""


class PicturesPane(Inked, can_focus=True):
    """Shows as many images as fit, a class after another in rows; repainted only when they change.

    At a :attr:`glance`, where not all fit, the first of every class are shown.
    """

    DEFAULT_CSS = "PicturesPane { width: 1fr; height: 1fr; }"
    BINDINGS = bindings("gallery")
    SCOPE: ClassVar[Scope] = "gallery"

    mode: reactive[Mode] = reactive(Mode.TRUE, init=False)
    first: reactive[int] = reactive(0, init=False)  # place (in the order shown) of the first image shown
    extent: reactive[Extent] = reactive("all", init=False)
    selected: reactive[int] = reactive(0, init=False)  # number of an image in the sheet
    beside: reactive[bool] = reactive(False, init=False)
    glance: reactive[bool] = reactive(False, init=False)
    waiting: reactive[str] = reactive("no picture yet", init=False)  # what stands in place of one

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
        self._order: Places = []
        self._headed = False  # every row belongs to one class
        self._heads: dict[int, str] = {}  # the classes that begin in a line, left of the images
        self._lead = 0  # cells of the margin that are the rows' own
        self._left = 0
        self._foot: list[str] = []  # what soft labels are, in the last lines
        self._lost = False  # the page with the image that stays in sight is yet to be found
        self._stays = 0
        self.playing = False  # snapshots go by on their own

    def show(self, sheet: Sheet | None) -> None:
        """Show another snapshot, or nothing."""
        before, idle = self._rows, self.idle_actions
        margin = (self._left, self._heads, len(self._foot))
        self._sheet = sheet
        if idle != self.idle_actions:
            self.screen.refresh_bindings()
        if sheet is not None:
            self.set_reactive(PicturesPane.selected, min(self.selected, len(sheet.images) - 1))
        self._rows = None
        if before is None or not self.display or len(before) != len(rows := self._draw()):
            self.refresh()
            return
        if margin != (self._left, self._heads, len(self._foot)):
            self.refresh()
            return
        # half-blocks in colours are the dearest thing on the wire: rows that stayed are not sent again
        changed = [0, *(y for y, (a, b) in enumerate(zip(before, rows, strict=True), 1) if a != b)]
        changed += range(self.content_size.height - len(self._foot), self.content_size.height)
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
        place = self._neighbour(place, across, down * self._grid.columns)
        self.set_reactive(PicturesPane.first, place // self._grid.shown * self._grid.shown)
        image = self._order[place]
        self.selected = self.selected if image is None else image
        self._stale()

    def _neighbour(self, place: int, across: int, down: int) -> int:
        """The next place in a direction that has an image; where there is none, the same."""
        order, step = self._order, across + down
        found = place + step
        while 0 <= found < len(order) and order[found] is None:
            found += step
        if 0 <= found < len(order):
            return found
        last = len(order) - 1
        lower = down > 0 and place // down < last // down  # a last row that does not reach that far
        return last if lower else place

    def action_enlarge(self, step: int) -> None:
        """All images, the selected one's class, or that image alone."""
        sheet = self._sheet
        steps = [extent for extent in EXTENTS if extent != "class" or (sheet is not None and sheet.has_classes)]
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
        inside = 0 <= column < grid.columns and 0 <= row < grid.rows
        return self._image_at(self.first + row * grid.columns + column) if inside else None

    def _image_at(self, place: int) -> int | None:
        return self._order[place] if place < len(self._order) else None

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
        """Draw anew, with the selected image in sight: there is room for fewer or for more."""
        self._anew()

    def watch_glance(self) -> None:
        """Draw anew, with the selected image in sight."""
        self._anew()

    def watch_extent(self) -> None:
        """Draw anew, with the selected image in sight."""
        self._anew()

    def _anew(self) -> None:
        self._lose()
        self._stale()
        self.screen.refresh_bindings()

    def _lose(self) -> None:
        """Pages are others now: the selected image stays in sight, or where it was not, the first one that was."""
        seen = self._seen()[1]
        if self.selected in seen or not seen:
            self._stays = self.selected
        elif self._stays not in seen:  # else it stayed before: there and back is the same page
            self._stays = seen[0]
        self._lost = True

    def watch_has_focus(self, focused: bool) -> None:
        """The frame of the selected image is there only in focus."""
        super().watch_has_focus(focused)
        self._stale()

    def on_resize(self) -> None:
        """Draw anew, with the selected image in sight, if it was."""
        self._lose()
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
            self._rows, self._foot = [], []
            size, sheet = self.content_size, self._sheet
            if sheet is not None and size.width > 0 and size.height > 1:
                below = sheet.below(self.extent, self.selected, size.width, beside=self.beside)
                self._foot = below[: max(0, size.height - 1 - LEAST_ROWS)]
                self._rows = self._lay(sheet, size.width, size.height - 1 - len(self._foot))
        return self._rows

    def _lay(self, sheet: Sheet, width: int, height: int) -> list[Row]:
        images = sheet.images
        if self.beside and sheet.start is not None:
            images = pairs(sheet.start, images, self._background())
        self._grid = self._arrange(sheet, (images.shape[1], images.shape[2]), width, height)
        places, numbers = self._seen()
        page = compose(images[numbers], self._grid, self._background(), places)
        place = places[numbers.index(self.selected)] if self._marks and self.selected in numbers else None
        if place is not None and self.mode is not Mode.ASCII:
            page = framed(page, self._grid, place, self._colour("primary"))
        self._margin(sheet, page.shape[1], 2)
        rows = render(page, self.mode, ink_is_dark=self._light)[:height]
        if place is not None and self.mode is Mode.ASCII:
            gap = min(self._grid.gap, self._left)  # the margin ends with it, for a bracket
            self._lead = min(gap, 1) if self._heads else gap
            led = [[Cell(" " * self._lead), *row] for row in rows]
            rows = bracketed(led, self._grid, place, self._lead, width - self._left + self._lead)
        return rows

    def _arrange(self, sheet: Sheet, shape: tuple[int, int], columns: int, rows: int) -> Grid:
        """The grid of what is to be seen; which image has which place in it is kept."""
        placed = arranged(sheet, self.extent, self.selected, shape, (columns, rows), glance=self.glance)
        self._order, self._headed = placed.places, placed.heads
        if self._lost:
            self._lost = False
            wanted = self._stays if self._stays in placed.places else self.selected
            self.set_reactive(PicturesPane.first, placed.page_of(wanted))
        return placed.grid

    def _seen(self) -> tuple[list[int], list[int]]:
        """The places of this page that have images, and the numbers of these."""
        shown = self._grid.shown if self._grid is not None else 0
        page = self._order[self.first : self.first + shown]
        return [i for i, one in enumerate(page) if one is not None], [one for one in page if one is not None]

    def _margin(self, sheet: Sheet, taken: int, line: int) -> None:
        """Put the images in the middle, and what their rows are called beside them where columns are left for it.

        Args:
            taken: columns that the images take.
            line: pixels of their grid that a line of cells is high.
        """
        spare = max(0, self.content_size.width - taken)
        self._left, self._heads, self._lead = spare // 2, {}, 0
        numbers = [str(label) for label in range(sheet.classes)]
        known = [sheet.names, numbers] if len(sheet.names) == sheet.classes else [numbers]
        fit = [names for names in known if max(map(len, names), default=0) < spare]
        if not self._headed or not fit or self._grid is None:
            return
        width, pitch = max(map(len, fit[0])), self._grid.height + self._grid.gap
        self._left = max(self._left, width + 1)
        for place, number in zip(*self._seen(), strict=True):
            label, within = divmod(number, sheet.images_per_class)
            if not within:
                middle = place // self._grid.columns * pitch + self._grid.height // 2
                self._heads[middle // line] = fit[0][label]

    def _head(self, line: int, inks: Inks) -> Segment:
        """What stands left of a line of the images."""
        text = self._heads.get(line, "")
        margin = f"{text:>{self._left - 1}} " if text else " " * self._left
        return Segment(margin[: self._left - self._lead], inks.muted)

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
        if (line := y - self.content_size.height + len(self._foot)) >= 0:
            return Strip([Segment(self._foot[line], inks.base)]).adjust_cell_length(width, inks.base)
        if y - 1 >= len(rows):
            return Strip.blank(width, inks.base)
        segments = [self._head(y - 1, inks)]
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
        notes = caption(
            sheet,
            self.content_size.width - len("images"),
            name=sheet.name(self.selected) if self.has_focus or self.extent != "all" else "",
            chosen=self.extent == "all",
            seen=self._range(),
            beside=self.beside,
            playing=self.playing,
        )
        return segments + [Segment(f"  {note}", inks.muted) for note in notes]

    def _range(self) -> tuple[int, int, int]:
        """The images before those that are seen, these and before, and all: how many."""
        counts = [sum(one is not None for one in part) for part in (self._order[: self.first], self._order)]
        return counts[0], counts[0] + len(self._seen()[1]), counts[1]


@lru_cache(maxsize=8192)
def _halves(top: RGB, bottom: RGB) -> Style:
    """The style of a half-block."""
    return Style(color=RichColor.from_rgb(*top), bgcolor=RichColor.from_rgb(*bottom))
