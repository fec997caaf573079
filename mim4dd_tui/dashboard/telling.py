"""The part of the app that speaks to the terminal and to the next time: clipboard, notices, memory, palette."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.color import ColorSystem
from rich.console import Console
from textual import work
from textual.app import SystemCommand
from textual.driver import Driver
from textual.notifications import Notification, Notify, SeverityLevel
from textual.screen import ModalScreen, Screen

from engine.errors import MimError
from mim4dd_tui.dashboard.aside import Aside
from mim4dd_tui.dashboard.attention import Voice
from mim4dd_tui.dashboard.commands import KeyCommands, commands
from mim4dd_tui.dashboard.opaque import OpaqueApp
from mim4dd_tui.dashboard.remembered import ATTENTION, Remembered
from mim4dd_tui.fitting import homely, wrapped
from mim4dd_tui.terminal import Abilities, Colours

Answer = TypeVar("Answer")

NOTICE = 57
"""Columns of a notice's text, as app.tcss has it ..."""
FRAME = 5
"""... and what is beside it on a narrow screen: its frame, and a bar."""

TITLE = "mim4dd"
"""The window's title, until a run has ended."""
QUEUE, LIVE, CLOSING = "the queue", "the run that goes on here", "closing"
"""What notices of several places are about."""


def of_run(name: str) -> str:
    """What notices of a run are about."""
    return f"run {name}"


@dataclass
class Told(Notification):
    """A notice, with what decides how long it may stand.

    Attributes:
        about: what it tells of: :meth:`TellingApp.take_back` takes it away when that is no longer so.
        screen: with which it goes; None where it is read wherever one is.
    """

    about: frozenset[Hashable] = frozenset()
    screen: Screen[object] | None = None


class TellingApp(OpaqueApp[Answer]):
    """Knows the terminal's abilities and voice, and what was remembered from last time."""

    COMMANDS = {KeyCommands}  # noqa: RUF012

    def __init__(self, runs_dir: Path, abilities: Abilities, *, driver_class: type[Driver] | None) -> None:
        super().__init__(driver_class=driver_class)
        _paint_with(self.console, abilities.colours)
        self.runs_dir = runs_dir
        self.abilities = abilities
        self.unicode = abilities.unicode
        self.colourless = abilities.no_color or abilities.colours is Colours.NONE
        self.closing = False  # screens must not touch widgets any more: they may be half-made or gone
        self.remembered = Remembered.load()
        self._told_of_memory = self._told_of_tmux = False
        self.voice = Voice.of()
        self.aside = Aside(self)
        self._titled = ""  # the run whose end the window's title tells

    def remember(self, **values: object) -> None:
        """Keep something for the next time; a key that changes nothing of it writes no file."""
        changed = {name: value for name, value in values.items() if getattr(self.remembered, name) != value}
        for name, value in changed.items():
            setattr(self.remembered, name, value)
        problem = self.remembered.save(changed) if changed else ""
        if problem and not self._told_of_memory:
            self._told_of_memory = True
            self.notify(f"nothing is kept for the next time: {problem}", severity="warning", timeout=10, lasting=True)

    def emit(self, sequence: str) -> None:
        """Send a sequence to the terminal as it is, if there is one."""
        if sequence and self._driver is not None and not self.closing:
            self._driver.write(sequence)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # noqa: ARG002 - widgets always ask for it
        about: Iterable[Hashable] = (),
        lasting: bool = False,
    ) -> None:
        """A notice as it is written: nothing in it is markup, and paths are broken after slashes only.

        One that stands already is not said twice: it begins anew. It goes with the screen it was said on, unless it is
        an error or ``lasting``, and by :meth:`take_back` where it is ``about`` something.
        """
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        screen = None if lasting or severity == "error" else self._below
        notice = Told(
            self._broken(message), title, severity, seconds, markup=False, about=frozenset(about), screen=screen
        )
        self.post_message(Notify(notice))

    def take_back(self, *about: Hashable) -> None:
        """Take away the notices about any of these: what they tell is no longer so."""
        self._drop(lambda notice: not notice.about.isdisjoint(about))

    def _drop(self, goes: Callable[[Told], bool], *, refresh: bool = True) -> None:
        for notice in [one for one in self._notifications if isinstance(one, Told) and goes(one)]:
            self._unnotify(notice, refresh=refresh)

    @property
    def _below(self) -> Screen[object] | None:
        """The screen that is shown, below any dialog; None before there is one."""
        return next((one for one in reversed(self.screen_stack) if not isinstance(one, ModalScreen)), None)

    def notify_anew(
        self, kind: str, message: str, *, severity: SeverityLevel = "information", timeout: float | None = None
    ) -> None:
        """A notice in the place of the last of its kind, of which it says otherwise; others stay."""
        self.take_back(kind)
        self.notify(message, severity=severity, timeout=timeout, about=[kind], lasting=True)

    def _broken(self, message: str) -> str:
        """A notice in lines as they fit."""
        room = min(NOTICE, max(1, self.size.width - FRAME))
        return "\n".join(wrapped(homely(message), room, within_paths=True))

    def _refresh_notifications(self) -> None:
        below = self._below
        self._drop(lambda notice: notice.screen is not None and notice.screen is not below, refresh=False)
        self.call_later(self.aside.take_place)
        super()._refresh_notifications()

    def on_notify(self, event: Notify) -> None:
        """Take away the notice that says the same; Textual's own handler adds the new one."""
        new = event.notification
        for old in list(self._notifications):
            if (old.message, old.title, old.severity) == (new.message, new.title, new.severity):
                self._unnotify(old, refresh=False)

    @work(thread=True, group="report", exit_on_error=False)
    def report_later(self, deed: Callable[[], str], *, timeout: float | None = None) -> None:
        """:meth:`report` on a thread of its own."""
        self.report(deed, timeout=timeout)

    def report(self, deed: Callable[[], str], *, timeout: float | None = None) -> None:
        """Do something and tell what came of it, or why it could not be done; call it on another thread."""
        severity: SeverityLevel = "information"
        try:
            told = deed()
        except MimError as error:
            told, severity = str(error), "error"
        self.call_from_thread(self.notify, told, severity=severity, timeout=timeout, lasting=True)

    def announce(self, mark: str, run: str, what: str) -> None:
        """A run ended: tell somebody who looks elsewhere, as far as that is wanted."""
        wanted = self.remembered.attention
        if wanted == "all":
            self._titled = run
            self.emit(self.voice.title(f"{mark} {run}: {what}"))
            self.emit(self.voice.notification("mim4dd", f"{run}: {what}"))
        if wanted != "off":
            self.bell()

    def not_over(self, run: str) -> None:
        """A run is taken up again: a title that tells of its end goes."""
        if run == self._titled:
            self._titled = ""
            self.emit(self.voice.title(TITLE))

    def action_next_attention(self) -> None:
        """What the end of a run sets off."""
        wanted = ATTENTION[(ATTENTION.index(self.remembered.attention) + 1) % len(ATTENTION)]
        self.remember(attention=wanted)
        told = {"all": "notification, title and bell", "bell": "the bell alone", "off": "nothing"}[wanted]
        self.notify_anew("attention", f"at the end of a run: {told}", timeout=3)

    def copy(self, text: str, what: str) -> None:
        """Text to the clipboard of the person's terminal, which does not say whether it took it."""
        if not text:
            self.notify(f"nothing to copy: {what}", severity="warning", timeout=3)
            return
        if not self.voice.sequences:
            self.notify(f"this terminal ({self.abilities.term}) takes no clipboard", severity="warning")
            return
        sequence = self.voice.copy(text)
        if not sequence:
            self.notify(f"too much for a terminal's clipboard: {what}", severity="warning")
            return
        self._clipboard = text
        self.emit(sequence)
        through = (
            "; tmux passes it on with `set -s set-clipboard on`" if self.voice.tmux and not self._told_of_tmux else ""
        )
        self._told_of_tmux = True
        self.notify(f"sent to the terminal's clipboard: {what}{through}", timeout=6 if through else 3)

    def copy_to_clipboard(self, text: str) -> None:
        """What a field of text cuts: by the same way, and nothing to terminals that would print it."""
        self._clipboard = text
        self.emit(self.voice.copy(text))

    def action_copy_path(self) -> None:
        """The path of what is shown."""
        path = (getattr(self.screen, "path", None) or self.runs_dir).absolute()
        self.copy(str(path), str(path))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette's entries."""
        yield from commands(screen)


def _paint_with(console: Console, colours: Colours) -> None:
    """Have what is painted agree with the pictures: Textual's console knows fewer kinds of terminals.

    Without colours it stays as it is: Textual leaves them out, or the terminal does.
    """
    systems = {Colours.BASIC: ColorSystem.STANDARD, Colours.PALETTE: ColorSystem.EIGHT_BIT}
    if colours is not Colours.NONE:
        console._color_system = systems.get(colours, ColorSystem.TRUECOLOR)
