"""``--detach``: the prompt comes back once the run is held, and what went wrong before comes back with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from engine.config.schema import Config
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from engine.runs.status import StatusWriter
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli import detach
from tests.reach.places import Camp, alive, options, until


def test_a_detached_run_has_a_session_and_a_log_of_its_own(tmp_path: Path) -> None:
    camp = Camp(tmp_path)
    ended = camp.command("run", "digits-ipc1", "--name", "off", "--detach", "--json", *options(objective__iterations=3))
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert (document["run"], document["path"]) == ("off", str(camp.run("off")))
    until(lambda: not alive(document["pid"]), "the run is over")
    assert camp.status("off")["state"] == "done"
    assert camp.status("off")["pid"] == document["pid"]
    log = Path(document["log"])
    assert log.parent == camp.run("off")
    assert log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    assert text.startswith("run off (preset digits-ipc1, seed 0)")
    assert "iteration 3/3" in text
    assert '"state": "done"' not in ended.out
    assert "\x1b" not in text


@pytest.mark.long
def test_a_detached_run_can_be_watched_stopped_and_taken_up_detached(tmp_path: Path) -> None:
    camp = Camp(tmp_path)
    more = options(objective__iterations=300_000, execution__checkpoint_every=1000)
    first = json.loads(camp.command("run", "digits-ipc1", "--name", "off", "--detach", "--json", *more).out)
    assert os.getsid(first["pid"]) == first["pid"] != os.getsid(0)
    held = camp.command("resume", "off", "--detach")
    assert held.code == 4
    assert "mim4dd stop off" in held.err
    with camp.start("attach") as watching:
        assert watching.stderr is not None
        assert watching.stderr.readline().startswith("run off")
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=60)
        assert watching.returncode == 130
        assert "off goes on" in err
    assert camp.command("pause", "off", "--wait").code == 0
    assert camp.command("resume", "off").code == 0
    stopped = camp.command("stop", "off", "--wait", "--json")
    assert stopped.code == 0, stopped.err
    at = json.loads(stopped.out)["iteration"]
    until(lambda: not alive(first["pid"]), "the process is gone")
    second = camp.command("resume", "off", "--detach", "--json")
    assert second.code == 0, second.err
    pid = json.loads(second.out)["pid"]
    assert pid != first["pid"]
    until(lambda: camp.status("off")["iteration"] > at, "it goes on")
    assert "resumed from iteration" in (camp.run("off") / "output.log").read_text()
    assert camp.command("stop", "--latest", "--wait").code == 0


@pytest.mark.long
def test_several_seeds_go_on_one_after_another_each_with_its_log(tmp_path: Path) -> None:
    camp = Camp(tmp_path)
    more = options(objective__iterations=3)
    ended = camp.command("run", "digits-ipc1", "--seeds", "0-1", "--name", "many", "--detach", "--json", *more)
    document = json.loads(ended.out)
    assert document["run"] == "many-seed0"
    until(lambda: not alive(document["pid"]), "both are over")
    for seed in (0, 1):
        assert camp.status(f"many-seed{seed}")["state"] == "done"
        log = (camp.run(f"many-seed{seed}") / "output.log").read_text()
        assert f"seed {seed})" in log
    assert json.loads(log[log.index("\n{") :])["accuracy"]["runs"] == 2


def test_mistakes_are_found_before_anything_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detach, "_started", lambda *arguments: pytest.fail("a process was started"))
    assert main(["run", "digits-ipc2", "--detach"]) == 2
    assert main(["run", "digits-ipc1", "--detach", "--set", "network.width=-1"]) == 2
    assert main(["resume", "nothing", "--detach"]) == 3
    assert list(tmp_path.iterdir()) == []


def test_its_process_leads_a_session_of_its_own(tmp_path: Path) -> None:
    """What a terminal sends to its session when it goes does not reach it."""
    reading, writing = os.pipe()
    with (tmp_path / "out").open("wb") as file:
        process = detach._started(["resume", str(tmp_path / "nothing")], writing, file, file)
    os.close(writing)
    session = os.getsid(process.pid)
    os.close(reading)
    assert process.wait(timeout=60) == 3
    assert session == process.pid != os.getsid(0)


@pytest.mark.parametrize("as_json", [False, True])
def test_what_ends_the_process_before_it_holds_a_run_comes_back(
    tmp_path: Path, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    form = "--json" if as_json else "--headless"
    assert detach.detach(["resume", str(tmp_path / "nothing"), form], as_json) == 3
    out, err = capsys.readouterr()
    assert "there is no run folder" in err
    assert str(tmp_path / "nothing") in err
    assert (json.loads(out)["exit_code"] == 3) if as_json else out == ""


def test_a_process_that_dies_without_a_word_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(arguments: list[str], writing: int, out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], pass_fds=(writing,))

    monkeypatch.setattr(detach, "_started", killed)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits-ipc1", "--detach"]) == 1
    assert "ended before it held a run (signal 9)" in capsys.readouterr().err


def test_a_run_at_work_is_not_taken_up_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)  # refused before torch is loaded
    folder = RunFolder.create(tmp_path / "runs", "mine", Config.model_validate({"data": {"name": "digits"}}))
    with RunLock(folder.path):
        StatusWriter(folder.path).update(state="running")
        for arguments in (["resume", "mine"], ["resume", "mine", "--detach"], ["resume", "mine", "--json"]):
            assert main(arguments) == 4
            err = capsys.readouterr().err
            assert f"held by process {os.getpid()}" in err
            assert "mim4dd attach mine" in err
