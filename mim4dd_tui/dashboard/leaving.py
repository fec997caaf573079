"""Whether to leave, and what is to become of the run: asked, and done as it is answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.dialogs import Answer, ConfirmScreen, NameScreen, QuestionScreen, QuitScreen
from mim4dd_tui.dashboard.telling import CLOSING
from mim4dd_tui.dashboard.whole import whole

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

COUNT_SECONDS = 1.0
"""How often it is looked how many runs wait: other processes put some there too."""
STAYS = 3600.0
"""Seconds of a notice that stands until the dashboard closes."""


class Question:
    """Asks before a dashboard with a run of its own closes."""

    def __init__(self, app: DashboardApp) -> None:
        self._app = app
        self._waiting = 0  # in the queue, as far as is known
        self._told = ("", False, False, False)
        self._counted = 0.0  # when the queue was last

    def ask(self) -> None:
        """Leave, or ask where a run goes on."""
        app, session = self._app, self._app.session
        if isinstance(app.screen, QuitScreen):
            return
        if session is None or not session.running:
            app.leave(Leave.DONE)
            return
        if session.over and not app.turns.going:  # there is nothing to ask about
            self._waits("this closes when the files of the run are put away")
            return
        self._waiting = 0
        app.push_screen(QuitScreen(), self._answered)
        self.renew()

    def renew(self) -> None:
        """Where it is being asked: of the run that goes on now, and how many wait behind it. Also what another question
        says."""
        app = self._app
        asked = next(reversed(app.screen_stack), None)  # none where a run ends while the app does
        if isinstance(asked, QuestionScreen) and whole(asked):
            asked.renew()
        if not isinstance(asked, QuitScreen):
            return
        self._told, self._counted = self._standing, time.monotonic()

        def count(waiting: int) -> None:
            self._waiting = waiting
            name, over, stopping, paused = self._standing
            asked.ask(name, waiting, going=app.turns.going, over=over, stopping=stopping, paused=paused)

        count(self._waiting)
        app.turns.count(count)

    def keep_up(self) -> None:
        """Where it is being asked: say anew what has changed, by whomever."""
        if isinstance(next(reversed(self._app.screen_stack), None), QuitScreen):
            due = time.monotonic() - self._counted > COUNT_SECONDS
            if due or self._told != self._standing:
                self.renew()

    @property
    def _standing(self) -> tuple[str, bool, bool, bool]:
        """The run's name; whether there is nothing left to ask about, whether it is to stop, and whether to pause."""
        app, session = self._app, self._app.session
        name = session.path.name if session is not None and session.path is not None else ""
        running = session is not None and session.running
        over = not running and not app.turns.going
        stopping = session is not None and session.stopping and not app.turns.going
        return name, over, stopping, session is not None and running and session.pausing

    def interrupt(self) -> None:
        """First ask, then stop with a checkpoint, then leave while that is still being written."""
        app, session = self._app, self._app.session
        if isinstance(app.screen, QuitScreen):
            app.screen.action_answer("stop")
        elif isinstance(app.screen, ConfirmScreen | NameScreen):
            app.screen.action_cancel()
        elif session is not None and session.running and app.leaving is not None:
            app.leave(Leave.DETACH)
        else:
            self.ask()

    def _answered(self, answer: Answer | None) -> None:
        app, session = self._app, self._app.session
        if session is None or not session.running:
            if answer == "detach" and app.turns.going:  # between two runs of the queue
                app.leave(Leave.DETACH)
            elif answer != "cancel":
                app.leave(Leave.DONE)
        elif answer == "cancel" or answer is None:
            app.leaving = None  # also where its end was waited for
            app.take_back(CLOSING)
        elif answer == "detach":
            if session.pausing:  # nobody is there to end it
                session.request("resume")
            app.leave(Leave.DETACH)
        elif answer == "stop":
            session.request("stop")
            name = session.path.name if session.path is not None else "the run"
            self._waits(f"this closes when {name} has stopped")

    def _waits(self, told: str) -> None:
        """Leave when the run has ended: the app sees its thread end."""
        self._app.leaving = Leave.DONE
        self._app.notify(f"{told}; ^c closes it now", timeout=STAYS, about=[CLOSING], lasting=True)
