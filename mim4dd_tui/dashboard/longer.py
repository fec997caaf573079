"""More iterations for a run that is over: asked for, and gone on to at once or when its turn in the queue comes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import MimError
from engine.runs.lengthening import require, require_checkpoint, too_few
from mim4dd_tui.dashboard.catalog import RunInfo, read_run
from mim4dd_tui.dashboard.one_by_one import nothing
from mim4dd_tui.dashboard.screens.dialogs import NameScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config.schema import Config
    from engine.runs.folder import RunFolder
    from mim4dd_tui.dashboard.app import DashboardApp

NUMBER = re.compile(r"[0-9]+|[0-9]{1,3}(,[0-9]{3})+")


def ask(app: DashboardApp, run: RunInfo, then: Callable[[], None] = nothing) -> None:
    """Ask how many iterations a run is to have, and go on with it to as many; or say why it cannot.

    Args:
        then: done when it waits in the queue for them, or cannot be given them.
    """
    if not run.lengthenable:
        app.notify(run.too_long, severity="warning")
        return
    try:
        standing = _Standing(app, run)
    except MimError as error:
        app.notify(str(error), severity="error")
        return

    def answered(text: str | None) -> None:
        if text:
            _give(app, run.folder, _number(text), then)

    title, text = f"Lengthen {run.name}", str(2 * standing.config.objective.iterations)
    app.push_screen(NameScreen(title, text, standing.told, standing.wrong, standing.look), answered)


class _Standing:
    """How a run stands that is asked about: it may go on, or be lengthened, while the question is there.

    Raises:
        MimError: it cannot be given more iterations, or not be read.
    """

    def __init__(self, app: DashboardApp, run: RunInfo) -> None:
        self._app, self._run = app, run
        self._problem = ""
        self.config = run.folder.config()
        require(run.folder, self.config, self.config.objective.iterations + 1)

    def look(self) -> None:
        """Look at it again."""
        folder = self._run.folder
        try:
            self.config = folder.config()
            require(folder, self.config, self.config.objective.iterations + 1)
            waits = self._app.turns.queue.waiting(folder.name).get(folder.name)
            begun = folder.name == self._app.turns.begun  # of which its status may not know yet
            found = read_run(folder)
            self._run = replace(found, waits=waits, alive=found.alive or begun)
            self._problem = "" if self._run.lengthenable else self._run.too_long
        except MimError as error:
            self._problem = str(error)

    def told(self, _text: str) -> str:
        """What follows from a number."""
        waits = "it waits in the queue, as another run is going on here, and stays as it is until its turn comes"
        follows = "it goes on at once" if _free(self._app) else waits
        present = self.config.objective.iterations
        return f"iterations in all: it has {present:,} now and stands at iteration {self._run.iteration}; {follows}"

    def wrong(self, text: str) -> str:
        """Why it can be given no more iterations, or as :func:`wrong`."""
        return self._problem or wrong(self.config, text)


def wrong(config: Config, text: str) -> str:
    """Why this is no number of iterations for a run; empty where it is, or where nothing is typed yet."""
    if not text:
        return ""
    if not NUMBER.fullmatch(text):
        return "write a number, as 2000"
    problem = too_few(config, _number(text))
    return f"it {problem}" if problem else ""


def _number(text: str) -> int:
    """Also with the commas that the question itself has."""
    return int(text.replace(",", ""))


def _free(app: DashboardApp) -> bool:
    return app.session is None or not app.session.running


def _give(app: DashboardApp, folder: RunFolder, iterations: int, then: Callable[[], None]) -> None:
    found, free = list[RunInfo](), _free(app)

    def look() -> None:
        require(folder, folder.config(), iterations)
        run = read_run(folder)
        if free and run.state == "done":  # else the queue reads it, when it takes the run
            require_checkpoint(folder, iterations)
        found.append(run)

    def go_on() -> None:
        if not found or app.closing:
            then()
        elif _free(app):
            app.resume_run(folder, iterations)
        else:
            app.turns.add_again(found[0], then, iterations)

    app.turns.changes.do(look, go_on)
