"""Convolutions of a ConvNet and their derivatives, in a run's precision and the layout that is fastest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.networks.convnet import ConvNet

CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward.default


class Convolutions:
    """The convolutions of one layout.

    Args:
        net: the layout.
        narrow: type of the operands and results; None for that of the parameters.
        emulated: round to bfloat16 without using its arithmetic, which is slow on a processor that has none. Products
            of two such numbers are exact in float32, so that the sums are those of bfloat16 hardware.
    """

    def __init__(self, net: ConvNet, narrow: torch.dtype | None = None, *, emulated: bool = False) -> None:
        self.net = net
        self.narrow = narrow
        self.emulated = emulated and narrow is not None

    def forward(self, x: Tensor, kernel: Tensor, bias: Tensor | None, number: int) -> Tensor:
        """The convolution of block ``number``, [n, width, h, w], of x [n, c, h, w]."""
        y = F.conv2d(self._cast(x), self._cast(self.laid_out(kernel)), None, padding=self._padding(number))
        y = self._widened(y, kernel.dtype)
        return y if bias is None else y + wide(bias)

    def by_kernel(self, x: Tensor, by_y: Tensor, kernel: Tensor, number: int) -> Tensor:
        """The derivative by its kernel, from that by what it gives."""
        return self._convolution_backward(x, by_y, kernel, self._padding(number), of_kernel=True)

    def by_input(self, x: Tensor, by_y: Tensor, kernel: Tensor) -> Tensor:
        """The derivative by the input of a block that is not the first."""
        return self._convolution_backward(x, by_y, kernel, 1, of_kernel=False)

    def by_images(self, x: Tensor, by_y: Tensor, by_turned: Tensor, kernel: Tensor, turn: Tensor) -> Tensor:
        """The first convolution's derivative by its input, from those by what both streams give. No library likes the
        few channels: one product for the nine places of the kernel, each then added where it belongs."""
        channels, height, width = x.shape[1:]
        size, padding = kernel.shape[2], self._padding(0)
        rows = torch.cat([by_y, by_turned], 1).permute(0, 2, 3, 1)
        flat = torch.cat([kernel, turn]).permute(0, 2, 3, 1).flatten(1)
        pieces = (rows.flatten(0, 2) @ flat).view(*rows.shape[:3], size * size, channels)
        more = max(0, size - 1 - padding)
        pieces = F.pad(pieces, (0, 0, 0, 0, more, more, more, more))
        total = torch.zeros_like(x.permute(0, 2, 3, 1))
        for place in range(size * size):
            top, left = (padding + more - step for step in divmod(place, size))
            total = total + pieces[:, top : top + height, left : left + width, place]
        return total.permute(0, 3, 1, 2)

    def _convolution_backward(
        self, x: Tensor, by_y: Tensor, kernel: Tensor, padding: int, *, of_kernel: bool
    ) -> Tensor:
        mask = [not of_kernel, of_kernel, False]
        found: Sequence[Tensor] = CONVOLUTION_BACKWARD(
            self._cast(by_y), self._cast(x), self._cast(self.laid_out(kernel)),
            None, [1, 1], [padding] * 2, [1, 1], False, [0, 0], 1, mask,
        )  # fmt: skip
        return self._widened(found[1 if of_kernel else 0], kernel.dtype)

    def _padding(self, number: int) -> int:
        return self.net.first_padding if number == 0 else 1

    def _cast(self, x: Tensor) -> Tensor:
        if self.emulated:
            return rounded(x)
        return x if self.narrow is None else x.to(self.narrow)

    def _widened(self, x: Tensor, kind: torch.dtype) -> Tensor:
        return rounded(x) if self.emulated else x.to(kind)

    def laid_out(self, x: Tensor) -> Tensor:
        """With the channels last where that is faster."""
        last = x.device.type == "cpu" or self.narrow is not None
        return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def rounded(x: Tensor) -> Tensor:
    """float32 numbers rounded to the eight bits of bfloat16's mantissa (Veltkamp's splitting). Plain arithmetic:
    compilers take two conversions of type in a row for none."""
    scaled = x * 65537.0  # 2^16 + 1
    return scaled - (scaled - x)


def wide(channels: Tensor) -> Tensor:
    """Numbers of channels [c], for activations [n, c, h, w]."""
    return channels.view(1, -1, 1, 1)
