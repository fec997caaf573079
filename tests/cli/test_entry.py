"""How commands fail: a sentence, an exit code, and with --json a document."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError, DataError, MimError, RunFailed, RunLocked
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli.failures import PartlyFailedError
from tests.cli.command import COMMAND, environment, mim4dd


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes ``mim4dd runs`` fail with a chosen error."""

    def arrange(error: BaseException) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr("engine.runs.folder.list_runs", fail)

    return arrange


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunFailed("the loss is not a number"), 1),
        (ConfigError("data.name: wrong"), 2),
        (DataError("train-images is truncated"), 3),
        (RunLocked("held by pid 1"), 4),
    ],
)
def test_errors_for_people_are_a_sentence_and_a_code(
    error: MimError, code: int, failing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(error)
    assert main(["runs"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"mim4dd: {error}\n"
    assert main(["runs", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document == {"error": str(error), "kind": type(error).__name__, "exit_code": code}


def test_a_failure_after_finished_work_reports_both(failing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failing(PartlyFailedError(DataError("gone"), {"runs": [{"run": "a"}]}))
    assert main(["runs", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document == {"error": "gone", "kind": "DataError", "exit_code": 3, "runs": [{"run": "a"}]}


def test_a_bug_gives_a_short_message_and_a_crash_log(failing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ZeroDivisionError("by zero"))
    assert main(["runs", "--json"]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    path = Path(err.strip().rpartition(" is in ")[2])
    assert "Traceback" in path.read_text()
    assert "ZeroDivisionError: by zero" in path.read_text()
    assert json.loads(out)["kind"] == "ZeroDivisionError"


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "--nope"],
        ["nope"],
        ["run"],
        ["run", "digits-ipc1", "--seed", "x"],
        ["show"],
        ["--runs-dir", "a", "runs"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_tells_why(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.strip()
    assert main([*arguments, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 2
    assert document["error"]


def test_without_a_terminal_the_dashboard_says_what_to_use(tmp_path: Path) -> None:
    ended = mim4dd(cwd=tmp_path)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "mim4dd run PRESET --headless" in ended.err


def test_a_reader_that_goes_away_is_no_bug(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "paths"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(60) == 1
    assert errors == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["presets"], ["paths", "--json"], ["run", "nix", "--json"]])
def test_a_full_disk_behind_standard_output_is_said_in_a_sentence(
    arguments: list[str], unbuffered: str, tmp_path: Path
) -> None:
    env = environment(PYTHONUNBUFFERED=unbuffered, XDG_STATE_HOME=str(tmp_path))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, env=env, text=True, timeout=120, check=False
        )
    assert (ended.returncode, ended.stderr.count("\n")) == (2 if "nix" in arguments else 1, 1)
    assert "nix" in ended.stderr or "standard output cannot be written: No space left" in ended.stderr
    assert not list(tmp_path.iterdir()), "a report of a crash that was none"


def test_nothing_is_coloured_in_a_pipe(tmp_path: Path) -> None:
    for arguments in (["--help"], ["presets"], ["runs", "--nope"], ["run", "no-such-preset"]):
        ended = mim4dd(*arguments, cwd=tmp_path, env=environment(TERM="xterm-256color"))
        assert "\x1b" not in ended.out + ended.err


def test_characters_the_locale_lacks_do_no_harm(tmp_path: Path) -> None:
    env = environment(PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    ended = mim4dd("--help", cwd=tmp_path, env=env)
    assert ended.code == 0
    assert ended.out.isascii()


def test_the_module_and_the_version(tmp_path: Path) -> None:
    ended = mim4dd("--version", cwd=tmp_path)
    assert ended.code == 0
    assert ended.out.startswith("mim4dd ")


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")], ids=" ".join)
def test_a_help_asks_for_no_value_behind_a_switch(arguments: tuple[str, ...]) -> None:
    told = mim4dd(*arguments, env=environment(COLUMNS="100")).out
    assert "--help" in told
    assert "<bool>" not in told


def test_the_paragraphs_of_a_help_are_as_wide_as_the_terminal() -> None:
    done = mim4dd("run", "--help", env=environment(COLUMNS="80"))
    line = next(line for line in done.out.splitlines() if "progress goes to" in line)
    assert line.strip() == "or --json, progress goes to standard error as plain lines. Ctrl-C stops with a"
