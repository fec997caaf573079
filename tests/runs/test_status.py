"""The status file is whole, not written too often, and tells a dead process from a live one."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.events import Event, Phase, Progress, RunEnded, StateChanged
from engine.runs import status as module
from engine.runs.status import STALE_SECONDS, Status, StatusWriter, holds, host_name, process_identity
from tests.runs.helpers import evaluation, iteration, started

ELSEWHERE = Status(state="running", pid=1, host="another-host", heartbeat=1000.0)


def test_beats_are_written_at_most_once_a_second(tmp_path: Path) -> None:
    now = [0.0]
    writer = StatusWriter(tmp_path, ticker=lambda: now[0])
    writes = []
    for beat in range(50):
        now[0] = beat * 0.1
        writer.beat(iteration=beat)
        writes.append(json.loads(writer.path.read_text())["iteration"])
    assert sorted(set(writes)) == [0, 10, 20, 30, 40]


def test_what_the_run_takes_is_asked_at_every_writing(tmp_path: Path) -> None:
    now, taken = [0.0], iter((100.0, 200.0))
    writer = StatusWriter(tmp_path, ticker=lambda: now[0], memory=lambda: next(taken))
    for moment, memory in ((0.0, 100.0), (0.5, 100.0), (1.0, 200.0)):
        now[0] = moment
        writer.beat()
        read = Status.read(tmp_path)
        assert read is not None
        assert read.memory == memory


def test_a_new_state_is_written_at_once(tmp_path: Path) -> None:
    writer = StatusWriter(tmp_path, ticker=lambda: 0.0)
    writer.beat(state="running")
    writer.update(state="paused", message="asked")
    read = Status.read(tmp_path)
    assert read is not None
    assert (read.state, read.message, read.pid, read.host) == ("paused", "asked", os.getpid(), host_name())
    with pytest.raises(ValueError, match="unknown state"):
        writer.update(state="asleep")


def test_events_are_taken_over(tmp_path: Path) -> None:
    writer = StatusWriter(tmp_path, ticker=lambda: 0.0)
    events = [started(), StateChanged("running"), Phase("distill", 100), iteration(7), evaluation(7, best_so_far=True)]
    for event in events:
        writer.hear(event)
    writer.hear(Progress("distill", 7, 100))
    writer.hear(evaluation(8, mean=0.1))
    found = writer.status
    assert (found.state, found.phase, found.done, found.total) == ("running", "distill", 7, 100)
    assert (found.iteration, found.iterations, found.accuracy, found.seed) == (7, 100, 0.5, 0)
    writer.hear(RunEnded("failed", "why", diverged=True))
    read = Status.read(tmp_path)
    assert read is not None
    assert (read.state, read.message, read.diverged) == ("failed", "why", True)
    writer.hear(started())
    assert not writer.status.diverged, "it is tried again all the same"
    assert (writer.status.phase, writer.status.done, writer.status.total) == ("", 0, None), "of the sitting before"


def test_what_is_done_instead_of_counting_on_is_kept_until_it_is_over(tmp_path: Path) -> None:
    writer = StatusWriter(tmp_path, ticker=lambda: 0.0)
    heard: list[tuple[Event, str]] = [
        (Phase("baselines", 10, detail="random real images"), "random real images"),
        (Phase("distill", 100), ""),
        (Progress("distill", 7, 100, "evaluating"), "evaluating"),
        (evaluation(7), "evaluating"),
        (Progress("distill", 7, 100), ""),
        (Progress("distill", 7, 100, "evaluating"), "evaluating"),
        (started(), ""),
    ]
    for event, detail in heard:
        writer.hear(event)
        assert writer.status.progress.detail == detail, event
    writer.update(detail="evaluating")
    read = Status.read(tmp_path)
    assert read is not None
    assert read.progress == Progress("", 0, None, "evaluating")


def test_a_phase_has_a_count_of_its_own_until_distillation(tmp_path: Path) -> None:
    writer = StatusWriter(tmp_path, ticker=lambda: 0.0)
    heard: list[tuple[Event, str]] = [
        (started(), ""),
        (StateChanged("running"), ""),
        (Phase("data", detail="mnist"), "data"),
        (Progress("data", 52, 400, "train-images"), "data 13 %"),
        (Phase("experts", 40), "experts 0/40"),
        (Progress("experts", 9, 40), "experts 9/40"),
        (StateChanged("paused"), "experts 9/40"),
        (StateChanged("running"), "experts 9/40"),
        (Phase("compile"), "compile"),
        (Phase("distill", 100), ""),
        (Progress("distill", 7, 100), ""),
        (Phase("evaluate", 10), "evaluate 0/10"),
        (StateChanged("stopped"), ""),
    ]
    for event, doing in heard:
        writer.hear(event)
        assert writer.status.doing == doing, event


def test_a_phase_is_told_of_what_ended_before_distillation_alone() -> None:
    experts: dict[str, Any] = {"phase": "experts", "done": 9, "total": 40}
    evaluate: dict[str, Any] = {"phase": "evaluate", "done": 3, "total": 10}
    for beat in (time.time(), 0.0):  # at work; its process gone
        assert replace(ELSEWHERE, heartbeat=beat, **experts).doing == "experts 9/40"
    for state in ("stopped", "failed"):
        ended = replace(ELSEWHERE, state=state)
        assert replace(ended, **experts).doing == "experts 9/40"
        assert replace(ended, phase="data", done=52, total=400).doing == "data 13 %"
        assert replace(ended, **experts, iteration=7).doing == "", "a run gone on with reads its experts again"
        assert replace(ended, **evaluate).doing == "", "a live evaluation, of the first images"
    assert replace(ELSEWHERE, state="done", **experts).doing == ""
    assert replace(ELSEWHERE, heartbeat=0.0, **evaluate, iteration=80).doing == ""


def test_a_status_from_before_phases_were_counted_is_read(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "stopped", "iteration": 5, "iterations": 80}')
    read = Status.read(tmp_path)
    assert read is not None
    assert (read.iteration, read.doing) == (5, "")


def test_a_later_process_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    StatusWriter(tmp_path).update(state="stopped", iteration=5, accuracy=0.5)
    again = StatusWriter(tmp_path)
    assert (again.status.iteration, again.status.accuracy) == (5, 0.5)


def test_a_full_disk_does_not_end_the_run_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StatusWriter(tmp_path)
    writer.update(state="running")

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        writer.update(state="paused")
    assert writer.fault is not None
    assert "disk is full" in writer.fault
    assert Status.read(tmp_path) == replace(writer.status, state="running", heartbeat=Status.read(tmp_path).heartbeat)  # type: ignore[union-attr]
    writer.update(state="paused")
    assert writer.fault is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "asleep"}', '{"state": "running", "pid": "1"}'])
def test_a_damaged_status_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    assert Status.read(tmp_path) is None


def test_an_unknown_field_of_a_later_version_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "done", "later": 1}')
    assert Status.read(tmp_path) == Status(state="done")


@pytest.mark.parametrize(
    ("status", "now", "expected"),
    [
        (ELSEWHERE, 1000.0 + STALE_SECONDS - 1, "alive"),
        (ELSEWHERE, 1000.0 + STALE_SECONDS + 1, "crashed"),
        (ELSEWHERE, 0.0, "alive"),  # a clock stepped back shows nothing
        (replace(ELSEWHERE, state="done"), 1e9, "ended"),
        (Status(), 1e9, "queued"),
    ],
)
def test_liveness_from_afar(status: Status, now: float, expected: str) -> None:
    assert status.liveness(now) == expected
    if expected == "crashed":
        assert status.effective_state(now) == "failed"


def test_liveness_here_asks_the_process_and_not_the_clock() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = process_identity(child.pid)
    alive = Status(state="running", pid=child.pid, host=host_name(), identity=identity, heartbeat=0.0)
    recycled = replace(alive, identity="another boot:1")
    assert alive.liveness(1e12) == "alive"
    assert recycled.liveness() == "crashed"
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert alive.liveness() == "crashed", "a zombie works no more"
    child.communicate()
    assert alive.liveness() == "crashed"
    assert process_identity(child.pid) is None


def test_identity_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Path", lambda *_: Path("/nowhere/at/all"))
    mine = process_identity(os.getpid())
    assert mine is not None
    assert holds(os.getpid(), mine)
    assert not holds(os.getpid(), "0")
    assert process_identity(2**22 + 5) is None


def test_nonsense_process_ids_are_dead() -> None:
    assert not holds(0, None)
    assert not holds(-1, None)
