"""The kill harness as a test: a few kills in the fast suite, fifty in the long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.command import ROOT
from tests.reach.kill_harness import ONE_THREAD, Target, aim, spans


def killed(*arguments: str) -> dict[str, Any]:
    """The harness in a process of its own, which has to have one thread; its summary."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.reach.kill_harness", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | dict.fromkeys(ONE_THREAD, "1"),
        check=False,
    )
    assert ended.stdout, ended.stderr
    summary: dict[str, Any] = json.loads(ended.stdout)
    assert summary["mismatches"] == [], ended.stderr
    assert ended.returncode == 0, ended.stderr
    return summary


def test_a_few_kills_lose_nothing() -> None:
    summary = killed("--kills", "5", "--seed", "3")
    assert summary["kills"] == 5
    assert len(summary["by_stratum"]) >= 3


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fifty_kills_in_every_phase_lose_nothing() -> None:
    summary = killed("--kills", "50", "--seed", "0", "--fresh")
    assert summary["kills"] == 50
    assert summary["not_hit"] == []
    assert min(summary["by_stratum"].values()) >= 3


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_kills_while_compiling_lose_nothing() -> None:
    summary = killed("--kills", "8", "--seed", "0", "--compile")
    assert summary["by_stratum"]["compile"] >= 1


def test_a_moment_is_uniform_over_the_time_in_a_stratum() -> None:
    class Fixed:
        def __init__(self, at: float) -> None:
            self.at = at

        def uniform(self, low: float, high: float) -> float:
            return low + self.at * (high - low)

    assert aim("iteration", [1.0, 3.0], Fixed(0.2)) == Target("iteration", 1, 0.8)  # type: ignore[arg-type]
    assert aim("iteration", [1.0, 3.0], Fixed(0.5)) == Target("iteration", 2, 1.0)  # type: ignore[arg-type]
    from tests.reach.kill_harness import Life

    life = Life([("data", 0.5), ("experts", 1.0), ("data", 3.0), ("end", 3.5)])
    assert spans(life) == {"data": [0.5, 0.5], "experts": [2.0]}
