"""What a distilled set has to beat, and what it cannot: random real images, and the whole real set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.evaluation.counting import Count
from engine.evaluation.evaluate import Score, nothing, train_networks
from engine.evaluation.protocols import PROTOCOLS
from engine.evaluation.shapes import draws_at_once
from engine.experts.store import Trajectories
from engine.files import private_folder, read_json_object, write_json
from engine.networks import ConvNet
from engine.seeds import generator
from engine.training import accuracy

FORMAT = 4
"""Part of every key: raised when the same settings come to give other numbers."""


def random_selection(
    config: Config,
    real: RealSet,
    net: ConvNet,
    *,
    augment: Augment,
    cache_dir: Path,
    execution: Mapping[str, Any],
    teacher: Tensor | None = None,
    step_size: float | None = None,
    tick: Callable[[], None] = nothing,
    progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Score:
    """Random real images in the place of the synthetic set: as many a class, by the final protocol.

    Random images have no step size of their own, so they are trained at the protocol's rate unless one is given.
    Drawn anew ``evaluation.random_draws`` times with ``evaluation.random_networks`` networks each; the deviation is
    over all networks. Measured on the test images. Each draw is kept in ``cache_dir`` by all that decides it, so that
    an interruption loses little, and asking for more adds to those there.

    Args:
        teacher: parameters [size] of the expert whose view of the first images the labels of the synthetic set start
            from: its softmax labels the random images too, since a good part of what soft labels gain is theirs and
            not the images' (arXiv 2505.13300). None for hard labels.
        step_size: that of distilled sets they are compared with, for protocols that use a set's own.
        clock: seconds, for what a draw took: a pause is none of it.

    Raises:
        RunFailed: the cache cannot be written.
        StopRequested: through ``tick``.
    """
    settings = config.evaluation
    folder = private_folder(cache_dir / "baselines" / key_of(config, real, net, execution, teacher, step_size))
    draws = range(settings.random_draws)
    paths = [folder / f"draw-{draw:02d}.json" for draw in draws]
    found = {draw: kept for draw in draws if (kept := _kept(paths[draw], settings.random_networks))}
    missing = [draw for draw in draws if draw not in found]
    at_once = draws_at_once(config, real.classes, net, real.train_images.device)
    while missing:
        some, missing = missing[:at_once], missing[at_once:]
        told = _shifted(progress, len(found) * settings.random_networks, len(draws) * settings.random_networks)
        results = _train(some, config, real, net, teacher, step_size, augment, execution, tick, told, clock)
        for draw, result in zip(some, results, strict=True):
            write_json(paths[draw], dataclasses.asdict(result))
            found[draw] = result
    accuracies = [value for draw in draws for value in found[draw].accuracies]
    return Score.of(accuracies, settings.protocol, "test", sum(found[draw].seconds for draw in draws))


def random_images(real: RealSet, each: int, seed: int, draw: int) -> tuple[Tensor, Tensor]:
    """``each`` random training images of every class, without validation and readout images, and their labels."""
    draws = generator(seed, "random selection", draw)
    parts = [pool[torch.randperm(len(pool), generator=draws)[:each].to(pool.device)] for pool in real.class_indices]
    chosen = torch.cat(parts)
    return real.train_images[chosen], real.train_labels[chosen]


def full_set(trajectories: Trajectories) -> Score:
    """The whole real set's accuracy: the experts' last-epoch test accuracy, of all experts."""
    return Score.of(trajectories.test_accuracies, "experts-last-epoch", "test", 0.0)


def key_of(
    config: Config,
    real: RealSet,
    net: ConvNet,
    execution: Mapping[str, Any],
    teacher: Tensor | None = None,
    step_size: float | None = None,
) -> str:
    """A hash of all that decides a draw's accuracies."""
    protocol = dataclasses.asdict(PROTOCOLS[config.evaluation.protocol])
    del protocol["source"]
    parts = {
        "format": FORMAT,
        "data": real.fingerprint,
        "transform": real.transform.digest(),
        "readout": len(real.split.readout),
        "network": {**config.network.model_dump(), "size": net.size},
        "augmentation": config.augmentation.model_dump() if protocol["augment"] else None,
        "images_per_class": config.synthetic.images_per_class,
        "protocol": protocol,
        "networks": config.evaluation.random_networks,
        "seed": config.experts.seed,
        "execution": dict(execution),
    }
    if teacher is not None:
        parts["teacher"] = hashlib.sha256(teacher.cpu().numpy().tobytes()).hexdigest()
    if step_size is not None and protocol["uses_step_size"]:
        parts["step_size"] = step_size
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class _Draw:
    """The networks of one draw of images."""

    accuracies: list[float]
    seconds: float


def _shifted(progress: Callable[[int, int], None] | None, before: int, total: int) -> Callable[[int, int], None]:
    """A part's progress, told as that of the whole."""

    def told(done: int, _: int) -> None:
        if progress is not None:
            progress(before + done, total)

    return told


def _kept(path: Path, networks: int) -> _Draw | None:
    """A draw in the cache; None where there is none, or none that makes sense."""
    values = read_json_object(path) or {}
    accuracies, seconds = values.get("accuracies"), values.get("seconds")
    if not isinstance(accuracies, list) or len(accuracies) != networks or not isinstance(seconds, float):
        return None
    if not all(isinstance(value, float) and 0 <= value <= 1 for value in accuracies):
        return None
    return _Draw(accuracies, seconds)


def _train(
    draws: Sequence[int],
    config: Config,
    real: RealSet,
    net: ConvNet,
    teacher: Tensor | None,
    step_size: float | None,
    augment: Augment,
    execution: Mapping[str, Any],
    tick: Callable[[], None],
    progress: Callable[[int, int], None],
    clock: Callable[[], float],
) -> list[_Draw]:
    """Train and measure the networks of some draws."""
    began = clock()
    networks, seed = config.evaluation.random_networks, config.experts.seed
    sets = [random_images(real, config.synthetic.images_per_class, seed, draw) for draw in draws]
    if teacher is not None:
        with torch.no_grad():
            sets = [(images, net(teacher, images).softmax(1)) for images, _ in sets]
    protocol = PROTOCOLS[config.evaluation.protocol]
    trained_on = protocol.epochs * len(sets[0][1])
    count = Count(progress, networks * len(draws), trained_on=trained_on, measured_on=len(real.test_labels))
    trained = train_networks(
        [one for one in sets for _ in range(networks)],
        step_size,
        net=net,
        protocol=protocol,
        augment=augment,
        seed=seed,
        purposes=[("random selection", draw, network) for draw in draws for network in range(networks)],
        tick=tick,
        progress=count.trained,
        execution=execution,
    )
    found = []
    for one in trained:
        found.append(accuracy(net, one, real.test_images, real.test_labels, tick, execution))
        count.measured()
    seconds = (clock() - began) / len(draws)
    return [_Draw(found[i * networks : (i + 1) * networks], seconds) for i in range(len(draws))]
