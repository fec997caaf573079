"""``--seeds``: what is to follow the run at work, kept in its folder, as a stop ends all of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import MimError
from engine.files import read_json_object, write_json
from mim4dd_tui.seeds import named, ranges

if TYPE_CHECKING:
    from engine.runs.status import Status

FILE = "sequence.json"


@dataclass(frozen=True)
class Later:
    """Seeds that the process of a run begins after it, as ``--seeds`` takes them, and the command that begins them."""

    seeds: str
    command: str
    pid: int
    host: str

    @property
    def left(self) -> str:
        """What is said where the run is the last."""
        do, them = ("does", "it") if self.seeds.isdecimal() else ("do", "them")
        return f"{named(self.seeds)} {do} not follow: `{self.command}` begins {them}"

    @property
    def document(self) -> dict[str, str]:
        """For ``--json``: seeds and command."""
        return {"seeds": self.seeds, "command": self.command}

    def keep(self, folder: Path) -> None:
        """Into a run's folder; a disk that refuses is told of by the run itself."""
        with suppress(MimError):
            write_json(folder / FILE, asdict(self))

    @staticmethod
    def read(folder: Path, status: Status) -> Later | None:
        """What follows, or would have followed, a run in its process; None where that is nothing, or the run was
        taken up alone since."""
        values = read_json_object(folder / FILE) or {}
        seeds, command, pid, host = (values.get(name) for name in ("seeds", "command", "pid", "host"))
        if isinstance(seeds, str) and isinstance(command, str) and (pid, host) == (status.pid, status.host):
            return Later(seeds, command, status.pid, status.host)
        return None


def later(seeds: Sequence[int], words: Sequence[str], options: Mapping[str, Any]) -> Later | None:
    """The seeds that follow in this process; None where there are none.

    Args:
        words: the command without its options.
        options: those it was given, ``--seeds`` left out; ones that are None, false or empty are left out too.
    """
    from engine.runs.status import host_name

    if not seeds:
        return None
    text = ranges(seeds)
    command = ["mim4dd", *words, "--seeds", text]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            command += [] if each in (None, False) else [name] if each is True else [name, str(each)]
    return Later(text, shlex.join(command), os.getpid(), host_name())
