"""The estimator on pairs of Gaussian vectors, whose mutual information is known: -d/2 log(1 - rho^2) nats.

A pair's label is its number, so that only partners are positive, and the product of the marginals is all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from engine.information import contrast
from engine.seeds import generator

DIMENSIONS = 2
PAIRS = 250
REPEATS = 40


def information(rho: float) -> float:
    return -DIMENSIONS / 2 * math.log(1 - rho**2)


def drawn(rho: float, seed: int, count: int = PAIRS) -> tuple[Tensor, Tensor]:
    noise = torch.randn(2, count, DIMENSIONS, generator=generator(seed, "gaussian"), dtype=torch.float64)
    return noise[0], rho * noise[0] + math.sqrt(1 - rho**2) * noise[1]


def log_ratio(rho: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The optimal critic: log p(x, y) / (p(x) p(y)) of every pair, [n, n]."""

    def ratio(x: Tensor, y: Tensor) -> Tensor:
        squares = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
        return information(rho) + (2 * rho * x @ y.T - rho**2 * squares) / (2 * (1 - rho**2))

    return ratio


def independent(count: int) -> contrast.Pairs:
    """Partners are positive; pairs of different numbers are draws from the product of the marginals."""
    one = torch.eye(count, dtype=torch.float64)
    others = (1 - one) / (count * (count - 1))
    return contrast.Pairs(one / count, others, others)


def readings(critic: Callable[[Tensor, Tensor], Tensor], rho: float, weights: contrast.Pairs) -> tuple[float, float]:
    """Mean and standard error of the bound on fresh pairs."""
    found = torch.tensor(
        [
            float(contrast.mutual_information_bound(critic(*drawn(rho, 1000 + seed)), weights))
            for seed in range(REPEATS)
        ],
        dtype=torch.float64,
    )
    return float(found.mean()), float(found.std() / math.sqrt(REPEATS))


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.8])
def test_the_optimal_critic_reads_the_mutual_information(rho: float) -> None:
    mean, error = readings(log_ratio(rho), rho, independent(PAIRS))
    assert abs(mean - information(rho)) <= 3 * error + 1e-12
    assert error < 0.05


@pytest.mark.parametrize("believed", [-0.6, 0.0, 0.3, 0.5, 0.7])
def test_no_other_critic_reads_more(believed: float) -> None:
    """The critics of other correlations, too timid and too bold."""
    mean, error = readings(log_ratio(believed), 0.6, independent(PAIRS))
    assert mean <= information(0.6) + 3 * error
    assert mean < information(0.6) - 0.005


def test_partners_among_the_negatives_cost_a_little_and_never_add() -> None:
    """Batches by label count a positive pair among all pairs too: the bound only falls, by the order of 1/n."""
    labels = torch.arange(PAIRS)
    mean, error = readings(log_ratio(0.6), 0.6, contrast.pairs(labels, labels))
    assert mean <= information(0.6) + 3 * error
    assert mean >= information(0.6) - 3 * error - 0.03


def quadratic(table: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Scores a + b (|x|^2 + |y|^2) + c <x, y>: the optimal critic is one of them."""

    def critic(x: Tensor, y: Tensor) -> Tensor:
        return table[0] + table[1] * (x.square().sum(1)[:, None] + y.square().sum(1)[None, :]) + table[2] * x @ y.T

    return critic


@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_a_critic_learned_by_the_binary_loss_approaches_it(rho: float) -> None:
    x, y = drawn(rho, 1, 1500)
    labels = torch.arange(len(x))
    weights = contrast.pairs(labels, labels)
    constant = weights.ratio.log()
    table = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = contrast.nce_loss(quadratic(table)(x, y), constant, weights, negatives="all")
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    learned = table.detach()
    fresh = contrast.pairs(torch.arange(PAIRS), torch.arange(PAIRS))

    def ratio(left: Tensor, right: Tensor) -> Tensor:
        # The constant and N belong to the batch the critic learned on; the ratio it stands for does not.
        return contrast.nce_log_ratio(quadratic(learned)(left, right), fresh.ratio.log(), fresh, negatives="all")

    mean, error = readings(ratio, rho, independent(PAIRS))
    assert mean <= information(rho) + 3 * error
    assert mean >= information(rho) - 3 * error - 0.02


def test_a_softmax_critic_stays_below_it_and_below_the_logarithm_of_the_batch() -> None:
    labels = torch.arange(PAIRS)
    weights = contrast.pairs(labels, labels)

    def ratio(x: Tensor, y: Tensor) -> Tensor:
        return contrast.softmax_log_ratio(log_ratio(0.6)(x, y), weights)

    mean, error = readings(ratio, 0.6, weights)
    assert mean <= information(0.6) + 3 * error
    assert mean >= information(0.6) - 0.05
    x, _ = drawn(0.6, 1)
    copies = contrast.softmax_log_ratio(1e3 * -torch.cdist(x, x), weights)
    assert float(contrast.mutual_information_bound(copies, weights)) == pytest.approx(math.log(PAIRS), abs=1e-3)
