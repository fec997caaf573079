"""``attach``, ``stop``, ``pause``, ``request``: a run of another process, which a thread with the real folder plays."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config.load import resolve
from engine.config.schema import Config
from engine.files import write_json
from engine.record import Recorder
from engine.runs.control import Control, post
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from engine.runs.lock import RunLock
from engine.runs.status import Status, host_name
from mim4dd_tui import terminal
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli import following
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.graphics.choice import Graphics
from tests.dashboard.fake import FakeEngine
from tests.runs.helpers import iteration

CONFIG = Config.model_validate({"data": {"name": "digits"}})


@contextmanager
def going_on(
    runs: Path, name: str = "alpha", *, iterations: int = 30, delay: float = 0.002, full: bool = False
) -> Iterator[threading.Thread]:
    """A run that goes on until it is stopped, held as the engine holds it; it stands at iteration 30 or beyond."""
    control = Control()

    def work() -> None:
        engine = FakeEngine(iterations=iterations, delay=delay, hold=True, full=full)
        with RunLock(runs / name):
            engine(Order(runs_dir=runs, resume=runs / name), lambda event: None, control)

    RunFolder.create(runs, name, CONFIG)
    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + 20
    journal, reached = runs / name / "journal.jsonl", f'"iteration","iteration":{min(iterations, 30)},'
    while not journal.is_file() or reached not in journal.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    try:
        yield thread
    finally:
        control.request("stop")
        thread.join(20)
        assert not thread.is_alive()


def stopping(run: Path, seconds: float) -> None:
    """Have another process, as it were, stop a run in a while."""
    threading.Timer(seconds, post, (run / "control", "stop")).start()


def left(runs: Path, name: str, **changes: object) -> None:
    """A run folder with a status of its own."""
    folder = RunFolder.create(runs, name, CONFIG)
    values = json.loads(folder.status_path.read_text()) | changes
    write_json(folder.status_path, values)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_pause_resume_evaluate_checkpoint_and_stop_are_heard(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with going_on(runs) as thread:
        assert main(["pause", "alpha", "--wait"]) == 0
        assert "is paused at iteration 30" in capsys.readouterr().out
        assert Status.read(runs / "alpha").state == "paused"  # type: ignore[union-attr]
        assert main(["pause", "--latest", "--wait", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["answered"] is True
        assert document["state"] == "paused"
        assert document["pid"] == os.getpid()
        assert main(["pause", "alpha"]) == 0
        assert "is paused at iteration 30; `mim4dd resume alpha` lets it go on" in capsys.readouterr().out
        assert main(["resume", "--latest"]) == 0, "a paused run of another process goes on"
        assert "goes on in process" in capsys.readouterr().out
        assert Status.read(runs / "alpha").state == "running"  # type: ignore[union-attr]
        assert main(["stop", "alpha", "--wait"]) == 0
        assert "has ended (stopped) at iteration 30" in capsys.readouterr().out
        with RunLock(runs / "alpha"):
            thread.join(5)  # given back when `stop --wait` returned


@pytest.mark.parametrize(
    ("what", "field", "value"), [("checkpoint", "kind", "checkpoint"), ("evaluate", "subject", "request")]
)
def test_a_request_waits_for_its_answer(
    runs: Path, what: str, field: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with going_on(runs, iterations=5000, delay=0.01):
        assert main(["request", "alpha", what, "--wait", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        events = [json.loads(line) for line in (runs / "alpha" / "journal.jsonl").read_text().splitlines()]
        assert any(event.get(field) == value and event["iteration"] > 20 for event in events)
        assert document["request"] == what
        assert document["answered"] is True
        assert document.get("measured_on") == ("test" if what == "evaluate" else None)


def test_a_request_that_is_refused_says_why_and_the_run_goes_on(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with going_on(runs, iterations=5000, delay=0.01, full=True) as thread:
        assert main(["request", "alpha", "checkpoint", "--wait", "--timeout", "20", "--json"]) == 1
        out, err = capsys.readouterr()
        assert "run alpha: no checkpoint was written at iteration " in err
        assert json.loads(out)["kind"] == "RefusedError"
        assert thread.is_alive()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what the run is to do; write `mim4dd request RUN checkpoint` (or evaluate)"),
        (["alpha"], "say what the run is to do"),
        (["checkpoint"], "name a run or use --latest; `mim4dd runs` lists the runs"),
        (["alpha", "checkpoints"], "'checkpoints' is nothing a run can be asked for"),
        (["checkpoint", "alpha"], "'alpha' is nothing a run can be asked for"),
        (["--latest"], "say what the run is to do"),
        (["alpha", "--latest"], "'alpha' is nothing a run can be asked for"),
        (["alpha", "checkpoint", "--latest"], "name a run or use --latest, not both"),
    ],
    ids=" ".join,
)
def test_a_request_that_is_not_understood_says_how_it_is_made(
    runs: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    left(runs, "alpha", state="running", pid=os.getpid(), host=host_name(), heartbeat=time.time())
    assert main(["request", *words]) == 2
    assert told in capsys.readouterr().err
    assert list((runs / "alpha").glob("control/*")) == []


@pytest.mark.parametrize("words", [["evaluate", "--latest"], ["--latest", "evaluate"], ["evaluate", "evaluate"]])
def test_the_latest_run_is_asked_and_a_run_may_be_called_as_what_is_asked(
    runs: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    left(runs, "evaluate", state="running", pid=os.getpid(), host=host_name(), heartbeat=time.time())
    assert main(["request", *words]) == 0
    assert "evaluate is asked for an evaluation" in capsys.readouterr().out
    assert [path.suffix for path in (runs / "evaluate" / "control").iterdir()] == [".evaluate"]


def test_without_wait_it_is_asked_for_and_said_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with going_on(runs):
        assert main(["stop", "alpha"]) == 0
        assert "is asked to stop" in capsys.readouterr().out


def test_a_run_that_does_not_answer_is_given_up(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left(runs, "deaf", state="running", pid=os.getpid(), host=host_name(), heartbeat=time.time())
    assert main(["stop", "deaf", "--wait", "--timeout", "0.3"]) == 1
    err = capsys.readouterr().err
    assert "has not answered within 0.3 s" in err
    assert str(os.getpid()) in err
    assert main(["stop", "deaf", "--timeout", "1"]) == 2


def test_a_run_of_another_host_is_asked_and_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left(runs, "far", state="running", pid=7, host="gpu9", heartbeat=time.time())
    assert main(["pause", "far", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["host"], document["pid"], document["answered"]) == ("gpu9", 7, False)
    assert [path.suffix for path in (runs / "far" / "control").iterdir()] == [".pause"]
    assert main(["stop", "far", "--wait", "--timeout", "0.2"]) == 1
    assert "process 7 on gpu9 holds it" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["stop", "x"], ["pause", "x"], ["request", "x", "checkpoint"]])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"state": "done"}, "is over (done)"),
        ({"state": "stopped"}, "`mim4dd resume x` continues it"),
        ({"state": "queued"}, "was never begun: `mim4dd resume x` begins it"),
        ({"state": "running", "pid": 2**22 - 3, "host": "HERE"}, "is gone): `mim4dd resume x` continues it"),
        ({"state": "running", "pid": 5, "host": "gpu9", "heartbeat": 1000.0}, "process 5 on gpu9 is gone"),
    ],
    ids=["done", "stopped", "queued", "crashed", "crashed elsewhere"],
)
def test_a_run_nobody_works_on_says_what_to_do(
    runs: Path, command: list[str], status: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if status.get("host") == "HERE":
        status = status | {"host": host_name()}
    left(runs, "x", **status)
    assert main([*command, "--json"]) == 1
    out, err = capsys.readouterr()
    assert words in err
    assert json.loads(out)["kind"] == "NotRunningError"
    assert list((runs / "x").glob("control/*")) == [], "nothing is left for a process that comes later"


@pytest.mark.parametrize("command", [["stop", "x"], ["pause", "x"], ["request", "x", "checkpoint"]])
@pytest.mark.parametrize("status", [{"state": "stopped"}, {"state": "running", "pid": 2**22 - 3, "host": "HERE"}])
def test_of_a_run_that_is_just_taken_up_it_is_not_said_that_it_can_be_resumed(
    runs: Path, command: list[str], status: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor that no process works on it: its engine is loading, and its status is from before."""
    left(runs, "x", **status | ({"host": host_name()} if "host" in status else {}))
    with RunLock(runs / "x"):
        assert main(command) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"process {os.getpid()} on {host_name()} since" in told
    assert told.endswith("it begins or goes on soon, or has just ended; try again")
    assert list((runs / "x").glob("control/*")) == []


@pytest.mark.parametrize("command", [["stop", "x"], ["pause", "x"], ["request", "x", "checkpoint"]])
def test_a_run_whose_process_has_yet_to_begin_hears_what_it_is_asked(
    runs: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.create(runs, "x", CONFIG)
    with Recorder(folder, None, Control(), resuming=False):
        assert main(command) == 0, capsys.readouterr().err
        assert len(list(folder.control_path.iterdir())) == 1


@pytest.mark.parametrize("state", ["done", "stopped"])
def test_a_run_that_is_over_is_measured_by_another_command(
    runs: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    left(runs, "x", state=state)
    measured = "`mim4dd evaluate x` measures its distilled set"
    assert main(["request", "x", "evaluate"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"run x is over ({state})" in told
    assert measured not in told, "it has none"
    distilled = RunFolder(runs / "x").distilled_path("best")
    distilled.parent.mkdir(parents=True, exist_ok=True)
    distilled.write_bytes(b"a set")
    assert main(["request", "x", "evaluate"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert measured in told
    assert "nothing to evaluate" not in told


def test_no_such_run_names_the_nearest(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left(runs, "digits-one")
    for command in ("attach", "stop", "pause", "resume", "show", "runs", "evaluate", "export", "request"):
        for name, meant in (("digit-one", "digits-one"), ("runs/digit-one", "runs/digits-one")):
            assert main([command, name, *["evaluate"][: command == "request"]]) == 3
            assert f"did you mean {meant}?" in " ".join(capsys.readouterr().err.split()), command
    assert main(["stop"]) == 2
    assert main(["attach", "../../etc"]) == 3
    capsys.readouterr()
    assert main(["stop", "--latest"]) == 3
    assert "no run in runs is running or paused" in capsys.readouterr().err
    assert main(["show", "--latest"]) == 3
    assert "no run in runs was started yet" in capsys.readouterr().err


def test_attach_follows_to_the_end_and_prints_the_result(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with going_on(runs):
        stopping(runs / "alpha", 1.0)
        assert main(["attach"]) == 0, "without a name: the run that goes on"
    out, err = capsys.readouterr()
    assert "run alpha" in err
    assert err.count("/30 ") == 1, "of what is past only the last iteration"
    assert "run stopped on request" in err
    assert "stopped" in out


def test_attach_prefers_the_run_that_goes_on(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with going_on(runs):
        left(runs, "beta", state="done", heartbeat=time.time() + 1000)
        stopping(runs / "alpha", 0.5)
        assert main(["attach"]) == 0
    err = capsys.readouterr().err
    assert "run alpha" in err
    assert "no run is going on" not in err
    left(runs, "gamma", state="stopped", heartbeat=time.time() + 2000)
    assert main(["attach", "--json"]) == 0, "where none goes on: the last one"
    out, err = capsys.readouterr()
    assert json.loads(out)["run"] == "gamma"
    assert "no run is going on; this is the last one, gamma: stopped just now" in err


def test_attach_says_when_the_process_is_gone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left(runs, "x", state="running", pid=2**22 - 3, host=host_name())
    assert main(["attach", "x"]) == 1
    assert "is gone" in capsys.readouterr().err


def test_runs_and_show_tell_the_same_iteration_of_a_killed_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left(runs, "x", state="running", pid=2**22 - 3, host=host_name(), phase="distill", iteration=3)
    with JournalWriter(runs / "x" / "journal.jsonl") as journal:
        for number in (1, 2, 3, 4):
            journal.append(iteration(number))
    assert main(["runs", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert main(["show", "x", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert row["iteration"] == shown["iteration"] == read_run(RunFolder(runs / "x")).iteration == 4


def test_attach_waits_a_while_for_a_run_to_begin(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(following, "BEGIN_SECONDS", 0.2)
    left(runs, "x")
    assert main(["attach", "x"]) == 1
    assert "was never begun" in capsys.readouterr().err


def test_attach_does_not_wait_for_a_run_that_nobody_has_begun_for_long(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left(runs, "x")
    folder = RunFolder(runs / "x")
    folder.write_about(replace(folder.about(), created=time.time() - 60))
    monkeypatch.setattr(following, "LOOK_SECONDS", 3600.0)
    assert main(["attach", "x"]) == 1
    assert "was never begun" in capsys.readouterr().err


def test_a_run_that_waits_in_the_queue_of_a_dashboard_is_said_to_wait(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = RunQueue(runs).add(resolve("digits-ipc1").config, [0])
    assert main(["stop", folder.name]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert f"run {folder.name} waits in the dashboard's queue, which begins it in its turn;" in told
    assert "never begun" not in told


def test_a_paused_run_that_is_stopped_meanwhile_is_not_said_to_go_on(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with going_on(runs):
        assert main(["pause", "alpha", "--wait"]) == 0
        capsys.readouterr()
        monkeypatch.setattr("engine.runs.control.post", lambda directory, _what: post(directory, "stop"))
        assert main(["resume", "alpha"]) == 1
    captured = capsys.readouterr()
    assert "goes on in process" not in captured.out
    assert "run alpha ended before it could resume; `mim4dd show alpha`" in " ".join(captured.err.split())


def test_ctrl_c_leaves_an_attached_run_alone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with going_on(runs) as thread:
        threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        assert main(["attach", "alpha"]) == 130
        assert "alpha goes on" in capsys.readouterr().err
        assert thread.is_alive()


def test_on_a_terminal_attach_opens_the_dashboard(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    ways: list[Graphics | None] = []
    notices: list[str] = []

    def dashboard(*, runs_dir: Path, attach: Path, notice: str, graphics: Graphics | None) -> int:
        opened.append(attach)
        notices.append(notice)
        ways.append(graphics)
        return 0

    left(runs, "x", state="done", heartbeat=time.time() - 190)
    able = replace(terminal.abilities(), refusal="")
    monkeypatch.setattr(terminal, "abilities", lambda: able)
    monkeypatch.setattr("mim4dd_tui.dashboard.run_dashboard", dashboard)
    assert main(["attach"]) == 0
    assert opened == [runs.absolute() / "x"]
    assert main(["attach", "x", "--headless"]) == 0
    assert len(opened) == 1
    assert main(["attach", "x", "--graphics", "sixel"]) == 0
    assert ways == [None, Graphics.SIXEL]
    assert notices == ["no run is going on; this is the last one, x: done 3 min ago", ""]


def test_runs_may_be_named(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        left(runs, name)
    assert main(["runs", "c", "runs/a", "--json"]) == 0
    assert [row["run"] for row in json.loads(capsys.readouterr().out)] == ["c", "a"]
