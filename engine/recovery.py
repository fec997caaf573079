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
rates, ``execution.recoveries`` times at most.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import RunDiverged, RunFailed

MULTIPLE = 100.0
BEYOND = 10.0
PATIENCE = 5
WINDOW = 50
LEAST = 10
"""Normal iterations there have to be before one is compared with them."""
GROWTH = 1000.0


class Diverged(RunFailed):
    """An iteration's numbers have no meaning; the state is as it was before it."""


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

    def after(self, objective: float, iteration: int) -> Vigil:
        """The vigil after one more iteration.

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
                        "lower objective.pixel_rate or objective.step_size_rate"
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


def require_pixels(size: float, start: float, iteration: int) -> None:
    """Refuses pixels that ran away.

    Args:
        size: root mean square of the new pixels.
        start: that of the starting set; 0 compares nothing but finiteness.

    Raises:
        Diverged: it is not finite, or far above the start's.
    """
    if not math.isfinite(size):
        raise Diverged(
            f"the pixels are not finite after iteration {iteration}: lower objective.pixel_rate or information.weight; "
            "the last checkpoint is intact"
        )
    if start > 0 and size > GROWTH * start:
        raise Diverged(
            f"the pixels diverge: after iteration {iteration} their root mean square is {size:.3g}, "
            f"{size / start:,.0f} times the starting set's: lower objective.pixel_rate or information.weight; the last "
            "checkpoint is intact"
        )


def exhausted(fault: Diverged, recoveries: int, factor: float) -> RunDiverged:
    """What a run ends with when it may not go back (again)."""
    if recoveries == 0:
        return RunDiverged(f"{fault} (execution.recoveries is 0: the run does not go back by itself)")
    rates = f"{factor**recoveries:.3g}"
    return RunDiverged(
        f"{fault}. The run went back to a good checkpoint {recoveries} time{'s' if recoveries > 1 else ''}, at last "
        f"with the pixel rate and the step size's rate multiplied by {rates}, and its numbers lost their meaning "
        "again. Begin it anew with what is named first; if that does not do, lower objective.pixel_rate, "
        "objective.step_size_rate and objective.step_size too; with information.weight > 0 also information.critic_rate"
    )
