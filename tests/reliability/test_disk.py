"""A disk that fails in the middle of a run: words, nothing lost, and the same bits once it works again."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.errors import MimError
from engine.files import read_json_object
from engine.runs.checkpoint import latest
from engine.runs.journal import JournalReader, read_all
from engine.runs.lock import holder
from tests.distill.helpers import Place, Watch, iterations_of, outcome, quickly, tiny
from tests.reliability.disk import failing

SMALL: dict[str, Any] = {
    "data__zca": True,
    "experts__count": 1,
    "experts__epochs": 2,
    "objective__iterations": 3,
    "objective__max_start_epoch": 1,
    "evaluation__random_draws": 1,
    "evaluation__networks": 1,
    "evaluation__every": 2,
    "execution__checkpoint_every": 1,
    "execution__snapshot_every": 2,
}
NUMBERS = {"no space": errno.ENOSPC, "read-only": errno.EROFS, "input/output": errno.EIO}
ADVICE = {"no space": "free some space", "read-only": "mount it writable", "input/output": "check it before"}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly(2):
        yield


@dataclass
class Whole:
    """A run on a disk that works: what it came to, how many operations it took, and its caches."""

    outcome: dict[str, Any]
    operations: int
    place: Place


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    place = Place(tmp_path_factory.mktemp("whole"))
    with quickly(2), failing(place.path, 0) as disk:
        place.start(tiny(**SMALL))
    with quickly(2):
        return Whole(outcome(place), len(disk.done), place)


def attacked(path: Path, whole: Whole, kind: str, at: int, *, once: bool = False) -> bool:
    """Runs on a disk whose operation ``at`` fails, and all after it unless ``once``; resumes on one that works, and
    compares.

    Returns whether the fault ended the run (some, such as of the status file, are only told).
    """
    place, watch = Place(path), Watch()
    path.mkdir(parents=True)
    said = ""
    with failing(path, NUMBERS[kind], lambda now: now == at or (now > at and not once)) as disk:
        try:
            place.start(tiny(**SMALL), watch)
        except MimError as error:
            said = str(error)
    assert disk.failed, f"operation {at} was never reached"
    where = f"{kind}, operation {at}: {disk.done[at - 1]}"
    if said:
        assert ADVICE[kind] in said or "cannot be written" in said, where
        assert str(path) in said, where
    over = (read_json_object(place.folder / "result.json") or {}).get("state") == "done"
    if not place.folder.exists():  # refused before anything was made
        place.start(tiny(**SMALL))
    else:
        before = iterations_of([r.event for r in read_all(place.folder / "journal.jsonl")])
        found = latest(place.folder)
        kept = found.iteration if found is not None else 0
        assert len(before) - kept <= 2, f"{where}: more than the work since the last checkpoint was lost"
        second = Watch()
        place.resume(second)
        assert iterations_of(second.events)[:1] in ([kept + 1], []), where
    assert outcome(place) == whole.outcome, where
    if not over:  # of a run that was done there is nothing to resume: its claim is void with its process
        assert holder(place.folder) is None, where
        assert list(place.folder.rglob("*.part")) == [], where
    reader = JournalReader(place.folder / "journal.jsonl")
    reader.poll()
    assert reader.damaged == 0, where
    shutil.rmtree(path)
    return bool(said)


def samples(operations: int, count: int) -> list[int]:
    """Numbers spread over all operations."""
    return sorted({1 + round(k * (operations - 1) / (count - 1)) for k in range(count)})


@pytest.mark.parametrize(
    ("kind", "shift"),
    [("no space", 0), ("read-only", 7), pytest.param("input/output", 13, marks=pytest.mark.long)],
)
def test_a_disk_that_fails_from_some_moment_on(whole: Whole, tmp_path: Path, kind: str, shift: int) -> None:
    ended = [
        attacked(tmp_path / str(first), whole, kind, first + shift)
        for first in samples(whole.operations - shift - 10, 3)
    ]
    assert sum(ended) >= 2


def test_a_single_failure(whole: Whole, tmp_path: Path) -> None:
    for first in samples(whole.operations - 20, 3):
        attacked(tmp_path / str(first), whole, "no space", first + 5, once=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kind", "once", "first", "stride"),
    [
        ("no space", True, 1, 3),
        ("no space", False, 2, 3),
        ("read-only", True, 3, 12),
        ("read-only", False, 9, 12),
        ("input/output", True, 6, 12),
        ("input/output", False, 12, 12),
    ],
)
def test_every_operation(whole: Whole, tmp_path: Path, kind: str, once: bool, first: int, stride: int) -> None:
    """Every operation of the run fails in its turn, in one of the six ways: with no space left once at every third,
    from then on at the next of each three; the third of each three falls to the other two faults in turn."""
    for at in range(first, whole.operations - 5, stride):
        attacked(tmp_path / str(at), whole, kind, at, once=once)
