"""Text where there is little room."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

SHORTEST = 8
"""Cells of the shortest text that is read by its two ends; where there are fewer, its beginning is all that is left."""


def shortened(text: str, width: int, mark: str = "…", *, middle: bool = True) -> str:
    """A text in at most ``width`` cells, with ``mark`` (one cell) where something was left out.

    Args:
        middle: what is left out is in its middle, and more is kept of its end: there the names of runs differ.
    """
    if cell_len(text) <= width:
        return text
    kept = max(0, width - 1)
    if not middle or width < SHORTEST:
        return set_cell_size(text, kept) + mark
    begin = kept // 3
    return set_cell_size(text, begin) + mark + set_cell_size(text[::-1], kept - begin)[::-1]
