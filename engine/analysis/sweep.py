"""One setting over several values: lambda (the paper's Fig. 3), the critic's layers and beta (Table 2), any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.analysis.cells import Document
from engine.analysis.plan import WEIGHT, WITHOUT, Plan, Variant
from engine.config.typed import parse_value
from engine.errors import ConfigError


@dataclass(frozen=True)
class Sweep:
    """A setting and the values it is tried at."""

    setting: str
    values: tuple[str, ...]


SWEEPS = {
    "lambda": Sweep(WEIGHT, ("0", "0.03", "0.1", "0.3", "1", "3")),
    "critic": Sweep("information.embedding_layers", ("0", "1", "2")),
    "beta": Sweep("information.layer_growth", ("1", "1.5", "2", "4")),
}
"""The paper's sweeps by name."""


def sweep_of(name: str, values: Sequence[str] | None) -> Sweep:
    """A named sweep or that of any setting, with its own values or others.

    Raises:
        ConfigError: it is no setting of what is computed, no values are known for it, or one is given twice.
    """
    known = SWEEPS.get(name)
    setting = known.setting if known else name
    if setting in ("seed", "summary") or setting.startswith("execution."):
        raise ConfigError(f"{setting} is no setting to compare results over")
    chosen = tuple(values) if values else known.values if known else ()
    if len(chosen) < 2:
        raise ConfigError(f"{setting}: give at least two values to compare, e.g. --values 0.1,0.3")
    typed = [parse_value(setting, text) for text in chosen]
    if any(value in typed[:place] for place, value in enumerate(typed)):
        raise ConfigError(f"{setting}: a value is given twice in {', '.join(chosen)}")
    return Sweep(setting, chosen)


def sweep(plan: Plan, name: str, chosen: Sweep) -> Document:
    """Measure a sweep's cells and put them into one document.

    Its "rows" have the "value" as it was given and, under "cells", for every seed ``{seed, best, last, nats, ratio,
    iteration}`` or None where the run failed. Differences are taken to the row named by "reference": the run without
    the term in a sweep of its weight, the preset's own value in any other, which has a row without the term too.

    Errors as :meth:`Plan.gather`.
    """
    own = _same(chosen, plan.value(chosen.setting))
    variants = [Variant(text, ((chosen.setting, text),)) for text in chosen.values]
    reference = own or chosen.values[0]
    if chosen.setting == WEIGHT:
        reference = _same(chosen, 0.0) or reference
    elif chosen.setting.startswith("information."):
        plan.require_term(name)
        variants.insert(0, WITHOUT)
    for variant in variants:
        _require_valid(plan, name, variant, chosen)
    found = plan.gather(variants)
    return {
        **plan.heading(name),
        "setting": chosen.setting,
        "own": own,
        "reference": reference,
        "rows": [
            {"value": variant.label, "cells": _row(plan.seeds, found[variant.label])} for variant in variants
        ],
        **shared(found),
        **plan.left_out(),
    }  # fmt: skip


def _require_valid(plan: Plan, name: str, variant: Variant, chosen: Sweep) -> None:
    """Refuse a value that its setting cannot have here, under the name of the option that gave it.

    Raises:
        ConfigError: it is no value of the setting, or does not go with the others.
    """
    try:
        _ = plan.cell(variant, plan.seeds[0]).config
    except ConfigError as error:
        own = SWEEPS.get(name)
        given = f"the value {variant.label} of {name}" if own and chosen == own else "--values"
        raise ConfigError(str(error).replace("--set: ", f"{given}: ")) from None


def _same(chosen: Sweep, value: Any) -> str | None:
    """The value as it was given that is this one."""
    return next((text for text in chosen.values if parse_value(chosen.setting, text) == value), None)


def _row(seeds: Sequence[int], documents: Sequence[Document | None]) -> list[Document | None]:
    return [None if kept is None else measured(seed, kept) for seed, kept in zip(seeds, documents, strict=True)]


def measured(seed: int, kept: Document) -> Document:
    """What tables say of one cell."""
    information, ratio = kept["mutual_information"], kept["gradient_ratio"]
    return {
        "seed": seed,
        "best": kept["accuracy"]["mean"],
        "last": kept["last"]["mean"],
        "iteration": kept["accuracy"]["iteration"],
        "nats": None if information is None else information["nats"],
        "ratio": None if ratio is None else ratio["median"],
    }


def shared(found: dict[str, list[Document | None]]) -> Document:
    """What all cells share: the baselines, on which images the best iterate was chosen, the bound's ceiling."""
    kept = [document for documents in found.values() for document in documents if document is not None]
    information = next((d["mutual_information"] for d in kept if d["mutual_information"] is not None), None)
    first = kept[0] if kept else {}
    return {
        "random_selection": _baseline(first.get("random_selection")),
        "full_set": _baseline(first.get("full_set")),
        "selected_on": first["accuracy"]["selected_on"] if first else None,
        "ceiling": None if information is None else information["ceiling"],
    }


def _baseline(score: Document | None) -> Document | None:
    kept = ("mean", "std", "networks", "labelled", "train_images")
    return None if score is None else {key: score[key] for key in kept if key in score}
