"""The queue: runs that wait for their turn, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from engine.runs.changes import changes
from engine.runs.reached import standing
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.reading import Reading
from mim4dd_tui.dashboard.run_queue import Waiting
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen
from mim4dd_tui.dashboard.shelf import remove
from mim4dd_tui.dashboard.telling import QUEUE, of_run
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.keyline import KeyLine
from mim4dd_tui.dashboard.widgets.table import MUTED, Cell, Column, Table, TableRow, reserved
from mim4dd_tui.fitting import shortened
from mim4dd_tui.spelling import briefly, telling_first

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

COLUMNS = (
    Column("", 3, right=True),
    Column("run", 0, least=18, grows=4, most=40, middle=True),
    Column("state", 11, rank=1, fits=True),
    Column("progress", 15, right=True, rank=2, fits=True, grows=2),
    Column("changed", 24, rank=3, fits=True, grows=7, optional=True),
    Column("preset", 20, rank=5, fits=True, grows=8),
    Column("seed", 6, right=True, rank=6),
)
COLOURS = {
    "running": "success", "paused": "warning", "interrupted": "warning", "queued": "secondary",
    "to resume": "secondary", "to lengthen": "secondary", "starting": "secondary",
}  # fmt: skip
REFRESH_SECONDS = 1.0


class QueueScreen(Screen[None]):
    """Shows the queue's file as it is; what it changes goes through the app."""

    CSS_PATH = "runs.tcss"
    BINDINGS = bindings("queue")
    SCOPES: ClassVar[tuple[Scope, ...]] = ("queue", "table", "app")

    class Read(Message):
        """The queue was read."""

        def __init__(self, rows: list[TableRow], waiting: list[Waiting], claimed: bool) -> None:
            super().__init__()
            self.rows = rows
            self.waiting = waiting
            self.claimed = claimed  # by another process

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, Waiting] = {}
        self._claimed = False
        self._changed_for: dict[str, tuple[dict[str, Any], str | None]] = {}  # on which preset, which stays
        self._reading = Reading(self, self._read_queue)

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    @property
    def path(self) -> Path | None:
        """Folder of the run under the cursor."""
        one = self._waiting.get(self.query_one(Table).chosen or "")
        return one.folder.path if one is not None else None

    def compose(self) -> ComposeResult:
        """What goes on, the runs that wait, the keys."""
        yield Static(id="runs-title")
        yield Table(id="runs-table")
        yield KeyLine()

    def on_mount(self) -> None:
        """Read now and again."""
        if not whole(self):  # the dashboard closes
            return
        self.set_interval(REFRESH_SECONDS, self._refresh)
        table = self.query_one(Table)
        self.watch(table, "cursor", self._moved, init=False)
        table.focus()

    def on_screen_resume(self) -> None:
        """It may have changed; what notices tell of it is seen here."""
        if not self.dashboard.closing:
            self.dashboard.take_back(QUEUE)
            self._reading.anew()

    def _moved(self) -> None:
        """What its keys do depends on the run under the cursor."""
        self.refresh_bindings()

    def _refresh(self) -> None:
        if self.is_active and not self.dashboard.closing:
            self._reading.keep_up()

    def _read_queue(self) -> None:
        begun = self.dashboard.turns.begun  # which says so itself only once its engine is loaded
        waiting = [
            replace(one, state="running") if one.name == begun else one for one in self.dashboard.turns.queue.read()
        ]
        for one in waiting:
            if one.name not in self._changed_for:
                status = one.folder.status()
                self._changed_for[one.name] = changes(one.folder), status.preset if status is not None else None
        known = [self._changed_for[one.name] for one in waiting]
        told = telling_first([own for own, _ in known], [preset for _, preset in known])
        rows = [
            TableRow(one.name, _cells(place, one, briefly(own)))
            for place, (one, own) in enumerate(zip(waiting, told, strict=True), 1)
        ]
        self.post_message(self.Read(rows, waiting, self.dashboard.turns.queue.elsewhere()))

    @on(Read)
    def _read(self, message: Read) -> None:
        message.stop()
        if self.dashboard.closing:
            return
        self._waiting = {one.name: one for one in message.waiting}
        self._claimed = message.claimed
        table = self.query_one(Table)
        going = any(one.state == "running" for one in message.waiting)
        columns = reserved(COLUMNS, "progress") if going else COLUMNS
        table.show(columns, message.rows, nothing="nothing waits; w on the first screen puts runs here")
        text = Text.assemble(("queue", "bold"))
        count = sum(one.state != "running" for one in message.waiting)
        text.append(f"  {count} waiting", style="dim")
        if count:
            width = self.query_one("#runs-title").content_size.width
            text.append(f" · {self._turn(width - text.cell_len - 3)}", style="dim")
        title = self.query_one("#runs-title", Static)
        if title.content != text:
            title.update(text)
        self.refresh_bindings()

    def _turn(self, room: int) -> str:
        """What the runs wait for, in so many columns."""
        if self._elsewhere:
            return "another process works on this queue"
        if not self.dashboard.turns.going:
            return "held: s starts them"
        session = self.dashboard.session
        if session is None or not session.running or session.path is None or session.path.name in self._waiting:
            return "the runs are started one after another"
        paused = " (paused)" if session.control.paused else ""
        return f"after {shortened(session.path.name, room - len('after ' + paused))}{paused}"

    @property
    def idle(self) -> frozenset[str]:
        """Actions that change nothing as the queue stands."""
        if not self._waiting:
            return frozenset({"go", "hold", "shift(-1)", "shift(1)", "take_out"})
        one = self._waiting.get(self.query_one(Table).chosen or "")
        order = [waiting.name for waiting in self._waiting.values() if waiting.state != "running"]
        idle = {"go", "hold"} if self._elsewhere else {"go" if self.dashboard.turns.going else "hold"}
        if not order:  # what goes on is the last
            idle.add("hold")
        if one is None or one.name not in order:
            return frozenset({*idle, "shift(-1)", "shift(1)", "take_out"})
        return frozenset(idle | {f"shift({step})" for step, end in ((-1, order[0]), (1, order[-1])) if one.name == end})

    @property
    def _elsewhere(self) -> bool:
        """Whether another process starts its runs; also while this one still finds out that it cannot."""
        going = any(one.state == "running" and not self._here(one) for one in self._waiting.values())
        turns = self.dashboard.turns
        return (going or self._claimed) and not (turns.going and turns.queue.claimed)

    def _here(self, one: Waiting) -> bool:
        """Whether a run is the one of this process."""
        session = self.dashboard.session
        return session is not None and session.path is not None and session.path.name == one.name

    # ---- keys

    @on(Table.Chosen)
    def _open(self, message: Table.Chosen) -> None:
        message.stop()
        one = self._waiting.get(message.row)
        if one is not None:
            self.dashboard.open_run(one.folder)

    def _change(self, change: Callable[[], None]) -> None:
        """Change the queue when its turn comes, then show what has become of it. The screen may be gone by then."""
        self.dashboard.turns.changes.do(change, self._changed)

    def _changed(self) -> None:
        if whole(self) and not self.dashboard.closing:
            self._reading.anew()

    def action_shift(self, step: int) -> None:
        """Move the run towards the front or the end."""
        one = self._waiting.get(self.query_one(Table).chosen or "")
        if one is not None and one.state == "running":
            self.notify(f"{one.name} is going on: only runs that wait change their places", severity="warning")
        elif one is not None:
            self._change(partial(self.dashboard.turns.queue.move, one.name, step))

    def action_take_out(self) -> None:
        """Out of the queue; a run that never began goes altogether."""
        one = self._waiting.get(self.query_one(Table).chosen or "")
        if one is None:
            return
        if one.state == "running":
            self.notify(f"{one.name} is going on: stop it on its own screen", severity="warning")
            return
        if one.state in ("interrupted", "to resume"):
            self._change(partial(_drop, one, self.dashboard))
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._change(partial(_take_out, one, self.dashboard))

        question = f"Take {one.name} out?"

        def look() -> tuple[str, str]:
            return question, _begun(one, self.dashboard) or "it has not begun, so nothing but its settings is lost"

        self.app.push_screen(ConfirmScreen(*look(), "Take it out", look=look), answered)

    def action_go(self) -> None:
        """Let the queue go on."""
        self.dashboard.turns.go()
        self._reading.anew()

    def action_hold(self) -> None:
        """Start nothing more after the run that is going."""
        if self._elsewhere:
            self.notify("another process works on this queue: hold it there, or stop its run", severity="warning")
            return
        self.dashboard.turns.hold()
        self._reading.anew()

    def action_close(self) -> None:
        """Back."""
        self.dismiss()


def _drop(one: Waiting, app: DashboardApp) -> None:
    """A run that is over, or whose process is gone: out of the queue."""
    if one.name == app.turns.begun:  # its turn has just come
        app.notify(f"{one.name} is going on: stop it on its own screen", severity="warning", about=[of_run(one.name)])
        return
    app.call_later(app.take_back, of_run(one.name))
    app.turns.queue.drop(one.name)


def _begun(one: Waiting, app: DashboardApp) -> str:
    """Why a run that had not begun is not taken out now: its turn came while the question stood."""
    status = one.folder.status()
    begun = status is not None and (status.liveness() != "queued" or one.name == app.turns.begun)
    return f"{one.name} has begun meanwhile" if begun else ""


def _take_out(one: Waiting, app: DashboardApp) -> None:
    """A run that never began: out of the queue, and away."""
    if one.folder.status() is None:  # taken out already
        return
    if begun := _begun(one, app):
        app.notify(begun, severity="warning", about=[of_run(one.name)])
        return
    app.turns.queue.drop(one.name)
    app.call_later(app.take_back, of_run(one.name))
    remove(app.runs_dir, one.folder)


def _cells(place: int, one: Waiting, changed: str = "") -> tuple[Cell, ...]:
    status = standing(one.folder)
    state = one.told
    if one.state == "running" and status is not None:
        state = {"paused": "paused", "queued": "starting"}.get(status.state, state)
    iterations = f"{status.iteration}/{status.iterations}" if status is not None and status.iterations else ""
    longer = f" to {one.iterations}" if one.iterations is not None else ""
    return (
        Cell(str(place), MUTED),
        Cell(one.name, bold=one.state == "running"),
        Cell(state, COLOURS[state]),
        Cell(((status.doing if status is not None else "") or iterations) + longer, MUTED),
        Cell(changed, MUTED),
        Cell((status.preset if status is not None else "") or "", MUTED),
        Cell(str(status.seed) if status is not None and status.seed is not None else "", MUTED),
    )
