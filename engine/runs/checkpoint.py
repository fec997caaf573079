"""Checkpoints: all a run needs to go on exactly, in one sealed file each.

A checkpoint is complete or absent. The newest ones are kept, so that a damaged one costs only the time
since the one before. Order is the order of writing (a serial number in the name), not the iteration: a
run that had to go back writes a lower iteration later. Those that were due by the number of iterations alone are
told by their name: a run that goes back goes to one of them, so that neither a clock, a request nor a stop decides
what it gives.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import sealed
from engine.errors import DataError, RunFailed
from engine.files import explained, private_folder, sync_folder

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "mim4dd checkpoint"
VERSION = 1
FOLDER = "checkpoints"
_NAME = re.compile(r"(\d{6,})-(\d{8,})(-due)?\.safetensors")


class Refused(RunFailed):
    """The disk does not take a checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and verified.

    Attributes:
        iteration: iterations completed.
        tensors: on the CPU, by name.
        state: the JSON state it was saved with.
        path: its file.
        skipped: newer files that were damaged, each with the reason.
    """

    iteration: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]
    path: Path
    skipped: list[tuple[Path, str]] = field(default_factory=list)


class _File(NamedTuple):
    """A checkpoint as its name tells of it."""

    serial: int
    iteration: int
    due: bool
    path: Path


def _files(folder: Path) -> list[_File]:
    """The checkpoints, newest first."""
    found = []
    with suppress(FileNotFoundError):
        for path in (folder / FOLDER).iterdir():
            if match := _NAME.fullmatch(path.name):
                found.append(_File(int(match[1]), int(match[2]), match[3] is not None, path))
    return sorted(found, reverse=True)


def save(
    folder: Path,
    iteration: int,
    tensors: dict[str, Tensor],
    state: dict[str, Any],
    *,
    due: bool = False,
    keep: int = 2,
) -> Path:
    """Writes a checkpoint durably, then removes all but the newest ``keep`` and the newest ``keep`` that were due;
    returns its path.

    Args:
        folder: the run's folder.
        iteration: iterations completed, from 0.
        tensors: by name; copied.
        state: JSON values; floats come back bit for bit, nan and infinity included.
        due: whether the number of iterations alone asked for it.
        keep: how many to keep, at least 1.

    Raises:
        Refused: the disk is full, read-only or failing; the earlier checkpoints are untouched.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "iteration": iteration,
        "written": time.time(),
        "state": state,
    }
    try:
        private_folder(folder / FOLDER)
        with explained(folder / FOLDER):
            older = _files(folder)
        serial = older[0].serial + 1 if older else 1
        path = folder / FOLDER / f"{serial:06d}-{iteration:08d}{'-due' if due else ''}.safetensors"
        sealed.write(path, tensors, document)
    except RunFailed as error:
        raise Refused(str(error)) from error.__cause__
    files = [_File(serial, iteration, due, path), *older]
    kept = {*files[: max(1, keep)], *[file for file in files if file.due][: max(1, keep)]}
    for file in files:
        if file not in kept:
            with suppress(OSError):  # one file too many does no harm; the next save tries again
                file.path.unlink()
    return path


def newest(folder: Path) -> int | None:
    """Iterations of the newest checkpoint, by its name; None where there is none."""
    return next((file.iteration for file in _files(folder)), None)


def newest_due(folder: Path) -> int | None:
    """Iterations of the newest checkpoint that was due, by its name; None where there is none."""
    return next((file.iteration for file in _files(folder) if file.due), None)


def whole(folder: Path) -> bool:
    """Whether a run has a checkpoint of which every byte is as it was written. Loads no torch."""
    for file in _files(folder):
        with suppress(DataError):
            sealed.verify(file.path)
            return True
    return False


def load(path: Path) -> Checkpoint:
    """One checkpoint, verified.

    Raises:
        DataError: it is missing, truncated, changed, or of a newer version.
    """
    tensors, document = sealed.read(path)
    if document.get("format") != FORMAT:
        raise DataError(f"{path}: not a checkpoint")
    version, iteration, state = (document.get(key) for key in ("version", "iteration", "state"))
    if not isinstance(version, int) or version > VERSION:
        raise DataError(f"{path}: written by a newer version of mim4dd; update mim4dd")
    if not isinstance(iteration, int) or not isinstance(state, dict):
        raise DataError(f"{path}: its header is incomplete")
    return Checkpoint(iteration, tensors, state, path)


def latest(folder: Path, *, due: bool = False) -> Checkpoint | None:
    """The newest checkpoint that is whole; None where none was ever written.

    Damaged newer ones are named in ``skipped``: say so, and :func:`set_aside` them before saving again.

    Args:
        folder: the run's folder.
        due: look at those alone that were due; None also where all of these are damaged.

    Raises:
        DataError: there are checkpoints, and all of them are damaged.
    """
    skipped: list[tuple[Path, str]] = []
    for file in _files(folder):
        if due and not file.due:
            continue
        try:
            found = load(file.path)
        except DataError as error:
            skipped.append((file.path, str(error)))
        else:
            return replace(found, skipped=skipped)
    if skipped and not due:
        reasons = "; ".join(why for _, why in skipped)
        raise DataError(
            f"every checkpoint of run {folder.name} is damaged: {reasons}. Delete {folder / FOLDER} to "
            "begin the run again (trained experts are kept in the cache)"
        )
    return None


def set_aside(folder: Path, skipped: list[tuple[Path, str]]) -> None:
    """Renames damaged checkpoints (``*.damaged``) so that they no longer count among the newest."""
    for path, _ in skipped:
        with suppress(FileNotFoundError):
            path.replace(path.with_name(path.name + ".damaged"))
    if skipped:
        sync_folder(folder / FOLDER)
