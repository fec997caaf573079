"""Opening the dashboard, and what is left to do when it closes while a run goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from platformdirs import user_state_path

from engine.config.presets import user_dir
from engine.files import default_cache_dir
from engine.runs.called import called, option, usual_runs_dir
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.descriptors import Descriptors, told_of
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.parting import lines
from mim4dd_tui.dashboard.session import EngineSession, Launch, launch_engine
from mim4dd_tui.graphics.choice import Graphics
from mim4dd_tui.plain import PlainObserver, tell
from mim4dd_tui.signals import JOB_CONTROL, AbandonedError, Attendant, handlers_kept, lead_nowhere
from mim4dd_tui.terminal import abilities

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
    notice: str = "",
    graphics: Graphics | None = None,
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
        notice: what is said when it opens.
        graphics: how pictures are sent; as it was last time on this kind of terminal where None.
        launch: what runs an order; the engine.

    Returns:
        0; 1 where a run started here failed; 2 where no dashboard can open; 130, 138 or 143 where Ctrl-C (after
        the dashboard had closed), SIGUSR1 or SIGTERM stopped it; 129 where the terminal hung up and nothing ran,
        or that stopped the run.
    """
    able = abilities()
    if not able.dashboard:
        tell(f"no dashboard here: {able.refusal}; use `mim4dd run PRESET --headless`")
        return USAGE
    user_dir(), default_cache_dir()  # what is wrong with them is told before the screen is taken
    descriptors = Descriptors(user_state_path("mim4dd", appauthor=False) / "crashes")
    app = DashboardApp(
        runs_dir=Path(runs_dir),
        data_dir=data_dir,
        abilities=able,
        preset=preset,
        overrides=tuple(overrides),
        name=name,
        autostart=autostart,
        attach=attach,
        notice="\n".join(filter(None, (notice, told_of(descriptors.left)))),
        launch=launch,
        signals=True,
        descriptors=descriptors,
        graphics=graphics,
    )
    _prepare_multiprocessing()
    ours = threading.current_thread() is threading.main_thread()
    with handlers_kept() if ours else nullcontext():
        try:
            with handlers_kept(JOB_CONTROL) if ours else nullcontext():
                why = app.run() or Leave.DONE
        finally:
            for line in descriptors.close():
                tell(line)
        session = app.session
        if session is not None and session.running:
            session.let_go()
        if app.return_code:
            _stop(session)
        code = app.return_code or _afterwards(app, why)
    for line in lines(app.sessions, app.turns.launch.followed, usual_runs_dir()):
        tell(line)
    waiting = app.turns.left()
    for problem in app.turns.changes.untold:
        tell(problem)
    if waiting:
        number, they = ("1 run waits", "it") if waiting == 1 else (f"{waiting} runs wait", "them")
        tell(f"{number} in the queue; `mim4dd{option(runs_dir)}` offers to go on with {they}")
    return app.return_code or exit_code(app, code)


def exit_code(app: DashboardApp, code: int) -> int:
    """``code``, or else 1 where any run of this dashboard failed."""
    last = app.session
    return code or app.exit_status or (1 if last is not None and last.failed else 0)


def _prepare_multiprocessing() -> None:
    """Start Python's resource tracker now: inside the app standard error has no descriptor to inherit."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()


def _stop(session: EngineSession | None) -> None:
    if session is not None and session.running:
        session.request("stop")
        session.join()


def _afterwards(app: DashboardApp, why: Leave) -> int:
    """The run after the interface: in plain lines, in silence, or to its stop."""
    session, stopped_by = app.session, app.signalled.stopped_by
    if (session is None or not session.running) and stopped_by is None and why in (Leave.HANGUP, Leave.DETACH):
        if why is Leave.HANGUP:
            app.turns.launch.hang_up(None)
        session = app.session = app.turns.between() or session
    if session is None or not session.running:
        if stopped_by is not None:
            return 128 + stopped_by
        return HANGUP if why is Leave.HANGUP else 0
    if signal.SIGHUP in app.signalled.received:  # the terminal went while the interface closed
        lead_nowhere((0, 1, 2))
        why = Leave.HANGUP
    session.hand_over(PlainObserver(iterations=session.iterations))  # after a hang-up it leads nowhere, or still here
    hang_up = partial(app.turns.launch.hang_up, session.control)
    if why is Leave.HANGUP and hang_up():
        stopped_by = signal.SIGHUP
    elif session.control.stopping and stopped_by is None:
        stopped_by = signal.SIGINT  # asked for in the dashboard, which was left before it was done
    attendant = Attendant(
        session.control.request,
        tell,
        outputs=(0, 1, 2),
        hang_up=hang_up,
        stopped_by=stopped_by,
        received=app.signalled.received,
    )
    return _to_its_end(session, attendant, app.turns.launch.followed)


def _to_its_end(session: EngineSession, attendant: Attendant, followed: Sequence[Path]) -> int:
    """Wait for the engine's thread; the exit code of the signal that stopped the run, or 0.

    Args:
        session: the run that went on when the dashboard closed.
        attendant: answers signals meanwhile.
        followed: runs that have begun in its thread since.
    """
    try:
        with attendant.listening():  # before what Ctrl-C does is told
            if attendant.stopped_by is not None:
                name = session.path.name if session.path is not None else "the run"
                tell(f"{name} is stopping; Ctrl-C ends at once")
            elif session.path is not None:
                tell(f"{session.path.name} goes on; Ctrl-C stops it, to be resumed")
            attendant.wait(session.join)
    except AbandonedError as error:
        session.control.abandon(f"{error} (Ctrl-C)")
        path = followed[-1] if followed else session.path
        again = f"; `mim4dd resume {called(path)}` goes on from the last one" if path is not None else ""
        tell(f"{error}{again}")
        os._exit(error.exit_code)
    return attendant.exit_code
