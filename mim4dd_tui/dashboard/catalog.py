"""What the home screen lists: presets and past runs, in words. Torch-free and quick."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from engine.config.consistency import TRAIN_STUDENTS
from engine.config.presets import brief, stem
from engine.config.schema import CLASSES, Config
from engine.runs.folder import RunFolder
from engine.runs.reached import standing
from engine.runs.status import host_name
from engine.wording import counted
from mim4dd_tui import spelling
from mim4dd_tui.fitting import SHORTEST, shortened_apart
from mim4dd_tui.plain import score
from mim4dd_tui.spelling import briefly

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.run_queue import Waiting

OBJECTIVES = {"trajectory": "trajectory matching", "bptt": "BPTT", "tesla": "TESLA", "dream": "gradient matching"}
"""Base objectives as people call them."""
LEAST = 6
"""Columns of a name at least beside what was changed, which tells more of runs of one name."""
AGE = 4
"""Columns of the shortest way of saying how old a run is."""


@dataclass(frozen=True)
class RunInfo:
    """One run in the list. ``accuracy`` is 0..1, until the final one is known (``live``) the best live one, measured on
    "test" or "validation" images; ``state`` as it really is (a dead process has failed, a run that is taken up is
    "starting").

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
    crashed: bool = False  # its process has gone without a word
    diverged: bool = False  # it failed, and would again from its last checkpoint
    here: bool = False  # that process is this one
    doing: str = ""  # what it is at besides distillation, or ended at before it, and how far: "experts 9/40"
    live: bool = False
    measured_on: str = ""  # empty where an older version wrote the status
    changes: Mapping[str, Any] = field(default_factory=dict)  # settings changed for it alone, where they are known
    waits: Waiting | None = None  # in the queue, as the shelf finds it

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
    def names_seed(self) -> bool:
        """Whether the folder's name tells the seed, as ``-s0-`` or ``-seed0``."""
        return re.search(rf"(?<![^-_.])s(eed)?[-_]?{self.seed}(?![^-_.])", self.name) is not None

    @property
    def resumable(self) -> bool:
        """Whether continuing it can lead anywhere, and it does not wait for that already."""
        if self.diverged or self.waits:
            return False
        return self.state in ("stopped", "failed") or (self.state == "queued" and not self.alive)

    @property
    def refusal(self) -> str:
        """Why it is not resumed, where it is not ``resumable``, and what helps."""
        if self.waits:
            return f"{self.name} waits in the queue{self.waits.to_be}; Q shows it"
        if self.diverged:
            return f"{self.name} would fail again as it is: D takes its settings into a new run"
        if self.state == "done":
            return f"{self.name} is done; I lengthens it"
        return f"{self.name} is {self.state}: there is nothing to resume"

    @property
    def lengthenable(self) -> bool:
        """Whether it can be given more iterations: it is over, and would not fail again."""
        return self.state in ("done", "stopped", "failed") and not (self.alive or self.diverged or self.waits)

    @property
    def too_long(self) -> str:
        """Why it is given no more iterations, where it is not ``lengthenable``, and what helps."""
        if self.alive:
            return f"{self.name} is going on: it can be lengthened once it is over"
        if self.waits or self.diverged:
            return self.refusal
        return f"{self.name} was never begun: D takes its settings into a new run"


def telling_first(runs: Sequence[RunInfo]) -> list[RunInfo]:
    """Runs, each with what was changed for it in the order of :func:`mim4dd_tui.spelling.telling_first`."""
    ordered = spelling.telling_first([run.changes for run in runs], [run.preset for run in runs])
    return [replace(run, changes=own) if own else run for run, own in zip(runs, ordered, strict=True)]


def short_names(runs: Sequence[RunInfo]) -> list[str]:
    """Short names, of which several may be the same: preset and seed where the folder's name says no more, else that.

    Seed 0 is said where a run of the same preset has another.
    """
    seeded = {run.preset for run in runs if run.named_by_preset and run.seed}
    return [
        run.name if not run.named_by_preset else brief(run.preset) + (f" s{run.seed}" if run.preset in seeded else "")
        for run in runs
    ]


def apart(runs: Sequence[RunInfo]) -> list[Mapping[str, Any]]:
    """Of runs whose short names are the same, the settings changed for them: those that not all of them have so, or
    all where nothing tells them apart. Nothing of the others.
    """
    alike: dict[str, list[Mapping[str, Any]]] = {}
    short = short_names(runs)
    for name, run in zip(short, runs, strict=True):
        alike.setdefault(name, []).append(run.changes)
    own: list[Mapping[str, Any]] = []
    for name, run in zip(short, runs, strict=True):
        others = alike[name]
        shared = {key for key, value in run.changes.items() if all(key in o and o[key] == value for o in others)}
        differing = any(other != run.changes for other in others)
        kept = {key: value for key, value in run.changes.items() if not differing or key not in shared}
        own.append(kept if len(others) > 1 else {})
    return own


def labels(runs: Sequence[RunInfo], room: int = 1000) -> list[str]:
    """Short names in so many columns; beside those that several runs bear stands what was changed for each, for which
    the names are shortened, as far as they stay different. Where even so some are the same, columns are left for their
    ages if names can be shorter.
    """
    plain = short_names(runs)
    told, lost = list[str](), len(runs) + 1
    for least in range(LEAST, 2 * SHORTEST + 1, 2):
        ways = _labels(runs, plain, room, least)
        same = len(set(zip(ways, plain, strict=True))) - len(set(ways))
        if same < lost:
            told, lost = ways, same
        if not lost:
            break
    return told


def _labels(runs: Sequence[RunInfo], plain: Sequence[str], room: int, least: int) -> list[str]:
    """The same; ``least`` columns are left for a name beside what was changed."""

    @cache
    def short(width: int) -> list[str]:
        return shortened_apart(plain, max(1, width))

    every = apart(telling_first(runs))
    beside = _beside(plain, every, room, least)
    alike: dict[tuple[str, str], list[int]] = {}
    for place, text in enumerate(beside):
        alike.setdefault((plain[place], text.removesuffix(", …")), []).append(place)
    for places in alike.values():
        these = [runs[place] for place in places]
        if any(run.changes != these[0].changes for run in these):  # what tells most runs apart does not tell these
            _tell_anew(beside, places, apart(telling_first(these)), plain, every, room, least)
    equal = len(set(zip(plain, beside, strict=True))) < len(runs)
    kept = AGE if equal and room - AGE >= SHORTEST else 0
    return [
        f"{short(room - cell_len(text) - 1)[place]} {text}" if text else short(room - kept)[place]
        for place, text in enumerate(beside)
    ]


def _tell_anew(
    beside: list[str],
    places: Sequence[int],
    own: Sequence[Mapping[str, Any]],
    plain: Sequence[str],
    every: Sequence[Mapping[str, Any]],
    room: int,
    least: int,
) -> None:
    """Put beside some runs what tells these apart; where that is all of another run's, also the rest, or its mark."""
    for place, text, changes in zip(places, _beside([plain[i] for i in places], own, room, least), own, strict=True):
        others = {beside[i] for i, name in enumerate(plain) if name == plain[place] and i not in places}
        told = _beside([plain[place]], [{**changes, **every[place]}], room, least)[0] if text in others else text
        beside[place] = told or beside[place]


def _beside(names: Sequence[str], changes: Sequence[Mapping[str, Any]], room: int, least: int) -> list[str]:
    """What was changed for each: whole where its name can be shortened for that, else in what its name leaves."""

    def brief(name: str, own: Mapping[str, Any]) -> str:
        whole, left = briefly(own), room - least - 1
        if cell_len(whole) <= left:
            return whole
        return briefly(own, room - cell_len(name) - 1) or briefly(own, left)

    return [brief(name, own) if own else "" for name, own in zip(names, changes, strict=True)]


def told_apart_by_seed(runs: Sequence[RunInfo]) -> bool:
    """Whether of some preset several seeds are here that not all of the runs' names tell."""
    seeds: dict[str, set[int | None]] = {}
    for run in runs:
        seeds.setdefault(run.preset, set()).add(run.seed)
    return any(len(seeds[run.preset]) > 1 and not run.names_seed for run in runs)


def told_apart_by_changes(runs: Sequence[RunInfo]) -> bool:
    """Whether some runs of one preset and seed differ in what was changed for them."""
    first: dict[tuple[str, int | None], Mapping[str, Any]] = {}
    return any(first.setdefault((run.preset, run.seed), run.changes) != run.changes for run in runs)


def read_run(folder: RunFolder) -> RunInfo:
    """What the status file of a run says; a run without one counts as failed."""
    status = standing(folder)
    if status is None:
        return RunInfo(folder, "failed", "", None, 0, 0, None, 0, 0, "its status file is missing or damaged", False)
    alive = status.liveness() not in ("queued", "crashed", "ended")
    message = status.message
    crashed = status.liveness() == "crashed"
    if crashed:
        message = message or "its process is gone; it can be resumed from its last checkpoint"
    return RunInfo(
        folder=folder,
        state=status.told_state(),
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
        crashed=crashed,
        here=alive and (status.pid, status.host) == (os.getpid(), host_name()),
        diverged=status.diverged and not alive,
        doing=status.doing,
    )


def describe_data(config: Config) -> str:
    """The data set and the size of what is made of it."""
    classes = CLASSES[config.data.name]
    per_class = config.synthetic.images_per_class
    images = f"{classes} classes x {per_class:,} = {classes * per_class:,} images"
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
    work = counted(objective.iterations, "iteration")
    if objective.name in TRAIN_STUDENTS:
        most = "up to " if objective.window and objective.name == "bptt" else ""
        work = f"{objective.iterations:,} x {most}{counted(objective.student_steps, 'student step')}"
    trained = " x ".join(counted(n, what) for n, what in ((experts.count, "expert"), (experts.epochs, "epoch")))
    return f"{trained}; {work}"
