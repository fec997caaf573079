"""What somebody at the keyboard of a headless run can do to it: end it at once, or answer a debugger."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs.lock import free
from tests.cli.command import begun
from tests.reach.places import Camp, options

PROGRAM = """
import sys, time
from engine.objectives.trajectory import Trajectory
episode = Trajectory.episode
def planted(self, *given):
    answer = 41
    {does}
    return episode(self, *given)
Trajectory.episode = planted
from mim4dd_tui.__main__ import main
sys.exit(main())
"""


def command(does: str) -> list[str]:
    program = PROGRAM.replace("{does}", does)
    return [sys.executable, "-c", program, "run", "digits-ipc1", "--name", "one", "--headless", *options()]


def shown(camp: Camp) -> tuple[str, str]:
    """State and message."""
    values = json.loads(camp.command("show", "one", "--json").out)
    return values["state"], values["message"]


def test_a_run_that_is_ended_at_once_leaves_its_word(tmp_path: Path) -> None:
    camp = Camp(tmp_path)
    does = "print('in it', file=sys.stderr, flush=True); time.sleep(60)"
    with begun(command(does), cwd=tmp_path, env=camp.env) as process:
        assert process.stderr is not None
        for words in ("in it", "again to end at once"):
            while words not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "ended at once, without a checkpoint of its own; `mim4dd resume one` goes on from the last one" in err
    assert shown(camp) == ("stopped", "ended at once, without a checkpoint of its own (Ctrl-C)")
    assert free(camp.run("one")), "`mim4dd stop --wait` would wait for ever"
    assert camp.command("resume", "one", "--headless", wait=200).code == 0
    assert shown(camp)[0] == "done"


def in_terminal(camp: Camp, does: str, *answers: str) -> tuple[int, str]:
    """Exit code and all that was shown, where every prompt of the debugger gets the next answer."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the new process
        os.chdir(camp.path)
        os.execve(sys.executable, command(does), camp.env | {"TERM": "xterm-256color"})
    out, left, end = b"", list(answers), time.monotonic() + 120
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        out += data
        if left and out.count(b"(Pdb) ") > len(answers) - len(left):
            os.write(terminal, left.pop(0).encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), " ".join(out.decode().split())


def test_a_debugger_works_on_a_terminal(tmp_path: Path) -> None:
    quick = "if not hasattr(Trajectory, 'seen'): Trajectory.seen = True; breakpoint()"
    code, out = in_terminal(Camp(tmp_path), quick, "p answer + 1", "c")
    assert code == 0
    assert "(Pdb) p answer + 1 42 (Pdb) c" in out
    assert "run done" in out


def left(camp: Camp) -> str:
    return in_terminal(camp, "breakpoint()", "q")[1]


def without_a_terminal(camp: Camp) -> str:
    with begun(command("breakpoint()"), cwd=camp.path, env=camp.env) as process:
        return " ".join(process.communicate(timeout=120)[1].split())


@pytest.mark.parametrize("how", [left, without_a_terminal])
def test_a_run_that_ends_in_a_debugger_says_so(tmp_path: Path, how: Callable[[Camp], str]) -> None:
    camp = Camp(tmp_path)
    why = (
        "ended in the debugger (breakpoint, pdb): it was left, or nobody could answer it; "
        "on a terminal `mim4dd run PRESET --headless` lets you"
    )
    assert f"mim4dd: {why}" in how(camp)
    assert shown(camp) == ("failed", why)
