"""What a person sees when something goes wrong: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from engine.errors import ConfigError, MimError
from mim4dd_tui import __version__


class UsageError(ConfigError):
    """The command line itself asks for something impossible."""


class PartlyFailedError(MimError):
    """An error together with what was finished before it, for the JSON document."""

    def __init__(self, cause: MimError, document: dict[str, Any]) -> None:
        super().__init__(str(cause))
        self.exit_code = cause.exit_code
        self.kind = _kind(cause)
        self.document = document


class UnforeseenError(MimError):
    """An error of a run that nobody foresaw, and the file of its folder that has the traceback."""

    def __init__(self, cause: BaseException, report: Path) -> None:
        super().__init__(f"the run failed ({type(cause).__name__}: {cause}); the full report is in {report}")
        self.kind = type(cause).__name__


class NotRunningError(MimError):
    """A run is asked for something, and no process works on it."""


class RefusedError(MimError):
    """A run could not do what it was asked for, and goes on."""


class UnansweredError(MimError):
    """A request was left for a run, and nothing came of it in time."""


def require_torch() -> None:
    """Load torch, or say in a sentence why it cannot be loaded.

    Raises:
        MimError: it is missing, or its libraries do not fit this machine.
    """
    try:
        import torch  # noqa: F401 - only whether it loads is asked
    except (ImportError, OSError, RuntimeError) as error:
        raise MimError(f"torch cannot be loaded ({error}); `mim4dd doctor` says what to do") from error


def error_document(error: MimError) -> dict[str, Any]:
    """What ``--json`` writes for a failed command."""
    finished: dict[str, Any] = error.document if isinstance(error, PartlyFailedError) else {}
    return {"error": str(error), "kind": _kind(error), "exit_code": error.exit_code, **finished}


def _kind(error: MimError) -> str:
    return error.kind if isinstance(error, PartlyFailedError | UnforeseenError) else type(error).__name__


def write_crash_log(error: BaseException) -> Path | None:
    """Keep a bug's traceback in a file under the user's state directory; None where that is impossible."""
    from platformdirs import user_state_path

    folder = user_state_path("mim4dd", appauthor=False) / "crashes"
    path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    head = f"mim4dd {__version__}\npython {sys.version}\non {sys.platform}\narguments {sys.argv[1:]!r}\n\n"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(head + "".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None
    return path


def crash_sentence(error: BaseException) -> str:
    """The short message for a bug: what it was and where its traceback lies."""
    summary = f"{type(error).__name__}: {error}".rstrip(": ")  # of a SyntaxError it names file and line
    path = write_crash_log(error)
    where = f"the full report is in {path}" if path else "".join(traceback.format_exception(error))
    return f"mim4dd met a bug ({summary}); {where}"
