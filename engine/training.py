"""Ordinary training of networks on images: what experts and evaluations share.

SGD with momentum and weight decay on flat parameter vectors, in ``torch.optim.SGD``'s form::

    d = gradient + weight_decay * parameters;  velocity = momentum * velocity + d;  parameters -= rate * velocity

Networks are trained k at a time, each with draws of its own (``engine.stacked``); one alone is k = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.data.augment import Augment, Draw
from engine.data.cutmix import sometimes_cutmix
from engine.networks import ConvNet
from engine.portions import portion
from engine.stacked import Gradient, Stack, emulates, gradient_function

__all__ = ["EpochStatistics", "Sets", "Trainee", "accuracy", "gradient_function", "train_epoch"]

CHUNK = 500
"""Images measured at once where no portion is smaller: whole test sets fit no memory."""


@dataclass
class Trainee:
    """k networks being trained: flat parameters [k, size] and SGD's velocities [k, size].

    Every update makes new tensors, so that a snapshot never aliases what is trained on.
    """

    parameters: Tensor
    velocity: Tensor

    @classmethod
    def fresh(cls, parameters: Tensor) -> Trainee:
        """Networks at the start of their training."""
        return cls(parameters, torch.zeros_like(parameters))

    def update(self, gradient: Tensor, rate: float, momentum: float, weight_decay: float) -> None:
        """One step of SGD by the gradients [k, size]."""
        direction = gradient.add(self.parameters, alpha=weight_decay) if weight_decay else gradient
        self.velocity = self.velocity.mul(momentum).add_(direction) if momentum else direction
        self.parameters = self.parameters.sub(self.velocity, alpha=rate)


@dataclass(frozen=True)
class Sets:
    """What each of k networks is trained on: a stretch of ``size`` images, its own or shared by all.

    Attributes:
        images: [m, c, h, w] in network space.
        labels: int64 [m] or probabilities [m, classes].
        starts: for each network, where its stretch begins.
    """

    images: Tensor
    labels: Tensor
    size: int
    starts: Sequence[int]

    @classmethod
    def shared(cls, images: Tensor, labels: Tensor, networks: int) -> Sets:
        """One set for all networks."""
        return cls(images, labels, len(labels), [0] * networks)

    @classmethod
    def apart(cls, sets: Sequence[tuple[Tensor, Tensor]]) -> Sets:
        """A set for each network: images and labels, all of the same size."""
        size = len(sets[0][1])
        images, labels = torch.cat([s[0] for s in sets]), torch.cat([s[1] for s in sets])
        return cls(images, labels, size, [size * number for number in range(len(sets))])

    def take(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Images [k, b, c, h, w] and labels [k, b, ...] at the positions [k, b] in each network's stretch."""
        chosen = (batch + torch.tensor(self.starts).unsqueeze(1)).flatten().to(self.images.device, non_blocking=True)
        images, labels = self.images.index_select(0, chosen), self.labels.index_select(0, chosen)
        return images.view(*batch.shape, *images.shape[1:]), labels.view(*batch.shape, *labels.shape[1:])


def warm_batch(images: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Images [1, b, c, h, w] of [n, c, h, w], and labels [1, b], laid out as training meets them: compilers look at
    strides too."""
    chosen = images[torch.arange(batch, device=images.device) % len(images)]
    return chosen[None], torch.zeros(1, batch, dtype=torch.int64, device=images.device)


def batches(count: int, size: int, draws: Sequence[torch.Generator]) -> Iterator[Tensor]:
    """Positions [k, b] of one epoch's batches: chunks of a random permutation for each network, the last smaller."""
    yield from torch.split(torch.stack([torch.randperm(count, generator=one) for one in draws]), size, 1)


def augmented(augment: Augment, images: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
    """Images [k, b, c, h, w], each network's by a draw of its own; networks that drew alike are computed at once."""
    b = images.shape[1]
    drawn = [augment.draw(b, one) for one in draws]
    result = list(images.unbind(0))
    for op in sorted({draw.op for draw in drawn}):
        members = [number for number, draw in enumerate(drawn) if draw.op == op]
        together = Draw(op, torch.cat([drawn[number].values for number in members]))
        done = augment(torch.cat([images[number] for number in members]), together.to(images.device))
        for number, part in zip(members, torch.split(done, b), strict=True):
            result[number] = part
    return torch.stack(result)


def mixed(
    probability: float, images: Tensor, labels: Tensor, draws: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Images [k, b, c, h, w] and probabilities [k, b, classes], each network's batch mixed by CutMix or not."""
    given = zip(images, labels, draws, strict=True)
    pairs = [sometimes_cutmix(probability, one, theirs, draw) for one, theirs, draw in given]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


@dataclass(frozen=True)
class EpochStatistics:
    """Means [k] over an epoch's images as they were seen, on the device: reading them waits for it. Of soft or mixed
    labels the largest counts as the right one."""

    loss: Tensor
    accuracy: Tensor


def train_epoch(
    gradient: Gradient,
    trainee: Trainee,
    sets: Sets,
    *,
    rate: float,
    momentum: float,
    weight_decay: float,
    batch_size: int,
    augment: Augment | None,
    draws: Sequence[torch.Generator],
    tick: Callable[[], None],
    cutmix: float = 0.0,
) -> EpochStatistics:
    """One epoch of k networks, each over all its images in a new random order.

    Args:
        gradient: how losses and gradients are computed, see :func:`engine.stacked.gradient_function`.
        augment: None trains on the images as they are.
        draws: for each network, of its order and its augmentation.
        tick: called before every step; may raise to stop.
        cutmix: probability that a batch is mixed, after its augmentation; above 0 the labels are probabilities.
    """
    total = right = torch.zeros(len(draws), device=sets.images.device)
    for batch in batches(sets.size, batch_size, draws):
        tick()
        images, labels = sets.take(batch)
        if augment is not None and augment.enabled:
            images = augmented(augment, images, draws)
        if cutmix:
            images, labels = mixed(cutmix, images, labels, draws)
        losses, logits, slopes = gradient(trainee.parameters, images, labels)
        trainee.update(slopes, rate, momentum, weight_decay)
        hard = labels if labels.ndim == 2 else labels.argmax(2)
        total = total + losses * batch.shape[1]
        right = right + (logits.argmax(2) == hard).sum(1)
    return EpochStatistics(total / sets.size, right / sets.size)


@torch.no_grad()
def accuracy(
    net: ConvNet,
    parameters: Tensor,
    images: Tensor,
    labels: Tensor,
    tick: Callable[[], None],
    execution: Mapping[str, Any] | None = None,
) -> float:
    """Share of the images [n, c, h, w] whose largest logit is their label; parameters [size].

    Args:
        tick: called before every chunk of images; may raise to stop.
        execution: its "precision" is computed in; None is float32, and so is bfloat16 where it would be emulated.
    """
    precision = str(execution["precision"]) if execution else "float32"
    stack = Stack(net, "float32" if emulates(precision, images.device) else precision)
    tensors = stack.split(parameters.unsqueeze(0))
    right = torch.zeros((), dtype=torch.int64, device=images.device)
    size = portion(net, CHUNK, images.device)
    for part, named in zip(torch.split(images, size), torch.split(labels, size), strict=True):
        tick()
        right += (stack.logits(tensors, part.unsqueeze(0))[0].argmax(1) == named).sum()
    return int(right) / len(labels)
