"""What a run is called while nothing of it was heard yet."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from engine.events import Observer
from engine.runs.control import Control
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import FolderSession, Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until
from tests.dashboard.shelves import make_run


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_of_another_process_is_not_called_queued_before_it_is_read(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make_run(tmp_path / "runs", "lion", state="running")
    waiting = make_run(tmp_path / "runs", "waiting", state="queued")
    held = threading.Event()
    poll = FolderSession.poll

    def slow(session: FolderSession) -> object:
        held.wait(30)
        return poll(session)

    monkeypatch.setattr(FolderSession, "poll", slow)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        app.open_run(shown)
        await until(pilot, lambda: "reading the journal" in text(app))
        assert run_screen(app).state == "starting"
        held.set()
        await until(pilot, lambda: run_screen(app).history.iteration == 50)
        await pilot.press("escape")
        app.open_run(waiting)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "queued")
        await until(pilot, lambda: "loading the engine" not in text(app) and "queued" in text(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_resumed_run_is_starting_while_the_engine_loads(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    loaded, engine = threading.Event(), FakeEngine(iterations=50)

    def slowly(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        loaded.wait(30)
        return engine(order, observer, control)

    stopped = make_run(tmp_path / "runs", "lion", state="stopped")
    app = make_app(slowly)
    async with app.run_test(size=size) as pilot:
        app.resume_run(stopped)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        assert run_screen(app).state == "starting"
        await until(pilot, lambda: "starting" in text(app) and "loading the engine" in text(app))
        assert "■ stopped" not in text(app)
        loaded.set()
        await until(pilot, lambda: run_screen(app).state == "done")
