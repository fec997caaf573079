"""Keys that come at once, as over a slow connection, are answered one after the other.

Textual hands each key to what has the focus as soon as it is read. A letter is typed there and then, but what is bound
to a key is done only when the key has come up to the app, and what that sends has yet to arrive: of ``ctrl+u 5`` the
5 would be deleted too, and what follows an enter would be typed into the field that was left.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import Key, Paste

Give = Callable[[Key | Paste], Awaitable[None]]

ROUNDS = 2
"""From the focus up to the app: the first takes the key there, the second what the key's action has sent."""
LOST_SECONDS = 3.0
"""Then the answer to a key is no longer waited for: no widget may keep the keyboard from the others."""


class InOrder:
    """Holds a key back until the one before it has been answered."""

    def __init__(self, app: App[Any], give: Give) -> None:
        self._app, self._give = app, give
        self._held: deque[Key | Paste] = deque()
        self._walk = 0  # counts the keys given, so that an answer waited for no longer is known when it comes
        self._since: float | None = None  # when the key was given that is not yet answered

    async def take(self, event: Key | Paste) -> None:
        """Give a key on now, or when its turn comes."""
        self._held.append(event)
        if self._since is None:
            await self._next()
        elif time.monotonic() - self._since > LOST_SECONDS:
            for _ in range(len(self._held)):
                await self._next()

    async def _next(self) -> None:
        if not (self._held and self._app.screen_stack):  # without a screen, the app is closing
            self._since = None
            return
        self._walk += 1
        self._since = time.monotonic()
        target = self._target
        try:
            await self._give(self._held.popleft())
        finally:
            await self._follow(target, self._walk, ROUNDS)

    @property
    def _target(self) -> DOMNode:
        return self._app.focused or self._app.screen

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
                await self._next()

        await step()
