"""Analyses by name: from a plan to the document that tables and figures are made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.analysis.alike import alike
from engine.analysis.cells import Document
from engine.analysis.grids import grids
from engine.analysis.losses import losses
from engine.analysis.plan import Plan
from engine.analysis.sweep import SWEEPS, sweep, sweep_of
from engine.config.fields import by_key, nearest, nearest_key
from engine.config.validate import printable
from engine.errors import ConfigError

COMPARISONS: dict[str, Callable[[Plan], Document]] = {"loss": losses, "cka": alike, "grids": grids}
"""Analyses of runs with the term and without; any other name is a sweep's, or a setting's to sweep over."""


def analyse(name: str, plan: Plan, values: Sequence[str] | None = None) -> Document:
    """The document of an analysis: "lambda", "critic", "beta", "loss", "cka", "grids", or any setting by its key.

    Finished cells are taken as they are, and those that are missing are run.

    Args:
        values: of a sweep, instead of its own.

    Raises:
        ConfigError: the name, a value or the preset is wrong.
        StopRequested: a stop was asked for; the next call goes on.
        MimError: data or experts cannot be had.
    """
    if name not in (*COMPARISONS, *SWEEPS, *by_key()):
        known = nearest(name, [*SWEEPS, *COMPARISONS]) or nearest_key(name)
        hint = f": did you mean {known}?" if known else "."
        raise ConfigError(
            f"there is no analysis {printable(name)}{hint} There are {', '.join([*SWEEPS, *COMPARISONS])}, and sweeps "
            "over any setting"
        )
    if name not in COMPARISONS:
        return sweep(plan, name, sweep_of(name, values))
    if values:
        raise ConfigError(f"the analysis {name!r} compares runs with the term and without: it takes no values")
    return COMPARISONS[name](plan)
