"""Commands that are printed find their run as they stand, wherever it lies."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.config.schema import Config
from engine.errors import ConfigError, DataError, RunLocked
from engine.runs.called import called, option, usual_runs_dir
from engine.runs.finding import find
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock, refusal
from engine.runs.status import FILE, Status, host_name
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli import detach
from mim4dd_tui.cli.options import locate

CONFIG = Config.model_validate({"data": {"name": "digits"}})


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs, with a space in its name, where no command looks by itself."""
    monkeypatch.delenv("MIM4DD_RUNS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "other runs"


def left(runs: Path, state: str, name: str = "x", pid: int = 2**22 - 3) -> RunFolder:
    """A run of a process that is gone, in a state."""
    folder = RunFolder.create(runs, name, CONFIG)
    status = Status(state=state, pid=pid, host=host_name(), heartbeat=1.0, iterations=3)
    (folder.path / FILE).write_text(json.dumps(asdict(status)))
    return folder


def commands(text: str) -> list[list[str]]:
    """Words of the ``mim4dd`` commands in backquotes."""
    return [shlex.split(each)[1:] for each in re.findall(r"`(mim4dd[^`]*)`", " ".join(text.split()))]


def test_a_run_is_called_by_its_name_only_where_that_finds_it(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert called(tmp_path / "runs" / "x") == called(Path("runs") / "x") == "x"
    assert option(Path("runs")) == ""
    assert shlex.split(called(elsewhere / "x")) == [str(elsewhere / "x")]
    assert shlex.split(option(Path("other runs"))) == ["--runs-dir", str(elsewhere)]
    monkeypatch.setenv("MIM4DD_RUNS_DIR", str(elsewhere))
    assert called(elsewhere / "x") == "x"
    assert called(tmp_path / "runs" / "x") == str(tmp_path / "runs" / "x")


@pytest.mark.parametrize(
    ("state", "arguments"),
    [
        ("stopped", ["stop", "x"]),
        ("queued", ["stop", "x"]),
        ("running", ["pause", "x"]),
        ("running", ["attach", "x"]),
        ("stopped", ["evaluate", "x"]),
        ("stopped", ["show", "x"]),
        ("running", ["show", "x"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_said_of_a_run_finds_it(
    elsewhere: Path, state: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = left(elsewhere, state)
    main([*arguments, "--runs-dir", str(elsewhere)])
    said = commands("".join(capsys.readouterr()))
    assert said
    for _, run in said:
        assert locate(usual_runs_dir(), run).path == folder.path


@pytest.mark.parametrize("arguments", [["show", "nothing"], ["stop", "--latest"], ["show"]], ids=" ".join)
def test_what_lists_the_runs_lists_these(
    elsewhere: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    left(elsewhere, "stopped")
    assert main([*arguments, "--runs-dir", str(elsewhere)]) != 0
    (listing,) = commands(capsys.readouterr().err)
    assert main(listing) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("x ")


def test_what_the_engine_says_finds_the_run_too(elsewhere: Path) -> None:
    folder = left(elsewhere, "stopped")
    said = [refusal(folder.path), folder.anew]
    with RunLock(folder.path), pytest.raises(RunLocked) as held:
        RunLock(folder.path).acquire()
    with pytest.raises(ConfigError) as taken:
        RunFolder.create(elsewhere, "x", CONFIG)
    said += [str(held.value), str(taken.value)]
    for words in commands(" ".join(said)):
        path, *rest = words[1:]
        there = locate(usual_runs_dir(), path.removesuffix("/config.toml"))
        assert there.path == folder.path
        assert rest in ([], ["--runs-dir", str(elsewhere)])
    with pytest.raises(DataError) as none:
        find(elsewhere / "empty", "--latest")
    assert commands(str(none.value)) == [["run", "PRESET", "--runs-dir", str(elsewhere / "empty")]]


def test_a_detached_run_says_how_it_is_found(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = left(elsewhere, "stopped")
    detach._conclude({"run": "x", "path": str(folder.path), "log": "log", "host": "here"}, 5, False)
    said = commands(capsys.readouterr().out)
    assert [words[0] for words in said] == ["attach", "stop"]
    assert {locate(usual_runs_dir(), run).path for _, run in said} == {folder.path}
