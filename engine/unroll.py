"""The gradient through a training with momentum, exact and in constant memory, over all or the last of its steps.

A student trained by SGD with momentum m, ``v_{i+1} = m v_i + g(theta_i; X_i)``, ``theta_{i+1} = theta_i -
step_size * v_{i+1}``, moves at a constant step size by the two-term recurrence (Polyak's heavy ball)::

    theta_{i+1} = step(theta_i; X_i) + m (theta_i - theta_{i-1}),        theta_{-1} = theta_0

with ``step`` the plain step of :mod:`engine.gradient`. So the parameters alone carry the velocity, and the sweep
from ``lam_T = dL/dtheta_T`` back needs the plain step's adjoint and one cotangent more (``lam_{T+1} = 0``)::

    lam_i = (d step / d theta_i)^T lam_{i+1} + m (lam_{i+1} - lam_{i+2})

Memory holds the parameters of the steps differentiated through, the window, and the graph of one step. What lies
before the window is a constant (truncated back-propagation through time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.gradient import Kernels, LabelGradient, StepInput, SyntheticGradient


@dataclass(frozen=True)
class Unrolled:
    """A training of T steps, of which the last W can be differentiated through.

    Attributes:
        inputs: of the last W steps.
        path: theta_{T-W} .. theta_T, each [size].
    """

    kernels: Kernels
    pixels: Tensor
    labels: Tensor
    step_size: Tensor
    momentum: float
    inputs: Sequence[StepInput]
    path: Sequence[Tensor]

    @property
    def end(self) -> Tensor:
        """theta_T [size]."""
        return self.path[-1]

    def pull_back(self, cotangent: Tensor, tick: Callable[[], None] | None = None) -> SyntheticGradient:
        """The derivative of L(theta_T) from dL/dtheta_T [size] through the window. Linear in it.

        Args:
            tick: called before each step; may raise to stop.
        """
        pixel_gradient, step_gradient = torch.zeros_like(self.pixels), torch.zeros_like(self.step_size)
        label_gradient, later = LabelGradient.of(self.kernels, self.labels), torch.zeros_like(cotangent)
        for i in reversed(range(len(self.inputs))):
            if tick is not None:
                tick()
            given = self.inputs[i]
            with torch.enable_grad():
                leaf = self.pixels.detach().requires_grad_()
                images = _images(leaf, given)
            label_gradient.add(self.path[i], images.detach(), given.batch, self.step_size, cotangent)
            by_images, by_step, by_parameters = self.kernels.adjoint(
                self.path[i], images.detach(), _labels(self.labels, given), self.step_size, cotangent
            )
            step_gradient += by_step
            pixel_gradient += by_images if images is leaf else torch.autograd.grad(images, leaf, by_images)[0]
            cotangent, later = by_parameters + self.momentum * (cotangent - later), cotangent
        return SyntheticGradient(pixel_gradient, step_gradient, label_gradient.total)


def _images(pixels: Tensor, given: StepInput) -> Tensor:
    images = pixels if given.batch is None else pixels[given.batch]
    return images if given.augmentation is None else given.augmentation(images)


def _labels(labels: Tensor, given: StepInput) -> Tensor:
    return labels if given.batch is None else labels[given.batch]


def unroll(
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
) -> Unrolled:
    """Train a student from ``start`` [size], one step for each of ``inputs``. No graph is kept.

    Args:
        pixels: synthetic images [n, c, h, w] in the network's input space; ``labels`` int64 [n] or float [n, classes].
        step_size: [] positive.
        momentum: of SGD, 0 to below 1.
        window: how many of the last steps to be able to differentiate through; 0 is all.
        tick: called before each step; may raise to stop.
    """
    kept = min(window or len(inputs), len(inputs))
    previous = current = start.detach()
    path = [current]
    with torch.no_grad():
        for i, given in enumerate(inputs):
            if tick is not None:
                tick()
            moved = kernels.step(current, _images(pixels.detach(), given), _labels(labels, given), step_size)
            if momentum:
                moved = moved + momentum * (current - previous)
            previous, current = current, moved
            if i < len(inputs) - kept:
                path = [current]
            else:
                path.append(current)
    last = inputs[len(inputs) - kept :]
    return Unrolled(kernels, pixels.detach(), labels, step_size.detach(), momentum, last, path)
