"""Over a real ssh connection that is really cut: the run goes on, is found again, and stops when told to."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, ROOT
from tests.dashboard.test_leaving import RESTORED, assert_restored
from tests.reach.places import Camp, alive, options, threads, until
from tests.reach.sshd import MISSING, Server, line, program, server

pytestmark = pytest.mark.long

VARIABLES = ("HOME", "PYTHONPATH", "MIM4DD_CACHE_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "OMP_NUM_THREADS")
LONG = options(objective__iterations=200_000, execution__checkpoint_every=500)


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Server]:
    with server(tmp_path / "ssh") as running:
        yield running


@pytest.fixture
def camp(tmp_path: Path) -> Iterator[Camp]:
    camp = Camp(tmp_path)
    yield camp
    for status in tmp_path.glob("runs/*/status.json"):
        pid = json.loads(status.read_text())["pid"]
        if pid and alive(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def remote(camp: Camp, *arguments: str) -> str:
    """``mim4dd ARGUMENTS`` as a line for the shell on the other side."""
    env = {name: camp.env[name] for name in VARIABLES if name in camp.env} | {"LC_ALL": "C.UTF-8"}
    return line([*COMMAND, *arguments], env | {"PYTHONPATH": str(ROOT)}, camp.path)


def test_a_cut_connection_loses_neither_the_run_nor_the_way_to_it(ssh: Server, camp: Camp) -> None:
    first = ssh.terminal(remote(camp, "run", "digits-ipc1", "--name", "one", *LONG), camp.path / "runs")
    first.see("it/s")
    pid = int(camp.status("one")["pid"])
    assert camp.status("one")["state"] == "running"
    ssh.cut(first)

    seen = camp.status("one")["iteration"]
    until(lambda: camp.status("one")["iteration"] > seen + 50, "the run goes on in its process")
    assert camp.status("one")["pid"] == pid
    before = threads(pid)
    time.sleep(2.0)
    assert threads(pid)[pid] - before[pid] <= 0.1, "the thread that waits for the run burns time"

    second = ssh.terminal(remote(camp, "attach"), camp.path / "runs")
    second.see("one")
    second.see("it/s")
    os.write(second.master, b" ")
    second.see("paused")
    assert camp.status("one")["state"] == "paused"
    os.write(second.master, b" ")
    second.see("running")
    assert camp.status("one")["state"] == "running"
    os.write(second.master, b"k")
    second.see("checkpoint written")
    os.write(second.master, b"q")
    assert_restored(second.read(until=RESTORED[2]))
    assert second.wait() == 0
    assert alive(pid), "leaving the view leaves the run"

    ended = ssh.run(remote(camp, "stop", "one", "--wait", "--json"))
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["state"] == "stopped"
    assert document["pid"] == pid
    until(lambda: not alive(pid), "the process is gone")
    shown = json.loads(camp.command("show", "one", "--json").out)
    assert shown["state"] == "stopped"
    assert shown["iteration"] > seen


def test_a_detached_run_outlives_the_connection_that_started_it(ssh: Server, camp: Camp) -> None:
    started = ssh.run(remote(camp, "run", "digits-ipc1", "--name", "two", "--detach", "--json", *LONG))
    assert started.returncode == 0, started.stderr
    document = json.loads(started.stdout)
    until(lambda: not ssh.sessions(), "the connection is closed")
    assert alive(document["pid"])
    seen = camp.status("two")["iteration"]
    until(lambda: camp.status("two")["iteration"] > seen + 50, "the run goes on")
    assert os.getsid(document["pid"]) == document["pid"], "a session of its own"
    assert ssh.run(remote(camp, "stop", "two", "--wait")).returncode == 0
    until(lambda: not alive(document["pid"]), "the process is gone")
    assert "run stopped" in Path(document["log"]).read_text()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.reach.sshd.shutil.which", lambda name, path: None)
    with pytest.raises(AssertionError, match="apt install openssh-server"):
        program("sshd")
    assert "openssh-server" in MISSING
