"""A disk that refuses what a run keeps beside its journal: said, tried again, and without a trace in the result."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import saving
from engine.artifact import load_artifact
from engine.errors import RunFailed
from engine.events import CheckpointWritten, Event, Notice, Recovered, Snapshot
from engine.runs.checkpoint import latest
from engine.runs.journal import read_all
from engine.runs.status import Status
from tests.distill.helpers import Place, Watch, outcome, quickly, tiny
from tests.reliability.disk import Disk, failing
from tests.reliability.test_numbers import once_at, place, spoil

SMALL: dict[str, Any] = {
    "evaluation__random_draws": 0,
    "evaluation__networks": 1,
    "evaluation__every": 2,
    "execution__checkpoint_every": 2,
    "execution__snapshot_every": 2,
    "objective__iterations": 6,
}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly(2):
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experts shared by the runs of this file."""
    return tmp_path_factory.mktemp("refused") / "cache"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, Any]:
    """What a run comes to whose disk refuses nothing."""
    with quickly(2):
        made = place(tmp_path_factory.mktemp("whole"), cache)
        made.start(tiny(**SMALL))
        return outcome(made)


@contextmanager
def refusing(made: Place, what: str, when: Callable[[], bool], number: int = errno.ENOSPC) -> Iterator[Disk]:
    """A disk that takes nothing whose path holds ``what`` (a part of the run folder) while ``when`` says so."""
    with failing(made.path, number) as disk:
        disk.fails = lambda _: f"{made.folder.resolve()}/{what}" in disk.done[-1] and when()
        yield disk


def at(watch: Watch, *iterations: int) -> Callable[[], bool]:
    """While the run stands at one of these iterations."""
    return lambda: ([0, *(getattr(e, "iteration", 0) for e in watch.events if e.kind == "iteration")][-1]) in iterations


def refused(events: list[Event]) -> list[Notice]:
    return [event for event in events if isinstance(event, Notice) and event.refused == "checkpoint"]


def written(events: list[Event]) -> list[tuple[int, bool]]:
    """Iterations of the checkpoints that were written, and whether they were due."""
    return [(event.iteration, "-due" in event.path) for event in events if isinstance(event, CheckpointWritten)]


def asks(iteration: int, what: str = "checkpoint") -> Callable[[Watch], None]:
    return lambda watch: watch.request(what) if watch.after(kind="iteration", iteration=iteration) else None


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only")])
def test_one_that_was_asked_for_is_refused_in_words_and_the_run_goes_on(
    tmp_path: Path, cache: Path, whole: dict[str, Any], number: int, advice: str
) -> None:
    made = place(tmp_path, cache)
    watch = Watch(act=asks(3))
    with refusing(made, "checkpoints", at(watch, 3), number) as disk:
        assert made.start(tiny(**SMALL), watch)["state"] == "done"
    assert disk.failed
    (said,) = refused(watch.events)
    assert "no checkpoint was written at iteration 3: cannot write" in said.message
    assert advice in said.message
    assert "the run goes on" in said.message
    assert said in [record.event for record in read_all(made.folder / "journal.jsonl")]
    assert written(watch.events) == [(0, True), (2, True), (4, True), (6, True)]
    assert list(made.folder.rglob("*.part")) == []
    assert outcome(made) == whole


def test_one_that_is_due_is_tried_again_when_the_next_is(tmp_path: Path, cache: Path, whole: dict[str, Any]) -> None:
    made, watch = place(tmp_path, cache), Watch()
    with refusing(made, "checkpoints", at(watch, 2, 3)):
        assert made.start(tiny(**SMALL), watch)["state"] == "done"
    assert len(refused(watch.events)) == 1, "not at every iteration until then"
    assert written(watch.events) == [(0, True), (4, True), (6, True)]
    assert outcome(made) == whole


def test_one_that_was_due_and_refused_is_written_before_any_newer_one(
    tmp_path: Path, cache: Path, whole: dict[str, Any]
) -> None:
    """A run taken up from the newer one can then go back to it, as one that was never refused anything."""
    made = place(tmp_path, cache)

    class Killed(BaseException):
        pass

    def act(watch: Watch) -> None:
        asks(3)(watch)
        if watch.after(kind="checkpoint", iteration=3):
            raise Killed

    watch = Watch(act=act)
    with refusing(made, "checkpoints", at(watch, 2)), pytest.raises(Killed):
        made.start(tiny(**SMALL), watch)
    assert written(watch.events) == [(0, True), (2, True), (3, False)]
    due = latest(made.folder, due=True)
    assert due is not None
    assert due.iteration == 2
    second = Watch()
    made.resume(second)
    assert written(second.events) == [(4, True), (6, True)]
    assert outcome(made) == whole


@pytest.mark.parametrize("again", [False, True])
def test_a_run_goes_back_to_one_that_was_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Whether the disk had room does not decide where a run goes back to; nor does it where there still is none."""
    config = tiny(**{**SMALL, "execution__checkpoint_every": 3, "objective__iterations": 8})
    outcomes = []
    for name, where in (("roomy", ()), ("full", (3, 4, 5) if again else (3,))):
        made, watch = place(tmp_path / name, cache), Watch()
        with monkeypatch.context() as patch, refusing(made, "checkpoints", at(watch, *where)):
            spoil(patch, once_at(6))
            made.start(config, watch)
        assert len(refused(watch.events)) == (0 if not where else 2 if again else 1)
        assert [(e.failed, e.iteration) for e in watch.events if isinstance(e, Recovered)] == [(6, 3)]
        outcomes.append(outcome(made))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("way", ["first", "last", "stop"])
def test_one_that_cannot_be_done_without_ends_the_run_in_words(
    tmp_path: Path, cache: Path, whole: dict[str, Any], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of all, before which nothing can be lost; that of the last iterate; that of a stop, in the end."""
    monkeypatch.setattr(saving, "PATIENCE_SECONDS", 0.0)
    made = place(tmp_path, cache)
    watch = Watch(act=asks(3, "stop")) if way == "stop" else Watch()
    where = {"first": 0, "last": 6, "stop": 3}[way]
    with (
        refusing(made, "checkpoints", at(watch, where)),
        pytest.raises(RunFailed, match=r"cannot write .*: the disk is full") as failed,
    ):
        made.start(tiny(**SMALL), watch)
    assert failed.value.exit_code == 1
    status = Status.read(made.folder)
    assert status is not None
    assert (status.state, "the disk is full" in status.message) == ("failed", True)
    assert list(made.folder.rglob("*.part")) == []
    assert made.resume()["state"] == "done"
    assert outcome(made) == whole


@pytest.mark.parametrize(
    ("what", "told"), [("distilled", "sets of iteration 2"), ("snapshots", "picture of iteration 2")]
)
def test_sets_and_pictures_are_refused_in_words_too(
    tmp_path: Path, cache: Path, whole: dict[str, Any], what: str, told: str
) -> None:
    made, watch = place(tmp_path, cache), Watch()
    with refusing(made, what, at(watch, 2)):
        assert made.start(tiny(**SMALL), watch)["state"] == "done"
    (said,) = (event.message for event in watch.events if isinstance(event, Notice) and event.level == "warning")
    assert told in said
    assert "the disk is full" in said
    assert written(watch.events) == [(0, True), (2, True), (4, True), (6, True)]
    pictures = [event.iteration for event in watch.events if isinstance(event, Snapshot)]
    assert pictures == ([0, 4, 6] if what == "snapshots" else [0, 2, 4, 6])
    assert outcome(made) == whole


def test_sets_that_were_refused_are_written_at_a_stop(tmp_path: Path, cache: Path) -> None:
    """Also where the checkpoint of that iterate is there already."""
    made = place(tmp_path, cache)
    watch = Watch(act=lambda w: w.request("stop") if refused_sets(w.events) else None)
    left = [2]  # once, at iteration 2
    with refusing(made, "distilled", lambda: at(watch, 2)() and bool(left) and left.pop() == 2):
        assert made.start(tiny(**SMALL), watch)["state"] == "stopped"
    assert written(watch.events) == [(0, True), (2, True)]
    found = load_artifact(made.folder / "distilled" / "last.safetensors")
    assert found.provenance["iteration"] == 2


def refused_sets(events: list[Event]) -> bool:
    return any(isinstance(event, Notice) and "distilled sets" in event.message for event in events)


def test_a_run_that_stops_holds_what_the_disk_refuses_until_it_takes_it(
    tmp_path: Path, cache: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "RETRY_SECONDS", 0.01)
    made, watch, tries = place(tmp_path, cache), Watch(act=asks(3, "stop")), [0]

    def full() -> bool:
        tries[0] += at(watch, 3)()
        return at(watch, 3)() and tries[0] < 5

    with refusing(made, "checkpoints", full) as disk:
        assert made.start(tiny(**SMALL), watch)["state"] == "stopped"
    assert disk.failed
    (said,) = refused(watch.events)
    assert said.message.startswith("not stopped yet: no checkpoint was written at iteration 3: cannot write")
    assert written(watch.events)[-1] == (3, False)
    assert made.resume()["state"] == "done"
    assert outcome(made) == whole


def test_in_the_end_a_stop_that_the_disk_refuses_has_failed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(saving, "PATIENCE_SECONDS", 0.1)
    made, watch = place(tmp_path, cache), Watch(act=asks(3, "stop"))
    with refusing(made, "checkpoints", at(watch, 3)), pytest.raises(RunFailed, match="the disk is full"):
        made.start(tiny(**SMALL), watch)
    status = Status.read(made.folder)
    assert status is not None
    assert status.state == "failed"
