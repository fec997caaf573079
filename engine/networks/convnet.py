"""ConvNet-D as a stateless function of a flat parameter vector.

D blocks of 3x3 convolution, normalisation, ReLU and 2x2 pooling, then one linear layer: the network of
DC (Zhao, Mopuri & Bilen 2021), MTT (Cazenavette et al. 2022) and MIM4DD. Single-channel 28x28 images
are padded by 3 in the first convolution (28 -> 32), as in MTT's code.

Normalisation is written out in mean / variance form: it differentiates twice without a native backward
and compiles whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Network

EPSILON = 1e-5
GROUPS = {"layer": 1, "group": 4}


@dataclass(frozen=True)
class Slot:
    """Where one parameter tensor lies in the flat vector, and how it starts."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    bound: float  # uniform(-bound, bound); 0 leaves `value`
    value: float = 0.0


class ConvNet:
    """A ConvNet's layout and its evaluation; holds no parameters.

    Args:
        network: width, depth, norm and pooling.
        shape: channels, height and width of an image.
        classes: size of the output.
    """

    def __init__(self, network: Network, shape: tuple[int, int, int], classes: int) -> None:
        self.network = network
        self.shape = shape
        self.classes = classes
        self.first_padding = 3 if shape == (1, 28, 28) else 1
        self.slots: list[Slot] = []
        self.size = 0
        side = shape[1] + 2 * (self.first_padding - 1)
        channels = shape[0]
        self.feature_shapes: list[tuple[int, ...]] = []
        for block in range(network.depth):
            fan_in = channels * 9
            self._add(f"block{block}.weight", (network.width, channels, 3, 3), 1 / math.sqrt(fan_in))
            self._add(f"block{block}.bias", (network.width,), 1 / math.sqrt(fan_in))
            if network.norm != "none":
                self._add(f"block{block}.gain", (network.width,), 0.0, value=1.0)
                self._add(f"block{block}.shift", (network.width,), 0.0)
            channels = network.width
            side = side // 2 if network.pooling != "none" else side
            self.feature_shapes.append((channels, side, side))
        features = channels * side * side
        self._add("linear.weight", (classes, features), 1 / math.sqrt(features))
        self._add("linear.bias", (classes,), 1 / math.sqrt(features))
        self.feature_shapes.append((classes,))

    def _add(self, name: str, shape: tuple[int, ...], bound: float, value: float = 0.0) -> None:
        count = math.prod(shape)
        self.slots.append(Slot(name, shape, self.size, self.size + count, bound, value))
        self.size += count

    def init(self, generator: torch.Generator) -> Tensor:
        """Random parameters, float32 [size] on the CPU: torch's default initialisation of these layers."""
        parts = []
        for slot in self.slots:
            count = slot.stop - slot.start
            if slot.bound:
                parts.append((torch.rand(count, generator=generator) * 2 - 1) * slot.bound)
            else:
                parts.append(torch.full((count,), slot.value))
        return torch.cat(parts)

    def unflatten(self, parameters: Tensor) -> list[Tensor]:
        """Views of the flat vector [size], in the order of ``slots``.

        One split instead of a slice for each: its derivative is one concatenation, not a sum of padded copies.
        """
        parts = torch.split(parameters, [slot.stop - slot.start for slot in self.slots])
        return [part.view(slot.shape) for part, slot in zip(parts, self.slots, strict=True)]

    def features(self, parameters: Tensor, images: Tensor) -> list[Tensor]:
        """Outputs of every block after pooling, then the logits.

        Args:
            parameters: flat vector [size].
            images: [n, channels, height, width], normalised or whitened.
        """
        views = iter(self.unflatten(parameters))
        outputs = []
        x = images
        for block in range(self.network.depth):
            x = F.conv2d(x, next(views), next(views), padding=self.first_padding if block == 0 else 1)
            if self.network.norm != "none":
                x = self._normalise(x, next(views), next(views))
            x = F.relu(x)
            if self.network.pooling == "avg":
                x = F.avg_pool2d(x, 2)
            elif self.network.pooling == "max":
                x = F.max_pool2d(x, 2)
            outputs.append(x)
        outputs.append(F.linear(x.flatten(1), next(views), next(views)))
        return outputs

    def __call__(self, parameters: Tensor, images: Tensor) -> Tensor:
        """Logits [n, classes]."""
        return self.features(parameters, images)[-1]

    def _normalise(self, x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        groups = channels if self.network.norm == "instance" else min(GROUPS[self.network.norm], channels)
        if channels % groups:
            groups = 1
        grouped = x.reshape(n, groups, -1)
        mean = grouped.mean(2, keepdim=True)
        centred = grouped - mean
        variance = (centred * centred).mean(2, keepdim=True)
        normalised = (centred * torch.rsqrt(variance + EPSILON)).view(n, channels, height, width)
        return normalised * gain.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
