"""Whose turn it is: starts the next run of the queue when one has ended, as long as the queue is to go on."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import MimError, RunLocked
from engine.runs.status import host_name
from mim4dd_tui.dashboard.details import wrong_seeds
from mim4dd_tui.dashboard.one_by_one import OneByOne
from mim4dd_tui.dashboard.onward import Onward, ordered
from mim4dd_tui.dashboard.run_queue import RunQueue, Waiting
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen
from mim4dd_tui.dashboard.session import EngineSession, Launch
from mim4dd_tui.dashboard.telling import QUEUE, of_run
from mim4dd_tui.seeds import seeds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.config.schema import Config
    from mim4dd_tui.dashboard.app import DashboardApp
    from mim4dd_tui.dashboard.catalog import RunInfo

VERBS = {"done": "was done", "failed": "failed"}
"""How a run ended that was not stopped."""


class Turns:
    """The queue as one dashboard works it off.

    Attributes:
        going: whether the next run is started by itself.
        changes: made to the queue and its folders beside the interface, in the order they were asked for.
    """

    def __init__(self, app: DashboardApp, launch: Launch) -> None:
        self.queue = RunQueue(app.runs_dir)
        self.launch = Onward(launch, self.queue)
        self.going = False
        self.changes = OneByOne(app)
        self._app = app
        self._held = False  # by hand: only by hand does it go on
        self._lock = threading.Lock()  # around the two that say whether it goes on
        self._left = False  # the interface has closed while a run goes on
        self._tried: set[str] = set()  # what was begun from here: a run that fails at once is not begun for ever

    def count(self, then: Callable[[int], None]) -> None:
        """Find out how many runs of the queue nobody works on, nor begins to; then do something with that."""
        self._look(lambda found: then(self._waiting(found)))

    @property
    def begun(self) -> str:
        """Name of the run this process works on, or loads its engine for; empty where there is none."""
        session = self._app.session
        return session.path.name if session is not None and session.running and session.path is not None else ""

    def _waiting(self, found: Sequence[Waiting]) -> int:
        begun = self.begun
        return sum(one.state != "running" and one.name != begun for one in found)

    def left(self) -> int:
        """How many will wait when this process ends: none where another one works on the queue."""
        self.changes.finish()
        if self.queue.elsewhere():
            return 0
        try:
            found = self.queue.read()
        except MimError:
            return 0
        return 0 if any(one.state == "running" for one in found) else self._waiting(found)

    def offer(self) -> None:
        """At the beginning: say what waits from another time, and ask whether to go on."""
        found: list[list[Waiting]] = []

        def look() -> None:
            if self.queue.elsewhere():
                found.append([])
                return
            self._tidy()
            found.append(self.queue.read())

        self.changes.do(look, lambda: self._offer(found[0]) if found else None)

    def _tidy(self) -> None:
        with suppress(MimError):  # it is done again at the next change
            self.queue.tidy()

    def _look(self, then: Callable[[list[Waiting]], None]) -> None:
        """Read the queue when all is done to it that was asked for; then do something with it, if it could be read."""
        found: list[list[Waiting]] = []
        self.changes.do(lambda: found.append(self.queue.read()), lambda: then(found[0]) if found else None)

    def _offer(self, found: Sequence[Waiting]) -> None:
        offer = _offered(found)
        if offer is None or self._app.closing:
            return

        def look() -> tuple[str, str]:
            found = self.queue.read()
            if self.queue.elsewhere() or any(one.state == "running" for one in found):
                return "Another process works on this queue", "it goes on there already"
            return _offered(found) or ("Nothing waits in the queue any more", "there is nothing to go on with")

        def answered(yes: bool | None) -> None:
            if yes:
                self.go()

        self._app.push_screen(ConfirmScreen(*offer, "Go on with the queue", "Not now", look), answered)

    def ask(
        self,
        config: Config,
        preset: str | None,
        origins: Mapping[str, str],
        begun: Callable[[], None],
        then: Callable[[], None],
    ) -> None:
        """Ask for seeds and put a run for each at the end.

        Args:
            config: what is run, with each of the seeds.
            preset: from which the runs are recorded to come.
            origins: of every setting, where it came from.
            begun: done when seeds were given.
            then: done when the runs are there, or could not be made.
        """

        def answered(text: str | None) -> None:
            if not text:
                return
            begun()
            try:
                self.add(config, seeds_of(text), preset, origins, then)
            except MimError as error:
                self._app.notify(str(error), severity="error")

        told = "one run for each seed, as 0-4 or 0,2,5; they run one after another"
        self._app.push_screen(NameScreen("Seeds to queue", str(config.seed), lambda _: told, wrong_seeds), answered)

    def add(
        self,
        config: Config,
        seeds: Sequence[int],
        preset: str | None,
        origins: Mapping[str, str],
        then: Callable[[], None],
    ) -> None:
        """Put new runs at the end, and tell whether they follow by themselves."""

        def put() -> list[str]:
            return [folder.name for folder in self.queue.add(config, seeds, preset=preset, origins=origins)]

        self._put(put, then)

    def add_again(self, run: RunInfo, then: Callable[[], None], iterations: int | None = None) -> None:
        """Put a run that is over at the end, to go on from where it stands; or say why it cannot.

        Args:
            run: one that ended early, or that is to be given more iterations.
            then: done when it waits, or cannot.
            iterations: how many it is to have.
        """
        begun = run.name == self.begun  # of which its status may not know yet
        if begun or not (run.resumable if iterations is None else run.lengthenable):
            told = f"{run.name} is going on" if begun else run.refusal if iterations is None else run.too_long
            self._app.notify(told, severity="warning", about=[of_run(run.name)])
            return

        def put() -> list[str]:
            self.queue.add_again(run.folder, iterations)
            self._tried.discard(run.name)  # it failed in this queue, and is meant to be tried again
            return [run.name]

        more = f", lengthened to {iterations:,} iterations" if iterations is not None else ""
        self._put(put, then, f"from where it stands{more}")

    def _put(self, put: Callable[[], list[str]], then: Callable[[], None], how: str = "") -> None:
        """Put runs at the end. They follow a run that goes on, unless the queue is held by hand; it is told which."""
        session = self._app.session
        during = session is not None and session.running

        def do() -> None:
            names = put()
            what = names[0] if len(names) == 1 else f"{len(names)} runs"
            put_there = f"{what} put into the queue{f', to go on {how}' if how else ''}"
            before = self.queue.claimed
            follows = during and self.queue.claim() and self._follow(session)
            if not (follows or before):
                self.queue.give_back()
            if follows:
                told = f"{what} will follow{f' {how}' if how else ''}; Q shows the queue"
            elif self.queue.elsewhere():
                told = f"{put_there}; another process works it off"
            else:
                told = f"{put_there}; Q shows it, s there starts it"
            self._app.notify(told, about=[QUEUE, *map(of_run, names)])

        self.changes.do(do, then)

    def go(self) -> None:
        """From now on start what waits, one after another."""
        self._app.take_back(QUEUE)
        with self._lock:
            self.going, self._held = True, False
        self._tried.clear()
        self.changes.afterwards(partial(self._begin, lambda: True))

    def hold(self) -> None:
        """Start nothing more by itself."""
        self._app.take_back(QUEUE)
        with self._lock:
            self.going, self._held = False, True
        session = self._app.session
        if session is None or not session.running:  # else at its end
            self.queue.give_back()

    def ended(self, session: EngineSession) -> None:
        """A run of this process ended: the next one's turn, unless it was stopped."""
        self._app.take_back(QUEUE)
        self.changes.do(self._tidy)
        if self.going and session.control.stopping:  # at once: what is asked for from now on counts more
            self.going = False
            self.queue.give_back()
            self.count(partial(self._say_held, session))
            return
        self.changes.afterwards(partial(self._ended, session))

    def _ended(self, session: EngineSession) -> None:
        if not self.going:  # nor was it asked for meanwhile
            self.queue.give_back()
            return
        if isinstance(session.error, RunLocked) and session.path is not None:
            told = f"{session.path.name} is passed over: another process works on it"
            self._app.notify(told, severity="warning", about=[of_run(session.path.name)], lasting=True)
        self._begin(partial(self._app.watches, session))

    def _say_held(self, session: EngineSession, waiting: int) -> None:
        if not waiting or self.going:
            return
        state = "failed" if session.failed else (session.result or {}).get("state")
        why = (
            "a run was stopped"
            if state == "stopped"
            else f"a run was to stop, which {VERBS.get(str(state), 'ended')} first"
        )
        self._app.notify(f"the queue is held, because {why}; Q shows it", about=[QUEUE], lasting=True)

    def left_alone(self) -> None:
        """The interface closes while a run goes on: its thread goes on with the queue."""
        self._left = True
        if self.going:
            self.launch.alone.set()

    def between(self) -> EngineSession | None:
        """Begin the next run where the interface has closed between two, as the thread of one that goes on would; None
        where none has its turn, or the disk does not say."""
        self.changes.finish()
        session = self._app.session
        if not self.launch.alone.is_set() or (session is not None and session.control.stopping):
            return None
        try:
            order = self.launch.next(self._app.data_dir)
        except MimError as error:
            self.changes.untold.append(str(error))
            return None
        if order is None:
            return None
        following = EngineSession(order, self.launch)
        following.start()
        return following

    def _follow(self, session: EngineSession | None) -> bool:
        """Let the queue go on by itself after a run, also where the interface has just closed; on the changes' thread.

        False where it was held, by hand or because the run was stopped.
        """
        with self._lock:
            if self._held or session is None or session.control.stopping:
                return False
            self.going = True
        if self._left:
            self.launch.alone.set()
        return True

    def _begin(self, watch: Callable[[], bool]) -> None:
        """Start the next one; whether it is to be shown is asked then: until then somebody may press a key."""
        found: list[list[Waiting] | None] = []

        def read() -> None:
            kept = self.queue.read() if self.queue.claim() else None
            found.append(None if kept is not None and _far(kept) else kept)

        self.changes.do(read, lambda: self._next(found[0], watch) if found else self._rest())

    def _next(self, found: list[Waiting] | None, watch: Callable[[], bool]) -> None:
        """Start the first of these; None where another process works on the queue."""
        if not self.going or self._app.closing:
            self._rest()
            return
        if found is None:
            told = "another process works on this queue"
            self._app.notify(told, severity="warning", about=[QUEUE], lasting=True)
            self._rest()
            return
        session = self._app.session
        if session is not None and session.running:  # at its end
            return
        left = [one for one in found if one.state != "running"]  # one of these was taken up by itself
        waiting = [one for one in left if one.name not in self._tried]
        if not waiting:
            stay = ", ".join(one.name for one in left)
            told = f"the queue is done but for what could not go on: {stay}" if stay else "the queue is done"
            self._app.notify(told, about=[QUEUE, *(of_run(one.name) for one in left)], lasting=True)
            self._rest()
            return
        self._tried.add(waiting[0].name)
        self._app.start_run(ordered(waiting[0], self._app.data_dir), watch=watch())

    def _rest(self) -> None:
        """Nothing more is begun: the queue is anybody's."""
        self.going = False
        self.queue.give_back()
        self._app.renew_question()


def _offered(found: Sequence[Waiting]) -> tuple[str, str] | None:
    """What waits and could be gone on with, and how; None where nothing does, or one goes on already."""
    waiting = [one for one in found if one.state != "running"]
    if not waiting or len(waiting) < len(found):
        return None
    name, more = waiting[0].name, len(waiting) - 1
    if waiting[0].state == "interrupted":
        told = f"{name} was interrupted" + (f", {more} more {'waits' if more == 1 else 'wait'}" if more else "")
    else:
        told = f"{name} and {more} more wait" if more else f"{name} waits"
    return f"{told} in the queue", "one after another" + _whence([one.state for one in waiting])


def _far(found: Sequence[Waiting]) -> bool:
    """Whether another machine, where a claim may not reach, works on one of these."""
    status = [one.folder.status() for one in found if one.state == "running"]
    return any(one is not None and one.host != host_name() for one in status)


def _whence(states: Sequence[str]) -> str:
    """Where runs of the queue that have begun go on from; nothing where none has."""
    begun = sum(state != "queued" for state in states)
    if not begun:
        return ""
    if begun < len(states):
        return ", begun ones from their last checkpoint"
    return ", each from its last checkpoint"
