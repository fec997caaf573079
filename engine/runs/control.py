"""What a run is asked to do while it works: pause, resume, stop, checkpoint now, evaluate now.

Requests come from any thread of this process, or as files in the run's ``control/`` folder from any
process that may write there. A request file says everything in its name and is never opened: it is
consumed by removing it, which succeeds exactly once.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.errors import MimError, RunFailed
from engine.files import explained, private_folder

REQUESTS = ("pause", "resume", "stop", "checkpoint", "evaluate")
POLL_SECONDS = 0.2
WORD_SECONDS = 2.0
"""How long a process that ends at once waits for a disk to take the run's last word."""
_FILE = re.compile(r"\d{1,25}-\d{1,12}-[0-9a-f]{8,32}\.(pause|resume|stop|checkpoint|evaluate)", re.ASCII)


class StopRequested(Exception):
    """Raised between two steps of work after a stop was asked for."""


def post(directory: Path, name: str) -> Path:
    """Asks the run whose control folder this is, from any process; returns the request's file.

    Raises:
        ValueError: there is no such request.
        RunFailed: the folder cannot be written, leads out of the run folder, or there is no run folder.
    """
    _check(name)
    _own(directory)
    path = directory / f"{time.time_ns()}-{os.getpid()}-{secrets.token_hex(8)}.{name}"
    with explained(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return path


def _own(directory: Path) -> None:
    """Makes sure that a control folder is the run's own, and open to nobody else: who can write there can stop
    the run, and files are removed from it.

    Raises:
        RunFailed: it is a link, or cannot be made, or belongs to somebody else who keeps it open.
    """
    if not directory.parent.is_dir():
        raise RunFailed(f"there is no run folder {directory.parent} to leave a request in")
    if directory.is_symlink():
        raise RunFailed(
            f"{directory} is a link: requests stay inside the run folder; remove the link (a new folder is made)"
        )
    private_folder(directory)
    with explained(directory):
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)


def _check(name: str) -> str:
    if name not in REQUESTS:
        raise ValueError(f"unknown request {name!r}; one of {', '.join(REQUESTS)}")
    return name


def _nothing() -> None:
    return None


def _ignored(_message: str) -> None:
    return None


class Control:
    """The requests of one run; every method may be called from any thread.

    Make one before the run starts, keep it in the interface, and hand it to the engine, which lets it
    watch the run folder's ``control/`` and calls :meth:`tick` between two steps of work.

    Attributes:
        told_at: while an observer hears an event, when the journal says that it was told (seconds since the epoch);
            None of one that is not journaled.
    """

    def __init__(self, *, ticker: Callable[[], float] = time.monotonic) -> None:
        self.on_pause: Callable[[], None] = _nothing
        self.on_resume: Callable[[], None] = _nothing
        self.on_idle: Callable[[], None] = _nothing
        self.on_abandon: Callable[[str], None] = _ignored
        self.told_at: float | None = None
        self._waited = 0.0
        self._ticker = ticker
        self._changed = threading.Condition()
        self._directory: Path | None = None
        self._polled: float | None = None
        self._pause = False
        self._stop = self._stop_this = False
        self._once: set[str] = set()

    def watch(
        self,
        directory: Path,
        *,
        on_pause: Callable[[], None] = _nothing,
        on_resume: Callable[[], None] = _nothing,
        on_idle: Callable[[], None] = _nothing,
        on_abandon: Callable[[str], None] = _ignored,
        discard: bool = False,
    ) -> list[str]:
        """Follows a control folder and sets what is called, on the engine's thread, around a pause.

        ``on_idle`` is called every 0.2 s of a pause (for the heartbeat), ``on_abandon`` by :meth:`abandon`. With
        ``discard``, requests that were left for an earlier process are dropped; their names are returned.

        Raises:
            RunFailed: the folder cannot be made, or is not the run's own.
        """
        _own(directory)
        left = _consume(directory) if discard else []
        with self._changed:
            self._directory = directory
            self._polled = None
            self.on_pause, self.on_resume, self.on_idle = on_pause, on_resume, on_idle
            self.on_abandon = on_abandon
        return left

    def unwatch(self) -> None:
        """Lets go of the folder and the callbacks; requests of this process's threads still arrive."""
        with self._changed:
            self._directory = None
            self.on_pause = self.on_resume = self.on_idle = _nothing
            self.on_abandon = _ignored

    def request(self, name: str) -> None:
        """Asks for "pause", "resume", "stop", "checkpoint" or "evaluate"; returns at once.

        Raises:
            ValueError: there is no such request.
        """
        _check(name)
        with self._changed:
            self._apply(name)
            self._changed.notify_all()

    def stop_this(self) -> None:
        """Asks the run that goes on to stop, and none that follows it in this process."""
        with self._changed:
            self._stop_this = True
            self._changed.notify_all()

    def forget(self) -> None:
        """Another run follows in this process: what the one before was asked for, and has not done, is none of its
        business. A stop that is not of that run alone holds."""
        with self._changed:
            self._pause = self._stop_this = False
            self._once.clear()

    def abandon(self, message: str) -> None:
        """The process ends now, whatever the run is at: has ``message`` written down as its last word, by a thread of
        its own, since the engine's may be at work for long, and waits no longer than a disk usually takes.
        """

        def say() -> None:
            with suppress(MimError):  # the disk refuses it: the run is found by its process, which is gone
                self.on_abandon(message)

        last = threading.Thread(target=say, name="last word", daemon=True)
        last.start()
        last.join(WORD_SECONDS)

    @property
    def paused(self) -> bool:
        """Whether a pause is asked for and not yet lifted."""
        with self._changed:
            return self._pause

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for; it cannot be taken back."""
        with self._changed:
            return self._stop or self._stop_this

    def pending(self, name: str) -> bool:
        """Whether "checkpoint" or "evaluate" is asked for and not yet taken."""
        with self._changed:
            return _check(name) in self._once

    def take(self, name: str) -> bool:
        """Whether "checkpoint" or "evaluate" was asked for since the last call; True once a request."""
        _check(name)
        self._poll()
        with self._changed:
            if name in self._once:
                self._once.remove(name)
                return True
            return False

    def tick(self) -> None:
        """Obeys: returns at once, blocks while paused, raises where a stop was asked for.

        Requests for a checkpoint or an evaluation that come during a pause are kept until after it.

        Raises:
            StopRequested: on this and every later call.
        """
        self._poll()
        with self._changed:
            stop, pause = self._stop or self._stop_this, self._pause
        if stop:
            raise StopRequested
        if pause:
            self._wait()

    def working_time(self) -> float:
        """A clock in seconds that stands still while a pause is kept."""
        return time.perf_counter() - self._waited

    def _wait(self) -> None:
        begun = time.perf_counter()
        self.on_pause()
        while True:
            self.on_idle()
            self._poll()
            with self._changed:
                if self._stop or self._stop_this:
                    raise StopRequested
                if not self._pause:
                    break
                self._changed.wait(POLL_SECONDS)
        self._waited += time.perf_counter() - begun
        self.on_resume()

    def _apply(self, name: str) -> None:
        if name == "stop":
            self._stop = True
        elif name in ("pause", "resume"):
            self._pause = name == "pause"
        else:
            self._once.add(name)

    def _poll(self) -> None:
        with self._changed:
            now = self._ticker()
            if self._directory is None or (self._polled is not None and now - self._polled < POLL_SECONDS):
                return
            self._polled = now
            directory = self._directory
        names = _consume(directory)
        with self._changed:
            for name in names:
                self._apply(name)


def _consume(directory: Path) -> list[str]:
    """Removes the request files of a folder, oldest first, and returns what they ask for.

    What is not a request (another name, a folder) stays where it is and is not looked into.
    """
    try:
        files = sorted(entry for entry in os.listdir(directory) if _FILE.fullmatch(entry))  # noqa: PTH208
    except OSError:
        return []  # the folder is gone or unreachable for now: requests wait
    names = []
    for file in sorted(files, key=lambda entry: (int(entry.partition("-")[0]), entry)):
        try:
            (directory / file).unlink()
        except OSError:
            continue  # another consumer was first, or it is a folder
        names.append(file.rpartition(".")[2])
    return names
