"""A run that is refused before it begins is what it was, on its screen, in its status and in the lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.events import Observer
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.dashboard.widgets.status import RunHead
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, told, until, words
from tests.dashboard.shelves import make_run
from tests.dashboard.test_longer import over
from tests.dashboard.test_queue import CONFIG


def refuse(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
    raise ConfigError("this run needs 9 GiB, and there are 2: lower objective.batch_size")


@pytest.mark.parametrize("state", ["stopped", "failed", "queued"])
async def test_it_stays_what_it_was(make_app: MakeApp, state: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "early", state=state)
    app = make_app(refuse)
    announced: list[str] = []
    app.announce = lambda mark, run, what: announced.append(f"{run}: {what}")  # type: ignore[method-assign]
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        app.resume_run(folder)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        await until(pilot, lambda: "this run needs 9 GiB" in words(app))
        assert run_screen(app).state == read_run(folder).state == state
        assert run_screen(app).query_one(RunHead).head.state == state
        await until(pilot, lambda: bool(announced))
        await pilot.press("x")
        await until(pilot, lambda: f"the run {'has failed' if state == 'failed' else f'is {state}'}; R" in told(app))
    assert announced[0].startswith("early: failed" if state == "failed" else "early: not begun")


async def test_one_of_the_queue_stays_there(make_app: MakeApp, tmp_path: Path) -> None:
    queue = RunQueue(tmp_path / "runs")
    (one,) = queue.add(CONFIG, [0])
    app = make_app(refuse)
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen) and "1 waiting" in words(app))
        await pilot.press("s")
        await until(pilot, lambda: f"the queue is done but for what could not go on: {one.name}" in told(app))
        await until(pilot, lambda: "queued" in words(app))
        assert [(each.name, each.state) for each in queue.read()] == [(one.name, "queued")]
        app.show_live()
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        await until(pilot, lambda: "it goes on when its turn in the queue comes (Q)" in words(app))
        assert run_screen(app).state == "queued"


async def test_a_done_run_that_could_not_be_lengthened_is_done(make_app: MakeApp, tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    app = make_app(FakeEngine())
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        for file in RunFolder(folder.path).checkpoints.iterdir():
            file.write_bytes(b"damaged")
        app.resume_run(folder, 60)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        await until(pilot, lambda: "has no whole checkpoint" in words(app) and "I lengthens it" in words(app))
        assert run_screen(app).state == read_run(folder).state == "done"
        assert "R resumes" not in words(app)


@pytest.mark.parametrize("state", ["done", "stopped"])
async def test_one_whose_journal_cannot_be_read_is_what_its_status_says(
    make_app: MakeApp, state: str, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "runs", "early", state=state)
    folder.journal_path.unlink()
    folder.journal_path.mkdir()
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(folder)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "cannot read" in words(app))
        assert run_screen(app).state == read_run(folder).state == state
