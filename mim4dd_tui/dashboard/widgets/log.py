"""The run's log: notices, evaluations, phases; newest last, with a filter."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.widgets import Input, RichLog

from mim4dd_tui.dashboard.keys import bindings

MOST = 5000
"""Lines kept."""


@dataclass(frozen=True)
class Line:
    """One line: seconds since the run's beginning (None where not known), level and text."""

    moment: float | None
    level: str
    text: str


class LogPane(Vertical):
    """A scrolling log; follows the end unless scrolled back."""

    BINDINGS = bindings("log")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._all: list[Line] = []
        self._words = ""
        self._width = 0

    def compose(self) -> ComposeResult:
        """The lines, and the filter's box where one is typed."""
        yield RichLog(id="log-lines", max_lines=MOST, wrap=True, min_width=20)
        yield Input(placeholder="filter the log", id="log-filter", compact=True)

    def on_mount(self) -> None:
        """No filter yet."""
        self.query_one("#log-filter").display = False

    def on_resize(self) -> None:
        """Another width wraps anew, another height shows the end again."""
        if self.size.width != self._width:
            self._width = self.size.width
            self.call_after_refresh(self._rewrite)
        else:
            self.call_after_refresh(self.query_one(RichLog).scroll_end, animate=False)

    def add(self, lines: list[Line]) -> None:
        """Append lines."""
        self._all = (self._all + lines)[-MOST:]
        log = self.query_one(RichLog)
        follow = log.is_vertical_scroll_end
        for line in lines:
            if self._matches(line):
                log.write(self._text(line), scroll_end=follow)

    def clear(self) -> None:
        """Start afresh."""
        self._all = []
        self.query_one(RichLog).clear()

    def _matches(self, line: Line) -> bool:
        return all(word in line.text.lower() for word in self._words.lower().split())

    def _text(self, line: Line) -> Text:
        colours = self.app.theme_variables
        text = Text()
        if line.moment is not None:
            minutes, seconds = divmod(int(line.moment), 60)
            text.append(f"{minutes:3}:{seconds:02} ", style="dim")
        style = {"warning": colours.get("warning", "yellow"), "error": colours.get("error", "red")}.get(line.level)
        text.append(line.text, style=style.removeprefix("ansi_") if style else "")
        return text

    def action_filter_log(self) -> None:
        """Show the filter's box."""
        box = self.query_one("#log-filter", Input)
        box.display = True
        self.screen.set_focus(box)

    @on(Input.Changed, "#log-filter")
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value
        self._rewrite()

    def _rewrite(self) -> None:
        log = self.query_one(RichLog)
        log.clear()
        for line in self._all:
            if self._matches(line):
                log.write(self._text(line))

    @on(Input.Submitted, "#log-filter")
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(RichLog).focus()

    def key_escape(self, event: Key) -> None:
        """No filter; without one, escape is the screen's."""
        box = self.query_one("#log-filter", Input)
        if box.display:
            event.stop()
            box.value = ""
            box.display = False
            self.screen.set_focus(self.query_one(RichLog))
