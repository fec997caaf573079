"""CKA layer by layer between networks trained on the real and on the distilled set, with the term and without it
(the paper's Fig. 5), over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import execution
from engine.analysis.cells import Cell, Document
from engine.analysis.cka import Estimator
from engine.analysis.plan import WITH, WITHOUT, Plan
from engine.analysis.similarity import layer_names, pair_by_pair, trained_on
from engine.analysis.sweep import shared
from engine.artifact import DistilledSet
from engine.compilation import CompilationFailed
from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.evaluation.shapes import shapes_of
from engine.experts import Trajectories, ensure
from engine.files import default_cache_dir, read_json_object, write_json
from engine.networks import ConvNet
from engine.reuse import ready
from engine.runs.folder import RunFolder

IMAGES = 2000
"""Most test images shown to the networks."""
ESTIMATORS: tuple[Estimator, ...] = ("unbiased", "biased")


def alike(plan: Plan) -> Document:
    """CKA of every seed's networks with the experts.

    The "rows" have "value" and, for every seed, "cells" of ``{seed, unbiased, biased}``: matrices [layers, layers] as
    lists, the experts' layers down, the other networks' across, mean over the pairs of networks; "experts" the same
    between each expert and the next. "layers" names them.

    Errors as :meth:`Plan.gather`; ConfigError where the preset has no term.
    """
    plan.require_term("cka")
    variants = (WITH, WITHOUT)
    measured: dict[str, Document] = {}

    def work(cell: Cell) -> Document:
        document = plan.measure(cell)
        measured[cell.name] = _side(plan, cell, document)
        return document

    found = plan.gather(variants, work)
    rows = []
    for variant in variants:
        names = [plan.cell(variant, seed).name for seed in plan.seeds]
        cells = [
            {"seed": seed, **{key: measured[name][key] for key in ESTIMATORS}} if name in measured else None
            for seed, name in zip(plan.seeds, names, strict=True)
        ]
        rows.append({"value": variant.label, "cells": cells})
    first: Document = next(iter(measured.values()), {})
    return {
        **plan.heading("cka"),
        "reference": WITHOUT.label,
        "layers": first.get("layers", []),
        "networks": first.get("networks"),
        "images": first.get("images"),
        "rows": rows,
        "experts": first.get("experts"),
        **shared(found),
        **plan.left_out(),
    }


def _side(plan: Plan, cell: Cell, document: Document) -> Document:
    """What is kept of a cell's networks beside it; where it is missing, or belongs to another set, it is measured."""
    path = plan.places.cells / f"{cell.name}.cka.json"
    kept = read_json_object(path)
    if kept is not None and kept.get("fingerprint") == document["fingerprint"]:
        return kept
    folder = plan.folder(cell)
    document = cell.keep(folder, plan.places)
    plan.tell(f"comparing networks of {cell.name}")
    found = {"fingerprint": document["fingerprint"], **compared(plan, folder)}
    write_json(path, found)
    return found


def compared(plan: Plan, folder: RunFolder) -> Document:
    """The matrices of one finished run's best distilled set, as :func:`alike` has them, with "experts" and "layers".

    The networks are those of the run's final evaluation; of the experts there are as many, at their last epoch.
    """
    config, tick = folder.config(), plan.control.tick
    resolved = execution.Resolved.from_dict(folder.execution())
    execution.require_device(resolved)
    execution.settle(resolved)
    device, cache = torch.device(resolved.device), plan.places.cache or default_cache_dir()
    real = prepare(
        load(config.data.name, plan.places.data, tick=tick),
        config.data,
        seed=config.experts.seed,
        readout=config.information.readout,
        device=device,
        cache_dir=cache,
    )
    net, augment = ConvNet(config.network, real.shape, real.classes), Augment(config.augmentation, real.shape)
    count = min(config.evaluation.networks, config.experts.count)
    item = DistilledSet.load(folder.distilled_path("best"), cache_dir=cache)
    images, labels = (each.to(device) for each in item.decoded())
    resolved = ready(resolved, shapes_of(item.protocol, labels, net), images, net, tick=tick, tell=plan.tell)
    experts = _experts(config, real, net, cache, resolved, plan)
    last = [experts.parameters(number, config.experts.epochs) for number in range(count)]
    trained = trained_on(
        item,
        count,
        net=net,
        augment=augment,
        seed=config.seed,
        device=device,
        tick=tick,
        execution=resolved.numerics("evaluation"),
    )
    shown = real.test_images[:IMAGES]
    matrices: Document = {"layers": list(layer_names(net)), "networks": count, "images": len(shown), "experts": {}}
    for estimator in ESTIMATORS:
        options: dict[str, Any] = {"net": net, "images": shown, "estimator": estimator, "tick": tick}
        matrices[estimator] = rounded(pair_by_pair(last, trained, **options).mean)
        if count > 1:
            matrices["experts"][estimator] = rounded(pair_by_pair(last, [*last[1:], last[0]], **options).mean)
    return matrices


def _experts(
    config: Config, real: RealSet, net: ConvNet, cache: Path, resolved: execution.Resolved, plan: Plan
) -> Trajectories:
    """The run's experts; those that have gone from the cache are trained again."""

    def work(resolved: execution.Resolved) -> Trajectories:
        return ensure(
            config,
            real,
            net,
            cache_dir=cache,
            execution=resolved.numerics("experts"),
            observer=_nobody,
            tick=plan.control.tick,
        )

    try:
        return work(resolved)
    except CompilationFailed as error:
        plan.tell(f"compilation failed ({error}): experts are trained uncompiled, which is slower")
        return work(execution.eager(resolved, "experts", f"compilation failed: {error}"))


def rounded(matrix: Tensor) -> list[list[float]]:
    """A matrix as lists of numbers of five decimals."""
    return [[round(float(value), 5) for value in row] for row in matrix]


def _nobody(_: object) -> None:
    return None
