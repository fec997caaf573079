"""The distillation loop: the paper's algorithm, one iteration after another.

    for each iteration:
        train a student on the synthetic set and compare it with an expert        (base objective)
        contrast synthetic and real features through the critic                   (MIM4DD term)
        move the pixels and the step size along both gradients

The loop owns the synthetic set and the optimisers' state, all of it in :class:`engine.state.State`; what happens
around it (journal, checkpoints, evaluations, pictures) is done by the hooks it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from engine import labels as learned_labels
from engine.config.schema import Config
from engine.events import Iteration
from engine.formation import decode, decode_labels, pull_back
from engine.gradient import SyntheticGradient
from engine.information.term import InformationTerm, Sides
from engine.objectives.base import Episode, Objective, SyntheticSet
from engine.objectives.checked import Given
from engine.recovery import Diverged, Levers, NotFinite, Vigil, require_pixels
from engine.state import State

MOST = 1.0
"""Largest change of the logarithm of the step size that is made in one iteration: e-fold, either way. The exponential
is MTT's own step for small changes only; a large one upwards would be out of all proportion to it, where the step size
has become small."""
LIMIT = 50.0
"""A change of the logarithm of the step size by more than this is a divergence."""


class Hooks(Protocol):
    """What happens between iterations."""

    def before(self, state: State) -> None:
        """Before every iteration and once after the last one, with the state at rest."""
        ...

    def metrics(self, event: Iteration) -> None:
        """After every iteration."""
        ...

    def recover(self, state: State, fault: Diverged) -> None:
        """After an iteration that failed: set ``state`` (and the term) back to a good one, or raise RunFailed."""
        ...

    def warn(self, message: str) -> None:
        """Within an iteration: something for the run's log, with what to do about it."""
        ...


def clipped(gradient: Tensor, most: float) -> Tensor:
    """The gradient, shortened to the norm ``most`` where it is longer; 0 leaves it as it is."""
    norm = float(gradient.norm()) if most else 0.0
    return gradient * (most / norm) if norm > most else gradient


def step_size_change(step_size: float, momentum: float, rate: float) -> float:
    """The change of the logarithm of the step size that an update asks for: ``-rate * momentum / step_size``.

    Raises:
        Diverged: it is too large to mean anything.
    """
    change = -rate * momentum / step_size
    if not math.isfinite(change) or abs(change) > LIMIT:
        raise Diverged(
            f"the student's step size diverges (from {step_size:.3g} by a factor of exp({change:.3g})): "
            "lower objective.step_size_rate"
        )
    return change


def updated_step_size(step_size: float, momentum: float, rate: float) -> float:
    """The step size after one update: ``step_size * exp(-rate * momentum / step_size)``, at most ``e^MOST``-fold.

    Stays positive, and to first order in ``rate`` is MTT's own ``step_size - rate * momentum``, so that
    published rates keep their meaning.

    Raises:
        Diverged: the change is too large to mean anything.
    """
    change = step_size_change(step_size, momentum, rate)
    return step_size * math.exp(min(max(change, -MOST), MOST))


def root_mean_square(pixels: Tensor) -> float:
    """Of all values; not finite where one of them is not."""
    return float(pixels.square().mean().sqrt())


@dataclass
class Loop:
    """The iterations of one run.

    Args:
        labels: classes int64 [n] of the starting images: the term's pairs are theirs, also where labels are learned.
        memory: MiB in use, asked after every iteration.
        start: root mean square of the starting set's pixels; 0 compares later ones with nothing.
        clock: seconds, for what an iteration takes: a pause is none of it.
    """

    config: Config
    objective: Objective
    term: InformationTerm | None
    labels: Tensor
    classes: int
    hooks: Hooks
    memory: Callable[[], float | None]
    start: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        self.levers = Levers(self.config)
        self._leapt = False  # it was said

    def run(self, state: State) -> State:
        """Iterate to the end. ``state`` is changed in place, and only between iterations.

        Raises:
            RunFailed: numbers lost their meaning, and the hooks found no way back.
        """
        while True:
            self.hooks.before(state)
            if state.iteration >= self.config.objective.iterations:
                return state
            try:
                event = self.iterate(state)
            except Diverged as fault:
                self.hooks.recover(state, fault)
            else:
                self.hooks.metrics(event)

    def targets(self, learned: Tensor | None) -> Tensor:
        """Labels int64 [n] of the stored images, or targets [n, classes] of what is learned of them."""
        return self.labels if learned is None else learned_labels.targets(self.config.synthetic.labels, learned)

    def decoded(self, pixels: Tensor, learned: Tensor | None) -> tuple[Tensor, Tensor]:
        """The images that stored ones stand for, which networks are trained on, and their labels."""
        factor = self.config.synthetic.formation
        return decode(pixels, factor), decode_labels(self.targets(learned), factor)

    def iterate(self, state: State) -> Iteration:
        """One iteration: both gradients, then the update.

        Raises:
            Diverged: a loss or gradient is not finite, or they run away; the synthetic set is left as it was.
            RunFailed: the objective gives what is none of this set, or writes into it.
        """
        began = self.clock()
        step_size = torch.tensor(state.step_size, dtype=torch.float32, device=state.pixels.device)
        pixels, labels = self.decoded(state.pixels, state.labels)
        # Detached: that an objective asks for gradients of what it is given concerns no later iteration.
        synthetic = SyntheticSet(pixels.detach(), labels.detach(), step_size)
        given = Given(self.config.objective.name, synthetic)
        episode = self.objective.episode(synthetic, state.iteration)
        gradient = given.gradient(episode.gradient(), "gradient")
        given.require_unchanged()
        self.levers = Levers(self.config, gradient.step_size is not None)
        gradient = replace(gradient, pixels=pull_back(gradient.pixels, self.config.synthetic.formation))
        event = Iteration(
            iteration=state.iteration + 1,
            objective=given.value(episode.loss),
            nce=None,
            bound=None,
            ceiling=None,
            bounds=None,
            gradient_norm=float(gradient.pixels.norm()),
            gradient_ratio=None,
            step_size=None,
            seconds=0.0,
        )
        self._require_finite(event)
        if self.term is not None:
            gradient, event = self._with_information(state, episode, given, gradient, event)
        self._update(state, gradient, self._vigil(state, event))
        return replace(event, step_size=state.step_size, seconds=self.clock() - began, memory=self.memory())

    def _with_information(
        self, state: State, episode: Episode, given: Given, gradient: SyntheticGradient, event: Iteration
    ) -> tuple[SyntheticGradient, Iteration]:
        """Add the MIM4DD term's gradient."""
        assert self.term is not None
        settings = self.config.information
        sides = self.term.sides(episode.networks, episode.student, state.iteration)
        images = decode(state.pixels, self.config.synthetic.formation)
        if state.iteration == 0:
            self.term.warm_up(images, sides)
        asked = self.term.gradient(images, sides, state.iteration)
        pixels, by_step, by_labels = asked.pixels, None, None
        if asked.student is not None:
            pulled = given.gradient(episode.pull_back(asked.student), "pull_back")
            given.require_unchanged()
            pixels, by_step, by_labels = pixels + pulled.pixels, pulled.step_size, pulled.labels
        pixels = pull_back(pixels, self.config.synthetic.formation)
        norm = float(pixels.norm())
        if not (math.isfinite(norm) and math.isfinite(float(asked.loss))):
            raise Diverged(
                f"the contrastive loss is not finite at iteration {event.iteration}: "
                "raise information.temperature or lower information.critic_rate"
            )
        ratio = norm / event.gradient_norm if event.gradient_norm > 0 else None
        scale = settings.weight
        if settings.scaling == "ratio":
            scale = settings.weight / ratio if ratio else 0.0
        step_gradient = gradient.step_size
        if by_step is not None and step_gradient is not None:
            step_gradient = step_gradient + scale * by_step
        label_gradient = gradient.labels
        if by_labels is not None and label_gradient is not None:
            label_gradient = label_gradient + scale * by_labels
        bounds = self._read_bounds(state, sides)
        total = SyntheticGradient(gradient.pixels + scale * pixels, step_gradient, label_gradient)
        return total, replace(
            event,
            nce=float(asked.loss),
            bounds=bounds,
            bound=max(bounds) if bounds else None,
            ceiling=math.log(self.classes),
            gradient_ratio=ratio,
        )

    def _read_bounds(self, state: State, sides: Sides) -> list[float] | None:
        assert self.term is not None
        every = self.config.information.readout_every
        if state.iteration % every and state.iteration + 1 < self.config.objective.iterations:
            return None
        return self.term.bounds(decode(state.pixels, self.config.synthetic.formation), sides, state.iteration)

    def _require_finite(self, event: Iteration) -> None:
        if math.isfinite(event.objective) and math.isfinite(event.gradient_norm):
            return
        # Before the first move of the pixels no rate has done anything.
        rates = ("objective.pixel_rate", "objective.step_size_rate") if event.iteration > 1 else ()
        lower = self.levers.lower(*rates[:1], "objective.step_size", *rates[1:])
        if not lower:
            lower = f"no rate has been used yet, so look at the code of objective {self.config.objective.name}"
        raise NotFinite(
            f"the objective is not finite at iteration {event.iteration} (loss {event.objective}, gradient norm "
            f"{event.gradient_norm}): {lower}; the last checkpoint is intact"
        )

    def _vigil(self, state: State, event: Iteration) -> Vigil:
        lower = self.levers.lower("objective.pixel_rate", "objective.step_size_rate")
        return state.vigil.after(event.objective, event.iteration, lower)

    def _tell_of_leap(self, iteration: int, change: float) -> None:
        """Say once that the step size was to change by more than it may."""
        if abs(change) <= MOST or self._leapt:
            return
        self._leapt = True
        self.hooks.warn(
            f"at iteration {iteration} the student's step size was to change by a factor of {math.exp(change):.3g}; "
            f"it changes by {math.exp(math.copysign(MOST, change)):.3g}, more is never made at once: if its curve does "
            "not settle, lower objective.step_size_rate"
        )

    def _update(self, state: State, gradient: SyntheticGradient, vigil: Vigil) -> None:
        """SGD with momentum on the pixels (torch's form), and on the logarithm of the step size."""
        settings = self.config.objective
        # 1 exactly until a run has gone back: then the same rates in smaller measure.
        rates = self.config.execution.recovery_factor**state.recoveries
        step_size, step_momentum = state.step_size, state.step_momentum
        if gradient.step_size is not None and settings.step_size_rate > 0:
            step_momentum = settings.step_size_momentum * step_momentum + float(gradient.step_size)
            rate = rates * settings.step_size_rate
            self._tell_of_leap(state.iteration + 1, step_size_change(step_size, step_momentum, rate))
            step_size = updated_step_size(step_size, step_momentum, rate)
        momentum = settings.pixel_momentum * state.momentum + clipped(gradient.pixels, settings.pixel_clip)
        pixels = state.pixels - rates * settings.pixel_rate * momentum
        lower = self.levers.lower("objective.pixel_rate", "information.weight")
        require_pixels(root_mean_square(pixels), self.start, state.iteration + 1, lower)
        learned, label_momentum = self._updated_labels(state, gradient.labels, rates)
        # Assigned together, and never in place: a checkpoint or a picture may still hold the old tensors.
        state.momentum, state.pixels = momentum, pixels
        state.step_size, state.step_momentum = step_size, step_momentum
        state.labels, state.label_momentum = learned, label_momentum
        state.vigil = vigil
        state.iteration += 1

    def _updated_labels(
        self, state: State, by_targets: Tensor | None, rates: float
    ) -> tuple[Tensor | None, Tensor | None]:
        """What is learned of the labels after one update by SGD with momentum, and the momentum.

        Raises:
            Diverged: it is no longer finite.
        """
        if state.labels is None or state.label_momentum is None or by_targets is None:
            return state.labels, state.label_momentum
        settings = self.config.objective
        gradient = learned_labels.pull_back(self.config.synthetic.labels, state.labels, by_targets)
        momentum = settings.label_momentum * state.label_momentum + gradient
        learned = state.labels - rates * settings.label_rate * momentum
        if not bool(learned.isfinite().all()):
            raise Diverged(
                f"the learned labels are not finite at iteration {state.iteration + 1}: lower objective.label_rate"
            )
        return learned, momentum
