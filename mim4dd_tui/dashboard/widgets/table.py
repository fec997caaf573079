"""A table of many rows: only what is seen is drawn, columns give way where there is no room for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from mim4dd_tui.dashboard.ink import Inks
from mim4dd_tui.dashboard.keys import bindings
from mim4dd_tui.dashboard.widgets.calm import LEFT
from mim4dd_tui.fitting import shortened, shortened_apart

MUTED = "muted"
"""Colour of a cell that is no value."""


@dataclass(frozen=True)
class Cell:
    """Text and how it is written: the name of a theme colour (or ``muted``), bold or not."""

    text: str
    colour: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Column:
    """A column. ``width`` 0 takes what is left (at least ``least``); the highest ``rank`` gives way first.

    With ``grows`` it becomes as wide as its widest text once all of a lower rank have room, and before the others do.
    """

    title: str
    width: int = 0
    right: bool = False
    rank: int = 0
    least: int = 8
    colour: str = ""
    middle: bool = False  # text that is too long loses its middle
    fits: bool = False  # no wider than its widest text
    optional: bool = False  # not there where all its cells are empty
    grows: int = 0
    most: int = 0  # how far it grows before others have room; 0: as far as its texts need


@dataclass(frozen=True)
class TableRow:
    """One row; ``id`` stays the same while its cells change.

    With ``words`` (in ever less room) it has a first cell alone, and these in the place of all others.
    """

    id: str
    cells: tuple[Cell, ...]
    words: tuple[str, ...] = ()


def _widest(column: Column, number: int, rows: Sequence[TableRow]) -> int:
    texts = (row.cells[number].text for row in rows if number < len(row.cells))
    return max(cell_len(text) for text in (column.title, *texts))


def reserved(columns: Sequence[Column], *titles: str) -> tuple[Column, ...]:
    """The columns, those of these titles with their whole width: what is counted there takes no room from others."""
    return tuple(replace(column, fits=column.fits and column.title not in titles) for column in columns)


class Table(ScrollView, can_focus=True):
    """Rows under a heading, with a cursor that stays on its row when the rows change.

    Args:
        opens: a row can be chosen to open what it stands for.
        shifts: columns that have no room can be reached: all but the first are moved, and its title says where others
            are; else they give way silently.
        marks: in focus its heading says so, as that of a plot does: for where other things can have the focus.
    """

    DEFAULT_CSS = "Table { width: 1fr; height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }"
    BINDINGS = bindings("table")

    cursor: reactive[int] = reactive(0, init=False)

    class Chosen(Message):
        """A row was opened, by key or a second click."""

        def __init__(self, table: Table, row: str) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> Table:
            """The table."""
            return self.table

    class Heading(Message):
        """A column's title was clicked."""

        def __init__(self, table: Table, column: int) -> None:
            super().__init__()
            self.table = table
            self.column = column

    def __init__(self, *, id: str | None = None, opens: bool = True, shifts: bool = False, marks: bool = False) -> None:
        super().__init__(id=id)
        self._opens, self._shifts, self._marks = opens, shifts, marks
        self._first = 1  # of the columns after the fixed one, where they can be moved
        self._columns: tuple[Column, ...] = ()
        self._rows: Sequence[TableRow] = ()
        self._widest: list[int] = []
        self._left_out: set[int] = set()
        self._offered = False  # whether the keys that move columns do something
        self._brief: dict[tuple[int, int], dict[str, str]] = {}
        self._brief_widest: dict[tuple[int, int], int] = {}
        self.nothing = ""

    # ---- what is shown

    def show(self, columns: tuple[Column, ...], rows: Sequence[TableRow], *, nothing: str = "") -> None:
        """Show these from now on; ``nothing`` is said where there is no row."""
        chosen, before = self.chosen, (self._columns, self._left_out, self._rows, self.nothing)
        self._rows, self.nothing = rows, nothing
        self._widest = [_widest(column, number, rows) for number, column in enumerate(columns)]
        self._columns = tuple(
            replace(column, width=min(column.width, widest)) if column.fits else column
            for column, widest in zip(columns, self._widest, strict=True)
        )
        self._left_out = {
            number
            for number, column in enumerate(columns)
            if column.optional and not any(row.cells[number].text for row in rows if not row.words)
        }
        self._brief.clear()
        self._brief_widest.clear()
        self.virtual_size = Size(0, len(rows) + 1)
        place = next((i for i, row in enumerate(rows) if row.id == chosen), min(self.cursor, max(0, len(rows) - 1)))
        if place != self.cursor:
            self.cursor = place
        self._in_sight()
        self._shift(0)
        if (self._columns, self._left_out, self._rows, self.nothing) != before:
            self.refresh()

    @property
    def chosen(self) -> str | None:
        """Id of the row under the cursor."""
        return self._rows[self.cursor].id if 0 <= self.cursor < len(self._rows) else None

    @property
    def kept_free(self) -> Region:
        """The row under the cursor, while the table has the keys."""
        if not self.has_focus or not self._rows:
            return Region()
        top = self.content_region.y + 1 + self.cursor - round(self.scroll_offset.y)
        return Region(self.region.x, top, self.region.width, 1).intersection(self.region)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def select(self, row: str) -> None:
        """Put the cursor on a row, if it is there."""
        for place, each in enumerate(self._rows):
            if each.id == row:
                self.cursor = place

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that opens nothing is not offered."""
        if action == "columns":  # also at an end: nobody else is to have the key then
            return bool(self._hidden)
        return self._opens if action == "choose" else super().check_action(action, parameters)

    @property
    def idle_actions(self) -> frozenset[str]:
        """Actions that change nothing as the table stands."""
        before = {index < self._first for index in self._hidden}
        return frozenset(
            action for action, some in (("columns(-1)", True), ("columns(1)", False)) if some not in before
        ) | frozenset(() if self._rows else ("choose",))

    # ---- moving

    def action_cursor(self, step: int) -> None:
        """Move the cursor."""
        if self._rows:
            self.cursor = max(0, min(self.cursor + step, len(self._rows) - 1))

    def action_page(self, pages: float) -> None:
        """Move it by what is seen, or a part of that."""
        self.action_cursor(round(pages * max(2, self.size.height - 2)))

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self._opens and self.chosen is not None:
            self.post_message(self.Chosen(self, self.chosen))

    def action_columns(self, step: int) -> None:
        """Move the columns after the first one."""
        self._shift(step)

    def _shift(self, step: int) -> None:
        """Other columns beside the fixed one, as far as the last has come into sight and no further."""
        was, self._first = self._first, max(1, min(self._first + step, len(self._columns) - 1))
        while self._first > 1 and (step >= 0) and self._all_after(self._first - 1):
            self._first -= 1
        if bool(self._hidden) != self._offered or was != self._first:
            self._offered = bool(self._hidden)
            self.refresh_bindings()
            self.refresh()

    def _all_after(self, first: int) -> bool:
        """Whether there is room for all columns from one on."""
        return max(self._widths(first)) == max(set(range(len(self._columns))) - self._left_out)

    @property
    def _hidden(self) -> list[int]:
        """Columns that are out of sight, where they can be moved."""
        seen = {*self._widths(), *self._left_out}
        return [index for index in range(len(self._columns)) if index not in seen] if self._shifts else []

    def watch_cursor(self) -> None:
        """Keep it in sight."""
        self._in_sight()
        self.refresh()

    def _in_sight(self) -> None:
        room = max(1, self.size.height - 1)
        top = round(self.scroll_offset.y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True)

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        self._in_sight()
        self._shift(0)

    def on_click(self, event: events.Click) -> None:
        """A row, or a column's title."""
        if event.button != LEFT:
            return
        if event.y == 0:
            column = self._column_at(event.x)
            if column is not None:
                self.post_message(self.Heading(self, column))
            return
        place = round(self.scroll_offset.y) + event.y - 1
        if place >= len(self._rows):
            return
        again, self.cursor = place == self.cursor, place
        if again:
            self.action_choose()

    # ---- drawing

    def _widths(self, first: int | None = None) -> dict[int, int]:
        """Width of every column that has room, by its number; after the fixed column those from ``first`` on."""
        widths = self._spread(first, self._widest)
        cut = [i for i, width in widths.items() if self._columns[i].middle and width < self._widest[i]]
        brief = {i: self._needed(i, widths[i]) for i in cut}  # whole parts are left out: others may use the room
        if all(brief[i] >= widths[i] for i in cut):
            return widths
        return self._spread(first, [brief.get(i, widest) for i, widest in enumerate(self._widest)])

    def _needed(self, index: int, width: int) -> int:
        """How wide the widest text of a column is when they are shortened to a width."""
        if (index, width) not in self._brief_widest:
            texts = (self._columns[index].title, *self._apart(index, width).values())
            self._brief_widest[index, width] = max(map(cell_len, texts))
        return self._brief_widest[index, width]

    def _spread(self, first: int | None, widest: Sequence[int]) -> dict[int, int]:
        """The same, where a column's widest text is as wide as that."""
        room = self.scrollable_content_region.width  # without the scroll bar
        after = range(first or self._first, len(self._columns))
        places = [0, *(i for i in after if i not in self._left_out)] if self._columns else []
        widths: dict[int, int] = {}
        left = room + 1
        for _, i, more in sorted(wish for place in places for wish in self._wishes(place, widest[place])):
            column = self._columns[i]
            width = column.width or column.least
            if more:
                grown = min(left, more) if i in widths else 0
                widths.update({i: width + grown} if grown else {})
                left -= grown
            elif not widths or width < left:
                widths[i] = width
                left -= width + 1
            elif self._shifts:  # what has no room is named, and moved to in its order
                break
        flexible = [i for i in sorted(widths) if not self._columns[i].width]
        for number, i in enumerate(flexible):
            widths[i] = max(1, widths[i] + left // len(flexible) + (number < left % len(flexible)))
        return dict(sorted(widths.items()))

    def _wishes(self, place: int, widest: int) -> Iterator[tuple[int, int, int]]:
        """Ranks at which a column is to have room, each with its place and by how much it grows then; 0: it begins."""
        column = self._columns[place]
        yield column.rank, place, 0
        more = min(widest, column.most or widest) - (column.width or column.least)
        if column.grows and more > 0:
            yield column.grows, place, more

    def _column_at(self, x: int) -> int | None:
        left = self.gutter.left
        for index, width in self._widths().items():
            if left <= x <= left + width:
                return index
            left += width + 1
        return None

    def render_line(self, y: int) -> Strip:
        """The heading, or a row."""
        inks = Inks(self)
        width = self.scrollable_content_region.width  # without the scroll bar
        if y == 0:
            return self._heading(inks).adjust_cell_length(width, inks.base)
        place = round(self.scroll_offset.y) + y - 1
        if place >= len(self._rows):
            text = self.nothing[:width].center(width) if not self._rows and y == 2 else " " * width
            return Strip([Segment(text, inks.muted)]).adjust_cell_length(width, inks.base)
        back = Style()
        if place == self.cursor:
            name = "block-cursor-background" if self.has_focus else "block-cursor-blurred-background"
            back = Style(bgcolor=inks.colour(name).color)
            if self.has_focus and self.app.theme_variables.get("block-cursor-text-style") == "reverse":
                back = Style(reverse=True)
        base = inks.base + back
        return self._row(self._rows[place], inks, back, width).adjust_cell_length(width, base)

    def _heading(self, inks: Inks) -> Strip:
        titles = self._titles()
        line = self._line(titles, inks, Style())
        if not (self._marks and self.has_focus and titles):
            return line
        first = shortened(titles[0].text, self._widths()[0], middle=False)
        return Strip([Segment(first, inks.heading(focused=True)), *line.crop(cell_len(first))])

    def _titles(self) -> tuple[Cell, ...]:
        titles = [Cell(column.title, column.colour or MUTED) for column in self._columns]
        hidden = self._hidden
        if hidden:
            before = [self._columns[index].title for index in hidden if index < self._first]
            after = [self._columns[index].title for index in hidden if index >= self._first]
            signs = (f"← {' '.join(before)}" if before else "", f"{' '.join(after)} →" if after else "")
            titles[0] = Cell("  ".join(filter(None, signs)), "warning")
        return tuple(titles)

    def _apart(self, index: int, width: int) -> dict[str, str]:
        """The texts of a column, shortened so that they stay different; kept until other rows are shown."""
        if (index, width) not in self._brief:
            texts = [row.cells[index].text for row in self._rows if index < len(row.cells)]
            self._brief[index, width] = dict(zip(texts, shortened_apart(texts, width), strict=True))
        return self._brief[index, width]

    def _row(self, row: TableRow, inks: Inks, back: Style, width: int) -> Strip:
        if not row.words:
            return self._line(row.cells, inks, back)
        room = max(0, width - self._widths()[0] - 1)
        words = next((each for each in row.words if cell_len(each) <= room), row.words[-1])
        fitting = Segment(f" {shortened(words, room, middle=False)}", inks.base + back)
        return Strip([*self._line(row.cells, inks, back), fitting])

    def _line(self, cells: tuple[Cell, ...], inks: Inks, back: Style) -> Strip:
        segments: list[Segment] = []
        for index, width in list(self._widths().items())[: len(cells)]:
            cell, column = cells[index], self._columns[index]
            style = inks.muted if cell.colour == MUTED else inks.colour(cell.colour) if cell.colour else inks.base
            text = shortened(cell.text, width, middle=False)
            if column.middle:
                text = self._apart(index, width).get(cell.text, text)
            pad = " " * (width - cell_len(text))
            text = pad + text if column.right else text + pad
            if segments:
                segments.append(Segment(" ", inks.base + back))
            segments.append(Segment(text, style + back + Style(bold=cell.bold)))
        return Strip(segments)
