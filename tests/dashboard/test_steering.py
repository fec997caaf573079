"""What a person asks of a run: pause, stop, resume, checkpoint, evaluation; leaving while it goes on; its failing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.errors import RunFailed
from engine.events import Observer, Phase
from engine.runs.control import Control
from mim4dd_tui.dashboard.attention import Voice
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, words
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")


@pytest.mark.parametrize("size", SIZES)
async def test_pause_stop_and_resume(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=50, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        await pilot.press("space")
        await until(pilot, lambda: "paused" in text(app))
        await pilot.press("space")
        await until(pilot, lambda: "● running" in text(app))
        await pilot.press("x")
        await until(pilot, lambda: "stopped" in text(app) and run_screen(app).state == "stopped")
        await until(pilot, lambda: not run_screen(app).session.running)
        first = run_screen(app)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app) is not first)
        await until(pilot, lambda: run_screen(app).history.iteration == 50)
        history = run_screen(app).history
        iterations = history.series["objective"].iterations
        assert iterations == list(range(1, 51)), "the resumed run does not show the whole run, each iteration once"
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_of_another_process_is_watched_and_controlled(make_app: MakeApp, size: tuple[int, int]) -> None:
    """Two apps on one folder: the second knows the run by its files alone."""
    owner = make_app(FakeEngine(iterations=40, hold=True))
    async with owner.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(owner.screen, RunScreen) and run_screen(owner).history.iteration == 40)
        assert owner.session is not None
        path = owner.session.path
    assert owner.session.running, "closing the interface must not end the run"
    app = make_app(attach=path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        assert run_screen(app).state == "running"
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "paused")
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")
    assert owner.session.join(5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.long
async def test_checkpoint_and_evaluation_on_request(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=10_000, delay=0.01))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        # past the checkpoint that is written without being asked for
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 20)
        await pilot.press("K", "e")
        history = run_screen(app).history
        await until(pilot, lambda: history.checkpoint is not None and history.checkpoint.iteration != 20)
        await until(pilot, lambda: any(e.subject == "request" for e in history.evaluations))
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


async def test_what_is_asked_for_among_the_experts_is_promised_for_when_it_can_be_kept(make_app: MakeApp) -> None:
    engine = FakeEngine(iterations=10_000, delay=0.01)

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        control.request("pause")
        return engine(order, observer, control)

    app = make_app(launch)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "paused")
        assert run_screen(app).history.phase == "experts"
        await pilot.press("K", "e")
        await until(pilot, lambda: "an evaluation follows once the run goes on and distillation has begun" in told(app))
        assert "a checkpoint follows once the run goes on and distillation has begun" in told(app)
        await pilot.press("space")
        await until(pilot, lambda: "checkpoint written at iteration 1" in told(app))
        app.clear_notifications()
        await pilot.press("e")
        await until(pilot, lambda: "an evaluation follows after this iteration" in told(app))
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "paused")
        await pilot.press("K")
        await until(pilot, lambda: "a checkpoint follows once the run goes on" in told(app))
        assert "distillation has begun" not in told(app)
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


async def test_nothing_is_promised_that_comes_too_late(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        screen = run_screen(app)
        assert not {"checkpoint", "evaluate"} & screen.idle
        screen.history.apply(Phase("evaluate", total=1))
        assert {"checkpoint", "evaluate"} <= screen.idle
        await pilot.press("K", "e")
        await until(pilot, lambda: "distillation is over: its final evaluation is going on" in told(app))
        assert "distillation is over: its last checkpoint is written" in told(app)
        assert "follows" not in told(app)
        assert app.session is not None
        assert not any(app.session.control.pending(what) for what in ("checkpoint", "evaluate"))
        await pilot.press("x")
        await until(pilot, lambda: screen.state == "stopped")


async def test_a_checkpoint_that_is_refused_is_told_to_whom_it_was_promised(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=10_000, delay=0.01, full=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 20)
        await pilot.press("K")
        await until(pilot, lambda: "no checkpoint was written at iteration" in told(app))
        assert run_screen(app).state == "running"
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


@pytest.mark.parametrize("size", SIZES)
async def test_a_failing_engine_is_shown_and_the_app_stays(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=60, fail_at=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "lower objective.pixel_rate" in words(app))
        assert "log: journal.jsonl in" in words(app)  # and as much of the folder as there is room for
        await until(pilot, lambda: app.exit_status == 1)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("q")
    assert app.return_value is Leave.DONE
    assert app.exit_status == 1


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_that_cannot_go_on_says_why_each_time(make_app: MakeApp, size: tuple[int, int]) -> None:
    engine = FakeEngine(iterations=60, fail_at=30, error=RunFailed)

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if order.resume is not None:  # the journal takes no line
            raise RunFailed("cannot write journal.jsonl: the disk is full: free some space")
        return engine(order, observer, control)

    app = make_app(launch)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        assert "it cannot go on" not in told(app), "it had begun, and its screen says why it failed"
        for _ in range(2):
            app.clear_notifications()
            before = run_screen(app)
            await pilot.press("R")
            await until(pilot, lambda before=before: app.screen is not before)  # type: ignore[misc]
            wanted = "it cannot go on: cannot write journal.jsonl: the disk is full: free some space"
            await until(pilot, lambda wanted=wanted: wanted in told(app))  # type: ignore[misc]
            await until(pilot, lambda: run_screen(app).over)
        assert told(app).count("it cannot go on") == 1


@pytest.mark.parametrize("size", SIZES)
async def test_an_unforeseen_error_leaves_its_traceback_in_the_run_folder(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app(FakeEngine(iterations=60, fail_at=30, error=ZeroDivisionError))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "ZeroDivisionError" in text(app) and "log: traceback.txt in" in words(app))
        assert "R resumes at iteration" in words(app), "the folder's name left no room for it"
    assert app.session is not None
    assert app.session.path is not None
    assert "in distill" in (app.session.path / "traceback.txt").read_text()


@pytest.mark.parametrize("size", SIZES)
async def test_quitting_during_a_run_asks(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        for word in ("Stop it at the next step", "Let it run on", "Cancel"):
            assert word in text(app)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.session is not None
        assert app.session.running
        await pilot.press("q", "s")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DONE
    assert app.session.join(5)
    assert app.session.result is not None
    assert app.session.result["state"] == "stopped"


async def test_a_paused_run_is_said_to_be_so_and_goes_on_when_it_is_let_run_on(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "paused")
        await pilot.press("q")
        await until(pilot, lambda: "is paused" in text(app) and "Let it go on from its pause" in text(app))
        assert "still going" not in text(app)
        await pilot.press("r")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DETACH
    assert app.session is not None
    assert app.session.running
    assert not app.session.control.paused, "nobody is there to end it"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.long
async def test_letting_it_run_on_leaves_the_engine_at_work(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("q", "r")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DETACH
    assert app.session is not None
    assert app.session.running


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("keys", "asked"), [(("b", "X"), ConfirmScreen), (("w",), NameScreen)])
async def test_ctrl_c_leaves_a_question_and_not_the_dashboard(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, keys: tuple[str, ...], asked: type
) -> None:
    folder = make_run(tmp_path / "runs", "lion")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "lion" in text(app))
        await pilot.press(keys[0])
        await until(pilot, lambda: isinstance(app.screen, asked) or "80.0" in text(app))
        await pilot.press(*keys[1:])
        await until(pilot, lambda: isinstance(app.screen, asked))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not isinstance(app.screen, asked))
        assert not app.closing
    assert folder.path.exists()


async def test_the_accuracy_of_a_run_that_was_stopped_is_announced_as_a_live_one(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    app = make_app(FakeEngine(iterations=20, hold=True))
    monkeypatch.setattr(app, "announce", lambda *words: told.append(" ".join(words)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("x")
        await until(pilot, lambda: any("stopped" in line for line in told))
    assert "stopped, ~" in told[-1]


async def test_the_windows_title_does_not_call_a_run_stopped_that_goes_on(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    app = make_app(FakeEngine(iterations=20, hold=True))
    app.voice = Voice.of({"TERM": "xterm"})
    monkeypatch.setattr(app, "emit", sent.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("x")
        await until(pilot, lambda: any(": stopped" in one for one in sent) and run_screen(app).resumable)
        await pilot.press("R")
        await until(pilot, lambda: "● running" in text(app))
        titles = [one for one in sent if one.startswith("\x1b]2;")]
        assert titles[-1] == app.voice.title("mim4dd")


@pytest.mark.parametrize("size", SIZES)
async def test_ctrl_c_asks_first_and_stops_the_second_time(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DONE
    assert app.session is not None
    assert app.session.join(5)
