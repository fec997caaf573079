"""What a run says while it goes on: typed, versioned events.

A view (dashboard, console, report, another terminal) knows a run only by these events, live from the
engine's thread or read back from the run folder's journal. An event is a frozen dataclass of plain
values (str, int, float, bool, None, lists and dicts of these), so that it is one line of JSON; pictures
and tensors live in files of the run folder, named by a path relative to it.

All accuracies are fractions in 0..1, information in nats, times in seconds, memory in MiB. A value that
is not a finite number stays one in memory (``float("nan")``) and is written as ``null`` in JSON.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

VERSION = 1
"""Version of the event vocabulary; a reader refuses a journal with a larger one."""


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    kind: ClassVar[str] = "event"


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """First event of a run, and again (with ``resumed_from``) whenever it is continued.

    ``resumed_from`` is the iteration of the checkpoint continued from (None for a fresh start, also of a run
    that was left before its first checkpoint) and ``after_sequence`` the journal sequence number at that
    checkpoint: events with a larger number that were written before this one are superseded. ``earlier`` counts the
    runs that its process had computed before: memory, read of the process, includes what they left.
    ``again`` says that the run had begun before. ``preset`` is what its settings come from: a preset's name; of a file
    its own and what it extends, ``mine.toml on digits-ipc1`` (None in older journals).
    """

    kind: ClassVar[str] = "run_started"
    run: str
    preset: str | None
    seed: int
    classes: int
    iterations: int
    host: str
    pid: int
    version: str
    execution: dict[str, Any]  # resolved: device, precision, compile, threads, torch version ...
    resumed_from: int | None = None
    after_sequence: int | None = None
    changes: dict[str, Any] = field(default_factory=dict)  # settings changed on top of the preset, by key
    earlier: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Phase(Event):
    """The run entered a phase: data, experts, compile, baselines, distill, evaluate, done.

    ``total`` counts the phase's units (expert epochs, iterations, networks), None where unknown.
    """

    kind: ClassVar[str] = "phase"
    name: str
    total: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """``done`` of ``total`` units of the current phase; at most a few a second. Never journaled."""

    kind: ClassVar[str] = "progress"
    phase: str
    done: int
    total: int | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ExpertEpoch(Event):
    """One epoch of one expert. ``test_accuracy`` only where it was measured (the last epoch)."""

    kind: ClassVar[str] = "expert_epoch"
    expert: int
    experts: int
    epoch: int
    epochs: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    seconds: float
    reused: bool = False  # found in the cache; then only the last epoch is announced


@dataclass(frozen=True, slots=True)
class Iteration(Event):
    """Metrics of one distillation iteration (numbered from 1: after the update)."""

    kind: ClassVar[str] = "iteration"
    iteration: int
    objective: float  # loss of the base objective
    nce: float | None  # weighted sum over layers of the contrastive loss; None where the term is off
    bound: float | None  # MI lower bound in nats on held-out real images (best layer); None where not read
    ceiling: float | None  # log C in nats
    bounds: list[float] | None  # the bound layer by layer
    gradient_norm: float  # of the objective on the pixels
    gradient_ratio: float | None  # NCE gradient norm / objective gradient norm on the pixels, unweighted
    step_size: float | None  # the set's own, also where it is not learned
    seconds: float
    memory: float | None = None  # MiB: the run's peak so far, of its process (see RunStarted.earlier) or on a card


@dataclass(frozen=True, slots=True)
class Evaluation(Event):
    """Networks trained on a synthetic set (or a baseline) under a named protocol."""

    kind: ClassVar[str] = "evaluation"
    iteration: int
    subject: str  # "live", "live_on_test", "best", "best_on_test", "last", "request", "random_selection", "full_set"
    protocol: str
    mean: float
    std: float  # n-1; nan for a single network
    accuracies: list[float]
    selected_on: str  # "validation", "test" or "none": which images chose the iterate
    measured_on: str  # "validation" or "test"
    seconds: float
    best_so_far: bool = False
    step_size: float | None = None  # the set's own, where the protocol trains at it
    labelled: bool = False  # random real images: by an expert, as the set's soft labels are at first
    train_images: int | None = None  # full set: how many images it is, where limits or validation leave some out

    @property
    def live(self) -> bool:
        """Whether it was taken while the run went on, of a few networks: due, or asked for."""
        return self.subject in ("live", "request")


@dataclass(frozen=True, slots=True)
class Snapshot(Event):
    """The synthetic set as pictures: a PNG grid and the raw uint8 pixels (npy) for previews.

    ``pixels`` names a ``.npy`` file of uint8 [images, height, width, channels], un-whitened and
    de-normalised, ordered by class; ``classes`` and ``images_per_class`` shape the grid. ``labels`` names one of
    float32 [images, classes], the targets of soft labels at that iteration; empty of hard ones, and in older journals.
    """

    kind: ClassVar[str] = "snapshot"
    iteration: int
    pixels: str
    classes: int
    images_per_class: int
    contrast: str  # how values outside 0..1 were shown, e.g. "clipped"
    labels: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointWritten(Event):
    """A checkpoint is complete on disk."""

    kind: ClassVar[str] = "checkpoint"
    iteration: int
    path: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Recovered(Event):
    """Numbers lost their meaning, and the run went back to a good checkpoint, to go on with smaller rates.

    Iterations, evaluations, pictures and checkpoints beyond ``iteration`` that were written before this event are
    superseded by what follows.
    """

    kind: ClassVar[str] = "recovered"
    iteration: int  # went back to: iterations that still hold
    failed: int  # the iteration whose numbers had no meaning
    recoveries: int  # so far, this one included
    most: int  # execution.recoveries
    rates: float  # what the pixel rate and the step size's rate are multiplied by from here on
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Lengthened(Event):
    """The run was given more iterations, and goes on from where it stood.

    Final evaluations and the end of a run that was done, written before this event, are superseded: they are of a
    shorter run.
    """

    kind: ClassVar[str] = "lengthened"
    iteration: int  # where it stood
    before: int  # iterations it was to make until then
    iterations: int  # from here on
    accuracy: float | None = None  # of the best iterate by the final evaluation, where it was done
    note: str = ""  # what is not as in a run that was begun with so many


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """The run's state: queued, running, paused, stopped, failed or done."""

    kind: ClassVar[str] = "state"
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A line for the log. ``level`` is info or warning; a warning says what to do."""

    kind: ClassVar[str] = "notice"
    level: str
    message: str
    refused: str = ""  # the request that could not be done: "checkpoint"
    stands: bool = False  # also in a run that goes on from an earlier iteration, which does not say it once more


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """Last event of a run that ended by itself: the result document (see ``engine.runs.result``)."""

    kind: ClassVar[str] = "run_ended"
    state: str  # done, stopped or failed
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    diverged: bool = False  # failed, and would again from its last checkpoint


Observer = Callable[[Event], None]
"""Hears every event, on the engine's thread. Must return at once and never raise."""

KINDS: Mapping[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        RunStarted,
        Phase,
        Progress,
        ExpertEpoch,
        Iteration,
        Evaluation,
        Snapshot,
        CheckpointWritten,
        Recovered,
        Lengthened,
        StateChanged,
        Notice,
        RunEnded,
    )
}


BASELINES = ("random_selection", "full_set")
"""Subjects of evaluations that are of no iterate."""
FINAL = ("best", "best_on_test", "last")
"""Subjects of evaluations that are made once the run has come to its end."""


def of_the_end(event: Event) -> bool:
    """Whether an event is of a run's end, so that lengthening the run takes it back."""
    if isinstance(event, Evaluation):
        return event.subject in FINAL
    return isinstance(event, RunEnded) and event.state == "done"


def superseded(event: Event, iteration: int | None) -> bool:
    """Whether an event is of the loop beyond ``iteration``, so that going back to there takes it back.

    None goes back to before the loop: nothing of it stays, nor does the end. What was said on the way (notices,
    phases, experts, baselines) stays true.
    """
    if iteration is None:
        iteration = -1
        if isinstance(event, (Recovered, RunEnded)):
            return True
        if isinstance(event, Evaluation) and event.subject in BASELINES:
            return False
    of_the_loop = isinstance(event, (Iteration, Evaluation, Snapshot, CheckpointWritten))
    return of_the_loop and getattr(event, "iteration", 0) > iteration


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def to_dict(event: Event) -> dict[str, Any]:
    """The event as a JSON-ready dict with its ``kind``; non-finite floats become None."""
    values = {f.name: _plain(getattr(event, f.name)) for f in dataclasses.fields(event)}
    return {"kind": event.kind, **values}


def from_dict(values: Mapping[str, Any]) -> Event:
    """The event that :func:`to_dict` wrote. Unknown fields are ignored, so that newer minor additions load.

    None in a required float field is read back as nan.

    Raises:
        ValueError: the kind is unknown, or a field without default is missing.
    """
    cls = KINDS.get(str(values.get("kind")))
    if cls is None:
        raise ValueError(f"unknown event kind {values.get('kind')!r}")
    arguments: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if f.name in values:
            value = values[f.name]
            arguments[f.name] = math.nan if value is None and f.type == "float" else value
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(f"event {cls.kind}: {error}") from None
