"""Representative real images (DREAM, Liu et al. 2023): those nearest to the centres of a class's clusters.

A random batch of a class lies now here, now there, and the gradient matched with it; images next to the centres of
k-means over a network's features cover the class evenly with as few.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ROUNDS = 30
"""Most rounds of k-means; it ends before where no point changes its cluster."""


def k_means(
    points: Tensor, clusters: int, draws: torch.Generator, tick: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from random points: centres [clusters, d] and each point's cluster, int64 [n].

    A cluster that loses all its points keeps its centre. Sums are products with a membership matrix, which give
    the same bits on every run, on a GPU too.

    Args:
        points: [n, d], at least as many as clusters.
        tick: called before each round; may raise to stop.
    """
    chosen = torch.randperm(len(points), generator=draws)[:clusters].to(points.device)
    centres = points[chosen]
    owner = nearest(points, centres)
    for _ in range(ROUNDS):
        tick()
        members = torch.nn.functional.one_hot(owner, clusters).to(points.dtype)
        counts = members.sum(0).unsqueeze(1)
        centres = torch.where(counts > 0, members.T @ points / counts.clamp_min(1), centres)
        moved = nearest(points, centres)
        if torch.equal(moved, owner):
            break
        owner = moved
    return centres, owner


def nearest(points: Tensor, targets: Tensor) -> Tensor:
    """Position int64 [n] of the target [m, d] nearest to each point [n, d]."""
    distances = targets.square().sum(1) - 2 * points @ targets.T  # but for what is the same for all targets
    return distances.argmin(1)


def representatives(
    points: Tensor, count: int, draws: torch.Generator, tick: Callable[[], None] = lambda: None
) -> Tensor:
    """Positions int64 [count] of the points [n, d] nearest to the centres of ``count`` clusters; of all points
    where there are no more."""
    if count >= len(points):
        return torch.arange(len(points), device=points.device)
    centres, _ = k_means(points, count, draws, tick)
    return nearest(centres, points)
