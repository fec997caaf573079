"""A run while it goes on, or as it was: progress, curves, pictures, numbers, log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, cast

import psutil
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from engine.config.schema import Config
from engine.errors import MimError
from engine.events import (
    CheckpointWritten,
    Evaluation,
    Event,
    ExpertEpoch,
    Iteration,
    Notice,
    Snapshot,
)
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import Record
from engine.runs.log import LogLine
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.keys import bindings
from mim4dd_tui.dashboard.session import Request, Session
from mim4dd_tui.dashboard.snapshots import read_sheet
from mim4dd_tui.dashboard.widgets.facts import FactsPane
from mim4dd_tui.dashboard.widgets.log import Line, LogPane
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane, Sheet
from mim4dd_tui.dashboard.widgets.plot import Move, PlotPane
from mim4dd_tui.dashboard.widgets.status import Head, Progress, RunHead
from mim4dd_tui.pictures import Mode

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

VIEWS = ("overview", "curves", "pictures", "log")
LISTEN_SECONDS = 0.1
"""How often the engine's queue is emptied."""
PAINT_SECONDS = {False: 0.25, True: 0.6}
"""Least time between two paintings of the curves; the longer one over SSH."""
FOLDER_SECONDS = 0.5
"""How often another process's journal is read."""


class RunScreen(Screen[None]):
    """Shows a session. Holds the history; the panes show what they are handed."""

    CSS_PATH = "run.tcss"
    BINDINGS = bindings("run", "plot", "pictures")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-medium"), (36, "-tall")]  # noqa: RUF012
    AUTO_FOCUS: ClassVar[str | None] = None

    class Arrived(Message):
        """Records of another process's journal."""

        def __init__(self, items: list[Event | Record], alive: bool) -> None:
            super().__init__()
            self.items = items
            self.alive = alive

    class PictureRead(Message):
        """A snapshot's pixels were read (or could not be)."""

        def __init__(self, snapshot: Snapshot, sheet: Sheet | None, problem: str) -> None:
            super().__init__()
            self.snapshot = snapshot
            self.sheet = sheet
            self.problem = problem

    def __init__(self, session: Session, *, mode: Mode, config: Config | None = None) -> None:
        super().__init__()
        self.session = session
        self.history = RunHistory()
        self._mode = mode
        self._config = config
        self._alive = session.owned
        self._asked_to_stop = False
        self._ended_told = False
        self._dirty: set[str] = set(curves.FIGURES)
        self._painted = 0.0
        self._logged: LogLine | None = None
        self._rewinds = 0
        self._shown: Snapshot | None = None
        self._scrub: int | None = None  # index of the snapshot looked at; None follows the newest
        self._process = psutil.Process()
        self._view = VIEWS[0]
        self.add_class(f"-view-{self._view}")

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """Head, panes, footer; the style sheet decides which pane is seen where."""
        yield RunHead(id="head")
        yield Static(id="problem")
        panes = {name: PlotPane(title, id=name) for name, (title, _) in curves.FIGURES.items()}
        with Container(id="body"):
            yield panes["losses"]
            yield PicturesPane(id="pictures")
            yield panes["information"]
            yield panes["accuracy"]
            yield panes["ratio"]
            yield panes["step_size"]
            yield FactsPane(id="facts")
            yield panes["speed"]
            yield LogPane(id="log")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start listening."""
        if self.dashboard.closing:
            return
        self.set_mode(self._mode)
        self._head()
        self.set_interval(LISTEN_SECONDS if self.session.owned else FOLDER_SECONDS, self._listen)
        self._listen()

    def set_mode(self, mode: Mode) -> None:
        """Draw pictures another way."""
        self._mode = mode
        self.query_one(PicturesPane).mode = mode

    # ---- hearing of the run

    @property
    def _gone(self) -> bool:
        """Whether the widgets are being taken down: timers and messages may still come."""
        return self.dashboard.closing or not self.children

    def _listen(self) -> None:
        if self._gone:
            return
        if self.session.owned:
            alive = self.session.running  # before the queue: what a thread said last must still be heard
            self._take(self.session.poll(), alive)
        else:
            self._read_folder()

    @work(thread=True, exclusive=False, group="folder", exit_on_error=False)
    def _read_folder(self) -> None:
        if self._reading:
            return
        self._reading = True
        try:
            items = self.session.poll()
            self.post_message(self.Arrived(items, self.session.running))
        finally:
            self._reading = False

    _reading = False

    @on(Arrived)
    def _arrived(self, message: Arrived) -> None:
        message.stop()
        if not self._gone:
            self._take(message.items, message.alive)

    def _take(self, items: list[Event | Record], alive: bool) -> None:
        """Everything that follows from new events, and from the end of the process behind them."""
        self._alive = alive
        for item in items:
            event = item.event if isinstance(item, Record) else item
            self.history.apply(item)
            self._mark(event)
        if items:
            self._log()
        if self.history.rewinds != self._rewinds:
            self._rewinds = self.history.rewinds
            self._dirty |= set(curves.FIGURES)
        self._head()
        self._paint()
        self._picture()
        if not alive:
            self._ended()

    def _mark(self, event: Event) -> None:
        if isinstance(event, Iteration):
            self._dirty |= {"losses", "ratio", "step_size", "speed", "accuracy"}
            if event.bound is not None:
                self._dirty.add("information")
        elif isinstance(event, Evaluation):
            self._dirty.add("accuracy")
        elif isinstance(event, ExpertEpoch):
            self._dirty.add("losses")
        elif isinstance(event, Notice) and event.level == "warning":
            self.app.bell()
        elif isinstance(event, CheckpointWritten) and self._told_checkpoint:
            self._told_checkpoint = False
            self.notify(f"checkpoint written at iteration {event.iteration}", timeout=3)

    _told_checkpoint = False

    def _ended(self) -> None:
        """The process or thread behind the run is gone: once, say how."""
        self._paint(force=True)
        if self._ended_told:
            return
        self._ended_told = True
        error = self.session.error
        state = self.state
        if error is not None or state in ("failed", "crashed"):
            message = str(error) if isinstance(error, MimError) else self._unexpected(error)
            self._problem(message or self.history.message or "the process behind it is gone")
        if self.session.owned:
            self.app.bell()

    @staticmethod
    def _unexpected(error: BaseException | None) -> str:
        return "" if error is None else f"{type(error).__name__}: {error}"

    def _problem(self, message: str) -> None:
        self.add_class("-failed")
        path = self.session.path
        text = Text(message.strip())
        if path is not None:
            where = "traceback.txt" if (path / "traceback.txt").exists() else "journal.jsonl"
            text.append(f"\nlog: {path / where}", style="dim")
            text.append("   R resumes it from its last checkpoint", style="dim")
        self.query_one("#problem", Static).update(text)

    # ---- showing it

    @property
    def state(self) -> str:
        """The run's state as it really is."""
        if self.session.error is not None:
            return "failed"
        state = self.history.state
        if state in ("running", "paused", "queued"):
            if not self._alive:
                return "crashed" if self.history.started is not None else state
            if self.history.started is None:
                return "starting"
            if self._asked_to_stop:
                return "stopping"
        return state

    def _head(self) -> None:
        history = self.history
        started = history.started
        path = self.session.path
        elapsed = None
        if history.started_at is not None:
            until = time.time() if self._alive else (history.updated_at or history.started_at)
            elapsed = float(int(until - history.started_at))
        elsewhere = ""
        if not self.session.owned and self._alive and started is not None:
            elsewhere = f"{started.host}, process {started.pid}"
        head = self.query_one(RunHead)
        head.head = Head(
            name=path.name if path is not None else "",
            preset=(started.preset if started is not None else None) or "",
            seed=started.seed if started is not None else None,
            state=self.state,
            elapsed=elapsed,
            elsewhere=elsewhere,
        )
        head.progress = self._progress()

    def _progress(self) -> Progress:
        history = self.history
        state = self.state
        if state in ("done", "stopped", "failed", "crashed"):
            done, total = history.iteration, history.iterations or None
            return Progress(state if state != "crashed" else "failed", done, total)
        remaining = history.eta()
        seconds = history.series.get("seconds")
        rate = ""
        if history.phase == "distill" and seconds is not None and len(seconds):
            recent = seconds.values[-20:]
            mean = sum(recent) / len(recent)
            rate = f"{mean:.2f} s/it" if mean >= 0.1 else f"{1 / max(mean, 1e-9):.0f} it/s"
        return Progress(
            phase=history.phase or "starting",
            done=history.done,
            total=history.total,
            remaining=float(int(remaining)) if remaining is not None else None,
            rate=rate,
            detail=history.detail or ("loading the engine" if history.started is None else ""),
        )

    def _paint(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not self._dirty or (not force and now - self._painted < PAINT_SECONDS[self.dashboard.slow_link]):
            return
        self._painted = now
        training = not self.history.iteration and bool(self.history.experts)
        for name in self._dirty:
            title, figure = curves.FIGURES[name]
            if name == "losses" and training:
                title = "experts' loss"
            self.query_one(f"#{name}", PlotPane).show(figure(self.history), title=title)
        self._dirty.clear()
        memory = self._process.memory_info().rss / 2**20 if self.session.owned else None
        self.query_one(FactsPane).facts = curves.facts(self.history, memory)

    def _log(self) -> None:
        newest = self.history.log[-1] if self.history.log else None
        if newest is self._logged:
            return
        self._logged = newest
        begun = self.history.started_at
        lines = [Line(line.time - begun if begun else None, line.level, line.text) for line in self.history.log]
        self.query_one(LogPane).show(lines)

    # ---- pictures

    def _picture(self) -> None:
        snapshots = self.history.snapshots
        path = self.session.path
        if not snapshots or path is None:
            return
        index = len(snapshots) - 1 if self._scrub is None else min(self._scrub, len(snapshots) - 1)
        wanted = snapshots[index]
        if wanted is not self._shown:
            self._shown = wanted
            self._read_picture(RunFolder(path), wanted)

    @work(thread=True, exclusive=True, group="picture", exit_on_error=False)
    def _read_picture(self, folder: RunFolder, snapshot: Snapshot) -> None:
        try:
            sheet, problem = read_sheet(folder, snapshot), ""
        except (OSError, ValueError, MimError) as error:
            sheet, problem = None, str(error)
        self.post_message(self.PictureRead(snapshot, sheet, problem))

    @on(PictureRead)
    def _picture_read(self, message: PictureRead) -> None:
        message.stop()
        if message.snapshot is not self._shown or self._gone:
            return
        pane = self.query_one(PicturesPane)
        if message.sheet is None:
            pane.waiting = f"no picture: {message.problem}"
        pane.show(message.sheet)

    def action_scrub(self, step: int) -> None:
        """Through the snapshots in time."""
        count = len(self.history.snapshots)
        if not count:
            return
        now = count - 1 if self._scrub is None else self._scrub
        index = max(0, min(now + step, count - 1))
        self._scrub = None if index == count - 1 else index
        self._picture()

    def action_pictures_page(self, step: int) -> None:
        """Through the images of one snapshot."""
        self.query_one(PicturesPane).page(step)

    # ---- views and curves

    def action_view(self, view: str) -> None:
        """Show another view."""
        self._view = view
        self._dress(view)
        if view == "log":
            self.set_focus(self.query_one("#log-lines"))
        elif view == "pictures":
            self.set_focus(self.query_one(PicturesPane))
        else:
            self.set_focus(None)

    def _dress(self, view: str) -> None:
        """One class of the screen names the view; the style sheet does the rest."""
        self.query(PlotPane).remove_class("-alone")
        for name in (*VIEWS, "alone"):
            self.set_class(name == view, f"-view-{name}")

    def action_next_view(self) -> None:
        """The view after this one."""
        self.action_view(VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)])

    def action_zoom_pane(self) -> None:
        """One curve alone, or all again."""
        if self.has_class("-view-alone"):
            self._dress(self._view)
            return
        pane = self.focused if isinstance(self.focused, PlotPane) else self.query_one("#losses", PlotPane)
        self._dress("alone")
        pane.add_class("-alone")
        pane.focus()

    def action_plot(self, move: Move) -> None:
        """Change how curves are looked at: the one in focus, or all that are seen."""
        if isinstance(self.focused, PlotPane):
            self.focused.move(move)
            return
        for pane in self.query(PlotPane):
            if pane.display:
                pane.move(move)

    # ---- asking the run

    def _ask(self, what: Request, told: str) -> None:
        if not self._alive:
            self.notify(f"the run is {self.state}; R resumes it", severity="warning")
            return
        try:
            self.session.request(what)
        except MimError as error:
            self.notify(str(error), severity="error")
            return
        self.notify(told, timeout=3)

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self.history.state == "paused":
            self._ask("resume", "going on")
        else:
            self._ask("pause", "pausing at the next step")

    def action_stop(self) -> None:
        """Stop with a checkpoint."""
        if self._alive:
            self._asked_to_stop = True
        self._ask("stop", "stopping at the next step, with a checkpoint")
        self._head()

    def action_checkpoint(self) -> None:
        """A checkpoint now."""
        self._told_checkpoint = self._alive
        self._ask("checkpoint", "a checkpoint follows")

    def action_evaluate(self) -> None:
        """An evaluation now."""
        self._ask("evaluate", "an evaluation follows")

    def action_resume(self) -> None:
        """Continue a run that is over before its end."""
        path = self.session.path
        if self._alive or path is None:
            self.notify("the run is going on", severity="warning")
        elif self.state == "done":
            self.notify("the run is done: there is nothing to resume", severity="warning")
        else:
            self.dashboard.resume_run(RunFolder(path))

    def action_home(self) -> None:
        """Back to presets and runs."""
        self.dashboard.action_home()
