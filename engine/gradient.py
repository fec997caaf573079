"""The gradient through a student's training, exact and in constant memory.

A student takes N steps of gradient descent on synthetic images::

    theta_{i+1} = theta_i - step_size * g(theta_i; X_i),    g = d/dtheta cross_entropy(net(theta, X_i), Y_i)

with X_i = A_i(X[batch_i]), A_i an augmentation. For a scalar L(theta_N) the chain rule, read from the
end, needs one step's graph at a time (reverse-mode differentiation of the recurrence; the form used by
Wang et al. 2018, sec. 3.2, and Deng & Russakovsky 2022)::

    lam_N = dL/dtheta_N
    for i = N-1 .. 0:   s = < lam_{i+1}, g(theta_i; X_i) >
        dX_i = -step_size * ds/dX_i      dstep_size -= s      lam_i = lam_{i+1} - step_size * ds/dtheta_i

so that memory holds the parameter vectors theta_0..theta_N and the graph of a single step; where the vectors are many
and large, every sqrt(N)-th is kept and those between are computed again (Griewank 1992). Batches and augmentation draws
of the forward sweep are kept and replayed in the reverse one.

By SGD with momentum m, ``v_{i+1} = m v_i + g(theta_i; X_i)``, ``theta_{i+1} = theta_i - step_size * v_{i+1}``, a
student moves at a constant step size by the two-term recurrence (Polyak's heavy ball)::

    theta_{i+1} = step(theta_i; X_i) + m (theta_i - theta_{i-1}),        theta_{-1} = theta_0

so the parameters alone carry the velocity, and the reverse sweep needs one cotangent more (``lam_{N+1} = 0``)::

    lam_i = (d step / d theta_i)^T lam_{i+1} + m (lam_{i+1} - lam_{i+2})

What lies before a window of the last steps may be taken as constant (truncated back-propagation through time).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT = 512 * 2**20
"""Bytes of parameter vectors that a sweep may keep before it computes some of them again."""

NetworkFunction = Callable[[Tensor, Tensor], Tensor]
"""Logits [n, classes] of (flat parameters [size], images [n, c, h, w])."""

Augmentation = Callable[[Tensor], Tensor]
"""One drawn augmentation: images [n, c, h, w] to images of the same shape, differentiable."""


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


@dataclass(frozen=True)
class Kernels:
    """``step`` and ``adjoint`` of one network, as they are computed: eager or compiled, float32 or mixed.

    Attributes:
        turned: where labels are learned, of (parameters, images, direction): the derivative of the log-probabilities
            [n, classes] along the direction (``engine.labels``).
    """

    step: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    adjoint: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    turned: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


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


def kernels_of(derivatives: LossDerivatives) -> Kernels:
    """:func:`step` and :func:`adjoint` of a network whose derivatives are at hand."""

    def forward(parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor) -> Tensor:
        return parameters - step_size * derivatives.first(parameters, images, labels)[2]

    def reverse(
        parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor, cotangent: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        slope, by_parameters, by_images = derivatives.second(parameters, cotangent, images, labels)
        return -step_size * by_images, -slope, cotangent - step_size * by_parameters

    return Kernels(forward, reverse)


@dataclass(frozen=True)
class StepInput:
    """What one student step is given: indices into the synthetic set (None: all of it), and the augmentation."""

    batch: Tensor | None
    augmentation: Augmentation | None


@dataclass(frozen=True)
class SyntheticGradient:
    """Derivatives by the pixels [n, c, h, w], by the student's step size [] (None where it has none), and by the
    targets [n, classes] (None where they are not learned)."""

    pixels: Tensor
    step_size: Tensor | None
    labels: Tensor | None = None


@dataclass(frozen=True)
class Training:
    """A student's training on a synthetic set: all that the reverse sweep needs.

    Attributes:
        momentum: of SGD, 0 to below 1.
        inputs: of the steps that can be differentiated through, the last W of all.
        kept: (theta_i, theta_{i-1}), each [size], before every ``stride``-th of these; without momentum theta_i twice.
        end: theta_N [size].
    """

    kernels: Kernels
    pixels: Tensor
    labels: Tensor
    step_size: Tensor
    momentum: float
    inputs: Sequence[StepInput]
    kept: Sequence[tuple[Tensor, Tensor]]
    stride: int
    end: Tensor

    def backwards(self, tick: Callable[[], None] | None = None) -> Iterator[tuple[StepInput, Tensor]]:
        """Every step's input and the parameters [size] it began from, the last step first."""
        for number in reversed(range(len(self.kept))):
            inputs = self.inputs[number * self.stride : (number + 1) * self.stride]
            current, previous = self.kept[number]
            path = [current]
            for given in inputs[:-1]:
                if tick is not None:
                    tick()
                current, previous = self.moved(current, previous, given), current
                path.append(current)
            yield from zip(reversed(inputs), reversed(path), strict=True)

    @torch.no_grad()
    def moved(self, current: Tensor, previous: Tensor, given: StepInput) -> Tensor:
        """The parameters after one step."""
        return _moved(self.kernels, self.pixels, self.labels, self.step_size, self.momentum, current, previous, given)

    def pull_back(self, cotangent: Tensor, tick: Callable[[], None] | None = None) -> SyntheticGradient:
        """The reverse sweep: the derivative of L(theta_N) from dL/dtheta_N [size]. Linear in it.

        Args:
            tick: called before each step; may raise to stop.
        """
        pixel_gradient = torch.zeros_like(self.pixels)
        step_gradient = torch.zeros_like(self.step_size)
        label_gradient = LabelGradient.of(self.kernels, self.labels)
        later = torch.zeros_like(cotangent)
        for given, parameters in self.backwards(tick):
            if tick is not None:
                tick()
            augmented, push = _replay(_select(self.pixels, given.batch), given.augmentation)
            label_gradient.add(parameters, augmented, given.batch, self.step_size, cotangent)
            by_images, by_step, by_parameters = self.kernels.adjoint(
                parameters, augmented, _select(self.labels, given.batch), self.step_size, cotangent
            )
            step_gradient += by_step
            if given.batch is None:
                pixel_gradient += push(by_images)
            else:
                pixel_gradient.index_add_(0, given.batch, push(by_images))
            if self.momentum:
                by_parameters = by_parameters + self.momentum * (cotangent - later)
            cotangent, later = by_parameters, cotangent
        return SyntheticGradient(pixel_gradient, step_gradient, label_gradient.total)


class LabelGradient:
    """The derivative by the targets, gathered step by step of a reverse sweep; nothing where they are not learned."""

    def __init__(self, turned: Callable[[Tensor, Tensor, Tensor], Tensor] | None, labels: Tensor) -> None:
        self._turned = turned
        self.total = None if turned is None else torch.zeros_like(labels)

    @classmethod
    def of(cls, kernels: Kernels, labels: Tensor) -> LabelGradient:
        """Before the first step of a sweep through a training on ``labels`` [n, classes]."""
        return cls(kernels.turned, labels)

    def add(
        self, parameters: Tensor, images: Tensor, batch: Tensor | None, step_size: Tensor, cotangent: Tensor
    ) -> None:
        """One step's part, with the arguments of its adjoint; ``batch`` are the images' places, None: all."""
        if self.total is None or self._turned is None:
            return
        part = step_size / len(images) * self._turned(parameters, images, cotangent)
        if batch is None:
            self.total += part
        else:
            self.total.index_add_(0, batch, part)


def _select(values: Tensor, batch: Tensor | None) -> Tensor:
    return values if batch is None else values[batch]


def _replay(images: Tensor, augmentation: Augmentation | None) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Augmented images without a graph, and the map from their cotangent to that of the images."""
    if augmentation is None:
        return images, lambda cotangent: cotangent
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        augmented = augmentation(leaf)
    return augmented.detach(), lambda cotangent: torch.autograd.grad(augmented, leaf, cotangent)[0]


def _moved(
    kernels: Kernels,
    pixels: Tensor,
    labels: Tensor,
    step_size: Tensor,
    momentum: float,
    current: Tensor,
    previous: Tensor,
    given: StepInput,
) -> Tensor:
    images = _select(pixels, given.batch)
    if given.augmentation is not None:
        images = given.augmentation(images)
    moved = kernels.step(current, images, _select(labels, given.batch), step_size)
    return moved + momentum * (current - previous) if momentum else moved


def stride(steps: int, vector: Tensor) -> int:
    """Of how many parameter vectors one is kept: 1, or about sqrt(steps) where all of them would exceed ``KEPT``."""
    fits = steps * vector.numel() * vector.element_size() <= KEPT
    return 1 if fits else math.isqrt(max(1, steps - 1)) + 1


@torch.no_grad()
def train(
    kernels: Kernels,
    start: Tensor,
    pixels: Tensor,
    labels: Tensor,
    step_size: Tensor,
    inputs: Sequence[StepInput],
    *,
    momentum: float = 0.0,
    window: int = 0,
    tick: Callable[[], None] | None = None,
) -> Training:
    """The forward sweep: N student steps from ``start`` [size], one for each of ``inputs``. No graph is kept.

    Args:
        pixels: synthetic images [n, c, h, w] in the network's input space.
        labels: int64 [n] or float [n, classes].
        step_size: [] positive.
        momentum: of SGD, 0 to below 1.
        window: how many of the last steps to be able to differentiate through; 0 is all.
        tick: called before each step; may raise to stop.
    """
    pixels, step_size = pixels.detach(), step_size.detach()
    steps = min(window or len(inputs), len(inputs))
    every = stride(steps, start)
    previous = current = start.detach()
    kept: list[tuple[Tensor, Tensor]] = []
    for number, given in enumerate(inputs, start=steps - len(inputs)):
        if tick is not None:
            tick()
        if number >= 0 and number % every == 0:
            kept.append((current, previous if momentum else current))
        moved = _moved(kernels, pixels, labels, step_size, momentum, current, previous, given)
        current, previous = moved, current
    last = inputs[len(inputs) - steps :]
    return Training(kernels, pixels, labels, step_size, momentum, last, kept, every, current)


@dataclass(frozen=True)
class MetaGradient:
    """Loss [] of trajectory matching, its gradient, and the student's end point [size]."""

    loss: Tensor
    gradient: SyntheticGradient
    end: Tensor


def matching_loss(end: Tensor, start: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """MTT's loss ||end - target||^2 / ||start - target||^2 (Cazenavette et al. 2022, Eq. 2) and its
    derivative by ``end`` [size]."""
    scale = (start - target).square().sum()
    difference = end - target
    return difference.square().sum() / scale, 2 * difference / scale


def meta_gradient(
    net: NetworkFunction,
    parameters: Tensor,
    images: Tensor,
    labels: Tensor,
    step_size: Tensor | float,
    target: Tensor,
    *,
    steps: int | None = None,
    inputs: Sequence[StepInput] | None = None,
    kernels: Kernels | None = None,
) -> MetaGradient:
    """Loss and exact gradient of trajectory matching, as a pure function.

    Args:
        net: logits of (flat parameters, images), e.g. an :class:`engine.networks.ConvNet`.
        parameters: the student's start, the expert's parameters at the start epoch, [size].
        images: synthetic images [n, c, h, w] in the network's input space.
        labels: int64 [n] or float [n, classes].
        step_size: the student's step size, positive.
        target: the expert's parameters to be matched, [size].
        steps: N, full-batch steps without augmentation; or give ``inputs``, one a step.
        kernels: how steps are computed; eager by default.

    Raises:
        ValueError: neither or both of ``steps`` and ``inputs`` are given.
    """
    if (steps is None) == (inputs is None):
        raise ValueError("give exactly one of steps (plain full-batch steps) and inputs (one a step)")
    if inputs is None:
        inputs = [StepInput(None, None)] * int(steps or 0)
    size = torch.as_tensor(step_size, dtype=parameters.dtype, device=parameters.device)
    training = train(kernels or eager(net), parameters, images, labels, size, inputs)
    value, cotangent = matching_loss(training.end, parameters, target)
    return MetaGradient(value, training.pull_back(cotangent), training.end)
