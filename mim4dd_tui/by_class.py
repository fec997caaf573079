"""Where the images of several classes lie, so that a class is seen as one: pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mim4dd_tui.pictures import LEAST, Grid, arrange

Places = list[int | None]
"""Numbers of images by place, page after page; None where nothing lies."""
SHARED = 0.6
"""What a size counts for where classes share rows: they do where images gain much by it, or not all are seen else."""


@dataclass(frozen=True)
class Placed:
    """Images in a grid of which a page is seen at a time; ``heads``: every row belongs to one class."""

    grid: Grid
    places: Places
    heads: bool = False

    @property
    def whole(self) -> bool:
        """Whether one page shows all."""
        return len(self.places) <= self.grid.shown

    def page_of(self, number: int) -> int:
        """The first place of the page that has an image; of the first page where none has."""
        place = self.places.index(number) if number in self.places else 0
        return place - place % self.grid.shown


def in_order(numbers: Sequence[int], shape: tuple[int, int], columns: int, rows: int) -> Placed:
    """One image after another, as large as they can be."""
    return Placed(arrange(len(numbers), shape, columns, rows), list(numbers))


def by_class(classes: int, each: int, shape: tuple[int, int], columns: int, rows: int) -> Placed:
    """All images of ``shape`` (height, width), ordered by class, in cells of ``columns`` x ``rows``.

    A row is a class; where it is too narrow, the largest equal part of one. Of classes that are small beside the room
    there is, a row holds several, an empty place between them. Pages are few, then images large, and a page that has
    room for a class does not end within one.
    """
    across, down = max(1, columns), max(2, 2 * rows)

    def scale(n: int, lines: int) -> float:
        return min((across - n + 1) / (n * shape[1]), (down - lines + 1) / (lines * shape[0]))

    def readable(n: int, lines: int) -> bool:
        return scale(n, lines) * min(shape) >= LEAST

    best: tuple[tuple[int, float], Placed] | None = None
    for part, together in _rows(classes, each, [n for n in range(1, each + 1) if each % n == 0 and readable(n, 1)]):
        n = together * (part + 1) - 1
        if not readable(n, 1):
            break
        tall = each // part  # rows of a class
        total = math.ceil(classes / together) * tall
        most = max(lines for lines in range(1, total + 1) if lines == 1 or readable(n, lines))
        step = tall if most >= tall else 1
        pages = math.ceil(total / (most - most % step))
        lines = math.ceil(total / step / pages) * step
        size = scale(n, lines)
        height, width = int(shape[0] * size), int(shape[1] * size)
        held = (down + 1) // (height + 1)
        grid = Grid(n, min(total, max(lines, held - held % step)), width, height, 1)
        key = (-pages, size * (1.0 if together == 1 else SHARED))
        if best is None or key > best[0]:
            best = key, Placed(grid, _places(classes, each, part, together), heads=together == 1)
    return best[1] if best is not None else in_order(range(classes * each), shape, columns, rows)


def at_a_glance(classes: int, each: int, shape: tuple[int, int], columns: int, rows: int) -> Placed:
    """As :func:`by_class` where that shows all; else the first image of every class, on further pages the second ..."""
    placed = by_class(classes, each, shape, columns, rows)
    if placed.whole:
        return placed
    grid = arrange(classes, shape, columns, rows)
    empty: Places = [None] * max(0, grid.shown - classes)
    places: Places = []
    for number in range(each):
        places += [*range(number, classes * each, each), *empty]
    return Placed(grid, places[: len(places) - len(empty)])


def _rows(classes: int, each: int, parts: list[int]) -> list[tuple[int, int]]:
    """What a row may hold: how many images of a class, and of how many classes; ever wider."""
    if not parts:
        return []
    if parts[-1] < each:
        return [(parts[-1], 1)]
    return [(each, together) for together in range(1, classes + 1)]


def _places(classes: int, each: int, part: int, together: int) -> Places:
    places: Places = []
    for first in range(0, classes, together):
        labels = range(first, min(first + together, classes))
        for start in range(0, each, part):
            row: Places = []
            for label in labels:
                row += [None] * bool(row) + [*range(label * each + start, label * each + start + part)]
            places += row
    return places
