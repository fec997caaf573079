"""A run as plain lines: what a headless run, a log file and a closed dashboard show."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from engine import events
from engine.runs.log import BEGUN_AGAIN, evaluated, from_cache, log_line, standing, told_changes, went_back
from engine.wording import counted
from mim4dd_tui.fitting import fitted
from mim4dd_tui.quantities import bound_of
from mim4dd_tui.terminal import columns


def passed(seconds: float) -> int:
    """Whole seconds that have passed. A sum of times may lack a millionth of the second that it comes to."""
    return int(seconds + 1e-6)


def duration(seconds: float) -> str:
    """``45 s``, ``3:07`` or ``2:05:09``: a time span as clocks show it, in whole seconds that have passed.

    ``-`` where it is not known.
    """
    if not math.isfinite(seconds) or seconds < 0:
        return "-"
    whole = passed(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """``just now``, ``12 min ago``, ``5 h ago`` or ``3 days ago``: a time span before now, in whole units."""
    count, name = _span(seconds)
    return f"{count} {name} ago" if count else "just now"


def age(seconds: float) -> str:
    """The same in three columns: ``now``, ``12m``, ``5h`` or ``3d``."""
    count, name = _span(seconds)
    return f"{count}{name[0]}" if count else "now"


def _span(seconds: float) -> tuple[int, str]:
    """Whole units, and the unit's name; 0 below a minute."""
    for limit, unit, name in ((7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return max(0, int(seconds // unit)), name
    return int(seconds // 86_400), "days"


def percent(fraction: float, deviation: float | None = None) -> str:
    """``87.3 %`` or ``87.3 ± 0.4 %``."""
    if not math.isfinite(fraction):
        return "-"
    if deviation is None or not math.isfinite(deviation):
        return f"{fraction * 100:.1f} %"
    return f"{fraction * 100:.1f} ± {deviation * 100:.1f} %"


def score(fraction: float, deviation: float | None = None, *, live: bool, on: str = "test") -> str:
    """An accuracy as :func:`percent` writes it, with ``~`` before a live one, which is of a few networks.

    One measured ``on`` validation images has ``v`` instead: it is live too.
    """
    mark = "v" if on == "validation" else "~" if live else ""
    return mark + percent(fraction, deviation)


def tell(text: str) -> None:
    """A line of diagnostics, on standard error; a stream that is gone is no reason to stop."""
    with suppress(OSError, ValueError):
        sys.stderr.write(fitted(text, sys.stderr) + "\n")
        sys.stderr.flush()


ENDS = ("done", "failed", "stopped")
"""States that the end of the run says again."""
UNITS = {"baselines": "network", "evaluate": "network"}
"""What a phase's progress counts."""


class PlainObserver:
    """Writes events as lines. Progress at most once every ``interval`` seconds, everything else as it comes, but for
    experts that come from the cache one after another: they have one line, or one for each ``interval``.

    ``iterations`` is the run's number of them, for an observer that did not hear it start. Without ``reasons`` it does
    not say why a run failed: whoever started it is told by the error.

    An observer must never raise: when the stream is gone (a closed terminal, a full pipe) it falls silent.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        iterations: int = 0,
        reasons: bool = True,
    ) -> None:
        self._reasons = reasons
        self._stream = stream
        self._interval = interval
        self._clock = clock
        self._last = -math.inf
        self._lock = threading.Lock()
        self._iterations = iterations
        self._step: float | None = None  # of the iteration before
        self._silent = False
        self._found = False  # the last expert heard of, in the cache: no progress, which its own line says
        self._untold: tuple[int, events.ExpertEpoch, float] | None = None  # those found: first, last, and since when

    def __call__(self, event: events.Event) -> None:
        """Hear one event, on any thread."""
        with self._lock:
            for text in (self._of_cache(event), self._line(event)):
                if text:
                    self._write(text)

    def _of_cache(self, event: events.Event) -> str:
        """The experts that came from the cache, once that is over or has lasted for the interval."""
        before, line = self._untold, ""
        if isinstance(event, events.ExpertEpoch) and event.reused:
            if before is not None and event.expert == before[1].expert + 1:
                self._untold = before[0], event, before[2]
                return ""
            self._untold = event.expert, event, self._clock()
        elif isinstance(event, events.Progress) and before is not None:
            if self._clock() - before[2] < self._interval:
                return ""
            self._untold = None
        else:
            self._untold = None
        if before is not None:
            line = f"  {from_cache(before[0], before[1])}"
        return line

    def _write(self, text: str) -> None:
        if self._silent:
            return
        stream = sys.stderr if self._stream is None else self._stream
        try:
            stream.write(fitted(text, stream) + "\n")
            stream.flush()
        except (OSError, ValueError):
            self._silent = True

    def _due(self) -> bool:
        now = self._clock()
        if now - self._last < self._interval:
            return False
        self._last = now
        return True

    def _line(self, event: events.Event) -> str:
        if isinstance(event, events.Iteration):
            last = event.iteration == self._iterations
            line = self._iteration(event) if self._due() or last else ""
            self._step = event.step_size
            return line
        if isinstance(event, events.Progress):
            idle = event.phase == "distill" or (event.phase == "experts" and self._found)
            if idle or not self._due():
                return ""
            if event.phase == "experts":
                what = event.detail or "all experts together"
                return f"  experts: {event.done} of {event.total} epochs, {what}"
            of = f"{event.done} of " if event.total else ""
            count = event.total or event.done
            told = counted(count, UNITS[event.phase]) if event.phase in UNITS else count
            return f"  {event.phase}: {of}{told} {event.detail}".rstrip()
        if isinstance(event, events.ExpertEpoch):
            return self._expert(event)
        return self._other(event)

    def _iteration(self, event: events.Iteration) -> str:
        """On a terminal in one line: where its columns do not do, what is least asked for is left out first."""
        head = f"  iteration {event.iteration}/{self._iterations}"
        figures = [f"objective {event.objective:.4g}"]
        if event.bound is not None and event.ceiling is not None:
            figures.append(f"MI >= {bound_of(event.bound, event.ceiling)}")
        if event.nce is not None:
            figures.insert(1, f"nce {event.nce:.4g}")
        if event.step_size not in (None, self._step):  # one that no iteration moves is not told again and again
            figures.append(f"step {event.step_size:.3g}")
        width = columns(sys.stderr if self._stream is None else self._stream)
        for least in ("step ", "nce ", "MI "):
            if width is None or len("  ".join([head, *figures])) <= width:
                break
            figures = [figure for figure in figures if not figure.startswith(least)]
        return "  ".join([head, *figures])

    def _expert(self, event: events.ExpertEpoch) -> str:
        self._found = event.reused
        name = f"  expert {event.expert + 1}/{event.experts}"
        if event.reused:
            return ""
        if event.epoch != event.epochs:
            epoch = f"{name} epoch {event.epoch}/{event.epochs}  loss {event.loss:.4g}"
            return epoch if self._due() else ""
        accuracy = f"  test {percent(event.test_accuracy)}" if event.test_accuracy is not None else ""
        return f"{name} trained{accuracy}"

    def _other(self, event: events.Event) -> str:
        if isinstance(event, events.RunStarted):
            self._iterations = event.iterations
            again = f", {BEGUN_AGAIN}" if event.again else ""
            if event.resumed_from is not None:
                again = f", resumed from iteration {event.resumed_from}"
            own = f" with {told_changes(event.changes)}" if event.changes else ""
            return f"run {event.run} (preset {event.preset or '-'}, seed {event.seed}){own}{again}"
        if isinstance(event, events.Phase):
            return f"{event.name}: {event.detail}" if event.detail else event.name
        if isinstance(event, events.Evaluation):
            return f"  {evaluated(event)}"
        if isinstance(event, events.CheckpointWritten):
            return f"  checkpoint at iteration {event.iteration}"
        if isinstance(event, events.Notice):
            return f"  {event.level}: {event.message}" if event.level != "info" else f"  {event.message}"
        if isinstance(event, events.Recovered | events.Lengthened) and (line := log_line(event)) is not None:
            return f"  {line[0]}: {line[1]}" if line[0] != "info" else line[1]
        if isinstance(event, events.StateChanged):
            if event.state in ENDS:
                return ""
            return standing(event.state, event.reason)
        if isinstance(event, events.RunEnded):
            back = event.result.get("recoveries")
            since = f"; it went back {went_back(back)}" if back else ""
            return f"run {standing(event.state, event.message if self._reasons else '')}{since}"
        return ""
