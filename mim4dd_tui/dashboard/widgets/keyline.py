"""The line of keys at the bottom, made anew only when it changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input
from textual.widgets._footer import FooterKey

from mim4dd_tui.dashboard.keys import first_of, without_arrows

Own = tuple[tuple[str, str, str], ...]
"""Keys as :data:`mim4dd_tui.dashboard.keys.TYPING` has them."""
SPARE = (("plot(", "zoom_pane", "scrub(", "replay", "enlarge("), ("next_view",))
"""Actions that are left out first where there is no room for all, those of the first group before the others."""


class KeyLine(Footer):
    """Textual's footer, which else is taken apart and made again whenever a screen comes or goes.

    That also happens on screens that are covered, where what was taken apart is not given free until they are seen.
    Keys that have no room are left out whole, from the end; the one that lists them all stays.
    """

    _shown: tuple[object, ...] | None = None
    _state: tuple[object, ...] = ()

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._names: dict[FooterKey, str] = {}  # what they are called usually

    def compose(self) -> ComposeResult:
        """All keys; while something is typed, those that are not characters of it. Which are seen follows."""
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        field = self.screen.focused
        own = [_of_field(*key) for key in _first(field)]
        known = {key.key for key in own}
        if isinstance(field, Input):
            keys = own + [key for key in keys if _beside_typing(key) and key.key not in known]
        elif own:
            keys = own + [key for key in keys if key.action != "edit" and key.key not in known]
        _each_once(keys)
        if not getattr(self.app, "braille", True):
            for key in keys:
                key.key_display = without_arrows(key.key_display)
        self._names = {key: key.description for key in keys}
        self._fit(keys)
        yield from keys

    def on_resize(self) -> None:
        """There may be room for more, or for fewer."""
        self._fit(list(self.query(FooterKey)))

    def _fit(self, keys: Sequence[FooterKey]) -> None:
        """Show the keys that do something as things stand, and of these as many as there is room for."""
        idle, labels, idle_here = idle_actions(self.screen), _labels(self.screen), _idle(self.screen.focused)
        for key in keys:
            name = labels.get(key.action or key.key, self._names.get(key, key.description))
            if name != key.description:
                key.description = name
                key.refresh(layout=True)
        shown = [key for key in keys if (key.action not in idle if key.action else key.key not in idle_here)]
        while sum(map(_width, shown)) > self.content_size.width + 1:  # nothing follows the last
            others = [key for key in shown if key.action != "help"]
            if not others:
                break
            spare = ([key for key in others if key.action.startswith(group)] for group in SPARE)
            shown.remove(next(filter(None, spare), others)[-1])  # nothing depends on what is spare
        for key in keys:
            key.display = key in shown

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Keys may have changed: those that there are decide whether they are made anew, else some come or go."""
        there = (
            _first(screen.focused),
            tuple(
                (active.binding.key, active.binding.description, active.binding.action, active.enabled)
                for active in screen.active_bindings.values()
                if active.binding.show
            ),
        )
        state = (idle_actions(screen), frozenset(_idle(screen.focused)), tuple(_labels(screen).items()))
        if there == self._shown:
            if state != self._state and screen.app.app_focus and screen is self.screen:
                self._state = state
                self._fit(list(self.query(FooterKey)))
            return
        if screen.app.app_focus and screen is self.screen:  # else nothing is made anew
            self._shown, self._state = there, state
        super().bindings_changed(screen)


def idle_actions(screen: Screen[object]) -> frozenset[str]:
    """Actions of a screen, and of what has the focus, that do nothing as things stand."""
    own: Collection[str] = getattr(screen.focused, "idle_actions", ())
    return frozenset({*_idle(screen), *own})


def _idle(place: object) -> Collection[str]:
    """What a screen says of its actions, or a field of its keys: that they do nothing as things stand."""
    idle: Collection[str] = getattr(place, "idle", ())
    return idle


def _labels(screen: object) -> Mapping[str, str]:
    """What a screen calls some of its actions, or a field of its keys, as things stand."""
    labels: Mapping[str, str] = getattr(screen, "labels", {})
    return labels


def _first(field: Widget | None) -> Own:
    """The keys of the field in focus; it says which do nothing there (``idle``)."""
    return first_of(field.id if field is not None else None)


def _of_field(key: str, face: str, does: str) -> FooterKey:
    """A key that the field itself answers; a click on it is the key."""
    return FooterKey(key, face, does, "")


def _beside_typing(key: FooterKey) -> bool:
    """Whether the key does the same while characters are typed; one that is there twice is called by its other name."""
    if len(key.key_display) > 1:
        return True
    function = key.key[1:].isdigit()  # f1 is shown as what is pressed elsewhere
    if function:
        key.key_display = key.key
    return function


def _each_once(keys: Sequence[FooterKey]) -> None:
    """Where the columns of a table are moved by arrows, these are no other keys' too."""
    taken = {key.key_display for key in keys if key.action.startswith("columns(")}
    for key in keys:
        faces = key.key_display.split()
        if len(faces) > 1 and taken:
            key.key_display = " ".join(face for face in faces if face not in taken) or key.key_display


def _width(key: FooterKey) -> int:
    """Columns of a key with its label, and of the blank after them."""
    return cell_len(f"{key.key_display} {key.description}") + 1
