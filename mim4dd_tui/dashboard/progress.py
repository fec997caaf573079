"""From a run's history to what its head says: what it is, and how far it has come. Pure: no widget, no terminal."""

from __future__ import annotations

from engine.runs.eta import SLOW_FIRST
from engine.runs.history import WORKING, RunHistory
from mim4dd_tui.dashboard.widgets.status import Head, Progress
from mim4dd_tui.plain import duration, passed

STALLED_SECONDS, STALLED_TIMES = 10.0, 5.0
"""An iteration is told of while it lasts when it takes as long as this, and as many times as long as the others."""


def head(history: RunHistory, name: str, state: str, *, going: bool, elsewhere: bool, now: float) -> Head:
    """What a run is.

    Args:
        history: what the run has said.
        name: of its folder; empty where it has none yet.
        state: how it really stands.
        going: something works on it, and has said so in this sitting.
        elsewhere: that is another process.
        now: seconds since the epoch.
    """
    started, worked = history.started, None
    if history.started_at is not None:
        # while a run is paused, has ended, or is loaded to go on, nothing is added
        counts = going and history.state in WORKING and history.updated_at is not None
        since = max(0.0, now - (history.updated_at or 0.0)) if counts else 0.0
        worked = float(passed(history.worked + since))  # what stays the same is not painted anew
    return Head(
        name=name,
        preset=(started.preset if started is not None else None) or "",
        seed=started.seed if started is not None else None,
        state=state,
        worked=worked,
        elsewhere=f"{started.host}, process {started.pid}" if elsewhere and started is not None else "",
    )


def progress(history: RunHistory, state: str, *, preparing: bool, waiting: str, silent: float = 0.0) -> Progress:
    """The phase and what is done of it; of a run that is over, its iterations.

    Args:
        history: what the run has said.
        state: how it really stands.
        preparing: it has yet to say anything in this sitting, so that all that is known is of the one before.
        waiting: what is waited for while it has said nothing.
        silent: seconds since it last said anything.
    """
    if preparing:  # where it stands, and not what the sitting before did last
        return Progress("starting", history.iteration, history.iterations or None, detail=waiting)
    if state in ("stopped", "failed") and not history.iteration and history.phase not in ("", "distill", "evaluate"):
        return Progress(state, history.done, history.total, detail=history.phase)
    if state in ("done", "stopped", "failed"):
        return Progress(state, history.iteration, history.iterations or None)
    idle = state != "running" or history.detail  # an evaluation is no iteration
    stalled = "" if idle else _stalled(history, silent)
    remaining = None if stalled or state == "stopping" else history.eta()
    return Progress(
        phase=history.phase or (state if state == "queued" else "starting"),
        done=history.done,
        total=history.total,
        remaining=float(int(remaining)) if remaining is not None else None,
        rate=stalled or ("" if state == "stopping" else _rate(history)),
        detail=history.detail or waiting,
    )


def _stalled(history: RunHistory, silent: float) -> str:
    """How long the iteration lasts that is going on, where it is one that takes far longer than the others."""
    mean = _mean(history)
    if mean is None or silent < max(STALLED_SECONDS, STALLED_TIMES * mean):
        return ""
    return f"this iteration {duration(float(int(silent)))}"


def _rate(history: RunHistory) -> str:
    """Of the newest iterations; empty while there are too few."""
    mean = _mean(history)
    if mean is None:
        return ""
    return f"{mean:.2f} s/it" if mean >= 0.1 else f"{1 / max(mean, 1e-9):.0f} it/s"


def _mean(history: RunHistory) -> float | None:
    """Seconds of one of the newest iterations; None while there are too few, and in other phases."""
    seconds = history.series.get("seconds")
    if history.phase != "distill" or seconds is None or len(seconds) < 2 * SLOW_FIRST:
        return None
    recent = seconds.values[SLOW_FIRST:][-20:]
    return sum(recent) / len(recent)
