"""Exponential smoothing of a whole series, before anything is zoomed or thinned."""

from __future__ import annotations

import math

import numpy as np

from mim4dd_tui.plots.figure import Floats


def ema(values: Floats, weight: float) -> Floats:
    """Exponential moving average with bias correction: the first value is itself, not a pull towards zero.

    Args:
        values: any length; what is not finite stays a gap and does not disturb its neighbours.
        weight: 0 (no smoothing) up to, not including, 1; the share of the past in each value.

    Raises:
        ValueError: the weight is outside 0 <= weight < 1.
    """
    if not 0 <= weight < 1:
        raise ValueError(f"smoothing weight {weight} must be at least 0 and below 1")
    if weight == 0 or len(values) == 0:
        return values
    finite = np.isfinite(values)
    inputs = values[finite] * (1 - weight)
    sums = np.empty(len(inputs))
    # s[k] = weight**k * cumsum(input[j] * weight**-j), in blocks short enough for the powers to stay finite
    block = max(1, min(len(inputs), int(200 / -math.log(weight))))
    powers = weight ** np.arange(1, block + 1)
    past = 0.0
    for start in range(0, len(inputs), block):
        part = inputs[start : start + block]
        scale = powers[: len(part)]
        sums[start : start + block] = scale * (past + np.cumsum(part / scale))
        past = float(sums[start + len(part) - 1])
    out = np.full(len(values), np.nan)
    out[finite] = sums / (1 - weight ** np.arange(1, len(inputs) + 1))
    return out
