"""Which screens lie over each other: one of a kind at most, and of this process's runs the last one's is kept."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from textual.screen import ModalScreen, Screen

from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import FolderSession
from mim4dd_tui.dashboard.widgets.graphics import GraphicsPane

if TYPE_CHECKING:
    from pathlib import Path

    from mim4dd_tui.dashboard.app import DashboardApp
    from mim4dd_tui.dashboard.session import EngineSession

Kind = TypeVar("Kind", bound=Screen[None])


class Stage:
    """Brings screens to the front.

    Attributes:
        kept: the screen of this process's last run, where it was ever shown: it goes on with its history.
    """

    def __init__(self, app: DashboardApp) -> None:
        self.kept: RunScreen | None = None
        self._app = app
        self._own: list[RunScreen] = []  # of runs of this process

    def show(self, screen: Screen[None]) -> None:
        """Over what is shown, in the place of another one of its kind; one that lies below already is come back to."""
        if isinstance(screen, RunScreen) and screen.session.owned:
            self._keep(screen)
        stack = self._app.screen_stack
        if screen in stack:
            for above in stack[stack.index(screen) + 1 : -1]:
                self._take_out(above)
            if screen is not stack[-1]:
                self._app.pop_screen()
            return
        asking = {below for below, above in pairwise(stack) if isinstance(above, ModalScreen)}  # who hears the answer
        others = [one for one in stack if type(one) is type(screen) and one not in asking]
        if stack[-1] in others:
            self._app.pop_screen()
        for other in others:
            if other is not stack[-1]:
                self._take_out(other)
        self._app.push_screen(screen)

    def of(self, kind: type[Kind]) -> Kind | None:
        """The screen of a kind that is shown or lies below."""
        return next((one for one in reversed(self._app.screen_stack) if isinstance(one, kind)), None)

    def reading(self, path: Path) -> RunScreen | None:
        """Likewise the one that reads this folder."""
        shown = self._of_run(path)
        return shown if shown is not None and isinstance(shown.session, FolderSession) else None

    def beside(self, path: Path | None) -> bool:
        """Whether a run's screen, if it is open, has its images beside what they started from."""
        shown = None if path is None else self._of_run(path)
        return shown is not None and shown.query_one(GraphicsPane).beside

    def _of_run(self, path: Path) -> RunScreen | None:
        shown = self.of(RunScreen)
        same = shown is not None and shown.path is not None and shown.path.absolute() == path.absolute()
        return shown if same else None

    def _keep(self, screen: RunScreen) -> None:
        app, self.kept = self._app, screen
        if not app.is_screen_installed(screen):
            self._own.append(screen)
            app.install_screen(screen, name=f"live-{id(screen)}")
        if screen.is_mounted:
            screen.set_mode(app.picture_mode)  # which may have been changed while it was not seen

    def _take_out(self, screen: Screen[Any]) -> None:
        """From below others: Textual itself takes away the uppermost alone."""
        self._app._screen_stack.remove(screen)
        screen._pop_result_callback()
        if not self._app.is_screen_installed(screen):
            screen.remove()

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
