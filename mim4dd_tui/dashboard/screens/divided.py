"""A screen with panes that are moved by keys and by the mouse, and stand so the next time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual import on
from textual.screen import Screen
from textual.widget import Widget

from mim4dd_tui.dashboard.widgets.panes import STEP, Axis, Panes, Sizes
from mim4dd_tui.dashboard.widgets.plot import PlotPane

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp


class DividedScreen(Screen[None]):
    """Has one grid of panes, or one within another."""

    def take_sizes(self) -> None:
        """Panes as they were moved the last time."""
        self._sizes: Sizes = {key: list(sizes) for key, sizes in self._remembering.remembered.panes.items()}
        for panes in self.query(Panes):
            panes.sizes = self._sizes

    def focus_next(self, selector: str | type[Widget] = "*") -> Widget | None:
        """The next part; where one curve is shown alone, the next curve alone."""
        return self.focused if self._turned(1) else super().focus_next(selector)

    def focus_previous(self, selector: str | type[Widget] = "*") -> Widget | None:
        """The one before."""
        return self.focused if self._turned(-1) else super().focus_previous(selector)

    def alone(self) -> Sequence[PlotPane]:
        """The curves of which one is shown alone, by its class ``-alone``; none where all are seen."""
        raise NotImplementedError

    def _turned(self, step: int) -> bool:
        panes = self.alone()
        seen = next((place for place, pane in enumerate(panes) if pane.has_class("-alone")), None)
        if seen is None:
            return False
        panes[seen].remove_class("-alone")
        following = panes[(seen + step) % len(panes)]
        following.add_class("-alone")
        following.focus()
        return True

    def action_divide(self, axis: Axis, step: int) -> None:
        """Move a line beside the pane in focus, else the first of the screen."""
        around = self.focused.ancestors_with_self if self.focused is not None else []
        nearest = [node for node in around if isinstance(node, Panes)]
        others = [panes for panes in self.query(Panes) if panes not in nearest]
        if not any(panes.move(axis, step * STEP[axis], self.focused) for panes in (*nearest, *others)):
            self.notify(f"there are no {axis} to be moved here", severity="warning", timeout=3)

    def action_divide_evenly(self) -> None:
        """All panes as they were at first."""
        for panes in self.query(Panes):
            panes.equal()

    @on(Panes.Moved)
    def _moved(self, message: Panes.Moved) -> None:
        message.stop()
        self._remembering.remember(panes={key: list(sizes) for key, sizes in self._sizes.items()})

    @property
    def _remembering(self) -> DashboardApp:
        return cast("DashboardApp", self.app)
