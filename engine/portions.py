"""A batch in portions whose activations stay in the processor's cache, exactly.

A ConvNet's derivatives pass over its activations again and again, and those of a hundred images at 128 channels are
50 MB a pass: the passes wait for memory while the arithmetic units idle. The loss is a mean over images that do not
see each other (no normalisation here is over the batch), so a batch's derivatives are the means of its portions',
weighted by their sizes; only the order of additions changes. A GPU wants more work at once: there portions bound the
memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.kernels import FirstDerivative, KeepingFirst, KeptSecond, SecondDerivative
from engine.networks import ConvNet

Size = Callable[[int], int]
"""Images of a portion, for the number of images of a batch."""

CACHED = 6 * 2**20
"""Bytes of the first block's output, its largest map, that a portion may have: some ten such maps are in use at a
time, of which a last-level cache of 16 to 32 MB keeps the ones in hand (``python -m benchmarks --only portions``)."""


ON_GPU = 128 * 2**20
"""The same on a GPU: 256 images at 128 channels, whose second derivative takes some 4 GB."""


def portion(net: ConvNet, images: int, device: torch.device | str) -> int:
    """Images to compute at once, 1 to ``images``: if they do not fit, an even share that does, where there is one.

    A function of sizes alone, never of a timing: the same set-up gives the same bits.
    """
    most = limit(net, device)
    if images <= most:
        return images
    whole = [size for size in range(most // 2 + 1, most + 1) if images % size == 0]
    return max(whole) if whole else -(-images // -(-images // most))


def limit(net: ConvNet, device: torch.device | str) -> int:
    """The most images whose activations fit, at least 1."""
    _, height, width = net.shape
    padding = 2 * (net.first_padding - 1)
    activations = net.network.width * (height + padding) * (width + padding)
    return max(1, (CACHED if torch.device(device).type == "cpu" else ON_GPU) // (4 * activations))


def first(whole: FirstDerivative, sized: Size) -> FirstDerivative:
    """``whole`` computed in portions, the last one smaller."""
    portioned = first_keeping(lambda *given: (*whole(*given), []), sized)
    return lambda *given: portioned(*given)[:3]


def first_keeping(whole: KeepingFirst, sized: Size) -> KeepingFirst:
    """The same of a derivative that gives its activations: those of the portions, one after another."""

    def portioned(
        parameters: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Sequence[Tensor]]:
        size = sized(len(images))
        if len(images) <= size:
            return whole(parameters, images, labels)
        loss, slope = torch.zeros_like(parameters[0]), torch.zeros_like(parameters)
        logits: list[Tensor] = []
        kept: list[Tensor] = []
        for part, named in zip(torch.split(images, size), torch.split(labels, size), strict=True):
            share = len(part) / len(images)
            its_loss, its_logits, its_slope, activations = whole(parameters, part, named)
            loss.add_(its_loss, alpha=share)
            slope.add_(its_slope, alpha=share)
            logits.append(its_logits)
            kept += activations
        return loss, torch.cat(logits), slope, kept

    return portioned


def second(whole: SecondDerivative, sized: Size) -> SecondDerivative:
    """``whole`` computed in portions, the last one smaller."""

    def of_nothing(
        parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor, _: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        return whole(parameters, direction, images, labels)

    portioned = second_of_kept(of_nothing, sized)

    def portioned_of_nothing(
        parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return portioned(parameters, direction, images, labels, [])

    return portioned_of_nothing


def second_of_kept(whole: KeptSecond, sized: Size) -> KeptSecond:
    """The same of a derivative that takes what :func:`first_keeping` gave, in portions of the same size."""

    def portioned(
        parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        size = sized(len(images))
        if len(images) <= size:
            return whole(parameters, direction, images, labels, kept)
        slope, bent = torch.zeros_like(parameters[0]), torch.zeros_like(parameters)
        by_images = torch.empty_like(images, memory_format=torch.contiguous_format)
        each = len(kept) // math.ceil(len(images) / size)
        for number, start in enumerate(range(0, len(images), size)):
            part = slice(start, start + size)
            share = len(labels[part]) / len(images)
            its_slope, its_bent, its_images = whole(
                parameters, direction, images[part], labels[part], kept[number * each : (number + 1) * each]
            )
            slope.add_(its_slope, alpha=share)
            bent.add_(its_bent, alpha=share)
            torch.mul(its_images, share, out=by_images[part])
        return slope, bent, by_images

    return portioned
