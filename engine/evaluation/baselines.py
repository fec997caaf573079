"""What a distilled set has to beat, and what it cannot: random real images, and the whole real set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.evaluation.evaluate import Score, evaluate, nothing
from engine.evaluation.protocols import PROTOCOLS
from engine.experts.store import Trajectories
from engine.files import private_folder, read_json_object, write_json
from engine.networks import ConvNet
from engine.seeds import generator


def random_selection(
    config: Config,
    real: RealSet,
    net: ConvNet,
    *,
    augment: Augment,
    cache_dir: Path,
    execution: Mapping[str, Any],
    tick: Callable[[], None] = nothing,
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """Random real images in the place of the synthetic set: as many a class, by the final protocol.

    Random images have no step size of their own, so they are trained at the protocol's rate. Drawn anew
    ``evaluation.random_draws`` times with ``evaluation.random_networks`` networks each; the deviation is over
    all networks. Measured on the test images; kept in ``cache_dir`` by all that decides it.
    """
    settings = config.evaluation
    path = cache_dir / "baselines" / f"{_key(config, real, execution)}.json"
    known = read_json_object(path)
    if known is not None:
        return Score(**known)
    accuracies: list[float] = []
    seconds = 0.0
    total = settings.random_draws * settings.random_networks
    for draw in range(settings.random_draws):
        images, labels = random_images(real, config.synthetic.images_per_class, config.experts.seed, draw)
        score = evaluate(
            images,
            labels,
            None,
            net=net,
            real=real,
            protocol=settings.protocol,
            networks=settings.random_networks,
            augment=augment,
            seed=config.experts.seed,
            purpose=("random selection", draw),
            tick=tick,
        )
        accuracies += score.accuracies
        seconds += score.seconds
        if progress is not None:
            progress(len(accuracies), total)
    score = Score.of(accuracies, settings.protocol, "test", seconds)
    private_folder(path.parent)
    values = dataclasses.asdict(score)
    if len(accuracies) == 1:
        return score  # one network has no deviation, and JSON has no nan: not worth keeping
    write_json(path, values)
    return score


def random_images(real: RealSet, each: int, seed: int, draw: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``each`` random training images of every class, without validation and readout images, and their labels."""
    draws = generator(seed, "random selection", draw)
    parts = [pool[torch.randperm(len(pool), generator=draws)[:each].to(pool.device)] for pool in real.class_indices]
    chosen = torch.cat(parts)
    return real.train_images[chosen], real.train_labels[chosen]


def full_set(trajectories: Trajectories) -> Score:
    """The whole real set's accuracy: the experts' last-epoch test accuracy, of all experts."""
    return Score.of(trajectories.test_accuracies, "experts-last-epoch", "test", 0.0)


def _key(config: Config, real: RealSet, execution: Mapping[str, Any]) -> str:
    """SHA-256 over all that decides the baseline."""
    parts = {
        "data": real.fingerprint,
        "transform": real.transform.digest(),
        "readout": len(real.split.readout),
        "network": config.network.model_dump(),
        "augmentation": config.augmentation.model_dump(),
        "images_per_class": config.synthetic.images_per_class,
        "protocol": dataclasses.asdict(PROTOCOLS[config.evaluation.protocol]),
        "draws": [config.evaluation.random_draws, config.evaluation.random_networks],
        "seed": config.experts.seed,
        "execution": dict(execution),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
