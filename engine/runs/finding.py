"""Which runs lie in a folder, and which of them a word means."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Collection
from pathlib import Path

from engine.errors import DataError
from engine.files import read_json_object
from engine.runs.called import option
from engine.runs.folder import RunFolder
from engine.runs.naming import check_name

LATEST = "--latest"
NEAR = 3
"""Most runs that are named in place of a wrong name."""


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """The runs in a folder, oldest first (by creation, then name); [] where there is no such folder.

    What lies beside them and cannot be looked into (lost+found, another user's run) is passed over.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        paths = [path for path in runs_dir.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"cannot list the runs in {runs_dir}: {error.strerror}") from error
    except ValueError as error:  # a character that no path has
        raise DataError(f"cannot list the runs in {str(runs_dir)!r}: {error}") from error
    folders = [RunFolder(path.absolute()) for path in paths]
    dated = [(_created(folder), folder) for folder in folders if folder.exists]
    return [folder for _, folder in sorted(dated, key=lambda pair: (pair[0], pair[1].name))]


def _created(folder: RunFolder) -> float:
    value = (read_json_object(folder.about_path) or {}).get("created")
    return float(value) if isinstance(value, (int, float)) else 0.0


def find(runs_dir: Path, name: str, *, states: Collection[str] | None = None) -> RunFolder:
    """The run called ``name``, or for "--latest" the one active last (its heartbeat, else its creation).

    A queued run was never active; it is taken only where ``states`` has "queued".

    Args:
        runs_dir: folder of all runs.
        name: a name in ``runs_dir``; the path of a run folder (with a slash); or "--latest".
        states: for "--latest", only runs whose effective state is among these; None for all that were started.

    Raises:
        ConfigError: the name is unsafe.
        DataError: there is no such run, or it cannot be looked at; the message names the nearest ones.
    """
    if name == LATEST:
        return _latest(runs_dir, states)
    if "/" in name or os.sep in name:
        return RunFolder.open(Path(name))
    check_name(name)
    folder = RunFolder((runs_dir / name).absolute())
    try:
        if folder.config_path.is_file():
            return folder
    except OSError as error:
        raise DataError(f"cannot look at the run {name!r} in {runs_dir}: {error.strerror}") from error
    hint = meant(runs_dir, name) or f"; `mim4dd runs{option(runs_dir)}` lists them"
    raise DataError(f"there is no run {name!r} in {runs_dir}{hint}")


def meant(runs_dir: Path, name: str, spelled: Callable[[str], str] = str) -> str:
    """Which runs a wrong name may stand for: one that alone begins so, else up to three, of those that begin so the
    newest first. Capital letters do not count. ``spelled`` is what a name is called by.
    """
    try:
        known = {run.name.casefold(): run.name for run in reversed(list_runs(runs_dir))}
    except DataError:  # what is wrong is the folder, and is said by whoever reads it
        return ""
    wrong = name.casefold()
    begun = [folded for folded in known if folded.startswith(wrong)]
    if len(begun) == 1 and wrong not in begun:
        return f"; the only run that begins so is {spelled(known[begun[0]])}"
    like = difflib.get_close_matches(wrong, [folded for folded in known if folded not in begun], n=NEAR, cutoff=0.5)
    names = [spelled(known[folded]) for folded in [*begun, *like][:NEAR]]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _latest(runs_dir: Path, states: Collection[str] | None) -> RunFolder:
    best: tuple[float, float, str] | None = None
    chosen: RunFolder | None = None
    there = list_runs(runs_dir)
    for folder in there:
        status = folder.status()
        state = status.effective_state() if status else "failed"
        if state == "queued" if states is None else state not in states:
            continue
        created = _created(folder)
        key = (max(created, status.heartbeat if status else 0.0), created, folder.name)
        if best is None or key > best:
            best, chosen = key, folder
    if chosen is None:
        if not there:
            raise DataError(f"there is no run in {runs_dir}: start one with `mim4dd run PRESET{option(runs_dir)}`")
        is_what = "was started yet" if states is None else f"is {' or '.join(states)}"
        raise DataError(f"no run in {runs_dir} {is_what}: `mim4dd runs{option(runs_dir)}` lists them")
    return chosen
