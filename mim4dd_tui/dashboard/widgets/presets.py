"""The list of presets, and its search: there are more than fit a screen."""

from __future__ import annotations

from collections.abc import Collection

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config.load import list_presets
from engine.config.presets import PresetInfo


class PresetList(Vertical):
    """Its list, ``#presets``, says what is highlighted and selected by the usual messages."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._presets: dict[str, PresetInfo] = {}
        self._words = ""

    def compose(self) -> ComposeResult:
        """Heading, search and list."""
        yield Static("presets", classes="heading", id="presets-heading")
        yield Input(placeholder="search the presets", id="presets-search", compact=True)
        yield OptionList(id="presets")

    def on_mount(self) -> None:
        """The search is shown when asked for."""
        self.query_one(Input).display = False

    @property
    def names(self) -> Collection[str]:
        """Of all presets there are."""
        return self._presets.keys()

    def fill(self, chosen: str) -> None:
        """Read what presets there are, and highlight one."""
        self._presets = {info.name: info for info in list_presets()}
        self._show(chosen)

    def _show(self, chosen: str | None) -> None:
        found = [name for name, info in self._presets.items() if _matches(info, self._words)]
        options = [Option(Text(name, no_wrap=True, overflow="ellipsis"), id=name) for name in found]
        field = self.query_one(OptionList)
        with self.prevent(OptionList.OptionHighlighted):
            field.set_options(options or [Option(Text("none matches", style="dim"), disabled=True)])
            if chosen in found:
                field.highlighted = found.index(chosen)
        if found and chosen not in found:
            field.highlighted = 0
        count = str(len(found)) if len(found) == len(self._presets) else f"{len(found)} of {len(self._presets)}"
        self.query_one("#presets-heading", Static).update(f"presets  {count}")

    def search(self) -> None:
        """Ask for words."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        field = self.query_one(OptionList)
        index = field.highlighted
        chosen = field.get_option_at_index(index).id if index is not None else None
        self._words = event.value
        self._show(chosen)

    @on(Input.Submitted)
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(OptionList).focus()
        self.query_one(Input).display = bool(self._words)

    def key_escape(self, event: Key) -> None:
        """All presets again; where all are shown, escape is the screen's."""
        field = self.query_one(Input)
        if not (field.has_focus or self._words):
            return
        event.stop()
        field.value = ""
        field.display = False
        self.query_one(OptionList).focus()

    def on_key(self, event: Key) -> None:
        """From the search into the list."""
        if event.key == "down" and self.query_one(Input).has_focus:
            event.stop()
            self.query_one(OptionList).focus()


def _matches(info: PresetInfo, words: str) -> bool:
    text = f"{info.name} {info.dataset} {info.objective} {info.summary}".lower()
    return all(word in text for word in words.lower().split())
