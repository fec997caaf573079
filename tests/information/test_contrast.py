"""The contrastive losses against slow literal forms, and the bound on channels of known mutual information."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from engine.information import contrast
from engine.seeds import generator

SYNTHETIC = torch.tensor([0, 0, 1, 2, 2, 2])
REAL = torch.tensor([0, 1, 1, 2, 0, 2, 1, 0])


def scores(seed: int = 0) -> Tensor:
    return torch.randn(len(SYNTHETIC), len(REAL), generator=generator(seed, "scores"), dtype=torch.float64)


def literal_pairs(synthetic: Tensor, real: Tensor) -> tuple[dict[tuple[int, int], float], ...]:
    """Weights by enumeration: labels uniform; positives within a label, product over independent labels."""
    labels = sorted(set(synthetic.tolist()))
    positive, product = {}, {}
    for i, a in enumerate(synthetic.tolist()):
        for j, b in enumerate(real.tolist()):
            left = 1 / len(labels) / synthetic.tolist().count(a)
            right = 1 / len(labels) / real.tolist().count(b)
            product[i, j] = left * right
            positive[i, j] = left / real.tolist().count(b) if a == b else 0.0
    return positive, product


def test_pair_weights() -> None:
    weights = contrast.pairs(SYNTHETIC, REAL)
    positive, product = literal_pairs(SYNTHETIC, REAL)
    for i in range(len(SYNTHETIC)):
        for j in range(len(REAL)):
            assert float(weights.positive[i, j]) == pytest.approx(positive[i, j])
            assert float(weights.product[i, j]) == pytest.approx(product[i, j])
    for part in (weights.positive, weights.negative, weights.product):
        assert float(part.sum()) == pytest.approx(1)
    assert float(weights.ratio) == pytest.approx(2)  # C - 1
    mixture = (weights.positive + weights.ratio * weights.negative) / (1 + weights.ratio)
    assert torch.allclose(mixture, weights.product)


@pytest.mark.parametrize("negatives", ["different", "all"])
def test_nce_against_a_literal_loop(negatives: str) -> None:
    values, constant = scores(), 0.3
    positive, product = literal_pairs(SYNTHETIC, REAL)
    different = {k: w for k, w in product.items() if SYNTHETIC[k[0]] != REAL[k[1]]}
    against = product if negatives == "all" else {k: w / sum(different.values()) for k, w in different.items()}
    expected = 0.0
    for (i, j), w in positive.items():
        h = 1 / (1 + math.exp(constant - float(values[i, j])))
        expected -= w * math.log(h)
        expected -= 2 * against.get((i, j), 0.0) * math.log(1 - h)
    weights = contrast.pairs(SYNTHETIC, REAL)
    got = contrast.nce_loss(values, torch.tensor(constant), weights, negatives=negatives)
    assert float(got) == pytest.approx(expected)


@pytest.mark.parametrize("negatives", ["different", "all"])
def test_infonce_against_a_literal_loop(negatives: str) -> None:
    values = scores(1)
    positive, _ = literal_pairs(SYNTHETIC, REAL)
    counts = [SYNTHETIC.tolist().count(label) for label in SYNTHETIC.tolist()]
    expected = 0.0
    for (i, j), w in positive.items():
        if not w:
            continue
        own = math.exp(float(values[i, j])) / 3
        rest = 0.0
        for k in range(len(SYNTHETIC)):
            if SYNTHETIC[k] != REAL[j] or (negatives == "all"):
                rest += math.exp(float(values[k, j])) / counts[k] / 3
        total = rest if negatives == "all" else rest + own
        expected -= w * math.log(own / total)
    weights = contrast.pairs(SYNTHETIC, REAL)
    assert float(contrast.infonce_loss(values, weights, negatives=negatives)) == pytest.approx(expected)


def test_infonce_at_chance_is_the_entropy_of_the_labels() -> None:
    weights = contrast.pairs(SYNTHETIC, REAL)
    for negatives in ("different", "all"):
        loss = contrast.infonce_loss(torch.zeros(len(SYNTHETIC), len(REAL)), weights, negatives=negatives)
        assert float(loss) == pytest.approx(math.log(3))


@pytest.mark.parametrize("side", ["synthetic", "real"])
def test_a_label_without_a_partner_is_refused(side: str) -> None:
    both = torch.tensor([0, 1]), torch.tensor([0])
    with pytest.raises(ValueError, match="both sides"):
        contrast.pairs(*(both if side == "real" else both[::-1]))


def test_swapping_positives_and_negatives_is_noticed() -> None:
    """A critic that is right has the smaller loss."""
    weights = contrast.pairs(SYNTHETIC, REAL)
    right = torch.where(weights.positive > 0, 3.0, -3.0)
    zero = torch.zeros(())
    assert contrast.nce_loss(right, zero, weights) < contrast.nce_loss(-right, zero, weights)
    assert contrast.infonce_loss(right, weights) < contrast.infonce_loss(-right, weights)


# -- the bound on discrete label channels ---------------------------------------------------------------

CHANNEL = torch.tensor(
    [[0.85, 0.05, 0.05, 0.05], [0.05, 0.8, 0.1, 0.05], [0.05, 0.05, 0.85, 0.05], [0.1, 0.1, 0.1, 0.7]],
    dtype=torch.float64,
)
"""p(activation | label): both sides see the label through it."""


def exact(left: Tensor, right: Tensor) -> tuple[float, Tensor]:
    """Mutual information in nats of activations tied by a uniform label, and the log density ratio [a, b]."""
    labels = len(left)
    joint = left.T @ right / labels
    ratio = (joint / torch.outer(left.mean(0), right.mean(0))).log()
    return float((joint * ratio).sum()), ratio


def drawn(each: int, seed: int) -> tuple[Tensor, Tensor]:
    """Activations [n] and labels [n], the same number for each label."""
    labels = torch.arange(len(CHANNEL)).repeat_interleave(each)
    draws = generator(seed, "channel")
    return torch.multinomial(CHANNEL[labels], 1, generator=draws)[:, 0], labels


def readings(table: Tensor, repeats: int = 60) -> tuple[float, float]:
    """Mean and standard error of the bound for a critic given as a table of log ratios."""
    values = []
    for seed in range(repeats):
        left, left_labels = drawn(60, 2 * seed)
        right, right_labels = drawn(60, 2 * seed + 1)
        weights = contrast.pairs(left_labels, right_labels)
        values.append(float(contrast.mutual_information_bound(table[left][:, right], weights)))
    sample = torch.tensor(values, dtype=torch.float64)
    return float(sample.mean()), float(sample.std() / math.sqrt(repeats))


def test_optimal_critic_reads_the_mutual_information() -> None:
    information, ratio = exact(CHANNEL, CHANNEL)
    mean, error = readings(ratio)
    assert information > 0.1
    assert abs(mean - information) <= 3 * error


CRITICS: dict[str, Callable[[Tensor], Tensor]] = {
    "untrained": lambda ratio: torch.randn(ratio.shape, generator=generator(9, "u"), dtype=torch.float64),
    "constant": lambda ratio: torch.full_like(ratio, math.log(4 * 0.999)),
    "overconfident": lambda ratio: 4 * ratio,
    "inverted": lambda ratio: -ratio,
}


@pytest.mark.parametrize("name", CRITICS)
def test_no_critic_reads_more_than_there_is(name: str) -> None:
    information, ratio = exact(CHANNEL, CHANNEL)
    mean, error = readings(CRITICS[name](ratio))
    assert mean <= information + 3 * error
    assert mean < information - 0.01


def test_perfect_channel_reaches_the_ceiling_and_no_more() -> None:
    labels = torch.arange(4).repeat_interleave(5)
    weights = contrast.pairs(labels, labels)
    perfect = torch.where(labels[:, None] == labels[None, :], math.log(4), -50.0)
    assert float(contrast.mutual_information_bound(perfect, weights)) == pytest.approx(math.log(4))


@pytest.mark.parametrize("negatives", ["different", "all"])
def test_learned_binary_critic_approaches_the_mutual_information(negatives: str) -> None:
    """Minimising the loss over all tables of scores gives the density ratio: constants and signs are right."""
    information, ratio = exact(CHANNEL, CHANNEL)
    left, left_labels = drawn(400, 100)
    right, right_labels = drawn(400, 101)
    weights = contrast.pairs(left_labels, right_labels)
    table = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = contrast.nce_loss(table[left][:, right], torch.zeros(()), weights, negatives=negatives)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    learned = contrast.nce_log_ratio(table.detach(), torch.zeros(()), weights, negatives=negatives)
    mean, error = readings(learned)
    assert information - 0.03 <= mean <= information + 3 * error
    assert (learned - ratio).abs().mean() < 0.15


def test_softmax_ratio_is_normalised_over_the_synthetic_side() -> None:
    weights = contrast.pairs(SYNTHETIC, REAL)
    ratio = contrast.softmax_log_ratio(scores(2), weights)
    prior = weights.product.sum(1, keepdim=True)
    assert torch.allclose((prior * ratio.exp()).sum(0), torch.ones(len(REAL), dtype=torch.float64))
    assert float(contrast.mutual_information_bound(ratio, weights)) <= math.log(3)
