"""Run folders for the tests of lists: real ones, made by the run folder's own code, without an engine."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine.config.load import changed, resolve
from engine.events import Evaluation, Iteration, RunEnded, RunStarted, StateChanged
from engine.files import write_json
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from engine.runs.status import Status
from tests.dashboard.helpers import text


def make_run(
    runs_dir: Path,
    name: str,
    *,
    state: str = "done",
    accuracy: float | None = 0.8,
    iterations: int = 50,
    preset: str = "digits-ipc1",
    seed: int = 0,
    age: float = 0.0,
    journal: bool = True,
    message: str = "",
    **settings: Any,
) -> RunFolder:
    """A run that was made ``age`` seconds ago and stands at ``state``, for the reason that ``message`` gives."""
    config = changed(resolve(preset, seed=seed).config, {key.replace("__", "."): v for key, v in settings.items()})
    folder = RunFolder.create(runs_dir, name, config, preset=preset)
    now = time.time() - age
    about = {"run": name, "preset": preset, "seed": seed, "created": now, "origins": {}}
    write_json(folder.about_path, about, durable=False)
    status = Status(
        state=state,
        started=now,
        heartbeat=now + 90.0,
        iteration=iterations if state == "done" else iterations // 2,
        iterations=iterations,
        accuracy=accuracy,
        preset=preset,
        seed=seed,
        message=message,
    )
    if state == "queued":
        status = replace(status, started=0.0, heartbeat=now, iteration=0, accuracy=None)
    write_json(folder.status_path, asdict(status), durable=False)
    if state not in ("queued", "done"):
        (folder.checkpoints / "000001-00000025.safetensors").touch()
    if journal and state != "queued":
        write_journal(folder, seed, iterations, accuracy or 0.5, state, now, message)
    return folder


def write_journal(
    folder: RunFolder, seed: int, iterations: int, accuracy: float, state: str, begun: float, message: str
) -> None:
    """What such a run would have said, in 90 s."""
    moments = [begun]
    with JournalWriter(folder.journal_path, clock=lambda: moments[-1]) as writer:
        started = RunStarted(folder.name, "digits-ipc1", seed, 10, iterations, "here", 1, "0", {"device": "cpu"})
        writer.append(started)
        for i in range(1, iterations + 1):
            along = i / iterations
            writer.append(
                Iteration(
                    i, math.exp(-along) + 0.1 * seed, 3.0 - along, along, math.log(10), [along], 0.1, 0.8, 0.05, 0.1
                )
            )
            if i % 10 == 0:
                mean = accuracy * along
                writer.append(
                    Evaluation(i, "live", "quick-100", mean, 0.01, [mean], "test", "test", 1.0, best_so_far=True)
                )
        moments.append(begun + 90.0)
        writer.append(StateChanged(state, message))
        writer.append(RunEnded(state, message, {}))


def fill(runs_dir: Path) -> None:
    """Three runs, the newest last."""
    make_run(runs_dir, "first", accuracy=0.7, age=300, seed=1)
    make_run(runs_dir, "second", accuracy=0.9, age=200, objective__student_steps=7)
    make_run(runs_dir, "third", state="stopped", accuracy=0.4, age=100)


def shown(app: object) -> list[str]:
    """Which of these three are on the screen, from the top."""
    return [
        name for line in text(app).splitlines() for name in ("first", "second", "third") if f" {name} " in f"{line} "
    ]


def stands(folder: RunFolder, **values: Any) -> None:
    """Give a run's status other values."""
    status = folder.status()
    assert status is not None
    write_json(folder.status_path, asdict(replace(status, **values)))


def states(runs: Path) -> list[str]:
    """Of all runs of a folder, the oldest first."""
    return [status.state for folder in list_runs(runs) if (status := folder.status()) is not None]
