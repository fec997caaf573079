"""What watching costs the engine: the speed of a run with the dashboard over that of the same run without it.

Two processes compute the same run with the same number of threads, one under the dashboard, one headless. They take
turns: while one is measured the other is stopped (SIGSTOP), so that each pair of turns sees the machine in one mood.
They are started anew several times, because two processes are never laid out alike in memory.

A dashboard that was stopped finds all its periodic work due at once when its turn comes. Counted from there, a short
turn would hold more of it than its share: each begins with a lead that is not counted, from pair to pair a longer one,
up to the longest of those periods.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import Any

from benchmarks.terminal import START, Watched, journal_of, settings

WARM = 50
"""Iterations before anything is measured: caches, and the collector's first rounds."""
SKIPPED = 3
"""Iterations at the beginning of a turn that are left out."""
ENOUGH = 10
"""Iterations that tell a speed."""
LEAD = 8.0
"""Seconds of the longest lead: of the longest period at which the dashboard does anything by itself
(``mim4dd_tui.dashboard.pace.LONGEST``)."""
LONGEST = 10
"""Times its seconds that a turn may take."""


class Turn:
    """One of the two processes: runs only while it is its turn."""

    def __init__(self, pid: int, runs: Path) -> None:
        self.pid, self.runs = pid, runs

    def speed(self, seconds: float, watched: Watched | None, lead: float = 0.0) -> float:
        """Iterations a second over one turn, by the times in the journal, without those of the ``lead``.

        After that a turn takes ``seconds``, and as often as many again as are needed for ``ENOUGH`` iterations: on a
        machine that others keep busy one may take a second.
        """
        times: list[float] = []
        wait = time.sleep if watched is None else watched.read
        os.kill(self.pid, signal.SIGCONT)
        try:
            wait(lead)
            before = len(journal_of(self.runs))
            for _ in range(LONGEST):
                wait(seconds)
                times = _times(journal_of(self.runs)[before:])[SKIPPED:]
                if len(times) >= ENOUGH:
                    break
        finally:
            os.kill(self.pid, signal.SIGSTOP)
        if len(times) < ENOUGH:
            raise RuntimeError(f"only {len(times)} iterations in {LONGEST * seconds:g} s: longer turns are needed")
        return (len(times) - 1) / (times[-1] - times[0])


def _times(journal: bytes) -> list[float]:
    """When each iteration was written down; the first and the last line may be torn."""
    records = [json.loads(line) for line in journal.split(b"\n")[1:-1]]
    return [float(record["time"]) for record in records if record["kind"] == "iteration"]


def measure(size: tuple[int, int], wanted: Sequence[str], pairs: int, seconds: float, starts: int = 2) -> list[float]:
    """Speed with the dashboard over speed without, for each pair of turns."""
    out: list[float] = []
    for start in range(starts):
        out += _pairs(size, wanted, pairs // starts + (start < pairs % starts), seconds)
    return out


def _pairs(size: tuple[int, int], wanted: Sequence[str], pairs: int, seconds: float) -> list[float]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        seen, unseen = folder / "seen", folder / "unseen"
        run = ["run", "digits-ipc1", *settings(*wanted)]
        watched = Watched(size, folder, [*run, "--runs-dir", str(seen)])
        headless: subprocess.Popen[bytes] | None = None
        try:
            watched.iterated(seen, WARM, 400)
            os.kill(watched.pid, signal.SIGSTOP)
            headless = _headless([*run, "--headless", "--runs-dir", str(unseen)], unseen)
            os.kill(headless.pid, signal.SIGSTOP)
            one, other = Turn(watched.pid, seen), Turn(headless.pid, unseen)
            ratios = []
            for number in range(pairs):
                lead = LEAD * (number + 0.5) / pairs
                if number % 2:  # who comes first alternates
                    without, with_it = other.speed(seconds, None, lead), one.speed(seconds, watched, lead)
                else:
                    with_it, without = one.speed(seconds, watched, lead), other.speed(seconds, None, lead)
                ratios.append(with_it / without)
            return ratios
        finally:
            watched.close()
            if headless is not None:
                headless.kill()
                headless.wait()


def _headless(arguments: list[str], runs: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 400
        while f'"iteration":{WARM},'.encode() not in journal_of(runs):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the headless run ended early, or is not at iteration {WARM} after 400 s")
            time.sleep(0.2)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """An interval of the median that assumes no distribution: two order statistics, and what they really cover.

    Args:
        values: at least six, else not even all of them cover 95 %.
        confidence: least probability that the median lies between the two.

    Raises:
        ValueError: too few values for that.
    """
    ordered, n = sorted(values), len(values)
    best: tuple[float, float, float] | None = None
    for cut in range(n // 2):
        # outside with the probability that at most ``cut`` of n fall on one side, twice
        covered = 1 - 2 * sum(comb(n, k) for k in range(cut + 1)) / 2**n
        if covered < confidence:
            break
        best = (ordered[cut], ordered[n - 1 - cut], covered)
    if best is None:
        raise ValueError(f"{n} values are too few for an interval of {confidence:.0%}")
    return best


def summary(ratios: Sequence[float]) -> dict[str, Any]:
    """The document's entry."""
    low, high, covered = interval(ratios)
    return {
        "median": round(statistics.median(ratios), 4),
        "interval": [round(low, 4), round(high, 4)],
        "coverage": round(covered, 3),
        "pairs": [round(ratio, 4) for ratio in ratios],
    }
