"""Questions and help, over whatever is shown."""

from __future__ import annotations

from typing import Literal

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mim4dd_tui.dashboard.keys import Scope, keys_of

Answer = Literal["stop", "detach", "cancel"]


class QuitScreen(ModalScreen[Answer]):
    """A run goes on here: what is to become of it?"""

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [  # noqa: RUF012
        ("s", "answer('stop')", "stop"),
        ("r", "answer('detach')", "let it run"),
        ("escape,c,q", "answer('cancel')", "cancel"),
        ("ctrl+c", "answer('stop')", "stop"),
    ]

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        """The question and its three answers."""
        with Vertical(classes="dialog"):
            yield Static(Text(f"{self._run or 'A run'} is still going", style="bold"), classes="dialog-title")
            yield OptionList(
                Option(_answer("s", "Stop it with a checkpoint", "resume it later where it was"), id="stop"),
                Option(_answer("r", "Let it run on", "plain progress lines here"), id="detach"),
                Option(_answer("c", "Cancel", "stay in the dashboard"), id="cancel"),
                id="answers",
            )

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_answer(event.option_id or "cancel")

    def action_answer(self, answer: str) -> None:
        """Close with an answer."""
        answers: dict[str, Answer] = {"stop": "stop", "detach": "detach"}
        self.dismiss(answers.get(answer, "cancel"))


def _answer(key: str, what: str, why: str) -> Text:
    return Text.assemble((f" {key} ", "bold"), what, "\n   ", (why, "dim"))


class HelpScreen(ModalScreen[None]):
    """The table of keys, those of the place it was called from first."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [("escape,q,question_mark,f1", "dismiss", "close")]  # noqa: RUF012

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        super().__init__()
        self._scopes = scopes

    def compose(self) -> ComposeResult:
        """A scrolling page."""
        with VerticalScroll(classes="dialog help"):
            yield Static(self._page())

    def on_mount(self) -> None:
        """Arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def _page(self) -> Text:
        text = Text()
        for title, keys in keys_of(*self._scopes):
            text.append(title + "\n", style="bold")
            for key in keys:
                text.append(f"  {key.shown():<7}", style=self.app.theme_variables["primary"].removeprefix("ansi_"))
                text.append(key.help + "\n")
            text.append("\n")
        text.append("esc closes this", style="dim")
        return text
