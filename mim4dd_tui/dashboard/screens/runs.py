"""All runs: sorted, filtered, searched; opened, marked and compared, copied, resumed, deleted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.events import Key
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from engine.errors import MimError
from mim4dd_tui.dashboard import longer
from mim4dd_tui.dashboard.catalog import RunInfo, read_run, told_apart_by_seed
from mim4dd_tui.dashboard.glance import losses
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.reading import Reading
from mim4dd_tui.dashboard.run_rows import COLUMNS, HEADINGS, NOTHING, Glance, cells, columns_of
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen
from mim4dd_tui.dashboard.shelf import FILTERS, SERIES, SORTS, Marks, Sort, chosen, remove
from mim4dd_tui.dashboard.sittings import read_sittings
from mim4dd_tui.dashboard.telling import of_run
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.keyline import KeyLine
from mim4dd_tui.dashboard.widgets.table import Table, TableRow
from mim4dd_tui.fitting import homely

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

REFRESH_SECONDS = 2.0
MARKS = "the marks of the browser"
"""What a notice may be about."""


class RunsScreen(Screen[None]):
    """The browser. What is marked here is what the comparison shows."""

    CSS_PATH = "runs.tcss"
    BINDINGS = bindings("runs")
    SCOPES: ClassVar[tuple[Scope, ...]] = ("runs", "table", "app")

    class Read(Message):
        """The runs were read."""

        def __init__(self, runs: list[RunInfo], problem: str, glances: dict[str, Glance]) -> None:
            super().__init__()
            self.runs = runs
            self.problem = problem
            self.glances = glances

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[RunInfo] = []
        self._shown: dict[str, RunInfo] = {}
        self._glances: dict[str, Glance] = {}
        self._words = ""
        self._sort: Sort = "newest"
        self._reverse = False
        self._problem = ""
        self._read_once = False
        self._reading = Reading(self, self._read_runs)

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    @property
    def _marks(self) -> Marks:
        return self.dashboard.marks

    def compose(self) -> ComposeResult:
        """A line that says what is shown, the table, the search."""
        yield Static(id="runs-title")
        yield Table(id="runs-table")
        yield Input(placeholder="search the runs", id="runs-search", compact=True)
        yield KeyLine()

    def on_mount(self) -> None:
        """Read now and again."""
        if not whole(self):  # the dashboard closes
            return
        self.query_one("#runs-search").display = False
        kept = self.dashboard.remembered
        self._sort, self._reverse = kept.sort, kept.reverse
        self._runs = self.dashboard.shelf.known  # a key that follows at once finds its run
        self._read_once = bool(self._runs)
        self._write()
        self.set_interval(REFRESH_SECONDS, self._refresh)
        self.query_one(Table).focus()

    def on_screen_resume(self) -> None:
        """Runs may have come or gone."""
        if not self.dashboard.closing:
            self._reading.anew()

    def _refresh(self) -> None:
        if self.is_active and not self.dashboard.closing:
            self._reading.keep_up()

    def _read_runs(self) -> None:
        try:
            runs, problem = self.dashboard.shelf.read(), ""
        except (MimError, OSError) as error:
            runs, problem = [], homely(str(error))
        self.post_message(self.Read(runs, problem, {run.name: self._glance(run) for run in runs}))

    def _glance(self, run: RunInfo) -> Glance:
        """A run's losses and sittings, read again only when its journal has grown."""
        path = run.folder.journal_path
        try:
            size = path.stat().st_size
        except OSError:
            return NOTHING
        known = self._glances.get(run.name, NOTHING)
        if known[0] == size:
            return known
        sittings = read_sittings(path, known[2])
        return size, losses(path, sittings.backs), sittings

    @on(Read)
    def _read(self, message: Read) -> None:
        message.stop()
        if self.dashboard.closing:
            return
        self._runs, self._problem, self._read_once = message.runs, message.problem, True
        self._glances = message.glances
        self._write()

    # ---- showing

    def _write(self) -> None:
        shown = chosen(
            self._runs, words=self._words, which=self.dashboard.filtered, sort=self._sort, reverse=self._reverse
        )
        self._shown = {run.name: run for run in shown}
        if self._read_once and not self._problem:
            self._marks.only(self._runs)
        if len(self._marks.names) < SERIES:
            self.dashboard.take_back(MARKS)
        inks = self._marks.colour()
        now = time.time()
        seeded, unicode = told_apart_by_seed(shown), self.dashboard.unicode

        def row(run: RunInfo) -> TableRow:
            glance, ink = self._glances.get(run.name, NOTHING), inks.get(run.name)
            return TableRow(run.name, cells(run, glance, ink, now, seeded=seeded, unicode=unicode))

        self.query_one(Table).show(columns_of(shown), [row(run) for run in shown], nothing=self._nothing())
        self._title(len(shown))
        self.refresh_bindings()

    def _nothing(self) -> str:
        """Why there is no row, and the key that brings them back."""
        if self._problem or not self._runs:
            return self._problem or ("no runs yet" if self._read_once else "reading")
        typing = isinstance(self.focused, Input)
        return f"no run matches · {'esc ends the search' if typing and self._words else '0 shows all'}"

    def on_descendant_focus(self) -> None:
        """Which key brings back runs that are filtered away depends on where one is."""
        if self._read_once and not self._shown:
            self._write()

    def _title(self, count: int) -> None:
        text = Text.assemble(("runs", "bold"))
        notes = [str(count) if count == len(self._runs) else f"{count} of {len(self._runs)}"]
        if self.dashboard.filtered != "all":
            notes.append(self.dashboard.filtered)
        notes.append(f"by {self._sort}" + (", reversed" if self._reverse else ""))
        if self._words:
            notes.append(f"/{self._words}")
        if self._marks.names:
            notes.append(f"{len(self._marks.names)} marked")
        text.append("  " + " · ".join(notes), style="dim")
        title = self.query_one("#runs-title", Static)
        if title.content != text:
            title.update(text)

    @property
    def path(self) -> Path | None:
        """Folder of the run under the cursor."""
        return self._run.folder.path if self._run is not None else None

    @property
    def _run(self) -> RunInfo | None:
        return self._shown.get(self.query_one(Table).chosen or "")

    @property
    def idle(self) -> frozenset[str]:
        """Actions that change nothing as the list stands."""
        idle = set() if self._marks.names else {"unmark"}
        if not self._shown:
            return frozenset({*idle, "mark", "compare", "resume", "lengthen", "enqueue", "duplicate", "delete"})
        if self._run is not None and not self._run.resumable:
            idle |= {"resume", "enqueue"}
        if self._run is not None and not self._run.lengthenable:
            idle.add("lengthen")
        if any(run.alive for run in self._doomed):
            idle.add("delete")
        return frozenset(idle)

    # ---- keys

    @on(Table.Chosen)
    def _open(self, message: Table.Chosen) -> None:
        message.stop()
        run = self._shown.get(message.row)
        if run is not None:
            self.dashboard.open_run(run.folder)

    @on(Table.Heading)
    def _heading(self, message: Table.Heading) -> None:
        message.stop()
        sort = HEADINGS.get(COLUMNS[message.column].title)
        if sort is not None:
            self._order(sort, reverse=not self._reverse if sort == self._sort else False)

    def _order(self, sort: Sort, *, reverse: bool) -> None:
        self._sort, self._reverse = sort, reverse
        self.dashboard.remember(sort=sort, reverse=reverse)
        self._write()

    def action_sort(self) -> None:
        """The next order."""
        self._order(SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)], reverse=False)

    def action_reverse(self) -> None:
        """From the other end."""
        self._order(self._sort, reverse=not self._reverse)

    def action_filter(self, step: int) -> None:
        """The next states."""
        names = list(FILTERS)
        self.dashboard.filtered = names[(names.index(self.dashboard.filtered) + step) % len(names)]
        self._order(self._sort, reverse=self._reverse)

    def action_all(self) -> None:
        """Every run again."""
        self.dashboard.filtered = "all"
        box = self.query_one("#runs-search", Input)
        box.value = ""
        box.display = False
        self._words = ""
        self._order(self._sort, reverse=self._reverse)

    def action_mark(self) -> None:
        """Mark the run, or take its mark off; the cursor goes on."""
        run = self._run
        if run is None:
            return
        if run.name in self._marks.names:
            self._marks.names.remove(run.name)
        elif len(self._marks.names) == SERIES:
            told = f"{SERIES} runs are marked: take one mark off first"
            self.dashboard.notify(told, severity="warning", about=[MARKS])
            return
        else:
            self._marks.names.append(run.name)
        self._write()
        self.query_one(Table).action_cursor(1)

    def action_unmark(self) -> None:
        """No marks."""
        self._marks.names = []
        self._write()

    def action_compare(self) -> None:
        """Compare what is marked."""
        if len(self._marks.names) < 2:
            self.notify("mark at least two runs first (space)", severity="warning")
            return
        self.dashboard.compare(self._meant, dict(self._marks.inks))

    def action_resume(self) -> None:
        """Continue the run."""
        run = self._run
        if run is None:
            return
        if not run.resumable:
            self.notify(run.refusal, severity="warning")
            return
        self.dashboard.resume_run(run.folder)

    def action_lengthen(self) -> None:
        """More iterations for the run."""
        if self._run is not None:
            longer.ask(self.dashboard, self._run, self._reading.anew)

    def action_enqueue(self) -> None:
        """The rest of the run into the queue."""
        if self._run is not None:
            self.dashboard.turns.add_again(self._run, self._reading.anew)

    def action_duplicate(self) -> None:
        """The run's settings into a new one."""
        if self._run is not None:
            self.dashboard.duplicate(self._run)

    @property
    def _meant(self) -> list[RunInfo]:
        """The marked runs, or where none is the one under the cursor."""
        known = {run.name: run for run in self._runs}
        marked = [known[name] for name in self._marks.names if name in known]
        return marked or ([self._run] if self._run is not None else [])

    @property
    def _doomed(self) -> list[RunInfo]:
        """The marked runs that are in sight, or where none is the one under the cursor: what a search or a filter hides
        is not deleted."""
        marked = [run for run in self._meant if run.name in self._marks.names and run.name in self._shown]
        return marked or ([self._run] if self._run is not None else [])

    def action_delete(self) -> None:
        """Ask, then delete."""
        runs = self._doomed
        for run in runs:
            if run.alive or run.name == self.dashboard.turns.begun:  # of which its status may not know yet
                self.notify(f"{run.name} is going on: stop it first", severity="warning")
                return
        if not runs:
            return
        if len(runs) == 1:
            question, deed, leave = f"Delete {runs[0].name}?", "Delete it for good", "No, keep it"
        else:
            question, deed, leave = f"Delete the {len(runs)} marked runs?", "Delete them for good", "No, keep them"

        def look() -> tuple[str, str]:
            return question, self._lost([read_run(run.folder) for run in runs])

        def answered(yes: bool | None) -> None:
            if yes:
                self._delete(runs)

        self.app.push_screen(ConfirmScreen(question, self._lost(runs), deed, leave, look), answered)

    def _lost(self, runs: Sequence[RunInfo]) -> str:
        """What deleting runs takes away, or which of them go on and stay."""
        going = [run.name for run in runs if run.alive or run.name == self.dashboard.turns.begun]
        if going:
            return f"{', '.join(going)} {'is going on, and stays' if len(going) == 1 else 'are going on, and stay'}"
        if len(runs) > 1:
            return f"{', '.join(run.name for run in runs)}; they cannot be brought back"
        (run,) = runs
        accuracy = f", accuracy {run.score}" if run.score else ""
        place = run.doing or f"iteration {run.iteration} of {run.iterations}"
        return f"{run.state}, {place}{accuracy}; it cannot be brought back"

    @work(thread=True, group="delete", exit_on_error=False)
    def _delete(self, runs: Sequence[RunInfo]) -> None:
        gone: list[str] = []
        for run in runs:
            if run.name == self.dashboard.turns.begun:  # since it was asked about
                told = f"{run.name} is going on: stop it first"
                self.app.call_from_thread(self.notify, told, severity="warning")
                continue
            try:
                remove(self.dashboard.runs_dir, run.folder)
            except MimError as error:
                self.app.call_from_thread(self.notify, str(error), severity="error")
                continue
            gone.append(run.name)
            self.app.call_from_thread(self.dashboard.take_back, of_run(run.name))
        if gone:
            told = f"{gone[0]} is deleted" if len(gone) == 1 else f"{len(gone)} runs are deleted"
            self.app.call_from_thread(self.dashboard.notify, told, lasting=True)
        self._reading.anew()

    # ---- search

    def action_search(self) -> None:
        """Show the search line."""
        box = self.query_one("#runs-search", Input)
        box.display = True
        self.set_focus(box)

    @on(Input.Changed, "#runs-search")
    def _searched(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value
        self._write()

    @on(Input.Submitted, "#runs-search")
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_focus(self.query_one(Table))

    def action_close(self) -> None:
        """Out of the search first, then back."""
        box = self.query_one("#runs-search", Input)
        if box.display:
            box.value = ""
            box.display = False
            self.set_focus(self.query_one(Table))
            return
        self.dismiss()

    def key_down(self, event: Key) -> None:
        """From the search into the table."""
        if isinstance(self.focused, Input):
            event.stop()
            self.set_focus(self.query_one(Table))
