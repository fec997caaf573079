"""How a person reads a number of a run: one spelling of every kind, wherever it stands.

Accuracies are :func:`mim4dd_tui.plain.percent`; axes, which have less room, are labelled by
:func:`mim4dd_tui.plots.scale.short`. Where the spread of a value is asked for, nan stands for none.
"""

from __future__ import annotations

import math

from mim4dd_tui.plots.scale import short


def number(value: float, spread: float = math.nan) -> str:
    """A loss, a rate or a ratio in three significant digits: ``0.368``, or ``0.368 ± 0.02``."""
    return f"{short(value)} ± {short(spread)}" if math.isfinite(spread) else short(value)


def nats(value: float, _spread: float = math.nan) -> str:
    """Mutual information or its ceiling, without the unit: ``2.20``."""
    return f"{value:.2f}" if math.isfinite(value) else "-"


def bound_of(value: float | None, ceiling: float | None) -> str:
    """A bound below its ceiling, with the unit: ``2.00/2.30 nats``; ``-`` where none was read."""
    if value is None:
        return "-"
    return f"{nats(value)}/{nats(ceiling)} nats" if ceiling is not None else f"{nats(value)} nats"
