"""The traceback of an error nobody foresaw: one file of the run folder, whoever began the run."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from engine import __version__
from engine.errors import MimError
from engine.files import write_bytes
from engine.runs.folder import RunFolder

TRACEBACK = "traceback.txt"


def keep_traceback(folder: Path, error: BaseException) -> bool:
    """Write an error's traceback into a run folder, in place of one of a failure before; whether it was written."""
    head = f"mim4dd {__version__}\npython {sys.version}\non {sys.platform}\n\n"
    if not folder.is_dir():
        return False
    try:
        text = head + "".join(traceback.format_exception(error))
        write_bytes(folder / TRACEBACK, text.encode(errors="replace"), durable=False)
    except MimError:  # the error itself is told all the same
        return False
    return True


def traceback_of(folder: Path) -> Path | None:
    """The traceback of a run's last sitting; None where there is none, or only that of a failure before it."""
    path, status = folder / TRACEBACK, RunFolder(folder).status()
    try:
        return path if path.stat().st_mtime >= (status.started if status is not None else 0.0) else None
    except OSError:
        return None
