"""The dashboard's frame: screens, themes, the one run of this process, and every way of leaving."""

from __future__ import annotations

import asyncio
import os
import signal
from enum import Enum
from pathlib import Path

from textual.app import App
from textual.theme import Theme

from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.driver import EnduringDriver
from mim4dd_tui.dashboard.keys import Scope, bindings
from mim4dd_tui.dashboard.screens.dialogs import Answer, HelpScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import EngineSession, FolderSession, Launch, Order, launch_engine
from mim4dd_tui.dashboard.themes import TERMINAL, THEMES
from mim4dd_tui.pictures import Mode, mode_for
from mim4dd_tui.terminal import Abilities, Colours


class Leave(Enum):
    """Why the interface closed."""

    DONE = "done"
    DETACH = "detach"  # let the run go on, with plain lines
    HANGUP = "hangup"  # the terminal is gone; the run goes on in silence
    TERMINATED = "terminated"  # SIGTERM: stop with a checkpoint


class DashboardApp(App[Leave]):
    """Owns at most one engine run; a second one would share torch's global state and spoil both."""

    TITLE = "mim4dd"
    CSS_PATH = "app.tcss"
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
        launch: Launch = launch_engine,
        signals: bool = False,
    ) -> None:
        super().__init__(driver_class=EnduringDriver if signals else None)
        self.runs_dir = runs_dir
        self.data_dir = data_dir
        self.abilities = abilities
        self.unicode = abilities.unicode
        self.braille = abilities.braille
        self.slow_link = abilities.remote
        self.session: EngineSession | None = None
        self.leaving: Leave | None = None
        self.closing = False  # screens must not touch widgets any more: they may be half-made or gone
        self.exit_status = 0
        self._ascii = abilities.ascii_pictures
        self._home = HomeScreen(preset=preset, overrides=overrides, start=autostart and attach is None)
        self._name = name
        self._autostart = autostart
        self._attached = attach
        self._launch_run = launch
        self._signals = signals

    # ---- opening

    def on_load(self) -> None:
        """Signals, before the terminal is changed."""
        if self._signals:
            self._listen()

    def on_mount(self) -> None:
        """Themes, the first screen."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._first_theme().name
        if self.abilities.remote:
            self.animation_level = "none"
        self.push_screen(self._home)
        self.set_interval(0.25, self._watch_session)
        if self._attached is not None:
            show = self.resume_run if self._autostart else self.open_run
            self.call_after_refresh(show, RunFolder(self._attached.absolute()))

    def _first_theme(self) -> Theme:
        return TERMINAL if self.abilities.colours <= Colours.BASIC else THEMES[0]

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        loop.add_signal_handler(signal.SIGTERM, self._terminated)

    def _hung_up(self) -> None:
        """The terminal is gone: nothing may be written to it again, so its descriptors lead nowhere now."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        self.leave(Leave.HANGUP)

    def _terminated(self) -> None:
        if self.session is not None and self.session.running:
            self.session.request("stop")
        self.leave(Leave.TERMINATED)

    # ---- pictures and colours

    @property
    def picture_mode(self) -> Mode:
        """How pictures are drawn now."""
        return mode_for(self.abilities, ascii_wanted=self._ascii)

    def action_toggle_ascii(self) -> None:
        """Half-blocks or ASCII."""
        self._ascii = not self._ascii
        for screen in self.screen_stack:
            if isinstance(screen, RunScreen):
                screen.set_mode(self.picture_mode)
        self.notify(f"pictures: {self.picture_mode.value}", timeout=2)

    def action_next_theme(self) -> None:
        """The next theme."""
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    # ---- runs

    def take_name(self) -> str | None:
        """The name given on the command line, for the first run only."""
        name, self._name = self._name, None
        return name

    def start_run(self, order: Order) -> None:
        """Start a run in this process and show it."""
        if self.closing:
            return
        if self.session is not None and self.session.running:
            self.notify("a run is going on here already (l shows it); stop it first", severity="warning")
            return
        self.session = EngineSession(order, self._launch_run)
        self.session.start()
        self._show(RunScreen(self.session, mode=self.picture_mode, config=order.config))

    def resume_run(self, folder: RunFolder) -> None:
        """Continue a run from its last checkpoint, in this process."""
        self.start_run(Order(runs_dir=folder.path.parent, data_dir=self.data_dir, resume=folder.path))

    def open_run(self, folder: RunFolder) -> None:
        """Show any run: the one of this process live, every other from its folder."""
        session = self.session
        if session is not None and session.path is not None and _same(session.path, folder.path):
            self.show_live()
            return
        self._show(RunScreen(FolderSession(folder), mode=self.picture_mode))

    def show_live(self) -> None:
        """Show the run of this process."""
        if self.session is None:
            self.notify("no run was started here", severity="warning")
            return
        if isinstance(self.screen, RunScreen) and self.screen.session is self.session:
            return
        self._show(self._live_screen or RunScreen(self.session, mode=self.picture_mode))

    @property
    def _live_screen(self) -> RunScreen | None:
        return self._kept

    _kept: RunScreen | None = None

    def _show(self, screen: RunScreen) -> None:
        while isinstance(self.screen, RunScreen):
            self.pop_screen()
        if screen.session.owned:
            self._kept = screen
            if not self.is_screen_installed(screen):
                self.install_screen(screen, name=f"live-{id(screen)}")
        self.push_screen(screen)

    def action_home(self) -> None:
        """Back to presets and runs."""
        while len(self.screen_stack) > 2 and not isinstance(self.screen, HomeScreen):
            self.pop_screen()

    # ---- help

    def action_help(self) -> None:
        """The keys of the screen that is shown."""
        if isinstance(self.screen, HelpScreen):
            return
        run: tuple[Scope, ...] = ("run", "plot", "pictures", "log", "app")
        home: tuple[Scope, ...] = ("home", "settings", "app")
        self.push_screen(HelpScreen(run if isinstance(self.screen, RunScreen) else home))

    # ---- leaving

    def action_leave(self) -> None:
        """Quit, or ask what is to become of the run."""
        session = self.session
        if isinstance(self.screen, QuitScreen):
            return
        if session is None or not session.running:
            self.leave(Leave.DONE)
            return
        name = session.path.name if session.path is not None else ""
        self.push_screen(QuitScreen(name), self._answered)

    def action_interrupt(self) -> None:
        """Ctrl-C: first ask, then stop with a checkpoint, then leave while that is still being written."""
        session = self.session
        if isinstance(self.screen, QuitScreen):
            self.screen.action_answer("stop")
        elif session is not None and session.running and self.leaving is not None:
            self.leave(Leave.DETACH)
        else:
            self.action_leave()

    def _answered(self, answer: Answer | None) -> None:
        session = self.session
        if session is None or not session.running:
            if answer != "cancel":
                self.leave(Leave.DONE)
        elif answer == "detach":
            self.leave(Leave.DETACH)
        elif answer == "stop":
            # leave when the checkpoint is on disk: _watch_session sees the thread end
            self.leaving = Leave.DONE
            session.request("stop")
            self.notify("stopping at the next step, with a checkpoint ...", timeout=30)

    def leave(self, why: Leave) -> None:
        """Close the interface now."""
        self.leaving = why
        self.closing = True
        self.exit(why)

    def _watch_session(self) -> None:
        session = self.session
        if session is None or session.running:
            return
        if session.failed:
            self.exit_status = 1
        if self.leaving is Leave.DONE and not self.closing:
            self.leave(Leave.DONE)


def _same(a: Path, b: Path) -> bool:
    return a.absolute() == b.absolute()
