"""Runs read again and again while a screen is seen, and measured when it comes back: under the first screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import work
from textual.message import Message
from textual.screen import Screen

from engine.errors import MimError
from mim4dd_tui.dashboard import estimate
from mim4dd_tui.dashboard.catalog import RunInfo

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

        def __init__(self, measured: list[estimate.Measured]) -> None:
            super().__init__()
            self.measured = measured

    def __init__(self) -> None:
        super().__init__()
        self._measurements = estimate.Measurements()
        self._reading = False

    @property
    def dashboard(self) -> DashboardApp:
        """The app, with its type."""
        return cast("DashboardApp", self.app)

    def keep_up(self) -> None:
        """Begin; call it when the widgets are there."""
        self.refresh_runs()
        self.set_interval(RUNS_SECONDS, self._keep_up)

    def _keep_up(self) -> None:
        if self.is_current and not self.dashboard.closing and not self._reading:
            self._reading = True  # a slow disk would have one thread after another wait for it
            self._read_runs()

    @work(thread=True, group="reading", exit_on_error=False)
    def _read_runs(self) -> None:
        try:
            self._read()
        finally:
            self._reading = False

    @work(thread=True, exclusive=True, group="runs", exit_on_error=False)
    def refresh_runs(self) -> None:
        """Read the runs, and measure what they take here."""
        runs = self._read()
        self.post_message(self.Measured(self._measurements.of([run.folder for run in runs])))

    def _read(self) -> list[RunInfo]:
        try:
            runs, problem = self.dashboard.shelf.read(), ""
        except MimError as error:
            runs, problem = [], str(error)
        self.post_message(self.RunsRead(runs, problem))
        return runs
