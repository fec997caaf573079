"""The runs of a folder, read again cheaply: what has not changed on disk is not read twice."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engine.errors import ConfigError, DataError, RunLocked
from engine.files import ASIDE, explained
from engine.runs.changes import changes
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from engine.runs.log import told_changes
from mim4dd_tui.dashboard.catalog import RunInfo, read_run, telling_first
from mim4dd_tui.dashboard.run_queue import RunQueue, Waiting

Sort = Literal["newest", "name", "state", "progress", "accuracy", "preset"]
SORTS: tuple[Sort, ...] = ("newest", "accuracy", "name", "preset", "state", "progress")
FILTERS: dict[str, tuple[str, ...]] = {
    "all": (),
    "running or paused": ("starting", "running", "paused"),
    "queued": ("queued",),
    "done": ("done",),
    "stopped": ("stopped",),
    "failed": ("failed",),
}
"""States shown by each filter; none stands for all."""


@dataclass
class _Kept:
    """What was read of one run, and how its status file looked then."""

    mark: tuple[int, int]
    created: float
    changes: Mapping[str, Any]
    info: RunInfo

    def take(self, info: RunInfo) -> RunInfo:
        """What its status says now, with what never changes. It begins once, when its folder is made; its status knows
        the last sitting's start alone."""
        self.info = replace(info, started=self.created or info.started, changes=self.changes)
        return self.info


class Shelf:
    """Reads the runs of one folder. Any thread may call it, one at a time is served."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._kept: dict[str, _Kept] = {}
        self._queue, self._waiting = RunQueue(runs_dir), dict[str, Waiting]()
        self._lock = threading.Lock()

    @property
    def known(self) -> list[RunInfo]:
        """All runs as they were read last, newest first; looks at no disk."""
        newest = sorted(self._kept.values(), key=lambda one: (-one.created, one.info.name))
        return telling_first([replace(one.info, waits=self._waiting.get(one.info.name)) for one in newest])

    def read(self) -> list[RunInfo]:
        """All runs, newest first. An entry that cannot be looked into is passed over.

        Raises:
            DataError: the folder cannot be read.
        """
        with self._lock:
            kept: dict[str, _Kept] = {}
            for name in self._names():
                found = self._one(name)
                if found is not None:
                    kept[name] = found
            self._kept = kept
            self._waiting = self._queue.waiting()
            return self.known

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.runs_dir) as entries:
                return [entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"cannot list the runs in {self.runs_dir}: {error.strerror}") from error

    def _one(self, name: str) -> _Kept | None:
        folder = RunFolder((self.runs_dir / name).absolute())
        try:
            stat = folder.status_path.stat()
            mark = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            mark = (0, 0)
        before = self._kept.get(name)
        if before is not None and before.mark == mark:
            if before.info.alive:  # a process can go away without a word
                before.take(read_run(folder))
            return before
        if not folder.exists:
            return None
        info = read_run(folder)
        if before is not None:
            longer = info.iterations != before.info.iterations
            found = _Kept(mark, before.created, changes(folder) if longer else before.changes, info)
        else:
            found = _Kept(mark, _created(folder), changes(folder), info)
        found.take(info)
        return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, a file system that is gone
        return False


def _created(folder: RunFolder) -> float:
    try:
        return folder.about().created
    except (DataError, ConfigError):
        return 0.0


# ---- choosing


def chosen(
    runs: Iterable[RunInfo], *, words: str = "", which: str = "all", sort: Sort = "newest", reverse: bool = False
) -> list[RunInfo]:
    """The runs of some states ("queued": also whatever else waits in the queue) that hold all words, sorted; equal ones
    stay in the order given. Of what was changed for each that comes first which tells it from the others chosen."""
    states = FILTERS[which]
    wanted = words.lower().split()
    found = telling_first(
        [
            run
            for run in runs
            if (not states or run.state in states or (which == "queued" and run.waits)) and _matches(run, wanted)
        ]
    )
    if sort != "newest":
        found.sort(key=lambda run: _key(run, sort))
    return found[::-1] if reverse else found


def _matches(run: RunInfo, words: list[str]) -> bool:
    text = f"{run.name} {run.preset} {run.state} seed{run.seed} {told_changes(run.changes)}".lower()
    text += f" {run.message}".lower() if run.state == "failed" else ""  # why; others are found by their state
    return all(word in text for word in words)


def _key(run: RunInfo, sort: Sort) -> tuple[float | str, ...]:
    if sort == "accuracy":
        return (run.state != "done", -run.accuracy if run.accuracy is not None else 1.0)  # final ones first
    if sort == "progress":
        return (-run.iteration / run.iterations if run.iterations else 1.0,)
    if sort == "state":
        return (run.state,)
    return (run.preset, run.seed or 0) if sort == "preset" else (run.name,)


SERIES = 8


def colours(marked: Sequence[str], before: dict[str, int]) -> dict[str, int]:
    """A curve colour (1..8) for each marked run: the one it had, else one by its name, else one that is free.

    The colour by name makes a run look the same whenever it is compared, whatever with.
    """
    out = {name: before[name] for name in marked if name in before}
    for name in marked[:SERIES]:
        if name not in out:
            taken = set(out.values())
            first = sum(name.encode()) % SERIES
            out[name] = next(ink for k in range(SERIES) if (ink := (first + k) % SERIES + 1) not in taken)
    return out


@dataclass
class Marks:
    """What is marked in the list of all runs, in its order, for as long as the dashboard is open.

    Attributes:
        inks: a curve colour for each.
    """

    names: list[str] = field(default_factory=list)
    inks: dict[str, int] = field(default_factory=dict)

    def only(self, runs: Iterable[RunInfo]) -> None:
        """Take the marks off all other runs: they were deleted."""
        there = {run.name for run in runs}
        self.names = [name for name in self.names if name in there]

    def colour(self) -> dict[str, int]:
        """Give each its colour."""
        self.inks = colours(self.names, self.inks)
        return self.inks


# ---- removing


def remove(runs_dir: Path, folder: RunFolder) -> None:
    """Delete a run for good: out of sight in one step, then file by file.

    Raises:
        ConfigError: it does not lie in the runs folder itself.
        DataError: it is not a run folder.
        RunLocked: a process works on it.
        RunFailed: the disk refuses.
    """
    path = folder.path.absolute()
    if path.is_symlink() or path.resolve().parent != runs_dir.resolve():
        raise ConfigError(f"{path} is not in {runs_dir}: delete it by hand if you mean it")
    RunFolder.open(path)
    status = folder.status()
    if status is not None and status.liveness() == "alive":
        raise RunLocked(f"{folder.name} is going on (process {status.pid} on {status.host}): stop it first")
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}{ASIDE}")
    with RunLock(path):
        pass  # nobody else holds it, whatever the status says
    with explained(path):
        path.rename(aside)
        shutil.rmtree(aside)
