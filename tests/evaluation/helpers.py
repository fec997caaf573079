"""Small sets to be judged, and a plain way to train a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.types import RawSet
from engine.evaluation.evaluate import Score, evaluate
from engine.evaluation.protocols import PROTOCOLS, Protocol
from engine.networks import ConvNet
from engine.seeds import generator
from tests.distill.helpers import tiny

EXECUTION = {"device": "cpu", "precision": "float32", "threads": 1}


@contextmanager
def shortened(epochs: int = 4) -> Iterator[None]:
    """Every protocol with a few epochs, the rate lowered after the same parts of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, protocol in PROTOCOLS.items():
            falls = tuple((first * epochs // protocol.epochs, factor) for first, factor in protocol.falls)
            patch.setitem(PROTOCOLS, name, replace(protocol, epochs=epochs, falls=falls))
        yield


@dataclass
class Court:
    """What judging needs, and a set to be judged."""

    raw: RawSet
    config: Config

    def __post_init__(self) -> None:
        self.real: RealSet = prepare(
            self.raw, self.config.data, seed=self.config.experts.seed, readout=self.config.information.readout
        )
        self.net = ConvNet(self.config.network, self.real.shape, self.real.classes)
        self.augment = Augment(self.config.augmentation, self.real.shape)
        self.images = torch.randn(20, *self.real.shape, generator=generator(0, "judged"))
        self.labels = torch.arange(10).repeat_interleave(2)

    def score(self, **changes: Any) -> Score:
        arguments: dict[str, Any] = {
            "net": self.net, "real": self.real, "protocol": "quick-100", "networks": 3, "augment": self.augment,
            "seed": 0, "purpose": ("test",),
        }  # fmt: skip
        given = {"images": self.images, "labels": self.labels, "step_size": 0.05, **changes}
        arguments |= {name: value for name, value in given.items() if name not in ("images", "labels", "step_size")}
        return evaluate(given["images"], given["labels"], given["step_size"], **arguments)


def court(raw: RawSet, **changes: Any) -> Court:
    """The tiny run's court."""
    return Court(raw, tiny(**changes))


def plainly_trained(
    court: Court, protocol: Protocol, step_size: float | None, *, seed: int, purpose: tuple[str | int, ...]
) -> Tensor:
    """One network trained by torch's own optimiser: MTT's evaluation and DREAM's, written out."""
    draws = generator(seed, "evaluation", *purpose, "draws")
    parameters = court.net.init(generator(seed, "evaluation", *purpose, "init")).requires_grad_()
    rate = step_size if protocol.uses_step_size and step_size is not None else protocol.learning_rate
    optimiser = torch.optim.SGD([parameters], lr=rate, momentum=protocol.momentum, weight_decay=protocol.weight_decay)
    left = [name for name in court.augment.strategies if name not in protocol.without]
    settings = court.config.augmentation.model_copy(update={"strategy": "_".join(left) or "none"})
    augment = Augment(settings, court.real.shape)
    for epoch in range(protocol.epochs):
        optimiser.param_groups[0]["lr"] *= math.prod(factor for first, factor in protocol.falls if first == epoch)
        for chosen in torch.split(torch.randperm(len(court.labels), generator=draws), protocol.batch_size):
            x = court.images[chosen]
            if protocol.augment:
                x = augment(x, augment.draw(len(chosen), draws))
            share, other = 1.0, chosen
            if protocol.cutmix and float(torch.rand((), generator=draws)) < protocol.cutmix:
                x, order, share = plainly_mixed(x, draws)
                other = chosen[order]
            optimiser.zero_grad()
            logits = court.net(parameters, x)
            own, others = (F.cross_entropy(logits, court.labels[each]) for each in (chosen, other))
            torch.autograd.backward(share * own + (1 - share) * others)
            optimiser.step()
    return parameters.detach()


def plainly_mixed(images: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Images with a box of others', whose others, and the share that is left of an image: pixels copied one by one."""
    order = torch.randperm(len(images), generator=draws)
    side = math.sqrt(1 - float(torch.rand((), generator=draws)))
    result, left = images.clone(), 0
    height, width = images.shape[2:]
    y, x = (float(value) for value in torch.rand(2, generator=draws))
    for row in range(height):
        for column in range(width):
            inside = [
                int(centre * length - side * length / 2) <= place < int(centre * length + side * length / 2)
                for place, centre, length in ((row, y, height), (column, x, width))
            ]
            if all(inside):
                result[:, :, row, column] = images[order, :, row, column]
            left += not all(inside)
    return result, order, left / (height * width)
