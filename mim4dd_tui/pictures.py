"""Pictures as characters: half-blocks in true colour, 256 or 16 colours, or an ASCII ramp.

Pure functions: uint8 pixels in, rows of cells out. A half-block cell holds two pixels, one above the other,
in its foreground and background colour; in ASCII a cell is one brightness, twice as tall as it is wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mim4dd_tui.colours import COLOURS, FIRST, nearest
from mim4dd_tui.terminal import Abilities, Colours

Pixels = NDArray[np.uint8]


class Mode(Enum):
    """How a picture is drawn."""

    TRUE = "true colour"
    PALETTE = "256 colours"
    BASIC = "16 colours"
    ASCII = "ascii"

    @property
    def told(self) -> str:
        """``half-blocks in 256 colours``, ``ASCII``."""
        return "ASCII" if self is Mode.ASCII else f"half-blocks in {self.value}"


def mode_for(abilities: Abilities, *, ascii_wanted: bool) -> Mode:
    """The best way to draw here, or the ASCII ramp where it is wanted."""
    if ascii_wanted or not abilities.unicode or abilities.colours == Colours.NONE:
        return Mode.ASCII
    return {Colours.TRUE: Mode.TRUE, Colours.PALETTE: Mode.PALETTE}.get(abilities.colours, Mode.BASIC)


RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """A run of equal cells: its text, and for half-blocks the colours of the upper and lower pixel.

    ``mark``: it stands for no pixels, but for what was chosen.
    """

    text: str
    top: RGB | None = None
    bottom: RGB | None = None
    mark: bool = False


Row = list[Cell]


@dataclass(frozen=True)
class Grid:
    """How images are laid out in a space of cells: ``side`` pixels an image, ``gap`` pixels between them."""

    columns: int
    rows: int
    width: int
    height: int
    gap: int

    @property
    def shown(self) -> int:
        """How many images have a place."""
        return self.columns * self.rows


LEAST = 4
"""Pixels a side below which an image is not read."""


def arrange(count: int, shape: tuple[int, int], columns: int, rows: int) -> Grid:
    """The layout of ``count`` images of ``shape`` (height, width) that shows them largest in the cells given.

    The space is ``columns`` wide and ``2 * rows`` pixels high. Where not even 4 pixels a side remain for
    each, fewer images get a place.
    """
    across, down = max(1, columns), max(2, 2 * rows)
    best: tuple[tuple[float, int], Grid] | None = None
    for gap in (1, 0):
        for n in range(1, max(1, count) + 1):
            lines = math.ceil(count / n)
            scale = min((across - gap * (n - 1)) / (n * shape[1]), (down - gap * (lines - 1)) / (lines * shape[0]))
            if scale * min(shape) < LEAST:
                continue
            empty = n * lines - count
            # whole lines first (ten classes as 5 x 2, not 4 x 3), then size; without a gap small images run
            # into one another, so it goes only where it would cost most of their size
            key = (scale * (1.0 if gap else 0.6) * (1 - 0.3 * empty / (n * lines)), -n)
            grid = Grid(n, lines, max(1, int(shape[1] * scale)), max(1, int(shape[0] * scale)), gap)
            if best is None or key > best[0]:
                best = (key, grid)
    if best is not None:
        return best[1]
    n, lines = max(1, across // (LEAST + 1)), max(1, down // (LEAST + 1))
    return Grid(min(n, max(1, count)), lines, LEAST, LEAST, 1)


def compose(
    images: Pixels, grid: Grid, background: tuple[int, int, int], places: Sequence[int] | None = None
) -> Pixels:
    """The images of uint8 [n, h, w, c] on one sheet of uint8 [rows, columns, 3]; the height is made even.

    ``places`` says where each lies; one after another where None.
    """
    height = grid.rows * grid.height + (grid.rows - 1) * grid.gap
    width = grid.columns * grid.width + (grid.columns - 1) * grid.gap
    sheet = np.empty((height + height % 2, width, 3), dtype=np.uint8)
    sheet[:] = background
    for index, image in zip(range(grid.shown) if places is None else places, images, strict=False):
        row, column = divmod(index, grid.columns)
        y, x = row * (grid.height + grid.gap), column * (grid.width + grid.gap)
        sheet[y : y + grid.height, x : x + grid.width] = resize(image, grid.height, grid.width)
    return sheet


def framed(sheet: Pixels, grid: Grid, index: int, colour: tuple[int, int, int]) -> Pixels:
    """The sheet with the image at place ``index`` framed, in the gaps around it or, where there is none, on its rim."""
    row, column = divmod(index, grid.columns)
    top, left = row * (grid.height + grid.gap) - grid.gap, column * (grid.width + grid.gap) - grid.gap
    bottom, right = top + grid.height + 2 * grid.gap - 1, left + grid.width + 2 * grid.gap - 1
    top, left = max(0, top), max(0, left)
    bottom, right = min(bottom, sheet.shape[0] - 1), min(right, sheet.shape[1] - 1)
    out = sheet.copy()
    out[top, left : right + 1] = out[bottom, left : right + 1] = colour
    out[top : bottom + 1, left] = out[top : bottom + 1, right] = colour
    return out


BRACKETS = "[]"
"""What is chosen stands between these in ASCII: no brightness has them."""


def bracketed(rows: list[Row], grid: Grid, index: int, left: int, width: int) -> list[Row]:
    """ASCII rows of so many cells with the image at place ``index`` in brackets, in the gaps around it or, where there
    is none, on its rim.

    Args:
        rows: the sheet's, each with the ``left`` cells before it.
        grid: how the images lie on the sheet.
        index: which one is chosen.
        left: where the sheet begins.
        width: cells of a row from now on.
    """
    row, column = divmod(index, grid.columns)
    top, start = row * (grid.height + grid.gap), left + column * (grid.width + grid.gap)
    first, last = max(0, start - grid.gap), min(width - 1, start + grid.width - 1 + grid.gap)
    inside = range(top // 2, (top + grid.height - 1) // 2 + 1)
    opening, closing = (Cell(bracket, mark=True) for bracket in BRACKETS)
    out: list[Row] = []
    for y, cells in enumerate(rows):
        text = "".join(cell.text for cell in cells).ljust(width)
        parts = [Cell(text[:first]), opening, Cell(text[first + 1 : last]), closing, Cell(text[last + 1 :])]
        out.append(parts if y in inside else [Cell(text)])
    return out


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """Area-averaged resampling of uint8 [h, w, c] to uint8 [height, width, 3]; exact for whole factors."""
    weights_y, weights_x = _weights(image.shape[0], height), _weights(image.shape[1], width)
    values = np.einsum("yh,hwc,xw->yxc", weights_y, image.astype(np.float64), weights_x, optimize=True)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


@lru_cache(maxsize=64)
def _weights(source: int, target: int) -> NDArray[np.float64]:
    """[target, source] share of every source pixel in every target pixel."""
    edges = np.linspace(0, source, target + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(source)[None, :]
    overlap = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True))


def render(sheet: Pixels, mode: Mode, *, ink_is_dark: bool = False) -> list[Row]:
    """Rows of cells of a sheet of uint8 [2 * rows, columns, 3]; ``ink_is_dark`` where characters are dark on light."""
    if mode is Mode.ASCII:
        return _ascii(sheet, ink_is_dark=ink_is_dark)
    if mode is Mode.PALETTE:
        return _half_blocks(COLOURS[nearest(sheet) - FIRST].astype(np.uint8))
    if mode is Mode.BASIC:
        return _half_blocks(_to_16(sheet))
    return _half_blocks(sheet)


RAMP = " .:-=+*#%@"
"""Characters by the ink they put on the screen, which is light on a dark one."""


def _luminance(sheet: Pixels) -> NDArray[np.float64]:
    return np.asarray(sheet.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))


def _ascii(sheet: Pixels, *, ink_is_dark: bool) -> list[Row]:
    light = _luminance(255 - sheet if ink_is_dark else sheet)
    cells = light.reshape(-1, 2, light.shape[1]).mean(axis=1)
    index = np.minimum((cells / 256 * len(RAMP)).astype(int), len(RAMP) - 1)
    return [[Cell("".join(RAMP[i] for i in line))] for line in index.tolist()]


def _half_blocks(sheet: Pixels) -> list[Row]:
    rows: list[Row] = []
    for upper, lower in zip(sheet[0::2].tolist(), sheet[1::2].tolist(), strict=True):
        row: Row = []
        for a, b in zip(upper, lower, strict=True):
            top, bottom = (a[0], a[1], a[2]), (b[0], b[1], b[2])
            if row and row[-1].top == top and row[-1].bottom == bottom:
                row[-1] = Cell(row[-1].text + "▀", top, bottom)
            else:
                row.append(Cell("▀", top, bottom))
        rows.append(row)
    return rows


_DARK = [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170)]
_LIGHT = [(255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255), (255, 85, 255), (85, 255, 255)]
_BASIC = np.array([*_DARK, (170, 170, 170), (85, 85, 85), *_LIGHT, (255, 255, 255)], dtype=np.uint8)
"""The sixteen colours as the renderer knows them, so that each comes out as itself."""
_BAYER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16 - 0.5


def _to_16(sheet: Pixels) -> Pixels:
    """Sixteen colours with an ordered dither, so that four greys still show a stroke's edge."""
    height, width = sheet.shape[:2]
    pattern = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    dithered = np.clip(sheet + pattern * 64, 0, 255)
    distance = ((dithered[:, :, None, :] - _BASIC.astype(float)) ** 2).sum(axis=-1)
    return np.asarray(_BASIC[distance.argmin(axis=-1)], dtype=np.uint8)
