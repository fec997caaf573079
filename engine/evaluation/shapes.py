"""The shapes in which judging networks are trained, so that all of them can be compiled beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Config
from engine.evaluation.protocols import PROTOCOLS
from engine.networks import ConvNet
from engine.stacked import company_sizes, gradient_function, together
from engine.training import warm_batch


class Shape(NamedTuple):
    """``company`` networks side by side on batches of ``batch`` images, with soft labels or hard ones."""

    batch: int
    company: int
    soft: bool


def draws_at_once(config: Config, classes: int, net: ConvNet, device: torch.device) -> int:
    """How many draws of random real images to train at once: as many as their networks are trained side by side."""
    batch = min(PROTOCOLS[config.evaluation.protocol].batch_size, config.synthetic.images_per_class * classes)
    return max(1, together(net, batch, device) // config.evaluation.random_networks)


def shapes_of(protocol: str, networks: int, labels: Tensor, net: ConvNet) -> list[Shape]:
    """Those of ``networks`` networks trained by a protocol on a set with these labels."""
    batch = min(PROTOCOLS[protocol].batch_size, len(labels))
    sizes = company_sizes(networks, together(net, batch, labels.device))
    return _compiled({Shape(batch, size, labels.ndim == 2) for size in sizes}, labels.device)


def judging_shapes(config: Config, classes: int, net: ConvNet, device: torch.device) -> list[Shape]:
    """All that live and final evaluations and the random selection of a run train."""
    return _compiled(set(_all(config, classes, net, device)), device)


def compile_shapes(shapes: Sequence[Shape], images: Tensor, net: ConvNet, numerics: Mapping[str, Any]) -> None:
    """Compile the training step for shapes, by taking one of each on images [n, c, h, w] that training could meet.

    Args:
        numerics: as ``Resolved.numerics`` gives it.
    """
    for shape in shapes:
        batch, labels = warm_batch(images, shape.batch, shape.company)
        targets = F.one_hot(labels, net.classes).float() if shape.soft else labels
        starts = torch.zeros(shape.company, net.size, device=images.device)
        gradient_function(net, numerics, shape.batch)(starts, batch, targets)


def _compiled(shapes: set[Shape], device: torch.device) -> list[Shape]:
    """Those of them that are compiled: on a CPU only one network alone ever is."""
    return sorted(shape for shape in shapes if device.type != "cpu" or shape.company == 1)


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
