"""k-means against scikit-learn's from the same start, and the points nearest to its centres."""

from __future__ import annotations

import pytest
import torch
from sklearn.cluster import KMeans

from engine.objectives.representatives import k_means, nearest, representatives
from engine.seeds import generator


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_k_means_is_lloyds(seed: int) -> None:
    points = torch.randn(120, 5, generator=generator(seed, "points"), dtype=torch.float64)
    first = points[torch.randperm(120, generator=generator(seed, "draws"))[:7]]
    theirs = KMeans(7, init=first.numpy(), n_init=1, algorithm="lloyd", tol=0, max_iter=30).fit(points.numpy())
    centres, owner = k_means(points, 7, generator(seed, "draws"))
    assert torch.allclose(centres, torch.from_numpy(theirs.cluster_centers_), atol=1e-8)
    assert owner.tolist() == theirs.labels_.tolist()


def test_separate_heaps_give_one_point_each() -> None:
    heaps = torch.arange(4.0).repeat_interleave(25)[:, None] * 100
    points = heaps + torch.randn(100, 3, generator=generator(0, "points"))
    for seed in range(20):
        centres, _ = k_means(points, 4, generator(seed, "draws"))
        if len(set((centres[:, 0] / 100).round().tolist())) == 4:
            chosen = representatives(points, 4, generator(seed, "draws"))
            assert sorted((chosen // 25).tolist()) == [0, 1, 2, 3]
            return
    raise AssertionError("no start found the heaps")


def test_a_cluster_without_points_keeps_its_centre() -> None:
    points = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    centres, _ = k_means(points, 3, generator(0, "draws"))
    assert torch.isfinite(centres).all()


def test_all_points_where_there_are_no_more() -> None:
    points = torch.randn(5, 2, generator=generator(0, "points"))
    assert representatives(points, 5, generator(0, "draws")).tolist() == [0, 1, 2, 3, 4]
    assert representatives(points, 9, generator(0, "draws")).tolist() == [0, 1, 2, 3, 4]


def test_nearest_is_the_least_distance() -> None:
    points, targets = torch.randn(30, 4, generator=generator(1, "p")), torch.randn(6, 4, generator=generator(2, "t"))
    assert torch.equal(nearest(points, targets), torch.cdist(points, targets).argmin(1))
