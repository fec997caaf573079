"""Whose turn it is: starts the next run of the queue when one has ended, as long as the queue is to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import MimError, RunLocked
from mim4dd_tui.dashboard.run_queue import Onward, RunQueue
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen
from mim4dd_tui.dashboard.session import EngineSession, Launch, Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.config.schema import Config
    from mim4dd_tui.dashboard.app import DashboardApp


class Turns:
    """The queue as one dashboard works it off. ``going`` is whether the next run is started by itself."""

    def __init__(self, app: DashboardApp, launch: Launch) -> None:
        self.queue = RunQueue(app.runs_dir)
        self.launch = Onward(launch, self.queue)
        self.going = False
        self._app = app
        self._tried: set[str] = set()  # what was begun from here: a run that fails at once is not begun for ever

    def waiting(self) -> int:
        """How many runs of the queue nobody works on, nor begins to; none where it cannot be read."""
        session = self._app.session
        begun = session.path.name if session is not None and session.running and session.path is not None else ""
        try:
            return sum(one.state != "going" and one.name != begun for one in self.queue.read())
        except MimError:
            return 0

    def left(self) -> int:
        """How many will wait when this process ends: none where another one works on the queue."""
        try:
            return 0 if any(one.state == "going" for one in self.queue.read()) else self.waiting()
        except MimError:
            return 0

    def offer(self) -> None:
        """At the beginning: say what waits from another time, and ask whether to go on."""
        waiting = [one for one in self.queue.read() if one.state != "going"]
        if not waiting or self.queue.next() is None:
            return
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        what = "was interrupted" if waiting[0].state == "interrupted" else "waits"
        question = f"{waiting[0].name}{more} {what} in the queue"

        def answered(yes: bool | None) -> None:
            if yes:
                self.go()

        deed = ConfirmScreen(question, "one after another, from where each stands", "Go on with the queue", "Not now")
        self._app.push_screen(deed, answered)

    def add(self, config: Config, seeds: Sequence[int], preset: str | None, origins: Mapping[str, str]) -> None:
        """Put runs at the end; they begin at once where nothing is going on.

        Raises:
            MimError: their folders or the queue's file cannot be made.
        """
        made = self.queue.add(config, seeds, preset=preset, origins=origins)
        what = made[0].name if len(made) == 1 else f"{len(made)} runs"
        session = self._app.session
        if session is not None and session.running:
            self.going = True
            self._app.notify(f"{what} will follow; Q shows the queue")
        else:
            self._app.notify(f"{what} put into the queue; Q shows it, s there starts it")

    def go(self) -> None:
        """From now on start what waits, one after another."""
        self.going = True
        self._tried.clear()
        session = self._app.session
        if session is None or not session.running:
            self._next(watch=True)

    def hold(self) -> None:
        """Start nothing more by itself."""
        self.going = False

    def ended(self, session: EngineSession) -> None:
        """A run of this process ended: the next one's turn, unless it was stopped."""
        if not self.going:
            return
        if isinstance(session.error, RunLocked) and session.path is not None:
            self._app.notify(f"{session.path.name} is passed over: another process works on it", severity="warning")
        if session.control.stopping:
            self.going = False
            if self.queue.next() is not None:
                self._app.notify("the queue is held, because a run was stopped; Q shows it")
            return
        self._next(watch=self._app.watches(session))

    def left_alone(self) -> None:
        """The interface closes while a run goes on: its thread goes on with the queue."""
        if self.going:
            self.launch.alone.set()

    def _next(self, *, watch: bool) -> None:
        try:
            waiting = [one for one in self.queue.read() if one.name not in self._tried]
        except MimError as error:
            self._app.notify(str(error), severity="error")
            return
        if any(one.state == "going" for one in waiting):
            self._app.notify("another process works on this queue", severity="warning")
            self.going = False
            return
        if not waiting:
            self.going = False
            self._app.notify("the queue is done")
            return
        folder = waiting[0].folder
        self._tried.add(folder.name)
        order = Order(runs_dir=folder.path.parent, data_dir=self._app.data_dir, resume=folder.path)
        self._app.start_run(order, watch=watch)
