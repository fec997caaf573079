"""What is put off may come while a screen is made or taken away: nothing of it touches parts that are not there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual._callback import invoke
from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen
from textual.signal import Signal

from engine.config.load import resolve
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, HelpScreen, NameScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.session import FolderSession
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.graphics.choice import Graphics
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, until
from tests.dashboard.shelves import fill

Seen = Callable[[DashboardApp, Pilot[Leave], Path], Awaitable[None]]
TURNS = 400
"""Turns of the event loop in which a screen has come, or gone, many times over."""


@dataclass(frozen=True)
class Later:
    """A callback that the program put off, and by which way."""

    node: DOMNode
    around: tuple[DOMNode, ...]  # whose it is, and the ancestors then: what is gone has none any more
    way: str
    callback: Callable[[], object]

    @property
    def comes(self) -> bool:
        """Whether it can still come as things stand."""
        if self.way == "call_after_refresh":  # the screen in front calls it, whatever has become of the node
            return True
        if self.way == "subscribe":
            return self.node.is_running and self.node.is_attached and not self.node._pruning
        return not self.node._closing


class Collected:
    """All that was put off, from its making on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.all: list[Later] = []
        for way, place in (("call_after_refresh", 0), ("call_later", 0), ("set_interval", 1), ("set_timer", 1)):
            patch.setattr(MessagePump, way, self._kept(way, place, getattr(MessagePump, way)))
        subscribe = Signal.subscribe

        def kept(
            signal: Signal[Any], node: DOMNode, callback: Callable[[Any], object], immediate: bool = False
        ) -> None:
            self._keep(node, "subscribe", partial(callback, signal.owner))
            subscribe(signal, node, callback, immediate)

        patch.setattr(Signal, "subscribe", kept)
        make = Screen._pre_process

        async def made(screen: Screen[Any]) -> bool:
            return await self.call_while_made(screen, make)

        patch.setattr(Screen, "_pre_process", made)

    def _kept(self, way: str, place: int, original: Callable[..., Any]) -> Callable[..., Any]:
        def put_off(pump: MessagePump, *given: Any, **named: Any) -> Any:
            arguments = {} if place else named  # of a timer they are its own
            self._keep(pump, way, partial(given[place], *given[place + 1 :], **arguments))
            return original(pump, *given, **named)

        return put_off

    def _keep(self, pump: MessagePump, way: str, callback: partial[Any]) -> None:
        own = sys._getframe(2).f_globals["__name__"].startswith("mim4dd_tui.")
        if own and isinstance(pump, DOMNode):
            whose = getattr(callback.func, "__self__", pump)  # the app puts off what belongs to a screen
            node = whose if isinstance(whose, DOMNode) else pump
            self.all.append(Later(pump, (*node.ancestors_with_self, *pump.ancestors_with_self), way, callback))

    async def call(self, screen: Screen[Any]) -> None:
        """Everything that was put off by this screen and its widgets, and that may come now."""
        for later in [later for later in self.all if screen in later.around and later.comes]:
            with later.node._context():
                await invoke(later.callback)

    async def call_while_made(self, screen: Screen[Any], make: Callable[[Screen[Any]], Awaitable[bool]]) -> bool:
        """The same, again and again until the screen has all its parts."""

        async def again() -> None:
            while True:
                await self.call(screen)
                await asyncio.sleep(0)

        calling = asyncio.create_task(again())
        made = await make(screen)
        assert calling.cancel(), calling.exception()
        return made


async def home(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "third" in text(app))
    await pilot.press("slash", "d", "escape", "e", "down", "r", "down", "p")


async def settings(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await home(app, pilot, runs)
    await pilot.press("e", "slash", "s", "enter", "enter")
    await until(pilot, lambda: app.focused is not None and app.focused.id == "settings-value")


async def run(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    app.open_run(Shelf(runs).read()[0].folder)
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
    await pilot.press("v", "z", "tab", "z", "3", "4", "slash", "a", "enter", "k", "1")


async def live(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
    await pilot.press("comma", "p", "3", "enter")


async def browser(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "third" in text(app))
    await pilot.press("space", "s", "slash", "f")


async def comparison(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    infos = Shelf(runs).read()
    app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
    await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "90.0" in text(app))
    await pilot.press("M", "z", "m")


async def queue(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    app.turns.queue.add(resolve("digits-ipc1").config, [0, 1])
    await pilot.press("Q")
    await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "2 waiting" in text(app))
    await pilot.press("j", "K")


async def deletion(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await browser(app, pilot, runs)
    await pilot.press("escape", "X")
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    await pilot.press("down")


async def name(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await settings(app, pilot, runs)
    await pilot.press("escape", "S")
    await until(pilot, lambda: isinstance(app.screen, NameScreen))
    await pilot.press("a")


async def leaving(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await live(app, pilot, runs)
    await pilot.press("q")
    await until(pilot, lambda: isinstance(app.screen, QuitScreen) and "still going" in text(app))
    await pilot.press("down")


async def keys(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await pilot.press("question_mark")
    await until(pilot, lambda: isinstance(app.screen, HelpScreen))
    await pilot.press("j")


async def commands(app: DashboardApp, pilot: Pilot[Leave], runs: Path) -> None:
    await pilot.press("colon", "a")
    await pilot.pause()


SEEN: tuple[Seen, ...] = (home, run, live)
ALSO_SEEN: tuple[Seen, ...] = (settings, browser, comparison, queue, deletion, name, leaving, keys, commands)
"""Of which less is put off: the quick suite leaves them out."""


def taken_away(app: DashboardApp, screen: Screen[Any]) -> None:
    """From the stack; a screen that is kept for the next time would stay whole, so it is given up."""
    app.pop_screen()
    if app.is_screen_installed(screen):
        app.uninstall_screen(screen)
        screen.remove()


@pytest.mark.parametrize(
    "seen",
    [
        *(pytest.param(seen, id=seen.__name__) for seen in SEEN),
        *(pytest.param(seen, id=seen.__name__, marks=pytest.mark.long) for seen in ALSO_SEEN),
    ],
)
async def test_what_was_put_off_leaves_a_screen_alone_that_is_made_or_taken_away(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    fill(tmp_path / "runs")
    collected = Collected(monkeypatch)
    app = make_app(FakeEngine(iterations=12, hold=True), graphics=Graphics.KITTY)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "third" in text(app))
        await seen(app, pilot, tmp_path / "runs")
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        screen = app.screen
        taken_away(app, screen)
        assert any(screen in later.around for later in collected.all) or not screen.__module__.startswith("mim4dd_tui.")
        for _ in range(TURNS):
            await collected.call(screen)
            await asyncio.sleep(0)
        assert not screen.is_attached


@pytest.mark.parametrize("turns", range(3))
@pytest.mark.parametrize("which", ["browser", "queue", "comparison", "run", "help"])
async def test_the_dashboard_closes_while_a_screen_is_made(
    make_app: MakeApp, tmp_path: Path, which: str, turns: int
) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "third" in text(app))
        infos = Shelf(tmp_path / "runs").read()
        inks = {info.name: k for k, info in enumerate(infos, 1)}
        screens: dict[str, Callable[[], Screen[None]]] = {
            "browser": RunsScreen,
            "queue": QueueScreen,
            "comparison": lambda: CompareScreen(infos, inks),
            "run": lambda: RunScreen(FolderSession(infos[0].folder), mode=app.picture_mode),
            "help": lambda: HelpScreen(("home", "app")),
        }
        app.push_screen(screens[which]())
        for _ in range(turns):
            await asyncio.sleep(0)
        app.leave(Leave.DONE)
    assert app.return_value is Leave.DONE


async def test_a_run_that_ends_when_no_screen_is_left_is_asked_about_nowhere(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test():
        pass
    assert app.screen_stack == []
    app.renew_question()
