"""Every way of leaving, in a real pseudo-terminal: signals, hang-up, detach, and what the terminal gets back."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyte
import pytest

from engine.events import StateChanged
from engine.runs.journal import read_all

PROGRAM = """
import os, sys
from pathlib import Path
from mim4dd_tui.dashboard import run_dashboard
from tests.dashboard.fake import FakeEngine
engine = FakeEngine(iterations=int(sys.argv[2]), delay=0.02, hold=sys.argv[3] == "hold", fail_at=int(sys.argv[4]))
runs, begins = Path(sys.argv[1]), "idle" not in sys.argv
if "quiet" in sys.argv:  # as 2>/dev/null
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
if "closed" in sys.argv:  # as 2>&-
    os.close(2)
sys.exit(run_dashboard(runs_dir=runs, launch=engine, preset="digits-ipc1", autostart=begins))
"""
ROOT = Path(__file__).parents[2]
RESTORED = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h")
"""Main screen, no mouse reports, a visible cursor."""


SEQUENCE = re.compile(rb"\x1b(\[[<>=?0-9;]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\))")
PRIVATE = re.compile(rb"\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9;]*\$p")


@dataclass
class Terminal:
    pid: int
    master: int
    runs: Path
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(80, 24))

    def see(self, words: str, seconds: float = 90.0) -> str:
        """Wait until words stand on the screen; returns all that was written meanwhile."""
        stream, out = pyte.ByteStream(self.screen), b""
        end = time.monotonic() + seconds
        while not any(words in line for line in self.screen.display):
            assert time.monotonic() < end, "\n".join(self.screen.display)
            if select.select([self.master], [], [], 0.05)[0]:
                data = os.read(self.master, 65536)
                # pyte takes the private sequences of newer keyboard protocols for others
                stream.feed(PRIVATE.sub(b"", data))
                out += data
        return out.decode(errors="replace")

    def read(self, until: bytes = b"", seconds: float = 60.0) -> bytes:
        """What is written until some bytes are seen (or until the time is over)."""
        out, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            out += data
            if not data or (until and until in out):
                break
        assert until in out, out[-600:]
        return out

    def rest(self) -> bytes:
        """What was written until now, or until the process ended."""
        out = b""
        while select.select([self.master], [], [], 0)[0]:
            try:
                out += os.read(self.master, 65536)
            except OSError:
                break
        return out

    def wait(self, seconds: float = 60.0) -> int:
        """The exit code."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"the process did not end within {seconds} s")

    def status(self) -> dict[str, Any]:
        (path,) = self.runs.glob("*/status.json")
        values: dict[str, Any] = json.loads(path.read_text())
        return values


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Any]:
    opened: list[Terminal] = []

    def start(
        iterations: int = 400,
        *,
        hold: bool = False,
        fail_at: int = -1,
        idle: bool = False,
        errors: str = "",
        shell: bool = False,
        **environ: str,
    ) -> Terminal:
        program = [sys.executable, "-c", PROGRAM, str(tmp_path / "runs"), str(iterations)]
        program += ["hold" if hold else "end", str(fail_at), *["idle"][:idle], errors]
        pid, master = pty.fork()
        if pid == 0:
            env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", **environ}
            env |= {"MIM4DD_CONFIG_DIR": str(tmp_path / "config"), "LINES": "24", "COLUMNS": "80"}
            env["MIM4DD_RUNS_DIR"] = str(tmp_path / "runs")
            os.chdir(ROOT)
            if shell:
                os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], env)
            os.execve(sys.executable, program, env)
        opened.append(Terminal(pid, master, tmp_path / "runs"))
        if shell:
            script = tmp_path / "program.sh"
            script.write_text(f"exec {shlex.join(program)}\n")
            os.write(master, f"bash {script}\n".encode())
        return opened[-1]

    yield start
    for terminal in opened:
        with suppress(psutil.Error):
            for child in psutil.Process(terminal.pid).children(recursive=True):  # of a shell
                child.kill()
        ended(terminal.pid, terminal.master)


def ended(pid: int, master: int) -> None:
    """Closes a terminal, and ends the program in it where it has not ended by itself."""
    with suppress(OSError):
        os.close(master)
    with suppress(ChildProcessError, ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def assert_restored(out: bytes) -> None:
    for code in RESTORED:
        assert code in out, (code, out[-400:])
    assert b"\x1b[?1049h" not in out[out.index(RESTORED[0]) :]
    cleared, _, _ = out.rpartition(RESTORED[0])
    left = re.sub(rb"\x1b(\[[<>=?0-9;]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\\\))", b"", cleared.rpartition(b"\x1b[2J")[2])
    assert not left.strip(), f"tmux may take this for the shell's: {left!r}"


def test_sigterm_stops_with_a_checkpoint_restores_the_terminal_and_exits_143(open_terminal: Any) -> None:
    terminal = open_terminal(hold=True)
    terminal.see("s/it")
    os.kill(terminal.pid, signal.SIGTERM)
    assert_restored(terminal.read(until=RESTORED[2]))
    assert terminal.wait() == 143
    assert terminal.status()["state"] == "stopped"


def test_sigquit_ends_it_at_once_and_still_restores_the_terminal(open_terminal: Any) -> None:
    terminal = open_terminal(hold=True)
    terminal.see("s/it")
    os.kill(terminal.pid, signal.SIGQUIT)
    assert_restored(terminal.read(until=RESTORED[2]))
    assert terminal.wait() == -signal.SIGQUIT


@pytest.mark.long
def test_a_hang_up_closes_the_dashboard_and_the_run_goes_on_to_its_end(open_terminal: Any) -> None:
    terminal = open_terminal(iterations=150)
    terminal.see("s/it")
    os.close(terminal.master)
    time.sleep(1.0)
    before, ticks = time.monotonic(), cpu(terminal.pid)
    time.sleep(1.0)
    assert cpu(terminal.pid) - ticks < 0.6 * (time.monotonic() - before), "it spins on the dead terminal"
    assert terminal.wait() == 0
    assert terminal.status()["state"] == "done"


def test_a_hang_up_that_is_only_a_signal_gives_the_terminal_back(open_terminal: Any) -> None:
    terminal = open_terminal(iterations=100)
    terminal.see("s/it")
    os.kill(terminal.pid, signal.SIGHUP)
    assert_restored(terminal.read(until=b"goes on; Ctrl-C stops it"))
    terminal.read(until=b"is done, 87.2 %")
    assert terminal.wait() == 0
    assert terminal.status()["state"] == "done", "the run went on"


def test_ctrl_z_is_refused_where_no_shell_could_bring_it_back(open_terminal: Any) -> None:
    terminal = open_terminal(idle=True)
    terminal.see("presets")
    os.write(terminal.master, b"\x1a")
    terminal.see("there is no shell behind")
    os.write(terminal.master, b"q")
    assert terminal.wait() == 0


def test_ctrl_z_goes_to_the_shell_and_fg_comes_back(open_terminal: Any) -> None:
    terminal = open_terminal(hold=True, shell=True)
    terminal.see("s/it")
    os.write(terminal.master, b"\x1a")
    terminal.see("the run would stand still with it")
    out = b""
    for _ in range(5):  # a slow machine may have forgotten the first key
        os.write(terminal.master, b"\x1a")
        with suppress(AssertionError):
            out = terminal.read(until=b"topped", seconds=10)
            break
    assert_restored(out)
    terminal.screen.reset()
    os.write(terminal.master, b"fg\n")
    terminal.see("s/it")
    terminal.see("esc back")  # all of it is painted, not only what changes
    (journal,) = terminal.runs.glob("*/journal.jsonl")
    said = [record.event.state for record in read_all(journal) if isinstance(record.event, StateChanged)]
    assert said[-2:] == ["paused", "running"], "what stands still is a pause"
    os.write(terminal.master, b"x")
    terminal.see("stopped")
    os.write(terminal.master, b"q")
    terminal.read(until=b"mim4dd resume")
    time.sleep(1.0)  # until the shell reads again
    os.write(terminal.master, b"exit\n")
    assert terminal.wait() == 0


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
def test_let_it_run_on_prints_plain_lines_and_ctrl_c_then_stops_it(open_terminal: Any) -> None:
    terminal = open_terminal(hold=True, iterations=200)
    terminal.see("s/it")
    os.write(terminal.master, b"q")
    terminal.see("Let it run on")
    os.write(terminal.master, b"r")
    out = terminal.read(until=b"goes on; Ctrl-C stops it")
    assert_restored(out)
    lines = terminal.read(until=b"iteration 200/200")
    assert b"\x1b" not in lines
    os.write(terminal.master, b"\x03")
    terminal.read(until=b"run stopped")
    assert terminal.wait() == 130
    assert terminal.status()["state"] == "stopped"


def test_a_run_that_goes_on_without_the_dashboard_can_be_suspended_and_taken_up(open_terminal: Any) -> None:
    terminal = open_terminal(hold=True, iterations=200)
    terminal.see("s/it")
    os.write(terminal.master, b"q")
    terminal.see("Let it run on")
    os.write(terminal.master, b"r")
    terminal.read(until=b"goes on; Ctrl-C stops it")
    os.kill(terminal.pid, signal.SIGTSTP)  # which the system drops where no shell waits, as here; a handler is called
    time.sleep(0.5)
    os.kill(terminal.pid, signal.SIGCONT)
    lines = terminal.read(until=b"iteration 200/200")
    assert b"\x1b" not in lines
    os.write(terminal.master, b"\x03")
    terminal.read(until=b"run stopped")
    assert terminal.wait() == 130


@pytest.mark.long
def test_a_failed_run_gives_exit_code_1_when_the_dashboard_is_closed(open_terminal: Any) -> None:
    terminal = open_terminal(fail_at=30)
    terminal.see("objective.pixel_rate")
    os.write(terminal.master, b"q")
    out = terminal.read(until=RESTORED[2])
    assert_restored(out)
    out += terminal.read(until=b"journal.jsonl")
    said = b" ".join(out.rpartition(RESTORED[2])[2].split()).decode()
    assert " failed: the loss is not a number at iteration 30: lower objective.pixel_rate; " in said
    assert "; log: " in said
    assert terminal.wait() == 1


@pytest.mark.parametrize("keys", [b"s", b"\x03"], ids=["s", "^C"])
def test_after_a_stop_it_is_said_where_the_run_stands_and_how_it_goes_on(open_terminal: Any, keys: bytes) -> None:
    terminal = open_terminal(iterations=200, hold=True)
    terminal.see("s/it")
    os.write(terminal.master, b"\x03")
    terminal.see("Let it run on")
    os.write(terminal.master, keys)
    out = terminal.read(until=b"mim4dd resume")
    assert_restored(out)
    assert terminal.wait() in (0, 130)
    status, (folder,) = terminal.status(), terminal.runs.glob("*/status.json")
    said = b" ".join((out + terminal.rest()).rpartition(RESTORED[2])[2].split()).decode()
    told = (
        f"{folder.parent.name} stopped at iteration {status['iteration']} of 200; `mim4dd resume {folder.parent.name}`"
    )
    assert said.endswith(told), said


@pytest.mark.parametrize("errors", ["quiet", "closed"])
def test_it_opens_also_where_warnings_are_sent_away(open_terminal: Any, errors: str) -> None:
    terminal = open_terminal(idle=True, errors=errors)
    terminal.see("presets")
    os.write(terminal.master, b"q")
    assert_restored(terminal.read(until=RESTORED[2]))
    assert terminal.wait() == 0


def test_where_nothing_ran_nothing_is_said(open_terminal: Any) -> None:
    terminal = open_terminal(idle=True)
    terminal.see("presets")
    os.write(terminal.master, b"q")
    out = terminal.read(until=RESTORED[2])
    assert terminal.wait() == 0
    left = SEQUENCE.sub(b"", out.rpartition(RESTORED[2])[2] + terminal.rest())
    assert not left.strip(), left


@pytest.mark.long
@pytest.mark.parametrize(
    ("environ", "forbidden"),
    [
        ({"TERM": "linux", "COLORTERM": ""}, ["38;2;", "38;5;", "▀"]),
        ({"TERM": "xterm-256color", "COLORTERM": ""}, ["38;2;"]),
        ({"LC_ALL": "C"}, ["▀"]),
    ],
)
def test_poor_terminals_get_only_what_they_can_show(
    open_terminal: Any, environ: dict[str, str], forbidden: list[str]
) -> None:
    terminal = open_terminal(iterations=60, hold=True, **environ)
    out = terminal.see("60/60")
    for code in forbidden:
        assert code not in out
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 143
