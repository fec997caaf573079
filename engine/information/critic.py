"""The critic: pooled feature maps embedded into a contrastive space and compared by inner product.

MIM4DD's Eq. 2.15 as rebuilt from CRD (Tian et al. 2020, Eq. 19): phi is nothing, one or two fully
connected layers, one for each matched feature map, followed by l2 normalisation; a pair's score is the
inner product over the temperature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.config.schema import Information


def pool(features: Tensor, settings: Information) -> Tensor:
    """A feature map [n, c, h, w] as vectors [n, d]: a grid of means, one mean a channel, or everything.

    Logits [n, classes] and maps not larger than the grid pass unchanged.
    """
    if features.ndim == 2 or settings.pooling == "flatten":
        return features.flatten(1)
    side = 1 if settings.pooling == "average" else settings.grid
    height, width = features.shape[2:]
    if side < height and height == width and height % side == 0:
        features = F.avg_pool2d(features, height // side)
    elif side < height:
        features = _means(height, side, features) @ features @ _means(width, side, features).mT
    return features.flatten(1)


def _means(length: int, side: int, like: Tensor) -> Tensor:
    """The matrix [side, length] of an adaptive pooling: of a product the derivative has the same bits on every run, on
    a card too."""
    rows = torch.zeros(side, length, dtype=like.dtype)
    for row in range(side):
        first, last = row * length // side, -(-(row + 1) * length // side)
        rows[row, first:last] = 1 / (last - first)
    return rows.to(like.device)


def _fill(layer: nn.Linear, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(layer.in_features)
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)


def _embedding(size: int, settings: Information, generator: torch.Generator) -> nn.Module:
    if settings.embedding_layers == 0:
        return nn.Identity()
    layers: list[nn.Module] = [nn.Linear(size, settings.embedding_dim)]
    if settings.embedding_layers == 2:
        layers += [nn.ReLU(), nn.Linear(settings.embedding_dim, settings.embedding_dim)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            _fill(layer, generator)
    return nn.Sequential(*layers)


class Critic(nn.Module):
    """Embeddings of every matched layer, and the binary critic's constant.

    Args:
        sizes: length of the pooled feature vector, layer by layer.
        constant: the binary critic's logit offset at the start, one value for all layers: log(N/M) of Eq. 2.15
            where it is fixed.
    """

    def __init__(
        self, sizes: Sequence[int], settings: Information, constant: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.settings = settings
        self.synthetic = nn.ModuleList(_embedding(size, settings, generator) for size in sizes)
        self.real = (
            self.synthetic
            if settings.embedding_shared
            else nn.ModuleList(_embedding(size, settings, generator) for size in sizes)
        )
        learned = settings.bias == "learned" and settings.loss == "nce"
        self.constant = nn.Parameter(torch.full((len(sizes),), constant), requires_grad=learned)

    def scores(self, layer: int, synthetic: Tensor, real: Tensor) -> Tensor:
        """Scores [s, r] of all pairs of pooled features [s, d] and [r, d]: cosine over temperature."""
        left = F.normalize(self.synthetic[layer](synthetic), dim=1)
        right = F.normalize(self.real[layer](real), dim=1)
        return left @ right.T / self.settings.temperature
