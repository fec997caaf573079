"""Judging a synthetic set: networks trained on it from scratch and measured on real images."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.errors import DataError
from engine.evaluation.protocols import PROTOCOLS, Protocol
from engine.networks import ConvNet
from engine.seeds import generator
from engine.training import Trainee, accuracy, train_epoch


@dataclass(frozen=True)
class Score:
    """Accuracies 0..1 of several networks, their mean and standard deviation (n-1; nan for one)."""

    mean: float
    std: float
    accuracies: Sequence[float]
    protocol: str
    measured_on: str
    seconds: float

    @classmethod
    def of(cls, accuracies: Sequence[float], protocol: str, measured_on: str, seconds: float) -> Score:
        """The score of a sample."""
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else math.nan
        return cls(statistics.fmean(accuracies), spread, list(accuracies), protocol, measured_on, seconds)


def nothing() -> None:
    """The tick of whoever needs none."""


def train_network(
    images: Tensor,
    labels: Tensor,
    step_size: float | None,
    *,
    net: ConvNet,
    protocol: Protocol,
    augment: Augment,
    seed: int,
    purpose: Sequence[str | int],
    tick: Callable[[], None] = nothing,
) -> Tensor:
    """Flat parameters [size] of one network trained on a set from a random start.

    Args:
        images: [n, c, h, w] in network space; ``labels`` int64 [n] or probabilities [n, classes].
        purpose: what the network is for; with the seed it decides every draw.
    """
    start = net.init(generator(seed, "evaluation", *purpose, "init"))
    trainee = Trainee.fresh(start.to(images.device))
    draws = generator(seed, "evaluation", *purpose, "draws")
    for epoch in range(protocol.epochs):
        train_epoch(
            net,
            trainee,
            images,
            labels,
            rate=protocol.rate(epoch, step_size),
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
            batch_size=protocol.batch_size,
            augment=augment if protocol.augment else None,
            draws=draws,
            tick=tick,
        )
    return trainee.parameters


def evaluate(
    images: Tensor,
    labels: Tensor,
    step_size: float | None,
    *,
    net: ConvNet,
    real: RealSet,
    protocol: str,
    networks: int,
    augment: Augment,
    seed: int,
    purpose: Sequence[str | int],
    on: str = "test",
    tick: Callable[[], None] = nothing,
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """Train ``networks`` networks on a set and measure them.

    Args:
        images: [n, c, h, w] in network space; ``labels`` int64 [n] or probabilities [n, classes].
        step_size: the set's own, where it has one.
        protocol: a name in ``PROTOCOLS``.
        purpose: with the seed and the network's number decides every draw; no global seed is touched.
        on: "test" or "validation" ("none" means test).

    Raises:
        DataError: there are no validation images.
    """
    began = time.perf_counter()
    measured = "validation" if on == "validation" else "test"
    targets = (real.test_images, real.test_labels)
    if measured == "validation":
        if real.validation_images is None or real.validation_labels is None:
            raise DataError("there are no validation images: set data.validation")
        targets = (real.validation_images, real.validation_labels)
    found = []
    for index in range(networks):
        parameters = train_network(
            images,
            labels,
            step_size,
            net=net,
            protocol=PROTOCOLS[protocol],
            augment=augment,
            seed=seed,
            purpose=(*purpose, index),
            tick=tick,
        )
        found.append(accuracy(net, parameters, *targets, tick))
        if progress is not None:
            progress(index + 1, networks)
    return Score.of(found, protocol, measured, time.perf_counter() - began)
