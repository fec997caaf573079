"""Zoom, pan and cursor of a view, in the axis as it is drawn: on a logarithmic axis by factors. Pure."""

from __future__ import annotations

import math

import numpy as np

from mim4dd_tui.plots.figure import Figure, Floats, Viewport
from mim4dd_tui.plots.scale import Scale

Window = tuple[float, float]
NONE_HERE = "no value in view"
"""What is said where all there is lies elsewhere, or has no place on a logarithmic axis there."""
NARROWEST = 2.0
"""Iterations that remain in view at the strongest zoom."""


def whole(figure: Figure, view: Viewport) -> Window | None:
    """All that the x axis can show: on a logarithmic one from the smallest positive value on."""
    bounds = figure.bounds_x()
    if bounds is None:
        return None
    low, high = bounds
    if view.log_x:
        positive = [float(s.x[s.x > 0][0]) for s in figure.series if len(s.x) and s.x[-1] > 0]
        if not positive:
            return None
        low = max(low, min(positive))
    return (low, high) if high > low else (low, low + 1.0)


def nothing(figure: Figure, view: Viewport) -> str:
    """What is said where there is nothing to draw: that there is nothing yet, that no value is a number, or that a
    logarithmic axis has no place for any. Empty where there is something."""
    if figure.bounds_x() is None:
        return figure.empty
    if whole(figure, view) is None:
        return "nothing right of 0" if figure.over else "nothing right of 0 yet"
    if not any(np.isfinite(series.y).any() for series in figure.series):
        return "no value is a number"
    above = not view.log_y or any((np.isfinite(series.y) & (series.y > 0)).any() for series in figure.series)
    return "" if above else "nothing above 0"


def window(figure: Figure, view: Viewport) -> Window | None:
    """The part in view."""
    full = whole(figure, view)
    if full is None or view.x is None:
        return full
    low, high = max(view.x[0], full[0]), min(view.x[1], full[1])
    return (low, high) if high > low else full


def zoomed(figure: Figure, view: Viewport, factor: float, at: float | None = None) -> Viewport:
    """A view of ``factor`` times the width, around ``at`` (else the cursor, else the middle), which stays in place
    as far as there is something on both sides."""
    full, now = whole(figure, view), window(figure, view)
    if full is None or now is None:
        return view
    scale = Scale(*now, view.log_x)
    centre = at if at is not None else view.cursor
    place = 0.5 if centre is None or not now[0] <= centre <= now[1] else _place(scale, centre)
    least, most = _place(scale, full[0]), _place(scale, full[1])
    if factor >= most - least:
        return view.changed(x=None)
    low = min(max(place - place * factor, least), most - factor)  # what an edge cuts off is seen at the other
    new = (scale.value(low), scale.value(low + factor))
    return view.changed(x=new) if new[1] - new[0] >= min(NARROWEST, full[1] - full[0]) else view


def panned(figure: Figure, view: Viewport, share: float) -> Viewport:
    """The view moved by a share of its width (to the right where positive), as far as there is something."""
    full, now = whole(figure, view), window(figure, view)
    if full is None or now is None or view.x is None:
        return view
    scale = Scale(*now, view.log_x)
    # how far the edges of all there is lie outside, in shares of what is seen
    least, most = _place(scale, full[0]), _place(scale, full[1]) - 1.0
    share = max(min(share, most), least)
    return view.changed(x=(scale.value(share), scale.value(1.0 + share)))


def stepped(figure: Figure, view: Viewport, columns: int, width: int) -> Viewport:
    """The cursor moved by columns of a plot ``width`` wide, to the point nearest to there, and by a point at least; the
    view follows where it leaves it.

    The first step puts it on the newest value.
    """
    full, now = whole(figure, view), window(figure, view)
    if full is None or now is None:
        return view
    scale = Scale(*now, view.log_x)
    if view.cursor is None:
        place = 1.0
    else:
        place = _place(scale, min(max(view.cursor, full[0]), full[1])) + columns / max(1, width)
    cursor = min(max(scale.value(place), full[0]), full[1])
    if len(points := _points(figure)):
        cursor = _on_a_point(points, cursor, view.cursor, columns)
    return following(figure, view.changed(cursor=cursor))


def following(figure: Figure, view: Viewport) -> Viewport:
    """The view moved as far as it takes to see its cursor."""
    now = window(figure, view)
    if now is None or view.cursor is None:
        return view
    place = _place(Scale(*now, view.log_x), view.cursor)
    return panned(figure, view, min(place, 0.0) + max(place - 1.0, 0.0))


def _points(figure: Figure) -> Floats:
    """Where anything can be read, ascending."""
    known = [series.x[np.isfinite(series.y)] for series in figure.series]
    return np.unique(np.concatenate(known)) if known else np.empty(0)


def _on_a_point(points: Floats, wanted: float, before: float | None, columns: int) -> float:
    nearest = float(points[np.abs(points - wanted).argmin()])
    if before is None or (nearest - before) * columns > 0:
        return nearest
    further = points[points > before] if columns > 0 else points[points < before]
    if len(further) == 0:
        return nearest
    return float(further[0] if columns > 0 else further[-1])


def _place(scale: Scale, value: float) -> float:
    if not scale.log:
        return (value - scale.low) / (scale.high - scale.low)
    span = math.log(scale.high) - math.log(scale.low)
    return (math.log(max(value, scale.low * 1e-12)) - math.log(scale.low)) / span
