"""What is said when the dashboard has closed: a line for each run of this sitting."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from engine.errors import MimError, RunLocked
from engine.runs.called import called
from engine.runs.folder import RunFolder
from engine.runs.unforeseen import traceback_of
from mim4dd_tui.dashboard.session import EngineSession, there
from mim4dd_tui.fitting import homely
from mim4dd_tui.plain import percent


def lines(sessions: Sequence[EngineSession], followed: Sequence[Path], usual: Path) -> list[str]:
    """How the runs stand that were at work here, in the order they began; one that still goes on is left out.

    Args:
        sessions: runs that the dashboard began.
        followed: folders of runs that began after it had closed.
        usual: the folder of runs in which a command finds them by their name alone.
    """
    told: dict[Path | int, str] = {}  # a run that was resumed here stands where it was last
    for session in sessions:
        key = session.path.absolute() if session.path is not None else id(session)
        told.pop(key, None)
        chain = bool(followed) and session is sessions[-1]  # its error may be that of a run that followed
        told[key] = _of_session(session, usual, None if chain else session.error)
    for path in followed:
        told.pop(path.absolute(), None)
        told[path.absolute()] = _of_folder(path, usual)
    return [line for line in told.values() if line]


def _of_session(session: EngineSession, usual: Path, error: BaseException | None) -> str:
    """A run that never had a folder, or that was refused before its folder said so, is told by its error alone."""
    if session.running:
        return ""
    if isinstance(error, RunLocked) and session.path is not None:
        going = f"{session.path.name} goes on in another process; `mim4dd attach {called(session.path, usual)}`"
        return _of_folder(session.path, usual) or going
    untouched = session.left in ("done", "stopped", "queued") and isinstance(error, MimError)
    if session.path is not None and not (untouched and there(session.path)):
        return _of_folder(session.path, usual, error)
    name = session.path.name if session.path is not None else session.order.name or "the run"
    return f"{name} was not begun: {error}" if error is not None else ""


def _of_folder(path: Path, usual: Path, error: BaseException | None = None) -> str:
    run = called(path, usual)
    if not there(path):  # deleted since: there is nothing to go on with or to look at
        return f"{path.name} failed: {_first(str(error), path)}; its folder is gone" if error is not None else ""
    status = RunFolder(path).status()
    state = "failed" if status is None or error is not None else status.effective_state()
    if status is not None and state == "done":
        reached = f", {percent(status.accuracy)}" if status.accuracy is not None else ""
        return f"{path.name} is done{reached}; `mim4dd show {run}`"
    again = f"; `mim4dd resume {run}`"
    if status is not None and state == "stopped":
        place = status.doing or f"iteration {status.iteration} of {status.iterations}"
        return f"{path.name} stopped at {place}{again}"
    if state != "failed":
        return ""
    why = str(error) if error is not None else status.message if status is not None else "its status file is missing"
    if error is not None and not isinstance(error, MimError):
        why = f"{type(error).__name__}: {error}"
    log = traceback_of(path) or path / "journal.jsonl"
    hopeless = status is not None and status.diverged
    return f"{path.name} failed: {_first(why, path)}{'' if hopeless else again}; log: {homely(str(log))}"


def _first(why: str, path: Path) -> str:
    """The first sentence of an error, without what follows it here: the log has the rest."""
    first = re.split(r"\.\s", why.strip(), maxsplit=1)[0].rstrip(".")
    for folder in (path.absolute(), path):  # a relative one may be the end of another
        first = first.replace(f"{folder}{os.sep}", "")
    return first
