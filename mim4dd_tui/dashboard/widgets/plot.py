"""A curve pane: a title with the newest (or the cursor's) values, and the plot under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from mim4dd_tui.dashboard.ink import Inked, Inks
from mim4dd_tui.dashboard.keys import Scope
from mim4dd_tui.dashboard.remembered import SMOOTHING
from mim4dd_tui.dashboard.widgets.plot_title import Title, nearest
from mim4dd_tui.plots.draw import DIM, Drawing, Glyphs, Stroke, draw
from mim4dd_tui.plots.figure import Figure, Viewport
from mim4dd_tui.plots.viewing import following, panned, stepped, zoomed

Move = Literal[
    "log_y",
    "log_x",
    "smoother",
    "rougher",
    "in",
    "out",
    "left",
    "right",
    "far_left",
    "far_right",
    "pan_left",
    "pan_right",
    "reset",
]
STEPS = {"left": -1, "right": 1, "far_left": -10, "far_right": 10}


class PlotPane(Inked, can_focus=True):
    """Shows one figure. Keys reach it through :meth:`move`; the wheel zooms, a drag pans, a click sets the cursor."""

    DEFAULT_CSS = "PlotPane { width: 1fr; height: 1fr; }"
    SCOPE: ClassVar[Scope] = "plot"

    viewport: reactive[Viewport] = reactive(Viewport(), init=False)

    class Placed(Message):
        """A click set the cursor."""

        def __init__(self, pane: PlotPane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(
        self, title: str, *, brief: str = "", whole: str = "", view: Viewport | None = None, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.heading = title
        self._whole = whole  # the key after which there is room for all names
        self._brief = brief  # the heading where that leaves no room for a value
        self.set_reactive(PlotPane.viewport, view or Viewport())
        self._figure = Figure()
        self._bare: Drawing | None = None  # without the cursor
        self._drawing: Drawing | None = None
        self._lines: list[list[tuple[str, int]]] = []
        self._drag_from: int | None = None
        self._pressed = False  # the button went down on the curve
        self._dragged = 0

    # ---- what is shown

    def show(self, figure: Figure, *, title: str | None = None, brief: str | None = None) -> None:
        """Show a figure from now on, under another title where one is given; the view stays."""
        before = self._lines
        drawn = self._drawing is not None and self.display and self.content_size.height > 1
        self._figure = figure
        if title is not None:
            self.heading = title
        if brief is not None:
            self._brief = brief
        self._bare = self._drawing = None
        if not drawn:
            self.refresh()
            return
        # a point more changes few rows, and only those go over the wire
        self._draw()
        if len(self._lines) != len(before):
            self.refresh()
            return
        rows = [0, *(y for y, (a, b) in enumerate(zip(before, self._lines, strict=True), 1) if a != b)]
        top, width = self.gutter.top, self.outer_size.width
        self.refresh(*(Region(0, top + y, width, 1) for y in rows))

    def watch_viewport(self, before: Viewport, now: Viewport) -> None:
        """A new view is drawn at the next paint; of a moved cursor its old and its new column."""
        bare = self._bare
        if bare is None or before.changed(cursor=now.cursor) != now:
            self._stale()
            return
        self._drawing = None
        left, top = self.gutter.left, self.gutter.top
        columns = {bare.column_of(self._place(view)) for view in (before, now)} - {None}
        height = self.content_size.height - 1
        cells = [Region(left + column, top + 1, 1, height) for column in columns if column is not None]
        self.refresh(Region(0, top, self.outer_size.width, 1), *cells)

    def on_resize(self) -> None:
        """A new size is drawn at the next paint."""
        self._stale()

    def _stale(self) -> None:
        self._bare = self._drawing = None
        self.refresh()

    def _draw(self) -> Drawing:
        if self._drawing is None:
            glyphs: Glyphs = "braille" if getattr(self.app, "braille", True) else "ascii"
            if self._bare is None:
                width, height = self.content_size
                self._bare = draw(
                    self._figure,
                    self.viewport.changed(cursor=None),
                    width,
                    height - 1,
                    glyphs,
                    strokes=bool(self._samples()),
                )
            self._drawing = self._bare.with_cursor(self._place(self.viewport), glyphs)
            self._lines = list(self._drawing.rows())
        return self._drawing

    def _place(self, view: Viewport) -> float | None:
        """Where the cursor is drawn: beside all there is (at the picture of iteration 0) at the end that is read."""
        bounds = self._figure.bounds_x() if view.x is None else None
        if view.cursor is None or bounds is None:
            return view.cursor
        return min(max(view.cursor, bounds[0]), bounds[1])

    def render_line(self, y: int) -> Strip:
        """One line: the title, or a row of the plot."""
        inks = self.inks
        width = self.content_size.width
        if y == 0:
            return Strip(self._title(inks)).adjust_cell_length(width, inks.base)
        self._draw()
        if y - 1 >= len(self._lines):
            return Strip.blank(width, inks.base)
        return Strip([Segment(text, inks.of(ink)) for text, ink in self._lines[y - 1]], width)

    def _title(self, inks: Inks) -> list[Segment]:
        heading, said = self._said()
        return [Segment(heading, inks.heading(focused=self.has_focus))] + [
            Segment(text, inks.of(ink)) for text, ink in said
        ]

    def _said(self) -> tuple[str, list[tuple[str, int]]]:
        """The heading, and what stands beside it, each with its ink."""
        return Title(
            figure=self._figure,
            view=self.viewport,
            headings=tuple(dict.fromkeys((self.heading, self._brief or self.heading))),
            whole=self._whole,
            width=self.content_size.width,
            samples=self._samples(),
            arrow="→" if getattr(self.app, "braille", True) else "->",
            happened=self._draw().happened(self._place(self.viewport), self._figure.moments),
        ).said()

    def _samples(self) -> dict[int, str]:
        """A sign of how each curve is drawn, by its ink, where no colour tells them apart."""
        glyphs: Glyphs = "braille" if getattr(self.app, "braille", True) else "ascii"
        inks = [series.ink for series in self._figure.series if series.ink < DIM]
        wanted = getattr(self.app, "indistinct", False) and len(inks) > 1
        apart = " " if glyphs == "ascii" else ""  # a letter would be read as one of the name
        return {ink: Stroke.of(ink).sample(glyphs) + apart for ink in inks} if wanted else {}

    @property
    def figure(self) -> Figure:
        """What is shown."""
        return self._figure

    def reading(self) -> list[tuple[str, float, float]]:
        """Name, x and y of every curve at the cursor (else its newest point), in full precision."""
        out = []
        for series in self._figure.series:
            index = nearest(series, self.viewport.cursor)
            if index is not None and series.ink < DIM:
                out.append((series.name or self.heading, float(series.x[index]), float(series.y[index])))
        return out

    # ---- how it is looked at

    def move(self, move: Move) -> None:
        """Change the view as a key asks."""
        view = self.viewport
        if move == "reset":
            self.viewport = view.changed(x=None, cursor=None)
        elif move in ("smoother", "rougher"):
            index = SMOOTHING.index(view.smoothing) + (1 if move == "smoother" else -1)
            self.viewport = view.changed(smoothing=SMOOTHING[max(0, min(index, len(SMOOTHING) - 1))])
        elif move in ("in", "out"):
            self.viewport = zoomed(self._figure, view, 0.5 if move == "in" else 2.0)
        elif move in ("pan_left", "pan_right"):
            self.viewport = panned(self._figure, view, -0.5 if move == "pan_left" else 0.5)
        else:
            self.viewport = stepped(self._figure, view, STEPS[move], self._columns)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in where the pointer is."""
        event.stop()
        self.viewport = zoomed(self._figure, self.viewport, 0.8, self._value_under(event))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out where the pointer is."""
        event.stop()
        self.viewport = zoomed(self._figure, self.viewport, 1.25, self._value_under(event))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A drag may begin; one of the pane's edge, or of its title, is of what lies between two panes."""
        self._dragged = 0
        self._pressed = event.y > 0 and self.gutter.left <= event.x < self.outer_size.width - self.gutter.right
        if not self._pressed:
            return
        self._drag_from = event.screen_x
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """A drag moves what is in view, as paper under the hand."""
        if self._drag_from is None:
            return
        columns = event.screen_x - self._drag_from
        if columns:
            self._drag_from = event.screen_x
            self._dragged += abs(columns)
            self.viewport = panned(self._figure, self.viewport, -columns / self._columns)

    def on_mouse_up(self) -> None:
        """The end of a drag."""
        self._drag_from = None
        self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        """Set the cursor, unless it was the end of a drag, of the curve or of a pane."""
        value = self._value_under(event)
        if value is not None and self._pressed and not self._dragged:
            self.viewport = self.viewport.changed(cursor=value)
            self.post_message(self.Placed(self))

    @property
    def _columns(self) -> int:
        drawing = self._draw()
        return max(1, drawing.right - drawing.left)

    def _value_under(self, event: events.MouseEvent) -> float | None:
        return self._draw().value_at(event.x - self.gutter.left)


def move_all(asked: Sequence[PlotPane], move: Move, everywhere: Iterable[PlotPane]) -> None:
    """One key for the panes that it is asked of. A cursor goes along in all there are: it has one place."""
    if move in ("log_y", "log_x"):  # where they differ, alike first
        logarithmic = not all(getattr(pane.viewport, move) for pane in asked)
        for pane in asked:
            pane.viewport = pane.viewport.changed(**{move: logarithmic})
    elif move not in STEPS:
        for pane in asked:
            pane.move(move)
        if move == "reset" and asked:
            place_all(everywhere, asked[0])
    elif asked:
        leader = max(asked, key=lambda pane: sum(len(series.x) for series in pane.figure.series))
        leader.move(move)
        place_all(everywhere, leader)


def labels_of(asked: Sequence[PlotPane]) -> Mapping[str, str]:
    """What keys of curves lead to where they are already as a key would make them: of the panes that it is asked of."""
    logarithmic = bool(asked) and all(pane.viewport.log_y for pane in asked)
    return {"plot('log_y')": "linear y"} if logarithmic else {}


def place_all(panes: Iterable[PlotPane], leader: PlotPane) -> None:
    """Every pane's cursor where one's is, and none where it has none."""
    for pane in panes:
        if pane is not leader:
            pane.viewport = following(pane.figure, pane.viewport.changed(cursor=leader.viewport.cursor))
