"""CKA on closed cases and against literal sums."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from engine.analysis.cka import Accumulated, Estimator, between_networks, cka, gram, hsic
from engine.config.schema import Network
from engine.networks import ConvNet
from engine.seeds import generator

ESTIMATORS: tuple[Estimator, ...] = ("unbiased", "biased")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "features"), dtype=torch.float64)


def rotation(size: int) -> Tensor:
    orthogonal: Tensor = torch.linalg.qr(drawn(size, size, seed=9))[0]
    return orthogonal


def literal_biased(k: Tensor, l: Tensor) -> float:  # noqa: E741
    n = len(k)
    centring = torch.eye(n, dtype=k.dtype) - 1 / n
    return float(torch.trace(k @ centring @ l @ centring)) / (n - 1) ** 2


def literal_unbiased(k: Tensor, l: Tensor) -> float:  # noqa: E741
    """The U-statistic as sums over distinct indices (Song et al. 2012, the definition behind Eq. 5)."""
    n = len(k)

    def mean(values: list[float]) -> float:
        return math.fsum(values) / len(values)

    pairs = mean([float(k[i, j] * l[i, j]) for i, j in itertools.permutations(range(n), 2)])
    fours = mean([float(k[i, j] * l[q, r]) for i, j, q, r in itertools.permutations(range(n), 4)])
    threes = mean([float(k[i, j] * l[i, q]) for i, j, q in itertools.permutations(range(n), 3)])
    return pairs + fours - 2 * threes


def test_hsic_against_literal_sums() -> None:
    k, l = gram(drawn(7, 3)), gram(drawn(7, 5, seed=1))  # noqa: E741
    assert float(hsic(k, l, "biased")) == pytest.approx(literal_biased(k, l), rel=1e-12)
    assert float(hsic(k, l)) == pytest.approx(literal_unbiased(k, l), rel=1e-10)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_same_features_are_wholly_alike(estimator: Estimator) -> None:
    x = drawn(30, 6)
    assert cka(x, x, estimator) == pytest.approx(1)
    assert cka(x, 5 * x @ rotation(6) + 3, estimator) == pytest.approx(1), "rotated, scaled and shifted"
    assert cka(x, torch.cat([x, torch.zeros(30, 4)], 1), estimator) == pytest.approx(1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_is_symmetric_and_sees_a_stretch(estimator: Estimator) -> None:
    x, y = drawn(40, 6), drawn(40, 3, seed=1) + drawn(40, 6)[:, :3]
    assert cka(x, y, estimator) == pytest.approx(cka(y, x, estimator))
    stretched = x * torch.tensor([10.0, 1, 1, 1, 1, 1], dtype=torch.float64)
    assert 0.1 < cka(x, stretched, estimator) < 0.9, "invariant to rotations, not to every linear map"


def test_biased_cka_of_one_feature_is_the_squared_correlation() -> None:
    x = drawn(50, 1)
    y = 0.6 * x + 0.8 * drawn(50, 1, seed=1)
    correlation = torch.corrcoef(torch.cat([x, y], 1).T)[0, 1]
    assert cka(x, y, "biased") == pytest.approx(float(correlation**2))


def test_orthogonal_features_have_none() -> None:
    """The columns of a Hadamard matrix: exactly uncorrelated over the images."""
    hadamard = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(4):
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)])
    assert cka(hadamard[:, 1:4], hadamard[:, 4:9], "biased") == pytest.approx(0, abs=1e-12)


def test_independent_features_are_alike_only_to_the_biased_estimator() -> None:
    """More features than images: bias makes anything look alike."""
    found = [cka(drawn(20, 200, seed=2 * i), drawn(20, 200, seed=2 * i + 1)) for i in range(40)]
    mean, error = float(torch.tensor(found).mean()), float(torch.tensor(found).std()) / math.sqrt(40)
    assert abs(mean) <= 3 * error
    assert error < 0.02
    assert cka(drawn(20, 200), drawn(20, 200, seed=1), "biased") > 0.8


def test_minibatches_give_what_the_whole_gives() -> None:
    x = drawn(1200, 8)
    y = x @ drawn(8, 5, seed=1) + drawn(1200, 5, seed=2)
    whole = cka(x, y)
    parts = Accumulated(1, 1)
    for left, right in zip(torch.split(x, 40), torch.split(y, 40), strict=True):
        parts.add([left], [right])
    assert float(parts.matrix()) == pytest.approx(whole, abs=0.02)
    biased = Accumulated(1, 1, "biased")
    for left, right in zip(torch.split(x, 10), torch.split(y, 10), strict=True):
        biased.add([left], [right])
    assert float(biased.matrix()) > whole + 0.05, "which the biased estimator does not"


def test_too_few_images_and_dead_features_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        cka(drawn(3, 2), drawn(3, 2))
    with pytest.raises(ValueError, match="at least 2"):
        cka(drawn(1, 2), drawn(1, 2), "biased")
    for estimator in ESTIMATORS:
        with pytest.raises(ValueError, match="do not differ"):
            cka(drawn(9, 2), torch.ones(9, 2), estimator)
    with pytest.raises(ValueError, match="do not differ"):
        Accumulated(1, 1).matrix()


def test_between_networks_is_the_cka_of_their_layers() -> None:
    net = ConvNet(Network(depth=2, width=4), (1, 8, 8), 3)
    first, second = net.init(generator(0, "first")), net.init(generator(0, "second"))
    images = drawn(22, 1, 8, 8).float()
    found = between_networks(net.features, first, second, images, batch=20)
    assert found.shape == (3, 3)
    left, right = net.features(first, images[:20]), net.features(second, images[:20])
    for i in range(3):
        for j in range(3):
            assert float(found[i, j]) == pytest.approx(cka(left[i], right[j]), rel=1e-9)
    own = between_networks(net.features, first, first, images, batch=11)
    assert torch.allclose(own.diagonal(), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(own, own.T)
    with pytest.raises(ValueError, match="no images"):
        between_networks(net.features, first, second, images[:0])
