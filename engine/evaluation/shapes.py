"""The shapes in which a run's judging networks are trained, so that all of them can be compiled beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from engine.config.schema import Config
from engine.evaluation.protocols import PROTOCOLS
from engine.networks import ConvNet
from engine.stacked import company_sizes, together


class Shape(NamedTuple):
    """``company`` networks side by side on batches of ``batch`` images, with soft labels or hard ones."""

    batch: int
    company: int
    soft: bool


def draws_at_once(config: Config, classes: int, net: ConvNet, device: torch.device) -> int:
    """How many draws of random real images to train at once: as many as their networks are trained side by side."""
    batch = min(PROTOCOLS[config.evaluation.protocol].batch_size, config.synthetic.images_per_class * classes)
    return max(1, together(net, batch, device) // config.evaluation.random_networks)


def judging_shapes(config: Config, classes: int, net: ConvNet, device: torch.device) -> list[Shape]:
    """All that live and final evaluations and the random selection train; on a CPU only one alone is ever compiled."""
    return sorted({shape for shape in _all(config, classes, net, device) if device.type != "cpu" or shape.company == 1})


def _all(config: Config, classes: int, net: ConvNet, device: torch.device) -> Iterator[Shape]:
    settings = config.evaluation
    stored = config.synthetic.images_per_class * classes
    soft = config.synthetic.labels != "hard"
    for protocol, networks in (
        (settings.live_protocol, settings.live_networks if settings.every else 0),
        (settings.protocol, settings.networks),
    ):
        batch = min(PROTOCOLS[protocol].batch_size, stored * config.synthetic.formation**2)
        yield from (Shape(batch, size, soft) for size in company_sizes(networks, together(net, batch, device)))
    batch = min(PROTOCOLS[settings.protocol].batch_size, stored)
    at_once = draws_at_once(config, classes, net, device)
    for first in range(0, settings.random_draws, at_once):
        networks = min(at_once, settings.random_draws - first) * settings.random_networks
        taught = config.synthetic.labels == "softmax"
        yield from (Shape(batch, size, taught) for size in company_sizes(networks, together(net, batch, device)))
