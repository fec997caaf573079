"""The first screen: presets and past runs on the left, what the chosen one is on the right."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, OptionList, Static

from engine.config.load import CHANGED, changed, resolve
from engine.config.presets import is_file, is_preset, is_run, lacking, of_run, unusable
from engine.config.schema import Config
from engine.errors import MimError
from mim4dd_tui.dashboard import longer
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.edits import Edits
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.own_presets import GONE, ask_to_delete, ask_to_keep, find_preset, recorded, take_up
from mim4dd_tui.dashboard.screens.keeping_up import KeepingUpScreen
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.keyline import KeyLine
from mim4dd_tui.dashboard.widgets.presets import PresetList
from mim4dd_tui.dashboard.widgets.runs import RunList
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.dashboard.widgets.summary import Summary
from mim4dd_tui.fitting import homely

DEFAULT = "digits-ipc1"
"""Preset chosen at first."""


class HomeScreen(KeepingUpScreen):
    """Choose, change, start; or open what has run."""

    CSS_PATH = "home.tcss"
    AUTO_FOCUS: ClassVar[str | None] = "#presets"
    BINDINGS = bindings("home")
    SCOPES: ClassVar[tuple[Scope, ...]] = ("home", "settings", "app")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-medium"), (36, "-tall")]  # noqa: RUF012

    def __init__(self, *, preset: str | None = None, overrides: tuple[str, ...] = (), start: bool = False) -> None:
        super().__init__()
        self._wanted = preset
        self._overrides = overrides
        self._start = start
        self._preset: str | None = None  # what is chosen: a preset's name, a file's path, or "run" and a run's name
        self._problem = ""  # why what is highlighted could not be chosen
        self._unusable = ""  # the preset of the list that it is
        self._source: str | None = None  # preset or file that it, or the run whose settings they are, comes from
        self._wrong = ""  # with this: its settings are those from before
        self._in_view: tuple[str, Config] | None = None  # the preset that a search would choose
        self._run: RunInfo | None = None
        self._edits = Edits()

    def compose(self) -> ComposeResult:
        """Lists on the left, details and settings on the right."""
        yield Static(id="banner")
        with Horizontal(id="columns"):
            with Vertical(id="lists"):
                yield PresetList(id="presets-list")
                yield Static("runs", classes="heading", id="runs-heading")
                yield RunList(id="runs")
            with Vertical(id="details"):
                yield Summary(id="summary")
                yield SettingsForm(id="settings")
        yield KeyLine()

    def on_mount(self) -> None:
        """Fill the lists; the runs are read beside, as there may be many."""
        if self.dashboard.closing:
            return
        banner = Text.assemble(("mim4dd", "bold"), ("  a data set distilled into a few images", "dim"))
        self.query_one("#banner", Static).update(banner)
        kept = self.dashboard.remembered
        chosen = self._wanted or (kept.preset if find_preset(kept.preset) else DEFAULT)
        self.query_one(PresetList).fill(chosen)
        self._choose(chosen)
        if self._wanted is None and chosen == kept.preset and self._preset == chosen:
            self._as_last_time(kept.changes)
        self.query_one("#presets", OptionList).focus()
        self.keep_up()
        if self._start:
            self.action_start()  # before the first painting

    def on_screen_resume(self) -> None:
        """Runs may have come or gone."""
        if not self.dashboard.closing:
            self.refresh_runs()

    def on_resize(self) -> None:
        """What a preset takes is told in more or fewer words."""
        self.call_after_refresh(self._describe_again)

    def _describe_again(self) -> None:
        if whole(self) and not self.dashboard.closing:
            self._describe()

    def _as_last_time(self, changes: Mapping[str, Any]) -> None:
        """The changes the last run was started with; ones that no longer fit are left out together, with a word."""
        form = self.query_one(SettingsForm)
        try:
            form.load(changed(form.config, changes), form.given, form.base)
        except MimError as error:
            told = f"what was changed on {self._preset} the last time does not fit it any more: {error}"
            self.notify(told, severity="warning", timeout=10)
            return
        self._describe()

    # ---- runs

    @on(KeepingUpScreen.Measured)
    def _were_measured(self, message: KeepingUpScreen.Measured) -> None:
        message.stop()
        if not self.dashboard.closing:
            self.query_one(Summary).measured = message.measured
            self._describe()

    @on(KeepingUpScreen.RunsRead)
    def _runs_read(self, message: KeepingUpScreen.RunsRead) -> None:
        message.stop()
        if self.dashboard.closing:
            return
        names = {run.name for run in message.runs}
        before = self._run if self._run is not None and self._run.name in names else None
        self._run = self.query_one(RunList).fill(message.runs, message.problem) or before
        count = f"runs  {len(message.runs)}" if message.runs else "runs"
        self.query_one("#runs-heading", Static).update(count)
        if self.query_one("#runs").has_focus:
            self._describe()

    def recolour(self) -> None:
        """The theme is another: lists, details and settings are written anew."""
        self.query_one(RunList).recolour()
        self.query_one(SettingsForm).recolour()
        self._describe()

    # ---- what is chosen

    @on(OptionList.OptionHighlighted, "#presets")
    def _preset_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None:
            self._choose(event.option_id)

    @on(PresetList.Found)
    def _preset_found(self, message: PresetList.Found) -> None:
        """Show what the search would choose, and leave what is chosen, with its changes, as it is."""
        message.stop()
        self._in_view = None
        if message.name is not None and message.name != self._preset:
            with suppress(MimError):  # said when it is chosen
                self._in_view = message.name, resolve(message.name, self._given(message.name)).config
        self._describe()

    @on(PresetList.Reread)
    def _presets_reread(self, message: PresetList.Reread) -> None:
        """What is chosen may be another thing now; changes are then changes to that."""
        message.stop()
        form, presets = self.query_one(SettingsForm), self.query_one(PresetList)
        if message.name is not None and message.name == self._source:
            told = self._wrong == GONE
            self._wrong = take_up(self.dashboard, form, message.name, message.found, told=told)
        elif self._preset is None and presets.chosen is not None:
            self._choose(presets.chosen)
        elif self._unusable and self._unusable not in presets.names:
            self._problem = f"the preset {self._unusable} is gone: choose another one (p)"
        self._describe()

    @on(OptionList.OptionHighlighted, "#runs")
    def _run_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._run = self.query_one(RunList).run_of(event.option_id)
        self._describe()

    def on_descendant_focus(self) -> None:
        """Details follow the list in focus; while settings are edited they have the room."""
        form = self.query_one(SettingsForm)
        editing = self.focused is not None and form in self.focused.ancestors
        if editing != self.has_class("-editing"):
            self.set_class(editing, "-editing")
            form.show_chosen()
        self._describe()

    def _given(self, preset: str) -> tuple[str, ...]:
        """What the command line changes on a preset."""
        return self._overrides if preset == self._wanted else ()

    def _choose(self, preset: str) -> None:
        """Load a preset (or the file given on the command line) into the form."""
        self._in_view = None
        if preset != self._preset:
            self._say(self._edits.leave(self._preset, self.query_one(SettingsForm)))
        try:
            if wrong := unusable(preset):  # which may end as a file does
                raise wrong
            resolved = resolve(preset, self._given(preset))
        except MimError as error:
            self._preset, self._problem = None, homely(str(error))
            self._unusable = preset if preset in self.query_one(PresetList).names else ""
            self._follow(None)
        else:
            self._problem = self._unusable = ""
            if preset != self._preset:
                self._preset = preset
                self._follow(resolved.preset, self._given(preset))
                form = self.query_one(SettingsForm)
                form.load(resolved.config, resolved.origins)
                self._say(self._edits.come_back(preset, form))
        self._describe()

    def _say(self, told: str) -> None:
        if told:
            self.notify(told)

    def _follow(self, source: str | None, overrides: tuple[str, ...] = ()) -> None:
        self._source, self._wrong = source, ""
        followed = source is not None and is_preset(source)
        self.query_one(PresetList).follow(source if followed else None, overrides)

    @property
    def _pointed(self) -> RunInfo | None:
        """The run under the cursor, where one is among the runs."""
        return self._run if any(runs.has_focus for runs in self.query(RunList)) else None

    @property
    def path(self) -> Path | None:
        """Its folder."""
        return self._pointed.folder.path if self._pointed is not None else None

    def _describe(self) -> None:
        run = self._pointed
        summary, form = self.query_one(Summary), self.query_one(SettingsForm)
        seen = self._in_view if self.query_one("#presets-search").has_focus else None
        form.display = run is None and seen is None and self._preset is not None
        brief = self.has_class("-editing") and not self.has_class("-tall")
        if run is not None:
            summary.tell_run(run)
        elif seen is not None:
            summary.tell_preset(*seen, brief=brief)
        elif self._preset is not None:
            summary.tell_preset(self._preset, form.config, brief=brief, wrong=self._wrong)
        else:
            summary.tell_problem(self._problem)
        self.refresh_bindings()

    @property
    def labels(self) -> Mapping[str, str]:
        """What keys of the settings lead to."""
        return {key: name for form in self.query(SettingsForm) for key, name in form.labels.items()}

    @property
    def idle(self) -> frozenset[str]:
        """Actions that do nothing as things stand: of settings that are not shown, of no run."""
        idle = set[str]()
        if any(not form.display for form in self.query(SettingsForm)):  # none before the first mount
            idle |= {"start", "edit", "enqueue"}
        if any(runs.has_focus for runs in self.query(RunList)):
            idle |= {"runs", "delete"}
        if not any(presets.chosen in presets.own for presets in self.query(PresetList)):
            idle.add("delete")
        if self._pointed is None:
            idle.add("duplicate")
        if self._pointed is None or not self._pointed.resumable:
            idle.add("resume")
        if self._pointed is None or not self._pointed.lengthenable:
            idle.add("lengthen")
        if self._pointed is not None and self._pointed.resumable:
            idle.discard("enqueue")
        if self.dashboard.session is None:
            idle.add("show_live")
        return frozenset(idle)

    @on(SettingsForm.Changed)
    def _setting_changed(self, message: SettingsForm.Changed) -> None:
        message.stop()
        self._describe()

    @on(SettingsForm.SaveAsked)
    def _save_asked(self, message: SettingsForm.SaveAsked) -> None:
        message.stop()
        config, known = message.form.config, self.query_one(PresetList).names
        base = self._preset if self._preset in known else None
        ask_to_keep(self.app, config, base, known, self._kept)

    def _deleted(self, name: str) -> None:
        self._renewed(name, name if find_preset(name) else DEFAULT)  # one of the program's may have stood behind it

    def _kept(self, name: str) -> None:
        self._renewed(name, name)

    def _renewed(self, name: str, chosen: str) -> None:
        """What is kept under the name is another thing now; choose one."""
        self._edits.forget(name)
        self.query_one(PresetList).renew(name, chosen)
        self._preset = None
        self._choose(chosen)

    @on(OptionList.OptionSelected, "#presets")
    def _preset_selected(self) -> None:
        self.action_edit()

    @on(OptionList.OptionSelected, "#runs")
    def _run_selected(self, event: OptionList.OptionSelected) -> None:
        info = self.query_one(RunList).run_of(event.option_id)
        if info is not None:
            self.dashboard.open_run(info.folder)

    # ---- keys

    def action_presets(self) -> None:
        """To the presets."""
        self.query_one("#presets").focus()

    def action_search(self) -> None:
        """Among the presets."""
        self.query_one(PresetList).search()

    def action_runs(self) -> None:
        """To the runs."""
        self.query_one(RunList).focus()

    def action_edit(self) -> None:
        """To the settings."""
        if self.query_one(SettingsForm).display:
            self.query_one(FieldList).focus()

    def _unfit(self, form: SettingsForm) -> str:
        """Why no run can be made of the form; what is typed there is taken first."""
        if self._preset is None or not form.display:
            return self._problem or "choose a preset first (p)"
        return form.take_typed()

    def action_start(self) -> None:
        """Start the chosen preset with the settings shown."""
        if self.dashboard.closing:
            return
        form = self.query_one(SettingsForm)
        if problem := self._unfit(form):
            self.notify(problem, severity="warning")
            return
        self.dashboard.remember(preset=self._preset, changes=form.changed())
        self.dashboard.start_run(
            Order(
                runs_dir=self.dashboard.runs_dir,
                config=form.config,
                name=self.dashboard.take_name(),
                preset=recorded(self._source),
                origins=form.origins(),
                data_dir=self.dashboard.data_dir,
            )
        )

    def action_enqueue(self) -> None:
        """The run under the cursor into the queue; else ask for seeds, and put runs with the settings shown there."""
        if self._pointed is not None:
            self.dashboard.turns.add_again(self._pointed, self.refresh_runs)
            return
        form = self.query_one(SettingsForm)
        if problem := self._unfit(form):
            self.notify(problem, severity="warning")
            return
        remember = partial(self.dashboard.remember, preset=self._preset, changes=form.changed())
        self.dashboard.turns.ask(form.config, recorded(self._source), form.origins(), remember, self.refresh_runs)

    def action_delete(self) -> None:
        """Ask, then delete the chosen preset, which is one of the user's own."""
        if self.query_one(RunList).has_focus:
            self.notify("runs are deleted in the list of all runs (b)", severity="warning")
        else:
            presets = self.query_one(PresetList)
            ask_to_delete(self.app, presets.chosen, presets.own, self._deleted)

    def action_resume(self) -> None:
        """Continue the run under the cursor."""
        info = self._pointed
        if info is None:
            self.notify("choose a run first (r)", severity="warning")
        elif not info.resumable:
            self.notify(info.refusal, severity="warning")
        else:
            self.dashboard.resume_run(info.folder)

    def action_lengthen(self) -> None:
        """More iterations for the run under the cursor."""
        if self._pointed is None:
            self.notify("choose a run first (r)", severity="warning")
        else:
            longer.ask(self.dashboard, self._pointed, self.refresh_runs)

    def action_duplicate(self) -> None:
        """The settings of the run under the cursor, as changes to its preset."""
        if self._pointed is None:  # one that was looked at before is not meant: what is being edited would be gone
            self.notify("choose a run first (r)", severity="warning")
            return
        self.dashboard.duplicate(self._pointed)

    def at_stake(self, run: RunInfo, config: Config) -> dict[str, Any]:
        """Changes to a run's preset that would be gone if its settings came into the form."""
        form = self.query_one(SettingsForm)
        preset = None if is_run(run.preset) else run.preset
        return self._edits.at_stake(preset, config, form if run.preset == self._preset else None)

    def take_over(self, run: RunInfo, config: Config, origins: Mapping[str, str]) -> None:
        """A run's settings into the form, as changes to its preset, or as they are where that is no more."""
        changed_for_it = any(origin in CHANGED for key, origin in origins.items() if key != "seed")
        known, file = None, is_file(run.preset) and not changed_for_it  # which may be another one by now
        if is_preset(run.preset):
            try:
                known = resolve(run.preset)
            except MimError:
                self.notify(f"its preset {run.preset} cannot be used any more: all settings as they were")
        elif lack := lacking(run.preset):
            self.notify(f"{lack}: all settings as they were")
        self._in_view = None
        # a run may be called as a preset is
        self._follow(run.preset if known is not None or file else of_run(run.name))
        before, self._preset = self._preset, run.preset if known is not None else of_run(run.name)
        form = self.query_one(SettingsForm)
        if before != self._preset:
            self._say(self._edits.leave(before, form))
        elif known is None:
            self._edits.keep(before, form)
        self.query_one(PresetList).point(self._preset)
        # with no preset to compare with, what was edited then comes from the run
        own = {key: of_run(run.name) if origin in CHANGED else origin for key, origin in origins.items()}
        form.load(config, known.origins if known else own, known.config if known else config)
        if known is None:
            self._say(self._edits.come_back(self._preset, form))
        else:
            self._edits.taken(self._preset, config)
        form.display = True
        self.query_one(FieldList).focus()
        self._describe()

    def action_list(self, where: str) -> None:
        """Move in the list that is in focus."""
        if isinstance(self.focused, OptionList):
            move = {"down": "cursor_down", "up": "cursor_up"}.get(where, where)
            getattr(self.focused, f"action_{move}")()

    def action_browse(self) -> None:
        """All runs, with what can be done to them."""
        self.dashboard.action_browse()

    def action_show_live(self) -> None:
        """Back to the run that goes on here."""
        self.dashboard.show_live()

    def action_leave_list(self) -> None:
        """From the settings or the runs back to the presets."""
        if not isinstance(self.focused, Input):
            self.action_presets()

    def action_take(self) -> None:
        """What is chosen in the list in focus."""
        if isinstance(self.focused, OptionList):
            self.focused.action_select()
