"""How much a network's passes hold at once, counted: floats of activations, pass by pass. Imports no torch.

A pass holds something of every block that it has gone through, and most while it works on one block, as a rule the
first, whose maps are the largest. How many maps those are follows from the operations of each pass;
``tests/reliability/test_activations.py`` holds the numbers here to what torch allocates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.config.datasets import CLASSES, image_side

if TYPE_CHECKING:
    from engine.config.schema import Config

FLOAT = 4

CACHED = 6 * 2**20
"""Bytes of the first block's output that a portion of a batch may have (``engine.portions``)."""


def image_shape(name: str) -> tuple[int, int]:
    """Channels and side of a data set's images."""
    return {"digits": (1, 8), "mnist": (1, 28)}.get(name, (3, 32))


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a configuration's network and images, in floats of one image or one network.

    Attributes:
        image: one image.
        maps: of every block, an output before pooling.
        pooled: likewise after it.
        parameters: of one network.
        normed: whether blocks have a normalisation.
        rotated: whether images may be rotated, which takes more than any other augmentation.
        augmented: whether they are augmented at all.
    """

    channels: int
    image: int
    maps: Sequence[float]
    pooled: Sequence[float]
    parameters: int
    normed: bool
    rotated: bool
    augmented: bool

    @classmethod
    def of(cls, config: Config) -> Shape:
        """The sizes of a configuration."""
        network, strategy = config.network, config.augmentation.strategy
        channels, pixels = image_shape(config.data.name)
        side, width, inputs, parameters = image_side(config.data.name), network.width, channels, 0
        maps, pooled = [], []
        for _ in range(network.depth):
            parameters += width * inputs * 9 + width * (1 if network.norm == "none" else 3)
            maps.append(float(width * side * side))
            inputs, side = width, side // 2 if network.pooling != "none" else side
            pooled.append(float(width * side * side))
        parameters += (inputs * side * side + 1) * CLASSES[config.data.name]
        return cls(
            channels, channels * pixels * pixels, maps, pooled, parameters, network.norm != "none",
            "rotate" in strategy, strategy != "none",
        )  # fmt: skip

    @property
    def first(self) -> float:
        """The first block's output, the largest."""
        return self.maps[0]

    @property
    def kept(self) -> float:
        """What ``engine.keeping`` keeps of a student step for the reverse sweep."""
        return sum(self.maps) + sum(self.pooled[:-1])

    def portion(self, images: float) -> float:
        """The most images of a batch whose activations are alive at once (``engine.portions``, but for rounding)."""
        return min(images, max(1.0, CACHED / (FLOAT * self.first)))

    def _most(self, of_each: float, working: float) -> float:
        """The peak of a pass that holds ``of_each`` maps of every block so far, ``working`` ones of the one at hand."""
        return max(of_each * sum(self.maps[: b + 1]) + working * self.maps[b] for b in range(len(self.maps)))

    def slope(self) -> float:
        """A loss and its gradient by the parameters (``engine.stacked``): of every block the convolution's output and
        what the ReLU gives, where the one is not the other; two maps of the block being differentiated."""
        return self._most(2 if self.normed else 1, 2)

    def second(self) -> float:
        """The second derivative (``engine.networks.derivatives``). Of every block, to the end: what was turned and the
        norm's input, both after the norm, what the ReLU takes (two of these where there is no norm), and the pooled
        pair. Of the one being reversed: both streams before and behind the ReLU, the norm and its products; in the end
        the product for the nine places of the first kernel, as it is and padded."""
        of_each, working = (5, 9) if self.normed else (2, 6)
        held = of_each * sum(self.maps) + 2 * sum(self.pooled)
        peaks = [2 * self.pooled[0] + max(working * self.first, 4 * self.first + 21 * self.image)]
        for before, wide, small in zip(self.pooled, self.maps[1:], self.pooled[1:], strict=False):
            # What goes on to the block before: both streams, what turns into the first, their sum, both in one.
            peaks.append(2 * small + max(working * wide, (working - 3) * wide + 6 * before))
        return held + max(peaks)

    def features(self) -> float:
        """All blocks' outputs, without a gradient: the pooled ones, and five maps of a block being computed, two where
        there is no norm."""
        return max(self._blocks(math.inf))

    def later_features(self, widest: float) -> float:
        """Of that what all blocks but the first take, a map counted as ``widest`` floats where it has more."""
        return max(self._blocks(widest)[1:], default=0.0)

    def _blocks(self, widest: float) -> list[float]:
        working = 5 if self.normed else 2
        pooled = [min(small, widest) for small in self.pooled]
        return [sum(pooled[:b]) + working * min(wide, widest) for b, wide in enumerate(self.maps)]

    def differentiated(self) -> float:
        """Features and their gradient by the images: as :meth:`features`, and two maps of every block for the way
        back."""
        return self._most(2 if self.normed else 1, 3 if self.normed else 2)

    def graph(self) -> float:
        """What lasts of features with a gradient until it is asked for."""
        return (2 if self.normed else 1) * sum(self.maps) + sum(self.pooled)

    def measured(self) -> float:
        """Logits alone: what goes into an operation and what comes out."""
        return 2 * self.first

    def augmentation(self) -> float:
        """Augmenting one image: a rotation gathers four corners of every pixel by indices of eight bytes."""
        if not self.augmented:
            return 0.0
        return (28 + 9 * self.channels) * self.image / self.channels if self.rotated else 6.0 * self.image
