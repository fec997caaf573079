"""What an iteration changes and a checkpoint holds: the synthetic set and the optimiser's state; where it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from engine.config.schema import Config
from engine.data.prepare import RealSet
from engine.errors import DataError
from engine.formation import compose
from engine.recovery import Vigil
from engine.seeds import generator


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
