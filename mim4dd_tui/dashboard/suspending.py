"""Ctrl-Z: the dashboard aside, the shell in front."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

SUSPEND_SECONDS = 6.0
"""How long a second Ctrl-Z suspends the run as well."""


class Suspension:
    """What Ctrl-Z does: a run of this process would stand still meanwhile, so then it takes the key twice."""

    def __init__(self, app: DashboardApp) -> None:
        self._app = app
        self._told = False

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
            )
        else:
            self._told = False  # a key too many would suspend it again right after it came back
            app.action_suspend_process()

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
