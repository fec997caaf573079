"""What is said of the preset or the run that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static

from engine.config.schema import Config
from engine.data.sources import find
from mim4dd_tui.dashboard import estimate
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.details import preset_line, preset_text, run_text
from mim4dd_tui.dashboard.ink import in_rich
from mim4dd_tui.dashboard.measured import Measured
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.own import own_preset

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp


class Summary(Static):
    """Some lines, or one.

    Attributes:
        measured: what earlier runs took; None until they have been looked through.
    """

    measured: list[Measured] | None = None

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    def tell_run(self, run: RunInfo) -> None:
        """Of a run: its state, and what it came to."""
        self.set_class(True, "-run")
        style = in_rich(self, STATES.get(run.state, ("", "secondary"))[1])
        room = (self.content_size.width, self.parent.content_size.height) if isinstance(self.parent, Widget) else None
        seen = room if room is not None and all(room) else None  # else it has no place yet
        self.update(run_text(run, style, unicode=self.dashboard.unicode, room=seen))

    def tell_preset(self, name: str, config: Config, *, brief: bool, wrong: str = "") -> None:
        """Of a preset as it is changed: what it is, and what it will take here; ``brief`` in a line.

        Args:
            wrong: why the settings are not its own as it is now, but those from before; empty where they are.
        """
        self.set_class(False, "-run")
        width, warning = self.content_size.width, in_rich(self, "warning")
        if self.measured is None:
            cost = estimate.waiting()
        else:
            found, room = estimate.estimate(config, self.measured), estimate.room(self.dashboard.runs_dir)
            cost = [estimate.in_a_line(found, **room)] if brief else estimate.in_words(found, width=width, **room)
            cost += [] if brief else self._data(config.data.name)
        if wrong:
            cost.insert(0, f"! {wrong}" + ("" if brief else ": these are its settings from before"))
        if brief:
            self.update(preset_line(name, cost[0], warning, width))
        else:
            self.update(preset_text(name, config, cost, warning, own_preset(name)))

    def _data(self, name: str) -> list[str]:
        """What is to be known of a data set's files; nothing where they are there."""
        try:
            return [] if find(name, self.dashboard.data_dir) else [f"! {name} has to be downloaded"]
        except OSError as error:
            return [f"! {name} cannot be looked for: {error.strerror}: {error.filename}"]

    def tell_problem(self, problem: str) -> None:
        """Why nothing can be chosen."""
        self.set_class(False, "-run")
        self.update(Text(problem, style=in_rich(self, "error")))
