"""Ctrl-Z: the dashboard aside, the shell in front."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp
    from mim4dd_tui.dashboard.session import EngineSession

SUSPEND_SECONDS = 6.0
"""How long a second Ctrl-Z suspends the run as well."""
PAUSE_SECONDS, LOOK_SECONDS = 3.0, 0.1
"""How long the run may take to pause before it is suspended all the same, and how often that is looked at."""


class Suspension:
    """What Ctrl-Z does: a run of this process would stand still meanwhile, so then it takes the key twice.

    The run is paused first, so that the time it stands still counts as a pause for whoever reads its journal.
    """

    def __init__(self, app: DashboardApp) -> None:
        self._app = app
        self._told = False
        self._paused: EngineSession | None = None  # until the process is back
        self._waited = 0.0

    def ask(self) -> None:
        """The key was pressed."""
        app, driver = self._app, self._app._driver
        session = app.session
        if driver is None or not driver.can_suspend or not shell_waits():
            app.notify("there is no shell behind this that could bring it back: q leaves", severity="warning")
        elif session is not None and session.running and not self._told:
            self._told = True
            app.set_timer(SUSPEND_SECONDS, self._forget)
            app.notify(
                "the run would stand still with it: q leaves and lets it go on; ^z again suspends both",
                severity="warning",
                timeout=SUSPEND_SECONDS,
                lasting=True,
            )
        else:
            self._told = False  # a key too many would suspend it again right after it came back
            if session is not None and session.running and not session.pausing:
                session.request("pause")
                self._paused = session
            self._waited = 0.0
            if self._paused is not None:  # what is typed for the shell would be taken for keys
                app.notify_anew("suspend", "suspending: the run ends its step first", timeout=PAUSE_SECONDS)
            self._suspend()

    def back(self) -> None:
        """The process is back, or the dashboard ends: the run goes on, if it was paused here."""
        paused, self._paused = self._paused, None
        if paused is not None and paused.running:
            paused.request("resume")

    def _suspend(self) -> None:
        """As soon as the run has paused, which one in a long step may be slow to do."""
        waits = self._paused is not None and self._paused.running and not self._paused.paused
        if waits and self._waited < PAUSE_SECONDS:
            self._waited += LOOK_SECONDS
            self._app.set_timer(LOOK_SECONDS, self._suspend)
        else:
            self._app.action_suspend_process()

    def _forget(self) -> None:
        self._told = False


def shell_waits() -> bool:
    """Whether somebody can bring a suspended process back: the parent is in this session, but not in this process's
    group, as a shell that controls its jobs is. Otherwise (``ssh HOST mim4dd``) it would sleep for ever."""
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except OSError:  # of another session, or gone
        return False
