"""Ordinary training of a network on images: what experts and evaluations share.

SGD with momentum and weight decay on a flat parameter vector, in ``torch.optim.SGD``'s form::

    d = gradient + weight_decay * parameters;  velocity = momentum * velocity + d;  parameters -= rate * velocity
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.augment import Augment
from engine.gradient import NetworkFunction

CHUNK = 500
"""Images measured at once: whole test sets fit no cache."""


@dataclass
class Trainee:
    """A network being trained: flat parameters [size] and SGD's velocity [size].

    Every update makes new tensors, so that a snapshot never aliases what is trained on.
    """

    parameters: Tensor
    velocity: Tensor

    @classmethod
    def fresh(cls, parameters: Tensor) -> Trainee:
        """A network at the start of its training."""
        return cls(parameters, torch.zeros_like(parameters))

    def update(self, gradient: Tensor, rate: float, momentum: float, weight_decay: float) -> None:
        """One step of SGD."""
        direction = gradient.add(self.parameters, alpha=weight_decay) if weight_decay else gradient
        self.velocity = self.velocity.mul(momentum).add_(direction) if momentum else direction
        self.parameters = self.parameters.sub(self.velocity, alpha=rate)


def loss_and_gradient(
    net: NetworkFunction, parameters: Tensor, images: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross-entropy [], logits [n, classes] and the gradient by the parameters [size]."""
    with torch.enable_grad():
        leaf = parameters.detach().requires_grad_()
        logits = net(leaf, images)
        loss = F.cross_entropy(logits, labels)
        (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), logits.detach(), gradient


def batches(count: int, size: int, draws: torch.Generator) -> Iterator[Tensor]:
    """Indices of one epoch's batches: chunks of a random permutation, the last one smaller."""
    yield from torch.split(torch.randperm(count, generator=draws), size)


@dataclass(frozen=True)
class EpochStatistics:
    """Means over an epoch's images, as they were seen."""

    loss: float
    accuracy: float


def train_epoch(
    net: NetworkFunction,
    trainee: Trainee,
    images: Tensor,
    labels: Tensor,
    *,
    rate: float,
    momentum: float,
    weight_decay: float,
    batch_size: int,
    augment: Augment | None,
    draws: torch.Generator,
    tick: Callable[[], None],
) -> EpochStatistics:
    """One epoch over all images in a new random order.

    Args:
        images: [n, c, h, w] in network space; ``labels`` int64 [n] or probabilities [n, classes].
        augment: None trains on the images as they are.
        draws: of the order and of the augmentation.
        tick: called before every step; may raise to stop.
    """
    total, right = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    for batch in batches(len(labels), batch_size, draws):
        tick()
        chosen = batch.to(images.device)
        x, y = images[chosen], labels[chosen]
        if augment is not None and augment.enabled:
            x = augment(x, augment.draw(len(batch), draws).to(images.device))
        loss, logits, gradient = loss_and_gradient(net, trainee.parameters, x, y)
        trainee.update(gradient, rate, momentum, weight_decay)
        total += loss * len(batch)
        hard = y if y.ndim == 1 else y.argmax(1)
        right += (logits.argmax(1) == hard).sum()
    return EpochStatistics(float(total) / len(labels), float(right) / len(labels))


@torch.no_grad()
def accuracy(
    net: NetworkFunction, parameters: Tensor, images: Tensor, labels: Tensor, tick: Callable[[], None]
) -> float:
    """Share of the images whose largest logit is their label."""
    right = torch.zeros((), dtype=torch.int64, device=images.device)
    for start in range(0, len(labels), CHUNK):
        tick()
        logits = net(parameters, images[start : start + CHUNK])
        right += (logits.argmax(1) == labels[start : start + CHUNK]).sum()
    return int(right) / len(labels)
