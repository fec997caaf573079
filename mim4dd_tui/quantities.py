"""How a person reads a number of a run: one spelling of every kind, wherever it stands.

Accuracies are :func:`mim4dd_tui.plain.percent`; axes, which have less room, are labelled by :func:`short`. Where the
spread of a value is asked for, nan stands for none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_BIG = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BEYOND = 999.5e12
"""From here on there is no letter."""


def short(value: float, *, percent: bool = False) -> str:
    """A number in at most about six characters: 0.013, 12.5, 1.2k, 3e-07; a fraction as 87 % or 87.5 %."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if percent:
        text = f"{value * 100:.1f}"
        return (text[:-2] if text.endswith(".0") else text) + " %"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= _BEYOND:
        return f"{value:.3g}".replace("e+", "e")
    if size >= 9999.5:
        for unit, letter in _BIG:
            if size >= unit * 0.99995:
                return f"{value / unit:.3g}{letter}"
    if size < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")
    return f"{value:.4g}" if size >= 1000 else f"{value:.3g}"


def labels(ticks: Sequence[float], *, percent: bool = False) -> list[str]:
    """The values at an axis' ticks, ascending: as :func:`short`, or in as many digits as it takes to be told apart and
    to be right to a twentieth of the step."""
    told = [100 * value if percent else value for value in ticks]
    slack = min((after - before for before, after in pairwise(told)), default=0.0) / 20
    digits = next((d for d in range(3, 18) if all(abs(float(f"{v:.{d}g}") - v) <= slack for v in told)), 3)
    if percent:
        if all(abs(round(value, 1) - value) <= slack for value in told):
            return [short(value, percent=True) for value in ticks]
        return [f"{value:.{digits}g} %" for value in told]
    fine = digits == 3 or (digits == 4 and all(1000 <= abs(value) < 9999.5 for value in told))
    return [short(value) if fine or value == 0 else _long(value, digits) for value in told]


def _long(value: float, digits: int) -> str:
    size = abs(value)
    if size < 1e-3 or size >= _BEYOND:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    unit, letter = next(((unit, letter) for unit, letter in _BIG if size >= unit), (1.0, ""))
    whole = digits > math.log10(size)  # all digits before the point are told
    return f"{value:.{digits}g}" if whole else f"{value / unit:.{digits}g}{letter}"


def number(value: float, spread: float = math.nan) -> str:
    """A loss, a rate or a ratio in three significant digits: ``0.368``, or ``0.368 ± 0.02``."""
    return f"{short(value)} ± {short(spread)}" if math.isfinite(spread) else short(value)


def nats(value: float, _spread: float = math.nan) -> str:
    """Mutual information or its ceiling, without the unit: ``2.20``."""
    return f"{value:.2f}" if math.isfinite(value) else "-"


def share(value: float) -> str:
    """A part of a label in percent: ``62 %``, near either end ``99.6 %``; a whole one alone is ``100 %``."""
    if 0.01 <= value <= 0.99 or value in (0.0, 1.0):
        return f"{value * 100:.0f} %"
    if value >= 1:  # to rounding
        return "100 %"
    return "<0.1 %" if value < 0.0005 else ">99.9 %" if value >= 0.9995 else f"{value * 100:.1f} %"


def target(value: float) -> str:
    """A label's number that is no share: ``0.93``, or below zero ``-0.05``."""
    return f"{round(value, 2) + 0.0:.2f}"


def known_of(value: float, ceiling: float | None) -> str:
    """A bound in words: ``at least 2.00 of at most 2.30 nats``; one below 0 says nothing."""
    most = f"at most {nats(ceiling)} nats" if ceiling is not None else ""
    if value < 0:
        return f"nothing shown{f' of {most}' if most else ''}: the bound, {nats(value)}, is below 0"
    return f"at least {nats(value)} {f'of {most}' if most else 'nats'}"


def bound_of(value: float | None, ceiling: float | None) -> str:
    """A bound below its ceiling, with the unit: ``2.00/2.30 nats``; ``-`` where none was read."""
    if value is None:
        return "-"
    return f"{nats(value)}/{nats(ceiling)} nats" if ceiling is not None else f"{nats(value)} nats"
