"""Sixel: pixels in bands of six rows, painted from the cursor to the right and downwards. Strings only, no terminal.

What is written in a cell later replaces the pixels there; nothing else takes them away.

Source: DEC, VT330/VT340 Programmer Reference Manual, volume 2, chapter 14.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
COLOURS = 256
"""Colour registers of a VT340 and of every terminal since."""
BAND = 6
LARGEST = 1000
"""Pixels of a side at most: xterm paints nothing of a larger picture (its resource ``maxGraphicSize``)."""
Part = tuple[int, int, str]
"""Column and row of a part of a picture in cells from its corner, and what paints it from there."""
START = "\x1bP0;1;0q"
"""Square pixels; what is not painted stays as it is."""
END = "\x1b\\"


def quantised(pixels: Pixels) -> tuple[NDArray[np.uint8], Pixels]:
    """Registers uint8 [height, width] and their colours uint8 [registers, 3] of uint8 [height, width, 3].

    Greys keep every level that sixel can name (it counts in hundredths); of colours the 256 that serve best are taken.
    """
    if (pixels == pixels[..., :1]).all():
        hundredths = np.rint(pixels[..., 0].astype(np.float64) / 2.55).astype(np.uint8)
        levels, indices = np.unique(hundredths, return_inverse=True)
        grey = np.rint(levels * 2.55).astype(np.uint8)
        return indices.reshape(hundredths.shape).astype(np.uint8), np.repeat(grey[:, None], 3, axis=1)
    image = Image.fromarray(pixels).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    registers = np.asarray(image, dtype=np.uint8)
    palette = np.array(image.getpalette(), dtype=np.uint8).reshape(-1, 3)
    return registers, palette[: int(registers.max()) + 1]


def grey(pixels: Pixels) -> Pixels:
    """The same brightness without colour."""
    light = np.rint(pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return np.repeat(light[..., None], 3, axis=2)


def parts(pixels: Pixels, cell: tuple[int, int]) -> list[Part]:
    """A picture uint8 [height, width, 3] cut between cells of that width and height into parts terminals take."""
    registers, colours = quantised(pixels)  # at once: a seam would be seen
    height, width = registers.shape
    across, down = (max(1, LARGEST // side) for side in cell)
    return [
        (x // cell[0], y // cell[1], _string(registers[y : y + down * cell[1], x : x + across * cell[0]], colours))
        for y in range(0, height, down * cell[1])
        for x in range(0, width, across * cell[0])
    ]


def _string(registers: NDArray[np.uint8], colours: Pixels) -> str:
    """What paints registers uint8 [height, width] from the cursor on."""
    height, width = registers.shape
    out = [START, f'"1;1;{width};{height}']
    for index, (red, green, blue) in enumerate(np.rint(colours / 2.55).astype(int).tolist()):
        out.append(f"#{index};2;{red};{green};{blue}")
    known: dict[bytes, str] = {}  # enlarged pixels make many bands alike
    for top in range(0, height, BAND):
        band = registers[top : top + BAND]
        key = band.tobytes()
        if key not in known:
            known[key] = _band(band)
        out.append(known[key] + "-")
    return "".join(out) + END


def _band(band: NDArray[np.uint8]) -> str:
    """One band of at most six rows: every colour in turn over the whole width, as runs of equal columns."""
    width = band.shape[1]
    starts = np.flatnonzero(np.concatenate(([True], (band[:, 1:] != band[:, :-1]).any(axis=0))))
    lengths = np.diff(np.append(starts, width)).tolist()
    columns = band[:, starts]
    weights = (1 << np.arange(len(band)))[:, None]
    lines = []
    for colour in np.unique(columns).tolist():
        bits = ((columns == colour) * weights).sum(axis=0).tolist()
        lines.append(f"#{colour}" + _runs(bits, lengths))
    return "$".join(lines)


def _runs(bits: list[int], lengths: list[int]) -> str:
    runs: list[tuple[int, int]] = []
    for bit, length in zip(bits, lengths, strict=True):
        if runs and runs[-1][0] == bit:
            runs[-1] = (bit, runs[-1][1] + length)
        else:
            runs.append((bit, length))
    if runs and runs[-1][0] == 0:
        runs.pop()  # nothing more to paint in this colour
    return "".join(f"!{n}{chr(63 + bit)}" if n > 3 else chr(63 + bit) * n for bit, n in runs)
