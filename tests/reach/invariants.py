"""What has to hold in a runs folder, whatever was done to it, and wherever it is looked at."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.events import CheckpointWritten, Iteration, Lengthened, Recovered, RunStarted
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalReader
from engine.runs.lock import free
from mim4dd_tui.dashboard.catalog import RunInfo, read_run
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.widgets.status import STATES
from tests.cli.command import Ended
from tests.reach.desk import Desk, Seen
from tests.reach.places import Camp

PATIENCE = 12.0
"""Seconds that a view has to come to what is so: lists are read every two seconds, and machines are busy."""
ON_THE_WAY = {
    "starting": {"queued", "starting", "running", "failed", "stopped", "done"},
    "pausing": {"running", "paused"},
    "stopping": {"running", "paused"},
}
"""What a run's screen says of a run that is asked for something, and what its status may say meanwhile."""
GOING = ("starting", "running", "paused")
"""What the queue calls a run that is at work."""
MARKS = {mark: {state for state, (other, _) in STATES.items() if other == mark} for mark, _ in STATES.values()}
EXITS = {0, 1, 2, 3, 4, 129, 130, 143}


def settled(holds: Callable[[], list[str]], patience: float = PATIENCE) -> list[str]:
    """What is wrong still after a while, and was all the time."""
    end = time.monotonic() + patience
    lasting: set[str] | None = None
    while True:
        found = holds()
        lasting = set(found) if lasting is None else lasting & set(found)
        if not lasting:
            return []
        if time.monotonic() > end:
            return sorted(lasting)
        time.sleep(0.3)


def runs_of(camp: Camp) -> dict[str, RunInfo]:
    """All runs by their names, as their status files have them."""
    return {folder.name: read_run(folder) for folder in list_runs(camp.path / "runs")}


# ---- where runs are looked at


def screen_agrees(desk: Desk, camp: Camp) -> list[str]:
    """What the screen shown says of runs is what their folders say."""
    seen = desk.look()
    if seen is None:
        return []
    runs = runs_of(camp)
    by_screen = {
        "HomeScreen": _home,
        "RunsScreen": _browser,
        "QueueScreen": _queue,
        "RunScreen": _run,
        "CompareScreen": _compared,
    }
    wrong = by_screen.get(seen.screen, _nothing)(seen, runs, camp)
    return [f"{seen.screen}: {each}" for each in (*wrong, *_title(desk.title, seen, runs), *_notices(seen, runs))]


def _nothing(seen: Seen, runs: dict[str, RunInfo], camp: Camp) -> Iterator[str]:
    yield from ()


def _home(seen: Seen, runs: dict[str, RunInfo], camp: Camp) -> Iterator[str]:
    if set(seen.runs) != set(runs):
        yield f"lists {sorted(seen.runs)}, there are {sorted(runs)}"
    for name, row in seen.runs.items():
        run = runs.get(name)
        if run is None:
            continue
        if run.state not in MARKS.get(row[0], set()):
            yield f"{name} is {run.state}, its row {row!r}"
        if run.score and run.score.removesuffix(" %") not in row:
            yield f"{name} has {run.score}, its row {row!r}"


def _browser(seen: Seen, runs: dict[str, RunInfo], camp: Camp) -> Iterator[str]:
    for name, row in seen.rows.items():
        run = runs.get(name)
        if run is None:
            yield f"{name} is listed and gone"
        elif (row["state"], row["accuracy"]) != (run.state, run.score):
            yield f"{name} is {run.state} with {run.score!r}, its row says {row['state']} and {row['accuracy']!r}"
        elif not run.alive and row["progress"] != run.progress:
            yield f"{name} has come to {run.progress}, its row says {row['progress']}"


def _queue(seen: Seen, runs: dict[str, RunInfo], camp: Camp) -> Iterator[str]:
    queue = RunQueue(camp.path / "runs").read()
    names = [one.name for one in queue]
    if list(seen.rows) != names:
        yield f"shows {list(seen.rows)}, the queue has {names}"
    said = next(iter(re.findall(r"queue +(\d+) waiting", seen.text)), None)
    count = sum(row["state"] not in GOING for row in seen.rows.values())
    if seen.rows and said != str(count):
        yield f"says {said} waiting, lists {count}"
    for one in queue:
        row = seen.rows.get(one.name)
        if row is None:
            continue
        run = runs.get(one.name)
        going = row["state"] in GOING
        if going != (one.state == "running") and seen.here != one.name:
            yield f"{one.name} is {one.state}, its row says {row['state']}"
        if run is not None and going and run.state == "paused" != row["state"]:
            yield f"{one.name} is paused, its row says {row['state']}"


def _compared(seen: Seen, runs: dict[str, RunInfo], camp: Camp) -> Iterator[str]:
    states, best = seen.rows.get("state", {}), seen.rows.get("best accuracy", {})
    for letter, name in zip("ABCDEFGH", seen.compared, strict=False):
        run, said = runs.get(name), states.get(letter)
        if said is None:
            continue
        if said != ("deleted" if run is None else run.state):
            yield f"{name} is {run and run.state}, its column says {said}"
        if run is not None and run.score and run.score.removesuffix(" %") not in best.get(letter, ""):
            yield f"{name} has {run.score}, its column says {best.get(letter)}"


def _title(title: str, seen: Seen, runs: dict[str, RunInfo]) -> Iterator[str]:
    if found := re.match(r"\S (\S+): (\w+)", title):
        run = runs.get(found[1])
        if run is not None and run.name == seen.here and run.state != found[2]:
            yield f"{run.name} is {run.state}, the window's title says {title!r}"


def _notices(seen: Seen, runs: dict[str, RunInfo]) -> Iterator[str]:
    for notice in seen.notices:
        for run in runs.values():
            if f"{run.name} is going on" in notice and not run.alive and seen.here != run.name:
                yield f"{run.name} is {run.state}, a notice says {notice!r}"


def _run(seen: Seen, runs: dict[str, RunInfo], camp: Camp) -> Iterator[str]:
    name, state = seen.head
    run = runs.get(name)
    if run is None:
        if name in {folder.name for folder in list_runs(camp.path / "runs")}:
            yield f"{name} is shown and cannot be read"
        return
    if run.state not in ON_THE_WAY.get(state, {state}):
        yield f"{name} is {run.state}, its head says {state}"
    offered = {action for _, _, action in seen.keys}
    for action in ("stop", "pause", "evaluate"):
        if action in offered and not run.alive and seen.here != name:
            yield f"{name} is {run.state}, {action} is offered"
    if "resume" in offered and run.alive:
        yield f"{name} is {run.state}, resume is offered"


def whole_lines(desk: Desk) -> list[str]:
    """Nothing runs over the edge, and a question says all of its words."""
    seen = desk.look()
    if seen is None:
        return []
    wrong = [f"over the edge: {line!r}" for line in seen.text.splitlines() if len(line) > seen.size[0]]
    shown = " ".join(seen.text.split())
    bare = re.sub(r"[^\w%]", "", shown)
    for part in seen.dialog:
        if re.sub(r"[^\w%]", "", part) not in bare and seen.screen != "CommandPalette":
            wrong.append(f"the question {part!r} is not whole on the screen")
    if seen.problem:
        wrong.append(seen.problem)
    return wrong


def lists_agree(camp: Camp, listed: Ended, shown: dict[str, Ended]) -> list[str]:
    """``runs --json`` and ``show --json`` say alike, of runs that nobody works on."""
    if listed.code:
        return [f"runs --json ended with {listed.code}: {listed.err}"]
    rows = {row["run"]: row for row in json.loads(listed.out)}
    wrong = []
    for name, ended in shown.items():
        row, run = rows.get(name), runs_of(camp).get(name)
        if ended.code or row is None or run is None or run.alive:
            continue
        told = json.loads(ended.out)
        if told["state"] != row["state"]:
            wrong.append(f"{name}: runs says {row['state']}, show {told['state']}")
        if told["iteration"] != row["iteration"]:
            wrong.append(f"{name}: runs says iteration {row['iteration']}, show {told['iteration']}")
        mean = (told.get("accuracy") or {}).get("mean")
        if mean != row["accuracy"]:
            wrong.append(f"{name}: runs says accuracy {row['accuracy']}, show {mean}")
    return wrong


# ---- the folders


def no_traceback(camp: Camp) -> list[str]:
    """Nothing ended in an error nobody foresaw."""
    found = [*camp.path.glob("runs/*/traceback.txt"), *camp.path.glob("**/crashes/*")]
    said = [path for path in camp.path.glob("said/*") if "Traceback" in path.read_text(errors="replace")]
    return [
        f"{path.name}: {path.read_text(errors='replace')[-600:]}"
        for path in {*found, *said}
        if path.is_file() and path.stat().st_size
    ]


def ends_are_whole(camp: Camp, *, killed: bool) -> list[str]:
    """A done run has its result, a stopped one what it goes on from; what waits is in the queue, once.

    Args:
        killed: a process was, perhaps between making a run that is to wait and writing that down.
    """
    wrong = []
    kept = json.loads(queue.read_text()) if (queue := camp.path / "runs" / ".queue.json").exists() else {"runs": []}
    if len(set(kept["runs"])) < len(kept["runs"]):
        wrong.append(f"twice in the queue: {kept['runs']}")
    for name, run in runs_of(camp).items():
        if run.alive or not free(run.folder.path):
            continue
        result = run.folder.result()
        if run.state == "done":
            if result is None or result.get("state") != "done":
                wrong.append(f"{name} is done and its result says {result and result.get('state')}")
            elif run.iteration != run.iterations:
                wrong.append(f"{name} is done at {run.progress}")
            if run.live:
                wrong.append(f"{name} is done and its accuracy is a live one")
        if run.state == "stopped" and 0 < run.iteration < run.iterations:
            newest = max(
                (int(each.stem.split("-")[1]) for each in run.folder.checkpoints.glob("*.safetensors")), default=-1
            )
            if newest != run.iteration:
                wrong.append(f"{name} was stopped at {run.iteration}, its newest checkpoint is of {newest}")
        if run.state == "queued" and name not in kept["runs"] and not killed:
            wrong.append(f"{name} is queued and not in the queue's file")
    return wrong


@dataclass
class Computed:
    """How far every run had come: it is lost only in a word of its journal."""

    readers: dict[str, JournalReader] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)

    def kept_all(self, camp: Camp) -> list[str]:
        """Iterations follow one another, and a run goes on from its newest checkpoint."""
        wrong = []
        for folder in list_runs(camp.path / "runs"):
            wrong += [f"{folder.name}: {each}" for each in self._of(folder)]
        return wrong

    def _of(self, folder: RunFolder) -> Iterator[str]:
        name = folder.name
        reader = self.readers.setdefault(name, JournalReader(folder.journal_path))
        for record in reader.poll():
            event, at = record.event, self.at.get(name, 0)
            if isinstance(event, CheckpointWritten):
                self.kept[name] = event.iteration
            elif isinstance(event, RunStarted):
                if (event.resumed_from or 0) < self.kept.get(name, 0):
                    yield f"goes on from {event.resumed_from} though {self.kept[name]} was kept"
                self.at[name] = event.resumed_from or 0
            elif isinstance(event, Recovered):
                self.at[name] = self.kept[name] = event.iteration
            elif isinstance(event, Lengthened):
                pass
            elif isinstance(event, Iteration):
                if event.iteration != at + 1:
                    yield f"iteration {event.iteration} follows {at}"
                self.at[name] = event.iteration


def said_well(name: str, ended: Ended) -> list[str]:
    """A command ends with a code that is documented, and where that is not 0 with a sentence."""
    wrong = []
    if ended.code not in EXITS:
        wrong.append(f"{name} ended with {ended.code}: {ended.err[-800:]}")
    if ended.code and not (ended.err.strip() or ended.out.strip()):
        wrong.append(f"{name} ended with {ended.code} and without a word")
    if "Traceback" in ended.err:
        wrong.append(f"{name}: {ended.err[-1500:]}")
    return wrong


def parted_well(desk: Desk) -> list[str]:
    """A dashboard that has closed said why, and has no traceback."""
    if desk.running:
        return []
    said = bytes(desk.said).decode(errors="replace")
    wrong = [said[-1500:]] if "Traceback" in said else []
    if desk.code not in EXITS | {-signal.SIGKILL, -signal.SIGTERM}:
        wrong.append(f"a dashboard ended with {desk.code}: {said[-800:]}")
    return wrong


def written(path: Path) -> None:
    """Make a folder's preset of runs that take a few seconds."""
    import tomli_w

    from tests.reach.places import SETTINGS

    values: dict[str, dict[str, object]] = {}
    own = {"objective.iterations": 120, "execution.checkpoint_every": 25, "evaluation.every": 40}
    for key, value in (SETTINGS | own).items():
        section, name = key.split(".")
        values.setdefault(section, {})[name] = value
    path.mkdir(parents=True, exist_ok=True)
    (path / "tiny.toml").write_text(tomli_w.dumps({"extends": "digits-ipc1", "summary": "seconds", **values}))
