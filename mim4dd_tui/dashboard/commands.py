"""The command palette's entries: every line of the table of keys that does something where and when it was called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.screen import Screen

from mim4dd_tui.dashboard.keys import KEYS, Key, scopes_at
from mim4dd_tui.dashboard.widgets.keyline import idle_actions

LESSER = 1e-3
"""Score of an entry that was found by its sentence: below every one found by its name."""


class KeyCommands(Provider):
    """The palette's source: names first, then the sentences under them."""

    async def discover(self) -> Hits:
        """Every entry, by name, before anything is typed."""
        for command in sorted(self.app.get_system_commands(self.screen), key=lambda command: command.title):
            yield DiscoveryHit(command.title, command.callback, help=command.help)

    async def search(self, query: str) -> Hits:
        """Entries whose name has the letters typed, in their order, and those whose sentence has the words."""
        matcher, words = self.matcher(query), query.lower().split()
        for command in self.app.get_system_commands(self.screen):
            match = matcher.match(command.title)
            if match > 0:
                yield Hit(match, matcher.highlight(command.title), command.callback, help=command.help)
            elif all(word in command.help.lower() for word in words):
                yield Hit(LESSER, command.title, command.callback, help=command.help)


def commands(screen: Screen[object]) -> Iterator[SystemCommand]:
    """Entries for a screen: those of its own scopes first, each with the key that does the same."""
    idle = idle_actions(screen)
    for scope in scopes_at(screen):
        for key in KEYS:
            if key.scope == scope and key.action != "command_palette" and key.action not in idle:
                place = place_of(screen, key)
                if place is not None:
                    yield SystemCommand(f"{key.label} ({key.shown()})", key.help, _deed(screen, key))


def place_of(screen: Screen[object], key: Key) -> DOMNode | None:
    """What the action belongs to: the widget in focus or one around it, the screen, the app, else any widget seen."""
    name = "action_" + key.action.partition("(")[0]
    around = list(screen.focused.ancestors_with_self) if screen.focused is not None else []
    seen = (node for node in screen.query("*") if all(each.display for each in node.ancestors_with_self))
    places: list[DOMNode] = [*around, screen, screen.app, *seen]
    return next((place for place in places if hasattr(place, name) and _declares(place, key)), None)


def _declares(place: DOMNode, key: Key) -> bool:
    """Whether the key is among its bindings: a name alone may belong to somebody else's action."""
    return any(binding.action == key.action for _, binding in place._bindings)


def _deed(screen: Screen[object], key: Key) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        place = place_of(screen, key)
        if place is not None:
            await screen.app.run_action(key.action, place)

    return run
