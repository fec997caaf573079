"""Distribution matching (DM, Zhao & Bilen 2023): the mean features of every class, in a fresh random network.

For every class, the mean of a random network's last feature map over the synthetic images is drawn to that over real
images, both under one augmentation: the sum over classes of the squared distances. Networks are never trained.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.objectives.base import Context, Matching, RealNetworks, SyntheticSet
from engine.objectives.batches import real_batch, shared_view, visited_expert
from engine.seeds import generator


class Distribution:
    """The objective."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def episode(self, synthetic: SyntheticSet, iteration: int) -> Matching:
        """Compare the classes' mean features in a network of its own for every iteration."""
        context = self.context
        draws = generator(context.config.seed, "iteration", iteration)
        network = context.net.init(draws).to(context.device)
        chosen = real_batch(context.real, context.config.objective.real_batch, draws)
        images, labels = context.real.train_images[chosen], context.real.train_labels[chosen]
        total, found = torch.zeros((), device=context.device), torch.zeros_like(synthetic.pixels)
        for label in range(context.real.classes):
            context.tick()
            own, view = synthetic.labels == label, shared_view(context, draws)
            pixels = synthetic.pixels[own].detach().requires_grad_()
            with torch.no_grad():
                target = self.mean_features(network, view(images[labels == label]))
            with torch.enable_grad():
                value = (self.mean_features(network, view(pixels)) - target).square().sum()
            total = total + value.detach()
            found[own] = torch.autograd.grad(value, pixels)[0]
        paths, expert = context.trajectories, visited_expert(context, iteration)
        networks = RealNetworks(network, network, lambda: paths.parameters(expert, paths.epochs))
        return Matching(total, network, networks, found)

    def mean_features(self, parameters: Tensor, images: Tensor) -> Tensor:
        """The mean [d] over images [n, c, h, w] of the last feature map, flattened."""
        return self.context.net.features(parameters, images)[-2].flatten(1).mean(0)
