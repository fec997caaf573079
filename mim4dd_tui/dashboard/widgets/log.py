"""The run's log: notices, evaluations, phases; newest last, with a filter of words or of a regular expression."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import regex
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input, Static

from mim4dd_tui.dashboard.ink import in_rich
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.plain import duration

MOST = 600
"""Newest matching lines shown; the journal has all."""
SEARCH_SECONDS = 0.1
"""How long an expression may search all lines. One that goes back and forth in them could take for ever."""
LEAST = 16
"""Columns of a message beside its time, below which it is broken by the terminal's edge."""


@dataclass(frozen=True)
class Line:
    """One line: seconds the run had been at work then, level and text."""

    worked: float
    level: str
    text: str


class Filter:
    """Which lines are shown: those with all words typed, or those where an expression matches.

    Capital letters count only where some are typed. ``problem`` says what is wrong with an expression; the lines
    are then those of the last right one, or all where an expression takes too long: the run's own thread waits as well
    while one is tried.
    """

    def __init__(self) -> None:
        self.text = ""
        self.expression = False
        self.problem = ""
        self._pattern: regex.Pattern[str] = regex.compile("")

    def change(self, text: str, *, expression: bool) -> None:
        """Filter by this from now on."""
        self.text, self.expression, self.problem = text, expression, ""
        if expression:
            try:
                with warnings.catch_warnings(action="ignore"):  # of what a later version will read otherwise
                    self._pattern = regex.compile(text, 0 if text != text.lower() else regex.IGNORECASE)
            except regex.error as error:
                what, at, place = str(error).partition(" at position ")
                self.problem = f"{what} at {int(place) + 1}" if at and place.isdecimal() else str(error)
            except (OverflowError, RecursionError) as error:
                self.problem = str(error) or "too large"

    def matching(self, lines: Sequence[Line]) -> list[Line]:
        """The lines that are shown."""
        if self.expression:
            return self._searched(lines)
        words, capitals = self.text.split(), self.text != self.text.lower()
        return [line for line in lines if all(word in (line.text if capitals else line.text.lower()) for word in words)]

    def _searched(self, lines: Sequence[Line]) -> list[Line]:
        end, found = time.monotonic() + SEARCH_SECONDS, []
        try:
            for line in lines:
                if self._pattern.search(line.text, timeout=max(1e-3, end - time.monotonic())):
                    found.append(line)
        except TimeoutError:
            self.problem = "too slow"
            self._pattern = regex.compile("")
            return list(lines)
        return found


class LogLines(VerticalScroll):
    """Lines that stay at their end, also of another height, unless scrolled back."""

    @property
    def follows(self) -> bool:
        """Whether new lines move it."""
        return not self._anchor_released

    def follow(self) -> None:
        """To the end, and stay there."""
        self.anchor()

    def release_anchor(self) -> None:
        """Where it is scrolled: what leaves it at its end takes nothing from it, which Textual asks only of a move."""
        super().release_anchor()
        self.call_after_refresh(self.settle)

    def laid_out(self) -> None:
        """Call it after every layout: Textual reckons the end from the height before."""
        if self.follows and self.scroll_y < self.max_scroll_y:
            self.follow()

    def settle(self) -> None:
        """Follow again where it is at its end."""
        if min(self.scroll_y, self.scroll_target_y) >= self.max_scroll_y or self.max_scroll_y == 0:
            self.follow()


class LogPane(Vertical):
    """A scrolling log; follows the end unless scrolled back."""

    BINDINGS = bindings("log")
    SCOPE: ClassVar[Scope] = "log"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._all: list[Line] = []
        self._filter = Filter()
        self._width = 0  # of its lines, as they were broken last; 0 where they are cut
        self._was_alone = False
        self._told = 0  # rows below, as was said last
        self._large = False
        self._left: float | None = None  # the row it was scrolled back to while it was large

    def compose(self) -> ComposeResult:
        """The lines, and the filter's box where one is typed."""
        with LogLines(id="log-lines"):
            yield Static(id="log-text")
        yield Static(id="log-below")
        with Horizontal(id="log-search"):
            yield Input(placeholder="filter the log", id="log-filter", compact=True)
            yield Static(id="log-verdict")

    def on_mount(self) -> None:
        """No filter yet; stay at the end."""
        if not whole(self):  # the dashboard closes
            return
        self.query_one("#log-search").display = False
        self.query_one(LogLines).follow()
        self.screen.screen_layout_refresh_signal.subscribe(self, self._laid_out)

    def show(self, lines: list[Line]) -> None:
        """Show these lines from now on."""
        self._all = lines
        self._write()

    def _write(self) -> None:
        found = self._all if self._alone else self._filter.matching(self._all)
        lines = [self._text(line) for line in found[-MOST:]]
        nothing = Text("no line matches · esc shows all" if self._filter.text else "", style="dim")
        self.query_one("#log-text", Static).update(Text("\n").join(lines) if lines else nothing)
        if self.query_one("#log-search").display:
            self._say()

    @property
    def _alone(self) -> bool:
        """Whether it is one line, with no room for the filter's box: the newest then, whatever the filter."""
        return not self._large and self.size.height == 1

    def on_resize(self) -> None:
        """Where lines are broken follows the width, which the lines themselves have a little later."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if not whole(self):
            return
        shown = self.query_one("#log-text")
        width = shown.content_size.width if shown.styles.text_wrap == "wrap" else 0
        if (width, self._alone) != (self._width, self._was_alone):
            self._width, self._was_alone = width, self._alone
            self._write()

    def _text(self, line: Line) -> Text:
        """A line; what has no room beside the time goes on below its beginning."""
        text = Text()
        text.append(f"{duration(line.worked):>7} ", style="dim")
        said = Text(line.text, style=in_rich(self, line.level) if line.level in ("warning", "error") else "")
        room = self._width - text.cell_len
        if said.cell_len <= room or room < LEAST:
            return text.append_text(said)
        return text.append_text(Text("\n" + " " * text.cell_len).join(said.wrap(self.app.console, room)))

    def enlarge(self, large: bool) -> None:
        """Whether it is read, and then where it was left, or a glance, which is of the newest lines."""
        if large == self._large:
            return
        self._large, lines = large, self.query_one(LogLines)
        if not large:
            self._left = lines.scroll_y if self.below else None
            lines.follow()
        elif self._left is not None:
            lines.scroll_to(y=self._left, animate=False)

    def action_roll(self, lines: int) -> None:
        """Scroll by lines; at once, as a second key, or a line that comes, would else begin where the first did."""
        shown = self.query_one(LogLines)
        shown.scroll_relative(y=lines, animate=False, immediate=True)
        shown.settle()

    def action_roll_page(self, pages: float) -> None:
        """Scroll by what is seen, or a part of that."""
        self.action_roll(round(pages * max(2, self.query_one(LogLines).size.height)))

    async def action_filter_log(self) -> None:
        """Show the filter's box, where there is room for it."""
        if self._alone:
            await self.screen.run_action("view('log')")
        self.query_one("#log-search").display = True
        self._say()
        self.screen.set_focus(self.query_one("#log-filter"))

    async def action_filter_kind(self) -> None:
        """Words, or an expression."""
        self._change(self.query_one("#log-filter", Input).value, expression=not self._filter.expression)
        self.screen.refresh_bindings()
        await self.action_filter_log()

    @property
    def labels(self) -> Mapping[str, str]:
        """What keys lead to from here, while it has the focus."""
        back = {"back": "all lines"} if self.query_one("#log-search").display else {}
        return back | {"filter_kind": "words" if self._filter.expression else "regex"}

    def _change(self, text: str, *, expression: bool) -> None:
        self._filter.change(text, expression=expression)
        self._write()

    @property
    def below(self) -> int:
        """Rows of newer lines that are out of sight."""
        lines = self.query_one(LogLines)
        if lines.max_scroll_y <= 0:  # all of them are seen, at the pane's lower edge
            return 0
        return max(0, round(lines.max_scroll_y - lines.scroll_y))

    def _laid_out(self, _: Screen[object]) -> None:
        if not whole(self):
            return
        self.query_one(LogLines).laid_out()
        if self.below != self._told:
            self._told, note = self.below, self.query_one("#log-below", Static)
            note.set_class(self._told > 0, "-some")
            note.update(Text(f"{self._told} more below · G", style="dim"))

    def _say(self) -> None:
        """What the filter is, or what is wrong with it, beside its field."""
        verdict = self.query_one("#log-verdict", Static)
        verdict.set_class(bool(self._filter.problem), "-wrong")
        kind = "regex" if self._filter.expression else "words"
        verdict.update(Text(self._filter.problem or f"{kind} (^r)"))

    @on(Input.Changed, "#log-filter")
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        self._change(event.value, expression=self._filter.expression)

    @on(Input.Submitted, "#log-filter")
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.query_one("#log-lines"))

    def key_escape(self, event: Key) -> None:
        """No filter; without one, escape is the screen's."""
        line = self.query_one("#log-search")
        if line.display:
            event.stop()
            self.query_one("#log-filter", Input).value = ""
            self._change("", expression=self._filter.expression)
            line.display = False
            self.screen.set_focus(self.query_one("#log-lines"))
