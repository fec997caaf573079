"""Training experts: plain SGD on the real set, all their parameters kept after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.config.schema import Experts
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.networks import ConvNet
from engine.seeds import generator
from engine.stacked import Gradient
from engine.training import Sets, Trainee, train_epoch


@dataclass
class Expert:
    """An expert on its way: its path so far, and SGD's velocity [size] after the last epoch.

    Attributes:
        path: float32 [epochs + 1, size] on the CPU; rows up to ``epoch`` are filled.
        epoch: epochs done.
        loss: mean over the last epoch's batches, as they were seen; nan before the first.
        train_accuracy: likewise, 0..1.
    """

    number: int
    path: Tensor
    velocity: Tensor
    epoch: int = 0
    loss: float = float("nan")
    train_accuracy: float = float("nan")

    @classmethod
    def fresh(cls, number: int, net: ConvNet, settings: Experts) -> Expert:
        """Expert ``number`` before its first epoch."""
        start = net.init(generator(settings.seed, "expert", number, "init"))
        path = torch.zeros(settings.epochs + 1, net.size)
        path[0] = start
        return cls(number, path, torch.zeros_like(start))


def train_experts(
    experts: Sequence[Expert],
    gradient: Gradient,
    real: RealSet,
    augment: Augment,
    settings: Experts,
    *,
    tick: Callable[[], None],
    after_epoch: Callable[[Expert], None],
) -> None:
    """Train experts side by side from where they are, all after the same epoch, to their last one.

    Every epoch has a generator of its own, so that an expert taken up again after an epoch goes on to the
    same bits. ``after_epoch`` hears of every expert's epochs; ``tick`` may raise between steps, which leaves the
    experts as they were after their last whole epoch.
    """
    device = real.train_images.device
    starts = torch.stack([expert.path[expert.epoch] for expert in experts]).to(device)
    trainee = Trainee(starts, torch.stack([expert.velocity for expert in experts]).to(device))
    sets = Sets.shared(real.train_images, real.train_labels, len(experts))
    while (epoch := experts[0].epoch) < settings.epochs:
        statistics = train_epoch(
            gradient,
            trainee,
            sets,
            rate=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            batch_size=settings.batch_size,
            augment=augment if settings.augment else None,
            draws=[generator(settings.seed, "expert", expert.number, "epoch", epoch) for expert in experts],
            tick=tick,
        )
        # Copies: no row aliases what is trained on.
        velocities = [velocity.to("cpu", copy=True) for velocity in trainee.velocity]
        losses, accuracies = statistics.loss.tolist(), statistics.accuracy.tolist()
        for number, expert in enumerate(experts):
            expert.path[epoch + 1] = trainee.parameters[number]
        for expert, velocity, loss, accuracy in zip(experts, velocities, losses, accuracies, strict=True):
            # One statement without a call: an interruption finds the epoch before or this one, never half of it.
            expert.velocity, expert.loss, expert.train_accuracy, expert.epoch = velocity, loss, accuracy, epoch + 1
        for expert in experts:
            after_epoch(expert)
