"""Keys pressed twice or three times at once, in every phase of a run: each answer once, true, and none lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot

from engine.events import CheckpointWritten, Observer, Phase, RunStarted, StateChanged
from engine.runs.control import Control, StopRequested
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine, _FakeRun
from tests.dashboard.helpers import run_screen, told, until
from tests.dashboard.shelves import make_run

PHASES = ("loading", "data", "experts", "baselines", "distill", "evaluate")
SIZE = (100, 30)


@dataclass
class Halting:
    """An engine that stays in each phase, obeying what it is asked for, until it is let go on."""

    phase: str
    made: list[str] = field(default_factory=list)
    freed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if self.phase == "loading":
            self.freed.wait(60)
        if order.resume is not None:
            folder = RunFolder.open(order.resume)
        else:
            assert order.config is not None
            folder = RunFolder.create(order.runs_dir, order.name, order.config, preset=order.preset, origins={})
        run = _FakeRun(FakeEngine(iterations=10_000), folder, observer, control)
        try:
            run.begin(resumed=False)
            for phase in PHASES[1:]:
                run.say(Phase(phase, total=10_000))
                control.tick()
                number = 0
                while phase == self.phase and not self.freed.is_set():
                    control.tick()
                    self.freed.wait(0.01)
                    if phase == "distill":
                        number += 1
                        self._iterate(run, number)
            return run.end("done", "")
        except StopRequested:
            return run.end("stopped", "stopped on request")
        finally:
            control.unwatch()
            run.journal.close()

    def _iterate(self, run: _FakeRun, number: int) -> None:
        run.iteration(number, 0.5, np.random.default_rng(0))
        if run.control.take("evaluate"):
            self.made.append("evaluation")
            run.evaluation("request", number, 0.5)
        if run.control.take("checkpoint"):
            self.made.append("checkpoint")
            run.say(CheckpointWritten(number, f"checkpoints/000000-{number:08d}.safetensors", 0.01))


async def at(app: DashboardApp, pilot: Pilot[Leave], phase: str) -> RunScreen:
    """The screen of a run that stands in a phase."""
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, RunScreen))
    screen = run_screen(app)
    if phase != "loading":
        await until(pilot, lambda: screen.history.phase == phase and screen.state == "running")
    return screen


@pytest.mark.parametrize("phase", PHASES)
async def test_every_key_pressed_again_at_once_is_answered_once_and_truly(make_app: MakeApp, phase: str) -> None:
    engine = Halting(phase)
    app = make_app(engine)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await at(app, pilot, phase)
        session = app.session
        assert session is not None
        await pilot.press("space", "space")
        assert not session.control.paused
        await until(pilot, lambda: "going on" in told(app))
        assert "pausing" not in told(app)
        app.clear_notifications()
        await pilot.press("space", "space", "space")
        assert session.control.paused
        assert "going on" not in told(app)
        if phase != "loading":
            await until(pilot, lambda: screen.state == "paused")
            assert "pausing at the next step" not in told(app)
        await pilot.press("space")
        app.clear_notifications()
        await pilot.press("K", "K", "e", "e", "e")
        if phase == "evaluate":
            await until(pilot, lambda: told(app).count("distillation is over") == 2)
            assert not session.control.pending("checkpoint")
        elif phase == "distill":
            await until(pilot, lambda: {"checkpoint", "evaluation"} <= set(engine.made))
            await until(pilot, lambda: "checkpoint written" in told(app))
            assert "a checkpoint follows" not in told(app)
        else:
            await until(pilot, lambda: told(app).count("follows once distillation has begun") == 2)
        app.clear_notifications()
        await pilot.press("R", "R")
        await until(pilot, lambda: told(app) == "the run is going on")
        await pilot.press("w", "w", "W", "W")  # smoother, and as it was
        await pilot.press("Q", "Q", "Q")
        await until(pilot, lambda: isinstance(app.screen, QueueScreen))
        assert sum(isinstance(one, QueueScreen) for one in app.screen_stack) == 1
        assert not told(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("x", "x", "x")
        await until(pilot, lambda: "stopping" in told(app) or screen.over)
        assert told(app).count("stopping at the next step") <= 1
        if phase == "loading":
            assert screen.state == "starting"
            engine.freed.set()
        await until(pilot, lambda: screen.over and screen.state == "stopped")
        await until(pilot, lambda: "stopping" not in told(app))
        assert "follows" not in told(app)


async def test_keys_of_a_run_that_has_ended_are_answered_once(make_app: MakeApp, tmp_path: Path) -> None:
    run, engine = make_run(tmp_path / "runs", "lion", state="stopped"), Halting("distill")
    app = make_app(engine)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.open_run(run)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        before = app.screen
        await pilot.press("space", "x", "e", "K", "x", "space")
        await until(pilot, lambda: told(app) == "the run is stopped; R resumes it")
        await pilot.press("R", "R", "R")
        await until(pilot, lambda: app.screen is not before)
        await until(pilot, lambda: run_screen(app).history.iteration > 0 and run_screen(app).state == "running")
        assert len(app.sessions) == 1
        assert "the run is stopped" not in told(app)


async def test_a_promise_that_comes_too_late_is_taken_back(make_app: MakeApp) -> None:
    engine = Halting("baselines")
    app = make_app(engine)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await at(app, pilot, "baselines")
        await pilot.press("e")
        await until(pilot, lambda: "an evaluation follows once distillation has begun" in told(app))
        engine.phase = "evaluate"  # it makes no iteration
        await until(pilot, lambda: "distillation is over: its final evaluation is going on" in told(app))
        assert "an evaluation follows" not in told(app)


async def test_pauses_of_another_process_follow_the_keys(make_app: MakeApp, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "lion", state="running", journal=False)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        with JournalWriter(run.journal_path) as writer:
            writer.append(RunStarted("lion", "digits-ipc1", 0, 10, 50, "here", 1, "0", {"device": "cpu"}))
            writer.append(StateChanged("running"))
            writer.append(StateChanged("paused", ""))
            app.open_run(run)
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "paused")
            await pilot.press("space", "space", "space")
            asked = sorted(run.control_path.iterdir(), key=lambda one: int(one.name.partition("-")[0]))
            assert [one.suffix for one in asked] == [".resume", ".pause", ".resume"]
            assert "pausing" not in told(app)
            writer.append(StateChanged("running"))
            await until(pilot, lambda: run_screen(app).state == "running")
