"""Gradient matching on IDC's terms (Kim et al. 2022) with DREAM's representative real images (Liu et al. 2023).

For every class, the gradient of a network's loss on the synthetic images is drawn to that on real images of the
class: the squared or absolute distance of the convolutions' weights, both sides under one augmentation. Between
iterations the network learns from real images (:mod:`engine.objectives.matched`). Real images are those nearest
to the centres of the class's clusters in the network's last feature map, chosen anew every so often.
``synthetic.formation`` above 1 is IDC's multi-formation; it works with every objective.

Not followed: IDC moves the pixels after each class, which differs from one move for all by the momentum alone; it
composes its augmentations, here one of DSA's strategies is drawn for each class; it clips pixels to their range.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.objectives.base import Context, Matching, RealNetworks, SyntheticSet
from engine.objectives.batches import shared_view, visited_expert
from engine.objectives.matched import MatchedNetworks, Stage
from engine.objectives.representatives import representatives
from engine.seeds import generator

CHUNK = 1000
"""Real images whose features are computed at once: a bound on memory."""


class Dream:
    """The objective."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.networks = MatchedNetworks(context)
        self.matched = torch.zeros(context.net.size, dtype=torch.bool, device=context.device)
        for slot in context.net.slots:
            self.matched[slot.start : slot.stop] = len(slot.shape) == 4  # the convolutions' weights
        self._chosen: tuple[tuple[int, int], list[Tensor]] | None = None

    def episode(self, synthetic: SyntheticSet, iteration: int) -> Matching:
        """Match the gradients of every class."""
        context = self.context
        stage = self.networks.at(iteration)
        draws = generator(context.config.seed, "iteration", iteration)
        total, found = torch.zeros((), device=context.device), torch.zeros_like(synthetic.pixels)
        for label, chosen in enumerate(self.chosen(stage, draws)):
            context.tick()
            own = (synthetic.labels == label).nonzero().squeeze(1)
            view = shared_view(context, draws)
            target = self.slope(stage.parameters, view(context.real.train_images[chosen]), label)
            with torch.enable_grad():
                pixels = synthetic.pixels[own].detach().requires_grad_()
                seen = view(pixels)
            offered = self.slope(stage.parameters, seen.detach(), label)
            value, by_offered = self.distance(offered, target)
            # <by_offered, offered> has, at this offered gradient, the distance's own derivative by the images.
            by_seen = context.loss.second(stage.parameters, by_offered, seen.detach(), self._labels(seen, label))[2]
            total = total + value
            found[own] = torch.autograd.grad(seen, pixels, by_seen)[0]
        paths, expert = context.trajectories, visited_expert(context, iteration)
        networks = RealNetworks(stage.start, stage.parameters, lambda: paths.parameters(expert, paths.epochs))
        return Matching(total, stage.parameters, networks, found)

    def chosen(self, stage: Stage, draws: torch.Generator) -> list[Tensor]:
        """Real images of every class: positions among the training images."""
        settings, real = self.context.config.objective, self.context.real
        if settings.selection == "random":
            batches = [torch.randperm(len(pool), generator=draws)[: settings.real_batch] for pool in real.class_indices]
            return [pool[batch.to(pool.device)] for pool, batch in zip(real.class_indices, batches, strict=True)]
        key = (stage.turn, stage.anchor_place)
        if self._chosen is None or self._chosen[0] != key:
            self._chosen = key, [self._representatives(stage, label) for label in range(real.classes)]
        return self._chosen[1]

    def _representatives(self, stage: Stage, label: int) -> Tensor:
        context, pool = self.context, self.context.real.class_indices[label]
        features = []
        with torch.no_grad():
            for part in torch.split(pool, CHUNK):
                context.tick()
                features.append(context.net.features(stage.anchor, context.real.train_images[part])[-2].flatten(1))
        draws = generator(context.config.seed, "representatives", stage.turn, stage.anchor_place, label)
        return pool[representatives(torch.cat(features), context.config.objective.real_batch, draws, context.tick)]

    def slope(self, parameters: Tensor, images: Tensor, label: int) -> Tensor:
        """Gradient [size] by the parameters of the mean cross-entropy on images [n, c, h, w] of one class."""
        return self.context.loss.first(parameters, images, self._labels(images, label))[2]

    def distance(self, offered: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Between two gradients [size], over the convolutions' weights: the sum of squares ("mse", as IDC's code calls
        it) or of absolute values ("l1"), and its derivative by the first."""
        difference = (offered - target) * self.matched
        if self.context.config.objective.distance == "l1":
            return difference.abs().sum(), difference.sign()
        return difference.square().sum(), 2 * difference

    @staticmethod
    def _labels(images: Tensor, label: int) -> Tensor:
        return torch.full((len(images),), label, device=images.device)
