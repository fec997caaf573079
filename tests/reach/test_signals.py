"""Signals and hang-ups that reach a dashboard in a real pseudo-terminal, with a scripted engine behind it."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import ROOT
from tests.dashboard.test_leaving import RESTORED, Terminal, assert_restored, ended
from tests.reach.places import alive, open_files, threads, until

PROGRAM = """
import sys
from pathlib import Path
from mim4dd_tui.dashboard import run_dashboard
from tests.dashboard.fake import FakeEngine
engine = FakeEngine(iterations=int(sys.argv[2]), delay=0.02)
sys.exit(run_dashboard(
    runs_dir=Path(sys.argv[1]), launch=engine, preset="digits-ipc1", autostart=True, overrides=sys.argv[3:]
))
"""
Open = Callable[..., Terminal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Starts dashboards, and ends what is left of them."""
    terminals: list[Terminal] = []

    def start(*overrides: str, iterations: int = 100_000) -> Terminal:
        pid, master = pty.fork()
        if pid == 0:  # pragma: no cover - the new process
            env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "LINES": "24", "COLUMNS": "80"}
            env |= {"MIM4DD_CONFIG_DIR": str(tmp_path / "config")}
            os.chdir(ROOT)
            program = [sys.executable, "-c", PROGRAM, str(tmp_path / "runs"), str(iterations), *overrides]
            os.execve(sys.executable, program, env)
        terminals.append(Terminal(pid, master, tmp_path / "runs"))
        terminals[-1].see("s/it")
        return terminals[-1]

    yield start
    for terminal in terminals:
        ended(terminal.pid, terminal.master)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGUSR1, 138), pytest.param(signal.SIGINT, 130, marks=pytest.mark.long)],
)
def test_a_signal_from_elsewhere_stops_with_a_checkpoint_and_restores_the_terminal(
    opened: Open, number: int, code: int
) -> None:
    terminal = opened()
    os.kill(terminal.pid, number)
    assert_restored(terminal.read(until=RESTORED[2]))
    assert terminal.wait() == code
    assert terminal.status()["state"] == "stopped"


def test_a_hang_up_leaves_nothing_but_the_run(opened: Open) -> None:
    """The interface's threads and files are gone, what waits for the run costs nothing, and a second SIGHUP, as
    a shell sends it, does no harm."""
    terminal = opened()
    shown = len(threads(terminal.pid)), open_files(terminal.pid)
    os.kill(terminal.pid, signal.SIGHUP)
    os.close(terminal.master)
    os.kill(terminal.pid, signal.SIGHUP)
    until(lambda: len(threads(terminal.pid)) == 2, "two threads: the one that waits, the engine's", 20)
    before = threads(terminal.pid)
    assert before.keys() == threads(terminal.pid).keys()
    time.sleep(2.0)
    after = threads(terminal.pid)
    assert after[terminal.pid] - before[terminal.pid] <= 0.1, "the thread that waits for the run burns time"
    assert len(after) < shown[0]
    assert open_files(terminal.pid) <= shown[1]
    assert not [link for link in descriptors(terminal.pid) if "ptmx" in link or "/pts/" in link or "deleted" in link]
    assert alive(terminal.pid)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 143
    assert terminal.status()["state"] == "stopped"


def descriptors(pid: int) -> list[str]:
    return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]


@pytest.mark.long
def test_after_a_hang_up_the_run_reaches_its_end(opened: Open) -> None:
    terminal = opened(iterations=200)
    os.close(terminal.master)
    assert terminal.wait() == 0
    assert terminal.status()["state"] == "done"


@pytest.mark.long
def test_a_hang_up_stops_the_run_where_it_is_wanted(opened: Open) -> None:
    terminal = opened("execution.on_hangup=stop")
    os.close(terminal.master)
    assert terminal.wait() == 129
    assert terminal.status()["state"] == "stopped"


@pytest.mark.long
def test_ctrl_c_asks_stops_leaves_and_ends(opened: Open) -> None:
    """In the dashboard Ctrl-C asks first; the next stops with a checkpoint."""
    terminal = opened()
    os.write(terminal.master, b"\x03")
    terminal.see("Let it run on")
    os.write(terminal.master, b"\x03")
    assert_restored(terminal.read(until=RESTORED[2]))
    assert terminal.wait() in (0, 130)
    assert terminal.status()["state"] == "stopped"


@pytest.mark.long
def test_a_frozen_connection_does_not_keep_a_signal_from_the_run(opened: Open) -> None:
    """Nobody reads what the dashboard writes, until it stands still; SIGTERM still stops the run in time."""
    terminal = opened()
    until(lambda: stands_still(terminal.pid), "the interface stands still", 60)
    os.kill(terminal.pid, signal.SIGTERM)
    until(lambda: terminal.status()["state"] == "stopped", "the run has stopped", 10)
    assert_restored(terminal.read(until=RESTORED[2]))
    assert terminal.wait() == 143


def stands_still(pid: int) -> bool:
    """Whether the interface's thread has nothing left to do, though the run goes on."""
    before = threads(pid)[pid]
    time.sleep(1.5)
    return threads(pid)[pid] == before
