"""From a run's history to how far it has come. Pure: no widget, no terminal."""

from __future__ import annotations

from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.widgets.status import Progress

SLOW_FIRST = 5
"""Iterations at the beginning that are slow, and say nothing of the others."""


def progress(history: RunHistory, state: str, *, preparing: bool, waiting: str) -> Progress:
    """The phase and what is done of it; of a run that is over, its iterations.

    Args:
        history: what the run has said.
        state: how it really stands.
        preparing: it has yet to say anything in this sitting, so that all known of its pace is of the one before.
        waiting: what is waited for while it has said nothing.
    """
    if state in ("stopped", "failed") and not history.iteration and history.phase not in ("", "distill", "evaluate"):
        return Progress(state, history.done, history.total, detail=history.phase)
    if state in ("done", "stopped", "failed"):
        return Progress(state, history.iteration, history.iterations or None)
    remaining = None if preparing else history.eta()
    return Progress(
        phase=history.phase or (state if state == "queued" else "starting"),
        done=history.done,
        total=history.total,
        remaining=float(int(remaining)) if remaining is not None else None,
        rate="" if preparing else _rate(history),
        detail=history.detail or waiting,
    )


def _rate(history: RunHistory) -> str:
    """Of the newest iterations; empty while there are too few."""
    seconds = history.series.get("seconds")
    if history.phase != "distill" or seconds is None or len(seconds) < 2 * SLOW_FIRST:
        return ""
    recent = seconds.values[SLOW_FIRST:][-20:]
    mean = sum(recent) / len(recent)
    return f"{mean:.2f} s/it" if mean >= 0.1 else f"{1 / max(mean, 1e-9):.0f} it/s"
