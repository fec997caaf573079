"""Listening to one run and asking it for things: what the run screen is built on, without anything to see."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.message import Message

from engine.errors import MimError, RunLocked
from engine.events import Event, Notice, Progress, RunStarted, StateChanged
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import Record
from mim4dd_tui.dashboard import longer
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.painted import PaintedScreen
from mim4dd_tui.dashboard.run_queue import Waiting
from mim4dd_tui.dashboard.screens.answers import BETWEEN, INSTEAD, PACE, STANDING, Answers
from mim4dd_tui.dashboard.session import Heard, Request, Session, there
from mim4dd_tui.dashboard.whole import whole

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

LISTEN_SECONDS = 0.2
"""How often the engine's queue is emptied."""
FOLDER_SECONDS = 0.5
"""How often another process's journal is read."""
AT_WORK = ("pause", "stop", "checkpoint", "evaluate")
"""Actions that something has to be at work for."""
READING = "reading the journal"
"""What is said in place of what a run has said, until that is known."""


class WatchScreen(PaintedScreen[None]):
    """Keeps the history of one run. A subclass shows it: :meth:`heard` after every hearing, :meth:`ended` once."""

    class Arrived(Message):
        """Records of another process's journal."""

        def __init__(self, items: Sequence[Heard | Record], alive: bool, there: bool, waits: Waiting | None) -> None:
            super().__init__()
            self.items = items
            self.alive = alive
            self.there = there  # whether the run still has a folder
            self.waits = waits  # in the queue

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.history = RunHistory()
        self.alive = session.owned
        self.heard_once = session.known  # what it said before was read
        self._begun = False
        self._waits: Waiting | None = None  # in the queue, as its folder was read last
        self._reading = False
        self._looked = -math.inf  # when the queue was read last for a run of this process
        self._asked_to_stop = False
        self._asked_to_pause: bool | None = None  # or to go on (False); None where that was answered
        self._end_told: tuple[str, bool] | None = None  # why it failed, and whether that is for good
        self._answers = Answers(self)
        self._offered = self._standing

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    @property
    def gone(self) -> bool:
        """Whether the widgets are being taken down: timers and messages may still come."""
        return self.dashboard.closing or not whole(self)

    # ---- hearing

    def listen(self) -> None:
        """Begin; call it when the widgets are there."""
        self.set_interval(LISTEN_SECONDS if self.session.owned else FOLDER_SECONDS, self._listen)
        self._listen()

    def _listen(self) -> None:
        if self.gone:
            return
        if self.session.owned:
            # before the queue: what a thread said last must still be heard
            alive, known = self.session.running, self.session.known
            self._take(self.session.poll(), alive, known=known)
            path = self.session.path
            if alive or path is None or not self.is_active:
                return
            if not self.there:
                self._leave_deleted()
            elif self.session.taken_up:
                self._taken_up(path)
            elif not self._reading and time.monotonic() - self._looked > FOLDER_SECONDS:
                self._reading, self._looked = True, time.monotonic()
                self._read_queue()
        elif not self._reading:
            self._reading = True
            self._read_folder()

    def _taken_up(self, path: Path) -> None:
        """To the run as it goes on, or has since: by which process, where that is another one."""
        here = [
            one for one in self.dashboard.sessions if one.path is not None and one.path.absolute() == path.absolute()
        ]
        self.dashboard.open_run(RunFolder(path))
        if here and here[-1] is not self.session:  # in its turn
            return
        held = self.session.error  # in its own words: who holds it, and what to do
        told = str(held) if isinstance(held, RunLocked) else f"another process has been at work on {path.name}"
        self.dashboard.notify(told, severity="warning", timeout=8, lasting=True)

    @work(thread=True, exclusive=False, group="folder", exit_on_error=False)
    def _read_folder(self) -> None:
        try:
            running = self.session.running  # before the journal: what ends in between has its last words in it
            items = self.session.poll()
            running = running or self.session.running  # or its first ones, of a run that begins in between
            self.post_message(self.Arrived(items, running, self.there, None if running else self._in_queue()))
        finally:
            self._reading = False

    @work(thread=True, exclusive=False, group="folder", exit_on_error=False)
    def _read_queue(self) -> None:
        """Whether a run of this process, which is over, is to go on in its turn."""
        try:
            self.post_message(self.Arrived((), False, True, self._in_queue()))
        finally:
            self._reading = False

    def waits_changed(self) -> None:
        """It was put into the queue, or taken out."""
        raise NotImplementedError

    def _in_queue(self) -> Waiting | None:
        path = self.path
        return None if path is None else self.dashboard.turns.queue.waiting(path.name).get(path.name)

    @on(Arrived)
    def _arrived(self, message: Arrived) -> None:
        message.stop()
        if self.gone:
            return
        before, self._waits = self._waits, message.waits
        if before != self._waits:
            self.waits_changed()
        self._take(message.items, message.alive)
        if not message.there and self.is_active:
            self._leave_deleted()

    @property
    def there(self) -> bool:
        """Whether the run's folder is still what it was: another process may delete it."""
        return self.session.path is None or there(self.session.path)

    def _leave_deleted(self) -> None:
        """Back from a run that is no more."""
        name = self.path.name if self.path is not None else "the run"
        self.dashboard.notify(f"the folder of {name} is gone", severity="warning", timeout=8, lasting=True)
        self.dashboard.back()

    def _take(self, items: Sequence[Heard | Record], alive: bool, *, known: bool = True) -> None:
        """Everything that follows from new events, and from the end of the process behind them."""
        lived, self.alive = self.alive, alive
        looked, self.heard_once = self.heard_once, self.heard_once or known
        events, warned = [], False
        for item in items:
            event, said_here = item.event, isinstance(item, Heard)
            if isinstance(event, Progress) and not self.session.owned and self._behind(event):
                continue
            self._begun = self._begun or (said_here and isinstance(event, RunStarted))
            if isinstance(item, Heard):
                self.history.apply(event, time=item.time)
            else:
                self.history.apply(item)
            events.append(event)
            fresh = said_here or (looked and not self.session.owned)  # else it is read back from the journal
            warned |= fresh and isinstance(event, Notice) and event.level == "warning"
            if fresh:
                self._answered(event)
        self.heard(events)
        if warned:
            self.warned()
        self._offer()
        if self.alive != lived:
            self._answers.changed()
        self._answers.unreadable(str(self.session.error) if self._unreadable else "")
        if alive:
            if self._end_told is not None:  # it goes on, or could not be read for a moment
                self._end_told = None
                self.remove_class("-failed")
            return
        end = (self.problem, self.history.diverged)  # a word more may follow the first
        first, self._end_told = end != self._end_told, end
        if first and self._in_vain:
            self.notify(f"it cannot go on: {self.problem}", severity="error", timeout=12)
        self.ended(first=first)

    def _answered(self, event: Event) -> None:
        """What was told of a run may no longer be so, and what was promised may have come."""
        if isinstance(event, RunStarted):  # begun, or gone on with: what was said of its end is no longer so
            self._asked_to_stop = False
            self._answers.take_back(STANDING)
        elif isinstance(event, StateChanged):
            # "paused" may have been said before it was asked to go on, and every start says "running"
            if event.state not in ("running", "paused") or self._asked_to_pause is (event.state == "paused"):
                self._asked_to_pause = None
            if event.state == "paused" and self._asked_to_pause is None:
                self._answers.take_back(PACE)
        self._answers.hear(event)

    @property
    def _in_vain(self) -> bool:
        """Whether the run was to go on here and could not begin: its screen else looks as it did before."""
        known = self.session.owned and not self._begun and self.history.started is not None
        error = self.session.error
        return known and error is not None and not isinstance(error, RunLocked)  # which is told with who holds it

    @property
    def _unreadable(self) -> bool:
        """Whether a run of another process goes on although its journal cannot be read."""
        return self.alive and not self.session.owned and self.session.error is not None

    def _behind(self, told: Progress) -> bool:
        """Whether a status says less than the journal, which may have been written later."""
        history = self.history
        nothing_new = told.done == history.done and told.detail == history.detail
        return told.phase != history.phase or told.done < history.done or nothing_new

    def _offer(self) -> None:
        """Write the line of keys anew, where what it offers is another thing now."""
        if self._offered != (offered := self._standing):
            self._offered = offered
            self.refresh_bindings()

    def heard(self, events: list[Event]) -> None:
        """What the run said since the last time (often nothing); the history has it already."""
        raise NotImplementedError

    def warned(self) -> None:
        """The run has just warned of something."""
        if self.dashboard.remembered.attention != "off":
            self.app.bell()

    def ended(self, *, first: bool) -> None:
        """Nothing works on the run any more; ``first`` when that was found just now."""
        raise NotImplementedError

    # ---- what is known

    @property
    def preparing(self) -> bool:
        """Whether the engine of this process has yet to begin: what is known of the run is from before."""
        return self.session.owned and self.alive and not self._begun

    @property
    def state(self) -> str:
        """The run's state as it really is."""
        if self.session.error is not None and not self._unreadable:
            return self.session.left or "failed"  # as its status, and so the lists, have it
        state = self.history.state
        if not self.heard_once or self.preparing:
            return "starting"
        if state in ("running", "paused", "queued"):
            if not self.alive:
                return "failed" if self.history.started is not None else state  # as the lists call it
            if self.history.started is None:
                return "starting"
            if self._stopping:
                return "stopping"
            if self._pausing and state == "running":
                return "pausing"
        return state

    @property
    def path(self) -> Path | None:
        """The run folder."""
        return self.session.path

    @property
    def problem(self) -> str:
        """Why the run failed, in words; empty where it did not."""
        error = self.session.error
        if error is None and self.state != "failed":
            return ""
        if isinstance(error, MimError):
            return str(error)
        unexpected = f"{type(error).__name__}: {error}" if error is not None else ""
        return unexpected or self.history.message or "the process behind it is gone"

    @property
    def resumable(self) -> bool:
        """Whether nothing works on the run although it is not done, and continuing it can lead anywhere; one that waits
        in the queue has it before it."""
        return self.over and self.state != "done" and not self.history.diverged and not self._waits

    @property
    def over(self) -> bool:
        """Whether nothing works on the run."""
        return self.heard_once and not self.alive and self.path is not None

    # ---- asking

    @property
    def _standing(self) -> tuple[object, ...]:
        return self.idle, self.labels

    @property
    def idle(self) -> frozenset[str]:
        """Actions that the line of keys does not offer as the run stands; their keys say why."""
        actions = [] if self.alive and not self._stopping else [*AT_WORK]
        if self._distilled:
            actions += BETWEEN
        if not self.resumable:
            actions.append("resume")
        if not self.over or self.history.diverged or self._waits:
            actions.append("lengthen")
        if self.path is None:
            actions.append("duplicate")
        return frozenset(actions)

    @property
    def labels(self) -> Mapping[str, str]:
        """What the line of keys calls an action as the run stands, where that is not its usual name."""
        return {"pause": "go on"} if self._pausing else {}

    @property
    def helps(self) -> Mapping[str, str]:
        """What the palette says of an action as the run stands, where that is not what the table of keys says."""
        going = "; the run goes on" if self.alive and not self._stopping else ""
        return {
            "back": f"Back to where you came from{going}.",
            "stop": f"Stop at the next step{self._saved}; R resumes it.",
        }

    @property
    def _stopping(self) -> bool:
        """Whether the run was asked to stop, which cannot be taken back, and has not ended yet."""
        return self.alive and (self._asked_to_stop or self.session.stopping)

    @property
    def _pausing(self) -> bool:
        """Whether the run is paused, or will be at its next step."""
        known = self.session.pausing if self.alive else None
        known = self._asked_to_pause if known is None else known
        return self.history.state == "paused" if known is None else known

    def _ask(self, what: Request, told: str) -> bool:
        """Whether it could be asked for."""
        about = what if what in BETWEEN else PACE
        self._answers.take_back(STANDING, about)
        if not self.alive:
            waits = f"; it waits in the queue (Q){self._waits.to_be}" if self._waits else ""
            on = "; R resumes it" if self.resumable else waits
            stands = "has failed" if self.state == "failed" else f"is {self.state}"
            self._answers.refuse(f"the run {stands}{on}")
            return False
        if self._stopping:
            held = ": its checkpoint cannot be written yet, and is tried again" if self._answers.unsaved else ""
            self._answers.refuse(f"the run is stopping already{held}")
            return False
        try:
            self.session.request(what)
        except MimError as error:
            self.notify(str(error), severity="error")
            return False
        self._answers.tell(told, about, timeout=3)
        return True

    def action_pause(self) -> None:
        """Pause, or go on; also before a pause that was asked for has begun."""
        if self._pausing:
            if self._ask("resume", "going on"):
                self._asked_to_pause = False
        elif self._ask("pause", "pausing at the next step"):
            self._asked_to_pause = True
        self._offer()

    def action_stop(self) -> None:
        """Stop, to be resumed."""
        if self._ask("stop", f"stopping at the next step{self._saved}"):
            self._asked_to_stop = True
            self.heard([])
            self._offer()

    @property
    def _saved(self) -> str:
        """``, with a checkpoint`` where a stop writes one: before and after distillation there is nothing to write."""
        return ", with a checkpoint" if self.history.phase == "distill" and not self.preparing else ""

    def action_checkpoint(self) -> None:
        """A checkpoint as soon as the run can write one."""
        self._promise("checkpoint", f"a checkpoint follows {self._when()}")

    def action_evaluate(self) -> None:
        """An evaluation as soon as the run can make one."""
        self._promise("evaluate", f"an evaluation follows {self._when()}")

    def _promise(self, what: Request, told: str) -> None:
        """Ask for what is answered between two iterations, unless none comes any more; that is told."""
        if self.alive and not self._stopping and self._distilled:
            self._answers.refuse(f"distillation is over: {INSTEAD[what]}")
        elif self._ask(what, told):
            self._answers.promise(what)

    @property
    def _distilled(self) -> bool:
        """Whether the run has come past its iterations."""
        return self.history.phase == "evaluate" and not self.preparing

    def _when(self) -> str:
        """What a request waits for."""
        waits = ["the run goes on"] if self._pausing else []
        if self.history.phase != "distill" or self.preparing:
            return f"once {' and '.join([*waits, 'distillation has begun'])}"
        return "once the run goes on" if waits else "after this iteration"

    def action_resume(self) -> None:
        """Continue a run that is over before its end."""
        path = self.session.path
        if path is None and not self.alive:
            self._answers.refuse("it has not begun: start it again from its settings (esc)")
        elif self._stopping:
            self._answers.refuse("the run is stopping: R resumes it once it has stopped")
        elif self.alive or path is None:
            self._answers.refuse("the run is going on")
        elif self._waits:
            self._answers.refuse(f"{path.name} waits in the queue{self._waits.to_be}; Q shows it")
        elif self.state == "done":
            self._answers.refuse("the run is done; I lengthens it")
        elif self.history.diverged:
            self._answers.refuse("it would fail again as it is: D takes its settings into a new run")
        else:
            self.dashboard.resume_run(RunFolder(path))

    def action_lengthen(self) -> None:
        """More iterations for a run that is over."""
        path = self.session.path
        if path is not None and self.over:
            longer.ask(self.dashboard, replace(read_run(RunFolder(path)), waits=self._waits))
        elif not self.alive:
            self._answers.refuse("it has not begun: its settings are where it was started (esc)")
        else:
            self._answers.refuse("the run is going on: it can be lengthened once it is over")

    def action_duplicate(self) -> None:
        """Its settings into a new run."""
        path = self.session.path
        if path is not None:
            self.dashboard.duplicate(read_run(RunFolder(path)))
        else:
            self._answers.refuse("it has not begun: its settings are where it was started (esc)")

    def action_back(self) -> None:
        """Back to where one came from; the run goes on."""
        self.dashboard.back()
