"""Panes in a grid whose columns and rows are moved: by keys, or by dragging the line between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from textual import events
from textual.containers import Container
from textual.css.scalar import Scalar
from textual.geometry import Region
from textual.layout import Layout
from textual.message import Message
from textual.widget import Widget

Axis = Literal["columns", "rows"]
AXES: tuple[Axis, ...] = ("columns", "rows")
STEP: Mapping[Axis, int] = {"columns": 4, "rows": 1}
"""Cells that a key moves."""
LEAST = 0.2
"""Share of all columns or rows that each keeps: a pane that is not seen could not be found again."""
Sizes = dict[str, list[int]]
"""How columns or rows stand to each other, in cells as they were when they were moved; by view, axis and how they stand
in the style sheet."""


@dataclass(frozen=True)
class Line:
    """What lies between two columns or rows: the one with this index and the next."""

    axis: Axis
    index: int


class Panes(Container):
    """The style sheet says how many columns and rows there are; those of a fixed height stay as they are.

    Attributes:
        view: what is shown; each view has sizes of its own.
        sizes: how columns and rows were moved, of all views; all panes of a screen have the same.
    """

    class Moved(Message):
        """Somebody moved a line."""

    def __init__(self, *children: Widget, view: str = "", id: str | None = None) -> None:
        super().__init__(*children, id=id)
        self.view = view
        self.sizes: Sizes = {}
        self._held: Line | None = None

    def pre_layout(self, layout: Layout) -> None:  # noqa: ARG002 - as Textual calls it
        """Columns and rows as they were moved, where they were."""
        for axis in AXES:
            scalars = self._scalars(axis)
            moved = self.sizes.get(self._key(axis))
            parts = [Scalar.parse(f"{part}fr") for part in _kept(moved)] if moved else []
            whole = (*parts, *scalars[len(parts) :]) if parts else None  # none: as the style sheet has them
            self.styles.inline.set_rule(f"grid_{axis}", whole)

    def move(self, axis: Axis, cells: int, focused: Widget | None) -> bool:
        """Give a pane's column or row more cells, or fewer, at the cost of the next; the last one's, of that before.

        Args:
            focused: what has the keys: of the pane that it is or lies in; of the first where that has none to be moved.

        Returns:
            Whether there was anything to move.
        """
        sizes = self._now(axis)
        if len(sizes) < 2:
            return False
        place = self._place(axis, focused)
        last = place == len(sizes) - 1
        self._move(Line(axis, place - 1 if last else place), -cells if last else cells)
        self.post_message(self.Moved())
        return True

    def equal(self) -> None:
        """As the style sheet has them, in this view."""
        for key in [key for key in self.sizes if key.split()[0] == self.view]:
            del self.sizes[key]
        self._lay_out()
        self.post_message(self.Moved())

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A line is taken hold of."""
        self._held = self._line_at(event.screen_x, event.screen_y)
        if self._held is not None:
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """It follows the pointer."""
        if self._held is None:
            return
        axis, index = self._held.axis, self._held.index
        at = event.screen_x - self.region.x if axis == "columns" else event.screen_y - self.region.y
        sizes = self._now(axis)
        if index + 1 < len(sizes) and (cells := at - sum(sizes[: index + 1])):
            self._move(self._held, cells)

    def on_mouse_up(self) -> None:
        """It is let go."""
        if self._held is not None:
            self._held = None
            self.release_mouse()
            self.post_message(self.Moved())

    # ---- where they are

    def _scalars(self, axis: Axis) -> list[Scalar]:
        """As the style sheet has them."""
        base = self.styles.base
        if axis == "columns":
            return list(base.grid_columns or (Scalar.parse("1fr"),) * base.grid_size_columns)
        return list(base.grid_rows or ())

    def _key(self, axis: Axis) -> str:
        parts = self._scalars(axis)[: self._movable(axis)]
        return f"{self.view} {axis} {':'.join(f'{part.value:g}' for part in parts)}"

    def _movable(self, axis: Axis) -> int:
        """How many share what is left: those before the first of a fixed size."""
        scalars = self._scalars(axis)
        return next((i for i, scalar in enumerate(scalars) if not scalar.is_fraction), len(scalars))

    def _shown(self) -> list[tuple[Widget, Region]]:
        """The panes that are seen, and where they lie with their margins, from the corner of all."""
        seen = [child for child in self.children if child.display and child.region]
        return [(child, child.region.grow(child.styles.margin).translate(-self.region.offset)) for child in seen]

    def _edges(self, axis: Axis) -> list[int]:
        """Where columns or rows begin."""
        return sorted({region.x if axis == "columns" else region.y for _, region in self._shown()})

    def _now(self, axis: Axis) -> list[int]:
        """Cells of those that can be moved, as they are painted; nothing where they are not painted so."""
        count, edges = self._movable(axis), self._edges(axis)
        edges.append(self.size.width if axis == "columns" else self.size.height)
        if len(edges) <= count:
            return []
        return [edges[i + 1] - edges[i] for i in range(count)]

    def _place(self, axis: Axis, focused: Widget | None) -> int:
        around = focused.ancestors_with_self if focused is not None else []
        pane = next((node for node in around if node.parent is self and isinstance(node, Widget)), None)
        if pane is None:
            return 0
        corner = pane.region.grow(pane.styles.margin).offset - self.region.offset
        at, edges = (corner.x if axis == "columns" else corner.y), self._edges(axis)
        place = edges.index(at) if at in edges else 0
        return place if place < self._movable(axis) else 0

    def _line_at(self, x: int, y: int) -> Line | None:
        """The line that a point of the screen is on: the blank columns between two panes, or the title of the lower."""
        x, y = x - self.region.x, y - self.region.y
        found = next(((one, region) for one, region in self._shown() if region.contains(x, y)), None)
        if found is None:
            return None
        pane, title = found[1], found[0].region.y - self.region.y
        columns, rows = self._edges("columns"), self._edges("rows")
        if rows.index(pane.y) >= self._movable("rows"):  # numbers, or the log: their height is fixed
            return None
        for edge, is_there in ((pane.x, x == pane.x), (pane.right, x == pane.right - 1)):
            if is_there and edge in columns[1 : self._movable("columns")]:
                return Line("columns", columns.index(edge) - 1)
        return Line("rows", rows.index(pane.y) - 1) if y in (pane.y, title) and pane.y in rows[1:] else None

    def _move(self, line: Line, cells: int) -> None:
        sizes = self._now(line.axis)
        pair = sizes[line.index] + sizes[line.index + 1]
        least = min(max(1, round(LEAST * sum(sizes))), pair // 2)
        sizes[line.index] = min(max(sizes[line.index] + cells, least), pair - least)
        sizes[line.index + 1] = pair - sizes[line.index]
        self.sizes[self._key(line.axis)] = sizes
        self._lay_out()

    def _lay_out(self) -> None:
        for child in self.children:  # Textual keeps the arrangement of a widget until one within it asks for another
            child.refresh(layout=True)


def _kept(sizes: Sequence[int]) -> list[int]:
    """On a smaller terminal too none vanishes."""
    least = max(1, round(LEAST * sum(sizes)))
    return [max(size, least) for size in sizes]


def plausible(sizes: object) -> bool:
    """Whether sizes that were kept can be taken."""
    return isinstance(sizes, dict) and all(
        isinstance(key, str)
        and isinstance(each, list)
        and all(type(size) is int and 0 < size < 10_000 for size in each)
        for key, each in sizes.items()
    )
