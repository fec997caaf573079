"""Signals of a run without a dashboard."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from mim4dd_tui.cli.failures import AbandonedError
from mim4dd_tui.cli.headless import Supervisor
from tests.cli.command import environment


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
    assert "stopping with a checkpoint" in capsys.readouterr().err


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


def test_output_to_a_closed_terminal_kills_nothing() -> None:
    program = (
        "import os, sys, time\n"
        "from mim4dd_tui.cli.headless import Supervisor\n"
        "class Deaf:\n"
        "    def request(self, name): pass\n"
        "report = os.fdopen(int(sys.argv[1]), 'w')\n"
        "def work():\n"
        "    print('working', flush=True)\n"
        "    time.sleep(2)\n"
        "    for _ in range(100):\n"
        "        print('a line for nobody', flush=True)\n"
        "    return 'done'\n"
        "report.write(Supervisor(Deaf()).run(work))\n"
    )
    reader, writer = os.pipe()
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - the new process
        os.set_inheritable(writer, True)
        os.execve(sys.executable, [sys.executable, "-c", program, str(writer)], environment())
    os.close(writer)
    assert b"working" in os.read(terminal, 100)
    time.sleep(0.7)  # the work may speak before the supervisor listens for signals
    os.close(terminal)
    with os.fdopen(reader) as report:
        assert report.read() == "done"
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


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
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
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
