"""The pictures' pane with pixels instead of characters, where a graphics protocol was chosen.

Kitty pictures stand in their cells (see ``graphics.kitty``) and need no care once they are there. A sixel picture is
painted over blank cells after the frame, again whenever those cells were painted, and only while nothing lies on
top. Under a dialog the cells hold half-blocks: what shines through a dialog is recoloured cell by cell, which
neither kind would survive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import on, work
from textual._compositor import CompositorUpdate
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widgets._toast import Toast
from textual.widgets._tooltip import Tooltip

from mim4dd_tui.dashboard.ink import Inks
from mim4dd_tui.dashboard.pixels import painted
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.sheet import Sheet, pairs
from mim4dd_tui.graphics import kitty, sixel
from mim4dd_tui.graphics.choice import Cell, Graphics
from mim4dd_tui.graphics.sheet import Layout, laid, paint
from mim4dd_tui.pictures import RGB, Pixels, Row
from mim4dd_tui.pictures import Cell as TextCell

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

FALLBACK_CELL: Cell = (10, 20)
"""Of a terminal that does not say; kitty pictures are fitted into their cells anyway."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A sheet to be made: what is on it, where its cells lie, and for which protocol."""

    images: Pixels
    places: tuple[int, ...]
    layout: Layout
    background: RGB
    frame: tuple[int, RGB] | None
    graphics: Graphics
    grey: bool
    about: tuple[object, ...]  # equal for equal sheets

    @property
    def cells(self) -> tuple[int, int, Cell]:
        """What two sheets must have in common for one to cover the other."""
        return self.layout.columns, self.layout.rows, self.layout.cell


@dataclass(frozen=True, eq=False)
class Made:
    """A sheet made: for sixel what paints it, for kitty the entry that names it."""

    plan: Plan
    parts: list[sixel.Part]
    entry: int = 0


class GraphicsPane(PicturesPane):
    """As the pane of characters; :attr:`graphics` says how pictures are sent, and :attr:`cell` how large cells are."""

    DEFAULT_CSS = "GraphicsPane { width: 1fr; height: 1fr; }"

    graphics: reactive[Graphics] = reactive(Graphics.OFF, init=False)
    cell: reactive[Cell] = reactive(FALLBACK_CELL, init=False)

    class Encoded(Message):
        """A sheet was made on a thread."""

        def __init__(self, plan: Plan, parts: list[sixel.Part], packed: str) -> None:
            super().__init__()
            self.plan = plan
            self.parts = parts  # for sixel
            self.packed = packed  # for kitty

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._plan: Plan | None = None
        self._made: Made | None = None
        self._before = 0  # the kitty picture shown before: it goes when the next one comes
        self._drew_pixels = False

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    @property
    def _pixels(self) -> bool:
        """Whether pixels are drawn now: a protocol is chosen, and no dialog lies over the pane."""
        return self.graphics is not Graphics.OFF and self.app.screen is self.screen

    def on_mount(self) -> None:
        """Pictures are lost when the program is suspended: they are sent again afterwards."""
        self.app.app_resume_signal.subscribe(self, lambda _app: self._forget())
        self.dashboard.over.append(self._after_frame)

    def on_unmount(self) -> None:
        """Nothing stays behind in the terminal."""
        self.dashboard.over.remove(self._after_frame)
        self._forget()

    def watch_graphics(self) -> None:
        """Draw anew."""
        self._forget()

    def watch_cell(self) -> None:
        """Draw anew."""
        self._forget()

    def _forget(self) -> None:
        if self.dashboard.closing:
            return  # the driver takes them away, last of all
        for entry in {self._before, self._made.entry if self._made is not None else 0}:
            self.dashboard.emit(self.dashboard.easel.drop(entry))
        self._plan = self._made = None
        self._before = 0
        self._stale()

    def covered(self) -> None:
        """A dialog was opened over the pane, or closed."""
        if self.graphics is not Graphics.OFF and self._pixels is not self._drew_pixels:
            self._stale()

    @property
    def kept_free(self) -> Region:
        """Where a sixel picture stands: under a notice it would be gone."""
        stands = self.graphics is Graphics.SIXEL and self._plan is not None and self.is_on_screen
        return self._place if stands else Region()

    # ---- laying out

    def _draw(self) -> list[Row]:
        if self._pixels is not self._drew_pixels:
            self._rows = None
        return super()._draw()

    def _lay(self, sheet: Sheet, width: int, height: int) -> list[Row]:
        self._drew_pixels = self._pixels
        if not self._pixels:
            return super()._lay(sheet, width, height)
        images = sheet.images
        if self.beside and sheet.start is not None:
            images = pairs(sheet.start, images, self._colour("background"))
        width, height = min(width, kitty.LARGEST), min(height, kitty.LARGEST)
        shape = (images.shape[1], images.shape[2])
        layout = laid(lambda across, down: self._arrange(sheet, shape, across, down), width, height, self.cell)
        self._grid = layout.grid
        places, numbers = self._seen()
        frame = (places[numbers.index(self.selected)], self._colour("primary")) if self._framed(numbers) else None
        background, grey = self._colour("background"), self.dashboard.abilities.no_color
        about = (sheet, tuple(places), tuple(numbers), self.beside, layout, background, frame, self.graphics)
        self._margin(sheet, layout.columns, self.cell[1])
        if self._plan is None or self._plan.about != about:
            pictures = images[numbers]
            self._plan = Plan(pictures, tuple(places), layout, background, frame, self.graphics, grey, about)
            self.call_later(self._encode, self._plan)
        return [[TextCell(" " * (self._left + layout.columns))] for _ in range(layout.rows)]

    def _framed(self, shown: list[int]) -> bool:
        return self._marks and self.selected in shown

    def _place_at(self, x: int, y: int) -> int | None:
        if not self._drew_pixels or self._plan is None:
            return super()._place_at(x, y)
        if y < 1:
            return None
        found = self._plan.layout.place(x - self.gutter.left - self._left + 0.5, y - 0.5)
        return None if found is None else self._image_at(self.first + found)

    # ---- making

    @work(thread=True, exclusive=True, group="graphics", exit_on_error=False)
    def _encode(self, plan: Plan) -> None:
        sheet = paint(plan.images, plan.layout, plan.background, plan.frame, plan.places)
        if plan.graphics is Graphics.SIXEL:
            parts, packed = sixel.parts(sixel.grey(sheet) if plan.grey else sheet, plan.layout.cell), ""
        else:
            parts, packed = [], kitty.packed(sheet)
        self.post_message(self.Encoded(plan, parts, packed))

    @on(Encoded)
    def _arrived(self, message: Encoded) -> None:
        message.stop()
        plan, old = message.plan, self._made
        if plan is not self._plan or self.dashboard.closing:
            return
        if plan.graphics is Graphics.SIXEL:
            self._made = Made(plan, message.parts)
            if old is not None and old.plan.cells == plan.cells:
                self._paint_over()  # it covers the old one wholly
            else:
                self.refresh()  # blank cells first, then the picture
            return
        app, layout, tmux = self.dashboard, plan.layout, plan.graphics is Graphics.KITTY_TMUX
        app.emit(app.easel.drop(self._before))  # not the one whose cells still stand
        self._before = old.entry if old is not None else 0
        entry = app.easel.take(tmux=tmux)
        self._made = Made(plan, [], entry)
        cells = layout.columns, layout.rows
        app.emit(kitty.transmit(app.easel.number(entry), layout.size, message.packed, cells, tmux=tmux))
        self.refresh()

    # ---- drawing

    def render_line(self, y: int) -> Strip:
        """One line: for kitty the picture's cells, for sixel blank ones."""
        self._draw()
        made = self._made
        beside = y == 0 or y >= self.content_size.height - len(self._foot)
        if beside or not self._drew_pixels or made is None or not made.entry or not self._fits(made):
            return super().render_line(y)
        inks, layout = Inks(self), made.plan.layout
        width = self.content_size.width
        if y - 1 >= layout.rows:
            return Strip.blank(width, inks.base)
        style = inks.base + Style(color=Color.from_rgb(*kitty.palette_colour(made.entry)))
        # a segment for each cell: what covers a part of the picture cuts between cells, not between their marks
        cells = [Segment(kitty.placeholder(y - 1, column), style) for column in range(layout.columns)]
        return Strip([self._head(y - 1, inks), *cells]).adjust_cell_length(width, inks.base)

    def _fits(self, made: Made) -> bool:
        """Whether a sheet made has the place that is laid out now (it may be the one before)."""
        return self._plan is not None and made.plan.cells == self._plan.cells

    def _after_frame(self, update: CompositorUpdate) -> None:
        """What a frame writes wipes a sixel picture away."""
        if self.graphics is Graphics.SIXEL and self._plan is not None and painted(update, self._place):
            self._paint_over()

    @property
    def _place(self) -> Region:
        """The picture's cells on the screen."""
        content, layout = self.content_region, self._plan.layout if self._plan is not None else None
        size = (layout.columns, layout.rows) if layout is not None else (0, 0)
        return Region(content.x + self._left, content.y + 1, *size)

    def _paint_over(self) -> None:
        """Paint the sixel picture, if nothing lies over it. What does will be taken away, which paints again."""
        made = self._made
        if made is None or not made.parts or made.plan is not self._plan:
            return
        if not self._drew_pixels or not self._pixels or not self.is_on_screen:
            return
        place = self._place
        over = [one for kind in (Toast, Tooltip) for one in self.screen.query(kind) if one.display]
        if not self.screen.region.contains_region(place) or any(one.region.overlaps(place) for one in over):
            return
        painted = (f"\x1b[{place.y + row + 1};{place.x + column + 1}H{data}" for column, row, data in made.parts)
        self.dashboard.emit("\x1b7" + "".join(painted) + "\x1b8")
