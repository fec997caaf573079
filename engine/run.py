"""A run from configuration to result: begun or taken up, held while this process works on it, and ended in words
whatever happens. What is done in between is in ``phases.py``.
"""

from __future__ import annotations

from bdb import BdbQuit
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine import execution, memory
from engine.config.load import Resolved as Chosen
from engine.config.schema import Config
from engine.errors import DataError, MimError, RunDiverged
from engine.events import Observer
from engine.objectives import code_of
from engine.phases import Session
from engine.record import Recorder
from engine.runs import unforeseen
from engine.runs.checkpoint import latest
from engine.runs.control import Control, StopRequested
from engine.runs.folder import RunFolder
from engine.runs.plain import fits, hints
from engine.runs.suspects import accused


def start(
    config: Config | Chosen,
    *,
    runs_dir: Path,
    name: str | None = None,
    preset: str | None = None,
    origins: Mapping[str, str] | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    observer: Observer | None = None,
    control: Control | None = None,
    cell: bool = False,
) -> dict[str, Any]:
    """Run a configuration in a new run folder and return its result document (``engine.runs.result``).

    Args:
        config: the whole run; what ``resolve`` gave knows preset and origins too.
        runs_dir: where the run folder is made, named ``name`` or after preset and time.
        preset: what the configuration came from, for the record: a preset, or a file as ``resolve`` says it.
        origins: where each value came from, for the record.
        data_dir: where data sets are found and downloaded to; MIM4DD_DATA_DIR or the user's cache.
        cache_dir: experts, baselines and whitening shared by runs; MIM4DD_CACHE_DIR or the user's cache.
        observer: hears every event on this thread.
        control: pause, resume, stop, checkpoint and evaluate requests.
        cell: an analysis makes it, and will look for it under this name.

    Raises:
        MimError: a subclass says what kind; the run folder is left resumable where it exists.
    """
    if isinstance(config, Chosen):
        preset, origins, config = preset or config.preset, origins or config.origins, config.config
    resolved = _resolved(config)
    if resolved.device == "cpu":
        memory.require(config)
    folder = RunFolder.create(
        runs_dir, name, config, preset=preset, origins=dict(origins or {}), execution=resolved.to_dict(), cell=cell
    )
    return _run(folder, resolved, data_dir, cache_dir, observer, control, resuming=False)


def resume(
    path: Path,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    observer: Observer | None = None,
    control: Control | None = None,
) -> dict[str, Any]:
    """Continue a run from its last checkpoint (or from its beginning where there is none).

    A run that is done gives its result at once. Arguments and errors as :func:`start`.
    """
    folder = RunFolder.open(path)
    finished, status = folder.result(), folder.status()
    reopened = status is not None and status.state != "done"  # left in the middle of being lengthened
    if finished is not None and finished.get("state") == "done" and not reopened:
        return finished
    code_of(folder.config().objective.name)  # a name without a class is refused before anything is done
    if not (folder.execution_path.exists() or folder.journal_path.exists()):  # it waited in a queue and never began
        first = _resolved(folder.config())
        if first.device == "cpu":
            memory.require(folder.config())
        folder.write_execution(first.to_dict())
    resolved = _recorded(folder)
    execution.require_device(resolved)
    return _run(folder, resolved, data_dir, cache_dir, observer, control, resuming=True)


def _resolved(config: Config) -> execution.Resolved:
    """How a run would be computed here and now.

    Raises:
        ConfigError: the device does not exist here, or no class is registered under the objective's name.
    """
    code = code_of(config.objective.name)
    return replace(execution.resolve(config), code=code)


def _recorded(folder: RunFolder) -> execution.Resolved:
    """How a run computes, as it was recorded when it began.

    Raises:
        DataError: the record is missing, damaged or incomplete.
    """
    values = folder.execution()
    for name, hint in hints(execution.Resolved):
        if name in values and not fits(values[name], hint):
            raise DataError(f"{folder.execution_path}: {name} is {values[name]!r}: the file is damaged; {folder.anew}")
    try:
        return execution.Resolved.from_dict(values)
    except TypeError as error:
        raise DataError(f"{folder.execution_path}: incomplete ({error}); {folder.anew}") from None


def _run(
    folder: RunFolder,
    resolved: execution.Resolved,
    data_dir: Path | None,
    cache_dir: Path | None,
    observer: Observer | None,
    control: Control | None,
    *,
    resuming: bool,
) -> dict[str, Any]:
    """Hold the run, go through its phases, and end it in words whatever happens."""
    control = control or Control()
    with Recorder(folder, observer, control, resuming=resuming) as record:
        try:
            # Read while the run is held: before, another process may still be writing a newer one.
            checkpoint = latest(folder.path) if resuming else None
            return Session(folder, resolved, record, data_dir, cache_dir).go(checkpoint)
        except StopRequested:
            record.unanswered()
            return record.end("stopped", "stopped on request")
        except RunDiverged as error:
            message = accused(str(error), folder, record.status.status.phase)
            record.failed(message, diverged=True)
            raise RunDiverged(message) from error
        except MimError as error:
            record.failed(str(error))
            raise
        except BdbQuit as error:
            message = (
                "ended in the debugger (breakpoint, pdb): it was left, or nobody could answer it; "
                "on a terminal `mim4dd run PRESET --headless` lets you"
            )
            record.failed(message)
            raise MimError(message) from error
        except BaseException as error:
            where = unforeseen.keep_traceback(folder.path, error)
            if message := _out_of_memory(error, folder.config()):
                message += f"; {unforeseen.TRACEBACK} in its folder says where" if where else ""
                message += f". torch: {str(error).strip()}"
                record.failed(message)
                raise MimError(message) from error
            record.failed(f"{type(error).__name__}: {error}")
            raise


def _out_of_memory(error: BaseException, config: Config) -> str:
    """What to do where it is a lack of memory; "" where it is something else."""
    if isinstance(error, torch.OutOfMemoryError):
        advice = memory.advice_on_device(config)
        return f"the device ran out of memory: lower {advice}, or choose another execution.device"
    if isinstance(error, RuntimeError) and "alloc" in str(error):  # how torch says it on the CPU
        return f"this machine has not enough memory: lower {memory.estimate(config).advice}"
    return ""
