"""The base objective's own loss, with the term and without it (the paper's Fig. 4)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from engine.analysis.cells import Document
from engine.analysis.plan import WITH, WITHOUT, Plan
from engine.analysis.sweep import measured, shared

END = 0.1
"""Share of the curve, at its end, whose mean counts as where the loss ended."""


def losses(plan: Plan) -> Document:
    """Curves of the base loss of every seed, with the term and without, and where they end.

    "rows" have "value" and "cells" as in a sweep, with "end": the loss's mean over the last tenth of the iterations.
    "curves" holds by row the "iterations" and, for every seed, the "values" (None in a list for one that failed).

    Errors as :meth:`Plan.gather`; ConfigError where the preset has no term.
    """
    plan.require_term("loss")
    variants = (WITH, WITHOUT)
    found = plan.gather(variants)
    rows, curves = [], {}
    for variant in variants:
        documents = found[variant.label]
        cells = [
            None if kept is None else {**measured(seed, kept), "end": ending(kept["curves"]["objective"]["values"])}
            for seed, kept in zip(plan.seeds, documents, strict=True)
        ]
        rows.append({"value": variant.label, "cells": cells})
        done = [kept for kept in documents if kept is not None]
        curves[variant.label] = {
            "iterations": done[0]["curves"]["objective"]["iterations"] if done else [],
            "values": [None if kept is None else kept["curves"]["objective"]["values"] for kept in documents],
        }
    return {
        **plan.heading("loss"),
        "objective": plan.config.objective.name,
        "reference": WITHOUT.label,
        "rows": rows,
        "curves": curves,
        **shared(found),
        **plan.left_out(),
    }


def ending(values: Sequence[float | None]) -> float | None:
    """Mean over the last tenth of a curve's points, at least one; None where none of them is a number."""
    last = [value for value in values[-max(1, round(END * len(values))) :] if value is not None]
    return statistics.fmean(last) if last else None
