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

A step's adjoint needs what the step itself computed, and computes it again. Of the last steps it may be kept instead,
within a bound (:class:`Keeping`): less time for more memory, and the same mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.kernels import Kernels, NetworkFunction, eager

KEPT = 512 * 2**20
"""Bytes of parameter vectors that a sweep may keep before it computes some of them again."""

Augmentation = Callable[[Tensor], Tensor]
"""One drawn augmentation: images [n, c, h, w] to images of the same shape, differentiable."""


@dataclass(frozen=True)
class StepInput:
    """What one student step is given: indices into the synthetic set (None: all of it), and the augmentation."""

    batch: Tensor | None
    augmentation: Augmentation | None


@dataclass(frozen=True)
class TakenStep:
    """A student step that was taken: its input, the parameters [size] it began from, and what was kept of it."""

    given: StepInput
    parameters: Tensor
    activations: Any


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
        activations: of the last of these steps, what was kept of each; none of those before.
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
    activations: Sequence[Any] = ()

    def backwards(self, tick: Callable[[], None] | None = None) -> Iterator[TakenStep]:
        """Every step, the last one first."""
        activations = [*([None] * (len(self.inputs) - len(self.activations))), *self.activations]
        for number in reversed(range(len(self.kept))):
            inputs = self.inputs[number * self.stride : (number + 1) * self.stride]
            current, previous = self.kept[number]
            path = [current]
            for given in inputs[:-1]:
                if tick is not None:
                    tick()
                current, previous = self.moved(current, previous, given), current
                path.append(current)
            kept = activations[number * self.stride : (number + 1) * self.stride]
            yield from map(TakenStep, reversed(inputs), reversed(path), reversed(kept))

    @torch.no_grad()
    def moved(self, current: Tensor, previous: Tensor, given: StepInput) -> Tensor:
        """The parameters after one step."""
        images, labels = _seen(self.pixels, self.labels, given)
        return _carried(self.kernels.step(current, images, labels, self.step_size), current, previous, self.momentum)

    def pull_back(self, cotangent: Tensor, tick: Callable[[], None] | None = None) -> SyntheticGradient:
        """The reverse sweep: the derivative of L(theta_N) from dL/dtheta_N [size]. Linear in it.

        Args:
            tick: called before each step; may raise to stop.
        """
        pixel_gradient = torch.zeros_like(self.pixels)
        step_gradient = torch.zeros_like(self.step_size)
        label_gradient = LabelGradient.of(self.kernels, self.labels)
        later = torch.zeros_like(cotangent)
        for taken in self.backwards(tick):
            if tick is not None:
                tick()
            given = taken.given
            augmented, push = _replay(_select(self.pixels, given.batch), given.augmentation)
            label_gradient.add(taken.parameters, augmented, given.batch, self.step_size, cotangent)
            arguments = (
                taken.parameters, augmented, _select(self.labels, given.batch), self.step_size, cotangent,
            )  # fmt: skip
            if taken.activations is None or self.kernels.keeping is None:
                by_images, by_step, by_parameters = self.kernels.adjoint(*arguments)
            else:
                by_images, by_step, by_parameters = self.kernels.keeping.adjoint(*arguments, taken.activations)
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


def _seen(pixels: Tensor, labels: Tensor, given: StepInput) -> tuple[Tensor, Tensor]:
    """The images and labels of a step, augmented."""
    images = _select(pixels, given.batch)
    return images if given.augmentation is None else given.augmentation(images), _select(labels, given.batch)


def _carried(moved: Tensor, current: Tensor, previous: Tensor, momentum: float) -> Tensor:
    """A step's result with what momentum adds."""
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
    last = inputs[len(inputs) - steps :]
    previous = current = start.detach()
    kept: list[tuple[Tensor, Tensor]] = []
    activations: list[Any] = []
    keeping, whole = kernels.keeping, len(pixels)
    fitting = 0 if keeping is None else keeping.fits([whole if g.batch is None else len(g.batch) for g in last])
    for number, given in enumerate(inputs, start=steps - len(inputs)):
        if tick is not None:
            tick()
        if number >= 0 and number % every == 0:
            kept.append((current, previous if momentum else current))
        images, named = _seen(pixels, labels, given)
        if keeping is not None and number >= steps - fitting:
            moved, found = keeping.step(current, images, named, step_size)
            activations.append(found)
        else:
            moved = kernels.step(current, images, named, step_size)
        current, previous = _carried(moved, current, previous, momentum), current
    return Training(kernels, pixels, labels, step_size, momentum, last, kept, every, current, activations)


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
