"""Keys and clicks that come at once, as over a slow connection, are answered one after the other.

Textual hands each key to what has the focus as soon as it is read. A letter is typed there and then, but what is bound
to a key is done only when the key has come up to the app, and what that sends has yet to arrive: of ``ctrl+u 5`` the
5 would be deleted too, and what follows an enter would be typed into the field that was left. A click would be taken
by what lies there before the keys have changed it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.errors import NoWidget
from textual.events import Key, MouseDown, MouseEvent, MouseMove, Paste

Input = Key | Paste | MouseEvent
Give = Callable[[Input], Awaitable[None]]

ROUNDS = 2
"""From the focus up to the app: the first takes the key there, the second what the key's action has sent."""
LOST_SECONDS = 3.0
"""Then the answer to a key is no longer waited for: no widget may keep the keyboard from the others."""


class InOrder:
    """Holds a key or a click back until the one before it has been answered.

    A mouse that only moves waits for what came before it, and nothing waits for it.
    """

    def __init__(self, app: App[Any], give: Give) -> None:
        self._app, self._give = app, give
        self._held: deque[Input] = deque()
        self._walk = 0  # counts the keys given, so that an answer waited for no longer is known when it comes
        self._since: float | None = None  # when the key was given that is not yet answered

    async def take(self, event: Input) -> None:
        """Give a key or an event of the mouse on now, or when its turn comes."""
        self._held.append(event)
        if self._since is None:
            await self._next()
        elif time.monotonic() - self._since > LOST_SECONDS:
            for _ in range(len(self._held)):
                await self._next()

    async def _next(self, *, waited: bool = False) -> None:
        """Give the next one. A click that ``waited`` also waits until what the keys have changed is laid out."""
        if not (self._held and self._app.screen_stack):  # without a screen, the app is closing
            self._since = None
            return
        self._walk += 1
        while self._held and isinstance(self._held[0], MouseMove):
            await self._give(self._held.popleft())
        if not self._held:
            self._since = None
            return
        self._since = time.monotonic()
        event, walk = self._held.popleft(), self._walk

        def laid_out() -> None:
            self._app.call_later(self._hand, event, walk)

        if not (waited and isinstance(event, MouseDown) and self._app.screen.call_after_refresh(laid_out)):
            await self._hand(event, walk)

    async def _hand(self, event: Input, walk: int) -> None:
        target = self._under(event) if isinstance(event, MouseEvent) else self._target
        try:
            await self._give(event)
        finally:
            await self._follow(target, walk, ROUNDS)

    @property
    def _target(self) -> DOMNode:
        return self._app.focused or self._app.screen

    def _under(self, event: MouseEvent) -> DOMNode:
        if self._app.mouse_captured is not None:
            return self._app.mouse_captured
        try:
            return self._app.get_widget_at(event.x, event.y)[0]
        except NoWidget:
            return self._app.screen

    async def _follow(self, target: DOMNode, walk: int, rounds: int) -> None:
        """Up the way of the key, behind it in the queue of each; then again, or on to the next key."""
        below = [node for node in target.ancestors_with_self if node is not self._app]
        way = iter([*below, self._app])  # what was removed meanwhile no longer leads up to the app

        async def step() -> None:
            if walk != self._walk:
                return
            if any(node.call_later(step) for node in way):  # those that are gone are passed over
                return
            if rounds > 1:
                await self._follow(target, walk, rounds - 1)
            elif rounds == 1 and self._app.screen_stack and self._target is not target:
                await self._follow(self._target, walk, 0)  # what has the focus now may be about to pass it on
            else:
                await self._next(waited=True)

        await step()
