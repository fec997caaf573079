"""When numbers lose their meaning: how that is seen, and what is said.

An iteration is bad where its loss, a gradient, the new pixels or the new step size is not finite, where the
step size changes by more than ``engine.distill.LIMIT`` allows, and where the run runs away with numbers that
are still finite:

*   the objective is more than ``MULTIPLE`` times the median of the last ``WINDOW`` normal ones, and more than
    ``BEYOND`` times the largest of the run's first ``WINDOW``, for ``PATIENCE`` iterations in a row. In finished
    runs (MTT on digits, MNIST and CIFAR-10 with their experts drawn at random) the largest ratio of a single
    iteration to the median was 1.65, and of five in a row 1.0; matching losses of different experts and epochs
    differ by factors, not by hundreds, five times running. The second condition is for objectives on networks that
    learn and are replaced: with a fresh network the loss leaps back to where the run began.
*   the new pixels' root mean square is more than ``GROWTH`` times that of the starting set. Distilled sets end
    at 1 to 3 times; pixels at a thousand times show nothing of an image.

A bad iteration never reaches the synthetic set: the run goes back to its last checkpoint (pixels, momentum, step
size, critic) that was due by ``execution.checkpoint_every`` and is not of a suspicious stretch, and on with smaller
rates, ``execution.recoveries`` times at most. It goes back once, and no more, where the objective is not finite on a
set that is the same to the bit as it was before: no smaller rate changes what is computed from it.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from engine.errors import RunDiverged, RunFailed

if TYPE_CHECKING:
    from engine.config.schema import Config
    from engine.state import State

MULTIPLE = 100.0
BEYOND = 10.0
PATIENCE = 5
WINDOW = 50
LEAST = 10
"""Normal iterations there have to be before one is compared with them."""
GROWTH = 1000.0


class Diverged(RunFailed):
    """An iteration's numbers have no meaning; the state is as it was before it."""


class NotFinite(Diverged):
    """It is the objective's own loss or gradient, computed from the set as it is."""


@dataclass(frozen=True, slots=True)
class Levers:
    """The settings that can be lowered where numbers lose their meaning: of those that are named, the ones a run has.

    Attributes:
        step_size: whether its objective has a gradient by the student's step size.
    """

    config: Config
    step_size: bool = True

    def has(self, key: str) -> bool:
        """Whether a setting does anything in this run."""
        settings = self.config
        match key:
            case "objective.step_size":
                return self.step_size
            case "objective.step_size_rate":
                return self.step_size and settings.objective.step_size_rate > 0
            case "objective.label_rate":
                return settings.synthetic.labels != "hard" and settings.objective.label_rate > 0
            case "information.weight" | "information.critic_rate":
                return settings.information.weight > 0
        return True

    def lower(self, *keys: str, joined: str = "or") -> str:
        """For example "lower objective.pixel_rate or objective.step_size"; "" where the run has none of them."""
        *others, last = [key for key in keys if self.has(key)] or [""]
        return f"lower {', '.join(others)}{f' {joined} ' if others else ''}{last}" if last else ""


@dataclass(frozen=True, slots=True)
class Vigil:
    """What an iteration's objective is compared with; part of a run's state, so that a resumed run judges alike.

    Attributes:
        recent: objectives of the last normal iterations, oldest first.
        streak: how many iterations in a row were far above them; 0 while all is well.
        opening: largest objective of the first ``WINDOW`` normal iterations.
    """

    recent: tuple[float, ...] = ()
    streak: int = 0
    opening: float = 0.0

    def after(self, objective: float, iteration: int, lower: str = "lower objective.pixel_rate") -> Vigil:
        """The vigil after one more iteration; ``lower`` is what is advised where it is bad.

        Raises:
            Diverged: it is the last of ``PATIENCE`` in a row that are far above what was normal.
        """
        if len(self.recent) >= LEAST:
            usual = statistics.median(self.recent)
            if objective > max(MULTIPLE * usual, BEYOND * self.opening) and usual > 0:
                if self.streak + 1 >= PATIENCE:
                    raise Diverged(
                        f"the objective diverges: at iteration {iteration} it is {objective:.3g}, and for {PATIENCE} "
                        f"iterations it was more than {MULTIPLE:.0f} times what it was before (about {usual:.3g}): "
                        + lower
                    )
                return Vigil(self.recent, self.streak + 1, self.opening)
        opening = max(self.opening, objective) if len(self.recent) < WINDOW else self.opening
        return Vigil((*self.recent, objective)[-WINDOW:], 0, opening)

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def restore(cls, values: Any) -> Vigil:
        """What :meth:`document` gave; a fresh one where an older version wrote none.

        Raises:
            TypeError, KeyError, ValueError: it is something else.
        """
        if values is None:
            return cls()
        return cls(tuple(float(v) for v in values["recent"]), int(values["streak"]), float(values["opening"]))


def require_pixels(size: float, start: float, iteration: int, lower: str) -> None:
    """Refuses pixels that ran away.

    Args:
        size: root mean square of the new pixels.
        start: that of the starting set; 0 compares nothing but finiteness.
        lower: what is advised.

    Raises:
        Diverged: it is not finite, or far above the start's.
    """
    if not math.isfinite(size):
        raise Diverged(f"the pixels are not finite after iteration {iteration}: {lower}; the last checkpoint is intact")
    if start > 0 and size > GROWTH * start:
        raise Diverged(
            f"the pixels diverge: after iteration {iteration} their root mean square is "
            f"{size / start:,.0f} times the starting set's: {lower}; the last checkpoint is intact"
        )


@dataclass
class Failures:
    """Where a run's numbers lost their meaning, as far as this process has seen it."""

    iterations: list[int] = field(default_factory=list)
    _from: State | None = None  # what the last one was computed from, where it was the objective's own

    def add(self, fault: Diverged, state: State) -> bool:
        """One more; whether the objective is not finite on the very set that it was not finite on before."""
        again = self._from is not None and isinstance(fault, NotFinite) and _same_set(state, self._from)
        self.iterations.append(state.iteration + 1)
        # A copy of what names the tensors: these are never written into.
        self._from = replace(state) if isinstance(fault, NotFinite) else None
        return again

    @property
    def stuck(self) -> int | None:
        """The iteration, where it was the same each time of several."""
        return self.iterations[0] if len(self.iterations) > 1 and len(set(self.iterations)) == 1 else None


def _same_set(state: State, before: State) -> bool:
    """Whether an iteration computes the same from both."""
    if (state.iteration, state.step_size) != (before.iteration, before.step_size):
        return False
    if not torch.equal(state.pixels, before.pixels):
        return False
    if state.labels is None or before.labels is None:
        return state.labels is before.labels
    return torch.equal(state.labels, before.labels)


def exhausted(fault: Diverged, recoveries: int, levers: Levers, failures: Failures, *, futile: bool) -> RunDiverged:
    """What a run ends with when it may not go back (again), or when that would be futile."""
    if recoveries == 0:
        return RunDiverged(f"{fault} (execution.recoveries is 0: the run does not go back by itself)")
    rates = f"{levers.config.execution.recovery_factor**recoveries:.3g}"
    keys = ("objective.pixel_rate", "objective.step_size_rate", "objective.step_size", "information.critic_rate")
    text = (
        f"{fault}. The run went back to a good checkpoint {recoveries} time{'s' if recoveries > 1 else ''}, at last "
        f"with its rates multiplied by {rates}, and its numbers lost their meaning again"
    )
    code = f"the code of objective {levers.config.objective.name}"
    if futile:
        text += f", on the same set as before: smaller rates change nothing there, and the cause may be {code}"
    elif failures.stuck is not None and isinstance(fault, NotFinite):
        text += f", at iteration {failures.stuck} each time: smaller rates did not help, and the cause may be {code}"
    elif failures.stuck is not None:
        text += (
            f", at iteration {failures.stuck} each time: they are still too large by far, unless the cause is {code}"
        )
    others = levers.lower(*keys, joined="and")
    return RunDiverged(f"{text}. Begin it anew with what is named first; if that does not do, {others} too")
