"""A real set, a network and settings so small that an expert takes a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.config.schema import (
    Augmentation,
    Config,
    Data,
    Evaluation,
    Experts,
    Information,
    Network,
    Objective,
)
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.events import Event, ExpertEpoch, Notice
from engine.experts import Trajectories, ensure
from engine.networks import ConvNet

EXECUTION = {"device": "cpu", "precision": "float32", "threads": 1}
EPOCHS = 4
STEPS = 4
"""Steps of an epoch: 100 images in batches of 32."""


def configuration(**experts: Any) -> Config:
    """Two experts of four epochs on a hundred digits; ``experts`` overrides their settings."""
    settings = {
        "count": 2,
        "epochs": EPOCHS,
        "batch_size": 32,
        "learning_rate": 0.05,
        "momentum": 0.9,
        "weight_decay": 5e-4,
    }
    return Config(
        data=Data(name="digits", train_limit=100, test_limit=50),
        augmentation=Augmentation(),
        network=Network(width=8, depth=2),
        experts=Experts(**(settings | experts)),
        objective=Objective(expert_epochs=2, max_start_epoch=1),
        information=Information(readout=20),
        evaluation=Evaluation(protocol="quick-100", random_draws=3, random_networks=1),
    )


def real_set(config: Config, readout: int = 0) -> RealSet:
    """The digits as configured."""
    return prepare(load("digits"), config.data, seed=config.experts.seed, readout=readout)


def network(config: Config, real: RealSet) -> ConvNet:
    """The configured network."""
    return ConvNet(config.network, real.shape, real.classes)


class Heard(list[Event]):
    """An observer that keeps what it hears."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    @property
    def trained(self) -> list[tuple[int, int]]:
        """(expert, epoch) of every epoch that was computed."""
        return [(e.expert, e.epoch) for e in self if isinstance(e, ExpertEpoch) and not e.reused]

    @property
    def warnings(self) -> list[str]:
        """The warnings' texts."""
        return [e.message for e in self if isinstance(e, Notice) and e.level == "warning"]


class Interruption(Exception):
    """Stands for a stop request."""


class InterruptAt:
    """A tick that raises at its n-th call."""

    def __init__(self, call: int) -> None:
        self.left = call

    def __call__(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Interruption


def train(
    config: Config, real: RealSet, cache: Path, tick: Any = lambda: None, clock: Callable[[], float] = time.perf_counter
) -> tuple[Trajectories, Heard]:
    """The experts in a cache, and what was said on the way."""
    heard = Heard()
    found = ensure(
        config,
        real,
        network(config, real),
        cache_dir=cache,
        execution=EXECUTION,
        observer=heard,
        tick=tick,
        clock=clock,
    )
    return found, heard
