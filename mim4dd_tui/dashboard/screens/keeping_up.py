"""Runs read again and again while a screen is seen, and measured when it comes back: under the first screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.message import Message
from textual.screen import Screen

from engine.errors import MimError
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.measured import Measured, Measurements, kept_experts
from mim4dd_tui.dashboard.reading import Reading
from mim4dd_tui.fitting import homely

if TYPE_CHECKING:
    from mim4dd_tui.dashboard.app import DashboardApp

RUNS_SECONDS = 3.0
"""How often the list of runs is read again while it is seen: other processes make and end runs too."""


class KeepingUpScreen(Screen[None]):
    """Reads on worker threads, as there may be many runs; messages bring what was found."""

    class RunsRead(Message):
        """The list of runs was read."""

        def __init__(self, runs: list[RunInfo], problem: str) -> None:
            super().__init__()
            self.runs = runs
            self.problem = problem

    class Measured(Message):
        """Earlier runs were measured."""

        def __init__(self, measured: list[Measured]) -> None:
            super().__init__()
            self.measured = measured

    def __init__(self) -> None:
        super().__init__()
        self._measurements = Measurements()
        self._reading = Reading(self, self._read)
        self._measuring = Reading(self, self._measure)

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    def keep_up(self) -> None:
        """Begin; call it when the widgets are there."""
        self.refresh_runs()
        self.set_interval(RUNS_SECONDS, self._keep_up)

    def _keep_up(self) -> None:
        if self.is_active and not self.dashboard.closing:
            self._reading.keep_up()

    def refresh_runs(self) -> None:
        """Read the runs as they are now, and measure what they take here."""
        self._reading.anew()
        self._measuring.anew()

    def _read(self) -> None:
        self.post_message(self.RunsRead(*self._runs()))

    def _measure(self) -> None:
        """Also where the list cannot be read, which is said there: an estimate has to stand on something."""
        runs, _ = self._runs()
        found = self._measurements.of([run.folder for run in runs])
        self.post_message(self.Measured([*found, *kept_experts()]))

    def _runs(self) -> tuple[list[RunInfo], str]:
        """The runs there are, and why they cannot be listed."""
        try:
            return self.dashboard.shelf.read(), ""
        except (MimError, OSError) as error:
            return [], homely(str(error))
