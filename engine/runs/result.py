"""The result document of a run: what ``run --json`` and ``show --json`` print.

It can be made of any run folder at any time: of a run that is done, that goes on, that was stopped, or
whose process was killed. What is not there is null beside a ``..._reason``. Accuracies are fractions in
0..1, information in nats; a number that is not finite is null.

    run, path, state, message, preset, seed, iteration, iterations
    accuracy                {mean, std, accuracies, networks, protocol, selected_on, measured_on, iteration,
                            final}: the best iterate's; ``final`` is false for a live evaluation of a run
                            that has not come to its end. ``step_size``, the set's own, where the protocol trains at it;
                            ``labelled``, true, where an expert labelled random real images; ``train_images`` of the
                            full set, where ``data.train_limit`` or ``data.validation`` leave images out
    accuracy_by_test        the same for the iterate that the test images would have chosen, where validation images
                            chose: what most published numbers are
    last                    the same for the last iterate; before the end for the newest live evaluation
    random_selection        the same for random real images; full_set: for the experts on the whole set
    mutual_information      {nats, ceiling, iteration, mean, readings, since, over, until}: the last lower bound read,
                            log of the classes, the iteration it was read at, and the mean of the ``readings`` that were
                            due in the ``over`` iterations to ``until``, the first of them at ``since``
    lengthened              [{iteration, before, iterations, accuracy}]: every time it was given ``iterations`` in place
                            of ``before``, when it stood at ``iteration``; its final accuracy where it was done
    recoveries              [{failed, iteration, rates, reason}]: every time numbers lost their meaning at iteration
                            ``failed`` and the run went back to ``iteration``, on with its rates times ``rates``
    checkpoint              iteration of the newest checkpoint: where a run that was stopped or killed goes on
    labels                  {kind}: ``hard``, ``free`` or ``softmax``; of soft ones {kind, own, total, bits}, means over
                            that set's images: the part of the image's own class, all parts together (1 of ``softmax``),
                            and the entropy in bits, null of ``free``
    artifact, fingerprint   absolute path of the best distilled set, and the digest of its content
    artifact_iteration      the iterate it holds: before the end the best one as of the last checkpoint
    traceback               path of that of an error nobody foresaw, which ended the run
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine import sealed
from engine.config.schema import Config
from engine.config.selection import selected_on
from engine.errors import DataError
from engine.events import BASELINES, FINAL, Evaluation
from engine.runs.called import called
from engine.runs.changes import changes
from engine.runs.checkpoint import newest
from engine.runs.folder import RunFolder, iteration_of
from engine.runs.history import RunHistory
from engine.runs.lock import holder
from engine.runs.reached import reached
from engine.runs.readings import Readings
from engine.runs.status import Status, holds, host_name
from engine.runs.unforeseen import traceback_of

Document = dict[str, Any]


def document(folder: Path) -> Document:
    """The result document of the run in a folder, from its journal, status and artifact.

    Raises:
        DataError: it is not a run folder, or its journal or configuration cannot be read.
        ConfigError: its configuration was changed into something invalid.
    """
    run = RunFolder.open(folder)
    return build(run, RunHistory.load(run.journal_path))


def build(run: RunFolder, history: RunHistory) -> Document:
    """The result document of a run whose history is known already. Errors as :func:`document`."""
    about, config = run.about(), run.settings()
    status = run.status()
    state, message = _state(run.path, status, history)
    values: Document = {
        "run": run.name,
        "path": str(run.path),
        "state": state,
        "message": message,
        "preset": about.preset,
        "changes": changes(run),
        "seed": config.seed,
        "iteration": reached(status, history.iteration),
        "iterations": config.objective.iterations,
    }
    unfinished = f"the run is {state}" if state != "done" else "it was not measured"
    if state == "failed":
        unfinished = "the run failed"
    yet = "" if state in ("done", "failed") else " yet"
    nothing = f"no evaluation{yet}: {unfinished}"
    _put(values, "accuracy", _score(history.best), nothing)
    by_test = {
        "none": "no images choose (evaluation.every is 0)",
        "test": "the test images chose: it is accuracy",
    }.get(selected_on(config), f"not measured{yet}: {unfinished}")
    _put(values, "accuracy_by_test", _score(history.best_on_test), by_test)
    last = _score(history.last)
    # a live one, which stands for it before the end, may have been chosen as the best, never as the last
    _put(values, "last", None if last is None else last | {"selected_on": "none"}, nothing)
    no_draws = "switched off (evaluation.random_draws is 0)"
    _put(
        values,
        "random_selection",
        _score(history.random_selection),
        no_draws if config.evaluation.random_draws == 0 else f"not measured{yet}: {unfinished}",
    )
    _put(values, "full_set", _score(history.full_set), f"not measured{yet}: {unfinished}")
    no_term = "the term is off (information.weight is 0)"
    _put(
        values,
        "mutual_information",
        _information(history, config),
        no_term if config.information.weight == 0 else f"not read{yet}: {unfinished}",
    )
    values["recoveries"] = [
        {"failed": e.failed, "iteration": e.iteration, "rates": _finite(e.rates), "reason": e.reason}
        for e in history.recoveries
    ]
    values["lengthened"] = [
        {"iteration": e.iteration, "before": e.before, "iterations": e.iterations, "accuracy": e.accuracy}
        for e in history.lengthened
    ]
    _put(values, "checkpoint", newest(run.path), "no checkpoint was written")
    artifact, reason = _artifact(run.distilled_path("best"), unfinished)
    for key, value in artifact.items():
        _put(values, key, value, reason)
    _put(values, "labels", *_labels(config, artifact["artifact"], reason))
    report = traceback_of(run.path) if state == "failed" else None
    _put(values, "traceback", None if report is None else str(report), "no error that nobody foresaw has ended it")
    return values


def _put(values: Document, key: str, value: Any, reason: str) -> None:
    values[key] = value
    if value is None:
        values[f"{key}_reason"] = reason


def _state(run: Path, status: Status | None, history: RunHistory) -> tuple[str, str]:
    """State and message as they really are: a run whose process is gone has failed, and can be resumed."""
    resume = f"continue it with `mim4dd resume {called(run)}`"
    if status is None:
        # The journal alone cannot say whether a process is still at work.
        if history.state in ("stopped", "failed", "done"):
            return history.state, history.message
        claim = holder(run)
        if claim is not None and claim.host == host_name() and holds(claim.pid, claim.identity):
            return "running", f"status.json is missing or damaged; {claim.describe()} works on the run"
        if history.started is None:
            return "queued", "not started yet"
        return "failed", f"status.json is missing or damaged, and the journal tells of no end; {resume}"
    if status.liveness() == "crashed":
        where = f"process {status.pid} on {status.host}"
        if history.result is not None and history.state in ("stopped", "failed", "done"):
            return history.state, history.message  # killed between its last event and its last status
        return "failed", f"the run's process ({where}) is gone without a word{_printed(run)}; {resume}"
    return status.state, status.message


def _printed(run: Path) -> str:
    """Where a library may have said what ended the process."""
    path = RunFolder(run).output_path
    with suppress(OSError):
        return f" of its own; {path} has what was printed last" if path.stat().st_size else ""
    return ""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _score(evaluation: Evaluation | None) -> Document | None:
    if evaluation is None:
        return None
    values: Document = {
        "mean": _finite(evaluation.mean),
        "std": _finite(evaluation.std),
        "accuracies": [_finite(value) for value in evaluation.accuracies],
        "networks": len(evaluation.accuracies),
        "protocol": evaluation.protocol,
        "selected_on": evaluation.selected_on,
        "measured_on": evaluation.measured_on,
        "iteration": evaluation.iteration,
        "final": evaluation.subject in (*FINAL, *BASELINES),
    }
    if evaluation.step_size is not None:
        values["step_size"] = evaluation.step_size
    if evaluation.labelled:
        values["labelled"] = True
    if evaluation.train_images is not None:
        values["train_images"] = evaluation.train_images
    return values


def _information(history: RunHistory, config: Config) -> Document | None:
    found = Readings.of(history, config)
    if found is None:
        return None
    return {
        "nats": found.last,
        "ceiling": found.ceiling,
        "iteration": found.iteration,
        "mean": found.mean,
        "readings": found.count,
        "since": found.since,
        "over": found.over,
        "until": found.until,
    }


def _artifact(path: Path, unfinished: str) -> tuple[Document, str]:
    """What is told of a distilled set whose every byte was checked, and why something of it is not known."""
    found: Document = dict.fromkeys(("artifact", "fingerprint", "artifact_iteration"))
    if not path.exists():
        return found, f"no distilled set yet: {unfinished}"
    try:
        header = sealed.verify(path)
    except DataError as error:
        return found, str(error)
    fingerprint = header.get("fingerprint")
    found["artifact"] = str(path)
    found["fingerprint"] = fingerprint if isinstance(fingerprint, str) else None
    found["artifact_iteration"] = iteration_of(header)
    return found, "the file does not name it"


def _labels(config: Config, artifact: str | None, reason: str) -> tuple[Document | None, str]:
    """What the labels of a distilled set are, or why nothing is known of soft ones."""
    kind = config.synthetic.labels
    if kind == "hard":
        return {"kind": kind}, ""
    if artifact is None:
        return None, reason
    from engine.runs.softness import softness  # needs numpy, which most answers do without

    try:
        return asdict(softness(sealed.array(Path(artifact), "labels"), kind)), ""
    except DataError as error:
        return None, str(error)
