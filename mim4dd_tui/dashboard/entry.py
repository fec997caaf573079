"""Opening the dashboard, and what is left to do when it closes while a run goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from engine.events import Event
from mim4dd_tui.dashboard.app import DashboardApp, Leave
from mim4dd_tui.dashboard.session import EngineSession, Launch, launch_engine
from mim4dd_tui.plain import PlainObserver
from mim4dd_tui.terminal import abilities

TERMINATED = 128 + signal.SIGTERM
INTERRUPTED = 128 + signal.SIGINT
HANGUP = 128 + signal.SIGHUP
USAGE = 2


def run_dashboard(
    *,
    runs_dir: Path,
    data_dir: Path | None = None,
    preset: str | None = None,
    autostart: bool = False,
    overrides: Sequence[str] = (),
    name: str | None = None,
    attach: Path | None = None,
    launch: Launch = launch_engine,
) -> int:
    """Open the dashboard and return the process's exit code when all is over.

    Args:
        runs_dir: where runs are listed and made.
        data_dir: where data sets are found; the default place where None.
        preset: preset or TOML file chosen first, with ``overrides`` ("section.key=value") on top.
        autostart: start it at once; with ``attach``, resume that run at once.
        overrides: settings changed on the command line.
        name: name of the first run started.
        attach: folder of a run to show.
        launch: what runs an order; the engine.

    Returns:
        0; 1 where a run started here failed; 2 where no dashboard can open; 130 or 143 where a run that went
        on was stopped by Ctrl-C or SIGTERM; 129 where the terminal hung up and nothing ran.
    """
    able = abilities()
    if not able.dashboard:
        sys.stderr.write(f"no dashboard here: {able.refusal}; use `mim4dd run PRESET --headless`\n")
        return USAGE
    app = DashboardApp(
        runs_dir=Path(runs_dir),
        data_dir=data_dir,
        abilities=able,
        preset=preset,
        overrides=tuple(overrides),
        name=name,
        autostart=autostart,
        attach=attach,
        launch=launch,
        signals=True,
    )
    _prepare_multiprocessing()
    why = app.run() or Leave.DONE
    session = app.session
    if app.return_code:
        _stop(session)
        return app.return_code
    code = _afterwards(session, why)
    return code or (1 if session is not None and session.failed else 0)


def _prepare_multiprocessing() -> None:
    """Start Python's resource tracker now: inside the app standard error has no descriptor to inherit."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()


def _stop(session: EngineSession | None) -> None:
    if session is not None and session.running:
        session.request("stop")
        session.join()


def _afterwards(session: EngineSession | None, why: Leave) -> int:
    """The run after the interface: in plain lines, in silence, or to its stop."""
    if session is None or not session.running:
        return {Leave.TERMINATED: TERMINATED, Leave.HANGUP: HANGUP}.get(why, 0)
    if why is Leave.HANGUP:
        session.hand_over(_nobody)
    else:
        session.hand_over(PlainObserver(iterations=session.iterations))
    return _Foreground(session, why).wait()


def _nobody(_event: Event) -> None:
    """Hears in silence: there is no terminal any more."""


class _Foreground:
    """Waits for the engine's thread while signals are answered as a headless run answers them."""

    def __init__(self, session: EngineSession, why: Leave) -> None:
        self._session = session
        self._code = TERMINATED if why is Leave.TERMINATED else 0
        self._asked = why is Leave.TERMINATED
        self._received: list[int] = []

    def wait(self) -> int:
        """Until the thread has ended; the exit code of the signal that stopped it, or 0."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._note)
        where = self._session.path
        if where is not None and not self._asked:
            _say(f"{where.name} goes on; Ctrl-C stops it with a checkpoint")
        while not self._session.join(0.2):
            while self._received:
                self._answer(self._received.pop(0))
        return self._code

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)

    def _answer(self, number: int) -> None:
        if number == signal.SIGHUP:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nowhere, descriptor)
        elif self._asked and number == signal.SIGINT:
            _say("ended at once; `mim4dd resume` continues from the last checkpoint")
            os._exit(INTERRUPTED)
        elif not self._asked:
            self._asked = True
            self._code = INTERRUPTED if number == signal.SIGINT else TERMINATED
            self._session.request("stop")
            _say("stopping with a checkpoint; Ctrl-C again ends at once")


def _say(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
