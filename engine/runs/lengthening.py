"""A run made longer: one that is done, or ended early, is given more iterations and goes on from its last checkpoint.

No rate and no draw of an iteration depends on how many there are to be. So a run that was lengthened gives what one
begun with that many gives, but for what was done at its earlier end: the last iterate there was evaluated, and may have
become the best one. What else differs stands in the event's ``note``.

The new number holds from the moment at which ``config.toml`` is replaced. Before it a run that is done is opened again:
it counts as stopped at its end, and going on with it only measures that end once more. What follows it (origins,
journal, status) is told from the configuration and the journal, so that whoever takes the run up makes good what a kill
has left out.
"""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from engine.budget import live_every
from engine.config.load import LENGTHENED, changed
from engine.errors import ConfigError, DataError, MimError, RunFailed
from engine.events import Lengthened
from engine.files import explained, read_json_object, write_json
from engine.runs.called import called, option
from engine.runs.checkpoint import whole
from engine.runs.history import RunHistory
from engine.runs.journal import JournalWriter
from engine.runs.lock import RunLock
from engine.runs.log import told_length
from engine.runs.status import accuracy_of
from engine.worth import not_worth_compiling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.config.schema import Config
    from engine.runs.folder import RunFolder
    from engine.runs.status import Status

KEY = "objective.iterations"


def lengthen(folder: RunFolder, iterations: int) -> Lengthened | None:
    """Give a run more iterations; resuming it goes on to them. Loads no torch.

    Returns:
        What was said of it in the journal; None where the run never began.

    Raises:
        ConfigError: it has as many already, diverged, or is an analysis's.
        DataError: it is done and has no whole checkpoint, or cannot be read.
        RunLocked: a process works on it.
        RunFailed: the disk refuses; the run has the old number or the new one, and can be gone on with.
    """
    with RunLock(folder.path):
        config, history = folder.config(), RunHistory.load(folder.journal_path)
        require(folder, config, iterations)
        longer = changed(config, {KEY: iterations})
        status = folder.status()
        done = (status.state if status is not None else history.state) == "done"
        if done:
            require_checkpoint(folder, iterations)
        result = folder.result() if done else None
        try:
            if done:
                _open_again(folder, iterations)
            folder.write_config(longer)
        except RunFailed:
            with suppress(MimError):  # else it counts as stopped at its end
                if done and folder.config() == config:  # the disk may have taken it, and failed after that
                    _close_again(folder, status, result)
            raise
        return _tell(folder, longer, history)


def require_checkpoint(folder: RunFolder, iterations: int) -> None:
    """Refuses a run that is done and has nothing to go on from. Reads a checkpoint through.

    Raises:
        DataError: it has no whole checkpoint.
    """
    if not whole(folder.path):
        raise DataError(f"{folder.name} is done and has no whole checkpoint to go on from; {_anew(folder, iterations)}")


def require(folder: RunFolder, config: Config, iterations: int) -> None:
    """Refuses a number that a run cannot be given, or a run that cannot be lengthened.

    Raises:
        ConfigError: it has as many already, diverged, or is an analysis's.
    """
    if wrong := too_few(config, iterations):
        raise ConfigError(f"{folder.name} {wrong}")
    if folder.about().cell:
        raise ConfigError(
            f"{folder.name} is an analysis's, which looks for it with the {config.objective.iterations:,} iterations "
            f"it has; {_anew(folder, iterations)}"
        )
    status = folder.status()
    if status is not None and status.diverged:
        raise ConfigError(
            f"{folder.name} diverged, and would again however long it is; {_anew(folder, iterations)} and other "
            "settings"
        )


def too_few(config: Config, iterations: int) -> str:
    """What is wrong with a number of iterations for a run; empty where nothing is."""
    present = config.objective.iterations
    return "" if iterations > present else f"has {present:,} iterations already, and can only be given more"


def untold(folder: RunFolder, config: Config, history: RunHistory) -> Lengthened | None:
    """What a run's journal does not say yet of its being lengthened; None where there is nothing."""
    before, iterations = history.iterations, config.objective.iterations
    if history.started is None or iterations <= before:
        return None
    accuracy = history.best.mean if history.state == "done" and history.best is not None else None
    note = _note(folder, changed(config, {KEY: before}), config) if before else ""
    return Lengthened(history.iteration, before, iterations, accuracy, note)


def mark(folder: RunFolder) -> None:
    """Say where the number of iterations comes from."""
    about = folder.about()
    if about.origins.get(KEY) != LENGTHENED:
        folder.write_about(replace(about, origins=about.origins | {KEY: LENGTHENED}))


def _open_again(folder: RunFolder, iterations: int) -> None:
    """Of a run that is done."""
    status = folder.status()
    if status is not None:
        again = f"`mim4dd resume {called(folder.path)} --iterations {iterations}`"
        message = f"it was to be lengthened to {iterations:,} iterations: {again} does so"
        write_json(folder.status_path, asdict(replace(status, state="stopped", message=message)))
    with explained(folder.result_path):
        folder.result_path.unlink(missing_ok=True)


def _close_again(folder: RunFolder, status: Status | None, result: Mapping[str, Any] | None) -> None:
    """As it was before :func:`_open_again`."""
    if status is not None:
        write_json(folder.status_path, asdict(status))
    if result is not None:
        folder.write_result(result)


def _tell(folder: RunFolder, config: Config, history: RunHistory) -> Lengthened | None:
    mark(folder)
    said = untold(folder, config, history)
    if said is not None:
        with JournalWriter(folder.journal_path) as journal:
            journal.append(said)
            journal.sync()
        history.apply(said)
    status = folder.status()
    if status is None:
        return said
    status = replace(status, iterations=config.objective.iterations)
    if said is not None and history.message == told_length(said):  # it was done
        accuracy = accuracy_of(history.best)
        status = replace(status, state=history.state, message=history.message, heartbeat=time.time(), **accuracy)
    write_json(folder.status_path, asdict(status))
    return said


def _note(folder: RunFolder, before: Config, longer: Config) -> str:
    """What is not as in a run that was begun with so many iterations."""
    notes, then, now = [], live_every(before), live_every(longer)
    if then != now:
        notes.append(f"live evaluations come every {now:,} iterations from here on, every {then:,} until here")
    why, recorded = not_worth_compiling(before), read_json_object(folder.execution_path) or {}
    if why and recorded.get("why_eager") == why and not not_worth_compiling(longer):
        notes.append("its steps stay uncompiled, though those of a new run of this length would be compiled")
    return "; ".join(notes)


def _anew(folder: RunFolder, iterations: int) -> str:
    config = shlex.quote(str(folder.config_path))
    return f"begin a longer one with `mim4dd run {config} --set {KEY}={iterations}{option(folder.path.parent)}`"
