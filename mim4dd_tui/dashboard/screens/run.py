"""A run while it goes on, or as it was: progress, curves, pictures, numbers, log."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from engine.events import Evaluation, Event, ExpertEpoch, Iteration, RunStarted, Snapshot, StateChanged
from engine.runs.log import LogLine
from engine.wording import counted
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.exports import Plot, export, of_run, tables_of
from mim4dd_tui.dashboard.keys import KEYS, Scope, bindings
from mim4dd_tui.dashboard.pace import Pace
from mim4dd_tui.dashboard.progress import head, progress
from mim4dd_tui.dashboard.remembered import VIEWS, looks, seen_as
from mim4dd_tui.dashboard.screens.divided import DividedScreen
from mim4dd_tui.dashboard.screens.leafing import LeafingScreen
from mim4dd_tui.dashboard.screens.watch import READING
from mim4dd_tui.dashboard.session import Session
from mim4dd_tui.dashboard.widgets.facts import FactsPane
from mim4dd_tui.dashboard.widgets.gauges import GaugesLine
from mim4dd_tui.dashboard.widgets.graphics import FALLBACK_CELL, GraphicsPane
from mim4dd_tui.dashboard.widgets.keyline import KeyLine
from mim4dd_tui.dashboard.widgets.log import Line, LogPane
from mim4dd_tui.dashboard.widgets.panes import Panes
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.plot import STEPS, Move, PlotPane, labels_of, move_all, place_all
from mim4dd_tui.dashboard.widgets.problem import Problem, ways
from mim4dd_tui.dashboard.widgets.status import Progress, RunHead
from mim4dd_tui.pictures import Mode

PAINT_SECONDS = {False: 0.4, True: 1.0}
"""Least time between two paintings of the curves; the longer one over SSH."""
HEAD_SECONDS = {False: 1.0, True: 2.0}
"""Least time between two paintings of the two lines on top."""
FACTS_SECONDS = {False: 3.0, True: 5.0}
"""Likewise of the numbers, unless one of them is a new accuracy."""
CURVES = frozenset(key.action for key in KEYS if key.scope == "plot")
"""Actions that something has to be drawn for."""
LEAFING = frozenset(key.action for key in KEYS if key.scope == "pictures")


class RunScreen(DividedScreen, LeafingScreen):
    """Shows a session. Holds the history; the panes show what they are handed."""

    CSS_PATH = "run.tcss"
    BINDINGS = bindings("run", "plot", "panes", "pictures")
    SCOPES: ClassVar[tuple[Scope, ...]] = ("run", "plot", "panes", "pictures", "gallery", "log", "app")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-medium"), (28, "-roomy"), (36, "-tall")]  # noqa: RUF012
    AUTO_FOCUS: ClassVar[str | None] = ""  # keys of curves then act on all of them

    def __init__(self, session: Session, *, mode: Mode, beside: bool = False) -> None:
        super().__init__(session)
        self._mode, self._beside = mode, beside
        self._dirty: set[str] = set(curves.FIGURES)
        self._newest: Evaluation | None = None
        self._told = 0.0
        self._met: set[str] = set()
        self._news = False
        self._headed = 0.0
        self._pace = Pace()
        self._logged: LogLine | None = None
        self._coloured = ""  # the theme its log was written in
        self._rewinds = 0
        self._trained = self._no_more = False
        self._unread = not self.heard_once
        self._view = VIEWS[0]
        self._plots: tuple[PlotPane, ...] = ()  # kept: they are asked for five times a second
        self.add_class(f"-view-{self._view}")

    def compose(self) -> ComposeResult:
        """Head, panes, footer; the style sheet decides which pane is seen where."""
        yield RunHead(id="head")
        yield Problem(id="problem")
        yield Static(id="problem-ways")
        titles = {name: title for name, (title, _) in curves.FIGURES.items()}
        panes = {
            name: PlotPane(title, brief=curves.BRIEF.get(name, ""), whole="z", id=name)
            for name, title in titles.items()
        }
        self._plots = tuple(panes.values())
        with Panes(id="body"):
            yield panes["losses"]
            yield GraphicsPane(id="pictures")
            yield panes["information"]
            yield panes["accuracy"]
            yield panes["ratio"]
            yield panes["step_size"]
            yield FactsPane(id="facts")
            yield panes["speed"]
            yield LogPane(id="log")
        yield GaugesLine(id="gauges")
        yield KeyLine()

    def on_mount(self) -> None:
        """Start listening."""
        if self.gone:
            return
        self.set_mode(self._mode)
        self.query_one(GraphicsPane).beside = self._beside
        self.begin_leafing()
        remembered = self.dashboard.remembered
        for pane in self._plots:
            pane.viewport = seen_as(pane.viewport, remembered.plots.get(str(pane.id), {}))
        self.take_sizes()
        self._view = remembered.view
        self._dress(self._view)
        self.call_after_refresh(lambda: self._enter(self._view))  # only what is seen can have the focus
        self._head()
        self.listen()

    def on_screen_suspend(self) -> None:
        """A dialog may lie over pictures from now on."""
        self._tell_pictures()

    def on_screen_resume(self) -> None:
        """No dialog any more; what was missed meanwhile comes after the first painting, which is there at once."""
        self._tell_pictures()
        self.call_after_refresh(self._catch_up)

    def _tell_pictures(self) -> None:
        if not self.gone:
            for pane in self.query(GraphicsPane):  # none before the first mount
                pane.covered()

    def set_mode(self, mode: Mode) -> None:
        """Draw pictures another way."""
        self._mode = mode
        pane = self.query_one(GraphicsPane)
        pane.mode = mode
        pane.cell = self.dashboard.cell or FALLBACK_CELL
        pane.graphics = self.dashboard.graphics

    # ---- hearing of the run

    def heard(self, events: list[Event]) -> None:
        """Mark what has to be drawn anew, and draw what is due; nothing while another screen covers this one."""
        for event in events:
            self._mark(event)
        if self._unread and self.heard_once:
            self._unread = False
            self._news = True
            self._dirty |= set(curves.FIGURES)
        if self.history.rewinds != self._rewinds:
            self._rewinds = self.history.rewinds
            self._dirty |= set(curves.FIGURES)
            self.album_behind = True
        if self._no_more != (no_more := self.history.state in curves.OVER):
            self._no_more = no_more
            self._dirty |= set(curves.FIGURES)  # empty ones say whether something is to come
        if self._trained != (training := curves.training(self.history)):
            self._trained = training
            for pane in self._plots:  # no place among epochs is one among iterations
                pane.move("reset")
        if not self.is_active:
            return
        self._pace.settle()
        self._log()
        self._head()
        self._paint()
        self.picture()

    def _catch_up(self) -> None:
        if not self.gone:
            if self._coloured != self.app.theme:
                self._coloured, self._logged = self.app.theme, None
                for pane in self.query(PicturesPane):
                    pane.recolour()
            self.heard([])
            self._paint(force=True)

    def _mark(self, event: Event) -> None:
        kind = "bound" if isinstance(event, Iteration) and event.bound is not None else type(event).__name__
        if isinstance(event, Iteration | Evaluation | ExpertEpoch) and kind not in self._met:
            self._met.add(kind)
            self._news = True  # the first of its kind: a curve that was empty does not wait its turn,
            self._told = self._headed = 0.0  # nor does a number
        if isinstance(event, Iteration):
            self._dirty |= {"losses", "ratio", "step_size", "speed", "accuracy"}
            if event.bound is not None:
                self._dirty.add("information")
        elif isinstance(event, Evaluation):
            self._dirty.add("accuracy")
            self._news = True  # the numbers have it at once
        elif isinstance(event, StateChanged):
            self._news = True  # nothing more may come
        elif isinstance(event, ExpertEpoch):
            self._dirty.add("losses")
        elif isinstance(event, RunStarted):
            self._dirty |= {"information", "ratio"}  # which say where the term is off
        elif isinstance(event, Snapshot):
            self.album_behind = True

    def ended(self, *, first: bool) -> None:
        """Draw what is left, and say how it ended."""
        self._paint(force=True)
        if not first:
            return
        if self.problem:
            self._tell(self.problem)
        else:
            self.remove_class("-failed")

    def _tell(self, message: str) -> None:
        """Why it failed, as far as there is room; and always what helps and where the log is."""
        self.add_class("-failed")
        self.query_one(Problem).tell(message.strip())
        told = ways(
            self.session.path,
            diverged=self.history.diverged,
            waits=self._waits is not None,
            done=self.state == "done",
            log_seen=self.has_class("-view-log"),
        )
        self.query_one("#problem-ways", Static).update(Text(told, style="dim"))

    def on_resize(self) -> None:
        """Why it failed is broken to the width; curves that come into sight are drawn."""
        if not self.gone:
            self._fill(self._plots)
        self.call_after_refresh(self._tell_again)
        self.call_after_refresh(self._paint, force=True)

    def waits_changed(self) -> None:
        """What helps is another thing now."""
        self._tell_again()

    def _tell_again(self) -> None:
        if not self.gone and self.has_class("-failed") and self.problem:
            self._tell(self.problem)

    # ---- showing it

    def _head(self) -> None:
        shown = self.query_one(RunHead)
        now, state, started = time.monotonic(), self.state, self.history.started
        if state == shown.head.state and now - self._headed < HEAD_SECONDS[self.dashboard.slow_link]:
            return
        self._headed = now
        if started is not None and not self.preparing:
            self.query_one(GaugesLine).follow(started.host, started.pid, alive=self.alive)
        name = self.session.path.name if self.session.path is not None else ""
        going, elsewhere = self.alive and not self.preparing, self.alive and not self.session.owned
        shown.head = head(self.history, name, state, going=going, elsewhere=elsewhere, now=time.time())
        shown.progress = self._progress()
        self._facts(now)

    def _facts(self, now: float) -> None:
        """The numbers, less often than the head; an accuracy that is new does not wait."""
        newest = self.history.last
        if newest is self._newest and now - self._told < FACTS_SECONDS[self.dashboard.slow_link]:
            return
        self._newest, self._told = newest, now
        bound = self.query_one("#information", PlotPane)
        self._fill([bound] if bound.display else [])  # its title tells one of them too
        going = self.alive and not self.preparing  # before and after it the process has nothing of it
        memory = self.session.memory if going else None
        self.query_one(FactsPane).facts = curves.facts(self.history, memory, self.session.config)

    def _progress(self) -> Progress:
        silent = max(0.0, time.time() - (self.history.updated_at or time.time()))
        waiting = self._before_start()
        return progress(self.history, self.state, preparing=self.preparing, waiting=waiting, silent=silent)

    def _before_start(self) -> str:
        """What is waited for while the run has not said anything."""
        if self.preparing:
            return "loading the engine"
        return "" if self.heard_once else READING

    def _paint(self, *, force: bool = False) -> None:
        if self.gone or not self._dirty or not self.is_active:
            return
        least, untouched = PAINT_SECONDS[self.dashboard.slow_link], self.dashboard.untouched
        if not (force or self._news) and not self._pace.due(least, untouched=untouched):
            return
        self._news = False
        self._pace.begin()
        bound = "information" in self._dirty
        self._fill([pane for pane in self._plots if pane.display])  # others wait until they are seen
        if bound and "information" not in self._dirty:
            self._told = 0.0  # it stands among the numbers too
            self._facts(time.monotonic())

    def _fill(self, panes: Sequence[PlotPane]) -> None:
        """Give these panes the curves as they are now."""
        training = curves.training(self.history)
        for pane in panes:
            name = str(pane.id)
            if name in self._dirty:
                title, _ = curves.FIGURES[name]
                if name == "losses" and training:
                    title = "experts' loss"
                shown = curves.drawn(name, self.history)
                pane.show(shown if self.heard_once else replace(shown, empty=READING), title=title)
                self._dirty.discard(name)

    def _log(self) -> None:
        newest = self.history.log[-1] if self.history.log else None
        if newest is self._logged:
            return
        self._logged = newest
        lines = [Line(line.worked, line.level, line.text) for line in self.history.log]
        self.query_one(LogPane).show(lines)

    def recolour(self) -> None:
        """The theme is another: the log, head and numbers are written anew, pictures drawn."""
        self.query_one(PicturesPane).recolour()
        self._coloured, self._logged = self.app.theme, None
        self._log()
        self._head()
        self._paint(force=True)

    # ---- views and curves

    def action_view(self, view: str) -> None:
        """Show another view."""
        self._view = view
        self.dashboard.remember(view=view)
        self._dress(view)
        self._enter(view)
        self._told = self._headed = 0.0  # what comes into sight is as the curves are
        self._head()

    def _enter(self, view: str) -> None:
        """Give the keys to what the view is about."""
        if self.gone:
            return
        if view == "log":
            self.set_focus(self.query_one("#log-lines"))
        elif view == "pictures":
            self.set_focus(self.query_one(PicturesPane))
        else:
            self.set_focus(None)

    def _dress(self, view: str) -> None:
        """One class of the screen names the view; the style sheet does the rest."""
        self.query(PlotPane).remove_class("-alone")
        self.query_one(Panes).view = view
        for name in (*VIEWS, "alone"):
            self.set_class(name == view, f"-view-{name}")
        self.query_one(LogPane).enlarge(view == "log")
        self.query_one(PicturesPane).glance = view == "overview"
        self._fill(self._plots)  # before the first painting: which are seen from now on is known only after it
        self.call_after_refresh(self._paint, force=True)
        self.refresh_bindings()
        self._tell_again()

    @property
    def labels(self) -> Mapping[str, str]:
        """Also what keys of curves, and of what has the focus, lead to from here."""
        if not self.is_mounted or self.gone:
            return {}
        labels = {**super().labels, **labels_of(self._panes())}
        if self.has_class("-view-alone"):
            labels["zoom_pane"] = "all again"
        around = self.focused.ancestors_with_self if self.focused is not None else []
        for pane in around:
            if isinstance(pane, PicturesPane | LogPane):
                labels.update(pane.labels)
        return labels

    @property
    def idle(self) -> frozenset[str]:
        """Also the keys of curves while there is none, and of pictures over time beside the log."""
        idle = super().idle | (LEAFING if self.has_class("-view-log") else frozenset())
        drawn = self.history.series or curves.training(self.history)
        return idle if drawn else idle | CURVES

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of curves are offered where curves are seen."""
        if action in ("plot", "zoom_pane") and (self.has_class("-view-log") or self.has_class("-view-pictures")):
            return False
        return super().check_action(action, parameters)

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

    def alone(self) -> Sequence[PlotPane]:
        """All curves, where one is enlarged."""
        return self._plots if self.has_class("-view-alone") else ()

    def action_plot(self, move: Move) -> None:
        """Change how curves are looked at: the one in focus, or all that are seen."""
        if move in STEPS or move == "reset":  # else the next snapshot would take the cursor along
            self.stop_playing()
        move_all(self._panes(), move, self._plots)
        self.dashboard.remember(plots={str(pane.id): looks(pane.viewport) for pane in self._plots})
        self._offer()

    @on(PlotPane.Placed)
    def _placed(self, message: PlotPane.Placed) -> None:
        message.stop()
        self.stop_playing()
        place_all(self._plots, message.pane)

    def _panes(self) -> list[PlotPane]:
        """The curve in focus, or all that are seen."""
        if isinstance(self.focused, PlotPane):
            return [self.focused]
        return [pane for pane in self._plots if pane.display]

    # ---- taking something along

    def action_copy(self) -> None:
        """The values of the curve in focus, or all numbers."""
        if not self.heard_once:
            self.notify(READING, severity="warning")
            return
        if isinstance(self.focused, PlotPane):
            lines = [f"{name}\t{x:.0f}\t{y!r}" for name, x, y in self.focused.reading()]
            what = f"{self.focused.heading}, {counted(len(lines), 'value')}"
        else:
            lines = [f"{name}\t{value}" for name, value, _ in self.query_one(FactsPane).facts]
            what = f"{len(lines)} numbers"
        self.dashboard.copy("\n".join(lines), what)

    def action_export(self) -> None:
        """Plots and metrics into the run folder."""
        if self.path is None:
            self.notify("the run has no folder yet", severity="warning")
            return
        if not self.there:  # nothing is made in the place of a run that was deleted
            self.notify("the run's folder is gone", severity="error")
            return
        panes = self._panes() or list(self._plots)  # where none is seen, all
        self._fill(panes)
        run, folder = self.path.name, of_run(self.path)
        plots = [Plot(str(pane.id), f"{run}: {pane.heading}", pane.figure, pane.viewport) for pane in panes]
        tables = tables_of(self.history)  # here: the history changes under a thread
        self.dashboard.report_later(lambda: export(folder, plots, tables), timeout=8)
