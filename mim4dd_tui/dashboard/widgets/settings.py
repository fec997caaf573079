"""The settings form, made from the schema: values, their origins, and an editor that checks as you type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import DescendantFocus, Key
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config.fields import FieldInfo
from engine.config.load import EDITED, change, changed
from engine.config.schema import Config
from engine.errors import ConfigError
from engine.wording import counted
from mim4dd_tui.dashboard.ink import in_rich
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.verdict import nothing, verdict
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.calm import CalmList
from mim4dd_tui.spelling import brief, differing, every_setting, reason, setting_row, value_of, written

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.telling import TellingApp


class FieldList(CalmList):
    """The list of settings; a type of its own, so that style sheets and queries can name it.

    Attributes:
        idle: keys of the form that do nothing where one is.
    """

    idle: frozenset[str] = frozenset()

    @property
    def in_use(self) -> bool:
        """Whether somebody works on the line under the cursor: also while its value is typed below."""
        return isinstance(self.parent, SettingsForm) and self.parent.has_focus_within


class SettingsForm(Vertical):
    """Holds a base configuration and the one being made from it; the latter is valid at all times."""

    BINDINGS = bindings("settings")
    SCOPE: ClassVar[Scope] = "settings"

    class Changed(Message):
        """A setting was changed (or undone)."""

        def __init__(self, form: SettingsForm) -> None:
            super().__init__()
            self.form = form

    class SaveAsked(Message):
        """The settings are to be kept as a preset."""

        def __init__(self, form: SettingsForm) -> None:
            super().__init__()
            self.form = form

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fields: dict[str, FieldInfo] = {field.key: field for field in every_setting()}
        self._origins: Mapping[str, str] = {}
        self.base = Config()
        self.config = self.base
        self._words = ""
        self._changed_only = False
        self._dropped: dict[str, Any] | None = None  # changes, by U
        self._opened: str | None = None  # the setting that a value is typed for
        self._room = 0  # columns of a row, as far as is known

    @property
    def kept_free(self) -> Region:
        """The editor, with what it says of the setting, while the form has the keys."""
        return self.query_one("#settings-editor").region if whole(self) and self.has_focus_within else Region()

    def compose(self) -> ComposeResult:
        """Title, search, list, and the editor of the chosen setting."""
        yield Static(id="settings-title")
        yield Input(placeholder="search settings", id="settings-search", compact=True)
        yield FieldList(id="settings-list")
        with Vertical(id="settings-editor"):
            yield Static(id="settings-help")
            yield Input(id="settings-value", compact=True)
            yield Static(id="settings-verdict")

    def on_mount(self) -> None:
        """Nothing is searched for yet."""
        if whole(self):  # else the dashboard closes
            self.query_one("#settings-search").display = False

    # ---- what is edited

    def load(self, config: Config, origins: Mapping[str, str], base: Config | None = None) -> None:
        """Edit a configuration, all of it; ``base`` is what changes are counted from (the configuration itself)."""
        self.config = config
        self.base = base or config
        self._origins = origins
        self._words, self._changed_only, self._dropped, self._opened = "", False, None, None
        search = self.query_one("#settings-search", Input)
        with self.prevent(Input.Changed):
            search.value = ""
        search.display = False
        self._fill()

    def rebase(self, config: Config, origins: Mapping[str, str], base: Config) -> None:
        """What is edited builds on another base now. What is typed, searched for and was dropped by U stays."""
        self.config, self._origins, self.base = config, origins, base
        self._fill()

    @property
    def given(self) -> Mapping[str, str]:
        """The origins the form was loaded with."""
        return self._origins

    def changed(self) -> dict[str, Any]:
        """The settings that differ from the base, by key."""
        return differing(self.config, self.base)

    def origins(self) -> dict[str, str]:
        """Where each value comes from, edits included."""
        return {key: self.origin(key) for key in self._fields}

    def origin(self, key: str) -> str:
        """Where one value comes from."""
        if value_of(self.config, key) != value_of(self.base, key):
            return EDITED
        return self._origins.get(key, "default")

    @property
    def chosen(self) -> str | None:
        """Key of the highlighted setting."""
        field_list = self.query_one(FieldList)
        if field_list.highlighted is None:
            return None
        return field_list.get_option_at_index(field_list.highlighted).id

    # ---- list

    def on_resize(self) -> None:
        """The columns follow the width."""
        if self.size.width:  # else it is hidden, and comes back as it was
            self._room = self.size.width
        self._fill()

    def recolour(self) -> None:
        """The theme is another."""
        self._fill()

    def _fill(self, *, typed: bool = False) -> None:
        """List what matches; ``typed`` where the words are new, so that the first of the best hits is chosen. A value
        that is being typed stays."""
        field_list = self.query_one(FieldList)
        chosen = self.chosen
        options: list[Option] = []
        section = None
        for key, field in self._fields.items():
            if not self._matches(field):
                continue
            if field.section != section:
                section = field.section
                options.append(Option(Text(section or "run", style="bold"), disabled=True))
            options.append(Option(self._row(key), id=key))
        with self.prevent(OptionList.OptionHighlighted):
            field_list.set_options(options)
        keys = [option.id or "" for option in options]
        if keys:
            field_list.highlighted = self._place(keys, chosen or "", typed)
        self._title()
        self._edit(self.chosen)

    def _place(self, keys: Sequence[str], chosen: str, typed: bool) -> int:
        """Which line to highlight: what was chosen; after words were typed a setting whose name has them before one
        whose description has them."""
        if chosen and chosen in keys and not typed:
            return keys.index(chosen)
        words = self._words.lower().split()
        named = [key for key in keys if key and all(word in key for word in words)] if words else []
        wanted = chosen if chosen in (named or keys) else next(iter(named), "")
        return keys.index(wanted) if wanted else min(1, len(keys) - 1)

    def _matches(self, field: FieldInfo) -> bool:
        same = value_of(self.config, field.key) == value_of(self.base, field.key)
        if self._changed_only and same and field.key != self._opened:
            return False
        text = f"{field.key} {field.description}".lower()
        return all(word in text for word in self._words.lower().split())

    def _row(self, key: str) -> Text:
        origin, value = self.origin(key), written(value_of(self.config, key))
        before = written(value_of(self.base, key)) if origin == EDITED else None
        accent = in_rich(self, "accent")
        return setting_row(key.rpartition(".")[2], value, before, brief(origin), max(20, self._room - 4), accent)

    def _title(self) -> None:
        changed = len(self.changed())
        title = Text.assemble(("settings", "bold"))
        if changed:
            title.append(f"  {changed} changed", style=in_rich(self, "accent"))
        if self._words:
            found = sum(self._matches(field) for field in self._fields.values())
            title.append(f"  {found} of {len(self._fields)}", style="dim")
        if self._changed_only:
            title.append("  changed only", style="dim")
        self.query_one("#settings-title", Static).update(title)

    def show_chosen(self) -> None:
        """Keep the chosen setting in sight when the list's height changes."""
        if whole(self):
            self.call_after_refresh(self.query_one(FieldList).scroll_to_highlight)

    # ---- editor

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._edit(self.chosen)  # the list may have changed since the message was sent
        self.show_chosen()  # meanings are one to seven lines, and the list has what they leave

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.screen.set_focus(self.query_one("#settings-value", Input))
        self.show_chosen()

    def _edit(self, key: str | None) -> None:
        box = self.query_one("#settings-value", Input)
        field = self._fields.get(key or "")
        box.disabled = field is None
        self._say_idle(field)
        if field is None:
            self._edit_nothing()
            return
        self.query_one("#settings-help", Static).update(
            Text.assemble((field.key, "bold"), "  ", (field.description, "dim"))
        )
        if field.key == self._opened:
            self._try(box.value)
            return
        with self.prevent(Input.Changed):
            box.value = written(value_of(self.config, field.key))
        self._verdict(field, None)

    def _say_idle(self, field: FieldInfo | None) -> None:
        """Which keys do nothing for a setting, so that the line of keys leaves them out."""
        idle = {"enter", "right", "u"} if field is None else set() if field.choices else {"right"}
        if field is not None and value_of(self.config, field.key) == value_of(self.base, field.key):
            idle.add("u")
        field_list = self.query_one(FieldList)
        if field_list.idle != idle:
            field_list.idle = frozenset(idle)
            self.screen.refresh_bindings()

    def _edit_nothing(self) -> None:
        """No value, which would be another setting's."""
        typing = isinstance(self.screen.focused, Input)
        why = nothing(changed_only=self._changed_only, changed=bool(self.changed()), typing=typing)
        self.query_one("#settings-help", Static).update(Text(why, style="dim"))
        with self.prevent(Input.Changed):
            self.query_one("#settings-value", Input).value = ""
        self.query_one("#settings-verdict", Static).update("")
        self.set_class(False, "-invalid")

    def _verdict(self, field: FieldInfo, error: str | None) -> None:
        self.set_class(error is not None, "-invalid")
        text = error
        if text is None:
            text = verdict(field, self.config, self.base, self._origins.get(field.key, "default"))
        self.query_one("#settings-verdict", Static).update(Text(text))

    def _try(self, text: str) -> Config | None:
        """The configuration with the text for the chosen setting; None (and the reason shown) if wrong."""
        key = self.chosen
        if key is None:
            return None
        try:
            config = change(self.config, key, text)
        except ConfigError as error:
            self._verdict(self._fields[key], reason(str(error), key))
            return None
        self._verdict(self._fields[key], None)
        return config

    @on(Input.Changed, "#settings-value")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._try(event.value)

    @on(Input.Submitted, "#settings-value")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        config = self._try(event.value)
        if config is not None:
            self._opened = None
            self._accept(config)
            self.screen.set_focus(self.query_one(FieldList))

    def take_typed(self) -> str:
        """Take what is being typed as enter does, and why that cannot be done; empty where it can, or nothing is.

        Commands reach the form while its field has the keys.
        """
        key, typed = self._opened, self.query_one("#settings-value", Input).value
        if key is None or typed == written(value_of(self.config, key)):
            return ""
        try:
            self._accept(change(self.config, key, typed))
        except ConfigError as error:
            return f"{key}: {reason(str(error), key)}"
        return ""

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """What is typed is of the setting chosen now."""
        if event.widget.id == "settings-value":
            self._opened = self.chosen

    @on(Input.Blurred, "#settings-value")
    def _left(self, event: Input.Blurred) -> None:
        """The mouse, or tab, went elsewhere: what was typed is taken as enter takes it, or it is said why not."""
        event.stop()
        key = self._opened
        if key is None or not self.app.app_focus:  # the whole terminal has lost the focus, and brings it back
            return
        self._opened, value = None, written(value_of(self.config, key))
        try:
            if event.value != value:
                self._accept(change(self.config, key, event.value))
                return
        except ConfigError as error:
            self.app.notify(f"{key} stays {value}: {reason(str(error), key)}", severity="warning")
        self._fill()

    def _accept(self, config: Config) -> None:
        self.config, self._dropped = config, None
        self._fill()
        self.post_message(self.Changed(self))

    def key_escape(self, event: Key) -> None:
        """Leave the editor or the search without a change; with neither, leave the form."""
        search = self.query_one("#settings-search", Input)
        if not self._words and not isinstance(self.screen.focused, Input):
            return
        event.stop()
        if search.has_focus or not isinstance(self.screen.focused, Input):
            search.value = ""
            search.display = False
        self._opened = None
        self._fill()
        self.screen.set_focus(self.query_one(FieldList))

    # ---- keys

    def action_save(self) -> None:
        """Keep the settings as a preset of one's own."""
        if problem := self.take_typed():
            self.app.notify(problem, severity="warning")
            return
        self.post_message(self.SaveAsked(self))

    def action_search(self) -> None:
        """Show the search box."""
        search = self.query_one("#settings-search", Input)
        search.display = True
        self.screen.set_focus(search)

    @on(Input.Changed, "#settings-search")
    def _searched(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value
        self._fill(typed=True)

    @on(Input.Submitted, "#settings-search")
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.query_one(FieldList))

    def action_undo(self) -> None:
        """The base's value in the chosen setting."""
        if self.chosen is not None:
            config = self._try(written(value_of(self.base, self.chosen)))
            if config is not None:
                self._accept(config)

    def action_undo_all(self) -> None:
        """The base in every setting; again: what that dropped, as long as nothing else was changed."""
        changes, dropped = self.changed(), self._dropped
        if changes:
            self._accept(self.base)
            self._dropped = changes
            self._tell(f"{_changes(len(changes))} undone; U brings {'it' if len(changes) == 1 else 'them'} back")
        elif dropped is not None:
            try:
                self._accept(changed(self.base, dropped))
            except ConfigError as error:  # the base is another than it was
                self._tell(str(error))
                return
            self._tell(f"{_changes(len(self.changed()))} brought back")
        else:
            self._tell("nothing differs from the preset")

    def _tell(self, message: str) -> None:
        """What the key did, in the place of what it said before."""
        cast("TellingApp[object]", self.app).notify_anew("undo", message, timeout=4)

    def action_only_changed(self) -> None:
        """Show all settings, or only those that differ from the base."""
        self._changed_only = not self._changed_only
        self.screen.refresh_bindings()
        self._fill()

    @property
    def labels(self) -> Mapping[str, str]:
        """What keys lead to from here."""
        return {"c": "all"} if self._changed_only else {}

    def action_previous_choice(self) -> None:
        """The choice before."""
        self._cycle(-1)

    def action_next_choice(self) -> None:
        """The next choice."""
        self._cycle(1)

    def _cycle(self, step: int) -> None:
        key = self.chosen
        choices = [written(choice) for choice in self._fields[key].choices or ()] if key else []
        if key is None or not choices:
            return
        now = written(value_of(self.config, key))
        index = choices.index(now) if now in choices else 0
        passed: list[str] = []
        for distance in range(1, len(choices)):
            choice = choices[(index + step * distance) % len(choices)]
            config = self._try(choice)
            if config is not None:
                self._accept(config)
                if passed:
                    self._tell(f"passed over, as not allowed here: {', '.join(passed)}; typed, each says why")
                return
            passed.append(choice)
        self._try(choices[(index + step) % len(choices)])  # none is allowed: why the next one is not


def _changes(count: int) -> str:
    return counted(count, "change")
