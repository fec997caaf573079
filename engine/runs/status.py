"""The status file: what a run is doing now, for whoever looks at the folder.

Replaced as a whole, so that a reader never sees half of it. Whether the process behind it still lives is
judged on the same host by the process itself (its id and its start, so that a recycled id is not taken
for it) and from another host by the age of the heartbeat.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from engine.errors import RunFailed
from engine.events import (
    Evaluation,
    Event,
    Iteration,
    Phase,
    Progress,
    RunEnded,
    RunStarted,
    StateChanged,
)
from engine.files import read_json_object, write_json
from engine.runs.plain import fits, hints

FILE = "status.json"
STALE_SECONDS = 300.0
"""A heartbeat from another host older than this is a dead process."""

BEAT_SECONDS = 1.0
"""Least time between two written heartbeats."""

STATES = ("queued", "running", "paused", "stopped", "failed", "done")
ENDED = ("stopped", "failed", "done")

Liveness = Literal["queued", "alive", "crashed", "ended"]


@cache
def host_name() -> str:
    """This machine's name, as run folders carry it."""
    return socket.gethostname()


def process_identity(pid: int) -> str | None:
    """What tells a process from a later one with the same id; None where no such process runs.

    On Linux the boot and the kernel's tick count at its start, which a change of the clock does not move.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        after_name = stat.rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if after_name[0] in "ZXx" else f"{boot}:{after_name[19]}"
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    psutil = import_module("psutil")
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.Error:
        return None


def holds(pid: int, identity: str | None) -> bool:
    """Whether the process ``pid`` of this host is still the one that had ``identity``."""
    current = process_identity(pid) if pid > 0 else None
    return current is not None and identity in (None, current)


def doing(state: str, phase: str, done: int, total: int | None, iteration: int) -> str:
    """What a run is at besides distillation, whose iterations are counted by themselves: "experts 9/40", "compile".

    Of a run that stopped or failed before its first iteration, where it did. Empty in distillation, and of any other
    run that is not at work. Of a download the share is told: "data 31 %".
    """
    ended_before = state in ("stopped", "failed") and not iteration and phase != "evaluate"
    if not (state in ("running", "paused") or ended_before) or phase in ("", "distill"):
        return ""
    if not total:
        return phase
    return f"data {100 * done // total} %" if phase == "data" else f"{phase} {done}/{total}"


@dataclass(frozen=True, slots=True)
class Status:
    """What ``status.json`` says. Times are seconds since the epoch; ``accuracy`` is 0..1.

    ``final``: whether the accuracy is that of the final evaluation; ``measured_on``: "validation" or "test" images.
    None and empty where an older version wrote the file.

    ``done`` of ``total`` counts units of the ``phase``: expert epochs, networks, iterations; None where unknown.
    ``detail``: what is done instead of counting on, as "evaluating"; or what of the phase it is.
    ``memory``: MiB that it took at most, of the process, or on a card the run's peak there.
    """

    state: str = "queued"
    pid: int = 0
    host: str = ""
    identity: str | None = None
    started: float = 0.0
    heartbeat: float = 0.0
    phase: str = ""
    done: int = 0
    total: int | None = None
    detail: str = ""
    iteration: int = 0
    iterations: int = 0
    accuracy: float | None = None
    final: bool | None = None
    measured_on: str = ""
    message: str = ""
    preset: str | None = None
    seed: int | None = None
    diverged: bool = False
    memory: float | None = None

    @staticmethod
    def read(folder: Path) -> Status | None:
        """The status of the run in a folder; None where it is missing, damaged or not a status."""
        values = read_json_object(folder / FILE)
        if values is None or values.get("state") not in STATES:
            return None
        known = {name: values[name] for name, _ in _FIELDS if name in values}
        if not all(fits(known[name], hint) for name, hint in _FIELDS if name in known):
            return None
        return Status(**known)

    def liveness(self, now: float | None = None) -> Liveness:
        """Whether a process still works on the run.

        A heartbeat of another host that lies in the future (a clock stepped back) cannot be shown to be old
        and counts as alive.
        """
        if self.state in ENDED:
            return "ended"
        if self.state == "queued" and self.pid == 0:
            return "queued"
        if self.host == host_name():
            alive = holds(self.pid, self.identity)
        else:
            alive = (time.time() if now is None else now) - self.heartbeat < STALE_SECONDS
        if alive:
            return "alive"
        return "queued" if self.state == "queued" else "crashed"  # one that was killed before it began waits as before

    def effective_state(self, now: float | None = None) -> str:
        """The state as it really is: "failed" where the process of a running one is gone."""
        return "failed" if self.liveness(now) == "crashed" else self.state

    def told_state(self, now: float | None = None) -> str:
        """The state as people are told it: that too, but "starting" of a queued run whose process loads the engine."""
        starting = self.state == "queued" and self.liveness(now) == "alive"
        return "starting" if starting else self.effective_state(now)

    @property
    def live(self) -> bool:
        """Whether ``accuracy`` is of a few networks while the run went on."""
        return self.state != "done" if self.final is None else not self.final

    @property
    def progress(self) -> Progress:
        """How far its phase has come: counts of which the journal knows nothing."""
        return Progress(self.phase, self.done, self.total, self.detail)

    @property
    def doing(self) -> str:
        """As :func:`doing` has it, of the state as it really is."""
        return doing(self.effective_state(), self.phase, self.done, self.total, self.iteration)


_FIELDS = hints(Status)


def accuracy_of(best: Evaluation | None) -> dict[str, Any]:
    """What a status says of the best evaluation there is; None where there is none."""
    if best is None:
        return {"accuracy": None, "final": None, "measured_on": ""}
    return {"accuracy": best.mean, "final": not best.live, "measured_on": best.measured_on}


class StatusWriter:
    """Keeps the status file of the run this process works on.

    A disk that refuses the file never ends a run by itself: what it said is in ``fault`` (None while all is
    well) for the engine to report, and the next beat tries again. ``memory`` is asked at every writing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        ticker: Callable[[], float] = time.monotonic,
        memory: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.path = folder / FILE
        self.fault: str | None = None
        self._clock = clock
        self._ticker = ticker
        self.memory = memory
        self._lock = threading.Lock()
        self._written: float | None = None
        now = clock()
        self.status = replace(
            Status.read(folder) or Status(),
            pid=os.getpid(),
            host=host_name(),
            identity=process_identity(os.getpid()),
            started=now,
            heartbeat=now,
        )

    def beat(self, **changes: Any) -> None:
        """Takes over changed fields and writes at most once a second; call it as often as you like."""
        with self._lock:
            if changes:
                self.status = replace(self.status, **changes)
            if self._written is None or self._ticker() - self._written >= BEAT_SECONDS:
                self._write(durable=False)

    def update(self, **changes: Any) -> None:
        """Takes over changed fields and writes at once and durably: for a new state or phase."""
        if changes.get("state", "queued") not in STATES:
            raise ValueError(f"unknown state {changes['state']!r}; one of {', '.join(STATES)}")
        with self._lock:
            self.status = replace(self.status, **changes)
            self._write(durable=True)

    def stand(self, best: Evaluation | None) -> None:
        """Takes over the best evaluation there is once the run has gone back; None where none is left."""
        self.update(**accuracy_of(best))

    def hear(self, event: Event) -> None:
        """Takes over what an event says; a new phase or state is written at once, all else as a beat."""
        if isinstance(event, RunStarted):
            started = {"preset": event.preset, "seed": event.seed, "iterations": event.iterations}
            anew: dict[str, Any] = {
                "phase": "",
                "done": 0,
                "total": None,
                "detail": "",
                "message": "",
                "diverged": False,
            }
            self.update(**started, **anew, iteration=event.resumed_from or 0)
        elif isinstance(event, Phase):
            self.update(phase=event.name, done=0, total=event.total, detail=event.detail)
        elif isinstance(event, StateChanged):
            self.update(state=event.state, message=event.reason)
        elif isinstance(event, RunEnded):
            self.update(state=event.state, message=event.message, diverged=event.diverged)
        elif isinstance(event, Progress):
            self.beat(phase=event.phase, done=event.done, total=event.total, detail=event.detail)
        elif isinstance(event, Iteration):
            self.beat(iteration=event.iteration)
        elif isinstance(event, Evaluation) and (event.subject == "best" or event.best_so_far):
            self.beat(**accuracy_of(event))
        else:
            self.beat()

    def _write(self, *, durable: bool) -> None:
        self.status = replace(self.status, heartbeat=self._clock(), memory=self.memory())
        self._written = self._ticker()
        values = asdict(self.status)
        if values["accuracy"] is not None and not 0 <= values["accuracy"] <= 1:
            values["accuracy"] = None
        try:
            write_json(self.path, values, durable=durable)
            self.fault = None
        except RunFailed as error:
            self.fault = str(error)
