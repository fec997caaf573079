"""The run's log: notices, evaluations, phases; newest last, with a filter."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.events import Key
from textual.widgets import Input, Static

from mim4dd_tui.dashboard.keys import bindings

MOST = 600
"""Newest matching lines shown; the journal has all."""


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

    def compose(self) -> ComposeResult:
        """The lines, and the filter's box where one is typed."""
        with VerticalScroll(id="log-lines"):
            yield Static(id="log-text")
        yield Input(placeholder="filter the log", id="log-filter", compact=True)

    def on_mount(self) -> None:
        """No filter yet; stay at the end."""
        self.query_one("#log-filter").display = False
        self.query_one("#log-lines", VerticalScroll).anchor()

    def show(self, lines: list[Line]) -> None:
        """Show these lines from now on."""
        self._all = lines
        self._write()

    def _matches(self, line: Line) -> bool:
        return all(word in line.text.lower() for word in self._words.lower().split())

    def _write(self) -> None:
        lines = [self._text(line) for line in self._all if self._matches(line)][-MOST:]
        nothing = Text("no line matches" if self._words else "", style="dim")
        self.query_one("#log-text", Static).update(Text("\n").join(lines) if lines else nothing)

    def _text(self, line: Line) -> Text:
        colours = self.app.theme_variables
        text = Text()
        if line.moment is not None:
            minutes, seconds = divmod(int(line.moment), 60)
            text.append(f"{minutes:3}:{seconds:02} ", style="dim")
        style = {"warning": colours.get("warning", "yellow"), "error": colours.get("error", "red")}.get(line.level)
        text.append(line.text, style=style.removeprefix("ansi_") if style else "")
        return text

    def action_roll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#log-lines", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_filter_log(self) -> None:
        """Show the filter's box."""
        box = self.query_one("#log-filter", Input)
        box.display = True
        self.screen.set_focus(box)

    @on(Input.Changed, "#log-filter")
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        self._words = event.value
        self._write()

    @on(Input.Submitted, "#log-filter")
    def _chosen(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.set_focus(self.query_one("#log-lines"))

    def key_escape(self, event: Key) -> None:
        """No filter; without one, escape is the screen's."""
        box = self.query_one("#log-filter", Input)
        if box.display:
            event.stop()
            box.value = ""
            box.display = False
            self.screen.set_focus(self.query_one("#log-lines"))
