"""Networks whose gradients are matched: trained on real images between the iterations, replaced after a while.

What they become depends on the real set and the run's seed alone, never on the synthetic set. So a checkpoint
holds nothing of them: a resumed run trains the present one anew, from its beginning to where it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.cutmix import as_probabilities, sometimes_cutmix
from engine.objectives.base import Context
from engine.seeds import generator
from engine.stacked import gradient_function
from engine.training import Trainee

# IDC's code (Kim et al. 2022), argument.py: SGD at 0.01 with momentum 0.9 and weight decay 5e-4, batches of 64.
RATE, MOMENTUM, WEIGHT_DECAY, BATCH = 0.01, 0.9, 5e-4, 64


@dataclass(frozen=True)
class Stage:
    """A matched network at an iteration; flat parameters, each [size].

    Attributes:
        turn: which network it is, from 0.
        anchor_place: iteration of its life at which real images were last chosen by its features.
        start: as it was drawn.
        anchor: at ``anchor_place``.
        parameters: now.
    """

    turn: int
    anchor_place: int
    start: Tensor
    anchor: Tensor
    parameters: Tensor


class MatchedNetworks:
    """The networks of a run, one after another; the present one is kept."""

    def __init__(self, context: Context) -> None:
        self.context = context
        execution = {"precision": context.config.execution.precision, "device": str(context.device)}
        self._gradient = gradient_function(context.net, execution)
        self._place = -1
        self._stage: Stage | None = None
        self._trainee: Trainee | None = None

    def at(self, iteration: int) -> Stage:
        """The network of an iteration. Can be stopped, and then goes on from where it was."""
        settings = self.context.config.objective
        turn, place = divmod(iteration, settings.network_life)
        if self._stage is None or self._stage.turn != turn or self._place > place:
            draws = generator(self.context.config.seed, "matched network", turn)
            start = self.context.net.init(draws).to(self.context.device)
            self._keep(0, Stage(turn, 0, start, start, start), Trainee.fresh(start.unsqueeze(0)))
        while self._place < place:
            self._advance()
        assert self._stage is not None
        return self._stage

    def _keep(self, place: int, stage: Stage, trainee: Trainee) -> None:
        self._place, self._stage, self._trainee = place, stage, trainee

    def _advance(self) -> None:
        """Train the present network between one iteration and the next; kept only when done."""
        assert self._stage is not None
        assert self._trainee is not None
        stage, place = self._stage, self._place
        trainee = Trainee(self._trainee.parameters, self._trainee.velocity)
        self._train(trainee, generator(self.context.config.seed, "matched training", stage.turn, place))
        place += 1
        parameters = trainee.parameters[0]
        anew = place % self.context.config.objective.select_every == 0
        anchor_place, anchor = (place, parameters) if anew else (stage.anchor_place, stage.anchor)
        self._keep(place, Stage(stage.turn, anchor_place, stage.start, anchor, parameters), trainee)

    def _train(self, trainee: Trainee, draws: torch.Generator) -> None:
        context, settings = self.context, self.context.config.objective
        real = context.real
        pool = torch.cat(real.class_indices)
        count = min(settings.network_images, len(pool))
        order = torch.randperm(len(pool), generator=draws)[:count].to(pool.device)
        for first in range(0, count, BATCH):
            chosen = pool[order[first : first + BATCH]]
            context.tick()
            images, labels = real.train_images[chosen], as_probabilities(real.train_labels[chosen], real.classes)
            if context.augment.enabled:
                images = context.augment(images, context.augment.draw(len(images), draws).to(context.device))
            images, labels = sometimes_cutmix(settings.cutmix, images, labels, draws)
            _, _, slopes = self._gradient(trainee.parameters, images.unsqueeze(0), labels.unsqueeze(0))
            trainee.update(slopes, RATE, MOMENTUM, WEIGHT_DECAY)
