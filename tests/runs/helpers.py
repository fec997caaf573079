"""Small pieces the tests of the run folder share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.config.schema import Config
from engine.events import Evaluation, Event, ExpertEpoch, Iteration, RunStarted
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory


def make_folder(runs_dir: Path, name: str = "one") -> RunFolder:
    """A fresh run folder of the default configuration."""
    return RunFolder.create(runs_dir, name, Config(), preset="digits-ipc1", origins={"seed": "default"})


def started(resumed_from: int | None = None, after_sequence: int | None = None, *, again: bool = False) -> RunStarted:
    """The first event of a process's work."""
    return RunStarted(
        run="one",
        preset="digits-ipc1",
        seed=0,
        classes=10,
        iterations=100,
        host="here",
        pid=1,
        version="0",
        execution={"device": "cpu"},
        resumed_from=resumed_from,
        after_sequence=after_sequence,
        again=again,
    )


def iteration(number: int, **changes: Any) -> Iteration:
    """Metrics of one iteration; the objective is a function of its number."""
    values: dict[str, Any] = {
        "iteration": number,
        "objective": 1.0 / number,
        "nce": 2.0,
        "bound": 0.5,
        "ceiling": 2.3,
        "bounds": [0.4, 0.5],
        "gradient_norm": 1.0,
        "gradient_ratio": 0.1,
        "step_size": 0.01,
        "seconds": 0.1,
    }
    return Iteration(**{**values, **changes})


def evaluation(number: int, subject: str = "live", mean: float = 0.5, **changes: Any) -> Evaluation:
    """An evaluation of two networks."""
    values: dict[str, Any] = {
        "iteration": number,
        "subject": subject,
        "protocol": "quick-100",
        "mean": mean,
        "std": 0.01,
        "accuracies": [mean - 0.01, mean + 0.01],
        "selected_on": "test",
        "measured_on": "test",
        "seconds": 1.0,
    }
    return Evaluation(**{**values, **changes})


def expert(number: int, epoch: int, *, reused: bool = False) -> ExpertEpoch:
    """One of five epochs of one of three experts."""
    accuracy = 0.9 if epoch == 5 else None
    return ExpertEpoch(number, 3, epoch, 5, 1.0 / epoch, 0.5, accuracy, 1.0, reused)


def live(events: list[Event]) -> RunHistory:
    """The history of a run that said these, a second apart."""
    history = RunHistory()
    for moment, event in enumerate(events):
        history.apply(event, time=float(moment))
    return history
