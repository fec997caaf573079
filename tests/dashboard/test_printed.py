"""What a run's code prints while the dashboard has the terminal is kept in the run's folder, and said once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from engine.events import Event, Iteration, Observer
from engine.runs.control import Control
from mim4dd_tui.dashboard.printed import SAID
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import Order
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, told, until


class Talking(FakeEngine):
    """Prints before its run has a folder, and in some iterations."""

    early = True

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if self.early:
            print("on import")

        def hear(event: Event) -> None:
            observer(event)
            if isinstance(event, Iteration) and event.iteration in (3, 7):
                print("debug", event.iteration)
                print("error", event.iteration, file=sys.stderr)

        return super().__call__(order, hear, control)


async def test_it_is_kept_in_the_runs_folder_and_said_once(
    make_app: MakeApp, capfd: pytest.CaptureFixture[str]
) -> None:
    app = make_app(Talking(iterations=20))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        await until(pilot, lambda: SAID in told(app))
        assert told(app).count(SAID) == 1
        print("the interface's own")
    assert app.session is not None
    assert app.session.path is not None
    log = app.session.path / "output.log"
    text = log.read_text()
    assert text == "on import\ndebug 3\nerror 3\ndebug 7\nerror 7\n", "and nothing that the interface prints"
    assert log.stat().st_mode & 0o777 == 0o600
    out, err = capfd.readouterr()
    assert "debug" not in out
    assert "error" not in err


async def test_what_the_folder_refuses_is_said_to_be_lost(make_app: MakeApp, tmp_path: Path) -> None:
    class Refused(Talking):
        early = False

        def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
            def hear(event: Event) -> None:
                if isinstance(event, Iteration) and event.iteration == 1:
                    (next((tmp_path / "runs").glob("*/journal.jsonl")).parent / "output.log").mkdir()
                observer(event)

            return super().__call__(order, hear, control)

    app = make_app(Refused(iterations=20))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).over)
        await until(pilot, lambda: "prints is lost: output.log in its folder refuses it" in told(app))
        assert run_screen(app).state == "done", "the run does not mind"
