"""Where notices stand: at the right edge, over what says least, and over nothing that is being chosen or typed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from rich.cells import cell_len
from textual._compositor import CompositorUpdate
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.widgets import Input
from textual.widgets._toast import Toast, ToastRack

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.telling import TellingApp

FRAME = 3
"""Columns of a notice that are none of its text."""
WORD, MARK, KEPT, LINE = 4, 1, 100_000, 2
"""What it costs to cover a letter or digit, any other character (a curve's or a picture's), and a kept cell; and to
stand a line higher, so that for a few letters notices leave their usual place for no other."""


@runtime_checkable
class Keeping(Protocol):
    """A widget with a part that no notice is to lie over: the line under the cursor, what is being typed."""

    @property
    def kept_free(self) -> Region:
        """That part, on the screen; empty for none."""


def place(lines: Sequence[str], widths: Sequence[int], kept: Sequence[Region]) -> int:
    """How many lines from the bottom notices stand best, always above the footer.

    Args:
        lines: what is on the screen, as wide as it is.
        widths: of every line of the notices, top to bottom, the columns covered from the right edge; 0 for none.
        kept: what is to stay free.
    """
    places = range(1, max(2, len(lines) - len(widths) + 1))
    return min(places, key=lambda below: _cost(lines, _covered(lines, widths, below), kept) + LINE * below)


def _covered(lines: Sequence[str], widths: Sequence[int], below: int) -> list[Region]:
    top, right = len(lines) - below - len(widths), max(map(len, lines), default=0)
    return [Region(right - width, top + y, width, 1) for y, width in enumerate(widths) if width and top + y >= 0]


def _cost(lines: Sequence[str], covered: Sequence[Region], kept: Sequence[Region]) -> int:
    cells = [character for one in covered for character in lines[one.y][max(0, one.x) : one.right]]
    signs = sum(WORD if cell.isalnum() else MARK for cell in cells if not cell.isspace())
    return signs + KEPT * sum(one.intersection(each).area for one in covered for each in kept)


class Aside:
    """Has the notices of a screen stand aside: at their coming, and again where a cursor comes under them."""

    def __init__(self, app: TellingApp[Any]) -> None:
        self._app = app
        self._settled: tuple[object, ...] = ()  # what was to be kept free, and of whom, when they took their place

    def take_place(self) -> None:
        """Before notices are shown; those that stand stay there. Above a dialog all have a place of their own."""
        found = self._place()
        if found is not None and not any(toast.is_attached for toast in found[1].query(Toast)):
            self._move(*found)

    def seen(self, _update: CompositorUpdate) -> None:
        """After a frame: whether what is kept free came under a notice."""
        found = self._place()
        if found is None:
            return
        screen, rack = found
        kept = _kept(screen)
        under = any(toast.region.overlaps(one) for toast in rack.query(Toast) for one in kept)
        if under and self._settled != self._now(kept):  # else there is no better place
            self._move(screen, rack)

    def _place(self) -> tuple[Screen[object], ToastRack] | None:
        """The screen that has to find one for notices, and where it has them; None where there is nothing to find."""
        app = self._app
        if app.closing or not len(app._notifications) or not app.screen_stack or isinstance(app.screen, ModalScreen):
            return None
        rack = next(iter(app.screen.query_children(ToastRack)), None)
        return None if rack is None else (app.screen, rack)

    def _now(self, kept: list[Region]) -> tuple[object, ...]:
        return kept, [notice.identity for notice in self._app._notifications]

    def _move(self, screen: Screen[object], rack: ToastRack) -> None:
        width, height = screen.size
        strips = screen._compositor.render_strips()
        if len(strips) != height:  # it is not laid out yet
            return
        lines = ["".join(sign * cell_len(sign) for sign in strip.text)[:width].ljust(width) for strip in strips]
        kept = _kept(screen)
        self._settled = self._now(kept)
        rack.styles.margin = (0, 0, place(lines, list(self._widths(width)), kept), 0)

    def _widths(self, room: int) -> Iterator[int]:
        """Columns that every line of the notices covers; between two of them is a free one."""
        for number, notice in enumerate(self._app._notifications):
            lines = [*([notice.title] if notice.title else []), *notice.message.split("\n")]
            width = min(max(map(len, lines)) + FRAME, room)
            yield from [*([0] if number else []), *([width] * len(lines))]


def _kept(screen: Screen[object]) -> list[Region]:
    """What is to stay free on a screen."""
    found = [node.kept_free for node in screen.walk_children() if isinstance(node, Keeping)]
    focused = cast("object", screen.focused)
    if isinstance(focused, Input):
        found.append(focused.region)
    return [region for region in found if region.area]
