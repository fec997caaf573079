"""A run as the dashboard holds it: one that lives in a thread here, or one read from its folder.

Both are polled by the interface's timer for what is new, take the same requests, and know how they ended.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from engine import resident
from engine.config.schema import Config
from engine.errors import MimError, RunLocked
from engine.events import Event, Lengthened, Observer, Progress, RunEnded, RunStarted, StateChanged
from engine.runs.control import Control, post
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalReader, Record
from engine.runs.unforeseen import keep_traceback
from mim4dd_tui.dashboard.descriptors import Descriptors
from mim4dd_tui.dashboard.loading import open_libraries
from mim4dd_tui.dashboard.printed import Printed
from mim4dd_tui.dashboard.settled import settled

Request = Literal["pause", "resume", "stop", "checkpoint", "evaluate"]


@dataclass(frozen=True)
class Heard:
    """An event of this process's engine, and when it was said (seconds since the epoch): the journal's time for it."""

    event: Event
    time: float


@dataclass(frozen=True)
class Order:
    """What to run: a configuration in a new folder, or (``resume``) a folder to be continued, first lengthened where it
    is to have more ``iterations`` than it has."""

    runs_dir: Path
    config: Config | None = None
    name: str | None = None
    preset: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    data_dir: Path | None = None
    resume: Path | None = None
    iterations: int | None = None


class Launch(Protocol):
    """Runs an order to its end on the calling thread and returns the result document."""

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        """Run; raises MimError subclasses."""
        ...


def launch_engine(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
    """The real engine. Imported here, on the run's own thread: torch takes seconds to load."""
    with settled(observer) as listener:
        open_libraries()
        from engine import run

        if order.resume is not None:
            return run.resume(order.resume, data_dir=order.data_dir, observer=listener, control=control)
        if order.config is None:
            raise ValueError("an order needs a configuration or a run to resume")
        return run.start(
            order.config,
            runs_dir=order.runs_dir,
            name=order.name,
            preset=order.preset,
            origins=dict(order.origins),
            data_dir=order.data_dir,
            observer=listener,
            control=control,
        )


class Session(Protocol):
    """What the run screen needs of a run."""

    @property
    def path(self) -> Path | None:
        """The run folder; None until it exists."""

    @property
    def running(self) -> bool:
        """Whether something may still happen."""

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop, as far as this process knows."""

    @property
    def pausing(self) -> bool | None:
        """Whether a pause is asked for and not lifted; None where another process keeps that to itself."""

    @property
    def owned(self) -> bool:
        """Whether it runs in this process."""

    @property
    def known(self) -> bool:
        """Whether the next :meth:`poll` brings what the run said before this sitting, or has brought it."""

    @property
    def taken_up(self) -> bool:
        """Whether it ran here, is over, and another process has gone on with it since."""

    @property
    def error(self) -> BaseException | None:
        """What ended it, where that was an error."""

    @property
    def left(self) -> str:
        """The state that its status has, where there is an error and the run has not failed of it: it was to go on here
        and could not begin, or its journal cannot be read. Else empty."""

    @property
    def config(self) -> Config | None:
        """Its settings; None until they were read, or where they cannot be."""

    @property
    def memory(self) -> float | None:
        """MiB that it takes now, as far as is known; of a run that is over not its own."""

    def poll(self) -> Sequence[Heard | Record]:
        """What is new since the last call."""

    def request(self, what: Request) -> None:
        """Ask the run for something; it answers with events."""


def there(path: Path) -> bool:
    """Whether a run still has its folder: another process may delete it. One that cannot be read just now has."""
    try:
        return RunFolder(path).config_path.is_file()
    except OSError:
        return True


class EngineSession:
    """A run in a thread of this process. The observer only appends to a queue and never waits.

    Args:
        tell: is told, on that thread, of what the run's code prints (:class:`Printed`).
        descriptors: lead to what it prints as well, where the dashboard has taken them.
    """

    def __init__(
        self,
        order: Order,
        launch: Launch,
        tell: Callable[[str], object] = lambda _said: None,
        descriptors: Descriptors | None = None,
    ) -> None:
        self.order = order
        self.control = Control()
        self.result: dict[str, Any] | None = None
        self._error: BaseException | None = None
        self._launch = launch
        self._queue: deque[Heard | Record] = deque()
        self._listener: Observer | None = None
        self._path: Path | None = order.resume
        self.config = order.config
        self._known = order.resume is None
        self.paused = False  # it has said that it stands still
        self.over = False  # it has said its last word: the thread only puts things away
        self.left = ""
        self._begun = False
        self._iterations = 0
        self._printed = Printed(tell, descriptors)
        self._left_at: int | None = None  # bytes of the journal when the thread was done with it
        # not a daemon: when the interface goes away the run must be able to finish its checkpoint
        self._thread = threading.Thread(target=self._work, name="engine", daemon=False)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _work(self) -> None:
        try:
            if self.order.resume is not None:
                self._read_settings()
                # what the run was before: the first event of its continuation takes back what it supersedes
                self._queue.extend(JournalReader(RunFolder(self.order.resume).journal_path).poll())
                self._known = True
            self.result = self._launch(self.order, self._observe, self.control)
        except BaseException as error:  # the interface shows it; a thread has nobody above it
            if not self._begun and self._path is not None:
                status = RunFolder(self._path).status()
                self.left = status.effective_state() if status is not None else ""
            self._error = error
            if not isinstance(error, MimError) and self._path is not None:
                keep_traceback(self._path, error)
        finally:
            self._known = True
            self._printed.close()
            self._left_at = self._journal_bytes()

    def _read_settings(self) -> None:
        if self.order.resume is not None:
            with suppress(MimError):  # the engine says what is wrong with them
                self.config = RunFolder(self.order.resume).config()

    @property
    def speaks(self) -> bool:
        """Whether it is this run's code that is at work on the calling thread."""
        return threading.current_thread() is self._thread

    def printed(self, text: str) -> None:
        """Keep what its code prints."""
        self._printed.write(text)

    def let_go(self) -> None:
        """The dashboard has closed: what the run prints from now on goes where the terminal is."""
        self._printed.let_go()

    def _journal_bytes(self) -> int | None:
        try:
            return RunFolder(self._path).journal_path.stat().st_size if self._path is not None else None
        except OSError:
            return None

    def _observe(self, event: Event) -> None:
        self.over = isinstance(event, RunEnded)
        if isinstance(event, StateChanged):
            self.paused = event.state == "paused"
        if isinstance(event, Lengthened):
            self._read_settings()
        if isinstance(event, RunStarted):
            self._begun = True
            self._iterations = event.iterations
            self._path = self._path or self.order.runs_dir / event.run
            self._printed.begin(self._path)
        self._printed.look()
        listener = self._listener
        if listener is None:
            told_at = self.control.told_at
            self._queue.append(Heard(event, time.time() if told_at is None else told_at))
        else:
            listener(event)

    @property
    def path(self) -> Path | None:
        """The run folder; None until the engine named it."""
        return self._path

    @property
    def running(self) -> bool:
        """Whether the thread is at work."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop, by whomever."""
        return self.control.stopping

    @property
    def pausing(self) -> bool:
        """Whether a pause is asked for, by whomever, and not lifted."""
        return self.control.paused

    @property
    def owned(self) -> bool:
        """Always: it runs here."""
        return True

    @property
    def known(self) -> bool:
        """Whether its journal was read, where it is one that goes on."""
        return self._known

    @property
    def taken_up(self) -> bool:
        """Whether another process held it, or its journal has grown since the thread was done with it."""
        grown = self._left_at is not None and (self._journal_bytes() or 0) > self._left_at
        return not self.running and (grown or isinstance(self._error, RunLocked))

    @property
    def error(self) -> BaseException | None:
        """What the engine raised."""
        return self._error

    @property
    def memory(self) -> float:
        """The most that this process has taken, as the engine tells it."""
        return resident.peak() / 2**20

    @property
    def iterations(self) -> int:
        """Iterations the run is to make; 0 until it has said so."""
        return self._iterations

    @property
    def failed(self) -> bool:
        """Whether it ended badly. One that another process held never began, and goes on there."""
        if isinstance(self._error, RunLocked):
            return False
        return self._error is not None or (self.result or {}).get("state") == "failed"

    def poll(self) -> list[Heard | Record]:
        """Empty the queue."""
        out: list[Heard | Record] = []
        while self._queue:
            out.append(self._queue.popleft())
        return out

    def request(self, what: Request) -> None:
        """Ask the engine, at its next tick."""
        self.control.request(what)

    def hand_over(self, listener: Observer) -> None:
        """From now on events go to ``listener`` on the engine's thread, no longer to the queue."""
        self._listener = listener
        self._queue.clear()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread; True when it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()


def lengthened(records: Iterable[Heard | Record]) -> bool:
    """Whether a run was given more iterations: its settings are others then."""
    return any(isinstance(record.event, Lengthened) for record in records)


class FolderSession:
    """A run read from its folder: one that is over, or one that another process is working on."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.left = ""
        self._reader = JournalReader(folder.journal_path)
        self._error: BaseException | None = None
        self._told: Progress | None = None
        self.config: Config | None = None
        self.memory: float | None = None

    @property
    def path(self) -> Path | None:
        """The run folder."""
        return self.folder.path

    @property
    def running(self) -> bool:
        """Whether another process works on it, by its heartbeat."""
        status = self.folder.status()
        return status is not None and status.liveness() not in ("queued", "crashed", "ended")

    @property
    def stopping(self) -> bool:
        """Never: another process keeps that to itself."""
        return False

    @property
    def pausing(self) -> None:
        """Not known: another process keeps that to itself."""

    @property
    def owned(self) -> bool:
        """Never: this process only reads."""
        return False

    @property
    def known(self) -> bool:
        """Never beforehand: a poll reads it."""
        return False

    @property
    def taken_up(self) -> bool:
        """Never: whatever works on it is read."""
        return False

    @property
    def error(self) -> BaseException | None:
        """Why the folder could not be read."""
        return self._error

    def poll(self) -> list[Heard | Record]:
        """New journal lines, then how far its phase has come by its status: of counts the journal knows nothing."""
        try:
            records: list[Heard | Record] = list(self._reader.poll())
        except MimError as error:
            status = self.folder.status()
            self.left = status.effective_state() if status is not None else ""
            self._error = error
            return []
        if self._error is not None and isinstance(self._error.__cause__, OSError):  # the disk failed for a moment
            self._error = None
        if self.config is None or lengthened(records):
            with suppress(MimError):  # the numbers then lack what only the settings tell
                self.config = self.folder.config()
        status = self.folder.status()
        self.memory = status.memory if status is not None else None
        if status is not None and status.phase:
            told = status.progress
            if told != self._told:
                self._told = told
                records.append(Heard(told, status.heartbeat))
        return records

    def request(self, what: Request) -> None:
        """Leave the request in the run folder; its process looks there several times a second."""
        post(self.folder.control_path, what)
