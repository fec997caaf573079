"""What the home screen lists: presets and past runs, in words. Torch-free and quick."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len

from engine.config.consistency import TRAIN_STUDENTS
from engine.config.presets import brief, stem
from engine.config.schema import CLASSES, Config
from engine.runs.folder import RunFolder
from engine.runs.reached import standing
from engine.runs.status import host_name
from mim4dd_tui.plain import score
from mim4dd_tui.quantities import counted
from mim4dd_tui.spelling import briefly

OBJECTIVES = {"trajectory": "trajectory matching", "bptt": "BPTT", "tesla": "TESLA", "dream": "gradient matching"}
"""Base objectives as people call them."""


@dataclass(frozen=True)
class RunInfo:
    """One run in the list. ``accuracy`` is 0..1, until the final one is known (``live``) the best live one, measured on
    "test" or "validation" images; ``state`` as it really is (a dead process has failed).

    ``started`` is when its last sitting began as :func:`read_run` gives it, and when the run itself was made as
    the shelf does.
    """

    folder: RunFolder
    state: str
    preset: str
    seed: int | None
    iteration: int
    iterations: int
    accuracy: float | None
    started: float
    heartbeat: float
    message: str
    alive: bool  # a living process holds it
    diverged: bool = False  # it failed, and would again from its last checkpoint
    here: bool = False  # that process is this one
    doing: str = ""  # what it is at besides distillation, or ended at before it, and how far: "experts 9/40"
    live: bool = False
    measured_on: str = ""  # empty where an older version wrote the status
    changes: Mapping[str, Any] = field(default_factory=dict)  # settings changed for it alone, where they are known

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def score(self) -> str:
        """Its accuracy in words: ``87.3 %``; a live one, of a few networks, ``~87.3 %``, or ``v87.3 %`` on validation
        images; or nothing."""
        return "" if self.accuracy is None else score(self.accuracy, live=self.live, on=self.measured_on)

    @property
    def progress(self) -> str:
        """How far it has come: ``experts 9/40`` in a phase of its own count, else ``12/80`` iterations, or nothing."""
        return self.doing or (f"{self.iteration}/{self.iterations}" if self.iterations else "")

    @property
    def changed(self) -> str:
        """What was changed for it alone, in few words."""
        return briefly(self.changes)

    @property
    def named_by_preset(self) -> bool:
        """Whether the folder's name says no more than preset, seed and time."""
        return bool(self.preset) and self.name.startswith(f"{stem(self.preset)}-s{self.seed}-")

    @property
    def resumable(self) -> bool:
        """Whether continuing it can lead anywhere."""
        if self.diverged:
            return False
        return self.state in ("stopped", "failed") or (self.state == "queued" and not self.alive)

    @property
    def refusal(self) -> str:
        """Why it is not resumed, where it is not ``resumable``, and what helps."""
        if self.diverged:
            return f"{self.name} would fail again as it is: D takes its settings into a new run"
        return f"{self.name} is {self.state}: there is nothing to resume"


def labels(runs: Sequence[RunInfo], room: int = 1000) -> list[str]:
    """Short names: preset and seed where the folder's name says no more, else that name.

    Seed 0 is said where a run of the same preset has another; what was changed for a run, where another has the same
    name and some of ``room`` is left beside it.
    """
    seeded = {run.preset for run in runs if run.named_by_preset and run.seed}
    names = [
        run.name if not run.named_by_preset else brief(run.preset) + (f" s{run.seed}" if run.preset in seeded else "")
        for run in runs
    ]
    times = Counter(names)
    return [
        f"{name} {briefly(run.changes, room - cell_len(name) - 1)}".rstrip() if times[name] > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]


def told_apart_by_seed(runs: Sequence[RunInfo]) -> frozenset[str]:
    """The presets of which several seeds are here that not all of the runs' names tell."""
    seeds: dict[str, set[int | None]] = {}
    for run in runs:
        seeds.setdefault(run.preset, set()).add(run.seed)
    return frozenset(run.preset for run in runs if len(seeds[run.preset]) > 1 and not run.named_by_preset)


def read_run(folder: RunFolder) -> RunInfo:
    """What the status file of a run says; a run without one counts as failed."""
    status = standing(folder)
    if status is None:
        return RunInfo(folder, "failed", "", None, 0, 0, None, 0, 0, "its status file is missing or damaged", False)
    alive = status.liveness() not in ("queued", "crashed", "ended")
    message = status.message
    if status.liveness() == "crashed":
        message = message or "its process is gone; it can be resumed from its last checkpoint"
    return RunInfo(
        folder=folder,
        state=status.effective_state(),
        preset=status.preset or "",
        seed=status.seed,
        iteration=status.iteration,
        iterations=status.iterations,
        accuracy=status.accuracy,
        live=status.live,
        measured_on=status.measured_on,
        started=status.started,
        heartbeat=status.heartbeat,
        message=message,
        alive=alive,
        here=alive and (status.pid, status.host) == (os.getpid(), host_name()),
        diverged=status.diverged and not alive,
        doing=status.doing,
    )


def describe_data(config: Config) -> str:
    """The data set and the size of what is made of it."""
    classes = CLASSES[config.data.name]
    per_class = config.synthetic.images_per_class
    images = f"{classes} classes x {per_class} = {classes * per_class} images"
    start = "noise" if config.synthetic.init == "noise" else "real images"
    return f"{config.data.name}: {images}, from {start}"


def describe_method(config: Config) -> str:
    """Objective and information term."""
    information = config.information
    term = f"MIM4DD {information.loss} x {information.weight:g}" if information.weight else "no information term"
    return f"{OBJECTIVES.get(config.objective.name, config.objective.name)} + {term}"


def describe_work(config: Config) -> str:
    """What there is to compute."""
    objective, experts = config.objective, config.experts
    steps = "" if objective.name in TRAIN_STUDENTS else " iterations"
    if not steps:
        steps = f" x {'up to ' if objective.window else ''}{objective.student_steps} student steps"
    trained = " x ".join(counted(n, what) for n, what in ((experts.count, "expert"), (experts.epochs, "epoch")))
    return f"{trained}; {objective.iterations}{steps}"
