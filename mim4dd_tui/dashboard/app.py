"""The dashboard's frame: screens, themes, the one run of this process, and every way of leaving."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual.events import Event, InputEvent, Key, MouseEvent, Paste
from textual.widgets import Input

from engine.errors import MimError, RunLocked
from engine.runs.folder import RunFolder
from engine.wording import counted
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.descriptors import Descriptors
from mim4dd_tui.dashboard.driver import EnduringDriver
from mim4dd_tui.dashboard.gauges import Machine, Source
from mim4dd_tui.dashboard.in_order import InOrder
from mim4dd_tui.dashboard.keys import Scope, bindings, scopes_at
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.leaving import Question
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, HelpScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import EngineSession, FolderSession, Launch, Order, launch_engine, there
from mim4dd_tui.dashboard.settled import Collector
from mim4dd_tui.dashboard.shelf import Marks, Shelf
from mim4dd_tui.dashboard.signalled import Signalled
from mim4dd_tui.dashboard.stage import Stage
from mim4dd_tui.dashboard.suspending import Suspension
from mim4dd_tui.dashboard.telling import LIVE, QUEUE, TITLE
from mim4dd_tui.dashboard.themed import ThemedApp
from mim4dd_tui.dashboard.turns import Turns
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.graphics.choice import Graphics, here
from mim4dd_tui.pictures import Mode, mode_for
from mim4dd_tui.plain import score
from mim4dd_tui.spelling import briefly
from mim4dd_tui.terminal import Abilities

SCREENS = (HomeScreen, RunScreen, RunsScreen, CompareScreen, QueueScreen, HelpScreen)
"""Their style sheets are read at the start: one that came with its screen would have all of them read anew and all
widgets styled again, while the key that opens the screen waits."""


HANDS_SECONDS = 10.0
"""Who did something on a run's screen that long ago only looks on."""


class DashboardApp(ThemedApp[Leave]):
    """Owns at most one engine run; a second one would share torch's global state and spoil both."""

    TITLE = "mim4dd"
    CSS_PATH = ["app.tcss", *dict.fromkeys(f"screens/{screen.CSS_PATH}" for screen in SCREENS)]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = bindings("app")

    def __init__(
        self,
        *,
        runs_dir: Path,
        abilities: Abilities,
        data_dir: Path | None = None,
        preset: str | None = None,
        overrides: tuple[str, ...] = (),
        name: str | None = None,
        autostart: bool = False,
        attach: Path | None = None,
        notice: str = "",
        launch: Launch = launch_engine,
        signals: bool = False,
        descriptors: Descriptors | None = None,
        graphics: Graphics | None = None,
        gauges: Source | None = None,
    ) -> None:
        super().__init__(runs_dir, abilities, driver_class=EnduringDriver if signals else None, graphics=graphics)
        self.data_dir = data_dir
        self.braille = abilities.braille
        self.slow_link = abilities.remote
        self.gauges = gauges or Machine()
        self.session: EngineSession | None = None
        self.sessions: list[EngineSession] = []  # of this sitting, the oldest first
        self.leaving: Leave | None = None
        self.exit_status = 0
        self.signalled = Signalled(self)
        self.shelf = Shelf(runs_dir)
        self.marks = Marks()
        self.filtered = "all"  # by state, in the list of all runs: the name of its filter
        chosen = self.remembered.ascii if self.remembered.ascii_here == here() else None
        self._ascii = abilities.ascii_pictures if chosen is None else chosen
        self._home = HomeScreen(preset=preset, overrides=overrides, start=autostart and attach is None)
        self._name = name
        self._autostart = autostart
        self._attached, self._notice = attach, notice
        self.turns = Turns(self, launch)
        self._end_told = False
        self._suspension = Suspension(self)
        self._stage = Stage(self)
        self._question = Question(self)
        self._signals = signals
        self.descriptors = descriptors
        self._collector = Collector()
        self._in_order = InOrder(self, super().on_event)
        self._helps: dict[tuple[tuple[Scope, ...], str], HelpScreen] = {}

    # ---- opening

    def on_load(self) -> None:
        """Signals, before the terminal is changed."""
        if self._signals:
            self.signalled.listen()

    def on_mount(self) -> None:
        """Themes, the first screen."""
        self.choose_theme()
        if self.abilities.remote:
            self.animation_level = "none"
        self.emit(self.voice.keep_title() + self.voice.title(TITLE))
        self.choose_graphics()
        self.redraw_when_back()
        self.app_resume_signal.subscribe(self, lambda _app: self._suspension.back())
        self.over.append(self.aside.seen)
        self._stage.show(self._home)
        self.set_interval(0.25, self._watch_session)
        self._collector.hold()
        self.set_interval(1.0, self._collector.tick)
        if self._attached is not None:
            show = self.resume_run if self._autostart else self.open_run
            show(RunFolder(self._attached.absolute()))  # before the first painting: what lies below is not seen
        elif not self._autostart:
            self.call_after_refresh(self.turns.offer)
        if self._notice:
            self.notify(self._notice, timeout=12, lasting=True)

    def on_unmount(self) -> None:
        """What goes on without the interface has no timer of its own, and what does not keeps no queue."""
        self._collector.release()
        self._suspension.back()  # else the run would stay paused
        if self.session is None or not self.session.running:
            self.turns.queue.give_back()

    async def on_event(self, event: Event) -> None:
        """Keys and mouse first come here."""
        if isinstance(event, InputEvent):
            self._collector.touched()
        if isinstance(event, Key | MouseEvent | Paste) and not event.is_forwarded:
            await self._in_order.take(event)
        else:
            await super().on_event(event)

    @property
    def untouched(self) -> float:
        """Seconds since the last key, or the last move of the mouse."""
        return self._collector.untouched

    def _announce_end(self, session: EngineSession) -> None:
        if isinstance(session.error, RunLocked):  # it goes on elsewhere
            return
        state = "failed" if session.failed else str((session.result or {}).get("state", "done"))
        told = "not begun" if session.left not in ("", "failed") else state
        status = RunFolder(session.path).status() if session.path is not None else None
        reached = ""
        if status is not None and status.accuracy is not None:
            reached = f", {score(status.accuracy, live=status.live, on=status.measured_on)}"
        mark = STATES.get(state, ("",))[0] if self.unicode else "*"
        self.announce(mark, session.path.name if session.path is not None else "run", f"{told}{reached}")

    # ---- pictures and colours

    @property
    def picture_mode(self) -> Mode:
        """How pictures are drawn now."""
        return mode_for(self.abilities, ascii_wanted=self._ascii)

    def action_toggle_ascii(self) -> None:
        """Half-blocks or ASCII."""
        self._ascii = not self._ascii
        self.remember(ascii=self._ascii, ascii_here=here())
        for screen in self.screen_stack:
            if isinstance(screen, RunScreen):
                screen.set_mode(self.picture_mode)
        drawn = self.picture_mode.told
        told = f"pictures: {drawn}"
        if self.graphics is not Graphics.OFF:
            told = f"pictures are sent as pixels; as characters (P) they are {drawn} now"
        self.notify_anew("pictures", told, timeout=2)

    def graphics_changed(self) -> None:
        """Another graphics protocol, or none."""
        for screen in self.screen_stack:
            if isinstance(screen, RunScreen):
                screen.set_mode(self.picture_mode)

    # ---- runs

    def take_name(self) -> str | None:
        """The name given on the command line, for the first run only."""
        name, self._name = self._name, None
        return name

    def start_run(self, order: Order, *, watch: bool = True) -> None:
        """Start a run in this process and (``watch``) show it."""
        self._watch_session()  # the end of the run before, where nobody has looked since
        if self.closing:
            return
        if self.session is not None and self.session.running:
            there = self.session.path.name if self.session.path is not None else "a run"
            ways = [self._way("show_live", "shows it")]
            if getattr(self.screen, "path", None) == order.resume:  # else the key means another one
                ways.append(self._way("enqueue", "puts this one into the queue"))
            told = f"{there} is going on here already{''.join(ways)}"
            self.notify(told, severity="warning", about=[LIVE])
            return
        self.take_back(LIVE, QUEUE)
        if order.resume is not None:
            self.not_over(order.resume.name)
        self._stage.kept, self._end_told = None, False
        self.session = EngineSession(order, self.turns.launch, self._say_later, self.descriptors)
        self.sessions.append(self.session)
        self.session.start()
        if watch:
            beside = self._stage.beside(order.resume)
            self._stage.show(RunScreen(self.session, mode=self.picture_mode, beside=beside))
        else:
            name = order.resume.name if order.resume else "the next run"
            self.notify(f"{name} begins{self._way('show_live', 'shows it')}", about=[LIVE])
            self.renew_question()
        self._stage.give_up()
        for before in self.sessions[:-1]:
            if not self._stage.holds(before):
                before.hand_over(lambda _event: None)

    def _say_later(self, said: str) -> None:
        self.call_later(partial(self.notify, said, lasting=True))

    def _print(self, text: str, stderr: bool = False) -> None:
        """What is printed in this process, by whichever thread: it is kept, that of a run's code with the run."""
        if self.session is not None and self.session.speaks:
            self.session.printed(text)
        elif self.descriptors is not None and self.descriptors.taken:
            self.descriptors.write(text.encode(errors="replace"))
        else:
            super()._print(text, stderr)

    def _way(self, action: str, does: str) -> str:
        """``; l shows it``: what a key does, where the screen that is shown has a key for the action; else nothing."""
        if isinstance(self.focused, Input):  # there it is a letter that is typed
            return ""
        for active in self.screen.active_bindings.values():
            if active.binding.action == action and active.enabled:
                return f"; {self.get_key_display(active.binding)} {does}"
        return ""

    def watches(self, session: EngineSession) -> bool:
        """Whether the screen shows this run to somebody who only looks on: whoever types there, or has just done
        something there or on the way there, would do it to another run."""
        screen = self.screen
        if not isinstance(screen, RunScreen) or screen.session is not session:
            return False
        return not isinstance(self.focused, Input) and self.untouched > HANDS_SECONDS

    def resume_run(self, folder: RunFolder, iterations: int | None = None) -> None:
        """Continue a run from its last checkpoint, in this process; with more ``iterations``, where these are given."""
        path = folder.path
        self.start_run(Order(runs_dir=path.parent, data_dir=self.data_dir, resume=path, iterations=iterations))

    def open_run(self, folder: RunFolder) -> None:
        """Show any run: the one of this process live, every other from its folder."""
        session = self.session
        here = session is not None and session.path is not None and _same(session.path, folder.path)
        if session is not None and here and not session.taken_up:
            self.show_live()
            return
        shown = self._stage.reading(folder.path)
        self._stage.show(shown or RunScreen(FolderSession(folder), mode=self.picture_mode))

    def action_browse(self) -> None:
        """All runs."""
        self._stage.show(self._stage.of(RunsScreen) or RunsScreen())

    def action_show_queue(self) -> None:
        """What waits."""
        self._stage.show(self._stage.of(QueueScreen) or QueueScreen())

    def compare(self, runs: list[RunInfo], inks: dict[str, int]) -> None:
        """Several runs in one plot."""
        self._stage.show(CompareScreen(runs, inks))

    def duplicate(self, run: RunInfo) -> None:
        """A run's settings into the home screen's form; where changes to its preset would be gone, it asks first."""
        try:
            config, origins = run.folder.config(), run.folder.about().origins
        except MimError as error:
            self.notify(str(error), severity="error")
            return

        def take(yes: bool | None) -> None:
            if yes:
                self.action_home()
                self._home.take_over(run, config, origins)

        if lost := self._home.at_stake(run, config):
            question = f"Give up {counted(len(lost), 'change')} to {run.preset}?"
            gone = f"{briefly(lost)} as typed on the preset: gone"
            self.push_screen(ConfirmScreen(question, gone, "Take the run's settings", "No, keep what I typed"), take)
        else:
            take(True)

    def show_live(self) -> None:
        """Show the run of this process."""
        if self.session is None:
            self.notify("no run was started here", severity="warning", about=[LIVE])
            return
        if self.session.path is not None and not there(self.session.path):
            self.notify(f"the folder of {self.session.path.name} is gone", severity="warning")
            return
        if self.session.path is not None and self.session.taken_up:
            self.open_run(RunFolder(self.session.path))
            return
        if isinstance(self.screen, RunScreen) and self.screen.session is self.session:
            return
        self._stage.show(self._stage.kept or RunScreen(self.session, mode=self.picture_mode))

    def back(self) -> None:
        """From a run to the screen it was opened from."""
        while isinstance(self.screen, RunScreen):
            self.pop_screen()

    def action_home(self) -> None:
        """Back to presets and runs."""
        self._stage.show(self._home)

    # ---- help

    def action_help(self) -> None:
        """The keys of the screen that is shown. Each page is made once and kept: it is there at once the next time."""
        if isinstance(self.screen, HelpScreen):
            return
        scopes = scopes_at(self.screen)
        kept = (scopes, self.theme)
        if kept not in self._helps:
            self._helps[kept] = HelpScreen(scopes)
            self.install_screen(self._helps[kept], name=f"help-{len(self._helps)}")
        self.push_screen(self._helps[kept])

    # ---- leaving

    def action_leave(self) -> None:
        """Quit, or ask what is to become of the run."""
        self._question.ask()

    def renew_question(self) -> None:
        """Where what is to become of the run is being asked: of the one that goes on now, and how many wait behind."""
        self._question.renew()

    def action_interrupt(self) -> None:
        """Ctrl-C: first ask, then stop with a checkpoint, then leave while that is still being written."""
        self._question.interrupt()

    def action_suspend(self) -> None:
        """Ctrl-Z: to the shell. A run of this process stands still meanwhile, so that takes the key twice."""
        self._suspension.ask()

    def leave(self, why: Leave) -> None:
        """Close the interface now."""
        self.leaving = why
        if why in (Leave.DETACH, Leave.HANGUP):
            self.turns.left_alone()
        self.emit(self.voice.restore_title())
        self.closing = True
        self.exit(why)

    def _watch_session(self) -> None:
        self._question.keep_up()
        session = self.session
        if session is None or session.running:
            return
        if session.failed:
            self.exit_status = 1
        if not self._end_told and not self.closing:
            self._end_told = True
            self.take_back(LIVE)
            self._announce_end(session)
            if self.leaving is None:
                self.turns.ended(session)
            self.renew_question()
        if self.leaving is Leave.DONE and not self.closing:
            self.leave(Leave.DONE)


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute()
