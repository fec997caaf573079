"""Tiny runs of the whole engine, watched event by event and tick by tick."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from engine import run
from engine.config.schema import Config
from engine.evaluation.protocols import PROTOCOLS
from engine.events import Evaluation, Event, Iteration, Phase, Progress, to_dict
from engine.experts import missing
from engine.runs.control import Control
from engine.runs.history import RunHistory
from engine.runs.journal import read_all
from engine.sealed import verify

NAME = "one"
UNSTEADY = ("seconds", "memory")
"""What of an event is of the machine's mood, not of the run."""

TINY: dict[str, dict[str, Any]] = {
    "data": {"name": "digits", "train_limit": 200, "test_limit": 200},
    "network": {"depth": 1, "width": 4},
    "synthetic": {"images_per_class": 1, "init": "real"},
    "experts": {"count": 2, "epochs": 3, "learning_rate": 0.05, "momentum": 0.5, "batch_size": 64},
    "objective": {
        "iterations": 7,
        "student_steps": 3,
        "expert_epochs": 1,
        "max_start_epoch": 2,
        "pixel_rate": 10.0,
        "step_size": 0.05,
        "step_size_rate": 1e-4,
    },
    "information": {
        "weight": 0.3,
        "real_batch": 40,
        "readout": 40,
        "readout_every": 2,
        "warmup": 3,
        "embedding_dim": 8,
    },
    "evaluation": {
        "protocol": "quick-100",
        "networks": 2,
        "live_networks": 1,
        "every": 3,
        "share": 1.0,
        "random_draws": 2,
        "random_networks": 1,
    },
    "execution": {"threads": 1, "device": "cpu", "checkpoint_every": 4, "snapshot_every": 5},
}


def tiny(**changes: Any) -> Config:
    """A whole run of about a second: ``section__key=value`` changes a setting, ``seed=value`` the seed."""
    values: dict[str, Any] = {section: dict(settings) for section, settings in TINY.items()}
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            values.setdefault(section, {})[key] = value
        else:
            values[section] = value
    return Config.model_validate(values)


@contextmanager
def quickly(epochs: int = 6) -> Iterator[None]:
    """The quick protocol shortened to a few epochs, and every expert epoch kept as it is done."""
    with pytest.MonkeyPatch.context() as patch:
        short = replace(PROTOCOLS["quick-100"], epochs=epochs, falls=((epochs // 2, 0.1),))
        patch.setitem(PROTOCOLS, "quick-100", short)
        patch.setattr(missing, "PARTIAL_SECONDS", 0.0)
        yield


@dataclass
class Place:
    """Where runs and what they share lie."""

    path: Path

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def folder(self) -> Path:
        return self.runs / NAME

    def copy(self, path: Path) -> Place:
        """All that is on the disk at this moment: what a kill would leave."""
        shutil.copytree(self.path, path)
        return Place(path)

    def start(self, config: Config, watch: Watch | None = None) -> dict[str, Any]:
        watch = watch or Watch()
        return run.start(
            config, runs_dir=self.runs, name=NAME, cache_dir=self.cache, observer=watch.hear, control=watch
        )

    def resume(self, watch: Watch | None = None) -> dict[str, Any]:
        watch = watch or Watch()
        return run.resume(self.folder, cache_dir=self.cache, observer=watch.hear, control=watch)


@dataclass
class Watch(Control):
    """The observer and control of a run; calls ``act`` after every event and at every tick.

    Attributes:
        events: heard so far, without the progress, which depends on the clock.
        phase: name of the last phase.
        ticks: since the last event.
    """

    act: Callable[[Watch], None] = lambda watch: None
    events: list[Event] = field(default_factory=list)
    phase: str = ""
    ticks: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def hear(self, event: Event) -> None:
        """The observer."""
        if isinstance(event, Progress):
            return
        self.events.append(event)
        self.ticks = 0
        if isinstance(event, Phase):
            self.phase = event.name
        self.act(self)

    def tick(self) -> None:
        self.ticks += 1
        self.act(self)
        super().tick()

    def after(self, **fields: Any) -> bool:
        """Whether the last event has these values."""
        last = {"kind": None} if not self.events else to_dict(self.events[-1])
        return all(last.get(name) == value for name, value in fields.items())


Moment = Callable[[Watch], bool]

MOMENTS: dict[str, Moment] = {
    "before anything": lambda w: w.after(kind="run_started") and w.ticks == 0,
    "data": lambda w: w.after(kind="phase", name="data") and w.ticks == 0,
    "within the first expert's first epoch": lambda w: w.after(kind="phase", name="experts") and w.ticks == 3,
    "after an expert's epoch": lambda w: w.after(kind="expert_epoch", expert=0, epoch=2) and w.ticks == 0,
    "within an expert's epoch": lambda w: w.after(kind="expert_epoch", expert=1, epoch=1) and w.ticks == 2,
    "between two experts": lambda w: w.after(kind="expert_epoch", expert=0, epoch=3) and w.ticks == 0,
    "baselines": lambda w: w.after(kind="phase", name="baselines") and w.ticks == 5,
    "first live evaluation": lambda w: w.phase == "distill" and w.after(kind="snapshot", iteration=0) and w.ticks == 2,
    "within the first iteration": lambda w: w.after(kind="checkpoint", iteration=0) and w.ticks == 3,
    "after the first iteration": lambda w: w.after(kind="iteration", iteration=1) and w.ticks == 0,
    "live evaluation": lambda w: w.after(kind="iteration", iteration=6) and w.ticks == 4,
    "right after a live evaluation": lambda w: w.after(kind="evaluation", subject="live", iteration=6) and w.ticks == 0,
    "within an iteration": lambda w: w.phase == "distill" and w.after(kind="evaluation", iteration=3) and w.ticks == 3,
    "within an iteration past a checkpoint": lambda w: w.after(kind="snapshot", iteration=5) and w.ticks == 3,
    "right after a checkpoint": lambda w: w.after(kind="checkpoint", iteration=4) and w.ticks == 0,
    "before the final evaluation": lambda w: w.after(kind="phase", name="evaluate") and w.ticks == 0,
    "final evaluation": lambda w: w.after(kind="phase", name="evaluate") and w.ticks == 5,
    "between the final evaluations": lambda w: w.after(kind="evaluation", subject="best") and w.ticks == 0,
}
"""Points of the tiny run, in their order, at which it can be interrupted; each comes once."""


def plain(event: Event) -> dict[str, Any]:
    """An event without what differs from one run to the next."""
    return {name: value for name, value in to_dict(event).items() if name not in UNSTEADY}


def outcome(place: Place) -> dict[str, Any]:
    """All that a run's settings and seed decide: compare two for equality."""
    records = read_all(place.folder / "journal.jsonl")
    iterations = [record.event for record in records if isinstance(record.event, Iteration)]
    history = RunHistory.load(place.folder / "journal.jsonl")
    live = [e for e in history.evaluations if e.subject not in ("request",)]
    result = run.resume(place.folder)  # of a run that is done: its result
    unsteady = ("path", "artifact", "message")
    return {
        "iterations": [plain(event) for event in iterations],
        "evaluations": sorted((plain(e) for e in live), key=lambda e: (e["subject"], e["iteration"])),
        "result": {name: value for name, value in result.items() if name not in unsteady},
        "best": verify(place.folder / "distilled" / "best.safetensors")["fingerprint"],
        "last": verify(place.folder / "distilled" / "last.safetensors")["fingerprint"],
    }


def iterations_of(events: list[Event]) -> list[int]:
    """Numbers of the iterations heard."""
    return [event.iteration for event in events if isinstance(event, Iteration)]


def evaluations_of(events: list[Event], subject: str) -> list[Evaluation]:
    """The evaluations of a subject heard."""
    return [event for event in events if isinstance(event, Evaluation) and event.subject == subject]
