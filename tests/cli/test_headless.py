"""Signals of a run without a dashboard."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from mim4dd_tui.cli.headless import Supervisor
from mim4dd_tui.signals import AbandonedError
from tests.cli.command import begun, environment


class Obedient:
    """A control object whose work ends when a stop is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stop = threading.Event()

    def request(self, name: str) -> None:
        self.asked.append(name)
        self.stop.set()


def sending(*numbers: int, then: Callable[[], str]) -> Callable[[], str]:
    """Work that sends this process signals, a while apart, and then does something."""

    def work() -> str:
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.3)
        return then()

    return work


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_one_signal_asks_for_a_stop_and_tells_in_the_exit_code(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    control = Obedient()
    supervisor = Supervisor(control)

    def stopped() -> str:
        return "stopped" if control.stop.wait(10) else "never asked"

    assert supervisor.run(sending(number, then=stopped)) == "stopped"
    assert control.asked == ["stop"]
    assert supervisor.exit_code == code
    assert "stopping at the next step" in capsys.readouterr().err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_ctrl_c_after_that_does_not_wait(first: int) -> None:
    control, release = Obedient(), threading.Event()
    began = time.monotonic()
    with pytest.raises(AbandonedError) as caught:
        Supervisor(control).run(sending(first, signal.SIGINT, then=lambda: str(release.wait(20))))
    release.set()
    assert time.monotonic() - began < 10
    assert caught.value.exit_code == 130
    assert control.asked == ["stop"]


def test_a_batch_system_that_repeats_itself_is_patiently_obeyed() -> None:
    control = Obedient()
    supervisor = Supervisor(control)
    signals = (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM)
    assert supervisor.run(sending(*signals, then=lambda: "checkpoint written")) == "checkpoint written"
    assert control.asked == ["stop"]
    assert supervisor.exit_code == 138


def test_a_hang_up_stops_nothing() -> None:
    control = Obedient()
    supervisor = Supervisor(control)
    assert supervisor.run(sending(signal.SIGHUP, then=lambda: "done")) == "done"
    assert control.asked == []
    assert supervisor.exit_code == 0


def test_what_the_work_raises_is_raised_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Supervisor(Obedient()).run(fail)
    assert signal.getsignal(signal.SIGTERM) is before


TALKING = """
import os, sys, threading, time
from mim4dd_tui.cli.headless import Supervisor

class Asked(threading.Event):
    def request(self, name):
        self.set()

report, gone, asked = os.fdopen(int(sys.argv[1]), "w"), int(sys.argv[2]), Asked()

def work():
    closed = threading.Event()
    threading.Thread(target=lambda: (os.read(gone, 1), closed.set()), daemon=True).start()
    after = 0
    while after < 2000 and not asked.is_set():  # before, in and long after the moment the terminal goes
        print("working", flush=True)
        print("a line of diagnostics", file=sys.stderr, flush=True)
        after += closed.is_set()
        time.sleep(0.001 if after else 0)
    return "stopped" if asked.wait(20 if sys.argv[3] == "stop" else 0) else "done"

supervisor = Supervisor(asked, stop_on_hangup=sys.argv[3] == "stop")
report.write(supervisor.run(work))
report.close()
sys.exit(supervisor.exit_code)
"""


@pytest.mark.parametrize(("setting", "end", "code"), [("continue", "done", 0), ("stop", "stopped", 129)])
def test_output_to_a_closed_terminal_kills_nothing(setting: str, end: str, code: int) -> None:
    """The work prints all the time: also between the hang-up and the moment its signal is handled, when the
    terminal takes nothing and the descriptors still lead there."""
    reader, writer = os.pipe()
    gone, closed = os.pipe()
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - the new process
        os.set_inheritable(writer, True)
        os.set_inheritable(gone, True)
        program = [sys.executable, "-c", TALKING, str(writer), str(gone), setting]
        os.execve(sys.executable, program, environment())
    os.close(writer)
    assert b"working" in os.read(terminal, 100)
    os.close(terminal)
    os.write(closed, b"x")
    with os.fdopen(reader) as report:
        assert report.read() == end
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == code
    os.close(gone)
    os.close(closed)


def test_a_hang_up_stops_where_the_run_wants_it() -> None:
    control = Obedient()
    supervisor = Supervisor(control, stop_on_hangup=True)

    def stopped() -> str:
        return "stopped" if control.stop.wait(10) else "never asked"

    assert supervisor.run(sending(signal.SIGHUP, then=stopped)) == "stopped"
    assert supervisor.exit_code == 129


def test_nohup_has_the_last_word() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        control = Obedient()
        supervisor = Supervisor(control, stop_on_hangup=True)
        assert supervisor.run(sending(signal.SIGHUP, then=lambda: "done")) == "done"
        assert control.asked == []
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_process_ends_at_once_with_its_engine_still_at_work() -> None:
    program = (
        "import sys, time\n"
        "import engine.run\n"
        "def stubborn(config, *, control, **_):\n"
        "    print('started', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
        "engine.run.start = stubborn\n"
        "from mim4dd_tui.__main__ import main\n"
        "sys.exit(main(['run', 'digits-ipc1', '--json']))\n"
    )
    with begun([sys.executable, "-c", program]) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert "again" in process.stderr.readline()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 15
    assert process.returncode == 130
    assert '"exit_code": 130' in out
