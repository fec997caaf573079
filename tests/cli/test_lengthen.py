"""``mim4dd resume RUN --iterations N``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli.summary import result_lines
from tests.cli.command import Ended, begun, environment
from tests.cli.test_running import settings
from tests.reach.places import Camp, alive, until

Command = Callable[..., Ended]
LENGTHENED = "first is lengthened from 3 to 6 iterations"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of 3 iterations called ``first``."""
    folder = tmp_path_factory.mktemp("made")
    ended = command_in(folder)("run", "digits-ipc1", "--name", "first", "--json", *settings())
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "place"))


def command_in(folder: Path) -> Command:
    """A command in this process, which has torch loaded already, with a user of its own."""

    def command(*arguments: str) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        own = environment(HOME=str(folder), MIM4DD_CACHE_DIR=str(folder / "cache"), XDG_STATE_HOME=str(folder))
        with (
            contextlib.chdir(folder),
            mock.patch.dict(os.environ, own, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(arguments)
        return Ended(code, out.getvalue(), err.getvalue())

    return command


def test_a_finished_run_goes_on_to_as_many(place: Path) -> None:
    command = command_in(place)
    before = json.loads(command("show", "first", "--json").out)
    ended = command("resume", "first", "--iterations", "6", "--json")
    assert ended.code == 0, ended.err
    assert ended.err.startswith(LENGTHENED)
    begun_again = next(line for line in ended.err.splitlines() if line.startswith("run first (preset"))
    assert "objective.iterations 6" in begun_again
    assert begun_again.endswith("resumed from iteration 3")
    assert "iteration 6/6" in ended.err
    document = json.loads(ended.out)
    assert (document["state"], document["iteration"], document["iterations"]) == ("done", 6, 6)
    accuracy = before["accuracy"]["mean"]
    assert document["lengthened"] == [{"iteration": 3, "before": 3, "iterations": 6, "accuracy": accuracy}]
    shown = command("show", "first").out
    assert f"from 3 iterations (done, {100 * accuracy:.1f} %) to 6" in shown
    assert "objective.iterations 6" in shown


def test_the_same_command_again_only_goes_on(place: Path) -> None:
    """As a job that is put into a scheduler's queue again says it."""
    command = command_in(place)
    assert command("resume", "--latest", "--iterations", "6", "--json").code == 0
    again = command("resume", "first", "--iterations", "6", "--json")
    assert again.code == 0
    assert again.err.strip() == "first is done: there is nothing to resume (a larger --iterations lengthens it)"
    assert len(json.loads(again.out)["lengthened"]) == 1


def test_without_a_number_a_finished_run_says_how_it_goes_on(place: Path) -> None:
    ended = command_in(place)("resume", "first", "--headless")
    assert ended.code == 0
    assert "first is done: there is nothing to resume (a larger --iterations lengthens it)" in ended.err


@pytest.mark.parametrize(
    ("number", "words"), [("2", "first has 3 iterations already, and can only be given more"), ("0", "--iterations")]
)
@pytest.mark.parametrize("how", ["--json", "--headless", "--detach"])
def test_a_number_that_is_too_small_is_refused(number: str, words: str, how: str, place: Path) -> None:
    ended = command_in(place)("resume", "first", "--iterations", number, how)
    assert ended.code == 2
    assert words in ended.err + ended.out
    assert RunFolder(place / "runs" / "first").config().objective.iterations == 3


def test_on_a_terminal_one_that_has_as_many_is_only_shown(place: Path, opened: list[dict[str, Any]]) -> None:
    ended = command_in(place)("resume", "first", "--iterations", "3")
    assert (ended.code, ended.err) == (7, "")
    assert opened[0]["autostart"] is False
    assert opened[0]["notice"] == "first is done: there is nothing to resume (I lengthens it)"


def test_detached_there_is_no_process_for_one_that_is_done(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mim4dd_tui.cli.detach.detach", lambda *_: pytest.fail("a process was begun"))
    ended = command_in(place)("resume", "first", "--detach")
    assert ended.code == 0
    assert "first is done: there is nothing to resume" in ended.err
    assert "accuracy " in ended.out


def test_a_run_that_somebody_holds_is_refused(place: Path) -> None:
    with RunLock(place / "runs" / "first"):
        ended = command_in(place)("resume", "first", "--iterations", "6")
    assert ended.code == 4
    assert "mim4dd stop first" in ended.err
    assert RunFolder(place / "runs" / "first").config().objective.iterations == 3


def test_on_a_terminal_the_dashboard_opens_on_it_and_goes_on(place: Path, opened: list[dict[str, Any]]) -> None:
    ended = command_in(place)("resume", "first", "--iterations", "6")
    assert (ended.code, ended.err.strip()) == (7, LENGTHENED)
    assert (opened[0]["autostart"], opened[0]["notice"]) == (True, "")


def test_detached_it_goes_on_to_as_many(made: Path, tmp_path: Path) -> None:
    camp = Camp(tmp_path)
    shutil.copytree(made / "runs" / "first", camp.run("first"))
    ended = camp.command("resume", "first", "--iterations", "6", "--detach", "--json")
    assert ended.code == 0, ended.err
    assert LENGTHENED in ended.err
    pid = json.loads(ended.out)["pid"]
    until(lambda: not alive(pid), "the run is over")
    status = camp.status("first")
    assert (status["state"], status["iteration"], status["iterations"]) == ("done", 6, 6)
    assert "objective.iterations 6" in (camp.run("first") / "output.log").read_text()


def test_lengthening_loads_no_torch() -> None:
    program = "import engine.runs.lengthening, sys; sys.exit('torch' in sys.modules)"
    with begun([sys.executable, "-c", program]) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_how_it_was_lengthened_stands_in_the_summary() -> None:
    lengthened = [
        {"iteration": 1000, "before": 1000, "iterations": 2000, "accuracy": 0.8731},
        {"iteration": 1500, "before": 2000, "iterations": 12000, "accuracy": None},
    ]
    lines = dict(result_lines({"run": "it", "state": "done", "lengthened": lengthened}))
    assert lines["lengthened"] == (
        "from 1,000 iterations (done, 87.3 %) to 2,000; from 2,000 iterations (at iteration 1500) to 12,000"
    )
    assert "lengthened" not in dict(result_lines({"run": "it", "state": "done", "lengthened": []}))
