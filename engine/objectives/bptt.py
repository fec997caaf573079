"""Back-propagation through a training from scratch, with momentum (Deng & Russakovsky 2022) and, where
``objective.window`` asks for it, random truncation (RaT-BPTT, Feng et al. 2024).

A fresh random network is trained on the synthetic set, and its cross-entropy on real images is differentiated
by the pixels that trained it: the loss that evaluation measures, without any expert. Where it is not as published: both
optimisers are SGD with momentum, as Deng & Russakovsky's, where RaT-BPTT has Adam inside and outside; a step's batch of
a set too large for one is drawn from all images, not class by class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.gradient import Training, train
from engine.objectives.base import Context, RealNetworks, SyntheticSet, Trained
from engine.objectives.batches import real_batch, step_inputs, visited_expert
from engine.seeds import generator


class UnrolledTraining(Trained[Training]):
    """One iteration: a training on the synthetic set and its loss on real images."""


class Bptt:
    """The objective."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def length(self, draws: torch.Generator) -> int:
        """Steps of an iteration's training: all, or with a window a number from the window's to all."""
        settings = self.context.config.objective
        if not settings.window:
            return settings.student_steps
        return int(torch.randint(settings.window, settings.student_steps + 1, (), generator=draws))

    def episode(self, synthetic: SyntheticSet, iteration: int) -> UnrolledTraining:
        """Train a fresh network on the synthetic set and measure it on real images."""
        context, settings = self.context, self.context.config.objective
        draws = generator(context.config.seed, "iteration", iteration)
        start = context.net.init(draws).to(context.device)
        steps = self.length(draws)
        training = train(
            context.kernels,
            start,
            synthetic.pixels,
            synthetic.labels,
            synthetic.step_size,
            step_inputs(context, len(synthetic.labels), steps, draws),
            momentum=settings.student_momentum,
            window=settings.window,
            tick=context.tick,
        )
        images, labels = self.measured(draws)
        value, _, cotangent = context.loss.first(training.end, images, labels)
        paths, expert = context.trajectories, visited_expert(context, iteration)
        # Real images through the student too: a fresh network's features have a basis of their own, which no critic of
        # an expert's features has ever seen.
        networks = RealNetworks(start, training.end, lambda: paths.parameters(expert, paths.epochs))
        return UnrolledTraining(training, networks, value, cotangent, context.tick)

    def measured(self, draws: torch.Generator) -> tuple[Tensor, Tensor]:
        """Real images of every class, augmented like the synthetic ones, and their labels."""
        context, real = self.context, self.context.real
        chosen = real_batch(real, context.config.objective.real_batch, draws)
        images = real.train_images[chosen]
        if context.augment.enabled:
            images = context.augment(images, context.augment.draw(len(images), draws).to(context.device))
        return images, real.train_labels[chosen]
