"""The soak as a test: memory, open files and threads stay flat, the journal stays complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.command import ROOT
from tests.reach.soak import AGAIN, faults, settled, slope


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_grows_while_a_run_is_watched_on_and_off() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.reach.soak", "--iterations", "20000", "--attachments", "50"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ,
        check=False,
    )
    assert ended.stdout, ended.stderr
    found = json.loads(ended.stdout)
    assert faults(found) == [], found
    assert found["iterations"] == 20_000


def test_growth_is_seen() -> None:
    """The measure itself: memory that grows by 1 MiB in 1000 iterations is 1024 KiB a thousand."""
    assert slope([(i, 300.0 + i / 1000) for i in range(0, 20_000, 400)]) == pytest.approx(1024)
    early = [(i, 300.0 - (i < 2000) * 50) for i in range(0, 20_000, 400)]
    assert slope(settled(early, 20_000)) == pytest.approx(0)


FLAT = {
    "state": "done", "journal_complete": True, "sequence_complete": True, "damaged_lines": 0, "requests_left": 0,
    "engine_memory_mib": [800.0, 800.4], "engine_memory_kib_per_1000_iterations": 20.0, "engine_files": [7],
    "engine_threads": [2], "viewer_memory_most_mib": 100.0, "viewer_files": [6], "viewer_threads": [2, 3],
    "staying_memory_mib": [90.0, 100.0], "staying_files": [6], "staying_threads": [3],
    "again_memory_mib": [90.0 + number for number in range(AGAIN)],
}  # fmt: skip

WRONG: dict[str, Any] = {
    "state": "failed", "journal_complete": False, "sequence_complete": False, "damaged_lines": 1, "requests_left": 1,
    "engine_files": [7, 8], "engine_threads": [2, 3], "viewer_memory_most_mib": 500.0, "viewer_files": [6, 7],
    "viewer_threads": [2, 5], "staying_memory_mib": [90.0, 150.0], "staying_files": [8], "staying_threads": [2, 3],
    "again_memory_mib": [90.0 + 3 * number for number in range(AGAIN)],
}  # fmt: skip


@pytest.mark.parametrize("key", WRONG)
def test_every_fault_is_named(key: str) -> None:
    assert faults(FLAT) == []
    assert len(faults(FLAT | {key: WRONG[key]})) == 1
    grown = {"engine_memory_mib": [800.0, 802.0], "engine_memory_kib_per_1000_iterations": 100.0}
    assert faults(FLAT | grown) == ["the engine's memory grows"]
