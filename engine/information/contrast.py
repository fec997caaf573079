"""Contrastive losses on a matrix of pair scores, and the lower bound on mutual information they allow.

A pair is one synthetic and one real image; same label: positive. ``scores[i, j]`` belongs to synthetic
image i and real image j. Pairs are weighted so that every label has the weight ``prior``, whatever the
batch's counts: under p, a label is drawn and then both images of it; under the product of the marginals
both images are drawn apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """Weights of all pairs, each [s, r] and summing to 1.

    Attributes:
        positive: the joint distribution, on pairs of the same label.
        negative: independent pairs given that their labels differ.
        product: the product of the two marginals.
    """

    positive: Tensor
    negative: Tensor
    product: Tensor

    @property
    def ratio(self) -> Tensor:
        """N = Q/P, negatives to positives under the product of the marginals: C-1 where labels are uniform."""
        same = (self.product * (self.positive > 0)).sum()
        return (1 - same) / same


def pairs(synthetic: Tensor, real: Tensor) -> Pairs:
    """Pair weights from the labels of both sides, int64 [s] and [r], with a uniform label prior.

    Raises:
        ValueError: a label of one side is absent from the other, so that it has no positive pair.
    """
    labels = torch.unique(torch.cat([synthetic, real]))
    by_label = (synthetic[:, None] == labels), (real[:, None] == labels)
    for side, members in zip(("synthetic", "real"), by_label, strict=True):
        if not bool(members.any(0).all()):
            raise ValueError(f"a label has no {side} image in the batch: pairs need both sides of each label")
    left, right = (members / members.sum(0) / len(labels) for members in by_label)
    product = left.sum(1)[:, None] * right.sum(1)[None, :]
    same = synthetic[:, None] == real[None, :]
    positive = torch.where(same, product * len(labels), 0.0)
    negative = torch.where(same, 0.0, product)
    return Pairs(positive, negative / negative.sum().clamp_min(torch.finfo(negative.dtype).tiny), product)


def estimated_constant(scores: Tensor, weights: Pairs) -> Tensor:
    """log of N times the mean exponential score of independent pairs: CRD's batch estimate of Z, in logs."""
    return torch.logsumexp(scores.detach() + weights.product.log(), dim=(0, 1)) + weights.ratio.log()


def nce_loss(scores: Tensor, constant: Tensor, weights: Pairs, *, negatives: str = "different") -> Tensor:
    """The binary contrastive loss of Eq. 2.16, in nats.

    ``-E_pos[log h] - N E_neg[log(1 - h)]`` with ``h = sigmoid(score - constant)``: the mean over
    positives plus N times the mean over negatives, so that the scale does not depend on the batch.

    Args:
        scores: [s, r].
        constant: [] logit offset, log(N/M) in Eq. 2.15.
        negatives: "different" labels only, or "all" pairs (the product of the marginals).
    """
    logits = scores - constant
    against = weights.negative if negatives == "different" else weights.product
    positive = -(weights.positive * F.logsigmoid(logits)).sum()
    return positive - weights.ratio * (against * F.logsigmoid(-logits)).sum()


def infonce_loss(scores: Tensor, weights: Pairs, *, negatives: str = "different") -> Tensor:
    """The softmax form of the contrastive loss (van den Oord et al. 2018), in nats.

    For every real image: minus the mean over its positives of the log-probability that such a positive, in the
    place of its whole class, has among the synthetic images. With ``negatives="different"`` it competes with
    images of other labels only, else with all. At chance it is log C for C labels; 0 is the least with
    ``different``, and without spread within a class with ``all``.
    """
    prior = weights.product.sum(1, keepdim=True)
    own_class = (prior * (weights.positive > 0)).sum(0, keepdim=True).log()
    competitors = scores + prior.log()
    if negatives == "all":
        partition = torch.logsumexp(competitors, 0, keepdim=True)
    else:
        others = competitors.masked_fill(weights.positive > 0, float("-inf"))
        partition = torch.logaddexp(scores + own_class, torch.logsumexp(others, 0, keepdim=True))
    return -(weights.positive * (scores + own_class - partition)).sum()


def nce_log_ratio(scores: Tensor, constant: Tensor, weights: Pairs, *, negatives: str) -> Tensor:
    """log of the density ratio p/(product of marginals) that a binary critic stands for, [s, r].

    The minimiser of :func:`nce_loss` is h = p_pos/(p_pos + N p_against). Positives plus N times
    different-label negatives are (N+1) times the product of the marginals, so the ratio is (N+1) h; with
    all pairs as negatives it is N h/(1-h).
    """
    logits = scores - constant
    if negatives == "different":
        return F.logsigmoid(logits) + torch.log1p(weights.ratio)
    return logits + weights.ratio.log()


def softmax_log_ratio(scores: Tensor, weights: Pairs) -> Tensor:
    """log of the density ratio of a softmax critic, [s, r]: normalised over the synthetic set for every
    real image, so that its mean under the product of the marginals is exactly 1."""
    prior = weights.product.sum(1, keepdim=True)
    return scores - torch.logsumexp(scores + prior.log(), 0, keepdim=True)


def mutual_information_bound(log_ratio: Tensor, weights: Pairs) -> Tensor:
    """A lower bound on I(synthetic; real) in nats that holds for every critic.

    Nguyen, Wainwright & Jordan (2010): ``I >= E_pos[T] + 1 - E_product[exp T]``, tight where T is the log
    density ratio. Pairs are tied by their label only, so I is at most H(label) <= log C. The expectation is
    over real images: read it on images the critic was not trained on.

    Args:
        log_ratio: T [s, r].
    """
    expected = (weights.positive * log_ratio).sum()
    return expected + 1 - (weights.product * log_ratio.exp()).sum()
