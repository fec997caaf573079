"""The first screen: presets and past runs on the left, what the chosen one is on the right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config.load import list_presets, resolve
from engine.config.presets import PresetInfo
from engine.config.schema import Config
from engine.errors import MimError
from mim4dd_tui.dashboard import catalog
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.keys import bindings
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.plain import percent

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp


DEFAULT = "digits-ipc1"
"""Preset chosen at first."""


class HomeScreen(Screen[None]):
    """Choose, change, start; or open what has run."""

    CSS_PATH = "home.tcss"
    BINDINGS = bindings("home")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-medium"), (36, "-tall")]  # noqa: RUF012

    class RunsRead(Message):
        """The list of runs was read."""

        def __init__(self, runs: list[RunInfo], problem: str) -> None:
            super().__init__()
            self.runs = runs
            self.problem = problem

    def __init__(self, *, preset: str | None = None, overrides: tuple[str, ...] = (), start: bool = False) -> None:
        super().__init__()
        self._wanted = preset
        self._overrides = overrides
        self._start = start
        self._presets: dict[str, PresetInfo] = {}
        self._runs: dict[str, RunInfo] = {}
        self._preset: str | None = None
        self._run: RunInfo | None = None

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """Lists on the left, details and settings on the right."""
        yield Static(id="banner")
        with Horizontal(id="columns"):
            with Vertical(id="lists"):
                yield Static("presets", classes="heading")
                yield OptionList(id="presets")
                yield Static("runs", classes="heading", id="runs-heading")
                yield OptionList(id="runs")
            with Vertical(id="details"):
                yield Static(id="summary")
                yield SettingsForm(id="settings")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Fill the lists; the runs are read beside, as there may be many."""
        if self.dashboard.closing:
            return
        banner = Text.assemble(("mim4dd", "bold"), ("  a data set distilled into a few images", "dim"))
        self.query_one("#banner", Static).update(banner)
        self._presets = {info.name: info for info in sorted(list_presets(), key=_quickest)}
        presets = self.query_one("#presets", OptionList)
        presets.add_options([Option(self._preset_row(info), id=name) for name, info in self._presets.items()])
        chosen = self._wanted or DEFAULT
        if chosen in self._presets:
            with self.prevent(OptionList.OptionHighlighted):
                presets.highlighted = list(self._presets).index(chosen)
        self._choose(chosen)
        presets.focus()
        self.refresh_runs()
        if self._start:
            self.call_after_refresh(self.action_start)

    def on_screen_resume(self) -> None:
        """Runs may have come or gone."""
        if not self.dashboard.closing:
            self.refresh_runs()

    @staticmethod
    def _preset_row(info: PresetInfo) -> Text:
        return Text(info.name, no_wrap=True, overflow="ellipsis")

    # ---- runs

    @work(thread=True, exclusive=True, group="runs", exit_on_error=False)
    def refresh_runs(self) -> None:
        """Read the list of runs on a worker thread; the message brings it here."""
        runs_dir: Path = self.dashboard.runs_dir
        try:
            runs, problem = catalog.read_runs(runs_dir), ""
        except MimError as error:
            runs, problem = [], str(error)
        self.post_message(self.RunsRead(runs, problem))

    @on(RunsRead)
    def _runs_read(self, message: RunsRead) -> None:
        message.stop()
        if self.dashboard.closing:
            return
        field = self.query_one("#runs", OptionList)
        before = field.highlighted
        self._runs = {info.name: info for info in message.runs}
        with self.prevent(OptionList.OptionHighlighted):
            if self._runs:
                options = [Option(self._run_row(info), id=name) for name, info in self._runs.items()]
            else:
                options = [Option(Text(message.problem or "none yet", style="dim"), disabled=True)]
            field.set_options(options)
            if before is not None and self._runs:
                field.highlighted = min(before, len(options) - 1)
        count = f"runs  {len(self._runs)}" if self._runs else "runs"
        self.query_one("#runs-heading", Static).update(count)
        if self._run is not None and self._run.name in self._runs:
            self._run = self._runs[self._run.name]
        self._describe()

    def _run_row(self, info: RunInfo) -> Text:
        mark, colour = STATES.get(info.state, ("?", "secondary"))
        if not self.dashboard.unicode:
            mark = info.state[0]
        style = self.app.theme_variables.get(colour, "white").removeprefix("ansi_")
        row = Text(no_wrap=True, overflow="ellipsis")
        row.append(mark + " ", style=style)
        if info.accuracy is not None:
            row.append(f"{info.accuracy * 100:4.1f} ", style="bold")
        row.append(info.label)
        row.append(f"  {catalog.age(info.started)}" if info.started else "", style="dim")
        return row

    # ---- what is chosen

    @on(OptionList.OptionHighlighted, "#presets")
    def _preset_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None:
            self._choose(event.option_id)

    @on(OptionList.OptionHighlighted, "#runs")
    def _run_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._run = self._runs.get(event.option_id or "")
        self._describe()

    def on_descendant_focus(self) -> None:
        """Details follow the list in focus; while settings are edited they have the room."""
        form = self.query_one(SettingsForm)
        editing = self.focused is not None and form in self.focused.ancestors
        if editing != self.has_class("-editing"):
            self.set_class(editing, "-editing")
            form.show_chosen()
        self._describe()

    def _choose(self, preset: str) -> None:
        """Load a preset (or the file given on the command line) into the form."""
        try:
            resolved = resolve(preset, self._overrides if preset == self._wanted else ())
        except MimError as error:
            self._preset = None
            self.query_one("#summary", Static).update(self._problem(str(error)))
            return
        if preset != self._preset:
            self._preset = preset
            self.query_one(SettingsForm).load(resolved.config, resolved.origins)
        self._describe()

    def _problem(self, text: str) -> Text:
        return Text(text, style=self.app.theme_variables.get("error", "red").removeprefix("ansi_"))

    def _describe(self) -> None:
        on_run = self.query_one("#runs").has_focus and self._run is not None
        self.query_one(SettingsForm).display = not on_run
        self.query_one("#summary").set_class(on_run, "-run")
        if on_run and self._run is not None:
            self.query_one("#summary", Static).update(self._run_text(self._run))
        elif self._preset is not None:
            self.query_one("#summary", Static).update(self._preset_text(self._preset))

    def _preset_text(self, name: str) -> Text:
        config = self.query_one(SettingsForm).config
        text = Text()
        text.append(name + "\n", style="bold")
        if config.summary:
            text.append(config.summary + "\n")
        for line in (
            catalog.describe_data(config),
            catalog.describe_method(config),
            catalog.describe_work(config),
            catalog.describe_cost(config, list(self._runs.values())),
        ):
            text.append(line + "\n", style="dim")
        text.rstrip()
        return text

    def _run_text(self, info: RunInfo) -> Text:
        mark, colour = STATES.get(info.state, ("?", "secondary"))
        style = self.app.theme_variables.get(colour, "white").removeprefix("ansi_")
        text = Text()
        text.append(info.name + "\n", style="bold")
        text.append(f"{mark} {info.state}", style=f"bold {style}")
        if info.elsewhere:
            text.append("  in another process", style="dim")
        text.append("\n")
        rows = [("iteration", f"{info.iteration} of {info.iterations}")]
        if info.accuracy is not None:
            rows.append(("accuracy", percent(info.accuracy)))
        if info.preset:
            rows.append(("preset", info.preset))
        if info.seed is not None:
            rows.append(("seed", str(info.seed)))
        if info.heartbeat:
            rows.append(("last sign", catalog.age(info.heartbeat)))
        for label, value in rows:
            text.append(f"{label:<12}", style="dim")
            text.append(value + "\n")
        if info.message:
            text.append("\n" + info.message + "\n", style=style if info.state == "failed" else "")
        text.append("\n")
        hints = ["enter opens it"]
        if info.resumable:
            hints.append("R resumes it")
        hints.append("D takes its settings into a new run")
        text.append(" · ".join(hints), style="dim")
        return text

    @on(SettingsForm.Changed)
    def _setting_changed(self, message: SettingsForm.Changed) -> None:
        message.stop()
        self._describe()

    @on(OptionList.OptionSelected, "#presets")
    def _preset_selected(self) -> None:
        self.action_edit()

    @on(OptionList.OptionSelected, "#runs")
    def _run_selected(self, event: OptionList.OptionSelected) -> None:
        info = self._runs.get(event.option_id or "")
        if info is not None:
            self.dashboard.open_run(info.folder)

    # ---- keys

    def action_presets(self) -> None:
        """To the presets."""
        self.query_one("#presets").focus()

    def action_runs(self) -> None:
        """To the runs."""
        runs = self.query_one("#runs", OptionList)
        runs.focus()
        if runs.highlighted is None and self._runs:
            runs.highlighted = 0

    def action_edit(self) -> None:
        """To the settings."""
        if self.query_one(SettingsForm).display:
            self.query_one(FieldList).focus()

    def action_start(self) -> None:
        """Start the chosen preset with the settings shown."""
        if self.dashboard.closing:
            return
        form = self.query_one(SettingsForm)
        if self._preset is None or not form.display:
            self.notify("choose a preset first (p)", severity="warning")
            return
        self.start(form.config, form.origins(), self._preset)

    def start(self, config: Config, origins: dict[str, str], preset: str | None) -> None:
        """Hand an order to the app."""
        self.dashboard.start_run(
            Order(
                runs_dir=self.dashboard.runs_dir,
                config=config,
                name=self.dashboard.take_name(),
                preset=preset,
                origins=origins,
                data_dir=self.dashboard.data_dir,
            )
        )

    def action_resume(self) -> None:
        """Continue the chosen run."""
        info = self._run
        if info is None:
            self.notify("choose a run first (r)", severity="warning")
        elif not info.resumable:
            self.notify(f"{info.name} is {info.state}: there is nothing to resume", severity="warning")
        else:
            self.dashboard.resume_run(info.folder)

    def action_duplicate(self) -> None:
        """The chosen run's settings, as changes to its preset."""
        if self._run is None:
            self.notify("choose a run first (r)", severity="warning")
            return
        try:
            config = self._run.folder.config()
            base = resolve(self._run.preset).config if self._run.preset in self._presets else config
        except MimError as error:
            self.notify(str(error), severity="error")
            return
        self._preset = self._run.preset or config.data.name
        self.query_one(SettingsForm).load(config, {}, base)
        self.query_one(SettingsForm).display = True
        self.query_one(FieldList).focus()
        self._describe()

    def action_show_live(self) -> None:
        """Back to the run that goes on here."""
        self.dashboard.show_live()

    def key_escape(self) -> None:
        """From the settings or the runs back to the presets."""
        if not isinstance(self.focused, Input):
            self.action_presets()


def _quickest(info: PresetInfo) -> tuple[bool, bool, bool]:
    """Order of the list: one's own presets, then what is small enough for any machine, then the published ones."""
    return info.builtin, info.dataset != "digits", not info.name.endswith("-small")
