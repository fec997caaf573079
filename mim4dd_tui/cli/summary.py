"""A run's result document in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.config.presets import lacking
from engine.evaluation.protocols import with_step_size, without_step_size
from engine.runs.called import called
from engine.runs.log import LABELLED, standing, told_changes, went_back
from engine.wording import counted
from mim4dd_tui.cli.output import pairs
from mim4dd_tui.cli.sequence import Later
from mim4dd_tui.plain import percent
from mim4dd_tui.plain import score as accuracy_text
from mim4dd_tui.quantities import known_of, nats, target
from mim4dd_tui.seeds import named

CHOSEN = {
    "validation": "best iterate chosen on held-out training images",
    "test": "best iterate chosen on the test images",
    "none": "last iterate",
}


STARTED_FROM = ", what distillation started from"
"""Of iteration 0."""


def score(values: Any, reason: str = "", *, of_iterate: bool = False, real: bool = False) -> str:
    """``87.3 ± 0.4 % (mtt-1000, 5 networks, iteration 40)``, or why there is none.

    A live one begins with ``~`` and says ``live``; one on validation images begins with ``v`` and says that too; one
    of ``real`` images, which have no step size of their own, says at which rate, and whether an expert labelled them;
    that of the full set of how many images, where it is not whole.
    """
    if not isinstance(values, dict) or values.get("mean") is None:
        return f"- ({reason})" if reason else "-"
    live = values.get("final") is False
    on = str(values.get("measured_on"))
    text = accuracy_text(values["mean"], values.get("std"), live=live, on=on)
    details = ["live"] if live else []
    details += ["on validation images"] if on == "validation" else []
    if protocol := values.get("protocol"):
        own = values.get("step_size")
        trained = without_step_size(str(protocol)) if real else with_step_size(str(protocol), own)
        details.append(f"{LABELLED if values.get('labelled') else ''}{trained}")
    if values.get("train_images"):
        details.append(counted(values["train_images"], "training image"))
    if values.get("networks"):
        count = values["networks"]
        details.append(counted(count, "network"))
    if of_iterate and values.get("iteration") is not None:
        details.append(f"iteration {values['iteration']}")
    return f"{text} ({', '.join(details)})" if details else text


def _last(values: dict[str, Any]) -> str:
    """Before the end others may have come after the one measured last."""
    return "last measured" if values.get("final") is False else "last iterate"


def _information(values: dict[str, Any]) -> str:
    """The mean of the last readings, and the last one, which depends on where a network's life ends."""
    last, mean = values["nats"], values.get("mean")
    if mean is None:
        return known_of(last, values.get("ceiling"))
    over, until, count = values["over"], values.get("until"), values.get("readings")  # an older document lacks some
    told = []
    if count == 1:
        told.append(f"reading of iteration {until}")
    else:
        since = values.get("since")  # an older document lacks it
        read = counted(over, "iteration") if until is None else f"iterations {since or until - over + 1} to {until}"
        told.append(f"mean of {'' if count is None else f'{count:,} '}readings over {read}")
    if count != 1 or values.get("iteration") != until:
        told.append(f"last reading {nats(last)}")
    return f"{known_of(mean, values.get('ceiling'))} ({'; '.join(told)})"


def _labels(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What soft labels of the distilled set are; nothing of hard ones."""
    values = document.get("labels")
    if not isinstance(values, dict):  # an older document has none
        reason = document.get("labels_reason")
        return [("its labels", f"- ({reason})")] if reason else []
    if values["kind"] == "hard":
        return []
    if values["bits"] is None:
        means = f"{target(values['own'])} on the own class, {target(values['total'])} in all"
    else:
        means = f"{percent(values['own'])} on the own class, {values['bits']:.2f} bits of entropy"
    return [("its labels", f"soft ({values['kind']}): {means} (means over images)")]


def _longer(values: dict[str, Any]) -> str:
    """``from 1,000 iterations (done, 87.3 %) to 2,000``, or at which iteration it was not done."""
    accuracy = values.get("accuracy")
    stood = f"at iteration {values['iteration']}" if accuracy is None else f"done, {percent(accuracy)}"
    return f"from {values['before']:,} iterations ({stood}) to {values['iterations']:,}"


def _standing(document: dict[str, Any], queued: str) -> str:
    """The state, and of a run that waits or was stopped what continues it."""
    state, message = str(document.get("state")), str(document.get("message") or "")
    text = standing(state, message)
    if queued:
        return f"{text}; it {queued}"
    if state != "stopped" or "`mim4dd resume" in message or not document.get("path"):
        return text
    return f"{text}; `mim4dd resume {called(Path(document['path']))}` continues it"


def _iteration(document: dict[str, Any]) -> str:
    """How far a run came, and where it goes on if that is not there."""
    at, checkpoint = document.get("iteration"), document.get("checkpoint")
    text = f"{at} of {document['iterations']}"
    if document.get("state") not in ("stopped", "failed") or checkpoint in (None, at):
        return text
    return f"{text} (last checkpoint: {checkpoint})"


def _held(document: dict[str, Any]) -> str:
    """Of which iterate the distilled set is, where it is not the one whose accuracy is told."""
    held, accuracy = document.get("artifact_iteration"), document.get("accuracy")
    if held is None or (isinstance(accuracy, dict) and accuracy.get("iteration") == held):
        return ""
    return f"of iteration {held}{STARTED_FROM if held == 0 else ''}"


def _values(document: dict[str, Any]) -> str:
    """Why no preset tells the settings, and where they are."""
    why, path = lacking(str(document["preset"])), document.get("path")
    return f"{why}; `mim4dd show {called(Path(path))} --config` has all settings" if path else why


def result_lines(document: dict[str, Any], doing: str = "", queued: str = "") -> list[tuple[str, str]]:
    """Names and values of what a person wants to know of a run.

    Args:
        document: its result document.
        doing: what it is at besides distillation, as :attr:`engine.runs.status.Status.doing` has it.
        queued: what the dashboard's queue does with it, as :func:`mim4dd_tui.cli.waiting.in_queue` has it.
    """
    accuracy = document.get("accuracy")

    def of(key: str, *, of_iterate: bool = False) -> str:
        reason, real = str(document.get(f"{key}_reason", "")), key == "random_selection"
        return score(document.get(key), reason, of_iterate=of_iterate, real=real)

    own = f" with {told_changes(document['changes'])}" if document.get("changes") else ""
    lines = [
        ("run", str(document.get("run"))),
        ("state", _standing(document, queued)),
        ("preset", f"{document.get('preset') or '-'}{own}, seed {document.get('seed')}"),
        *([("", _values(document))] if lacking(str(document.get("preset") or "")) else []),
        ("accuracy", of("accuracy", of_iterate=True)),
    ]
    chosen_on = accuracy.get("selected_on") if isinstance(accuracy, dict) else None
    if chosen_on in CHOSEN:
        lines.append(("", CHOSEN[chosen_on]))
    if isinstance(document.get("accuracy_by_test"), dict):
        lines += [("chosen by test", of("accuracy_by_test", of_iterate=True))]
    if isinstance(document.get("last"), dict) and chosen_on != "none":  # else it is the accuracy
        last = _last(document["last"]), of("last", of_iterate=True)
        lines += [] if last == ("last measured", of("accuracy", of_iterate=True)) else [last]
    lines += [("random real images", of("random_selection")), ("full set", of("full_set"))]
    begun = document.get("iteration") or not doing
    if begun and document.get("state") != "done" and document.get("iterations"):
        lines.insert(2, ("iteration", _iteration(document)))
    if doing:
        lines.insert(2, ("phase", doing))
    information = document.get("mutual_information")
    if isinstance(information, dict) and information.get("nats") is not None:
        lines.append(("mutual information", _information(information)))
    elif reason := document.get("mutual_information_reason"):
        lines.append(("mutual information", f"- ({reason})"))
    if document.get("lengthened"):
        lines.append(("lengthened", "; ".join(_longer(each) for each in document["lengthened"])))
    if document.get("recoveries"):
        lines.append(("went back", went_back(document["recoveries"])))
    if document.get("traceback"):
        lines.append(("traceback", str(document["traceback"])))
    if document.get("artifact"):
        lines.append(("distilled set", str(document["artifact"])))
        lines += [("", of_iterate)] if (of_iterate := _held(document)) else []
        lines += _labels(document)
    return lines


def print_result(
    document: dict[str, Any],
    folder: Path | None = None,
    *,
    doing: str = "",
    queued: str = "",
    after: Later | None = None,
) -> None:
    """The result of a run, and where its folder is to be named too that, on standard output.

    Args:
        doing: as in :func:`result_lines`, and ``queued`` too.
        after: what is to follow the run in its process.
    """
    lines = result_lines(document, doing, queued)
    if after is not None and document.get("state") != "done":
        ended = document.get("state") in ("stopped", "failed")
        lines.append(("after it", after.left if ended else f"{named(after.seeds)} to follow"))
    pairs(lines + ([("folder", str(folder))] if folder is not None else []))
