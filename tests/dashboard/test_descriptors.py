"""Who writes to descriptors 1 and 2 and who reads from 0 under the dashboard, in a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from engine.runs.folder import RunFolder
from engine.runs.status import host_name
from mim4dd_tui.dashboard.descriptors import KEPT, PREFIX, TOLD, Descriptors, told_of
from mim4dd_tui.dashboard.printed import SAID, Printed
from tests.cli.command import ROOT
from tests.dashboard.test_leaving import RESTORED, Terminal, assert_restored, ended
from tests.runs.helpers import make_folder

PROGRAM = """
import ctypes, os, subprocess, sys, threading, time
from pathlib import Path
from engine.events import Iteration, RunStarted
from mim4dd_tui.dashboard import app, run_dashboard
from tests.dashboard.fake import FakeEngine

C = ctypes.CDLL(None)

class Engine(FakeEngine):
    def __call__(self, order, observer, control):
        if hasattr(deeds, "early"):
            deeds.early()
        def hear(event):
            if isinstance(event, RunStarted):
                deeds.folder = order.runs_dir / event.run
            observer(event)
            if isinstance(event, Iteration) and event.iteration == 5 and hasattr(deeds, "run"):
                deeds.run()
        return super().__call__(order, hear, control)

class deeds:
    pass

exec(sys.argv[2])
engine = Engine(iterations=20, hold=hasattr(deeds, "hold"))
code = run_dashboard(
    runs_dir=Path(sys.argv[1]), launch=engine, preset="digits-ipc1", autostart=not hasattr(deeds, "idle")
)
for descriptor in (0, 1, 2):
    os.write(1, f"<{descriptor} leads to {os.readlink(f'/proc/self/fd/{descriptor}')}>".encode())
print("<the end>", flush=True)
sys.exit(code)
"""
EVERY_WAY = """
def early():
    print("print on import")
    os.write(1, b"write on import\\n")
    print("print again")

def run():
    print("print")
    os.write(1, b"write to 1\\n")
    os.write(2, b"write to 2\\n")
    C.printf(b"printf\\n")
    print("print", file=sys.stderr)
    subprocess.run(["echo", "of a process"])
    thread = threading.Thread(target=print, args=("of a thread",))
    thread.start()
    thread.join()
    C.printf(b"not a whole line")

deeds.early, deeds.run, deeds.hold = early, run, True
"""
IDLE = """
deeds.idle = True

def write():
    time.sleep(1)
    for _ in range({lines}):
        os.write(2, b"native words\\n")
    C.printf(b"held by C")

app.DashboardApp.on_ready = lambda self: threading.Thread(target=write).start()
"""
ROWS, COLUMNS = 30, 100
Open = Callable[..., Terminal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Starts a dashboard that does what it is told, in a terminal that says its size itself."""
    terminals: list[Terminal] = []

    def start(deeds: str) -> Terminal:
        pid, master = pty.fork()
        if pid == 0:  # pragma: no cover - the new process
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(tmp_path)}
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM, str(tmp_path / "runs"), deeds], env)
        terminals.append(Terminal(pid, master, tmp_path / "runs", pyte.Screen(COLUMNS, ROWS)))
        return terminals[-1]

    yield start
    for terminal in terminals:
        ended(terminal.pid, terminal.master)


def left(tmp_path: Path) -> list[Path]:
    return left_in(tmp_path / "mim4dd" / "crashes")


def left_in(folder: Path) -> list[Path]:
    return list(folder.glob(f"{PREFIX}*"))


def log_of(terminal: Terminal) -> Path:
    (path,) = terminal.runs.glob("*/config.toml")
    return RunFolder(path.parent).output_path


def test_whatever_a_run_writes_is_kept_in_order_and_the_screen_stays(opened: Open, tmp_path: Path) -> None:
    terminal = opened(EVERY_WAY)
    out = terminal.see("20/20") + terminal.see(SAID[:30])
    os.kill(terminal.pid, signal.SIGTERM)
    rest = terminal.read(until=b"<the end>").decode(errors="replace")
    kept = log_of(terminal)
    assert kept.read_text().splitlines() == [
        "print on import", "write on import", "print again", "print", "write to 1", "write to 2", "printf", "print",
        "of a process", "of a thread", "not a whole line",
    ]  # fmt: skip
    assert kept.stat().st_mode & 0o777 == 0o600
    for words in ("on import", "write to", "printf", "of a process", "of a thread", "whole line"):
        assert words not in out + rest
    assert rest.count(" leads to /dev/pts/") == 3
    assert terminal.wait() == 143
    assert not left(tmp_path)


def test_of_a_run_that_prints_nothing_no_file_is_left(opened: Open) -> None:
    """Neither once the dashboard has let go of it, nor at its end."""
    terminal = opened("deeds.hold = True")
    terminal.see("20/20")
    log = log_of(terminal)
    assert log.stat().st_size == 0
    os.write(terminal.master, b"q")
    terminal.see("Let it run on")
    os.write(terminal.master, b"r")
    terminal.read(until=b"goes on; Ctrl-C stops it")
    assert not log.exists()
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.wait() == 143
    assert not log.exists()


def test_at_the_end_of_a_run_that_printed_nothing_its_file_goes(opened: Open) -> None:
    terminal = opened("")
    terminal.see("done")
    log, end = log_of(terminal), time.monotonic() + 10
    while log.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_comes_after_an_empty_file_was_taken_away_is_kept(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    printed = Printed(lambda _said: None, held := Descriptors(tmp_path))
    printed.begin(folder.path)
    printed.let_go()
    assert not folder.output_path.exists()
    printed.write("after all")
    printed.close()
    held.close()
    assert folder.output_path.read_text() == "after all"


def test_what_a_run_starts_reads_none_of_the_keys(opened: Open) -> None:
    """The dashboard has them all, also while such a process asks for some."""
    terminal = opened(
        "def run():\n"
        "    asks = 'import sys; print(sys.stdin.readlines())'\n"
        "    print(subprocess.run([sys.executable, '-c', asks], capture_output=True, text=True, timeout=20))\n"
        "deeds.run, deeds.hold = run, True\n"
    )
    terminal.see("20/20")
    assert "stdout='[]\\n'" in log_of(terminal).read_text()
    os.write(terminal.master, b"?")
    terminal.see("Pause the run, or let it go on")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.read(until=b"<the end>").count(b" leads to /dev/pts/") == 3


def test_the_screen_is_as_large_as_the_terminal(opened: Open) -> None:
    terminal = opened("deeds.idle = True")
    terminal.see("presets")
    terminal.see("quit")
    (row,) = [row for row, line in enumerate(terminal.screen.display) if "quit" in line]
    assert row == ROWS - 1


def test_a_folder_that_was_deleted_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    printed = Printed(lambda _said: None, held := Descriptors(tmp_path))
    printed.begin(folder.path)
    shutil.rmtree(folder.path)
    printed.close()
    held.close()
    assert not folder.path.exists()


def test_it_is_so_from_the_first_moment_on(opened: Open) -> None:
    terminal = opened(
        "deeds.idle = True\n"
        "mount = app.DashboardApp.on_mount\n"
        "def on_mount(self):\n    os.write(2, str(tuple(self.size)).encode())\n    return mount(self)\n"
        "app.DashboardApp.on_mount = on_mount\n"
    )
    terminal.see("quit")
    os.write(terminal.master, b"q")
    assert f"({COLUMNS}, {ROWS})" in terminal.read(until=b"<the end>").decode(errors="replace")


@pytest.mark.parametrize("lines", [2, TOLD + 1])
def test_what_no_run_wrote_is_told_when_the_dashboard_has_closed(opened: Open, tmp_path: Path, lines: int) -> None:
    terminal = opened(IDLE.replace("{lines}", str(lines)))
    terminal.see("presets")
    end = time.monotonic() + 60
    while not any(path.stat().st_size for path in left(tmp_path)):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    os.write(terminal.master, b"q")
    screen, _, after = terminal.read(until=b"<the end>").rpartition(RESTORED[2])
    assert b"native" not in screen
    if lines <= TOLD:
        assert b"while the dashboard was open this was printed:\r\n" + 2 * b"native words\r\n" + b"held by C" in after
        assert not left(tmp_path)
    else:
        (path,) = left(tmp_path)
        assert b"native" not in after
        assert f"{lines + 1} lines were printed: {path}" in b" ".join(after.split()).decode()
        assert path.read_text() == lines * "native words\n" + "held by C"


def test_a_crash_of_the_dashboard_is_told_on_the_terminal(opened: Open) -> None:
    terminal = opened(
        "deeds.idle = True\n"
        "def broken(self):\n    os.write(2, b'last words')\n    raise ValueError('a planted mistake')\n"
        "app.DashboardApp.action_help = broken\n"
    )
    terminal.see("presets")
    os.write(terminal.master, b"?")
    out = terminal.read(until=b"<the end>")
    assert_restored(out)
    after = out.rpartition(RESTORED[2])[2]
    assert b"a planted mistake" in after
    assert after.index(b"a planted mistake") < after.index(b"last words"), "what was printed is told too"
    assert terminal.wait() == 1


def test_the_words_of_a_fatal_native_error_are_in_a_file(opened: Open, tmp_path: Path) -> None:
    terminal = opened("deeds.run = lambda: (os.write(2, b'terminate called\\n'), os.abort())")
    assert terminal.wait() == -signal.SIGABRT
    text = log_of(terminal).read_text()
    assert text.startswith("terminate called\nFatal Python error: Aborted")
    assert 'File "<string>"' in text
    (empty,) = left(tmp_path)
    again = opened("deeds.idle = True")
    again.see("presets")
    assert empty not in left(tmp_path), "nothing was in it, and its process is gone"


def test_before_the_run_has_a_folder_they_are_in_a_file_too(opened: Open, tmp_path: Path) -> None:
    terminal = opened("deeds.early = os.abort")
    assert terminal.wait() == -signal.SIGABRT
    (path,) = left(tmp_path)
    assert "Fatal Python error: Aborted" in path.read_text()


def test_what_a_killed_dashboard_left_is_told_once(opened: Open, tmp_path: Path) -> None:
    killed = opened("deeds.early = os.abort")
    assert killed.wait() == -signal.SIGABRT
    (path,) = left(tmp_path)
    again = opened("deeds.idle = True")
    again.see("a dashboard was killed before it could tell")
    os.write(again.master, b"q")
    assert again.wait() == 0
    third = opened("deeds.idle = True")
    third.see("quit")
    assert "was killed" not in "".join(third.screen.display)
    assert path.exists()


def test_of_many_files_that_were_left_the_newest_stay(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    names = [f"{PREFIX}{host_name()}-2026010{day}-120000-{process.pid}.txt" for day in range(1, KEPT + 3)]
    others = [f"{PREFIX}{host_name()}-20260101-120000-{os.getpid()}.txt", f"{PREFIX}elsewhere-20260101-120000-1.txt"]
    for name in (*names, *others):
        (tmp_path / name).write_text("words")
    held = Descriptors(tmp_path)
    assert held.left == [tmp_path / name for name in names[-KEPT:]]
    assert f"{names[-1]} (and {KEPT - 1} files before it, beside it)" in told_of(held.left)
    held.close()
    assert {path.name for path in left_in(tmp_path)} == {*names[-KEPT:], *others}
    again = Descriptors(tmp_path)
    again.close()
    assert (again.left, told_of(again.left)) == ([], "")


def test_what_the_runs_folder_refuses_is_told_when_the_dashboard_has_closed(opened: Open) -> None:
    terminal = opened(
        "from engine.runs import folder\n"
        "made = folder.RunFolder.create\n"
        "def create(*given, **named):\n    new = made(*given, **named)\n    new.output_path.mkdir()\n    return new\n"
        "folder.RunFolder.create = create\n"
        "deeds.run = lambda: (print('of Python'), os.write(1, b'of C\\n'))\n"
        "deeds.hold = True\n"
    )
    terminal.see("20/20")
    terminal.see("output.log in the run's folder refuses")
    os.kill(terminal.pid, signal.SIGTERM)
    after = terminal.read(until=b"<the end>").rpartition(RESTORED[2])[2]
    assert b"this was printed:\r\nof Python\r\nof C\r\n" in after


def test_a_suspension_takes_nothing_from_the_run(tmp_path: Path) -> None:
    """Between ``give_back`` and ``take`` the shell has the terminal; after it the run's file is led to again."""
    before = [os.dup(descriptor) for descriptor in range(3)]
    (tmp_path / "keys").write_text("typed")
    keys = os.open(tmp_path / "keys", os.O_RDONLY)
    read = list[bytes]()
    shell = os.open(tmp_path / "shell", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    run = os.open(tmp_path / "run", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for descriptor in (1, 2):
            os.dup2(shell, descriptor)
        os.dup2(keys, 0)
        held = Descriptors(tmp_path)
        held.take()
        os.write(1, b"early, ")
        read.append(os.read(0, 1))
        held.lead(run, since=0)
        os.write(2, b"before, ")
        held.give_back()
        os.write(1, b"between")
        read.append(os.read(0, 2))
        held.take()
        os.write(1, b"after")
        read.append(os.read(0, 2))
        held.lead(None)
        os.write(1, b"of no run")
        told = held.close()
        os.write(1, b", at last")
        read.append(os.read(0, 9))
    finally:
        for descriptor, was in enumerate(before):
            os.dup2(was, descriptor)
        for descriptor in (*before, keys, shell, run):
            os.close(descriptor)
    assert read == [b"", b"ty", b"", b"ped"], "keys are read where nobody draws, and only there"
    assert (tmp_path / "run").read_text() == "early, before, after"
    assert (tmp_path / "shell").read_text() == "between, at last"
    (path,) = tmp_path.glob(f"{PREFIX}*")
    assert told == [f"while the dashboard was open 1 line was printed: {path}"], "no terminal is there to tell it on"
    assert path.read_text() == "of no run"
