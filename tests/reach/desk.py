"""Real dashboards and commands in processes that begin at once: forked from one that has loaded everything already.

A dashboard has a terminal of its own, whose keys are pressed as a person presses them. What it shows is asked of it
over a pipe, as it stands between two messages.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pty
import re
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from tests.cli.command import Ended
from tests.reach.places import Camp, until

LOADED = (
    "engine.run",
    "mim4dd_tui.cli.entry",
    "mim4dd_tui.dashboard.entry",
    "tests.reach.desk",
    "tests.dashboard.helpers",
)
KEYS = {
    "enter": "\r", "escape": "\x1b", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B", "left": "\x1b[D",
    "right": "\x1b[C", "space": " ", "slash": "/", "colon": ":", "question_mark": "?", "ctrl+c": "\x03",
    "ctrl+d": "\x04", "ctrl+l": "\x0c", "ctrl+r": "\x12", "ctrl+u": "\x15", "backspace": "\x7f", "full_stop": ".",
    "exclamation_mark": "!", "comma": ",", "left_square_bracket": "[", "right_square_bracket": "]", "plus": "+",
    "minus": "-", "less_than_sign": "<", "greater_than_sign": ">",
}  # fmt: skip
"""What a terminal sends for a key; a letter for itself."""
ESCAPE_SECONDS = 0.3
"""So long nothing follows an escape: else the two are one key, with alt."""
TITLE = re.compile(rb"\x1b\][02];([^\x07\x1b]*)")

forked = multiprocessing.get_context("forkserver")
forked.set_forkserver_preload(list(LOADED))


@dataclass(frozen=True)
class Seen:
    """What a dashboard shows, as its process told it."""

    screen: str
    text: str
    size: tuple[int, int]
    dialog: tuple[str, ...] = ()  # what a question says, each part whole
    notices: tuple[str, ...] = ()
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of a table, by run and column's title
    runs: Mapping[str, str] = field(default_factory=dict)  # of the first screen's list: a row each
    head: tuple[str, str] = ("", "")  # of a run's screen: its name and state
    keys: tuple[tuple[str, str, str], ...] = ()  # offered at the bottom: key, what it is called, action
    compared: tuple[str, ...] = ()  # the runs that a comparison is of
    focus: str = ""
    here: str = ""  # the run of this process that goes on
    waits: bool = False  # whether the run on the screen waits in the queue
    problem: str = ""  # an error that nobody foresaw


@dataclass
class Command:
    """``mim4dd ARGUMENTS``, going on or over."""

    process: Any
    out: Path
    err: Path

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return bool(self.process.is_alive())

    def ended(self, wait: float = 90.0) -> Ended:
        """How it ended."""
        self.process.join(wait)
        assert not self.running, f"{self.out.name} goes on after {wait:g} s"
        return Ended(self.process.exitcode, self.out.read_text(), self.err.read_text())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        if self.running:
            os.kill(self.process.pid, number)


def command(camp: Camp, place: str, *arguments: str) -> Command:
    """Begin ``mim4dd ARGUMENTS`` without a terminal; what it prints lies in ``place`` of the camp."""
    folder = camp.path / "said"
    folder.mkdir(exist_ok=True)
    out, err = folder / f"{place}.out", folder / f"{place}.err"
    process = forked.Process(target=_command, args=(str(camp.path), camp.env, arguments, str(out), str(err)))
    process.start()
    return Command(process, out, err)


class Desk:
    """A dashboard at a terminal of its own."""

    def __init__(self, camp: Camp, size: tuple[int, int], *arguments: str) -> None:
        self.size = size
        self.said = bytearray()
        self._master, side = pty.openpty()
        self._pipe, theirs = forked.Pipe()
        self._lock = threading.Lock()
        self.resize(size)
        env = camp.env | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.process: Any = forked.Process(
            target=_dashboard, args=(str(camp.path), env, arguments, os.ttyname(side), theirs)
        )
        self.process.start()
        self._read = threading.Thread(target=self._drain, daemon=True)
        self._read.start()
        until(lambda: self.look() is not None or not self.running, "the dashboard opens")
        os.close(side)
        theirs.close()

    def _drain(self) -> None:
        with suppress(OSError):
            while data := os.read(self._master, 65536):
                self.said += data

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return bool(self.process.is_alive())

    @property
    def title(self) -> str:
        """The terminal's title, as it was set last."""
        found = TITLE.findall(bytes(self.said))
        return found[-1].decode() if found else ""

    @property
    def code(self) -> int | None:
        """How it ended."""
        return self.process.exitcode if not self.running else None

    def resize(self, size: tuple[int, int]) -> None:
        """Another size of the terminal."""
        self.size = size
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def press(self, *keys: str, rest: float = 0.12) -> None:
        """Type keys, by Textual's names, with a little rest after each."""
        for key in keys:
            with suppress(OSError):
                os.write(self._master, KEYS.get(key, key).encode())
            time.sleep(max(rest, ESCAPE_SECONDS) if key == "escape" else rest)

    def look(self, wait: float = 20.0) -> Seen | None:
        """What it shows; None where it has closed."""
        try:
            self._pipe.send("look")
            if not self._pipe.poll(wait):
                raise AssertionError(f"the dashboard has not answered for {wait:g} s")
            seen: Seen | None = self._pipe.recv()
        except (EOFError, OSError):
            return None
        return seen

    def hang_up(self) -> None:
        """The terminal goes."""
        with suppress(OSError):
            os.kill(self.process.pid, signal.SIGHUP)
        self._read.join(0.3)
        with suppress(OSError):
            os.close(self._master)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send its process a signal."""
        if self.running:
            os.kill(self.process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether its process ends in so long."""
        self.process.join(seconds)
        return not self.running


# ---- in the forked processes


def _settle(folder: str, env: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)


def _lead(descriptor: int, stream: IO[str]) -> None:
    os.dup2(stream.fileno(), descriptor)
    name = ("stdin", "stdout", "stderr")[descriptor]
    own = open(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    setattr(sys, name, own)
    setattr(sys, f"__{name}__", own)


def _command(folder: str, env: Mapping[str, str], arguments: Sequence[str], out: str, err: str) -> None:
    _settle(folder, env)
    os.setsid()
    for descriptor, (path, mode) in enumerate(((os.devnull, "r"), (out, "w"), (err, "w"))):
        _lead(descriptor, Path(path).open(mode))  # noqa: SIM115
    from mim4dd_tui.cli.entry import run_command

    sys.exit(run_command(arguments))


def _dashboard(folder: str, env: Mapping[str, str], arguments: Sequence[str], terminal: str, pipe: Connection) -> None:
    _settle(folder, env)
    os.setsid()
    for descriptor in range(3):
        _lead(descriptor, open(terminal, "r" if descriptor == 0 else "w"))  # noqa: PTH123, SIM115
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    from mim4dd_tui.cli.entry import run_command
    from mim4dd_tui.dashboard.app import DashboardApp

    opened = DashboardApp.on_mount

    def on_mount(self: DashboardApp) -> None:
        opened(self)
        threading.Thread(target=_answer, args=(self, pipe), daemon=True).start()

    DashboardApp.on_mount = on_mount  # type: ignore[method-assign]
    sys.exit(run_command(arguments))


def _answer(app: Any, pipe: Connection) -> None:
    with suppress(EOFError, OSError):
        while pipe.recv():
            try:
                seen = app.call_from_thread(_describe, app)
            except Exception:  # the loop is closed
                seen = None
            pipe.send(seen if app.is_running and not app.closing else None)
            if seen is None:
                break
    pipe.close()


def _describe(app: Any) -> Seen:
    from textual.screen import ModalScreen
    from textual.widgets import Input, Static
    from textual.widgets._footer import FooterKey

    from mim4dd_tui.dashboard.screens.run import RunScreen
    from mim4dd_tui.dashboard.widgets.runs import RunList
    from mim4dd_tui.dashboard.widgets.status import RunHead
    from mim4dd_tui.dashboard.widgets.table import Table
    from tests.dashboard.helpers import text

    screen = app.screen
    session = app.session
    going = session is not None and session.running and session.path is not None
    asked: list[str] = []
    if isinstance(screen, ModalScreen):
        asked = [str(one.content) for one in screen.query(Static) if "dialog-title" in one.classes]
    rows = {
        row.id: {column.title: cell.text for column, cell in zip(table._columns, row.cells, strict=False)}
        for table in screen.query(Table)
        for row in table._rows
    }
    listed = {str(one.id): str(one.prompt) for runs in screen.query(RunList) for one in runs.options if one.id}
    head = next(((one.head.name, one.head.state) for one in screen.query(RunHead)), ("", ""))
    return Seen(
        screen=type(screen).__name__,
        text=text(app),
        size=tuple(app.size),
        dialog=tuple(asked),
        notices=tuple(" ".join(str(one.message).split()) for one in app._notifications),
        rows=rows,
        runs=listed,
        head=head,
        keys=tuple((one.key, one.description, one.action) for one in screen.query(FooterKey) if one.display),
        compared=tuple(one.name for one in getattr(screen, "_infos", ())),
        focus="Input" if isinstance(app.focused, Input) else getattr(app.focused, "id", None) or "",
        here=session.path.name if going else "",
        waits=isinstance(screen, RunScreen) and screen._waits is not None,
        problem="" if app._exception is None else repr(app._exception),
    )
