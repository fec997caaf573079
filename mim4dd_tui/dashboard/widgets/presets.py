"""The list of presets, and its search: there are more than fit a screen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config.load import Resolved, list_presets, listed, preset_info, resolve
from engine.config.presets import PresetInfo, names, user_dir
from engine.errors import MimError
from mim4dd_tui.dashboard.reading import Reading
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.calm import CalmList
from mim4dd_tui.fitting import shortened_apart

LOOK_SECONDS = 3.0
"""How often it is looked whether a person's own presets are still the same."""
PADDING = 2
"""Columns beside a name, as home.tcss has it."""

Mark = tuple[tuple[str, int, int], ...]
"""Of a person's own presets: another where a file came, went or was written."""


class PresetList(Vertical):
    """Its list, ``#presets``, says what is highlighted and selected by the usual messages: only when somebody moves in
    it, never because it is filled or searched."""

    class Found(Message):
        """Words were typed: ``name`` is what enter would choose now, None where nothing matches."""

        def __init__(self, name: str | None) -> None:
            super().__init__()
            self.name = name

    @dataclass
    class Reread(Message):
        """The folder of a person's own presets has changed, and was read again.

        Attributes:
            before: its mark when it was read last.
            mark: its mark now.
            presets: all there are.
            name: the preset that is followed.
            found: what that is now, or why it cannot be used; None where it is gone.
        """

        before: Mark
        mark: Mark
        presets: list[PresetInfo]
        name: str | None
        found: Resolved | MimError | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._reading = Reading(self, self._reread)
        self._followed: tuple[str | None, Sequence[str]] = (None, ())  # and changes on top
        self._mark: Mark = ()  # of the folder of a person's own presets
        self._presets: dict[str, PresetInfo] = {}
        self._words = ""
        self._chosen = ""
        self._deeds = 0  # what was kept or deleted here
        self._room = 0  # columns of a name, as they were shortened last

    def compose(self) -> ComposeResult:
        """Heading, search and list."""
        yield Static("presets", classes="heading", id="presets-heading")
        yield Input(placeholder="search the presets", id="presets-search", compact=True)
        yield CalmList(id="presets")

    def on_mount(self) -> None:
        """The search is shown when asked for; presets are made and deleted by other programs too."""
        if not whole(self):  # the dashboard closes
            return
        self.query_one(Input).display = False
        self.set_interval(LOOK_SECONDS, self._look)

    def follow(self, name: str | None, overrides: Sequence[str] = ()) -> None:
        """Which preset is resolved, with changes on top, when presets were read again."""
        self._followed = name, overrides

    def _look(self) -> None:
        if self.screen.is_active:
            self._reading.keep_up()

    def _reread(self) -> None:
        """On a worker thread: reading takes longer than a key may wait."""
        before, mark, (name, overrides) = self._mark, _mark(), self._followed
        if mark != before:
            found = _resolved(name, overrides) if name is not None else None
            self.post_message(self.Reread(before, mark, list_presets(), name, found))

    @on(Reread)
    def _were_reread(self, message: Reread) -> None:
        if message.before != self._mark:  # they were read here meanwhile
            message.stop()
            return
        self._take(message.mark, message.presets)
        self._show()
        field = self.query_one(Input)
        if field.display:
            self.post_message(self.Found(self._would_choose()))
        if self.app.app_focus and not field.has_focus:
            self._point_to_chosen()

    def _take(self, mark: Mark, presets: Sequence[PresetInfo]) -> None:
        self._mark = mark
        self._presets = {info.name: info for info in presets}

    @property
    def names(self) -> Collection[str]:
        """Of all presets there are."""
        return self._presets.keys()

    @property
    def own(self) -> Collection[str]:
        """Of those that are a person's own."""
        return {name for name, info in self._presets.items() if not info.builtin}

    @property
    def chosen(self) -> str | None:
        """The preset under the cursor, usable or not; None for a file, and for one that is gone."""
        return self._chosen if self._chosen in self._presets else None

    def fill(self, chosen: str) -> None:
        """Read what presets there are, and highlight ``chosen`` where it is one of them (a file is not)."""
        self._take(_mark(), list_presets())
        self._chosen = chosen
        self._close_search()

    def renew(self, name: str, chosen: str) -> None:
        """What was kept or deleted under a name, at once, with ``chosen`` highlighted; others may be made of it, and
        all are read again beside the interface."""
        known = [info for info in self._presets.values() if info.name != name]
        now = preset_info(name)
        self._deeds += 1
        # no mark of a folder: what was read before is of no use any more, and what is there now is news
        self._take((("", self._deeds, 0),), listed(known if now is None else [*known, now]))
        self._chosen = chosen
        self._close_search()
        self._reading.anew()

    def point(self, chosen: str) -> None:
        """Highlight what was chosen elsewhere; nothing where it is no preset of the list."""
        self._chosen = chosen
        self._close_search()

    def _show(self) -> None:
        found = [name for name, info in self._presets.items() if _matches(info, self._words)]
        found.sort(key=lambda name: not _has(name, self._words))  # a word of another's summary is a lesser hit
        field = self.query_one(OptionList)
        width = field.scrollable_content_region.width
        room = max(1, width - PADDING)
        brief = shortened_apart(found, room) if width else found  # before the first layout there is none
        options = [Option(Text(text, no_wrap=True), id=name) for text, name in zip(brief, found, strict=True)]
        self._room = room
        with self.prevent(OptionList.OptionHighlighted):
            field.set_options(options or [Option(Text("none matches\nesc shows all", style="dim"), disabled=True)])
            wanted = self._wanted(found)
            field.highlighted = found.index(wanted) if wanted is not None else None
        count = str(len(found)) if len(found) == len(self._presets) else f"{len(found)} of {len(self._presets)}"
        self.query_one("#presets-heading", Static).update(f"presets  {count}")

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        self._chosen = event.option_id or self._chosen

    def on_resize(self) -> None:
        """Names are shortened to the width."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not whole(self):
            return
        room = self.query_one(OptionList).scrollable_content_region.width - PADDING
        if self._presets and room != self._room:
            self._show()

    # ---- search

    def search(self) -> None:
        """Ask for words."""
        field = self.query_one(Input)
        field.display = True
        field.focus()
        self.post_message(self.Found(self._would_choose()))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value
        self._show()
        self.post_message(self.Found(self._would_choose()))

    @on(Input.Submitted)
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self._into_the_list()
        self.query_one(Input).display = bool(self._words)

    def _into_the_list(self) -> None:
        """From the search; what it has found is chosen."""
        field = self.query_one(OptionList)
        found = self._would_choose()
        field.focus()
        if found is not None and found != self._chosen:
            self._chosen = found
            with self.prevent(OptionList.OptionHighlighted):
                field.highlighted = None
            field.highlighted = [option.id for option in field.options].index(found)  # said now, as it is chosen now

    def _would_choose(self) -> str | None:
        return self._wanted([option.id for option in self.query_one(OptionList).options if option.id])

    def on_descendant_blur(self) -> None:
        """A search that was left without choosing leaves what was chosen."""
        if self.app.app_focus and not self.query_one(OptionList).has_focus:  # else the window alone has lost it
            self._point_to_chosen()

    def _point_to_chosen(self) -> None:
        field = self.query_one(OptionList)
        places = [place for place, option in enumerate(field.options) if option.id == self._chosen]
        with self.prevent(OptionList.OptionHighlighted):
            field.highlighted = next(iter(places), None)

    def _wanted(self, found: Sequence[str]) -> str | None:
        """Of presets that match: the one of exactly that name, else what was chosen before, else the first. Without
        words only what is chosen, which may be a file."""
        exact = self._words.strip().lower()
        same = [name for name in found if name.lower() == exact] or [name for name in found if name == self._chosen]
        return next(iter(same or (found if exact else ())), None)

    def _close_search(self) -> None:
        field = self.query_one(Input)
        self._words = ""
        with self.prevent(Input.Changed):
            field.value = ""
        field.display = False
        self._show()

    def key_escape(self, event: Key) -> None:
        """All presets again; where all are shown, escape is the screen's."""
        if not (self.query_one(Input).has_focus or self._words):
            return
        event.stop()
        self._close_search()
        self.query_one(OptionList).focus()

    def on_key(self, event: Key) -> None:
        """From the search into the list."""
        if event.key == "down" and self.query_one(Input).has_focus:
            event.stop()
            self._into_the_list()


def _resolved(name: str, overrides: Sequence[str]) -> Resolved | MimError | None:
    try:
        return resolve(name, overrides) if name in names(hidden=True) else None
    except MimError as error:
        return error


def _mark() -> Mark:
    try:
        files = sorted(user_dir().glob("*.toml"))
        return tuple((path.name, (now := path.stat()).st_mtime_ns, now.st_size) for path in files)
    except OSError:
        return ()


def _matches(info: PresetInfo, words: str) -> bool:
    return _has(f"{info.name} {info.dataset} {info.objective} {info.summary}", words)


def _has(text: str, words: str) -> bool:
    return all(word in text.lower() for word in words.lower().split())
