"""Up to eight runs in one plot, and a table of what came out and what was set differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.message import Message

from engine.analysis.estimates import estimate
from engine.config.schema import Config
from engine.errors import MimError
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, Record
from engine.wording import counted
from mim4dd_tui.dashboard.catalog import RunInfo, labels, read_run
from mim4dd_tui.dashboard.comparison import BRIEF, METRICS, figure, heading, legend, table
from mim4dd_tui.dashboard.contenders import Contender, Line
from mim4dd_tui.dashboard.exports import Plot, export, of_comparison, tables_of_compared
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.screens.divided import DividedScreen
from mim4dd_tui.dashboard.session import lengthened, there
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.keyline import KeyLine
from mim4dd_tui.dashboard.widgets.panes import Panes
from mim4dd_tui.dashboard.widgets.plot import Move, PlotPane, labels_of, move_all, place_all
from mim4dd_tui.dashboard.widgets.table import MUTED, Cell, Column, Table, TableRow
from mim4dd_tui.fitting import cut_apart, shortened_apart
from mim4dd_tui.plots.figure import Figure

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

REFRESH_SECONDS = 2.0
READING, STILL = "reading the runs", "the runs are still being read"
NAME_WIDTH = 22
"""Columns of the settings' names at least."""
LEAST = 9
"""Columns of a run at least: an accuracy, with the mark of a live one."""
LETTERS = "ABCDEFGH"
FOUR = ("accuracy", "objective", "bound", "nce")
"""Metrics of the grid, in its order."""


class CompareScreen(DividedScreen):
    """Reads the journals on a thread, again and again: a run may be gone on with, or deleted, by another process."""

    CSS_PATH = "compare.tcss"
    BINDINGS = bindings("compare", "plot", "panes")
    SCOPES: ClassVar[tuple[Scope, ...]] = ("compare", "plot", "panes", "table", "app")
    AUTO_FOCUS: ClassVar[str | None] = "#compare-table"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-medium"), (36, "-tall")]  # noqa: RUF012

    class Read(Message):
        """New records of every run, and how it stands."""

        def __init__(self, records: list[list[Record]], infos: list[RunInfo], configs: list[Config | None]) -> None:
            super().__init__()
            self.records = records
            self.infos = infos
            self.configs = configs

    def __init__(self, runs: list[RunInfo], inks: dict[str, int]) -> None:
        super().__init__()
        self._infos = runs
        self._inks = [inks[run.name] for run in runs]
        self._readers = [JournalReader(run.folder.journal_path) for run in runs]
        self._histories = [RunHistory() for _ in runs]
        self._configs: list[Config | None] = [None for _ in runs]
        self._metric = "accuracy"
        self._only_different = True
        self._reading = False
        self._begun = False

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """The plots over the table: one of any metric, or four."""
        with Panes(view="compared", id="compare-body"):
            with Panes(view="four", id="compare-plots"):
                yield PlotPane("", id="compare-plot")
                for metric in FOUR:
                    yield PlotPane(METRICS[metric][0], brief=BRIEF[metric], whole="M", id=f"compare-{metric}")
            yield Table(id="compare-table", opens=False, shifts=True, marks=True)
        yield KeyLine()

    def on_mount(self) -> None:
        """Read, and go on reading."""
        if not whole(self):  # the dashboard closes
            return
        remembered = self.dashboard.remembered.metric
        self._metric = remembered if remembered in METRICS else "accuracy"
        self.take_sizes()
        self.set_class(self.dashboard.remembered.grid, "-grid")
        self._write()
        self._refresh()
        self.set_interval(REFRESH_SECONDS, self._refresh)

    def _refresh(self) -> None:
        if not self._reading and not self.dashboard.closing:
            self._reading = True
            self.read_runs()

    @work(thread=True, exclusive=False, group="compare", exit_on_error=False)
    def read_runs(self) -> None:
        """What is new in the journals, and the settings once, and again where a run was lengthened."""
        try:
            records = [_poll(reader) for reader in self._readers]
            infos = [_now(info) for info in self._infos]
            known = [None if lengthened(new) else config for config, new in zip(self._configs, records, strict=True)]
            configs = [_config(info) if one is None else one for one, info in zip(known, infos, strict=True)]
            estimate([0.0, 1.0])  # loads what reckons intervals, for which the screen had to wait else
            self.post_message(self.Read(records, infos, configs))
        finally:
            self._reading = False

    @on(Read)
    def _arrived(self, message: Read) -> None:
        message.stop()
        if self.dashboard.closing or not whole(self):
            return
        for history, records in zip(self._histories, message.records, strict=True):
            for record in records:
                history.apply(record)
        news = any(message.records) or not self._begun or message.infos != self._infos
        self._infos, self._configs, self._begun = message.infos, message.configs, True
        if news:
            self._write()

    # ---- showing

    def _contenders(self) -> list[Contender]:
        names = labels(self._infos)
        alike = Counter(names)  # of one preset and seed: the folders' names tell them apart, by their time
        names = [i.name if alike[name] > 1 else name for i, name in zip(self._infos, names, strict=True)]
        parts = zip(LETTERS, names, self._infos, self._inks, self._histories, self._configs, strict=False)
        return [
            Contender(letter, label, ink, info.state, history, config, info.preset)
            for letter, label, info, ink, history, config in parts
        ]

    def _write(self) -> None:
        contenders = self._contenders()
        for pane, metric in self._panes():
            title, brief = heading(metric, contenders)
            shown = figure(metric, contenders) if self._begun else Figure((), empty=READING)
            pane.show(shown, title=title, brief=brief)
        lines = table(contenders, only_different=self._only_different) if self._begun else []
        width = max(LEAST, min(26, (self.app.size.width - NAME_WIDTH - 4) // len(contenders) - 1))
        spare = self.app.size.width - 6 - len(contenders) * (width + 1)
        room = max(NAME_WIDTH, min(spare, max((len(line.name) for line in lines), default=0)))
        names = Column("settings that differ" if self._only_different else "all settings", room)
        columns = (names, *(Column(one.mark, width, colour=f"series-{one.ink}") for one in contenders))
        rows = [self._row(line, room, width, contenders) for line in lines]
        self.query_one(Table).show(columns, rows, nothing="" if self._begun else READING)

    def _panes(self) -> list[tuple[PlotPane, str]]:
        """The plots that are seen, each with its metric."""
        if self.has_class("-grid"):
            return [(self.query_one(f"#compare-{metric}", PlotPane), metric) for metric in FOUR]
        return [(self.query_one("#compare-plot", PlotPane), self._metric)]

    def _asked(self) -> list[PlotPane]:
        """The plot in focus, else all that are seen."""
        panes = [pane for pane, _ in self._panes()]
        return [self.focused] if isinstance(self.focused, PlotPane) and self.focused in panes else panes

    @staticmethod
    def _row(line: Line, room: int, width: int, contenders: list[Contender]) -> TableRow:
        name, values = line.name, line.values
        if name == "run":
            values = tuple(shortened_apart(values, width))
        elif not line.result:
            values = tuple(cut_apart(values, width))
        brief = name if len(name) <= room else "…" + name[1 - room :]
        cells = [Cell(brief, "" if line.result else MUTED)]
        if line.words:
            return TableRow(name, tuple(cells), line.words)
        for brief, one in zip(_with_spread(values, width), contenders, strict=True):
            cells.append(Cell(brief, f"series-{one.ink}" if name in ("run", "best accuracy") else "", name == "run"))
        return TableRow(name, tuple(cells))

    def on_resize(self) -> None:
        """The columns follow the width."""
        if self.children:
            self._write()

    # ---- keys

    def action_metric(self, step: int) -> None:
        """Another metric, alone."""
        if self.has_class("-grid"):
            self.action_grid()
            return
        names = list(METRICS)
        self._metric = names[(names.index(self._metric) + step) % len(names)]
        self.dashboard.remember(metric=self._metric)
        self.query_one("#compare-plot", PlotPane).move("reset")
        self._write()

    @property
    def labels(self) -> Mapping[str, str]:
        """What keys lead to from here."""
        labels = {"grid": "one" if self.has_class("-grid") else "four"}
        if self._only_different:
            labels["only_different"] = "all settings"
        if self.has_class("-alone"):
            labels["zoom_pane"] = "all again"
        return {**labels, **labels_of(self._asked())} if self.is_mounted and whole(self) else labels

    def action_grid(self) -> None:
        """Four metrics at once, or one."""
        self.toggle_class("-grid")
        self.remove_class("-one")
        self.refresh_bindings()
        self.dashboard.remember(grid=self.has_class("-grid"))
        if isinstance(self.focused, PlotPane):
            self.query_one(Table).focus()
        self._write()

    def action_only_different(self) -> None:
        """All settings, or what differs."""
        self._only_different = not self._only_different
        self.refresh_bindings()
        self._write()

    def action_copy(self) -> None:
        """The table, for a spreadsheet."""
        if not self._begun:
            self.notify(STILL, severity="warning")
            return
        contenders = self._contenders()
        lines = table(contenders, only_different=self._only_different)
        text = "\n".join("\t".join((line.name, *(line.values or line.words[:1]))) for line in lines)
        self.dashboard.copy(text, f"the table, {counted(len(lines), 'line')}")

    def action_export(self) -> None:
        """The plots that are seen and the numbers of all runs, into a folder of the runs folder."""
        if not self._begun:
            self.notify(STILL, severity="warning")
            return
        contenders = self._contenders()
        plots = [
            Plot(metric, pane.heading, pane.figure, pane.viewport, legend(metric, pane.figure, contenders))
            for pane, metric in self._panes()
        ]
        tables = tables_of_compared([info.name for info in self._infos], contenders)
        runs_dir = self.dashboard.runs_dir
        self.dashboard.report_later(lambda: export(of_comparison(runs_dir), plots, tables), timeout=8)

    def action_plot(self, move: Move) -> None:
        """Change how the plot in focus, or all, are looked at."""
        move_all(self._asked(), move, self.query(PlotPane))
        if move == "log_y":
            self.refresh_bindings()

    @on(PlotPane.Placed)
    def _placed(self, message: PlotPane.Placed) -> None:
        message.stop()
        place_all(self.query(PlotPane), message.pane)

    def alone(self) -> Sequence[PlotPane]:
        """The plots that are seen else, where one is enlarged."""
        return [pane for pane, _ in self._panes()] if self.has_class("-one") else ()

    def action_zoom_pane(self) -> None:
        """The plot in focus alone, all plots where none has it, or again with their table."""
        self.toggle_class("-alone")
        for pane in self.query(PlotPane):
            pane.set_class(self.has_class("-alone") and pane.has_focus, "-alone")
        self.set_class(any(pane.has_class("-alone") for pane in self.query(PlotPane)), "-one")
        self.refresh_bindings()
        if self.focused is None and not self.has_class("-alone"):  # the table lost the keys when it went
            self.query_one(Table).focus()

    @on(Table.Heading)
    def _heading(self, message: Table.Heading) -> None:
        message.stop()
        if message.column:
            self.dashboard.open_run(self._infos[message.column - 1].folder)

    def action_close(self) -> None:
        """Back to the runs."""
        self.dismiss()


def _now(info: RunInfo) -> RunInfo:
    """How a run stands; one whose folder is gone as it stood, and that it was deleted."""
    if there(info.folder.path):
        return read_run(info.folder)
    return replace(info, state="deleted", alive=False, here=False)


def _with_spread(values: Sequence[str], width: int) -> list[str]:
    """Accuracies of one line in narrow columns, all in one way: their unit gives way first, then their deviations."""
    bare, mean = ([value.partition(sign)[0] for value in values] for sign in (" %", " ±"))
    without = [f"{one} %" if one != value else value for one, value in zip(mean, values, strict=True)]
    spread = any(" ±" in value for value in values)
    ways = (values, bare, without) if spread else (values,)
    return list(next((way for way in ways if all(len(each) <= width for each in way)), ways[-1]))


def _poll(reader: JournalReader) -> list[Record]:
    try:
        return reader.poll()
    except MimError:
        return []  # its row in the table says that there is nothing


def _config(info: RunInfo) -> Config | None:
    try:
        return info.folder.config()
    except MimError:
        return None
