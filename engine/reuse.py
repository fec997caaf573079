"""Judging a distilled set after its run, from its file alone: network, data and whitening are those it carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from engine import compilation, execution
from engine.artifact import DistilledSet
from engine.config.elsewhere import readable
from engine.config.load import changed
from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, fingerprint_of, split
from engine.data.sources import load
from engine.data.types import RawSet
from engine.errors import ConfigError, DataError
from engine.evaluation.evaluate import Score, evaluate
from engine.evaluation.protocols import PROTOCOLS
from engine.evaluation.shapes import Shape, compile_shapes, shapes_of
from engine.networks import ConvNet


@dataclass(frozen=True)
class Judgement:
    """A score and the device it was measured on."""

    score: Score
    device: str


def config_of(item: DistilledSet) -> Config:
    """The configuration a distilled set was made with; its method need not be known here.

    Raises:
        DataError: the file does not carry one, or one that is not valid.
    """
    told = item.provenance.get("config")
    if not isinstance(told, dict):
        raise DataError("the distilled set does not say with which configuration it was made: it cannot be evaluated")
    try:
        return readable(told)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise DataError(f"the configuration that the distilled set was made with is not valid here: {wrong}") from None


def judge(
    item: DistilledSet,
    *,
    protocol: str | None = None,
    networks: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    data_dir: Path | None = None,
    tick: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Judgement:
    """Train networks on a distilled set and measure them on the real test images.

    With protocol, seed and device left as they were, the first networks are those of the run's own final
    evaluation, to the bit on the CPU; more networks add to them.

    Args:
        protocol: a name in ``engine.evaluation.protocols.PROTOCOLS``; the set's own by default.
        networks: how many; as many as the run's evaluation by default.
        seed: of the networks; the run's by default.
        device: as ``execution.device``; the run's own setting by default.
        data_dir: where the data set is found or downloaded to.
        tell: hears that compiling failed, where it did.

    Raises:
        ConfigError: there is no such protocol or device.
        DataError: the data set cannot be had, or is not the one the set was made from.
    """
    config = config_of(item)
    if device is not None:
        config = changed(config, {"execution.device": device})
    name = protocol or item.protocol or config.evaluation.protocol
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {name!r}; allowed are {', '.join(PROTOCOLS)}")
    resolved = execution.resolve(config)
    execution.settle(resolved)
    raw = load(config.data.name, data_dir, tick=tick)
    real = _test_set(item, raw, config, torch.device(resolved.device))
    images, labels = (each.to(resolved.device) for each in item.decoded())
    net, count = ConvNet(config.network, real.shape, real.classes), networks or config.evaluation.networks
    resolved = ready(resolved, shapes_of(name, labels, net), images, net, tick=tick, tell=tell)
    score = evaluate(
        images,
        labels,
        item.step_size,
        net=net,
        real=real,
        protocol=name,
        networks=count,
        augment=Augment(config.augmentation, real.shape),
        seed=config.seed if seed is None else seed,
        purpose=("final",),
        tick=tick,
        progress=progress,
        execution=resolved.numerics("evaluation"),
    )
    return Judgement(score, resolved.device)


def ready(
    resolved: execution.Resolved,
    shapes: Sequence[Shape],
    images: Tensor,
    net: ConvNet,
    *,
    tick: Callable[[], None],
    tell: Callable[[str], None],
) -> execution.Resolved:
    """Compile the training of networks that judge a set, where that was resolved, before the first of them.

    Args:
        shapes: in which they are trained on the set's images [n, c, h, w].
        tell: hears it where the compiler fails.

    Returns:
        How they are to be computed: uncompiled where the compiler failed.
    """
    if not (resolved.compile_evaluation and shapes):
        return resolved
    numerics = resolved.numerics("evaluation")
    try:
        compilation.aside(lambda: compile_shapes(shapes, images, net, numerics), tick, resolved.threads)
    except compilation.CompilationFailed as error:
        tell(
            f"compilation failed ({error}): networks are trained uncompiled, which is slower, and whose last bits may "
            "not be those of the run's own evaluation"
        )
        return execution.eager(resolved, "evaluation", f"compilation failed: {error}")
    return resolved


def _test_set(item: DistilledSet, raw: RawSet, config: Config, device: torch.device) -> RealSet:
    """The real test images under the distilled set's own transform; nothing is fitted anew."""
    if item.transform.shape != raw.shape or item.classes != raw.classes:
        raise DataError(
            f"the distilled set has images of shape {item.transform.shape} in {item.classes} classes, but "
            f"{raw.name} has {raw.shape} in {raw.classes}"
        )
    chosen = split(raw, config.data, seed=config.experts.seed)
    if item.provenance.get("data", made_from := fingerprint_of(raw, chosen)) != made_from:
        raise DataError(
            f"the {raw.name} found here is not the one the distilled set was made from (other images, or others of "
            "them are tested on): give the folder of the right one with --data-dir"
        )
    transform = item.transform.to(device)
    nothing = torch.empty(0, *raw.shape, device=device)
    return RealSet(
        train_images=nothing,
        train_labels=torch.empty(0, dtype=torch.int64, device=device),
        test_images=transform.forward(raw.test.pixels[chosen.test].to(device)),
        test_labels=raw.test.labels[chosen.test].to(device),
        validation_images=None,
        validation_labels=None,
        readout_images=None,
        readout_labels=None,
        transform=transform,
        classes=raw.classes,
        class_names=raw.class_names,
        shape=raw.shape,
        fingerprint=raw.fingerprint,
        class_indices=[],
        split=chosen,
        official=raw.official,
        notes=raw.notes,
    )
