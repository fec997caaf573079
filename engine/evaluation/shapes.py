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
from engine.stacked import gradient_function, together
from engine.training import warm_batch


class Shape(NamedTuple):
    """Networks on batches of ``batch`` images, with soft labels or hard ones."""

    batch: int
    soft: bool


def draws_at_once(config: Config, classes: int, net: ConvNet, device: torch.device) -> int:
    """How many draws of random real images to train at once: as many as their networks are trained side by side."""
    batch = min(PROTOCOLS[config.evaluation.protocol].batch_size, config.synthetic.images_per_class * classes)
    return max(1, together(net, batch, device) // config.evaluation.random_networks)


def shapes_of(protocol: str, labels: Tensor, net: ConvNet) -> list[Shape]:
    """Those of networks trained by a protocol on a set with these labels."""
    return _compiled({_shape(protocol, len(labels), soft=labels.ndim == 2)}, net, labels.device)


def judging_shapes(config: Config, classes: int, net: ConvNet, device: torch.device) -> list[Shape]:
    """All that live and final evaluations and the random real images of a run train."""
    return _compiled(set(_all(config, classes)), net, device)


def compile_shapes(shapes: Sequence[Shape], images: Tensor, net: ConvNet, numerics: Mapping[str, Any]) -> None:
    """Compile the training step for shapes, by taking one of each on images [n, c, h, w] that training could meet.

    Args:
        numerics: as ``Resolved.numerics`` gives it.
    """
    for shape in shapes:
        batch, labels = warm_batch(images, shape.batch)
        targets = F.one_hot(labels, net.classes).float() if shape.soft else labels
        start = torch.zeros(1, net.size, device=images.device)
        gradient_function(net, numerics, shape.batch)(start, batch, targets)


def _compiled(shapes: set[Shape], net: ConvNet, device: torch.device) -> list[Shape]:
    """Those of them that are compiled: on a CPU only where a network is trained alone."""
    return sorted(shape for shape in shapes if device.type != "cpu" or together(net, shape.batch, device) == 1)


def _all(config: Config, classes: int) -> Iterator[Shape]:
    settings = config.evaluation
    stored = config.synthetic.images_per_class * classes
    decoded = stored * config.synthetic.formation**2
    if settings.every and settings.live_networks:
        yield _shape(settings.live_protocol, decoded, soft=config.synthetic.labels != "hard")
    yield _shape(settings.protocol, decoded, soft=config.synthetic.labels != "hard")
    if settings.random_draws:
        yield _shape(settings.protocol, stored, soft=config.synthetic.labels == "softmax")


def _shape(protocol: str, images: int, *, soft: bool) -> Shape:
    """Of networks trained by a protocol on so many images: labels that are mixed are soft, whatever they were."""
    named = PROTOCOLS[protocol]
    return Shape(min(named.batch_size, images), soft or named.cutmix > 0)
