"""Small experts, trained through the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.config.schema import Config
from engine.data.prepare import RealSet, prepare
from engine.data.types import RawSet
from engine.events import Event, ExpertEpoch, Notice
from engine.experts import Trajectories, ensure
from engine.experts.store import Store, key_of, provenance
from engine.networks import ConvNet
from tests.distill.helpers import tiny

EXECUTION = {"device": "cpu", "precision": "float32", "threads": 1}


def nothing() -> None:
    """A tick that lets everything go on."""


@dataclass
class Bench:
    """A configuration with its data and network, and what the experts' training said."""

    raw: RawSet
    config: Config
    cache: Path
    execution: dict[str, Any] = field(default_factory=lambda: dict(EXECUTION))
    events: list[Event] = field(default_factory=list)
    tick: Callable[[], None] = nothing

    def __post_init__(self) -> None:
        self.real: RealSet = prepare(self.raw, self.config.data, seed=self.config.experts.seed, readout=40)
        self.net = ConvNet(self.config.network, self.real.shape, self.real.classes)

    @property
    def key(self) -> str:
        return key_of(provenance(self.config, self.real, self.net, self.execution))

    @property
    def store(self) -> Store:
        return Store(self.cache / "experts" / self.key)

    def ensure(self, tick: Callable[[], None] | None = None) -> Trajectories:
        """All experts; what was said is in ``events``."""
        self.events.clear()
        return ensure(
            self.config,
            self.real,
            self.net,
            cache_dir=self.cache,
            execution=self.execution,
            observer=self.events.append,
            tick=tick or self.tick,
        )

    def paths(self) -> list[Tensor]:
        """Every expert's path [epochs + 1, size]."""
        found = self.ensure()
        rows = range(found.epochs + 1)
        return [torch.stack([found.parameters(expert, row) for row in rows]) for expert in range(found.count)]

    @property
    def warnings(self) -> list[str]:
        return [e.message for e in self.events if isinstance(e, Notice) and e.level == "warning"]

    @property
    def epochs(self) -> list[tuple[int, int]]:
        """Epochs that were trained, as (expert, epoch)."""
        return [(e.expert, e.epoch) for e in self.events if isinstance(e, ExpertEpoch) and not e.reused]

    @property
    def reused(self) -> list[int]:
        """Experts that were found."""
        return [e.expert for e in self.events if isinstance(e, ExpertEpoch) and e.reused]


def bench(raw: RawSet, cache: Path, **changes: Any) -> Bench:
    """Experts of the tiny run."""
    return Bench(raw, tiny(**changes), cache)


def equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    """Bit for bit."""
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")
