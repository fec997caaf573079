"""How many student steps' activations are kept for the reverse sweep: as many of the last as fit a bound.

The bound (``execution.keep_activations``) and sizes alone decide, never what happens to be free: the same configuration
gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.networks import ConvNet

FLOAT = 4
"""Bytes of an activation, in any precision of a run."""


def activation_bytes(net: ConvNet, images: int) -> int:
    """What ``Derivatives.first_keeping`` keeps of a step on so many images, the few numbers of a norm's groups left
    out."""
    _, height, width = net.shape
    height, width = (side + 2 * (net.first_padding - 1) for side in (height, width))
    floats = 0
    for block in range(net.network.depth):
        floats += height * width
        if net.network.pooling != "none":
            height, width = height // 2, width // 2
        if block < net.network.depth - 1:
            floats += height * width
    return FLOAT * net.network.width * floats * images


def fitting(net: ConvNet, bound: int) -> Callable[[Sequence[int]], int]:
    """Of the images of each step, in order: of how many of the last steps the activations fit ``bound`` bytes."""

    def fits(images: Sequence[int]) -> int:
        left, steps = bound, 0
        for count in reversed(images):
            left -= activation_bytes(net, count)
            if left < 0:
                break
            steps += 1
        return steps

    return fits
