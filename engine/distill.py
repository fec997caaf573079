"""The distillation loop: the paper's algorithm, one iteration after another.

    for each iteration:
        train a student on the synthetic set and compare it with an expert        (base objective)
        contrast synthetic and real features through the critic                   (MIM4DD term)
        move the pixels and the step size along both gradients

The loop owns the synthetic set and the optimisers' state, all of it in :class:`State`; what happens
around it (journal, checkpoints, evaluations, pictures) is done by the hooks it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from engine import labels as learned_labels
from engine.config.schema import Config
from engine.data.prepare import RealSet
from engine.errors import DataError
from engine.events import Iteration
from engine.formation import compose, decode, decode_labels, pull_back
from engine.gradient import SyntheticGradient
from engine.information.term import InformationTerm, Sides
from engine.objectives.base import Episode, Objective, SyntheticSet
from engine.recovery import Diverged, Vigil, require_pixels
from engine.seeds import generator

LIMIT = 50.0
"""Largest change of the logarithm of the step size in one iteration; more than e^50 is a divergence."""


@dataclass
class State:
    """Everything an iteration changes. Restored from a checkpoint, the loop goes on to the same bits.

    Attributes:
        iteration: iterations done.
        pixels: [n, c, h, w]; ``momentum`` likewise.
        step_size: the student's step size, kept in double precision; ``step_momentum`` likewise.
        best: the iterate chosen so far.
        tested: where validation images choose, the iterate that the test images would have chosen.
        evaluated: iteration of the last live evaluation, -1 before the first.
        recoveries: how often the run went back to a checkpoint because its numbers lost their meaning.
        vigil: what the next iteration's objective is compared with.
        labels: what is learned of the labels, [n, classes], ``label_momentum`` likewise; None where they are hard.
    """

    iteration: int
    pixels: Tensor
    momentum: Tensor
    step_size: float
    step_momentum: float
    best: Best | None = None
    tested: Best | None = None
    evaluated: int = -1
    recoveries: int = 0
    vigil: Vigil = field(default_factory=Vigil)
    labels: Tensor | None = None
    label_momentum: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint."""
        tensors = {"pixels": self.pixels, "momentum": self.momentum}
        if self.labels is not None and self.label_momentum is not None:
            tensors |= {"labels": self.labels, "label_momentum": self.label_momentum}
        for name, chosen in (("best", self.best), ("tested", self.tested)):
            tensors |= {} if chosen is None else chosen.tensors(name)
        return tensors

    def document(self) -> dict[str, Any]:
        """The numbers of a checkpoint, as plain values."""
        return {
            "iteration": self.iteration,
            "step_size": self.step_size,
            "step_momentum": self.step_momentum,
            "evaluated": self.evaluated,
            "best": None if self.best is None else self.best.document(),
            "tested": None if self.tested is None else self.tested.document(),
            "recoveries": self.recoveries,
            "vigil": self.vigil.document(),
        }

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], document: dict[str, Any], device: torch.device) -> State:
        """What :meth:`tensors` and :meth:`document` gave.

        Raises:
            DataError: something is missing from the checkpoint.
        """

        def learned(name: str) -> Tensor | None:
            return tensors[name].to(device) if name in tensors else None

        try:
            return cls(
                iteration=document["iteration"],
                pixels=tensors["pixels"].to(device),
                momentum=tensors["momentum"].to(device),
                step_size=document["step_size"],
                step_momentum=document["step_momentum"],
                best=Best.restore("best", tensors, document["best"], device),
                tested=Best.restore("tested", tensors, document.get("tested"), device),
                evaluated=document["evaluated"],
                recoveries=document.get("recoveries", 0),
                vigil=Vigil.restore(document.get("vigil")),
                labels=learned("labels"),
                label_momentum=learned("label_momentum"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"the checkpoint lacks {error}: it was written by another version") from None


@dataclass(frozen=True)
class Best:
    """The iterate with the highest live accuracy."""

    iteration: int
    pixels: Tensor
    step_size: float
    accuracy: float
    labels: Tensor | None = None

    @classmethod
    def of(cls, state: State, accuracy: float) -> Best:
        """The present iterate."""
        return cls(state.iteration, state.pixels, state.step_size, accuracy, state.labels)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Its tensors in a checkpoint, under ``name``."""
        labels = {} if self.labels is None else {f"{name}.labels": self.labels}
        return {f"{name}.pixels": self.pixels} | labels

    def document(self) -> dict[str, Any]:
        """All but the tensors, as plain values."""
        return {name: getattr(self, name) for name in ("iteration", "step_size", "accuracy")}

    @classmethod
    def restore(
        cls, name: str, tensors: dict[str, Tensor], document: dict[str, Any] | None, device: torch.device
    ) -> Best | None:
        """What a checkpoint holds of it under ``name``. Raises KeyError or TypeError where something is missing."""
        if document is None:
            return None
        labels = tensors[f"{name}.labels"].to(device) if f"{name}.labels" in tensors else None
        return cls(pixels=tensors[f"{name}.pixels"].to(device), labels=labels, **document)


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


def initial_pixels(config: Config, real: RealSet) -> tuple[Tensor, Tensor]:
    """The starting set: pixels [n, c, h, w] and labels int64 [n], ordered by class.

    Raises:
        DataError: a class has fewer real images than the synthetic set asks for.
    """
    draws = generator(config.seed, "init")
    each = config.synthetic.images_per_class
    labels = torch.arange(real.classes).repeat_interleave(each)
    if config.synthetic.init == "noise":
        pixels = torch.randn(len(labels), *real.shape, generator=draws)
        return pixels.to(real.train_images.device), labels.to(real.train_images.device)
    taken = each * config.synthetic.formation**2
    parts = []
    for label, indices in enumerate(real.class_indices):
        if len(indices) < taken:
            raise DataError(
                f"class {label} has {len(indices)} training images, but synthetic.images_per_class and formation start "
                f"from {taken}: lower one, raise data.train_limit, or start from noise (synthetic.init)"
            )
        parts.append(indices[torch.randperm(len(indices), generator=draws)[:taken].to(indices.device)])
    images = compose(real.train_images[torch.cat(parts)].clone(), config.synthetic.formation)
    return images, labels.to(real.train_images.device)


def initial_state(config: Config, pixels: Tensor, labels: Tensor | None = None) -> State:
    """The state before the first iteration; ``labels`` are what is learned of them."""
    state = State(0, pixels, torch.zeros_like(pixels), config.objective.step_size, 0.0)
    if labels is not None:
        state.labels, state.label_momentum = labels, torch.zeros_like(labels)
    return state


def clipped(gradient: Tensor, most: float) -> Tensor:
    """The gradient, shortened to the norm ``most`` where it is longer; 0 leaves it as it is."""
    norm = float(gradient.norm()) if most else 0.0
    return gradient * (most / norm) if norm > most else gradient


def updated_step_size(step_size: float, momentum: float, rate: float) -> float:
    """The step size after one update: ``step_size * exp(-rate * momentum / step_size)``.

    Stays positive, and to first order in ``rate`` is MTT's own ``step_size - rate * momentum``, so that
    published rates keep their meaning.

    Raises:
        Diverged: the change is too large to mean anything.
    """
    change = -rate * momentum / step_size
    if not math.isfinite(change) or abs(change) > LIMIT:
        raise Diverged(
            f"the student's step size diverges (from {step_size:.3g} by a factor of exp({change:.3g})): "
            "lower objective.step_size_rate"
        )
    return step_size * math.exp(change)


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
        """
        began = self.clock()
        step_size = torch.tensor(state.step_size, dtype=torch.float32, device=state.pixels.device)
        episode = self.objective.episode(
            SyntheticSet(*self.decoded(state.pixels, state.labels), step_size), state.iteration
        )
        gradient = episode.gradient()
        gradient = replace(gradient, pixels=pull_back(gradient.pixels, self.config.synthetic.formation))
        event = Iteration(
            iteration=state.iteration + 1,
            objective=float(episode.loss),
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
            gradient, event = self._with_information(state, episode, gradient, event)
        self._update(state, gradient, state.vigil.after(event.objective, event.iteration))
        return replace(event, step_size=state.step_size, seconds=self.clock() - began, memory=self.memory())

    def _with_information(
        self, state: State, episode: Episode, gradient: SyntheticGradient, event: Iteration
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
            pulled = episode.pull_back(asked.student)
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
        if not (math.isfinite(event.objective) and math.isfinite(event.gradient_norm)):
            raise Diverged(
                f"the objective is not finite at iteration {event.iteration} (loss {event.objective}, gradient norm "
                f"{event.gradient_norm}): lower objective.pixel_rate, objective.step_size or objective.step_size_rate; "
                "the last checkpoint is intact"
            )

    def _update(self, state: State, gradient: SyntheticGradient, vigil: Vigil) -> None:
        """SGD with momentum on the pixels (torch's form), and on the logarithm of the step size."""
        settings = self.config.objective
        # 1 exactly until a run has gone back: then the same rates in smaller measure.
        rates = self.config.execution.recovery_factor**state.recoveries
        step_size, step_momentum = state.step_size, state.step_momentum
        if gradient.step_size is not None and settings.step_size_rate > 0:
            step_momentum = settings.step_size_momentum * step_momentum + float(gradient.step_size)
            step_size = updated_step_size(step_size, step_momentum, rates * settings.step_size_rate)
        momentum = settings.pixel_momentum * state.momentum + clipped(gradient.pixels, settings.pixel_clip)
        pixels = state.pixels - rates * settings.pixel_rate * momentum
        require_pixels(root_mean_square(pixels), self.start, state.iteration + 1)
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
