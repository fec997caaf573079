"""How commands fail: a sentence, an exit code, and with --json a document."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from select import select
from typing import Any

import pytest

from engine.config.schema import Config
from engine.errors import ConfigError, DataError, MimError, RunFailed, RunLocked
from engine.files import write_json
from engine.runs.folder import RunFolder
from mim4dd_tui.__main__ import main
from mim4dd_tui.characters import write_plain
from mim4dd_tui.cli.failures import PartlyFailedError
from tests.cli.command import COMMAND, Ended, begun, environment, mim4dd


def closed(how: str, *arguments: str, cwd: Path, **variables: str) -> Ended:
    """``mim4dd ARGUMENTS`` as a shell begins it, with streams redirected or closed."""
    shell = ["/bin/sh", "-c", f'exec "$@" {how}', "sh", *COMMAND, *arguments]
    env = environment(XDG_STATE_HOME=str(cwd), **variables)
    done = subprocess.run(shell, cwd=cwd, env=env, text=True, capture_output=True, timeout=120, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes ``mim4dd runs`` fail with a chosen error."""

    def arrange(error: BaseException) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr("engine.runs.finding.list_runs", fail)

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
    path = Path(err.strip().rpartition(" is in ")[2]).expanduser()
    assert "Traceback" in path.read_text()
    assert "ZeroDivisionError: by zero" in path.read_text()
    assert json.loads(out)["kind"] == "ZeroDivisionError"


def test_of_code_that_cannot_be_read_the_line_is_named(failing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    failing(SyntaxError("invalid syntax", ("means.py", 66, 1, "def", 66, 4)))
    assert main(["runs"]) == 1
    assert "(SyntaxError: invalid syntax (means.py, line 66));" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (
            ["resume", "x", "--iterations", "abc"],
            "--iterations': 'abc' is not allowed; it must be an integer at least 1",
        ),
        (["resume", "x", "--iterations", "0"], "--iterations': '0' is not allowed; it must be an integer at least 1"),
        (["evaluate", "x", "--networks", "2.5"], "--networks': '2.5' is not allowed; it must be an integer at least 1"),
        (["run", "digits-ipc1", "--seed=-1"], "--seed': '-1' is not allowed; it must be an integer at least 0"),
        (["stop", "x", "--wait", "--timeout", "z"], "--timeout': 'z' is not allowed; it must be a number at least 0"),
        (["stop", "x", "--wait", "--timeout=-1"], "--timeout': '-1' is not allowed; it must be a number at least 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1],
)
def test_a_number_is_refused_as_one_of_a_setting_is(
    arguments: list[str], refused: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    command = arguments[0]
    usage, hint, empty, error = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"Usage: mim4dd {command} ")
    assert (hint, empty) == (f"Try 'mim4dd {command} -h' for help.", "")
    assert error == f"Error: Invalid value for '{refused}"


def test_what_is_wrong_with_an_option_is_told_in_lines_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mim4dd_tui.fitting.columns", lambda _: 60)
    assert main(["resume", "x", "--iterations", "abc"]) == 2
    assert all(len(line) <= 60 for line in capsys.readouterr().err.splitlines())


def test_without_a_terminal_the_dashboard_says_what_to_use(tmp_path: Path) -> None:
    ended = mim4dd(cwd=tmp_path)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "mim4dd run PRESET --headless" in ended.err


def test_ctrl_c_while_the_program_loads_ends_it_without_a_report(tmp_path: Path) -> None:
    """With what it loads first held back, as on a slow disk."""
    slow = "import builtins, sys, time\nreal = builtins.__import__\ndef held(name, *rest):\n"
    slow += "    if name == 'typer':\n        print('loading', flush=True)\n        time.sleep(60)\n"
    slow += "    return real(name, *rest)\nbuiltins.__import__ = held\n"
    slow += "from mim4dd_tui.__main__ import main\nsys.exit(main(['runs']))\n"
    with begun([sys.executable, "-c", slow], cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


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
    assert line.strip() == "or --json, progress goes to standard error as plain lines. Ctrl-C stops, to be"


@pytest.mark.parametrize("python", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [["runs"], ["runs", "--json"], ["presets"], ["paths"], ["--help"], ["run", "--help"], ["--version"]],
    ids=" ".join,
)
def test_a_closed_standard_output_is_said_in_a_sentence(arguments: list[str], python: str, tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs", "x", Config())
    ended = closed(">&-", *arguments, cwd=tmp_path, PYTHONUNBUFFERED=python)
    assert ended == Ended(1, "", "mim4dd: standard output cannot be written: it is closed\n")
    assert not (tmp_path / "mim4dd").exists(), "a report of a crash that was none"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_help_on_a_full_disk_is_no_bug(tmp_path: Path) -> None:
    ended = closed(">/dev/full", "--help", cwd=tmp_path)
    assert ended == Ended(1, "", "mim4dd: standard output cannot be written: No space left on device\n")


def test_closed_streams_are_no_reason_to_fail(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs", "x", Config())
    assert closed("2>&-", "show", "nothing", cwd=tmp_path) == Ended(3, "", "")
    assert closed("<&- 2>&-", "runs", cwd=tmp_path).out.startswith("run ")
    assert closed("<&- >&- 2>&-", "show", "x", cwd=tmp_path) == Ended(1, "", "")


@pytest.mark.parametrize("arguments", [[], ["attach", "x"]], ids=["alone", "attach"])
@pytest.mark.parametrize("elsewhere", ["input", "output"])
def test_a_dashboard_opens_only_where_input_and_output_are_the_terminal(
    arguments: list[str], elsewhere: str, tmp_path: Path
) -> None:
    RunFolder.create(tmp_path / "runs", "x", Config())
    write_json(tmp_path / "runs" / "x" / "status.json", {"state": "done"})
    terminal, ours = pty.openpty()
    streams = dict.fromkeys(("input", "output", "error"), ours)
    try:
        with (tmp_path / "file").open("w+") as file:
            streams[elsewhere] = file.fileno()
            done = subprocess.run(
                [*COMMAND, *arguments],
                stdin=streams["input"],
                stdout=streams["output"],
                stderr=streams["error"],
                cwd=tmp_path,
                env=environment(TERM="xterm-256color", COLUMNS="200"),
                timeout=60,
                check=False,
            )
        seen = os.read(terminal, 65_536).decode() if select([terminal], [], [], 0)[0] else ""
    finally:
        os.close(ours)
        os.close(terminal)
    told = seen + (tmp_path / "file").read_text()
    assert "\x1b[?1049h" not in told, "the dashboard has opened"
    if arguments:
        assert done.returncode == 0
        assert "state" in told
        return
    assert done.returncode == 2
    refusal = f"no dashboard here (standard {elsewhere} is not a terminal); use `mim4dd run PRESET --headless`"
    assert refusal in " ".join(told.split())


def test_no_file_gets_the_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from mim4dd_tui.cli.output import open_closed_streams\n"
        "open_closed_streams()\n"
        "print(os.open(os.devnull, os.O_RDONLY) > 2, file=open(sys.argv[1], 'w'))\n"
    )
    told = tmp_path / "told"
    shell = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program, str(told)]
    subprocess.run(shell, env=environment(), check=True, timeout=60)
    assert told.read_text() == "True\n"


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "de_DE.ISO-8859-1"}], ids=str)
def test_plain_characters_are_written_where_the_locale_has_no_others(locale: dict[str, str], tmp_path: Path) -> None:
    """But the name of a folder, which another program may read, comes out whole."""
    for arguments in (["--help"], ["run", "--help"]):
        told = mim4dd(*arguments, cwd=tmp_path, env=environment(COLUMNS="80", **locale))
        assert told.out.isascii()
        assert "+- Options ---" in told.out
    told = mim4dd("paths", "--runs-dir", "é±", cwd=tmp_path, env=environment(PYTHONUTF8="1", LC_ALL="C"))
    assert f"{tmp_path}/é" in told.out


def test_a_deviation_in_plain_characters_is_as_wide(tmp_path: Path) -> None:
    with (tmp_path / "told").open("w", encoding="utf-8") as stream:
        write_plain(stream)
        stream.write("± 87.3 ± 0.4 % … ─┐ é ж\n")
    assert (tmp_path / "told").read_text(encoding="utf-8") == "~ 87.3 +-0.4 % ~ -+ é ж\n"


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ({"MIM4DD_CONFIG_DIR": "~nobody-here/x"}, ["presets"]),
        ({"MIM4DD_CACHE_DIR": "~nobody-here/x"}, ["paths"]),
        ({"MIM4DD_RUNS_DIR": "~nobody-here/x"}, ["runs"]),
        ({"MIM4DD_DATA_DIR": "~nobody-here/x"}, ["paths"]),
        ({}, ["runs", "--runs-dir", "~nobody-here/x"]),
        ({}, ["doctor", "--data-dir", "~nobody-here/x"]),
        ({}, ["export", "~nobody-here/x.safetensors"]),
    ],
)
def test_a_home_folder_of_nobody_is_a_slip_of_the_keys(
    variables: dict[str, str], arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "/x" in said
    assert said.endswith("~nobody-here is no home folder here: write out the path")


def test_every_place_is_a_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", "mine")
    assert main(["paths", "--json"]) == 0
    places = json.loads(capsys.readouterr().out)
    assert places["presets"] == str(tmp_path / "mine" / "presets")
    assert all(Path(place).is_absolute() for place in places.values())


def test_a_place_that_is_closed_is_no_bug(
    failing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    failing(PermissionError(13, "Permission denied", "/closed/x"))
    assert main(["runs"]) == 3
    assert capsys.readouterr().err == "mim4dd: cannot look at /closed/x: Permission denied\n"
    assert not list(tmp_path.iterdir()), "a report of a crash that was none"


def test_of_a_place_that_is_closed_it_is_not_said_that_nothing_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exists(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", exists)
    assert main(["paths"]) == 0
    assert all(line.endswith("  (Permission denied)") for line in capsys.readouterr().out.splitlines())
