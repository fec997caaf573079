"""``--detach``: a run in a process of its own session, without a terminal.

The command that was typed starts ``mim4dd_tui.cli.detached`` in a new process (a new one, not a copy: what a
library has begun in the old one does not survive a fork), with the same command line but ``--detach``, and
waits for one line from it: which run it holds. What the process prints goes to ``output.log`` in the run
folder, and to who waits where it ends before it holds a run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from engine.errors import MimError
from engine.runs.called import called
from engine.runs.folder import RunFolder
from mim4dd_tui.cli.output import descriptors, reporting, say, say_in_words, write_json
from mim4dd_tui.plain import tell
from mim4dd_tui.seeds import named

if TYPE_CHECKING:
    from engine.events import Event, Observer
    from mim4dd_tui.cli.sequence import Later


class Line:
    """A detached process's line to the command that waits for it; good for one message."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptor: int | None = descriptor

    def say(self, document: dict[str, Any]) -> None:
        """Say it, if nothing was said before; that nobody listens any more does not matter."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.write(descriptor, json.dumps(document).encode() + b"\n")
            os.close(descriptor)


_lines: list[Line] = []
"""The one line of a detached process; empty in any other."""


def is_detached(descriptor: int) -> None:
    """This process was started by :func:`detach`, which waits at the other end of ``descriptor``."""
    _lines.append(Line(descriptor))


def detach(arguments: Sequence[str], as_json: bool) -> int:
    """Start a command without a terminal; return once its run is held, or with what ended it before.

    Args:
        arguments: the command line, without ``--detach``.

    Returns:
        0, or the exit code of the process that failed before it held a run.

    Raises:
        MimError: it ended before it held a run, without a word.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = _started(arguments, writing, out, err)
        finally:
            os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as line:
            said = _heard(process, line)
        if said.endswith("\n"):
            _conclude(json.loads(said), process.pid, as_json)
            process.returncode = 0  # it is left to itself: nobody waits for it
            return 0
        return _relayed(process, _text(out), _text(err), as_json)


def _started(arguments: Sequence[str], writing: int, out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mim4dd_tui.cli.detached", str(writing), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        pass_fds=(writing,),
        start_new_session=True,
    )


def _heard(process: subprocess.Popen[bytes], line: IO[str]) -> str:
    """The process's first line; empty where it ended without one."""
    try:
        return line.readline()
    except KeyboardInterrupt:  # it does not get the terminal's Ctrl-C itself
        process.send_signal(signal.SIGTERM)
        raise


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _relayed(process: subprocess.Popen[bytes], out: str, err: str, as_json: bool) -> int:
    """What a process said that never held a run (most often why), and its exit code."""
    code = process.wait()
    if err.strip():
        tell(err.rstrip("\n"))
    if not out.strip() and not err.strip():
        raise MimError(f"the run's process ended before it held a run ({_ending(code)})")
    if as_json and out.strip():
        write_json(json.loads(out))
    elif out:
        say(out.rstrip("\n"))
    return code if code >= 0 else 128 - code


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _conclude(said: dict[str, Any], pid: int, as_json: bool) -> None:
    with reporting():
        _told(said | {"pid": pid}, as_json)


def _told(said: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(said)
        return
    run = called(Path(said["path"]))
    say_in_words(f"{said['run']} goes on in process {said['pid']}; what it prints goes to {said['log']}")
    say_in_words(f"`mim4dd attach {run}` shows it, `mim4dd stop {run}` stops it, to be resumed")
    if "later" in said:
        say_in_words(f"{named(said['later']['seeds'])} to follow; those after a run that is stopped are not begun")


def in_detached_process() -> bool:
    """Whether this process was started by :func:`detach`."""
    return bool(_lines)


def observing(observer: Observer, runs_dir: Path, rest: Later | None = None) -> Observer:
    """The observer of a run: as it is, or in a detached process one that also moves the output into the folder
    of every run that begins and tells the command that waits of the first.

    Args:
        rest: what this process begins after the run.
    """
    if not _lines:
        return observer
    line = _lines[0]

    def hear(event: Event) -> None:
        from engine.events import RunStarted

        if isinstance(event, RunStarted):
            path = (runs_dir / event.run).absolute()
            log = _move_output(path)
            follow = {} if rest is None else {"later": rest.document}
            line.say({"run": event.run, "path": str(path), "log": str(log), "host": event.host, **follow})
        observer(event)

    return hear


def _move_output(folder: Path) -> Path:
    """From now on everything printed goes to the run's log, and what was printed so far too."""
    log = RunFolder(folder).output_path
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        tell(f"warning: {log} cannot be written ({error.strerror}); what the run prints is lost")
        file = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for descriptor in descriptors():
        os.dup2(file, descriptor)
    os.close(file)
    return log
