"""A student step and its adjoint, made of a network's derivatives: what the sweeps of ``engine.gradient`` call.

Here is their plain form, by automatic differentiation, and how they are made of derivatives that are computed otherwise
(``engine.networks.derivatives``). An adjoint needs what the step itself computed: it computes that again, or takes what
was kept of it (:class:`Keeping`), which of a step and its adjoint is two convolutions in eleven less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NetworkFunction = Callable[[Tensor, Tensor], Tensor]
"""Logits [n, classes] of (flat parameters [size], images [n, c, h, w])."""


def loss(net: NetworkFunction, parameters: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats; labels are int64 [n] or probabilities [n, classes]."""
    return F.cross_entropy(net(parameters, images).to(parameters.dtype), labels)


def step(net: NetworkFunction, parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor) -> Tensor:
    """One student step: parameters [size] after a step of gradient descent. Keeps no graph."""
    with torch.enable_grad():
        leaf = parameters.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(net, leaf, images, labels), leaf)
    return parameters.detach() - step_size * gradient


def adjoint(
    net: NetworkFunction,
    parameters: Tensor,
    images: Tensor,
    labels: Tensor,
    step_size: Tensor,
    cotangent: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pull a cotangent of the step's result back through it.

    Args:
        parameters: theta_i [size]; ``cotangent`` is lam_{i+1} [size].

    Returns:
        The derivative by the images [n, c, h, w], by the step size [], and lam_i [size].
    """
    with torch.enable_grad():
        leaf = parameters.detach().requires_grad_()
        pixels = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(net, leaf, pixels, labels), leaf, create_graph=True)
        slope = torch.dot(cotangent, gradient)
        by_parameters, by_images = torch.autograd.grad(slope, (leaf, pixels))
    return -step_size * by_images, -slope.detach(), cotangent - step_size * by_parameters


FirstDerivative = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Loss [], logits [n, classes] and gradient [size] of parameters [size], images [n, c, h, w] and labels."""

SecondDerivative = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""The loss's slope [] along a direction, the slope's gradient [size] and its derivative by the images, of parameters
[size], direction [size], images and labels."""


Activations = Sequence[Tensor]
"""What a first derivative computed that the second needs, as ``engine.networks.derivatives`` lays it out."""

KeepingFirst = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Activations]]
"""A first derivative that gives its activations too."""

KeptSecond = Callable[[Tensor, Tensor, Tensor, Tensor, Activations], tuple[Tensor, Tensor, Tensor]]
"""A second derivative that takes them."""


@dataclass(frozen=True)
class Keeping:
    """Student steps whose activations are kept for the reverse sweep.

    Attributes:
        step: as that of :class:`Kernels`; also gives what is kept, None where nothing is.
        adjoint: as that of :class:`Kernels`, with what was kept.
        fits: of the images of each step, in order: how many of the last steps are kept.
    """

    step: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Any]]
    adjoint: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Any], tuple[Tensor, Tensor, Tensor]]
    fits: Callable[[Sequence[int]], int]


@dataclass(frozen=True)
class Kernels:
    """``step`` and ``adjoint`` of one network, as they are computed: eager or compiled, float32 or mixed.

    Attributes:
        turned: where labels are learned, of (parameters, images, direction): the derivative of the log-probabilities
            [n, classes] along the direction (``engine.labels``).
        keeping: the same with activations kept; None keeps none.
    """

    step: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    adjoint: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    turned: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    keeping: Keeping | None = None


def eager(net: NetworkFunction) -> Kernels:
    """The kernels without compilation, in the precision of their arguments."""
    return Kernels(
        step=lambda *arguments: step(net, *arguments),
        adjoint=lambda *arguments: adjoint(net, *arguments),
    )


@dataclass(frozen=True)
class LossDerivatives:
    """First and second derivative of a network's mean cross-entropy, as they are computed."""

    first: FirstDerivative
    second: SecondDerivative


@dataclass(frozen=True)
class KeepingDerivatives:
    """The same with activations. ``fits`` as in :class:`Keeping`."""

    first: KeepingFirst
    second: KeptSecond
    fits: Callable[[Sequence[int]], int]


def kernels_of(derivatives: LossDerivatives) -> Kernels:
    """:func:`step` and :func:`adjoint` of a network whose derivatives are at hand."""

    def forward(parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor) -> Tensor:
        return parameters - step_size * derivatives.first(parameters, images, labels)[2]

    def reverse(
        parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor, cotangent: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _pulled(derivatives.second(parameters, cotangent, images, labels), step_size, cotangent)

    return Kernels(forward, reverse)


def keeping_kernels(derivatives: LossDerivatives, keeping: KeepingDerivatives) -> Kernels:
    """Kernels that keep activations where they are asked to. ``derivatives.first`` is to give the bits of
    ``keeping.first``, so that a step computed again is the same."""

    def kept_forward(
        parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor
    ) -> tuple[Tensor, Activations]:
        _, _, slope, activations = keeping.first(parameters, images, labels)
        return parameters - step_size * slope, activations

    def kept_reverse(
        parameters: Tensor,
        images: Tensor,
        labels: Tensor,
        step_size: Tensor,
        cotangent: Tensor,
        activations: Activations,
    ) -> tuple[Tensor, Tensor, Tensor]:
        return _pulled(keeping.second(parameters, cotangent, images, labels, activations), step_size, cotangent)

    return replace(kernels_of(derivatives), keeping=Keeping(kept_forward, kept_reverse, keeping.fits))


def _pulled(
    second: tuple[Tensor, Tensor, Tensor], step_size: Tensor, cotangent: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What an adjoint gives, of the loss's slope along the cotangent and the derivatives of that."""
    slope, by_parameters, by_images = second
    return -step_size * by_images, -slope, cotangent - step_size * by_parameters
