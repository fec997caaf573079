"""What a terminal with pictures would hold: the sequences written are read back and their pixels unpacked."""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
APC = re.compile(r"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\")
TMUX = re.compile(r"\x1bPtmux;((?:\x1b\x1b|[^\x1b])*)\x1b\\")
SIXEL = re.compile(r"\x1b\[(\d+);(\d+)H(\x1bP[0-9;]*q[^\x1b]*\x1b\\)")


@dataclass
class Kitty:
    """A terminal's pictures by number, and the columns and rows that each fills where placeholders name it."""

    images: dict[int, Pixels] = field(default_factory=dict)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    silent: bool = True  # whether every command asked for no answer
    _keys: dict[str, str] = field(default_factory=dict)
    _data: str = ""

    def feed(self, text: str, *, tmux: bool = False) -> None:
        """Carry out all commands of a text, in tmux's envelope or plain; those of the other kind are not seen."""
        if tmux:
            text = "".join(found[1].replace("\x1b\x1b", "\x1b") for found in TMUX.finditer(text))
        else:
            text = TMUX.sub("", text)
        for found in APC.finditer(text):
            assert len(found[2] or "") <= 4096
            keys = dict(pair.split("=") for pair in found[1].split(","))
            self.silent = self.silent and keys["q"] == "2"
            self._obey(keys, found[2] or "")

    def _obey(self, keys: dict[str, str], data: str) -> None:
        action = keys.get("a", "")
        if action == "d":
            assert keys["d"] == "I"
            self.images.pop(int(keys["i"]), None)
            self.places.pop(int(keys["i"]), None)
        elif action == "p":
            assert keys["U"] == "1"
            assert int(keys["i"]) in self.images, "a placement of no picture"
            self.places[int(keys["i"])] = int(keys["c"]), int(keys["r"])
        else:
            if action == "t":
                self._keys, self._data = keys, ""
            self._data += data
            if keys["m"] == "0":
                size = int(self._keys["v"]), int(self._keys["s"]), 3
                pixels = np.frombuffer(zlib.decompress(base64.b64decode(self._data)), dtype=np.uint8)
                self.images[int(self._keys["i"])] = pixels.reshape(size)


def sixel(sequence: str) -> Pixels:
    """The pixels of a sixel string, uint8 [height, width, 3]; every one of them must have been painted."""
    body = sequence.removesuffix("\x1b\\").partition("q")[2]
    palette: dict[int, tuple[int, ...]] = {}
    raster = re.match(r'"1;1;(\d+);(\d+)', body)
    assert raster is not None
    width, height = int(raster[1]), int(raster[2])
    out = np.full((height + 6, width, 3), -1, dtype=int)
    x = top = colour = 0
    for found in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|(\$)|(-)", body[raster.end() :]):
        if found[2]:
            palette[int(found[1])] = tuple(round(int(part) * 2.55) for part in found.group(2, 3, 4))
        elif found[1]:
            colour = int(found[1])
        elif found[8]:
            x = 0
        elif found[9]:
            x, top = 0, top + 6
        else:
            count, bits = int(found[5] or 1), ord(found[6] or found[7]) - 63
            for bit in range(6):
                if bits >> bit & 1:
                    assert x + count <= width
                    assert top + bit < height, "painted below the picture"
                    out[top + bit, x : x + count] = palette[colour]
            x += count
    out = out[:height]
    assert out.min() >= 0, "a pixel was left out"
    return out.astype(np.uint8)
