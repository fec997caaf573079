"""``--seeds``: what becomes of the later ones is said, and nothing of them is lost."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Config
from engine.errors import RunFailed
from engine.events import RunStarted
from engine.runs.folder import RunFolder
from engine.runs.status import StatusWriter, host_name
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli import detach, running
from mim4dd_tui.cli.headless import Supervisor
from mim4dd_tui.cli.sequence import Later, later
from mim4dd_tui.seeds import ranges, seeds_of
from mim4dd_tui.signals import AbandonedError

CONFIG = Config.model_validate({"data": {"name": "digits"}})


@pytest.mark.parametrize("text", ["1", "1-4", "2,5", "0-2,7,9-10", "5,3-4"])
def test_seeds_are_written_as_they_are_read(text: str) -> None:
    assert ranges(seeds_of(text)) == text


def test_the_command_begins_the_later_seeds_and_nothing_else() -> None:
    given = {"--name": None, "--set": ["a=1 2", "b=3"], "--detach": True, "--runs-dir": None}
    rest = later([1, 2], ["run", "mine.toml"], given)
    assert rest is not None
    assert rest.seeds == "1-2"
    assert shlex.split(rest.command) == [
        *["mim4dd", "run", "mine.toml", "--seeds", "1-2", "--set"],
        "a=1 2",
        "--set",
        "b=3",
        "--detach",
    ]
    assert later([], ["run", "mine.toml"], given) is None


def begun(runs: Path, rest: Later, state: str = "running") -> StatusWriter:
    folder = RunFolder.create(runs, "x", CONFIG)
    rest.keep(folder.path)
    writer = StatusWriter(folder.path)
    writer.update(state=state, iteration=7)
    return writer


REST = Later("1-2", "mim4dd run digits-ipc1 --seeds 1-2", os.getpid(), host_name())


def test_a_stop_says_which_seeds_do_not_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = begun(Path("runs"), REST)
    words = "seeds 1-2 do not follow: `mim4dd run digits-ipc1 --seeds 1-2` begins them"
    assert main(["stop", "x"]) == 0
    assert capsys.readouterr().out.splitlines() == ["x is asked to stop", words]
    assert main(["stop", "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["later"] == {"seeds": "1-2", "command": REST.command}
    assert main(["show", "x"]) == 0
    assert "seeds 1-2 to follow" in capsys.readouterr().out
    assert main(["pause", "x"]) == 0
    assert "seeds" not in capsys.readouterr().out
    writer.update(state="stopped")
    assert main(["show", "x"]) == 0
    assert words in capsys.readouterr().out


def test_a_run_that_was_taken_up_alone_has_nothing_to_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    begun(Path("runs"), Later(REST.seeds, REST.command, 1, REST.host))
    assert main(["stop", "x"]) == 0
    assert "seeds" not in capsys.readouterr().out


def test_a_detached_sequence_says_what_a_stop_means(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"run": "x", "path": str(Path("runs/x").absolute()), "log": "log", "host": "here"}
    detach._conclude(said | {"later": REST.document}, 5, False)
    assert "seeds 1-2 to follow; those after a run that is stopped are not begun" in capsys.readouterr().out


def test_what_waits_is_told_what_is_to_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []

    class Line:
        def say(self, document: dict[str, Any]) -> None:
            said.append(document)

    monkeypatch.setattr(detach, "_lines", [Line()])
    monkeypatch.setattr(detach, "_move_output", lambda folder: folder / "output.log")
    hear = detach.observing(lambda event: None, tmp_path, REST)
    hear(RunStarted("x", None, 0, 10, 3, "here", 1, "0", {}))
    assert said[0]["later"] == REST.document


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_a_sequence_that_ends_early_keeps_what_was_to_follow(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the folder of the run it ended with, and in the lines of the process."""

    class Work:
        def __call__(self, observer: Any, control: Any) -> dict[str, Any]:
            folder = RunFolder.create(tmp_path / "elsewhere", "x", CONFIG)
            observer(RunStarted("x", None, 0, 10, 3, "here", 1, "0", {}))
            if how == "failed":
                raise RunFailed("not a number")
            return {"state": "stopped", "run": "x", "path": str(folder.path)}

    monkeypatch.setattr(running, "_starting", lambda *arguments: Work())
    monkeypatch.chdir(tmp_path)
    code = main(["run", "digits-ipc1", "--seeds", "0-2", "--set", "network.width=8", "--runs-dir", "elsewhere"])
    assert code == (how == "failed")
    command = f"mim4dd run digits-ipc1 --seeds 1-2 --set network.width=8 --runs-dir {tmp_path / 'elsewhere'}"
    err = capsys.readouterr().err
    assert f"seeds 1-2 do not follow: `{command}` begins them" in err
    if how == "stopped":
        assert f"stopped at seed 0: `mim4dd resume {tmp_path / 'elsewhere' / 'x'}` continues it" in err
    kept = json.loads((tmp_path / "elsewhere" / "x" / "sequence.json").read_text())
    assert (kept["command"], kept["pid"]) == (command, os.getpid())


def test_a_run_that_is_ended_at_once_says_how_to_go_on_and_what_does_not_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def abandoned(self: Supervisor, work: Any) -> None:
        work()
        raise AbandonedError("ended at once")

    def work(observer: Any, control: Any) -> dict[str, Any]:
        RunFolder.create(tmp_path, "x", CONFIG)
        observer(RunStarted("x", None, 0, 10, 3, "here", 1, "0", {}))
        return {}

    monkeypatch.setattr(Supervisor, "run", abandoned)
    with pytest.raises(AbandonedError) as error:
        running._headless(work, tmp_path, CONFIG, REST)
    assert f"ended at once; `mim4dd resume {tmp_path / 'x'}` goes on from the last one; seeds 1-2 do not" in str(
        error.value
    )
