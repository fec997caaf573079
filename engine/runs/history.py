"""What is known of a run, built event by event: the one source of every view.

The same reducer takes live events from the engine's thread and records read back from a journal, and ends
in the same state. When a run is continued from a checkpoint, what came after that checkpoint is taken back,
so that no view shows an iteration twice.
"""

from __future__ import annotations

import math
import time as clock
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from engine.events import (
    CheckpointWritten,
    Evaluation,
    Event,
    ExpertEpoch,
    Iteration,
    Lengthened,
    Notice,
    Phase,
    Progress,
    Recovered,
    RunEnded,
    RunStarted,
    Snapshot,
    StateChanged,
    of_the_end,
    superseded,
)
from engine.runs.epochs import Epochs
from engine.runs.eta import SLOW_FIRST, Estimate
from engine.runs.journal import Record, read_all
from engine.runs.log import LogLine, from_cache, log_line, told_length
from engine.runs.series import Series

_S = TypeVar("_S", Snapshot, CheckpointWritten)

LOG_LINES = 2000
WORKING = ("queued", "running")
"""States in which time counts as worked."""
METRICS = (
    "objective",
    "nce",
    "bound",
    "ceiling",
    "gradient_norm",
    "gradient_ratio",
    "step_size",
    "seconds",
    "memory",
)
"""Fields of an Iteration that become series of the same name; ``bounds`` become ``bound.0``, ``bound.1``."""


DRAWN = ("accuracy", "accuracy_asked")
"""Series of live evaluations; each has its deviations beside it, as ``accuracy_std``."""


@dataclass(slots=True)
class ExpertProgress:
    """One expert: its last epoch and its curves over epochs. ``sequence`` is that of its last record."""

    last: ExpertEpoch
    loss: Series = field(default_factory=Series)
    train_accuracy: Series = field(default_factory=Series)
    sequence: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it is trained, or was found trained."""
        return self.last.epoch >= self.last.epochs


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event with an iteration, and the sequence number of its record (None for a live one)."""

    sequence: int | None
    event: Evaluation | Snapshot | CheckpointWritten

    def holds(self, iteration: int, sequence: int | None) -> bool:
        """Whether it was there when the run stood at ``iteration`` and journal record ``sequence``."""
        if self.event.iteration > iteration:
            return False
        return sequence is None or self.sequence is None or self.sequence <= sequence


class RunHistory:
    """A run's past and present: feed :meth:`apply`, read the attributes. Not thread-safe.

    Attributes:
        started: the newest RunStarted; None before the first event.
        state: queued, running, paused, stopped, failed or done, as the run last said; message beside it.
        diverged: whether it failed, and would again from its last checkpoint: it needs other settings.
        phase, detail, done, total: what it is doing and how far (units of the phase).
        iteration: iterations completed; ``iterations`` in all.
        lengthened: every time it was given more of them, oldest first.
        shared: whether the process of one of its sittings had computed other runs before: "memory" includes what they
            left there, and is the most that this one took. Never so on a card, whose memory is counted by itself.
        peak: the most MiB that an iteration told of, also one that this sitting went back behind; None where none did.
        series: name -> Series, see METRICS; also "accuracy" and "accuracy_std" of live evaluations that were due, and
            "accuracy_asked" and "accuracy_asked_std" of those that were asked for, which never choose the best.
        experts: expert number -> ExpertProgress.
        log: lines for people, the newest LOG_LINES; experts that come from the cache one after another have one.
        result: the result document of RunEnded; None while the run goes on.
        sequence: of the last record applied.
        worked: seconds the run was at work up to its last event: its sittings added up, each to where it says that it
            has ended, without pauses and without the time from one sitting's end to the resume.
        rewinds: how often something shown was taken back; a view that caches draws anew when it changes.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.rewinds = 0
        self.worked = 0.0
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._found: tuple[int, int] | None = None  # the experts from the cache that its newest line tells of
        self._estimate = Estimate()
        self._epochs = Epochs()
        self.started: RunStarted | None = None
        self.started_at: float | None = None
        self.updated_at: float | None = None
        self.state = "queued"
        self.message = ""
        self.diverged = False
        self.phase = ""
        self.detail = ""
        self.done = 0
        self.total: int | None = None
        self.iteration = 0
        self.iterations = 0
        self.lengthened: list[Lengthened] = []
        self.shared = False
        self.peak: float | None = None
        self.series: dict[str, Series] = {}
        self.experts: dict[int, ExpertProgress] = {}
        self.result: dict[str, Any] | None = None
        self._recoveries: list[tuple[int | None, Recovered]] = []
        self._entries: list[_Entry] = []

    # -- reading ------------------------------------------------------------------------------------

    @property
    def evaluations(self) -> list[Evaluation]:
        """Every evaluation that holds, oldest first; one for each subject and iteration."""
        held: dict[tuple[str, int], Evaluation] = {}
        for entry in self._entries:
            if isinstance(entry.event, Evaluation):
                key = (entry.event.subject, entry.event.iteration)
                held.pop(key, None)  # the later one counts, in its place
                held[key] = entry.event
        return list(held.values())

    @property
    def snapshots(self) -> list[Snapshot]:
        """Every picture that holds, oldest first; one for each iteration."""
        return list({e.event.iteration: e.event for e in self._entries if isinstance(e.event, Snapshot)}.values())

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest picture."""
        return self._newest(Snapshot)

    @property
    def checkpoint(self) -> CheckpointWritten | None:
        """The newest checkpoint."""
        return self._newest(CheckpointWritten)

    @property
    def best(self) -> Evaluation | None:
        """The final evaluation of the best iterate; before it, the best live one."""
        live = [e for e in self.evaluations if e.best_so_far]
        return self._subject("best") or (live[-1] if live else None)

    @property
    def best_on_test(self) -> Evaluation | None:
        """Where validation images chose: the final evaluation of the iterate that the test images would have chosen."""
        return self._subject("best_on_test")

    @property
    def last(self) -> Evaluation | None:
        """The final evaluation of the last iterate; before it, the newest live one, or one asked for since."""
        return self._subject("last") or self.live

    @property
    def live(self) -> Evaluation | None:
        """The newest live evaluation, or one asked for since, whatever came after it."""
        found = (e for e in self.evaluations if e.live)
        return max(found, key=lambda e: (e.iteration, e.subject == "live"), default=None)

    @property
    def recoveries(self) -> list[Recovered]:
        """Every time the run went back because its numbers lost their meaning, oldest first."""
        return [event for _, event in self._recoveries]

    @property
    def random_selection(self) -> Evaluation | None:
        """The baseline of random real images."""
        return self._subject("random_selection")

    @property
    def full_set(self) -> Evaluation | None:
        """The baseline of networks trained on the whole set (the experts)."""
        return self._subject("full_set")

    def eta(self, now: float | None = None) -> float | None:
        """Seconds to the end of the current phase; None while unknown, paused or not running.

        Args:
            now: seconds since the epoch, this moment by default.
        """
        if self.state != "running":
            return None
        return self._estimate.remaining(clock.time() if now is None else now)

    def _newest(self, kind: type[_S]) -> _S | None:
        return next((e.event for e in reversed(self._entries) if isinstance(e.event, kind)), None)

    def _subject(self, subject: str) -> Evaluation | None:
        found = (e.event for e in reversed(self._entries) if isinstance(e.event, Evaluation))
        return next((e for e in found if e.subject == subject), None)

    # -- building -----------------------------------------------------------------------------------

    @classmethod
    def of(cls, records: Iterable[Record]) -> RunHistory:
        """The history of records, superseded ones included or not."""
        history = cls()
        for record in records:
            history.apply(record)
        return history

    @classmethod
    def load(cls, journal: Path) -> RunHistory:
        """The history in a journal file. Raises DataError where it cannot be read."""
        return cls.of(read_all(journal))

    def apply(self, item: Record | Event, *, time: float | None = None) -> None:
        """Takes in one event, live or from a journal. A record that was applied before is ignored.

        Args:
            item: a record with its time, or a live event.
            time: seconds since the epoch of a live event; this moment by default.
        """
        if isinstance(item, Record):
            if item.sequence <= self.sequence:
                return
            self.sequence = item.sequence
            event, moment, sequence = item.event, item.time, item.sequence
        else:
            event, moment, sequence = item, clock.time() if time is None else time, None
        if self.updated_at is not None and self.state in WORKING and not isinstance(event, RunStarted):
            self.worked += max(0.0, moment - self.updated_at)  # the clock may have been set back
        if isinstance(event, RunStarted):
            self._run_started(event, moment)
        elif isinstance(event, Iteration):
            self._iterated(event, moment)
        elif isinstance(event, Progress):
            self._progressed(event, moment)
        elif isinstance(event, ExpertEpoch):
            self._expert_epoch(event, moment, sequence)
        elif isinstance(event, (Evaluation, Snapshot, CheckpointWritten)):
            self._keep(event, sequence)
        elif isinstance(event, Recovered):
            self._recovered(event, moment, sequence)
        else:
            self._changed(event)
        self.updated_at = moment
        line = log_line(event)
        if line is not None:
            self._say(event, LogLine(moment, *line, sequence, self.worked, _stands_at(event)))

    def _say(self, event: Event, line: LogLine) -> None:
        if not (isinstance(event, ExpertEpoch) and event.reused):
            self._found = None
        elif self._found is not None and event.expert == self._found[1] + 1:
            self._found = self._found[0], event.expert
            line = replace(line, text=from_cache(self._found[0], event))
            self.log.pop()
        else:
            self._found = event.expert, event.expert
        self.log.append(line)

    def _run_started(self, event: RunStarted, moment: float) -> None:
        if event.resumed_from is not None:
            self._rewind(event.resumed_from, event.after_sequence)
        elif self.started is not None:
            self._begin_again()
        kept = self.series.get("memory")
        self.peak = max(filter(math.isfinite, kept.values), default=None) if kept is not None else None
        self.started = event
        if self.started_at is None:
            self.started_at = moment
        self.iterations = event.iterations
        self.shared |= event.earlier > 0 and not str(event.execution.get("device")).startswith("cuda")
        self.state, self.message, self.result, self.diverged = "running", "", None, False
        self.phase, self.detail, self.done, self.total = "", "", 0, None
        self._estimate.begin(None)
        self._epochs = Epochs()

    def _begin_again(self) -> None:
        """Takes back the loop and what came of it; what was done before it is found again, and the log stays."""
        self.rewinds += 1
        self.series, self.shared = {}, False
        self._entries = [entry for entry in self._entries if not superseded(entry.event, None)]
        self._recoveries = []
        self.iteration = 0

    def _rewind(self, iteration: int, sequence: int | None) -> None:
        """Takes back what came after the run stood at ``iteration`` and journal record ``sequence``."""
        self.rewinds += 1
        for series in self.series.values():
            series.cut(iteration)
        self._entries = [entry for entry in self._entries if entry.holds(iteration, sequence)]
        for name in DRAWN:  # an evaluation can be newer than the checkpoint it is of
            self.series.pop(name, None)
            self.series.pop(f"{name}_std", None)
        for evaluation in self.evaluations:
            self._draw(evaluation)
        self.iteration = iteration
        if sequence is not None:
            self._recoveries = [known for known in self._recoveries if known[0] is None or known[0] <= sequence]
            for number, expert in list(self.experts.items()):
                if expert.sequence is not None and expert.sequence > sequence:
                    del self.experts[number]
            kept = [line for line in self.log if _stands(line, iteration, sequence)]
            if len(kept) != len(self.log):
                self.log = deque(kept, maxlen=LOG_LINES)

    def _recovered(self, event: Recovered, moment: float, sequence: int | None) -> None:
        self._rewind(event.iteration, None)
        # A run killed before its next checkpoint goes back once more, and says so with the same number.
        earlier = [known for known in self._recoveries if known[1].recoveries < event.recoveries]
        self._recoveries = [*earlier, (sequence, event)]
        self._advance("distill", event.iteration, self.iterations, moment)

    def _made_longer(self, event: Lengthened) -> None:
        """Takes back the end of a run that was done."""
        self.lengthened.append(event)
        self.iterations = event.iterations
        self.rewinds += 1
        self._entries = [entry for entry in self._entries if not of_the_end(entry.event)]
        if self.state == "done":
            self.state, self.message, self.result = "stopped", told_length(event), None

    def _iterated(self, event: Iteration, moment: float) -> None:
        if event.iteration <= self.iteration:
            self._rewind(event.iteration - 1, None)
        self.iteration, self.detail = event.iteration, ""  # what was done instead of iterations is over
        for name in METRICS:
            self._point(name, event.iteration, getattr(event, name))
        if event.memory is not None and math.isfinite(event.memory):
            self.peak = max(event.memory, self.peak or 0.0)
        for layer, bound in enumerate(event.bounds or ()):
            self._point(f"bound.{layer}", event.iteration, bound)
        self._advance("distill", event.iteration, self.iterations, moment)

    def _point(self, name: str, iteration: int, value: float | None) -> None:
        if value is not None:
            series = self.series.get(name)
            if series is None:
                series = self.series[name] = Series()
            series.add(iteration, float(value))

    def _progressed(self, event: Progress, moment: float) -> None:
        self.detail = event.detail
        self._advance(event.phase, event.done, event.total, moment)

    def _advance(self, phase: str, done: int, total: int | None, moment: float, *, together: bool = False) -> None:
        if phase != self.phase:
            self.phase = phase
            self._estimate.begin(total, slow_first=SLOW_FIRST if phase == "distill" else 0)
        self._estimate.advance(moment, done, total, together=together)
        self.done, self.total = done, total if total is not None else self.total

    def _expert_epoch(self, event: ExpertEpoch, moment: float, sequence: int | None) -> None:
        progress = self.experts.get(event.expert)
        if progress is None:
            progress = self.experts[event.expert] = ExpertProgress(event)
        progress.last, progress.sequence = event, sequence
        progress.loss.add(event.epoch, event.loss)
        progress.train_accuracy.add(event.epoch, event.train_accuracy)
        found = self._epochs.found
        reached = self._epochs.after(event)
        self._estimate.found(self._epochs.found - found)
        if event.reused:
            self._estimate.pause()
        self._advance("experts", reached.done, reached.total, moment, together=self._epochs.together)

    def _keep(self, event: Evaluation | Snapshot | CheckpointWritten, sequence: int | None) -> None:
        self._entries.append(_Entry(sequence, event))
        if isinstance(event, Evaluation):
            self._draw(event)

    def _draw(self, event: Evaluation) -> None:
        """Adds a live evaluation to its curve, one that was asked for to that of its own."""
        if event.live:
            name = "accuracy" if event.subject == "live" else "accuracy_asked"
            self._point(name, event.iteration, event.mean)
            self._point(f"{name}_std", event.iteration, event.std)

    def _changed(self, event: Event) -> None:
        if isinstance(event, Phase):
            done = self.iteration if event.name == "distill" else 0  # of a run that is resumed
            self.phase, self.detail, self.done, self.total = event.name, event.detail, done, event.total
            self._estimate.begin(event.total, slow_first=SLOW_FIRST if event.name == "distill" else 0)
        elif isinstance(event, Lengthened):
            self._made_longer(event)
        elif isinstance(event, StateChanged):
            self.state, self.message = event.state, event.reason
            self._estimate.pause()
        elif isinstance(event, RunEnded):
            self.state, self.message, self.result = event.state, event.message, event.result
            self.diverged = event.diverged


def _stands_at(event: Event) -> int | None:
    if isinstance(event, CheckpointWritten):
        return event.iteration
    stands = isinstance(event, (RunEnded, StateChanged, Lengthened)) or (isinstance(event, Notice) and event.stands)
    return 0 if stands else None


def _stands(line: LogLine, iteration: int, sequence: int) -> bool:
    """Whether a line stands when the run goes on from ``iteration`` and journal record ``sequence``."""
    if line.sequence is None or line.sequence <= sequence:
        return True
    return line.stands_at is not None and line.stands_at <= iteration
