"""Runs that wait for their turn: run folders in state "queued", those that ended early and are to go on, and one
small file that keeps their order.

The file (``.queue.json`` in the runs folder) holds names and, of the runs that are to go on, when the sitting began
that has ended. Whether a run still waits is read from its own status, so that nothing has to be put right after a
hang-up or a kill: a run that was begun and whose process is gone stands first and is continued from its checkpoint; one
that ended in the queue, or was deleted, is no longer in it.

A run that is to be lengthened, done or not, is so only when its turn comes: until then the file alone knows how many
iterations it is to have, and a run that is taken out is what it was.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.config.load import changed
from engine.config.schema import Config
from engine.errors import ConfigError, MimError, RunLocked
from engine.files import explained, private_folder, read_json_object, write_json
from engine.runs.folder import RunFolder
from engine.runs.lengthening import require, require_checkpoint
from engine.runs.lock import LOOK_SECONDS
from mim4dd_tui.dashboard.catalog import read_run

FILE = ".queue.json"
LOCK = ".queue.lock"
WORKER = ".queue.worker"
WAIT_SECONDS = 5.0
"""How long a change waits for another process to finish its own."""
SHARED_SECONDS = 1.0
"""A change that comes so soon after one that waited in vain has waited with it: it only looks once more."""
"""Runs put into the queue at once."""
STATES = {"queued": "queued", "crashed": "interrupted", "alive": "running"}
"""What a run in the queue is called, by whether a process works on it."""


@dataclass(frozen=True)
class Waiting:
    """A run in the queue. ``state`` is "queued", "to resume" (it was over before it was put here), "interrupted"
    (begun, its process gone) or "running". ``iterations``: how many it is given when its turn comes; None where it
    keeps those that it has."""

    folder: RunFolder
    state: str
    iterations: int | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def told(self) -> str:
        """Its state in a word or two: "to lengthen" where it is to be given more iterations."""
        return "to lengthen" if self.state == "to resume" and self.iterations is not None else self.state

    @property
    def to_be(self) -> str:
        """``, to be lengthened to 2,000 iterations``, or nothing."""
        return "" if self.iterations is None else f", to be lengthened to {self.iterations:,} iterations"


@dataclass
class _Kept:
    """What the file says: names in their order; of runs that are to go on, when the sitting began that has ended; and
    how many iterations runs are to be given."""

    names: list[str]
    ended: dict[str, float]
    longer: dict[str, int]

    def only(self, names: Sequence[str]) -> None:
        """Forget all other runs."""
        self.names = list(names)
        self.ended = {name: began for name, began in self.ended.items() if name in names}
        self.longer = {name: number for name, number in self.longer.items() if name in names}

    def document(self) -> dict[str, Any]:
        """As it is written."""
        told = {"ended": self.ended, "longer": self.longer}
        return {"runs": self.names} | {key: values for key, values in told.items() if values}


class RunQueue:
    """The queue of one runs folder; several processes may use it at once."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._worker: FileLock | None = None
        self._refused = -math.inf  # when a change last waited in vain

    def claim(self) -> bool:
        """Whether this process works the queue off from now on; False where another one does.

        A run is known to go on only once its engine has been loaded, seconds later.

        Raises:
            RunFailed: the disk refuses.
        """
        if self._worker is None:
            private_folder(self.runs_dir)
            lock = self._claiming()
            with explained(self.runs_dir / WORKER):
                try:
                    lock.acquire(timeout=LOOK_SECONDS, poll_interval=0.01)
                except Timeout:
                    return False
            self._worker = lock
        return True

    @property
    def claimed(self) -> bool:
        """Whether it is this process that works the queue off."""
        return self._worker is not None

    def elsewhere(self) -> bool:
        """Whether another process works the queue off; False where the disk does not say."""
        if self._worker is not None or not (self.runs_dir / WORKER).exists():
            return False
        lock = self._claiming()
        try:
            lock.acquire()
        except Timeout:
            return self._worker is None  # else it was claimed here just now
        except OSError:
            return False
        lock.release()
        return False

    def _claiming(self) -> FileLock:
        return FileLock(self.runs_dir / WORKER, timeout=0, mode=0o600, thread_local=False)

    def give_back(self) -> None:
        """Another process may work the queue off."""
        lock, self._worker = self._worker, None
        if lock is not None:
            lock.release()

    def read(self) -> list[Waiting]:
        """The runs that wait or go on, in their order."""
        return list(self._standing(self._kept()))

    def waiting(self, *only: str) -> dict[str, Waiting]:
        """The runs that wait by their names, or those among ``only`` some."""
        kept = self._kept()
        if only:
            kept.only([name for name in kept.names if name in only])
        return {one.name: one for one in self._standing(kept) if one.state != "running"}

    def next(self) -> RunFolder | None:
        """The first run that nobody works on; None where there is none, or where another process works on one."""
        waiting = self.read()
        if any(one.state == "running" for one in waiting):
            return None
        return waiting[0].folder if waiting else None

    def add(
        self,
        config: Config,
        seeds: Sequence[int],
        *,
        preset: str | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> list[RunFolder]:
        """Put a run for every seed at the end; each gets its folder now. All are put there, or none is made.

        Raises:
            ConfigError, RunFailed: as making a run folder does.
            RunLocked: another process keeps the queue's file for long.
        """
        made: list[RunFolder] = []
        try:
            with self._changing() as kept:
                for seed in seeds:
                    own = changed(config, {"seed": seed})
                    given = {**(origins or {}), "seed": "queue"} if len(seeds) > 1 else origins
                    made.append(RunFolder.create(self.runs_dir, None, own, preset=preset, origins=given))
                kept.names.extend(folder.name for folder in made)
        except MimError:
            for folder in made:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
        return made

    def add_again(self, folder: RunFolder, iterations: int | None = None) -> None:
        """Put a run that is there at the end; it goes on from its last checkpoint.

        Args:
            iterations: how many it is given when its turn comes, also where it is done; None for as many as it has.

        Raises:
            ConfigError: it cannot go on or be given so many, or waits already.
            DataError: it is done and has no whole checkpoint, or cannot be read.
            RunLocked: as :meth:`add`.
            RunFailed: the disk refuses.
        """
        if iterations is not None:
            require(folder, folder.config(), iterations)
            if read_run(folder).state == "done":
                require_checkpoint(folder, iterations)
        with self._changing() as kept:
            info, status = read_run(folder), folder.status()
            if folder.name in kept.names and not info.alive:
                raise ConfigError(f"{folder.name} waits in the queue already; Q shows it")
            if not (info.resumable if iterations is None else info.lengthenable):
                raise ConfigError(info.refusal if iterations is None else info.too_long)
            if status is None:
                raise ConfigError(f"{folder.name} cannot wait in the queue: {info.message}")
            if status.liveness() == "ended":
                kept.ended[folder.name] = status.started
            if iterations is not None:
                kept.longer[folder.name] = iterations
            kept.names.append(folder.name)

    def move(self, name: str, step: int) -> None:
        """Move a run that waits towards the front (negative) or the end of those that wait. Raises as :meth:`add`."""
        with self._changing() as kept:
            names = kept.names
            waiting = [one.name for one in self._standing(kept) if one.state != "running"]
            if name in waiting:
                there = waiting.index(name)
                before = names.index(waiting[max(0, min(there + step, len(waiting) - 1))])
                names.remove(name)
                names.insert(before, name)

    def drop(self, name: str) -> None:
        """Take a run out; its folder stays as it is. Raises as :meth:`add`."""
        with self._changing() as kept:
            kept.only([each for each in kept.names if each != name])

    def tidy(self) -> None:
        """Forget runs that had their turn: one that goes on later, by itself, is none of the queue's. Raises as
        :meth:`add`."""
        kept = self._kept()
        if len(self._there(kept)) < len(kept.names):
            with self._changing():
                pass

    # ---- the file

    def _kept(self) -> _Kept:
        values = read_json_object(self.runs_dir / FILE) or {}
        names = values.get("runs")
        known: dict[str, None] = {}
        for name in names if isinstance(names, list) else []:
            # a name could lead out of the folder only if somebody else wrote it
            if isinstance(name, str) and name and Path(name).name == name and not name.startswith("."):
                known[name] = None
        ended, longer = values.get("ended"), values.get("longer")
        began = ended if isinstance(ended, dict) else {}
        more = longer if isinstance(longer, dict) else {}
        return _Kept(
            list(known),
            {name: began[name] for name in known if isinstance(began.get(name), int | float)},
            {name: more[name] for name in known if type(more.get(name)) is int},  # a bool is one too
        )

    def _standing(self, kept: _Kept) -> Iterator[Waiting]:
        for name in kept.names:
            folder = RunFolder((self.runs_dir / name).absolute())
            status = folder.status() if folder.exists else None
            if status is None:
                continue
            liveness, number = status.liveness(), kept.longer.get(name, 0)
            iterations = number if number > status.iterations and liveness in ("ended", "crashed") else None
            state = STATES.get(liveness, "")
            if liveness == "ended" and kept.ended.get(name) == status.started:
                state = "to resume" if status.state != "done" or iterations is not None else ""
            if state:
                yield Waiting(folder, state, iterations)

    def _there(self, kept: _Kept) -> list[str]:
        """Names of the runs that are in the queue still."""
        standing = {one.name for one in self._standing(kept)}
        return [name for name in kept.names if name in standing or self._unknown(name)]

    def _unknown(self, name: str) -> bool:
        """Whether a run is there whose status cannot be read just now: it keeps its place."""
        folder = RunFolder((self.runs_dir / name).absolute())
        return os.path.lexists(folder.path) and folder.status() is None

    @contextmanager
    def _changing(self) -> Iterator[_Kept]:
        """What the file says, to be changed."""
        private_folder(self.runs_dir)
        with explained(self.runs_dir / LOCK):
            waited = time.monotonic() - self._refused < SHARED_SECONDS
            lock = FileLock(self.runs_dir / LOCK, timeout=LOOK_SECONDS if waited else WAIT_SECONDS, mode=0o600)
            try:
                lock.acquire()
            except Timeout:  # an OSError, but no fault of the disk
                self._refused = time.monotonic()
                raise RunLocked(f"another process keeps {self.runs_dir / LOCK}: try again") from None
        try:
            kept = self._kept()
            kept.only(self._there(kept))
            yield kept
            write_json(self.runs_dir / FILE, kept.document(), durable=True)
        finally:
            lock.release()
