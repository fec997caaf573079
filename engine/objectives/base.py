"""What a base objective is: a method's loss on the synthetic set, its gradient, and two networks.

The mutual-information term takes its features from the networks an objective names, and adds its gradient
to the pixels and, where the student's end point is attached, to the cotangent of the reverse sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.experts.store import Trajectories
from engine.gradient import SyntheticGradient
from engine.kernels import Kernels, LossDerivatives
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives


@dataclass
class SyntheticSet:
    """The set that is learned: pixels [n, c, h, w] in the network's input space, ordered by class.

    Read only: the tensors are the run's own, and a change in place ends it.

    Attributes:
        labels: int64 [n], or targets float32 [n, classes] where they are learned.
        step_size: the student's learned step size [], float32, positive.
    """

    pixels: Tensor
    labels: Tensor
    step_size: Tensor


@dataclass(frozen=True)
class Context:
    """What an objective may use; the same for all iterations.

    Attributes:
        derivatives: of the network's loss, for images of any number; None computes them eagerly in the type given.
    """

    config: Config
    real: RealSet
    net: ConvNet
    trajectories: Trajectories
    augment: Augment
    kernels: Kernels
    device: torch.device
    tick: Callable[[], None]
    derivatives: LossDerivatives | None = None

    @cached_property
    def loss(self) -> LossDerivatives:
        """First and second derivative of the network's loss, in the precision of the run."""
        if self.derivatives is not None:
            return self.derivatives
        exact = Derivatives(self.net)
        return LossDerivatives(torch.no_grad()(exact.first), torch.no_grad()(exact.second))


@dataclass(frozen=True)
class RealNetworks:
    """Flat parameters [size] of the networks an iteration offers for the real side.

    Attributes:
        start: where the student's training, or the network's own on real images, began.
        target: what the student is compared with; of a method that compares it with no network, the student itself.
        last: an expert at its last epoch.
    """

    start: Tensor
    target: Tensor
    last: Callable[[], Tensor]


class Episode(Protocol):
    """One iteration of an objective: computed forward, differentiated on request."""

    @property
    def loss(self) -> Tensor:
        """The objective's value []."""
        ...

    @property
    def student(self) -> Tensor:
        """Flat parameters [size] of the network trained on the synthetic set, as a constant."""
        ...

    @property
    def networks(self) -> RealNetworks:
        """Networks of the real side."""
        ...

    def gradient(self) -> SyntheticGradient:
        """The objective's gradient; each part has the shape, type and device of the set's own."""
        ...

    def pull_back(self, cotangent: Tensor) -> SyntheticGradient:
        """The derivative of L(student) from dL/dstudent [size]."""
        ...


class Differentiable(Protocol):
    """A training on the synthetic set that can be differentiated through."""

    @property
    def end(self) -> Tensor:
        """The student's end point [size]."""
        ...

    def pull_back(self, cotangent: Tensor, tick: Callable[[], None] | None = None) -> SyntheticGradient:
        """The derivative of L(end) from dL/dend [size]; ``tick`` is called between steps and may raise to stop."""
        ...


TrainingT = TypeVar("TrainingT", bound=Differentiable)


@dataclass(frozen=True)
class Trained(Generic[TrainingT]):
    """The episode of a method that trains a student on the set and takes a loss of its end point."""

    training: TrainingT
    networks: RealNetworks
    loss: Tensor
    cotangent: Tensor
    tick: Callable[[], None] | None = None

    @property
    def student(self) -> Tensor:
        """The student's end point [size]."""
        return self.training.end

    def gradient(self) -> SyntheticGradient:
        """The exact gradient of the loss. Can be stopped: nothing has changed yet."""
        return self.training.pull_back(self.cotangent, self.tick)

    def pull_back(self, cotangent: Tensor) -> SyntheticGradient:
        """The reverse sweep from any cotangent of the end point. Not to be stopped: a critic may have learned."""
        return self.training.pull_back(cotangent)


@dataclass(frozen=True)
class Matching:
    """An iteration that compares the two sets within a network which does not depend on the synthetic one.

    Attributes:
        student: that network, [size]; the term's for both sides.
    """

    loss: Tensor
    student: Tensor
    networks: RealNetworks
    by_pixels: Tensor

    def gradient(self) -> SyntheticGradient:
        """The gradient by the pixels; there is no step size in it."""
        return SyntheticGradient(self.by_pixels, None)

    def pull_back(self, cotangent: Tensor) -> SyntheticGradient:  # noqa: ARG002 - the protocol
        """Nothing: the network does not depend on the synthetic set."""
        return SyntheticGradient(torch.zeros_like(self.by_pixels), None)


class Objective(Protocol):
    """A base distillation objective."""

    def episode(self, synthetic: SyntheticSet, iteration: int) -> Episode:
        """Compute iteration ``iteration`` (from 0) forward. Randomness depends on seed and iteration only."""
        ...
