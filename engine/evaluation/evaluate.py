"""Judging a synthetic set: networks trained on it from scratch and measured on real images."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.data.augment import Augment
from engine.data.cutmix import as_probabilities
from engine.data.prepare import RealSet
from engine.errors import DataError
from engine.evaluation.counting import Count
from engine.evaluation.protocols import PROTOCOLS, Protocol
from engine.events import Evaluation
from engine.networks import ConvNet
from engine.seeds import generator
from engine.stacked import apart, company_sizes, gradient_function, together
from engine.training import Sets, Trainee, accuracy, train_epoch

EAGER: Mapping[str, Any] = {"precision": "float32"}
"""How networks are computed where nothing else is asked for."""

Purpose = Sequence[str | int]
"""What a network is for: with the seed it decides every draw of its training."""


@dataclass(frozen=True)
class Score:
    """Accuracies 0..1 of several networks, their mean and standard deviation (n-1; nan for one).

    Attributes:
        protocol: name of the protocol the networks were trained by.
        measured_on: "test" or "validation" images.
        seconds: wall time.
        step_size: the set's own, where the protocol trains at it.
    """

    mean: float
    std: float
    accuracies: Sequence[float]
    protocol: str
    measured_on: str
    seconds: float
    step_size: float | None = None

    @classmethod
    def of(
        cls,
        accuracies: Sequence[float],
        protocol: str,
        measured_on: str,
        seconds: float,
        step_size: float | None = None,
    ) -> Score:
        """The score of a sample."""
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else math.nan
        return cls(statistics.fmean(accuracies), spread, list(accuracies), protocol, measured_on, seconds, step_size)

    def event(self, subject: str, iteration: int, selected_on: str, *, best: bool = False) -> Evaluation:
        """How it is told of: what was judged, as it stood at which iteration, and which images chose that."""
        return Evaluation(
            iteration=iteration,
            subject=subject,
            protocol=self.protocol,
            mean=self.mean,
            std=self.std,
            accuracies=list(self.accuracies),
            selected_on=selected_on,
            measured_on=self.measured_on,
            seconds=self.seconds,
            best_so_far=best,
            step_size=self.step_size,
        )


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
    purpose: Purpose,
    tick: Callable[[], None] = nothing,
    execution: Mapping[str, Any] = EAGER,
) -> Tensor:
    """Flat parameters [size] of one network trained on a set from a random start, see :func:`train_networks`."""
    return train_networks(
        [(images, labels)],
        step_size,
        net=net,
        protocol=protocol,
        augment=augment,
        seed=seed,
        purposes=[purpose],
        tick=tick,
        execution=execution,
    )[0]


def train_networks(
    sets: Sequence[tuple[Tensor, Tensor]],
    step_size: float | None,
    *,
    net: ConvNet,
    protocol: Protocol,
    augment: Augment,
    seed: int,
    purposes: Sequence[Purpose],
    tick: Callable[[], None] = nothing,
    progress: Callable[[int, int], None] | None = None,
    execution: Mapping[str, Any] = EAGER,
) -> Tensor:
    """Flat parameters [networks, size] of networks trained on sets from random starts.

    Small ones are trained several at once. What becomes of a network depends on its set, seed and purpose
    alone, and not on how many others are trained.

    Args:
        sets: for each network, or one for all: images [n, c, h, w] in network space, labels int64 [n] or
            probabilities [n, classes]; all of one size.
        step_size: learned with the sets, for protocols that use it.
        purposes: one for each network.
        tick: called before every step; may raise to stop.
        progress: hears of networks trained, out of all.
        execution: its "precision" is computed in.
    """
    if protocol.cutmix:
        sets = [(images, as_probabilities(labels, net.classes)) for images, labels in sets]
    drawn_from = augment.without(protocol.without) if protocol.augment else None
    batch = min(protocol.batch_size, len(sets[0][1]))
    most = together(net, batch, sets[0][0].device)
    gradient = gradient_function(net, execution, batch)
    trained: list[Tensor] = []
    for turn, company in enumerate(company_sizes(len(purposes), most, twins=not apart(execution))):
        first = turn * most
        count = min(most, len(purposes) - first)
        numbers = [min(first + place, len(purposes) - 1) for place in range(company)]  # the last one's twin, if any
        named = [("evaluation", *purposes[number]) for number in numbers]
        starts = torch.stack([net.init(generator(seed, *name, "init")) for name in named])
        trainee = Trainee.fresh(starts.to(sets[0][0].device))
        chosen = Sets.shared(*sets[0], len(numbers)) if len(sets) == 1 else Sets.apart([sets[n] for n in numbers])
        draws = [generator(seed, *name, "draws") for name in named]
        for epoch in range(protocol.epochs):
            train_epoch(
                gradient,
                trainee,
                chosen,
                rate=protocol.rate(epoch, step_size),
                momentum=protocol.momentum,
                weight_decay=protocol.weight_decay,
                batch_size=protocol.batch_size,
                augment=drawn_from,
                draws=draws,
                tick=tick,
                cutmix=protocol.cutmix,
            )
            if progress is not None:
                progress(first + count * (epoch + 1) // protocol.epochs, len(purposes))
        trained += trainee.parameters[:count].unbind(0)
    return torch.stack(trained)


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
    purpose: Purpose,
    on: str = "test",
    tick: Callable[[], None] = nothing,
    progress: Callable[[int, int], None] | None = None,
    execution: Mapping[str, Any] = EAGER,
) -> Score:
    """Train ``networks`` networks on a set and measure them.

    Args:
        images: [n, c, h, w] in network space; ``labels`` int64 [n] or probabilities [n, classes].
        step_size: the set's own, where it has one.
        protocol: a name in ``PROTOCOLS``.
        purpose: with the seed and the network's number decides every draw; no global seed is touched.
        on: "test" or "validation" ("none" means test).
        tick: called before every step and chunk of images; may raise to stop.
        progress: hears of networks trained and measured, out of all.
        execution: its "precision" is computed in.

    Raises:
        DataError: there are no validation images.
    """
    (score,) = evaluate_on(
        [on], images, labels, step_size, net=net, real=real, protocol=protocol, networks=networks, augment=augment,
        seed=seed, purpose=purpose, tick=tick, progress=progress, execution=execution,
    )  # fmt: skip
    return score


def evaluate_on(
    places: Sequence[str],
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
    purpose: Purpose,
    tick: Callable[[], None] = nothing,
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    execution: Mapping[str, Any] = EAGER,
) -> list[Score]:
    """The same networks measured on several sets of real images: a score for each of ``places``, as :func:`evaluate`
    takes and gives them. ``clock`` in seconds, for what it took: a pause is none of it."""
    began = clock()
    measured = ["validation" if place == "validation" else "test" for place in places]
    targets = [measured_images(real, place) for place in measured]
    settings = PROTOCOLS[protocol]
    tests = sum(len(answers) for _, answers in targets)
    count = Count(progress, networks, trained_on=settings.epochs * len(labels), measured_on=tests)
    parameters = train_networks(
        [(images, labels)],
        step_size,
        net=net,
        protocol=settings,
        augment=augment,
        seed=seed,
        purposes=[(*purpose, index) for index in range(networks)],
        tick=tick,
        progress=count.trained,
        execution=execution,
    )
    found: list[list[float]] = [[] for _ in targets]
    for one in parameters:
        for scores, target in zip(found, targets, strict=True):
            scores.append(accuracy(net, one, *target, tick, execution))
        count.measured()
    seconds = clock() - began
    used = step_size if settings.uses_step_size else None
    return [Score.of(each, protocol, place, seconds, used) for each, place in zip(found, measured, strict=True)]


def measured_images(real: RealSet, on: str) -> tuple[Tensor, Tensor]:
    """The images and labels that networks are measured on: "test" or "validation".

    Raises:
        DataError: there are no validation images.
    """
    if on == "test":
        return real.test_images, real.test_labels
    if real.validation_images is None or real.validation_labels is None:
        raise DataError("there are no validation images: set data.validation")
    return real.validation_images, real.validation_labels
