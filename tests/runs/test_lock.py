"""One process works on a run; the second is told who does, and a dead one's claim is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.errors import RunLocked
from engine.runs.lock import NOTE, Holder, RunLock, free, holder
from engine.runs.status import STALE_SECONDS, Status, host_name

CHILD = """
import sys
from pathlib import Path
from engine.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def claim(folder: Path, host: str, pid: int, started: float, identity: str | None = None) -> None:
    (folder / NOTE).write_text(json.dumps(asdict(Holder(host, pid, started, identity))))


def test_the_second_process_is_refused_and_told_who_holds_it(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(RunLocked) as caught, RunLock(tmp_path):
        pass
    assert f"process {other.pid} on {host_name()} since 20" in str(caught.value)
    assert f"`mim4dd stop {tmp_path}`" in str(caught.value)
    found = holder(tmp_path)
    assert found is not None
    assert found.pid == other.pid, "a refused process must not touch the claim"


def test_a_killed_process_gives_way_at_once(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with RunLock(tmp_path) as lock:
        assert lock.recovered is not None
        assert str(other.pid) in lock.recovered
    assert holder(tmp_path) is None


def test_a_process_that_ends_well_leaves_nothing(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.communicate("\n")
    with RunLock(tmp_path) as lock:
        assert lock.recovered is None
        mine = holder(tmp_path)
        assert mine is not None
        assert mine.pid == os.getpid()


def test_a_run_is_free_only_when_the_lock_is_given_back_as_well(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    assert not free(tmp_path)
    note = (tmp_path / NOTE).read_text()
    (tmp_path / NOTE).unlink()  # as a process does just before it gives the lock back
    assert not free(tmp_path)
    other.kill()
    other.wait()
    assert free(tmp_path)
    (tmp_path / NOTE).write_text(note)
    assert free(tmp_path), "the note of a process that is gone holds nothing"
    with RunLock(tmp_path):
        assert not free(tmp_path)


def test_two_holds_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    with RunLock(tmp_path), pytest.raises(RunLocked):
        RunLock(tmp_path).acquire()
    with RunLock(tmp_path):
        pass


def test_another_host_is_believed_while_its_heart_beats(tmp_path: Path) -> None:
    now = time.time()
    claim(tmp_path, "another-host", 77, now - 1e6)
    status = Status(state="running", pid=77, host="another-host", heartbeat=now - STALE_SECONDS + 60)
    (tmp_path / "status.json").write_text(json.dumps(asdict(status)))
    with pytest.raises(RunLocked, match=r"process 77 on another-host .* delete"):
        RunLock(tmp_path).acquire()
    status = Status(state="running", pid=77, host="another-host", heartbeat=now - STALE_SECONDS - 60)
    (tmp_path / "status.json").write_text(json.dumps(asdict(status)))
    with RunLock(tmp_path) as lock:
        assert lock.recovered is not None
        assert "no sign of life" in lock.recovered


def test_another_host_that_just_claimed_it_is_believed_before_its_first_beat(tmp_path: Path) -> None:
    claim(tmp_path, "another-host", 77, time.time())
    with pytest.raises(RunLocked):
        RunLock(tmp_path).acquire()
    assert holder(tmp_path) == Holder("another-host", 77, holder(tmp_path).started)  # type: ignore[union-attr]


def test_a_heartbeat_in_the_future_is_no_proof_of_death(tmp_path: Path) -> None:
    claim(tmp_path, "another-host", 77, time.time() + 1e6)
    with pytest.raises(RunLocked, match="clocks differ"):
        RunLock(tmp_path).acquire()


def test_a_live_process_of_this_host_is_believed_where_system_locks_do_not_work(tmp_path: Path) -> None:
    claim(tmp_path, host_name(), os.getppid(), 0.0)
    with pytest.raises(RunLocked, match="is held by"):
        RunLock(tmp_path).acquire()


@pytest.mark.parametrize("text", ["", "{", '{"host": 1, "pid": "x"}', "[]"])
def test_a_damaged_claim_does_not_lock_the_run_for_ever(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTE).write_text(text)
    with RunLock(tmp_path):
        found = holder(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()


def test_of_two_machines_that_both_see_no_claim_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def beaten(source: Path, target: Path) -> None:
        claim(tmp_path, "another-host", 77, time.time())
        link(source, target)

    monkeypatch.setattr(os, "link", beaten)
    with pytest.raises(RunLocked, match="another-host"):
        RunLock(tmp_path).acquire()
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_a_file_system_without_links_still_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with RunLock(tmp_path):
        assert holder(tmp_path) is not None
        with pytest.raises(RunLocked):
            RunLock(tmp_path).acquire()
