"""The command palette's entries: every line of the table of keys that does something where and when it was called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property

from textual.actions import parse
from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.screen import Screen

from mim4dd_tui.dashboard.keys import KEYS, TITLES, Key, scopes_at
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
    idle, found, shown = idle_actions(screen), [], _Shown(screen)
    arrows = bool(getattr(screen.app, "braille", True))
    helps: Mapping[str, str] = getattr(screen, "helps", {})
    for scope in scopes_at(screen):
        keys = [key for key in KEYS if key.scope == scope and key.action not in idle]
        found += [key for key in keys if key.action != "command_palette" and _works(shown, key)]
    names = Counter(_name(key, arrows) for key in found)
    for key in found:
        where = f", {TITLES[key.scope].partition(' (')[0].lower()}" if names[_name(key, arrows)] > 1 else ""
        yield SystemCommand(_name(key, arrows) + where, helps.get(key.action, key.help), _deed(screen, key))


def _name(key: Key, arrows: bool) -> str:
    return f"{key.label} ({key.shown(arrows=arrows)})"


class _Shown:
    """What can be seen of a screen: found once for all keys, and not before one of them asks for it."""

    def __init__(self, screen: Screen[object]) -> None:
        self.screen = screen

    @cached_property
    def around(self) -> list[DOMNode]:
        """The widget in focus and those around it."""
        screen = self.screen
        focused = screen.focused.ancestors_with_self if screen.focused is not None else []
        return [node for node in focused if node is not screen and node is not screen.app]

    @cached_property
    def nodes(self) -> list[DOMNode]:
        """All widgets that are not hidden, nor within one that is."""
        return list(_displayed(self.screen))


def _displayed(node: DOMNode) -> Iterator[DOMNode]:
    for child in node.children:
        if child.display:
            yield child
            yield from _displayed(child)


def _works(shown: _Shown, key: Key) -> bool:
    """Whether there is something that the action belongs to, and that takes it now."""
    place, (_, name, parameters) = _place(shown, key), parse(key.action)
    return place is not None and bool(place.check_action(name, parameters))


def place_of(screen: Screen[object], key: Key) -> DOMNode | None:
    """What the action belongs to, in this order: the widget in focus or one around it, a part seen that has the key's
    scope, the screen, the app, any widget seen. A part with another scope of its own never is."""
    return _place(_Shown(screen), key)


def _place(shown: _Shown, key: Key) -> DOMNode | None:
    name = "action_" + key.action.partition("(")[0]
    for place in _places(shown, key):
        if getattr(place, "SCOPE", key.scope) == key.scope and hasattr(place, name) and _declares(place, key):
            return place
    return None


def _places(shown: _Shown, key: Key) -> Iterator[DOMNode]:
    yield from shown.around
    yield from (node for node in shown.nodes if getattr(node, "SCOPE", None) == key.scope)
    yield shown.screen
    yield shown.screen.app
    yield from shown.nodes


def _declares(place: DOMNode, key: Key) -> bool:
    """Whether the key is among its bindings: a name alone may belong to somebody else's action."""
    return any(binding.action == key.action for _, binding in place._bindings)


def _deed(screen: Screen[object], key: Key) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        place = place_of(screen, key)
        if place is not None:
            await screen.app.run_action(key.action, place)

    return run
