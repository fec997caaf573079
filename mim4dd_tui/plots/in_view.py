"""What of a curve is seen in a window, and the axis that has room for it: the same on the screen and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mim4dd_tui.plots.figure import Figure, Floats, Series, Side, Viewport
from mim4dd_tui.plots.scale import Scale, spread
from mim4dd_tui.plots.smooth import smoothed

BEYOND = 1e300
"""From here on a value has no axis, whose length would not be a number: its curve leaves the frame."""


@dataclass(frozen=True, eq=False)
class InView:
    """What is in view of a series, smoothed over all of it, with the points where its lines cross the edges.

    Attributes:
        x: places on the axis, 0..1.
        y: values; ``raw`` are those behind the smoothed ones, ``low`` and ``high`` the band's.
        own: which of the points are the series' own.
    """

    series: Series
    x: Floats
    y: Floats
    raw: Floats | None
    low: Floats | None
    high: Floats | None
    own: slice

    @staticmethod
    def of(series: Series, view: Viewport, x_scale: Scale) -> InView:
        y = series.y if series.markers else smoothed(series, view.smoothing)
        first = int(np.searchsorted(series.x, x_scale.low, "left"))
        last = int(np.searchsorted(series.x, x_scale.high, "right"))
        around = slice(max(0, first - 1), last + 1)
        if last == first and len(series.x[around]) < 2:  # all of it lies beyond one edge
            around = slice(0, 0)
        x = x_scale.place(series.x[around])

        def cut(values: Floats) -> Floats:
            return _crossing(x, values[around], log=view.log_y)

        band, start = series.band, min(first, 1)
        return InView(
            series=series,
            x=np.clip(x, 0.0, 1.0),
            y=cut(y),
            raw=None if y is series.y else cut(series.y),
            low=None if band is None else cut(band.low),
            high=None if band is None else cut(band.high),
            own=slice(start, start + last - first),
        )

    def visible(self) -> list[Floats]:
        """What the y axis has to make room for. The raw curve is drawn too: its spikes stay on the paper."""
        return [values for values in (self.y, self.raw, self.low, self.high) if values is not None]


def _crossing(x: Floats, values: Floats, *, log: bool) -> Floats:
    """Values of points at places ``x``; of one beyond an edge, the value where the line to it crosses that edge."""
    out = values.copy()
    for edge, beyond, (outer, inner) in ((0.0, x[:1] < 0, (0, 1)), (1.0, x[-1:] > 1, (-1, -2))):
        if len(x) < 2 or not beyond.any():
            continue
        ends = values[[outer, inner]]
        if log:
            ends = np.log(np.where(ends > 0, ends, np.nan))
        with np.errstate(invalid="ignore", over="ignore"):  # an end may be infinite
            value = ends[0] + (edge - x[outer]) / (x[inner] - x[outer]) * (ends[1] - ends[0])
            out[outer] = np.exp(value) if log else value
    return out


def scale_of(figure: Figure, curves: Sequence[InView], view: Viewport, side: Side) -> Scale | None:
    """The y axis of one side: all that is in view on it, and its levels; None where there is nothing."""
    parts = [part for curve in curves if curve.series.side == side for part in curve.visible()]
    if not parts:
        return None
    parts.append(np.array([level.value for level in figure.levels if level.side == side]))
    values = np.concatenate(parts)
    values = values[(np.abs(values) < BEYOND) & ((values > 0) if view.log_y else True)]
    if len(values) == 0:
        return None
    low, high = float(values.min()), float(values.max())
    if side == "left" and figure.y_floor is not None and not view.log_y:
        low = min(low, figure.y_floor)
    return Scale(*spread(low, high, log=view.log_y), view.log_y)
