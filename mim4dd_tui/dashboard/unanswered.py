"""What a run's code asks of whoever sits at the keyboard: under the dashboard, which has all keys, an error in words.

A debugger that waited for a line would wait for ever.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from engine.errors import MimError

ADVICE = "under the dashboard, which has the terminal to itself; `mim4dd run PRESET --headless` gives one"


class UnansweredError(MimError):
    """The run's code waits for a key, and none will come."""


class Keyless(io.TextIOBase):
    """Standard input of a run: reading from it ends the run."""

    def readable(self) -> bool:
        """As standard input is."""
        return True

    def read(self, size: int | None = -1, /) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        raise UnansweredError(f"the run's code reads standard input (input, pdb): there is none {ADVICE}")

    def readline(self, size: int = -1, /) -> NoReturn:  # type: ignore[override]
        """Refuse."""
        self.read(size)


def _refuse(*_arguments: Any, **_named: Any) -> None:
    if os.environ.get("PYTHONBREAKPOINT") == "0":
        return
    caller = sys._getframe(1)
    place = f"{os.path.basename(caller.f_code.co_filename)}:{caller.f_lineno}"  # noqa: PTH119
    raise UnansweredError(f"breakpoint() in {place}: there is no debugger {ADVICE}")


@contextmanager
def unanswered() -> Iterator[None]:
    """While the block lasts, ``breakpoint()`` and standard input refuse. A hook that somebody else has set (an editor's
    debugger) stays: it needs no terminal."""
    stdin, hook = sys.stdin, sys.breakpointhook
    sys.stdin = Keyless()
    if hook is sys.__breakpointhook__:
        sys.breakpointhook = _refuse
    try:
        yield
    finally:
        sys.stdin, sys.breakpointhook = stdin, hook
