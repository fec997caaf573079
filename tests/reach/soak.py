"""A long run of cheap iterations, watched on and off: nothing may grow, nothing may be missing.

    python -m tests.reach.soak --iterations 20000 --attachments 50

The run is a detached process of the real engine with the smallest network. Evenly spread over it the dashboard is
opened on it, headless (the widgets and timers are the real ones), each time in a process of its own as ``mim4dd
attach`` is; one more dashboard is opened at the start and stays to the end. While one opens, the run is held at its
place by a request, so that the openings lie evenly whatever the machine's speed; then it goes on before its eyes. Of
the engine and of every viewer the memory, the open files and the threads are looked at. At the end one dashboard opens
the finished run again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from engine.events import Iteration
from engine.runs.control import post
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalReader
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.run import RunScreen
from tests.cli.command import ROOT
from tests.dashboard.conftest import RICH
from tests.reach.places import Camp, alive, open_files, options, resident, threads, until

WATCHED_SECONDS = 0.7
"""How long each attachment lasts once it shows the newest iteration."""

PATIENCE = 300.0
"""Seconds in which a dashboard has to show what it is opened on."""

AGAIN = 10
"""How often the finished run is opened."""

SETTLED = 0.1
"""Share of the run after which memory counts: before, caches and pools of the libraries fill."""


@dataclass(frozen=True)
class Sample:
    """The engine after an attachment, and the dashboard before it closed; memory in MiB."""

    iteration: int
    engine_memory: float
    engine_files: int
    engine_threads: int
    shown: int
    viewer_memory: float
    viewer_files: int
    viewer_threads: int


# ---- a viewer: a process of its own


async def view(run: Path, iteration: int, last: int | None) -> list[dict[str, Any]]:
    """Open the dashboard on a run until it shows an iteration; what this process holds then, and at its end.

    Args:
        last: stay, looking once a second, until this iteration is shown. None: stay for WATCHED_SECONDS.
    """
    app, seen = DashboardApp(runs_dir=run.parent, abilities=RICH, attach=run), []
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await _shows(app, pilot, iteration)
        seen.append(held(screen.history.iteration))
        print("open", flush=True)
        while last is not None and screen.history.iteration < last:
            await asyncio.sleep(1.0)
            seen.append(held(screen.history.iteration))
        await asyncio.sleep(WATCHED_SECONDS)
        seen.append(held(screen.history.iteration))
    return seen


async def _shows(app: DashboardApp, pilot: Pilot[Leave], iteration: int) -> RunScreen:
    """Wait until the run's screen has heard of an iteration."""
    end = time.monotonic() + PATIENCE
    while True:
        screen = app.screen
        if isinstance(screen, RunScreen) and screen.history.iteration >= iteration:
            return screen
        if time.monotonic() > end:
            raise RuntimeError(f"the dashboard has not shown iteration {iteration} within {PATIENCE:g} s")
        await pilot.pause(0.05)


def held(shown: int) -> dict[str, Any]:
    """What this process holds now."""
    gc.collect()
    own = os.getpid()
    return {
        "shown": shown, "memory": resident(own), "files": lasting_files(own), "threads": threading.active_count(),
    }  # fmt: skip


async def over_and_over(run: Path, iterations: int) -> list[dict[str, Any]]:
    """What one dashboard holds after each of AGAIN openings of a finished run."""
    seen, app = [], DashboardApp(runs_dir=run.parent, abilities=RICH)
    async with app.run_test(size=(100, 30)) as pilot:
        for _ in range(AGAIN):
            app.open_run(RunFolder(run))
            await _shows(app, pilot, iterations)
            app.screen.dismiss()
            while isinstance(app.screen, RunScreen):
                await pilot.pause(0.05)
            seen.append(held(iterations))
    return seen


class Viewer:
    """A process with a dashboard on a run."""

    def __init__(self, camp: Camp, run: Path, iteration: int, *more: str) -> None:
        command = [sys.executable, "-m", "tests.reach.soak", "--view", str(run), "--iterations", str(iteration), *more]
        env = camp.env | {"MIM4DD_CONFIG_DIR": str(camp.path / "config"), "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)

    def open(self) -> None:
        """Wait until it shows what it was opened on."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def end(self) -> list[dict[str, Any]]:
        """What it saw of itself, once it is over."""
        out, _ = self._process.communicate(timeout=3600)
        if self._process.returncode != 0:
            raise RuntimeError(f"a dashboard ended with exit code {self._process.returncode}")
        seen: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
        return seen


# ---- the engine, from outside


def look(pid: int) -> tuple[float, int, int]:
    """What the engine holds now: memory in MiB, files, threads."""
    return round(resident(pid), 2), lasting_files(pid), len(threads(pid))


def sample(iteration: int, engine: tuple[float, int, int], viewer: Viewer) -> Sample:
    """The engine's figures beside a viewer's, once that is over."""
    seen = viewer.end()[-1]
    return Sample(iteration, *engine, seen["shown"], round(seen["memory"], 2), seen["files"], seen["threads"])


def reach(camp: Camp, iteration: int) -> int:
    """Hold the run at an iteration or soon after it; the iteration."""
    while camp.status("soak")["iteration"] < iteration:
        time.sleep(0.02)
    post(camp.run("soak") / "control", "pause")
    until(lambda: camp.status("soak")["state"] == "paused", "the run is held", PATIENCE)
    return int(camp.status("soak")["iteration"])


def lasting_files(pid: int) -> int:
    """Files a process keeps open, without the one it may be writing just now."""
    counts = []
    for _ in range(10):
        counts.append(open_files(pid))
        time.sleep(0.01)
    return min(counts)


def slope(points: list[tuple[int, float]]) -> float:
    """Growth of memory by least squares in KiB per 1000 iterations, from (iteration, MiB)."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return 1024 * 1000 * sum((x - mean_x) * (y - mean_y) for x, y in points) / below if below else 0.0


def soak(path: Path, iterations: int, attachments: int) -> dict[str, Any]:
    """The run from its start to its end; what was seen."""
    camp, began = Camp(path), time.monotonic()
    wanted = options(
        objective__iterations=iterations,
        execution__checkpoint_every=max(1, iterations // 40),
        execution__snapshot_every=max(1, iterations // 40),
    )
    started = camp.command("run", "digits-ipc1", "--name", "soak", "--detach", "--json", *wanted)
    if started.code != 0:
        raise RuntimeError(started.err)
    pid, run, samples = int(json.loads(started.out)["pid"]), camp.run("soak"), []
    staying = Viewer(camp, run, 1, "--until", str(iterations))
    before: tuple[int, tuple[float, int, int], Viewer] | None = None
    for number in range(attachments):
        now = reach(camp, 1 + iterations * number // (attachments + 1))
        if before is not None:
            samples.append(sample(*before))
        viewer = Viewer(camp, run, now)
        viewer.open()
        before = now, look(pid), viewer
        post(run / "control", "resume")
    if before is not None:
        samples.append(sample(*before))
    while alive(pid):
        time.sleep(0.1)
    found = summary(run, samples, iterations, attachments)
    found |= staying_summary(staying.end(), iterations)
    again = Viewer(camp, run, iterations, "--again").end()
    return found | {
        "again_memory_mib": [round(seen["memory"], 1) for seen in again],
        "seconds": round(time.monotonic() - began, 1),
        "samples": [asdict(sample) for sample in samples],
    }


def settled(points: list[tuple[int, float]], iterations: int) -> list[tuple[int, float]]:
    """Those after the first SETTLED of the run; all where there are none."""
    return [(at, memory) for at, memory in points if at >= SETTLED * iterations] or points


def staying_summary(seen: list[dict[str, Any]], iterations: int) -> dict[str, Any]:
    """What the dashboard that stayed saw of itself."""
    points = settled([(each["shown"], each["memory"]) for each in seen], iterations)
    return {
        "staying_memory_mib": [round(points[0][1], 1), round(points[-1][1], 1)],
        "staying_memory_kib_per_1000_iterations": round(slope(points), 2),
        "staying_files": sorted({each["files"] for each in seen}),
        "staying_threads": sorted({each["threads"] for each in seen if each["shown"] >= SETTLED * iterations}),
        "staying_looks": len(seen),
    }


def summary(run: Path, samples: list[Sample], iterations: int, attachments: int) -> dict[str, Any]:
    """What the samples and the finished run say."""
    reader = JournalReader(run / "journal.jsonl")
    records = reader.poll()
    told = [each.event.iteration for each in records if isinstance(each.event, Iteration)]
    engine = settled([(sample.iteration, sample.engine_memory) for sample in samples], iterations)
    return {
        "state": json.loads((run / "status.json").read_text())["state"],
        "iterations": len(told),
        "attachments": attachments,
        "sampled": len(samples),
        "engine_memory_mib": [round(engine[0][1], 1), round(engine[-1][1], 1)],
        "engine_memory_kib_per_1000_iterations": round(slope(engine), 2),
        "engine_files": sorted({sample.engine_files for sample in samples}),
        "engine_threads": sorted({sample.engine_threads for sample in samples}),
        "viewer_memory_mib": [round(samples[0].viewer_memory, 1), round(samples[-1].viewer_memory, 1)],
        "viewer_memory_most_mib": round(max(sample.viewer_memory for sample in samples), 1),
        "viewer_files": sorted({sample.viewer_files for sample in samples}),
        "viewer_threads": sorted({sample.viewer_threads for sample in samples}),
        "journal_complete": told == list(range(1, iterations + 1)),
        "sequence_complete": [each.sequence for each in records] == list(range(1, len(records) + 1)),
        "damaged_lines": reader.damaged,
        "requests_left": len(list((run / "control").iterdir())),
    }


def main() -> int:
    """Command line; exit code 1 where something grew or is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--iterations", type=int, default=20_000)
    parser.add_argument("--attachments", type=int, default=50)
    parser.add_argument("--view", type=Path, metavar="RUN", help="be a viewer: until --iterations are shown")
    parser.add_argument("--until", type=int, metavar="N", help="a viewer that stays until iteration N")
    parser.add_argument("--again", action="store_true", help="a viewer that opens the finished run again and again")
    options = parser.parse_args()
    if options.view is not None:
        viewing = over_and_over(options.view, options.iterations) if options.again else None
        print(json.dumps(asyncio.run(viewing or view(options.view, options.iterations, options.until))))
        return 0
    with tempfile.TemporaryDirectory(prefix="mim4dd-soak-") as folder:
        found = soak(Path(folder), options.iterations, options.attachments)
    wrong = faults(found)
    print(json.dumps({"faults": wrong} | found, indent=2))
    return 1 if wrong else 0


MOST_KIB = 50.0
"""Of the engine's memory per 1000 iterations: 1 MiB in all over 20,000."""
NOISE_MIB = 1.5
"""A growth that short runs show whatever their length: the last pools of the libraries."""
MOST_VIEWER_MIB = 160.0
"""Of a dashboard, whatever it shows."""
MOST_VIEWER_THREADS = 4
"""Its own and those that read files for it, which come when they are first needed."""
MOST_STAYING_MIB = 40.0
"""Growth of a dashboard that stays over 20,000 iterations: the history it shows."""
MOST_OPENING_MIB = 2.0
"""What each opening of a run in one dashboard may leave (Textual keeps rendered lines), over the second half."""


def faults(found: dict[str, Any]) -> list[str]:
    """What is not as it should be; [] where all is."""
    again = found["again_memory_mib"]
    opening = (again[-1] - again[AGAIN // 2 - 1]) / (AGAIN - AGAIN // 2)
    stayed = found["staying_memory_mib"]
    checks = {
        "the run did not reach its end": found["state"] == "done",
        "the journal is not complete": found["journal_complete"] and found["sequence_complete"],
        "the journal has damaged lines": not found["damaged_lines"],
        "requests were left": not found["requests_left"],
        "the engine's memory grows": found["engine_memory_kib_per_1000_iterations"] <= MOST_KIB
        or found["engine_memory_mib"][1] - found["engine_memory_mib"][0] <= NOISE_MIB,
        "the engine's open files change": len(found["engine_files"]) == 1,
        "the engine's threads change": len(found["engine_threads"]) == 1,
        "a dashboard takes too much memory": max(found["viewer_memory_most_mib"], *stayed) <= MOST_VIEWER_MIB,
        "a dashboard that stays grows": stayed[1] - stayed[0] <= MOST_STAYING_MIB,
        "opening a run again and again takes memory": opening <= MOST_OPENING_MIB,
        "the dashboards' open files change": len({*found["viewer_files"], *found["staying_files"]}) == 1,
        "a dashboard takes too many threads": max(found["viewer_threads"]) <= MOST_VIEWER_THREADS,
        "the threads of a dashboard that stays change": len(found["staying_threads"]) == 1
        and found["staying_threads"][0] <= MOST_VIEWER_THREADS,
    }
    return [sentence for sentence, fine in checks.items() if not fine]


if __name__ == "__main__":
    sys.exit(main())
