"""Events as lines for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.presets import lacking
from engine.config.validate import written
from engine.evaluation.protocols import with_step_size, without_step_size
from engine.events import (
    BASELINES,
    FINAL,
    CheckpointWritten,
    Evaluation,
    Event,
    ExpertEpoch,
    Lengthened,
    Notice,
    Phase,
    Recovered,
    RunEnded,
    RunStarted,
    StateChanged,
)
from engine.wording import counted


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for people. ``level`` is info or warning; ``time`` in seconds since the epoch.

    ``worked`` is how many seconds the run had been at work then, in all its sittings. ``stands_at`` is the iteration
    from which a run that goes on takes it not back: how it ended, what it left undone then, and the checkpoint that it
    goes on from. None: what is done once more is said once more.
    """

    time: float
    level: str
    text: str
    sequence: int | None = None
    worked: float = 0.0
    stands_at: int | None = None


BEGUN_AGAIN = "begun again: there was no checkpoint to go on from"
"""Of a run that had begun before and starts from its beginning."""

SUBJECTS = {
    "live": "accuracy",
    "live_on_test": "accuracy on test images, which choose nothing",
    "request": "accuracy (asked for)",
    "best": "best iterate",
    "best_on_test": "the iterate that test images would have chosen",
    "last": "last iterate",
    "random_selection": "random real images",
    "full_set": "full set",
}


LABELLED = "labelled by an expert, "
"""Of random real images with soft labels, before their protocol."""


def standing(state: str, message: str) -> str:
    """``failed: not a number``; a message that begins with the state, as ``paused on request``, stands alone."""
    if not message:
        return state
    return message if message.startswith(state) else f"{state}: {message}"


def told_changes(changes: Mapping[str, Any]) -> str:
    """``information.weight 0.3, network.norm group``: settings of a run that were changed for it."""
    return ", ".join(f"{key} {told_value(value)}" for key, value in changes.items())


def told_value(value: object) -> str:
    """``0.3``, ``group``: the value of a setting."""
    return value if isinstance(value, str) else written(value)


def went_back(recoveries: Sequence[Mapping[str, Any]]) -> str:
    """``once to iteration 40: its rates are now those set times 0.25``, of a result's ``recoveries``."""
    last = recoveries[-1]
    times = "once" if len(recoveries) == 1 else f"{len(recoveries)} times, the last time"
    rates = "" if last.get("rates") is None else f": its rates are now those set times {last['rates']:.3g}"
    return f"{times} to iteration {last.get('iteration')}{rates}"


def told_length(event: Lengthened) -> str:
    """``lengthened from 1,000 to 2,000 iterations``."""
    return f"lengthened from {event.before:,} to {event.iterations:,} iterations"


def made_longer(event: Lengthened) -> str:
    """The same with where the run stood, and what is to be known of it."""
    at = "" if event.iteration == event.before else f" at iteration {event.iteration}"
    then = "" if event.accuracy is None else f"; its final accuracy was {100 * event.accuracy:.1f} %"
    return told_length(event) + at + then + (f"; {event.note}" if event.note else "")


def evaluated(event: Evaluation) -> str:
    """``accuracy on validation images 87.3 ± 0.4 % (quick-100) at iteration 50, best so far``."""
    what = SUBJECTS.get(event.subject, event.subject)
    if event.measured_on == "validation":
        what = what.replace("accuracy", "accuracy on validation images", 1)
    spread = f" ± {event.std * 100:.1f}" if math.isfinite(event.std) else ""
    at = "" if event.subject in BASELINES else f" at iteration {event.iteration}"
    best = ", best so far" if event.best_so_far else ""
    return f"{what} {event.mean * 100:.1f}{spread} % ({_trained(event)}){at}{best}"


def _trained(event: Evaluation) -> str:
    """By which protocol and, of numbers that are compared with each other, at which rate; of how many images, where
    the full set is not whole."""
    if event.subject == "random_selection":
        return f"{LABELLED if event.labelled else ''}{without_step_size(event.protocol)}"
    if event.train_images is not None:
        return f"{event.protocol}, {counted(event.train_images, 'training image')}"
    return with_step_size(event.protocol, event.step_size) if event.subject in FINAL else event.protocol


def from_cache(first: int, last: ExpertEpoch) -> str:
    """``experts 1 to 10 of 10: from the cache``; ``first`` is numbered as in the event, from 0."""
    found = f"expert {first + 1}" if first == last.expert else f"experts {first + 1} to {last.expert + 1}"
    return f"{found} of {last.experts}: from the cache"


def log_line(event: Event) -> tuple[str, str] | None:
    """Level and text of an event for the log; None for one that belongs to curves and bars."""
    text = _text(event)
    if not text:
        return None
    warning = (isinstance(event, Recovered) or (isinstance(event, Notice) and event.level != "info")) or (
        isinstance(event, (RunEnded, StateChanged)) and event.state == "failed"
    )
    return ("warning" if warning else "info"), text


def _text(event: Event) -> str:
    if isinstance(event, Notice):
        return event.message
    if isinstance(event, RunStarted):
        since = f", {BEGUN_AGAIN}" if event.again else ""
        if event.resumed_from is not None:
            since = f", continued from iteration {event.resumed_from}"
        own = f", with {told_changes(event.changes)}" if event.changes else ""
        source = event.preset if event.preset is not None and lacking(event.preset) else ""
        made = f", of {source}" if source else ""
        return f"run {event.run}, seed {event.seed}, on {event.host}{since}{made}{own}"
    if isinstance(event, Recovered):
        return (
            f"back to iteration {event.iteration} ({event.recoveries} of {event.most} times), from here on with "
            f"the rates times {event.rates:.3g}: {event.reason}"
        )
    if isinstance(event, Lengthened):
        return made_longer(event)
    if isinstance(event, Phase):
        return f"{event.name}: {event.detail}" if event.detail else event.name
    if isinstance(event, StateChanged):
        return standing(event.state, event.reason)
    if isinstance(event, CheckpointWritten):
        return f"checkpoint at iteration {event.iteration}"
    if isinstance(event, Evaluation):
        return evaluated(event)
    if isinstance(event, ExpertEpoch) and event.reused:
        return from_cache(event.expert, event)
    if isinstance(event, ExpertEpoch) and event.epoch >= event.epochs:
        accuracy = "" if event.test_accuracy is None else f", test {event.test_accuracy * 100:.1f} %"
        return f"expert {event.expert + 1} of {event.experts} trained{accuracy}"
    return ""
