"""Questions and help, over whatever is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Literal, TypeVar

from rich.console import Group
from rich.padding import Padding
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from mim4dd_tui.dashboard.ink import in_rich
from mim4dd_tui.dashboard.keys import Scope, keys_of
from mim4dd_tui.dashboard.one_by_one import nothing
from mim4dd_tui.dashboard.reading import Reading
from mim4dd_tui.dashboard.whole import whole
from mim4dd_tui.dashboard.widgets.calm import Answers

Answer = Literal["stop", "detach", "cancel"]
Given = TypeVar("Given")
KEY_WIDTH = 9
"""Columns of a key in the help, before what it does."""
LOOK_SECONDS = 0.5
"""How often it is looked at what a question is about."""


class QuestionScreen(ModalScreen[Given]):
    """A question about something that may change while it stands: what it says is looked at anew.

    Args:
        look: looks at it, on a worker thread; raises no error.
    """

    def __init__(self, look: Callable[[], object] = nothing) -> None:
        super().__init__()
        self._look = look
        self._looking = Reading(self, self._look_again)

    def on_mount(self) -> None:
        """Keep up with what it is about."""
        self.set_interval(LOOK_SECONDS, self._looking.keep_up)

    def _look_again(self) -> None:
        self._look()
        self.app.call_later(self._renew)

    def _renew(self) -> None:
        if whole(self):
            self.renew()

    def renew(self) -> None:
        """Say it as it is now."""
        raise NotImplementedError


class QuitScreen(ModalScreen[Answer]):
    """A run goes on here: what is to become of it?"""

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [  # noqa: RUF012
        ("s", "answer('stop')", "stop"),
        ("r", "answer('detach')", "let it run"),
        ("escape,c,q", "answer('cancel')", "cancel"),
        ("ctrl+c", "answer('stop')", "stop"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._title = Static(classes="dialog-title")
        self._answers = Answers(*(Option("", id=answer) for answer in ("stop", "detach", "cancel")), id="answers")

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical(classes="dialog"):
            yield self._title
            yield self._answers

    def ask(
        self,
        run: str,
        waiting: int = 0,
        *,
        going: bool = False,
        over: bool = False,
        stopping: bool = False,
        paused: bool = False,
    ) -> None:
        """What is asked from now on: the question may stand while one run ends and the next begins.

        Args:
            run: its name, empty where it has none yet.
            waiting: runs in the queue.
            going: they follow by themselves if nobody stops.
            over: it has ended, and leaving is all that is left to do.
            stopping: it was asked to stop already.
            paused: it was asked to pause, and letting it run on ends that.
        """
        stop, detach = "resume it later where it was", "plain progress lines here"
        if waiting:
            number = f"{waiting} {'run' if waiting == 1 else 'runs'} in the queue"
            stop += f"; {number} will wait"
            detach += f"; then {number}" if going else f"; {number} will wait"
        answers: list[tuple[str, Answer, str, str]] = [
            ("s", "stop", "Stop it at the next step", stop),
            ("r", "detach", "Let it go on from its pause" if paused else "Let it run on", detach),
        ]
        state = "is paused" if paused else "is still going"
        if over:
            state, answers = "has ended", [("s", "stop", "Leave", "nothing goes on here")]
        elif stopping:
            state = "is stopping"
            answers = [
                ("s", "stop", "Leave once it has stopped", stop),
                ("r", "detach", "Leave now", "it stops by itself, in plain lines here"),
            ]
        self._title.update(Text(f"{run or 'A run'} {state}", style="bold"))
        self._offer([*answers, ("c", "cancel", "Cancel", "stay in the dashboard")])

    def _offer(self, answers: Sequence[tuple[str, Answer, str, str]]) -> None:
        """Show these, each with its key; the cursor stays on its answer, or where that has gone on one to leave by."""
        place = self._answers.highlighted
        before = None if place is None else self._answers.get_option_at_index(place).id
        names: list[str] = [name for _, name, *_ in answers]
        if names != [option.id for option in self._answers.options]:
            self._answers.set_options([Option("", id=name) for name in names])
            if before is not None:
                self._answers.highlighted = names.index(before) if before in names else 0
        for place, (key, _, what, why) in enumerate(answers):
            self._answers.replace_option_prompt_at_index(place, _answer(key, what, why))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_answer(event.option_id or "cancel")

    def action_answer(self, answer: str) -> None:
        """Close with an answer."""
        answers: dict[str, Answer] = {"stop": "stop", "detach": "detach"}
        self.dismiss(answers.get(answer, "cancel"))


def _answer(key: str, what: str, why: str) -> Group:
    """An answer with what follows from it, indented also where that takes several lines."""
    return Group(Text.assemble((f" {key} ", "bold"), what), Padding(Text(why, style="dim"), (0, 0, 0, 3)))


class ConfirmScreen(QuestionScreen[bool]):
    """Something that cannot be taken back: yes only by saying so.

    Args:
        question: what is asked.
        details: what follows from yes.
        deed, leave: what yes and no are called.
        look: looks at what it is about: question and details as they are then, None where they stay.
    """

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [  # noqa: RUF012
        ("y", "answer(True)", "yes"),
        ("n,escape,q", "cancel", "no"),
    ]

    def __init__(
        self,
        question: str,
        details: str,
        deed: str,
        leave: str = "No, keep it",
        look: Callable[[], tuple[str, str] | None] = nothing,
    ) -> None:
        super().__init__(self._found)
        self._said = question, details
        self._deed, self._leave, self._ask = deed, leave, look
        self._now = self._said

    def compose(self) -> ComposeResult:
        """The question; the cursor stands on no."""
        question, details = self._said
        with Vertical(classes="dialog"):
            yield Static(Text(question, style="bold"), classes="dialog-title")
            yield Answers(
                Option(Text.assemble((" n ", "bold"), self._leave), id="no"),
                Option(_answer("y", self._deed, details), id="yes"),
                id="answers",
            )

    def _found(self) -> None:
        self._now = self._ask() or self._now

    def renew(self) -> None:
        """Say it as it is now."""
        if self._said != self._now:
            question, details = self._said = self._now
            self.query_one(".dialog-title", Static).update(Text(question, style="bold"))
            self.query_one(Answers).replace_option_prompt("yes", _answer("y", self._deed, details))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Close with an answer."""
        self.dismiss(yes)

    def action_cancel(self) -> None:
        """Close with no; also what ctrl+c does here."""
        self.dismiss(False)


class NameScreen(QuestionScreen[str]):
    """Asks for a name or a short text; empty where it was left.

    Args:
        title: what is asked.
        text: what is typed at the beginning.
        explain: what follows from a text.
        check: what is wrong with one; empty where nothing is.
        look: looks at what ``explain`` and ``check`` tell of.
    """

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [("escape", "cancel", "cancel")]  # noqa: RUF012

    def __init__(
        self,
        title: str,
        text: str,
        explain: Callable[[str], str],
        check: Callable[[str], str],
        look: Callable[[], object] = nothing,
    ) -> None:
        super().__init__(look)
        self._title, self._text, self._explain, self._check = title, text, explain, check
        self._said = self._verdict(text)

    def compose(self) -> ComposeResult:
        """A line to type, and under it what is wrong with it."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            yield Input(self._text, id="name", compact=True)
            yield Static(self._said, id="name-verdict")
            yield Static(Text("enter takes it · esc leaves", style="dim"), id="name-keys")

    def _verdict(self, typed: str) -> Text:
        wrong = self._check(typed)
        return Text(wrong) if wrong else Text(self._explain(typed), style="dim")

    def _tell(self, told: Text) -> None:
        self._said = told
        self.query_one("#name-verdict", Static).update(told)

    def renew(self) -> None:
        """Say it as it is now; that nothing is typed stands until then."""
        told = self._verdict(self.query_one(Input).value)
        if told != self._said:
            self._tell(told)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._tell(self._verdict(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if not event.value:
            self.query_one("#name-verdict", Static).update("nothing is typed yet")
        elif not self._check(event.value):
            self.dismiss(event.value)

    def action_cancel(self) -> None:
        """Close without a name; also what ctrl+c does here."""
        self.dismiss("")


class HelpScreen(ModalScreen[None]):
    """The table of keys, those of the place it was called from first."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS = [  # noqa: RUF012
        ("escape,q,question_mark,f1", "dismiss", "close"),
        ("j", "roll('down')", "down"),
        ("k", "roll('up')", "up"),
        ("g", "roll('home')", "top"),
        ("G", "roll('end')", "bottom"),
        ("ctrl+f,space", "roll('page_down')", "page down"),
        ("ctrl+b", "roll('page_up')", "page up"),
        ("ctrl+d", "roll_half(1)", "half down"),
        ("ctrl+u", "roll_half(-1)", "half up"),
    ]

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        super().__init__()
        self._scopes = scopes

    def compose(self) -> ComposeResult:
        """A scrolling page."""
        with VerticalScroll(classes="dialog help") as page:
            page.border_subtitle = "j k or arrows scroll, esc closes"
            yield KeyPage(self._scopes)

    def action_roll(self, where: str) -> None:
        """Scroll as the arrow keys, home, end and the page keys do."""
        getattr(self.query_one(VerticalScroll), f"scroll_{where}")(animate=False)

    def action_roll_half(self, pages: int) -> None:
        """By half of what is seen."""
        page = self.query_one(VerticalScroll)
        page.scroll_relative(y=pages * page.size.height // 2, animate=False)

    def on_mount(self) -> None:
        """Arrow keys scroll."""
        if whole(self):  # else the dashboard closes
            self.query_one(VerticalScroll).focus()

    def on_screen_suspend(self) -> None:
        """The next time it begins at the top."""
        if whole(self):
            self.query_one(VerticalScroll).scroll_home(animate=False, immediate=True)


class KeyPage(Widget):
    """The keys of some scopes with what they do, which is indented also where it takes several lines."""

    DEFAULT_CSS = "KeyPage { height: auto; }"

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        super().__init__()
        self._scopes = scopes

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """As many lines as it takes in that width."""
        return self._page(width).plain.count("\n") + 1

    def render(self) -> Text:
        """The page."""
        return self._page(self.content_size.width)

    def _page(self, width: int) -> Text:
        text, arrows = Text(), bool(getattr(self.app, "braille", True))
        colour = in_rich(self, "primary")
        for title, keys in keys_of(*self._scopes):
            text.append(title + "\n", style="bold")
            for key in keys:
                text.append(f"  {key.shown(arrows=arrows)}".ljust(KEY_WIDTH), style=colour)
                lines = wrap(key.help, max(1, width - KEY_WIDTH))
                text.append(("\n" + " " * KEY_WIDTH).join(lines) + "\n")
            text.append("\n")
        text.right_crop(2)
        return text
