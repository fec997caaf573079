"""Matching training trajectories (MTT, Cazenavette et al. 2022), Algorithm 1.

A student starts from an expert's parameters at a random epoch, takes N steps on the synthetic set, and is
asked to arrive where the expert was M epochs later.
"""

from __future__ import annotations

import torch

from engine.gradient import StepInput, Training, matching_loss, train
from engine.objectives.base import Context, RealNetworks, SyntheticSet, Trained
from engine.objectives.batches import step_inputs, visited_expert
from engine.seeds import generator


class MatchedTrajectory(Trained[Training]):
    """One iteration: the student's training, and the expert's stretch it is compared with."""


class Trajectory:
    """The objective. Experts are visited in a new random order each round, as in MTT's code."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def expert(self, iteration: int) -> int:
        """The expert of an iteration."""
        return visited_expert(self.context, iteration)

    def episode(self, synthetic: SyntheticSet, iteration: int) -> MatchedTrajectory:
        """Run the student forward from a drawn expert and epoch."""
        context, settings = self.context, self.context.config.objective
        draws = generator(context.config.seed, "iteration", iteration)
        epoch = int(torch.randint(settings.max_start_epoch, (), generator=draws))
        expert, paths = self.expert(iteration), context.trajectories
        start = paths.parameters(expert, epoch)
        target = paths.parameters(expert, epoch + settings.expert_epochs)
        training = train(
            context.kernels,
            start,
            synthetic.pixels,
            synthetic.labels,
            synthetic.step_size,
            self.inputs(len(synthetic.labels), draws),
            tick=context.tick,
        )
        value, cotangent = matching_loss(training.end, start, target)
        networks = RealNetworks(start, target, lambda: paths.parameters(expert, paths.epochs))
        return MatchedTrajectory(training, networks, value, cotangent, context.tick)

    def inputs(self, images: int, draws: torch.Generator) -> list[StepInput]:
        """Batches and augmentations of the N steps: chunks of a random permutation, a new one when used up."""
        return step_inputs(self.context, images, self.context.config.objective.student_steps, draws)
