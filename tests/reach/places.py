"""Tiny real runs in folders of their own, as commands and as processes, and what can be seen of a process."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.command import COMMAND, Ended, begun, environment, mim4dd, set_options

SETTINGS = {
    "execution.threads": 1, "execution.compile": "off", "network.depth": 1, "network.width": 4,
    "data.train_limit": 100, "data.test_limit": 50, "experts.count": 1, "experts.epochs": 2,
    "objective.student_steps": 1, "objective.expert_epochs": 1, "objective.max_start_epoch": 1,
    "objective.step_size_rate": 0, "information.readout": 20, "information.real_batch": 20,
    "information.warmup": 1, "information.readout_every": 100, "evaluation.every": 0, "evaluation.random_draws": 0,
    "evaluation.networks": 1, "evaluation.live_networks": 1, "evaluation.protocol": "quick-100",
    "execution.snapshot_every": 1000,
}  # fmt: skip


def options(**changes: object) -> list[str]:
    """``--set`` options of the tiny run."""
    return set_options(SETTINGS, **changes)


@dataclass(frozen=True)
class Camp:
    """A folder with runs in ``runs`` and a cache of its own."""

    path: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of its processes."""
        home = str(self.path)
        return environment(HOME=home, MIM4DD_CACHE_DIR=f"{home}/cache", XDG_STATE_HOME=home, OMP_NUM_THREADS="1")

    def command(self, *arguments: str, wait: float = 120) -> Ended:
        """``mim4dd ARGUMENTS``, to its end."""
        return mim4dd(*arguments, cwd=self.path, env=self.env, wait=wait)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``mim4dd ARGUMENTS`` begun, with pipes."""
        return begun([*COMMAND, *arguments], cwd=self.path, env=self.env)

    def run(self, name: str) -> Path:
        """A run's folder."""
        return self.path / "runs" / name

    def status(self, name: str) -> dict[str, Any]:
        """A run's status; empty where there is none yet."""
        try:
            values: dict[str, Any] = json.loads((self.run(name) / "status.json").read_text())
        except FileNotFoundError:
            return {}
        return values


def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    """Wait for a condition; fails where it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def threads(pid: int) -> dict[int, float]:
    """CPU seconds of every thread of a process."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # one that ends between two looks
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            found[int(task.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def open_files(pid: int) -> int:
    """Descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def resident(pid: int) -> float:
    """Resident memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
