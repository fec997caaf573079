"""Several networks of one layout at once: their logits, losses and gradients.

Each network has parameters and images of its own. They are computed side by side, as one network whose
channels fall into as many groups: a convolution in groups, a normalisation in as many times the groups,
one batched product at the end. Small networks on small sets cost mostly the issuing of operations, and that
is shared; one network alone is the same code with a single group. Kept apart from the networks' own calls,
which are differentiated twice: here a native normalisation and a layout with the channels last are free to
be used, which a first derivative has and which are about a third faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine import compilation, portions
from engine.kernels import FirstDerivative
from engine.networks import ConvNet
from engine.networks.convnet import EPSILON, GROUPS

Gradient = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Of parameters [k, size], images [k, n, c, h, w] and labels (int64 [k, n] or probabilities [k, n, classes]):
each network's mean cross-entropy [k], its logits [k, n, classes], and its loss's gradient [k, size]."""

TOGETHER = 600_000
"""Activations (floats of the first blocks' outputs) worth computing at once on a CPU: beyond, arithmetic costs more
than issuing it, and networks one after another are as fast (measured on two AVX-512 cores)."""

TOGETHER_ON_GPU = 140_000_000
"""The same on a GPU, which wants more work at once; bounded by memory, some 3 GB with what a gradient keeps."""

MOST_ON_GPU = 8
"""Networks side by side on a GPU: what a step costs besides their gradients, and small eager kernels, they share."""


def together(net: ConvNet, batch: int, device: torch.device) -> int:
    """How many networks to train at once on batches of ``batch`` images: one, or an even number. Libraries sum an odd
    number of groups by other kernels on some processors, and a network's bits shall be the same in any company.

    A function of sizes alone, never of a timing: the same set-up gives the same bits.
    """
    _, height, width = net.shape
    padding = 2 * (net.first_padding - 1)
    activations = batch * net.network.width * (height + padding) * (width + padding)
    most = TOGETHER // activations if device.type == "cpu" else min(MOST_ON_GPU, TOGETHER_ON_GPU // activations)
    return max(1, most - most % 2)


def company_sizes(count: int, most: int, *, twins: bool = True) -> list[int]:
    """How many networks are computed at once, group by group, to train ``count`` of them.

    Args:
        twins: an odd group gets a twin; needless where each is computed apart (:func:`apart`).
    """
    sizes = [min(most, count - first) for first in range(0, count, most)]
    return [size + size % 2 if most > 1 and twins else size for size in sizes]


def apart(execution: Mapping[str, Any]) -> bool:
    """Whether a company's networks are computed one after another by one compiled graph, and not as groups of one
    network: a graph of them all takes as many times as long to compile."""
    return bool(execution.get("compile")) and str(execution.get("device", "cpu")) != "cpu"


class Stack:
    """The layout of ``k`` networks side by side.

    Args:
        net: the layout of each.
        precision: "float32", or "mixed" for convolutions and products in bfloat16.
    """

    def __init__(self, net: ConvNet, precision: str = "float32") -> None:
        self.net = net
        self.precision = precision
        self._sizes = [slot.stop - slot.start for slot in net.slots]

    def split(self, parameters: Tensor) -> list[Tensor]:
        """The tensors [k, ...] of parameters [k, size], in the order of the layout's slots."""
        parts = torch.split(parameters, self._sizes, 1)
        return [part.reshape(-1, *slot.shape) for part, slot in zip(parts, self.net.slots, strict=True)]

    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """What :meth:`split` took apart, [k, size]."""
        return torch.cat([tensor.flatten(1) for tensor in tensors], 1)

    def logits(self, tensors: Sequence[Tensor], images: Tensor) -> Tensor:
        """Logits [k, n, classes] of k networks, each on its own images [k, n, c, h, w]."""
        with self._arithmetic(images.device):
            return self._forward(tensors, images).to(tensors[0].dtype)

    def _forward(self, tensors: Sequence[Tensor], images: Tensor) -> Tensor:
        network, parts = self.net.network, iter(tensors)
        k, n = images.shape[:2]
        x = images.transpose(0, 1).reshape(n, -1, *images.shape[3:])
        layout = self._layout(x.device)
        x = x.contiguous(memory_format=layout)
        for block in range(network.depth):
            weight = next(parts).flatten(0, 1).contiguous(memory_format=layout)
            padding = self.net.first_padding if block == 0 else 1
            x = F.conv2d(x, weight, next(parts).flatten(), padding=padding, groups=k)
            if network.norm != "none":
                x = F.group_norm(x, k * self._groups(), next(parts).flatten(), next(parts).flatten(), EPSILON)
            x = F.relu(x, inplace=network.norm != "none")
            if network.pooling == "avg":
                x = F.avg_pool2d(x, 2)
            elif network.pooling == "max":
                x = F.max_pool2d(x, 2)
        features = x.reshape(n, k, -1).transpose(0, 1)
        weight, bias = next(parts), next(parts)
        return torch.baddbmm(bias.unsqueeze(1).to(features.dtype), features, weight.to(features.dtype).mT)

    def _groups(self) -> int:
        """Groups of one network's normalisation, as in ``ConvNet``."""
        width = self.net.network.width
        groups = width if self.net.network.norm == "instance" else min(GROUPS[self.net.network.norm], width)
        return groups if width % groups == 0 else 1

    def _layout(self, device: torch.device) -> torch.memory_format:
        last = device.type == "cpu" or self.precision == "mixed"
        return torch.channels_last if last else torch.contiguous_format

    def _arithmetic(self, device: torch.device) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)


def gradient_function(net: ConvNet, execution: Mapping[str, Any], batch: int | None = None) -> Gradient:
    """How losses and gradients are computed for a run's ``execution``: its "precision", and whether to "compile".

    A network alone is computed in portions that fit the cache (:mod:`engine.portions`); so is each of a company where
    they are computed apart.

    Args:
        batch: images of the batches to compile for, where execution says so; what is left of a smaller one is computed
            eagerly, and so, but on a GPU, are networks several at once. Without it nothing is compiled.
    """
    precision, device = str(execution["precision"]), str(execution.get("device", "cpu"))
    single = alone(net, precision, device)
    compiles = bool(execution.get("compile")) and batch is not None
    fast = compilation.first(net, precision, device) if compiles else single

    def one(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        size = portions.portion(net, batch or len(images), images.device)

        def portion(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return (fast if len(images) == size else single)(parameters, images, labels)

        return portions.first(portion, lambda _: size)(parameters, images, labels)

    each = one_by_one(one)
    grouped = one_by_one(single) if emulates(precision, device) else _eager(net, precision)
    several = each if batch is not None and apart(execution) else grouped

    def gradient(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (each if len(images) == 1 else several)(parameters, images, labels)

    return gradient


def one_by_one(one: FirstDerivative) -> Gradient:
    """``one`` for k networks: every argument and result has k in front."""

    def each(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = [one(*given) for given in zip(parameters, images, labels, strict=True)]
        losses, logits, slopes = (torch.stack(parts) for parts in zip(*found, strict=True))
        return losses, logits, slopes

    return each


def alone(net: ConvNet, precision: str, device: str) -> FirstDerivative:
    """The first derivative of one network's loss, eager."""
    if emulates(precision, device):
        return torch.no_grad()(compilation.in_precision(net, precision, device).first)
    eager = _eager(net, precision)

    def first(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, logits, slope = eager(parameters[None], images[None], labels[None])
        return loss[0], logits[0], slope[0]

    return first


def emulates(precision: str, device: str | torch.device) -> bool:
    """Whether a precision's rounding has to be emulated on a device."""
    return precision == "mixed" and torch.device(device).type == "cpu" and not compilation.narrow_arithmetic()


def _eager(net: ConvNet, precision: str) -> Gradient:
    stack = Stack(net, precision)

    def gradient(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Leaves of their own: the gradient of a slice of one flat leaf would fill a vector of its whole size.
        leaves = [tensor.detach().requires_grad_() for tensor in stack.split(parameters.detach())]
        with torch.enable_grad():
            logits = stack.logits(leaves, images)
            each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(0, 1), reduction="none")
            losses = each.view(logits.shape[:2]).mean(1)
            gradients = torch.autograd.grad(losses.sum(), leaves)
        return losses.detach(), logits.detach(), stack.join(gradients)

    return gradient
