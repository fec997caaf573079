"""What is written along an x axis, in columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mim4dd_tui.plots.scale import Scale
from mim4dd_tui.quantities import labels

CLOSEST = 6
"""Columns from one label of an x axis to the next, at least where there is room for two."""


def along(scale: Scale, columns: int) -> list[tuple[int, str]]:
    """Labels of an x axis, of iterations or epochs, by their first columns.

    Two curves whose axes are about as long are labelled alike: how far apart the labels are decides, not their number.
    Where so few remain that nothing can be read between them, closer ones are taken as long as they do not touch.
    """
    if scale.log:
        return _apart(_placed(scale, scale.ticks(max(2, columns // 9), whole=True), columns))
    closer: list[float] = []
    for ticks in scale.whole_steps(max(2, columns // CLOSEST)):
        if len(ticks) < 2:
            break
        if (columns - 1) * (ticks[1] - ticks[0]) >= _pitch(ticks) * (scale.high - scale.low):
            return _apart(_placed(scale, ticks, columns))
        closer = ticks
    placed = _placed(scale, closer or ticks, columns)
    kept = _apart(placed)
    return kept if kept == placed else _apart([placed[0], placed[-1]])


def _pitch(ticks: Sequence[float]) -> int:
    """Columns from the middle of a label to the next one's."""
    return max(CLOSEST, max(len(text) for text in labels(ticks)) + 3)


def _placed(scale: Scale, ticks: Sequence[float], columns: int) -> list[tuple[int, str]]:
    """Each label under its value, as far as the axis goes."""
    places = (scale.place(np.array(ticks)) * (columns - 1)).tolist()
    starts = zip(places, labels(ticks), strict=True)
    return [(max(0, min(round(place - (len(text) - 1) / 2), columns - len(text))), text) for place, text in starts]


def _apart(placed: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those with two blanks at least behind the one before."""
    kept: list[tuple[int, str]] = []
    for start, text in placed:
        if not kept or start > kept[-1][0] + len(kept[-1][1]) + 1:
            kept.append((start, text))
    return kept
