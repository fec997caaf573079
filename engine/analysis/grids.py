"""Pictures of the distilled sets, with the term and without it (the paper's appendix)."""

from __future__ import annotations

from engine.analysis.cells import Cell, Document
from engine.analysis.plan import WITH, WITHOUT, Plan
from engine.analysis.sweep import measured, shared
from engine.artifact import DistilledSet
from engine.export import write_grid


def grids(plan: Plan) -> Document:
    """A PNG of every seed's best distilled set beside its cell, and a document that names them.

    The "rows" have "value" and, for every seed, "cells" as a sweep's, with the set's "fingerprint" and the "picture"'s
    file name in the folder of the cells.

    Errors as :meth:`Plan.gather`; ConfigError where the preset has no term.
    """
    plan.require_term("grids")
    variants = (WITH, WITHOUT)

    def work(cell: Cell) -> Document:
        document = plan.measure(cell)
        path = plan.places.cells / picture(cell.name, document["fingerprint"])
        if not path.exists():
            folder = plan.folder(cell)
            document = cell.keep(folder, plan.places)
            for old in plan.places.cells.glob(picture(cell.name, "*")):
                old.unlink()
            path = plan.places.cells / picture(cell.name, document["fingerprint"])
            write_grid(DistilledSet.load(folder.distilled_path("best"), cache_dir=plan.places.cache), path)
        return {**document, "picture": path.name}

    found = plan.gather(variants, work)
    rows = []
    for variant in variants:
        cells = [
            None
            if kept is None
            else {**measured(seed, kept), "fingerprint": kept["fingerprint"], "picture": kept["picture"]}
            for seed, kept in zip(plan.seeds, found[variant.label], strict=True)
        ]
        rows.append({"value": variant.label, "cells": cells})
    return {**plan.heading("grids"), "rows": rows, **shared(found), **plan.left_out()}


def picture(name: str, fingerprint: str) -> str:
    """File name of a cell's picture: a set that changes has another."""
    return f"{name}.{fingerprint[:8]}.png"
