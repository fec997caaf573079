"""Trajectory matching with TESLA's approximate gradient (Cui et al. 2023), kept for comparison.

The student, the loss and the draws are those of :mod:`engine.objectives.trajectory`. TESLA writes the end
point as ``theta_N = theta_0 - step_size * sum_i g(theta_i; X_i)`` and differentiates each summand by its own
images alone, every ``theta_i`` a constant::

    dX_i = -step_size * d/dX_i < dL/dtheta_N, g(theta_i; X_i) >        dstep_size = -< dL/dtheta_N, sum_i g_i >

That is the exact sweep with all the factors ``I - step_size * H_j`` left out, ``H_j`` the Hessians of the later
steps: exact for one step, to first order in the step size for more, and further off the more steps there are.

TESLA's labels from the target expert (``--teacher_label``) are left out: its own code can use them on ImageNet only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.gradient import SyntheticGradient, Training
from engine.objectives.base import SyntheticSet
from engine.objectives.trajectory import MatchedTrajectory, Trajectory


def approximate_pull_back(
    training: Training, cotangent: Tensor, tick: Callable[[], None] | None = None
) -> SyntheticGradient:
    """TESLA's approximation of ``training.pull_back(cotangent)``, linear in it like the exact one.

    Args:
        tick: called before each step; may raise to stop.
    """
    pixels, step_size = torch.zeros_like(training.pixels), torch.zeros_like(training.step_size)
    for taken in training.backwards(tick):
        start = (taken.parameters, taken.parameters)
        alone = replace(training, inputs=[taken.given], kept=[start], activations=[taken.activations])
        part = alone.pull_back(cotangent, tick)
        pixels += part.pixels
        step_size += 0 if part.step_size is None else part.step_size
    return SyntheticGradient(pixels, step_size)


def cosine_to_exact(training: Training, cotangent: Tensor) -> float:
    """Cosine between TESLA's pixel gradient and the exact one, for dL/dtheta_N [size]: 1 where they agree."""
    ours, exact = approximate_pull_back(training, cotangent), training.pull_back(cotangent)
    return float(torch.nn.functional.cosine_similarity(ours.pixels.flatten(), exact.pixels.flatten(), dim=0))


@dataclass(frozen=True)
class ApproximateTrajectory(MatchedTrajectory):
    """One iteration of trajectory matching, swept back TESLA's way."""

    def gradient(self) -> SyntheticGradient:
        """The approximate gradient of the matching loss. Can be stopped: nothing has changed yet."""
        return approximate_pull_back(self.training, self.cotangent, self.tick)

    def pull_back(self, cotangent: Tensor) -> SyntheticGradient:
        """The approximate sweep from any cotangent of theta_N [size]. Not to be stopped: a critic may have learned."""
        return approximate_pull_back(self.training, cotangent)


class Tesla(Trajectory):
    """The objective: trajectory matching by another gradient, paired with it draw by draw."""

    def episode(self, synthetic: SyntheticSet, iteration: int) -> ApproximateTrajectory:
        """Run the student forward from a drawn expert and epoch."""
        exact = super().episode(synthetic, iteration)
        return ApproximateTrajectory(exact.training, exact.networks, exact.loss, exact.cotangent, exact.tick)
