"""The interval of a median, what is said of pairs, and how long a turn is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pairs import ENOUGH, LEAD, LONGEST, Turn, interval, summary
from mim4dd_tui.dashboard import pace

WRITER = """
import json, sys, time
with open(sys.argv[1], "w") as journal:
    while True:
        print(json.dumps({"kind": sys.argv[2], "time": time.time()}), file=journal, flush=True)
        time.sleep(0.02)
"""

BUSY_AT_FIRST = """
import json, sys, time
now = 0.0
with open(sys.argv[1], "w") as journal:
    for number in range(10**9):
        now += 100.0 if number < 10 else 0.02
        print(json.dumps({"kind": "iteration", "time": now}), file=journal, flush=True)
        time.sleep(0.02)
"""


def test_ten_pairs_are_bounded_by_the_second_from_either_end() -> None:
    low, high, covered = interval([float(i) for i in (7, 3, 9, 1, 10, 2, 8, 4, 6, 5)])
    assert (low, high) == (2.0, 9.0)
    assert covered == pytest.approx(1 - 2 * 11 / 1024)


def test_five_pairs_are_too_few() -> None:
    with pytest.raises(ValueError, match="5 values"):
        interval([1.0] * 5)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    hits, trials = 0, 2000
    for _ in range(trials):
        low, high, covered = interval(draw.standard_exponential(10).tolist())
        hits += low <= np.log(2) <= high
    assert hits / trials == pytest.approx(covered, abs=0.012)


def test_a_summary_has_all_ratios() -> None:
    told = summary([0.99, 1.0, 1.01, 0.98, 1.02, 1.0])
    assert told["median"] == 1.0
    assert told["interval"] == [0.98, 1.02]
    assert len(told["pairs"]) == 6


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with one run, of which nothing is written down yet."""
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture(params=["iteration"])
def turn(request: pytest.FixtureRequest, runs: Path) -> Iterator[Turn]:
    """The turn of a process that writes records of one kind, fifty a second at most."""
    command = [sys.executable, "-c", WRITER, str(runs / "run" / "journal.jsonl"), request.param]
    process = subprocess.Popen(command)
    os.kill(process.pid, signal.SIGSTOP)
    yield Turn(process.pid, runs)
    process.kill()
    process.wait()


def stopped(pid: int) -> bool:
    """Whether a process is stopped, or as good as: the signal is on its way."""
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_turn_lasts_until_there_is_enough_to_tell_a_speed(turn: Turn) -> None:
    speed = turn.speed(0.15, None)  # which is too short for ENOUGH
    assert 0 < speed < 50
    assert stopped(turn.pid)
    assert (turn.runs / "run" / "journal.jsonl").read_bytes().count(b"\n") >= ENOUGH


def test_the_lead_of_a_turn_is_not_counted(runs: Path) -> None:
    journal = runs / "run" / "journal.jsonl"
    process = subprocess.Popen([sys.executable, "-c", BUSY_AT_FIRST, str(journal)])
    try:
        os.kill(process.pid, signal.SIGSTOP)
        speed = Turn(process.pid, runs).speed(0.5, None, lead=3.0)
    finally:
        process.kill()
        process.wait()
    assert speed > 5, "the slow ones at the beginning"


def test_leads_reach_over_the_longest_period_of_the_dashboard() -> None:
    assert LEAD == pace.LONGEST


@pytest.mark.parametrize("turn", ["phase"], indirect=True)
def test_a_process_that_computes_nothing_is_told_and_stopped(turn: Turn) -> None:
    with pytest.raises(RuntimeError, match=f"only 0 iterations in {LONGEST * 0.05:g} s"):
        turn.speed(0.05, None)
    assert stopped(turn.pid)
