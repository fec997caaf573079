"""Where images lie on a sheet of pixels that covers whole cells. Pure: pixels in, pixels out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mim4dd_tui.graphics.choice import Cell
from mim4dd_tui.pictures import RGB, Grid, Pixels, arrange, compose

MOST_PIXELS = 2_500_000
"""Pixels of a sheet at most: more cost seconds on a slow link and show no more."""


@dataclass(frozen=True)
class Layout:
    """Images in a space of cells: their grid in pixels, and the cells that the sheet covers."""

    grid: Grid
    cell: Cell
    columns: int
    rows: int
    unit: int  # the grid's step, so that gaps and frames keep their look on fine screens

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        return self.columns * self.cell[0], self.rows * self.cell[1]

    def place(self, column: float, row: float) -> int | None:
        """Which image lies under a point given in cells from the sheet's corner; None for none."""
        x, y = column * self.cell[0], row * self.cell[1]
        across, down = int(x // (self.grid.width + self.grid.gap)), int(y // (self.grid.height + self.grid.gap))
        inside = 0 <= across < self.grid.columns and 0 <= down < self.grid.rows
        return down * self.grid.columns + across if inside else None


def lay(count: int, shape: tuple[int, int], columns: int, rows: int, cell: Cell) -> Layout:
    """The layout of ``count`` images of ``shape`` (height, width) that shows them largest in cells of that size."""
    return laid(lambda across, down: arrange(count, shape, across, down), columns, rows, cell)


def laid(arranged: Callable[[int, int], Grid], columns: int, rows: int, cell: Cell) -> Layout:
    """The layout in cells of that size as ``arranged`` has it in columns and rows of half-blocks."""
    while rows > 2 and columns * rows * cell[0] * cell[1] > MOST_PIXELS:
        rows -= 1
    unit = max(1, cell[0] // 2)
    coarse = arranged(columns * cell[0] // unit, max(1, rows * cell[1] // unit // 2))
    grid = Grid(coarse.columns, coarse.rows, coarse.width * unit, coarse.height * unit, coarse.gap * unit)
    width = grid.columns * (grid.width + grid.gap) - grid.gap
    height = grid.rows * (grid.height + grid.gap) - grid.gap
    covered = min(columns, -(-width // cell[0])), min(rows, -(-height // cell[1]))
    return Layout(grid, cell, *covered, unit)


def paint(
    images: Pixels,
    layout: Layout,
    background: RGB,
    frame: tuple[int, RGB] | None = None,
    places: Sequence[int] | None = None,
) -> Pixels:
    """The sheet of uint8 [n, h, w, c] as uint8 [height, width, 3]; ``frame`` marks a place with a colour.

    ``places`` says where each image lies; one after another where None.
    """
    width, height = layout.size
    sheet = np.empty((height, width, 3), dtype=np.uint8)
    sheet[:] = background
    composed = compose(images, layout.grid, background, places)[:height, :width]
    sheet[: composed.shape[0], : composed.shape[1]] = composed
    if frame is not None:
        _frame(sheet, layout, *frame)
    return sheet


def _frame(sheet: Pixels, layout: Layout, place: int, colour: RGB) -> None:
    """A frame around an image, outside of it where there is a gap or a margin, else on its rim."""
    grid, thick = layout.grid, max(1, layout.unit // 3)
    row, column = divmod(place, grid.columns)
    out = min(thick, grid.gap)
    y, x = row * (grid.height + grid.gap), column * (grid.width + grid.gap)
    top, left = max(0, y - out), max(0, x - out)
    bottom, right = min(sheet.shape[0], y + grid.height + out), min(sheet.shape[1], x + grid.width + out)
    sheet[top : top + thick, left:right] = sheet[bottom - thick : bottom, left:right] = colour
    sheet[top:bottom, left : left + thick] = sheet[top:bottom, right - thick : right] = colour
