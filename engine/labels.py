"""Labels that are learned with the images: what they start from, what networks are trained on, and their derivative.

A student's loss is linear in its targets, ``-(1/n) sum_ic Y_ic log p_ic``, and so is the slope of its gradient along
a direction v that the reverse sweep takes (``engine.gradient``), ``s = < v, dL/dtheta >``::

    ds/dY_ic = -(1/n) d/dt log p_ic(theta + t v)

which one pass in forward mode gives. Two ways to hold the labels are published: numbers as they are, from one-hot
on (RaT-BPTT, Feng et al. 2024, ``--train_y``), and logits under a softmax, from an expert's on (DATM, Guo et al.
2024).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.networks.derivatives import Derivatives
from engine.portions import portion

HARD, FREE, SOFTMAX = "hard", "free", "softmax"


def initial(kind: str, classes: Tensor, count: int, logits: Callable[[], Tensor]) -> Tensor | None:
    """What is learned of the labels, float32 [n, count], before the first iteration; None of hard ones.

    Args:
        kind: "hard", "free" or "softmax".
        classes: int64 [n] of the starting images, of ``count`` in all.
        logits: of an expert on the decoded starting images, [n * k, count]; the k of one stored image are averaged.
    """
    if kind == HARD:
        return None
    if kind == FREE:
        return F.one_hot(classes, count).float()
    return logits().float().view(len(classes), -1, count).mean(1)


def targets(kind: str, learned: Tensor) -> Tensor:
    """The targets [n, classes] that networks are trained on."""
    return learned.softmax(1) if kind == SOFTMAX else learned


def pull_back(kind: str, learned: Tensor, by_targets: Tensor) -> Tensor:
    """The derivative by what is learned, of that by the targets of the decoded images [n * k, classes]."""
    gathered = by_targets.view(len(learned), -1, by_targets.shape[1]).sum(1)
    if kind != SOFTMAX:
        return gathered
    shares = learned.softmax(1)
    return shares * (gathered - (shares * gathered).sum(1, keepdim=True))


def turning(derivatives: Derivatives) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Of (parameters [size], images [n, c, h, w], direction [size]): the derivative of the log-probabilities
    [n, classes] along the direction, by the two-stream pass that the second derivative begins with."""

    def turned(parameters: Tensor, images: Tensor, direction: Tensor) -> Tensor:
        found = []
        with torch.no_grad():
            for some in torch.split(images, portion(derivatives.net, len(images), images.device)):
                logits, along = derivatives.turned(parameters, direction, some)
                found.append(along - (F.softmax(logits, 1) * along).sum(1, keepdim=True))
        return torch.cat(found)

    return turned
