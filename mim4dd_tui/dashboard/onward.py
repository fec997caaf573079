"""A run of the queue as an order, and going on with the queue where the interface is not there to do it."""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import MimError, RunFailed, RunLocked
from engine.events import Observer
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.lengthening import lengthen, too_few
from engine.runs.unforeseen import keep_traceback
from mim4dd_tui.dashboard.run_queue import RunQueue, Waiting
from mim4dd_tui.dashboard.session import Launch, Order


class Onward:
    """A launch that goes on with the queue when a run has ended and the interface is not there to do it.

    While the dashboard is open it starts each run itself, on a thread of its own. When it closes although the
    queue is to go on (a hang-up, or "let it run on"), ``alone`` is set, and the thread of the run that was going
    takes the next one, and the next, until none waits or one was asked to stop.

    After a hang-up each run's own ``execution.on_hangup`` decides for it: one that is to stop is stopped, or is not
    begun and stays in the queue, and the others have their turns.
    """

    def __init__(self, launch: Launch, queue: RunQueue) -> None:
        self.alone = threading.Event()
        self.followed: list[Path] = []  # folders of the runs it began then
        self._launch = launch
        self._queue = queue
        self._lock = threading.Lock()  # around what goes on, and whether the terminal is there
        self._current: Order | None = None
        self._hung_up = self._cut = False  # the terminal is gone; that has stopped the run that goes on

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        """Run the order, then whatever waits, unless another process works the queue off; the result is the last run's.

        Raises:
            MimError: the first run that failed is one that followed, or it failed for a known reason.
            Exception: whatever else the order itself failed with.
        """
        tried: set[str] = set()
        failure: Exception | None = None
        result: dict[str, Any] = {}
        following: Order | None = order
        self._current = order
        while following is not None:
            if following.resume is not None:
                tried.add(following.resume.name)
            try:
                _lengthened(following, observer)
                result = self._launch(following, observer, control)
            except Exception as error:
                foreseen = following is order or isinstance(error, MimError)
                told = error if foreseen else _unforeseen(self.followed[-1], error)
                failure = told if failure is None or isinstance(failure, RunLocked) else failure
                result = {"state": "failed"}
            with self._lock:
                self._current, cut, self._cut = None, self._cut, False
            following = None
            if self.alone.is_set():
                control.forget()
                if not control.stopping and (cut or result.get("state") != "stopped"):
                    try:
                        following = self.next(order.data_dir, tried)
                    except MimError as error:  # the disk refuses
                        failure = failure or error
        if failure is not None:
            raise failure
        return result

    def next(self, data_dir: Path | None, tried: Collection[str] = ()) -> Order | None:
        """The next run that was not tried yet: one that fails before it begins stays in the queue. None where none
        waits, or another process works the queue off.

        Raises:
            MimError: the disk refuses.
        """
        for one in self._queue.read() if self._queue.claim() else ():
            following = ordered(one, data_dir)
            with self._lock:
                if one.state == "running" or one.name in tried or (self._hung_up and _stops(following)):
                    continue
                self._current = following
            self.followed.append(one.folder.path)
            return following
        return None

    def hang_up(self, control: Control | None) -> bool:
        """The terminal is gone; whether that stops the run that goes on, under ``control``, if one does."""
        with self._lock:
            self._hung_up = True
            self._cut = control is not None and self._current is not None and _stops(self._current)
            if self._cut and control is not None:
                control.stop_this()
            return self._cut


def ordered(one: Waiting, data_dir: Path | None) -> Order:
    """To begin a run of the queue, or go on with it."""
    path = one.folder.path
    return Order(runs_dir=path.parent, data_dir=data_dir, resume=path, iterations=one.iterations)


def _stops(order: Order) -> bool:
    """Whether a run is to stop, with a checkpoint, when its terminal goes away."""
    config = order.config
    if config is None and order.resume is not None:
        with suppress(MimError):  # an unreadable configuration ends the run by itself, in words
            config = RunFolder(order.resume).config()
    return config is not None and config.execution.on_hangup == "stop"


def _lengthened(order: Order, observer: Observer) -> None:
    """Give the run that an order goes on with the iterations it is to have, unless it was given as many meanwhile.

    Raises:
        MimError: as lengthening does.
    """
    if order.resume is None or order.iterations is None:
        return
    folder = RunFolder(order.resume)
    if too_few(folder.config(), order.iterations):
        return
    said = lengthen(folder, order.iterations)
    if said is not None:
        observer(said)


def _unforeseen(folder: Path, error: Exception) -> RunFailed:
    """An error nobody foresaw, of a run that followed another one: its traceback goes into its own folder, and words
    alone to the session, which would put it into the first run's."""
    keep_traceback(folder, error)
    return RunFailed(f"{folder.name} failed: {type(error).__name__}: {error}")
