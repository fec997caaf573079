"""A run interrupted anywhere and continued ends in the bits of one that was left alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import dump
from engine.config.schema import Config
from engine.errors import DataError, RunLocked
from engine.events import Event, ExpertEpoch, RunStarted
from engine.runs.checkpoint import latest
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, read_all
from tests.distill.helpers import MOMENTS, Place, Watch, iterations_of, outcome, quickly, tiny

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"information__weight": 0.0, "objective__step_size_rate": 0.0, "augmentation__strategy": "none"},
    "information": {},
    "everything": {
        "data__validation": 0.15,
        "data__zca": True,
        "objective__batch_size": 4,
        "information__synthetic_network": "attached",
        "information__scaling": "raw",
        "information__loss": "nce",
        "information__real_network": "last",
        "information__augment": "independent",
    },
    "noise": {
        "synthetic__init": "noise",
        "synthetic__images_per_class": 2,
        "objective__batch_size": 7,
        "information__critic_optimizer": "sgd",
        "information__real_network": "fresh",
        "evaluation__every": 0,
    },
    "labels": {
        "synthetic__labels": "softmax",
        "objective__batch_size": 4,
        "information__synthetic_network": "attached",
    },
}
FAST = "everything"


class Killed(BaseException):
    """An end nobody handles."""


@dataclass
class Reference:
    """A run left alone, and what was on the disk, and what had been heard, at every moment of it."""

    config: Config
    outcome: dict[str, Any]
    copies: dict[str, Place]
    heard: dict[str, list[Event]]


def reference(config: Config, path: Path) -> Reference:
    """Runs to the end; takes a copy of everything at every moment that comes."""
    place, copies, heard = Place(path / "whole"), {}, {}

    def look(watch: Watch) -> None:
        for number, (name, comes) in enumerate(MOMENTS.items()):
            if comes(watch):
                copies[name] = place.copy(path / f"killed{number}")
                heard[name] = list(watch.events)

    place.start(config, Watch(act=look))
    return Reference(config, outcome(place), copies, heard)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly():
        yield


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    """Filled by the first test that needs a variant."""
    return {}


def known(references: dict[str, Reference], variant: str, factory: pytest.TempPathFactory) -> Reference:
    if variant not in references:
        references[variant] = reference(tiny(**VARIANTS[variant]), factory.mktemp(variant))
    return references[variant]


def live(events: list[Event]) -> RunHistory:
    history = RunHistory()
    for event in events:
        history.apply(event)
    return history


def once_each(place: Place, before: list[Event], after: list[Event], iterations: int) -> None:
    """No reader shows an iteration twice: not of the journal, not live, not attached to the growing file."""
    wanted = list(range(1, iterations + 1))
    journal = place.folder / "journal.jsonl"
    assert iterations_of([record.event for record in read_all(journal)]) == wanted
    for history in (live(before + after), RunHistory.of(JournalReader(journal).poll())):
        assert history.series["objective"].iterations == wanted
        for series in history.series.values():
            assert len(set(series.iterations)) == len(series.iterations)
            assert series.iterations == sorted(series.iterations)
        keys = [(e.subject, e.iteration) for e in history.evaluations]
        assert len(set(keys)) == len(keys)
        assert history.state == "done"


def killed(known: Reference, moment: str) -> None:
    place, watch = known.copies[moment], Watch()
    place.resume(watch)
    assert outcome(place) == known.outcome
    once_each(place, known.heard[moment], watch.events, known.config.objective.iterations)


def stopped(known: Reference, moment: str, path: Path, how: str) -> None:
    """Interrupted from within: by a stop, which is obeyed at the next tick, or by an exception nobody handles."""
    place = Place(path)

    def interrupt(watch: Watch) -> None:
        if MOMENTS[moment](watch):
            if how == "raised":
                raise Killed
            watch.request("stop")

    first, second = Watch(act=interrupt), Watch()
    if how == "raised":
        with pytest.raises(Killed):
            place.start(known.config, first)
    else:
        result = place.start(known.config, first)
        # Where the last iterate is the best it is measured once: a stop after that finds nothing left to do.
        over = moment == "between the final evaluations" and known.config.evaluation.every == 0
        assert result["state"] == ("done" if over else "stopped")
        done = iterations_of(first.events)
        if first.phase == "distill":
            found = latest(place.folder)
            assert found is not None
            assert found.iteration == (done[-1] if done else 0), "a stop keeps every iteration there is"
    place.resume(second)
    assert outcome(place) == known.outcome
    once_each(place, first.events, second.events, known.config.objective.iterations)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_anywhere(
    moment: str, references: dict[str, Reference], tmp_path_factory: pytest.TempPathFactory
) -> None:
    killed(known(references, FAST, tmp_path_factory), moment)


@pytest.mark.long
@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != FAST])
def test_killed_anywhere_in_every_kind_of_run(variant: str, tmp_path: Path) -> None:
    found = reference(tiny(**VARIANTS[variant]), tmp_path)
    assert len(found.copies) >= 12
    for moment in found.copies:
        killed(found, moment)


@pytest.mark.parametrize(
    ("moment", "how"),
    [
        ("within an expert's epoch", "stopped"),
        ("live evaluation", "stopped"),
        ("within an iteration past a checkpoint", "stopped"),
        ("within an iteration past a checkpoint", "raised"),
    ],
)
def test_interrupted_from_within(
    moment: str, how: str, tmp_path: Path, references: dict[str, Reference], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stopped(known(references, FAST, tmp_path_factory), moment, tmp_path, how)


@pytest.mark.long
@pytest.mark.parametrize("how", ["stopped", "raised"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_from_within_anywhere(variant: str, how: str, tmp_path: Path) -> None:
    found = reference(tiny(**VARIANTS[variant]), tmp_path / "reference")
    for number, moment in enumerate(found.copies):
        if number % 2 != ("stopped", "raised").index(how):
            continue  # the other half of the moments is the other way's
        stopped(found, moment, tmp_path / str(number), how)


def test_killed_again_and_again(tmp_path: Path) -> None:
    """Process after process dies, some before they came to a checkpoint of their own."""
    config = tiny(objective__iterations=4, execution__checkpoint_every=2, evaluation__every=2)
    whole, place = Place(tmp_path / "whole"), Place(tmp_path / "torn")
    whole.start(config)
    events: list[Event] = []

    def die(after: int) -> Watch:
        def act(watch: Watch) -> None:
            if watch.after(kind="iteration", iteration=after) and watch.ticks == 1:
                raise Killed

        return Watch(act=act)

    first = die(1)
    with pytest.raises(Killed):
        place.start(config, first)
    events += first.events
    for after in (1, 3, 3):
        watch = die(after)
        with pytest.raises(Killed):
            place.resume(watch)
        events += watch.events
    last = Watch()
    place.resume(last)
    assert outcome(place) == outcome(whole)
    once_each(place, events, last.events, 4)
    assert [e.resumed_from for e in events + last.events if isinstance(e, RunStarted)] == [None, 0, 0, 2, 2]


def test_experts_are_taken_up_where_they_were(tmp_path: Path) -> None:
    """Not only the same bits: epochs that were done are not done again."""
    place = Place(tmp_path)

    def stop(watch: Watch) -> None:
        if MOMENTS["within an expert's epoch"](watch):
            watch.request("stop")

    first, second = Watch(act=stop), Watch()
    place.start(tiny(), first)
    place.resume(second)
    epochs = [(e.expert, e.epoch, e.reused) for e in first.events + second.events if isinstance(e, ExpertEpoch)]
    assert epochs == [
        (0, 1, False), (0, 2, False), (0, 3, False), (1, 1, False),
        (0, 3, True), (1, 2, False), (1, 3, False),
    ]  # fmt: skip
    assert [e.again for e in first.events + second.events if isinstance(e, RunStarted)] == [False, True]
    history = RunHistory.load(place.folder / "journal.jsonl")
    assert [each.loss.iterations for each in history.experts.values()] == [[1, 2, 3], [1, 2, 3]], "of both sittings"
    starts = [line.text for line in history.log if line.text.startswith("run ")]
    assert [", begun again: " in text for text in starts] == [False, True]
    assert "stopped on request" in " ".join(line.text for line in history.log)


def test_a_damaged_checkpoint_costs_time_and_nothing_else(
    references: dict[str, Reference], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    found = known(references, FAST, tmp_path_factory)
    place = Place(tmp_path / "damaged")
    place.start(
        found.config, Watch(act=lambda w: w.request("stop") if w.after(kind="iteration", iteration=5) else None)
    )
    newest = latest(place.folder)
    assert newest is not None
    assert newest.iteration == 5
    data = bytearray(newest.path.read_bytes())
    data[-3] ^= 1
    newest.path.write_bytes(data)
    watch = Watch()
    place.resume(watch)
    assert [e.resumed_from for e in watch.events if isinstance(e, RunStarted)] == [4]
    assert any("was not used" in getattr(event, "message", "") for event in watch.events)
    assert outcome(place) == found.outcome


def test_a_run_without_a_whole_checkpoint_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.start(tiny(), Watch(act=lambda w: w.request("stop") if w.after(kind="iteration", iteration=1) else None))
    for path in (place.folder / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"every checkpoint .* is damaged"):
        place.resume()


def test_a_finished_run_gives_its_result_again(tmp_path: Path) -> None:
    place, watch = Place(tmp_path), Watch()
    result = place.start(tiny(objective__iterations=1))
    before = (place.folder / "journal.jsonl").read_bytes()
    assert place.resume(watch) == result
    assert watch.events == []
    assert (place.folder / "journal.jsonl").read_bytes() == before


def test_a_run_at_work_is_not_resumed(tmp_path: Path) -> None:
    """Another resume is refused, at every phase, and does no harm to the one at work."""
    place, refused = Place(tmp_path), []

    def second(watch: Watch) -> None:
        if watch.after(kind="phase") and watch.ticks == 0:
            with pytest.raises(RunLocked):
                place.resume()
            refused.append(watch.phase)

    assert place.start(tiny(objective__iterations=2), Watch(act=second))["state"] == "done"
    assert refused == ["data", "experts", "baselines", "distill", "evaluate"]


def test_the_same_settings_give_the_same_bits(
    references: dict[str, Reference], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    found = known(references, FAST, tmp_path_factory)
    place = Place(tmp_path)
    place.start(found.config)
    assert outcome(place) == found.outcome


def test_different_seeds_differ_but_share_experts_and_baselines(tmp_path: Path) -> None:
    first = Place(tmp_path)
    first.start(tiny(objective__iterations=2))
    found = outcome(first)
    (first.path / "runs").rename(tmp_path / "earlier")
    watch = Watch()
    first.start(tiny(objective__iterations=2, seed=1), watch)
    other = outcome(first)
    assert other["best"] != found["best"]
    assert other["last"] != found["last"]
    assert all(a["objective"] != b["objective"] for a, b in zip(found["iterations"], other["iterations"], strict=True))
    assert [e.reused for e in watch.events if isinstance(e, ExpertEpoch)] == [True, True]
    for baseline in ("random_selection", "full_set"):
        assert other["result"][baseline] == found["result"][baseline]


def test_pausing_and_asking_change_nothing(
    references: dict[str, Reference], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """A pause in every phase, evaluations and checkpoints on request: the result is that of a run left alone."""
    found = known(references, FAST, tmp_path_factory)
    place, paused = Place(tmp_path), []

    def disturb(watch: Watch) -> None:
        if watch.ticks == 2 and watch.phase not in paused and not watch.paused:
            paused.append(watch.phase)
            watch.request("pause")
        elif watch.after(kind="state", state="paused") and watch.ticks == 0:
            watch.request("resume")
        if watch.after(kind="iteration") and watch.ticks == 1:
            watch.request("evaluate")
            watch.request("checkpoint")

    watch = Watch(act=disturb)
    place.start(found.config, watch)
    assert {"experts", "baselines", "distill", "evaluate"} <= set(paused)
    assert len([e for e in watch.events if getattr(e, "state", "") == "paused"]) == len(paused)
    asked = [e for e in watch.events if getattr(e, "subject", "") == "request"]
    assert len(asked) >= 3
    assert {e.selected_on for e in asked} == {"none"}  # type: ignore[attr-defined]
    checkpoints = [e.iteration for e in watch.events if e.kind == "checkpoint"]  # type: ignore[attr-defined]
    assert len(checkpoints) > 3
    assert outcome(place) == found.outcome


CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from engine import run
from engine.config.load import load_config
from engine.evaluation.protocols import PROTOCOLS
from engine.events import Iteration

PROTOCOLS["quick-100"] = replace(PROTOCOLS["quick-100"], epochs=6, falls=((3, 0.1),))

def hear(event):
    if isinstance(event, Iteration):
        print(event.iteration, flush=True)

path = Path(sys.argv[1])
config = load_config(path / "config.toml")
run.start(config, runs_dir=path / "runs", name="one", cache_dir=path / "cache", observer=hear)
"""


@pytest.mark.long
def test_kill_9(tmp_path: Path) -> None:
    """A real process, really killed in the middle of an iteration; then resumed in another one."""
    config = tiny(objective__iterations=40, execution__checkpoint_every=4)
    whole, place = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    whole.start(config)
    place.path.mkdir()
    (place.path / "config.toml").write_text(dump(config))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(place.path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = 0
    while said < 10:
        said = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    torn = iterations_of([record.event for record in read_all(place.folder / "journal.jsonl")])
    assert 10 <= torn[-1] < 40
    watch = Watch()
    assert place.resume(watch)["state"] == "done"
    assert iterations_of(watch.events)[0] <= torn[-1] + 1
    assert outcome(place) == outcome(whole)
    assert RunHistory.of(JournalReader(place.folder / "journal.jsonl").poll()).series["objective"].iterations == list(
        range(1, 41)
    )


@pytest.mark.parametrize("end", ["stopped", "raised"])
def test_interrupted_at_any_tick_of_an_iteration(end: str, tmp_path: Path) -> None:
    """Forward, backward, through the attached student, in the critic's warm-up: what a stop keeps was not begun."""
    config = tiny(
        objective__iterations=2,
        information__synthetic_network="attached",
        evaluation__every=0,
        evaluation__random_draws=0,
        evaluation__networks=1,
    )
    whole, ticks = Place(tmp_path / "whole"), [0]

    def count(watch: Watch) -> None:
        if watch.phase == "distill" and watch.ticks:
            ticks[0] += 1

    whole.start(config, Watch(act=count))
    expected = outcome(whole)
    assert ticks[0] >= 8
    for at in range(1 if end == "stopped" else 3, ticks[0] + 1, 4):
        place, left = Place(tmp_path / str(at)), [at]
        shutil.copytree(whole.cache, place.cache)

        def interrupt(watch: Watch, left: list[int] = left) -> None:
            if watch.phase == "distill" and watch.ticks:
                left[0] -= 1
                if left[0] == 0:
                    if end == "raised":
                        raise Killed
                    watch.request("stop")

        if end == "raised":
            with pytest.raises(Killed):
                place.start(config, Watch(act=interrupt))
        else:
            assert place.start(config, Watch(act=interrupt))["state"] == "stopped"
        place.resume()
        assert outcome(place) == expected, f"tick {at}"
