"""The journal loses nothing, repairs its end, and shows nothing twice."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import DataError, RunFailed
from engine.events import KINDS, VERSION, Event, Notice, Phase, Progress, RunEnded, to_dict
from engine.runs.journal import JournalReader, JournalWriter, MalformedLineError, parse_line, read_all
from tests.runs.helpers import evaluation, iteration, started


def note(text: str) -> Notice:
    return Notice("info", text)


def texts(path: Path) -> list[str]:
    return [r.event.message for r in read_all(path) if isinstance(r.event, Notice)]


def test_events_come_back_numbered_from_one(tmp_path: Path) -> None:
    path = tmp_path / "j"
    events: list[Event] = [started(), Phase("distill", 100), iteration(1), evaluation(1), note("ä\n\u2028")]
    with JournalWriter(path, clock=lambda: 12.5) as writer:
        assert [writer.append(event) for event in events] == [1, 2, 3, 4, 5]
        assert writer.sync() == 5
    records = read_all(path)
    assert [r.event for r in records] == events
    assert [r.sequence for r in records] == [1, 2, 3, 4, 5]
    assert {r.time for r in records} == {12.5}
    assert path.read_bytes().count(b"\n") == 5
    assert path.stat().st_mode & 0o777 == 0o600


def test_not_a_number_is_null_on_disk_and_nan_again(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(evaluation(1, std=math.nan, accuracies=[0.5]))
        writer.append(iteration(1, objective=math.inf))
    assert b"NaN" not in path.read_bytes()
    first, second = (r.event for r in read_all(path))
    assert math.isnan(first.std)  # type: ignore[attr-defined]
    assert math.isnan(second.objective)  # type: ignore[attr-defined]


def test_progress_and_closed_journals_are_refused(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j")
    with pytest.raises(ValueError, match="progress"):
        writer.append(Progress("distill", 1, 2))
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.append(note("late"))


def test_a_continued_journal_continues_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for text in ("a", "b", "c"):
        with JournalWriter(path) as writer:
            assert writer.repaired is None
            writer.append(note(text))
    assert [r.sequence for r in read_all(path)] == [1, 2, 3]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_removed_before_going_on(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(note("whole"))
        writer.append(note("torn"))
    path.write_bytes(path.read_bytes()[:-cut])
    kept = 2 if cut == 1 else 1  # only the line's end was lost: the event is whole
    assert len(read_all(path)) == 1
    with JournalWriter(path) as writer:
        assert writer.repaired is not None
        assert writer.sequence == kept
        assert writer.append(note("after")) == kept + 1
    assert texts(path) == [*["whole", "torn"][:kept], "after"]
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_zeros_after_a_power_cut_do_not_hide_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(note("a"))
    with path.open("ab") as file:
        file.write(b"\0" * 200_000)
    with JournalWriter(path) as writer:
        assert writer.append(note("b")) == 2
    assert texts(path) == ["a", "b"]


def test_the_last_number_is_found_behind_a_long_damaged_stretch(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        for _ in range(3):
            writer.append(note("x" * 50_000))
    with path.open("ab") as file:
        file.write(b"garbage " * 100_000 + b"\n")
    with JournalWriter(path) as writer:
        assert writer.append(note("b")) == 4
    reader = JournalReader(path)
    assert [r.sequence for r in reader.poll()] == [1, 2, 3, 4]
    assert reader.damaged == 1


def test_tailing_gives_each_record_once_and_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "j"
    reader = JournalReader(path)
    assert reader.poll() == []
    with JournalWriter(path) as writer:
        writer.append(note("a"))
        assert [r.sequence for r in reader.poll()] == [1]
        assert reader.poll() == []
        writer.append(note("b"))
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        assert reader.poll() == []
        path.write_bytes(whole)
        assert [r.sequence for r in reader.poll()] == [2]
    path.write_bytes(whole[: whole.index(b"\n") + 1])  # replaced by a shorter copy
    assert reader.poll() == []


def test_records_after_the_checkpoint_are_superseded(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(started())
        for number in (1, 2, 3, 4):
            writer.append(iteration(number))
        writer.append(started(resumed_from=2, after_sequence=3))
        writer.append(iteration(3))
        writer.append(started(resumed_from=2, after_sequence=3))
        for number in (3, 4, 5):
            writer.append(iteration(number))
    shown = [r.event.iteration for r in read_all(path) if hasattr(r.event, "iteration")]
    assert shown == [1, 2, 3, 4, 5]
    assert [r.sequence for r in read_all(path)] == [1, 2, 3, 8, 9, 10, 11]
    assert len(JournalReader(path).poll()) == 11


def test_a_start_afresh_supersedes_the_loop_and_the_end(tmp_path: Path) -> None:
    path = tmp_path / "j"
    first: list[Event] = [started(), note("kept"), evaluation(0, "full_set"), evaluation(0), iteration(1)]
    with JournalWriter(path) as writer:
        for event in (*first, RunEnded("stopped"), started(), iteration(1)):
            writer.append(event)
    assert [r.sequence for r in read_all(path)] == [1, 2, 3, 7, 8]


def test_without_a_sequence_the_iteration_decides(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        for event in (started(), iteration(1), iteration(2), started(resumed_from=1), iteration(2)):
            writer.append(event)
    assert [r.sequence for r in read_all(path)] == [1, 2, 4, 5]


class Disk:
    """A disk with room for so many more bytes: writes part of what it is given, then refuses."""

    def __init__(self, room: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self._pwrite = os.pwrite
        self._number = number
        monkeypatch.setattr(os, "pwrite", self)

    def __call__(self, file: int, data: bytes, offset: int) -> int:
        if self.room <= 0:
            raise OSError(self._number, os.strerror(self._number))
        written = self._pwrite(file, data[: self.room], offset)
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 30])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_leaves_whole_lines_and_loses_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, number: int
) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(note("a"))
        disk = Disk(room, number, monkeypatch)
        with pytest.raises(RunFailed, match=r"free some space|another folder"):
            writer.append(note("lost"))
        assert texts(path) == ["a"]
        assert path.read_bytes().endswith(b"\n")
        disk.room = 10**6
        assert writer.append(note("b")) == 2
    assert texts(path) == ["a", "b"]


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: real(file, data[:7], offset))
    with JournalWriter(tmp_path / "j") as writer:
        writer.append(note("a long message " * 5))
    assert texts(tmp_path / "j") == ["a long message " * 5]


def test_a_piece_that_cannot_be_cut_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(note("a"))

        def stuck(*_: Any) -> None:
            raise OSError(errno.EIO, "stuck")

        disk = Disk(10, errno.ENOSPC, monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", stuck)
            with pytest.raises(RunFailed):
                writer.append(note("lost"))
        disk.room = 10**6
        writer.append(note("b"))
    assert texts(path) == ["a", "b"]


def test_a_newer_vocabulary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    line = {"sequence": 1, "time": 0.0, "vocabulary": VERSION + 1, **to_dict(note("x"))}
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match="update mim4dd"):
        read_all(path)
    with pytest.raises(DataError, match="update mim4dd"):
        JournalWriter(path)


@pytest.mark.parametrize(
    "change",
    [
        {"iteration": "3"},
        {"iteration": None},
        {"bounds": ["a"]},
        {"objective": [1]},
        {"sequence": None},
        {"time": "now"},
        {"kind": "unheard"},
        {"kind": ["x"]},
        {"iteration": True},
    ],
)
def test_a_line_of_wrong_types_is_no_event(change: dict[str, Any]) -> None:
    line = {"sequence": 1, "time": 0.0, **to_dict(iteration(3)), **change}
    with pytest.raises(MalformedLineError):
        parse_line(json.dumps(line).encode())


def _sample(cls: type[Event]) -> Event:
    by_type: dict[str, Any] = {
        "str": "x", "int": 1, "float": 0.5, "bool": True, "dict[str, Any]": {}, "list[float]": [0.5],
    }  # fmt: skip
    values = {f.name: by_type.get(str(f.type)) for f in dataclasses.fields(cls)}
    return cls(**values)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"progress"}))
def test_every_kind_survives_the_journal(tmp_path: Path, kind: str) -> None:
    event = _sample(KINDS[kind])
    with JournalWriter(tmp_path / "j") as writer:
        writer.append(event)
    assert [r.event for r in read_all(tmp_path / "j")] == [event]


def _is_newer(junk: bytes) -> bool:
    try:
        value = json.loads(junk)
    except ValueError:
        return False
    version = value.get("vocabulary") if isinstance(value, dict) else None
    return isinstance(version, int) and version > VERSION


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["sequence", "time", "kind", "iteration", "vocabulary", "run"]), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_bytes_between_lines_cost_only_themselves(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    with JournalWriter(path) as writer:
        writer.append(note("a"))
    with path.open("ab") as file:
        file.write(junk + b"\n")
    if _is_newer(junk):
        with pytest.raises(DataError, match="newer version"):
            JournalWriter(path)
        return
    with JournalWriter(path) as writer:
        writer.append(note("b"))
    assert [text for text in texts(path) if text in "ab"] == ["a", "b"]
