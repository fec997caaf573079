"""A process that ends at any one of its changes to files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock


class Killed(BaseException):
    """An end nobody handles."""


def ended_at(do: Callable[[], object], at: int | None = None) -> int:
    """Do something that writes, to be ended before its ``at``-th change; how many changes there are."""
    count = 0

    def counted(real: Any) -> Any:
        def act(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            return real(*args, **kwargs)

        return act

    with (
        mock.patch.object(Path, "replace", counted(Path.replace)),
        mock.patch.object(Path, "unlink", counted(Path.unlink)),
        mock.patch("engine.runs.journal.os.pwrite", counted(os.pwrite)),
    ):
        do()
    return count
