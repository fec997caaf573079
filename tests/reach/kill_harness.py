"""Kills real runs with SIGKILL at random moments, continues them, and compares what they end in.

    python -m tests.reach.kill_harness --kills 50 --seed 0

The moments are uniform over the time that an undisturbed run spends in each stratum (data, experts, baselines,
compile, iteration, evaluation, checkpoint), and the strata take turns, so that the short ones are hit as often
as the long ones. A run is killed one to three times; its end is compared with that of the undisturbed run:
every iteration's numbers, every evaluation, the result, the fingerprints of the distilled sets, and the journal.

Every life of a run is a child forked from this process, which has loaded torch and done nothing with it: it
has one thread, which is checked, so that a fork copies everything there is. ``--fresh`` makes the undisturbed
run in a new interpreter instead, which shows that the forks compute the same.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from engine import judge, record
from engine.config.schema import Config
from engine.evaluation.evaluate import evaluate_on
from engine.events import Event, Phase
from engine.runs import checkpoint
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, read_all
from tests.distill.helpers import Place, Watch, iterations_of, outcome, quickly, tiny

STRATA = {
    "data": "data",
    "experts": "experts",
    "baselines": "baselines",
    "compile": "compile",
    "distill": "iteration",
    "evaluate": "evaluation",
}
"""Stratum in which a phase begins; within the loop evaluations and checkpoints have their own."""

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
"""Read when torch is loaded: the harness starts itself anew where they are not all 1."""

ITERATIONS = 12
LIFETIME = 300.0
"""Seconds after which a run that says nothing counts as hanging."""

Say = Callable[[str], None]


def configuration(compiled: bool) -> Config:
    """A run of a few seconds in which everything happens."""
    return tiny(
        data__validation=0.15,
        objective__iterations=ITERATIONS,
        objective__batch_size=4,
        information__synthetic_network="attached",
        execution__checkpoint_every=2,
        execution__compile="on" if compiled else "off",
    )


# ---- a life of a run: the child


@dataclass
class Target:
    """Kill so many seconds after the ``occurrence``-th time (from 1) that the stratum is entered."""

    stratum: str
    occurrence: int
    seconds: float


def kill_me_in(seconds: float) -> None:
    """Have the kernel send this process SIGKILL, to the microsecond; another process would be late by more than
    a checkpoint takes. (Linux: a POSIX timer may send any signal.)"""

    class Event(ctypes.Structure):
        _fields_ = (
            ("value", ctypes.c_void_p),
            ("number", ctypes.c_int),
            ("kind", ctypes.c_int),
            ("_", ctypes.c_char * 48),
        )

    libc = ctypes.CDLL(None, use_errno=True)
    event, timer = Event(None, signal.SIGKILL, 0), ctypes.c_void_p()
    if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
        raise OSError(ctypes.get_errno(), "timer_create")
    once = (ctypes.c_long * 4)(0, 0, int(seconds), max(1, int(seconds % 1 * 1e9)))
    if libc.timer_settime(timer, 0, ctypes.byref(once), None):
        raise OSError(ctypes.get_errno(), "timer_settime")


class Speaker:
    """Tells the parent in which stratum the run is, and arms the kill where the target is reached."""

    def __init__(self, writing: int, target: Target | None) -> None:
        self._writing = writing
        self._target = target
        self._entered = 0

    def __call__(self, stratum: str) -> None:
        os.write(self._writing, stratum.encode() + b"\n")
        if self._target is not None and stratum == self._target.stratum:
            self._entered += 1
            if self._entered == self._target.occurrence:
                kill_me_in(self._target.seconds)


@contextmanager
def marked(say: Say) -> Iterator[Callable[[Watch], None]]:
    """Say in which stratum the run is, whenever that changes; yields what has to see the events."""
    phase = ["data"]

    def within(stratum: str, function: Any) -> Any:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            say(stratum)
            try:
                return function(*arguments, **named)
            finally:
                say(phase[0])

        return wrapper

    def see(watch: Watch) -> None:
        last: Event | None = watch.events[-1] if watch.events else None
        if isinstance(last, Phase) and watch.ticks == 0:
            phase[0] = STRATA[last.name]
            say(phase[0])

    with (
        mock.patch.object(record, "save", within("checkpoint", checkpoint.save)),
        mock.patch.object(judge, "evaluate_on", within("evaluation", evaluate_on)),
    ):
        yield see


def live(place: Place, config: Config, say: Say) -> None:
    """Begin the run, or continue it, and stay with it to its end."""
    with quickly(), marked(say) as see:
        watch = Watch(act=see)
        say("data")
        document = place.resume(watch) if place.folder.exists() else place.start(config, watch)
    if document["state"] != "done":
        raise RuntimeError(f"the run ended as {document['state']}")


# ---- killing it: the parent


def load_what_a_run_loads(path: Path, config: Config) -> None:
    """Import here, once, every module that a run imports on its way: most of its time would go into that."""
    child = os.fork()
    if child == 0:
        live(Place(path), config, lambda mark: None)
        (path / "modules.json").write_text(json.dumps(list(sys.modules)))
        os._exit(0)
    os.waitpid(child, 0)
    for name in json.loads((path / "modules.json").read_text()):
        with suppress(ImportError, AttributeError):
            importlib.import_module(name)


@dataclass
class Life:
    """What was seen of a child. ``marks`` are (stratum, seconds since its start), the last one its end."""

    marks: list[tuple[str, float]] = field(default_factory=list)
    code: int = 0

    @property
    def killed(self) -> bool:
        """Whether it ended as it was meant to."""
        return self.code == -signal.SIGKILL


def fork_and_watch(place: Place, config: Config, target: Target | None) -> Life:
    """One life of the run, to its end or to the target."""
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208
        raise RuntimeError("this process has more than one thread, and must not be forked")
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            live(place, config, Speaker(writing, target))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    try:
        return _watched(child, reading)
    finally:
        os.close(reading)


def _watched(child: int, reading: int) -> Life:
    life, began, rest = Life(), time.monotonic(), b""
    while True:
        if not select.select([reading], [], [], LIFETIME)[0]:
            os.kill(child, signal.SIGKILL)
            raise RuntimeError(f"the run hangs; it was last seen in {life.marks[-1:]}")
        data = os.read(reading, 4096)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        life.marks += [(line.decode(), time.monotonic() - began) for line in lines]
    _, status = os.waitpid(child, 0)
    life.code = os.waitstatus_to_exitcode(status)
    life.marks.append(("end", time.monotonic() - began))
    return life


def spans(life: Life) -> dict[str, list[float]]:
    """Of every stratum the seconds of each time it was entered."""
    out: dict[str, list[float]] = {}
    for (stratum, begun), (_, ended) in zip(life.marks, life.marks[1:], strict=False):
        out.setdefault(stratum, []).append(ended - begun)
    return out


def aim(stratum: str, seconds: list[float], chance: random.Random) -> Target:
    """A moment uniform over all the time spent in a stratum."""
    at = chance.uniform(0, sum(seconds))
    for occurrence, length in enumerate(seconds, start=1):
        if at <= length:
            return Target(stratum, occurrence, at)
        at -= length
    return Target(stratum, len(seconds), seconds[-1])


# ---- comparing


def differences(place: Place, expected: dict[str, Any]) -> list[str]:
    """What distinguishes a finished run from the undisturbed one; [] where nothing does."""
    found = outcome(place)
    wrong = [name for name in expected if found[name] != expected[name]]
    journal = place.folder / "journal.jsonl"
    reader = JournalReader(journal)
    records = reader.poll()
    wanted = list(range(1, ITERATIONS + 1))
    if iterations_of([each.event for each in read_all(journal)]) != wanted:
        wrong.append("journal: an iteration is missing or told twice")
    if RunHistory.of(records).series["objective"].iterations != wanted:
        wrong.append("history: an iteration is missing or shown twice")
    if [each.sequence for each in records] != list(range(1, len(records) + 1)):
        wrong.append("journal: a sequence number is missing")
    if reader.damaged:
        wrong.append(f"journal: {reader.damaged} damaged lines")
    if left := [path.name for path in place.folder.rglob("*.part")]:  # the cache's may be another run's at work
        wrong.append(f"left half-written: {', '.join(left)}")
    return wrong


@dataclass
class Tally:
    """What the harness found."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    mismatches: list[str] = field(default_factory=list)


def undisturbed(path: Path, config: Config, *, fresh: bool, compiled: bool) -> tuple[dict[str, Any], Life]:
    """Outcome and timing of the run that nobody kills."""
    load_what_a_run_loads(path / "modules", config)
    life = fork_and_watch(Place(path / "whole"), config, None)
    if life.code != 0:
        raise RuntimeError("the undisturbed run failed")
    expected = outcome(Place(path / "whole"))
    if fresh:
        command = [sys.executable, "-m", "tests.reach.kill_harness", "--undisturbed", str(path / "fresh")]
        subprocess.run([*command, *(["--compile"] if compiled else [])], check=True)
        if outcome(Place(path / "fresh")) != expected:
            raise RuntimeError("a forked run and one in a new interpreter differ")
    return expected, life


def harness(path: Path, kills: int, seed: int, *, compiled: bool = False, fresh: bool = False) -> dict[str, Any]:
    """Kill ``kills`` times; the summary, with a sentence for every mismatch."""
    config, chance, tally = configuration(compiled), random.Random(seed), Tally()
    began = time.monotonic()
    expected, whole = undisturbed(path, config, fresh=fresh, compiled=compiled)
    times = {stratum: seconds for stratum, seconds in spans(whole).items() if stratum != "end"}
    while sum(tally.kills.values()) < kills:
        tally.runs += 1
        place = Place(path / f"run{tally.runs}")
        wanted = min(chance.randint(1, 3), kills - sum(tally.kills.values()))
        while True:
            target = None
            if wanted > 0:
                stratum = min(times, key=lambda name: (tally.kills[name], chance.random()))
                target = aim(stratum, times[stratum], chance)
            life = fork_and_watch(place, config, target)
            if life.killed:
                tally.kills[life.marks[-2][0] if len(life.marks) > 1 else "data"] += 1
                wanted -= 1
                continue
            if target is not None:
                tally.missed += 1  # what was aimed at did not come any more
            break
        if life.code != 0:
            tally.mismatches.append(f"run {tally.runs} failed when it was continued")
        else:
            tally.mismatches += [f"run {tally.runs}: {wrong}" for wrong in differences(place, expected)]
        with suppress(OSError):
            if not tally.mismatches:
                subprocess.run(["rm", "-rf", str(place.path)], check=False)
    return {
        "kills": sum(tally.kills.values()),
        "by_stratum": dict(sorted(tally.kills.items())),
        "not_hit": sorted(set(times) - set(tally.kills)),
        "runs": tally.runs,
        "ended_before_the_kill": tally.missed,
        "mismatches": tally.mismatches,
        "iterations_a_run": ITERATIONS,
        "seconds_in_stratum_undisturbed": {name: round(sum(spent), 4) for name, spent in times.items()},
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    """Command line; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="compiled runs, with kills while they compile")
    parser.add_argument("--fresh", action="store_true", help="make the undisturbed run in a new interpreter too")
    parser.add_argument("--undisturbed", type=Path, metavar="DIR", help="only make the undisturbed run, in DIR")
    options = parser.parse_args()
    if options.undisturbed is not None:
        live(Place(options.undisturbed), configuration(options.compile), lambda mark: None)
        return 0
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "tests.reach.kill_harness", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="mim4dd-kills-") as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(folder) / "inductor")
        summary = harness(Path(folder), options.kills, options.seed, compiled=options.compile, fresh=options.fresh)
    print(json.dumps(summary, indent=2))
    return 1 if summary["mismatches"] else 0


if __name__ == "__main__":
    sys.exit(main())
