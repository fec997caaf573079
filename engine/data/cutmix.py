"""CutMix (Yun et al. 2019): a box of each image is filled from another of the batch, and labels are mixed by its area.

A loss is mixed by mixing its targets: cross-entropy is linear in them, so that of the mixed labels is the mean of both
images' losses, weighed by the box's true share.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cutmix(images: Tensor, labels: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """One box for the whole batch, of a uniform share of the area (Beta(1, 1)) before the border cuts it off.

    Args:
        images: [n, c, h, w].
        labels: probabilities [n, classes]; mixed by the share that is filled.
        draws: of the box and of each image's partner, which may be the image itself.

    Returns:
        Mixed images and labels; new tensors.
    """
    height, width = images.shape[2:]
    partner = torch.randperm(len(images), generator=draws).to(images.device)
    share = 1 - float(torch.rand((), generator=draws))
    centre_y, centre_x = (float(value) for value in torch.rand(2, generator=draws))
    top, bottom = _span(centre_y * height, height * share**0.5, height)
    left, right = _span(centre_x * width, width * share**0.5, width)
    inside = torch.zeros(height, width, dtype=torch.bool, device=images.device)
    inside[top:bottom, left:right] = True
    filled = (bottom - top) * (right - left) / (height * width)
    return torch.where(inside, images[partner], images), (1 - filled) * labels + filled * labels[partner]


def sometimes_cutmix(
    probability: float, images: Tensor, labels: Tensor, draws: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A batch mixed with a probability, as :func:`cutmix` takes and gives it; else as it is."""
    return cutmix(images, labels, draws) if float(torch.rand((), generator=draws)) < probability else (images, labels)


def as_probabilities(labels: Tensor, classes: int) -> Tensor:
    """Labels that can be mixed, [n, classes]: of int64 [n] one-hot, probabilities as they are."""
    return F.one_hot(labels, classes).float() if labels.ndim == 1 else labels


def _span(centre: float, length: float, most: int) -> tuple[int, int]:
    return max(0, int(centre - length / 2)), min(most, int(centre + length / 2))
