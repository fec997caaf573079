"""A disk that fails: every operation that changes something under a folder can be made to raise.

Opening for writing, renaming, linking, removing, making folders and changing modes are caught by Python's audit
events, whoever does them; writing, cutting and syncing through ``os`` by replacing the functions. What a library writes
by itself is caught at the opening of its file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")


@dataclass
class Disk:
    """Counts the operations under ``folder``; fails those that ``fails`` names.

    Attributes:
        number: the errno it fails with.
        fails: of an operation's number, from 1: whether it fails.
        done: what was asked for so far, by name.
        failed: how many of them failed.
    """

    folder: Path
    number: int
    fails: Callable[[int], bool]
    done: list[str] = field(default_factory=list)
    failed: int = 0

    def operation(self, name: str, path: str = "") -> None:
        """One operation; raises where it is to fail."""
        self.done.append(f"{name} {path}")
        if self.fails(len(self.done)):
            self.failed += 1
            raise OSError(self.number, os.strerror(self.number))

    def holds(self, path: Any) -> bool:
        """Whether a path is on this disk."""
        try:
            return os.path.realpath(os.fsdecode(path)).startswith(str(self.folder))
        except (TypeError, ValueError):
            return False

    def hears(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook's part."""
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(flags, int) and flags & _WRITES) or (isinstance(mode, str) and set(mode) & set("wax+"))
            if writes and isinstance(path, (str, bytes, os.PathLike)) and self.holds(path):
                self.operation("open", os.path.realpath(os.fsdecode(path)))
        elif event in _CHANGES:
            path = arguments[1 if event in ("os.link", "os.symlink") else 0]
            if isinstance(path, int):  # an open file: what it was opened for is known
                return
            # Not of the file itself: a link is removed or renamed, never what it leads to.
            place = os.path.realpath(os.path.dirname(os.fsdecode(path)) or ".")  # noqa: PTH120
            if self.holds(place):
                self.operation(event, os.path.join(place, os.path.basename(os.fsdecode(path))))  # noqa: PTH118, PTH119


_disks: list[Disk] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _disks and (event == "open" or event in _CHANGES):
        disk = _disks[-1]
        _disks.clear()  # what the check itself opens is not counted
        try:
            disk.hears(event, arguments)
        finally:
            _disks.append(disk)


_installed: list[bool] = []


@contextmanager
def failing(folder: Path, number: int, fails: Callable[[int], bool] = lambda operation: False) -> Iterator[Disk]:
    """The disk of a folder, failing as it is told, while the block lasts."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_audit)  # cannot be taken back: it looks for a disk and finds none outside of a block
    disk = Disk(folder.resolve(), number, fails)

    def through(name: str) -> Callable[..., Any]:
        whole = getattr(os, name)

        def call(descriptor: int, *rest: Any) -> Any:
            if disk.holds(f"/proc/self/fd/{descriptor}"):
                disk.operation(name)
            return whole(descriptor, *rest)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("pwrite", "fsync", "ftruncate"):
            patch.setattr(os, name, through(name))
        _disks.append(disk)
        try:
            yield disk
        finally:
            _disks.clear()
