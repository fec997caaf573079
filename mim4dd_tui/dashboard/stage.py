"""The run's screens on the stack: one at a time, and of this process's runs the last one's is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mim4dd_tui.dashboard.screens.run import RunScreen

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp
    from mim4dd_tui.dashboard.session import EngineSession


class Stage:
    """Shows runs.

    Attributes:
        kept: the screen of this process's last run, where it was ever shown: it goes on with its history.
    """

    def __init__(self, app: DashboardApp) -> None:
        self.kept: RunScreen | None = None
        self._app = app
        self._own: list[RunScreen] = []  # of runs of this process

    def show(self, screen: RunScreen) -> None:
        """In the place of whatever run is shown."""
        app = self._app
        while isinstance(app.screen, RunScreen):
            app.pop_screen()
        if screen.session.owned:
            self.kept = screen
            if not app.is_screen_installed(screen):
                self._own.append(screen)
                app.install_screen(screen, name=f"live-{id(screen)}")
            if screen.is_mounted:
                screen.set_mode(app.picture_mode)  # which may have been changed while it was not seen
        app.push_screen(screen)

    def give_up(self) -> None:
        """Screens of this process's runs before the last one: each would keep its history, timers and pictures."""
        stack = self._app.screen_stack
        for screen in [screen for screen in self._own if screen is not self.kept and screen not in stack]:
            self._own.remove(screen)
            self._app.uninstall_screen(screen)
            screen.remove()

    def holds(self, session: EngineSession) -> bool:
        """Whether a screen comes for what a run of this process says."""
        return any(screen.session is session for screen in self._own)
