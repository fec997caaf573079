"""A student step whose batch does not fit the device's memory, computed in parts, exactly.

The loss is a mean over the batch, so its gradient is the mean of the parts' gradients, weighted by their sizes
w_j = n_j / n. A step and its adjoint are affine in that gradient::

    step(theta, X)           = theta + sum_j w_j (step(theta, X_j) - theta)
    d/dX_j, d/dstep_size     = w_j (that of part j),     sum_j w_j (that of part j)
    lam_i                    = lam_{i+1} + sum_j w_j (lam of part j - lam_{i+1})

The mathematics is the same, the order of the additions is not: the last bits may differ. It needs a network that
treats every image by itself: one that normalises over the batch is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.kernels import Keeping, Kernels

T = TypeVar("T")

BY_IMAGE = ("instance", "group", "layer", "none")
"""Normalisations that take every image by itself."""


def require_separable(norm: str) -> None:
    """Refuses a network whose output for one image depends on the others of the batch.

    Raises:
        ConfigError: its normalisation is over the batch.
    """
    if norm not in BY_IMAGE:
        raise ConfigError(
            f"network.norm: {norm} normalises over the batch, so that a batch cannot be computed in parts: "
            "lower objective.batch_size, or choose another normalisation"
        )


def _nobody(*_: object) -> None:
    return None


@dataclass(eq=False)
class Held:
    """What was kept of a step; None once memory ran out."""

    activations: Any | None


class Splitting:
    """Kernels that, whenever the device runs out of memory, give up what they keep, then compute a step in more parts;
    and stay with that.

    Args:
        kernels: how a part is computed.
        norm: the network's normalisation.
        parts: to begin with; more than a batch has images counts as one image each. In parts nothing is kept.
        heard: called with the new number of parts after memory ran out, before the step is computed again.
        forgone: called when memory ran out and nothing is kept any more, likewise.
        portions: of a batch's images, in how many portions it is computed anyway: no fewer parts help.

    Raises:
        ConfigError: the network normalises over the batch.
    """

    def __init__(
        self,
        kernels: Kernels,
        norm: str,
        parts: int = 1,
        heard: Callable[[int], None] = _nobody,
        forgone: Callable[[], None] = _nobody,
        portions: Callable[[int], int] = lambda _: 1,
    ) -> None:
        require_separable(norm)
        self.parts = max(1, parts)
        self._whole, self._keeping = kernels, kernels.keeping
        self._heard, self._forgone = heard, forgone
        self._portions = portions
        self._held: WeakSet[Held] = WeakSet()

    def kernels(self) -> Kernels:
        """Kernels that do so as needed."""
        keeping = None if self._keeping is None else Keeping(self._keeping_step, self._kept_adjoint, self._fits)
        return Kernels(self._step, self._adjoint, keeping=keeping)

    def _step(self, parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor) -> Tensor:
        return self._fitting(len(images), lambda parts: step(self._whole, parts, parameters, images, labels, step_size))

    def _adjoint(
        self, parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor, cotangent: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self._fitting(
            len(images), lambda parts: adjoint(self._whole, parts, parameters, images, labels, step_size, cotangent)
        )

    def _fits(self, images: Sequence[int]) -> int:
        return 0 if self._keeping is None or self.parts > 1 else self._keeping.fits(images)

    def _keeping_step(
        self, parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor
    ) -> tuple[Tensor, Held | None]:
        if self._keeping is not None and self.parts == 1:
            with suppress(torch.OutOfMemoryError):
                moved, activations = self._keeping.step(parameters, images, labels, step_size)
                held = Held(activations)
                self._held.add(held)
                return moved, held
            self._forgo()
        return self._step(parameters, images, labels, step_size), None

    def _kept_adjoint(
        self,
        parameters: Tensor,
        images: Tensor,
        labels: Tensor,
        step_size: Tensor,
        cotangent: Tensor,
        held: Held | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if self._keeping is not None and held is not None and held.activations is not None:
            with suppress(torch.OutOfMemoryError):
                return self._keeping.adjoint(parameters, images, labels, step_size, cotangent, held.activations)
            self._forgo()
        return self._adjoint(parameters, images, labels, step_size, cotangent)

    def _forgo(self) -> None:
        """Give up all that is kept, and keep nothing from here on."""
        for held in self._held:
            held.activations = None
        self._held.clear()
        self._keeping = None
        _give_back()
        self._forgone()

    def _fitting(self, images: int, compute: Callable[[int], T]) -> T:
        """What ``compute`` gives with as few parts as fit.

        Raises:
            torch.OutOfMemoryError: a single image does not fit.
        """
        while True:
            parts = min(self.parts, images)
            try:
                return compute(parts)
            except torch.OutOfMemoryError:
                if parts >= images and not self._held:
                    raise
            # Out here nothing holds the failed attempt's tensors any more.
            if self._held:
                self._forgo()
                continue
            _give_back()
            self._keeping = None
            self.parts = min(2 * max(parts, self._portions(images)), images)
            self._heard(self.parts)


def _give_back() -> None:
    """Let the device have what torch holds of its memory and does not use."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _sizes(images: int, parts: int) -> list[int]:
    """Sizes of the parts: as equal as they can be, the larger ones first."""
    each, more = divmod(images, parts)
    return [each + 1] * more + [each] * (parts - more)


def step(kernels: Kernels, parts: int, parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor) -> Tensor:
    """``kernels.step`` of a batch [n, c, h, w] in ``parts`` parts, 1 to n."""
    if parts == 1:
        return kernels.step(parameters, images, labels, step_size)
    sizes = _sizes(len(images), parts)
    moved = torch.zeros_like(parameters)
    for part, named in zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True):
        moved += len(part) / len(images) * (kernels.step(parameters, part, named, step_size) - parameters)
    return parameters + moved


def adjoint(
    kernels: Kernels,
    parts: int,
    parameters: Tensor,
    images: Tensor,
    labels: Tensor,
    step_size: Tensor,
    cotangent: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """``kernels.adjoint`` of a batch [n, c, h, w] in ``parts`` parts, 1 to n."""
    if parts == 1:
        return kernels.adjoint(parameters, images, labels, step_size, cotangent)
    sizes = _sizes(len(images), parts)
    slopes, by_step, pulled = [], torch.zeros_like(step_size), torch.zeros_like(cotangent)
    for part, named in zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True):
        share = len(part) / len(images)
        slope, size, back = kernels.adjoint(parameters, part, named, step_size, cotangent)
        slopes.append(share * slope)
        by_step += share * size
        pulled += share * (back - cotangent)
    return torch.cat(slopes), by_step, cotangent + pulled
