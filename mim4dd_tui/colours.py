"""The colours of a terminal that has 256, and which of them comes nearest to another. Pure: numbers in, numbers out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mim4dd_tui.graphics.kitty import palette_colour

FIRST, GREYS = 16, 232
COLOURS = np.array([*map(palette_colour, range(FIRST, GREYS)), *((8 + 10 * step,) * 3 for step in range(24))])
"""Red, green and blue of the colours from ``FIRST`` on (those before are the terminal's own), greys from ``GREYS``."""


def nearest(colours: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers of the colours that are nearest to the eye, of red, green and blue [..., 3] each.

    Source: Riemersma, "Colour metric" (compuphase.com): a weighted distance, which changes with how red both are.
    """
    red, green, blue = np.moveaxis(colours.astype(float), -1, 0)
    terms = np.stack([np.ones_like(red), red, red**2, green, blue, blue**2, red * blue], axis=-1)
    return np.asarray(FIRST + np.einsum("...t,tc->...c", terms, _WEIGHTS).argmin(axis=-1))


def _weights() -> NDArray[np.float64]:
    """[term, colour] of the weighted distance (2 + r / 256) dR^2 + 4 dG^2 + (2 + (255 - r) / 256) dB^2, with r the mean
    of both reds, multiplied out; what is the same for all colours is left out."""
    red, green, blue = COLOURS.T.astype(float)
    step = 1 / 512
    of_red, of_blue = 2 + step * red, 2 + 255 / 256 - step * red
    return np.stack(
        [
            of_red * red**2 + 4 * green**2 + of_blue * blue**2,
            step * (red**2 - blue**2) - 2 * of_red * red,
            of_red - 2 * step * red,
            -8 * green,
            -2 * of_blue * blue,
            of_blue,
            2 * step * blue,
        ]
    )


_WEIGHTS = _weights()
