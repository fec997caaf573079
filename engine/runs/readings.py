"""What a run's readings of its bound come to: the last one, and the mean of the last ones."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from engine.config.schema import Config
from engine.runs.history import RunHistory


@dataclass(frozen=True, slots=True)
class Readings:
    """Of the bound on the mutual information, in nats.

    A reading holds for the networks of its iteration. Where these live for some iterations (``objective.network_life``)
    the readings rise along each life and fall with the next, so that the last one depends on where a life ends.

    Attributes:
        last: the newest reading, of ``iteration``.
        since: iteration of the first reading that is in the mean.
        mean: of those of the ``over`` iterations that end with ``until``: a tenth of the run so far, in whole lives.
        count: how many these are.
        until: iteration of the last reading that was due. One that is made because a run ends, out of turn, is not in
            the mean: it would count a life's end twice.
        ceiling: log of the classes.
    """

    last: float
    iteration: int
    mean: float
    count: int
    since: int
    over: int
    until: int
    ceiling: float | None

    @staticmethod
    def of(history: RunHistory, config: Config | None) -> Readings | None:
        """Those of a run; None where no finite one was made. Without a configuration lives are not known of."""
        bounds, ceilings = history.series.get("bound"), history.series.get("ceiling")
        finite = [point for point in bounds.points() if math.isfinite(point[1])] if bounds else []
        if not finite:
            return None
        iteration, last = finite[-1]
        every = config.information.readout_every if config is not None else 1
        in_turn = [point for point in finite if (point[0] - 1) % every == 0] or finite
        end, life = in_turn[-1][0], life_of(config)
        over = max(1, min(end, math.ceil(end / 10 / life) * life))  # a journal of other hands may begin at 0
        counted = [(at, value) for at, value in in_turn if at > end - over]
        mean = statistics.fmean(value for _, value in counted)
        ceiling = ceilings.last if ceilings else None
        known = ceiling if ceiling is None or math.isfinite(ceiling) else None
        return Readings(last, iteration, mean, len(counted), counted[0][0], over, end, known)


def life_of(config: Config | None) -> int:
    """For how many iterations a network is read before another takes its place."""
    return config.objective.network_life if config is not None and config.objective.name == "dream" else 1
