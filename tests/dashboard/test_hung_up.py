"""After a hang-up each run of a queue goes on, stops or waits as its own setting says."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import changed
from engine.events import Event, Observer
from engine.runs.control import Control, StopRequested
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.entry import _afterwards
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.onward import Onward
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.session import Order
from mim4dd_tui.signals import AbandonedError, Attendant
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.test_queue import CONFIG

GO_ON, STOP = "continue", "stop"


class Work:
    """Runs of twelve iterations, of which the one numbered ``held`` waits until the terminal has gone."""

    def __init__(self, queue: RunQueue, held: int, then: str = "") -> None:
        self.onward, self.control = Onward(self._launch, queue), Control()
        self.onward.alone.set()
        self.stopped: bool | None = None
        self._held, self._then, self._number = held, then, 0

    def _launch(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        number, self._number = self._number, self._number + 1
        if number == self._held:
            self.stopped = self.onward.hang_up(control)
            if self._then:
                control.request(self._then)
        return FakeEngine(iterations=12)(order, observer, control)


def states(folders: list[RunFolder]) -> list[str]:
    return [status.state for folder in folders if (status := folder.status()) is not None]


def worked_off(runs_dir: Path, *settings: str, held: int = 0, then: str = "") -> tuple[list[str], bool | None]:
    """The states of queued runs with these settings, and whether the hang-up stopped the one that went on."""
    queue = RunQueue(runs_dir)
    folders = [
        folder
        for seed, setting in enumerate(settings)
        for folder in queue.add(changed(CONFIG, {"execution.on_hangup": setting}), [seed])
    ]
    work = Work(queue, held, then)

    def nothing(_event: Event) -> None:
        return

    work.onward(Order(runs_dir=runs_dir, resume=folders[0].path), nothing, work.control)
    return states(folders), work.stopped


@pytest.mark.parametrize(
    ("settings", "held", "ended"),
    [
        ((GO_ON, STOP, GO_ON), 0, ["done", "queued", "done"]),
        ((STOP, GO_ON, STOP), 0, ["stopped", "done", "queued"]),
        ((STOP, STOP, GO_ON), 1, ["done", "stopped", "done"]),
        ((STOP, GO_ON, STOP), 1, ["done", "done", "queued"]),
    ],
)
def test_each_by_its_own_setting(tmp_path: Path, settings: tuple[str, ...], held: int, ended: list[str]) -> None:
    found, stopped = worked_off(tmp_path, *settings, held=held)
    assert found == ended
    assert stopped is (settings[held] == STOP)


def test_a_stop_that_comes_after_the_hang_up_holds(tmp_path: Path) -> None:
    assert worked_off(tmp_path, STOP, GO_ON, then="stop") == (["stopped", "queued"], True)


def test_a_stop_of_one_run_is_none_of_the_next_ones() -> None:
    control = Control()
    control.stop_this()
    assert control.stopping
    with pytest.raises(StopRequested):
        control.tick()
    control.forget()
    assert not control.stopping
    control.tick()


def test_a_paused_run_is_stopped_too() -> None:
    control = Control()
    control.request("pause")
    control.on_idle = control.stop_this
    with pytest.raises(StopRequested):
        control.tick()


def test_after_a_hang_up_a_stop_is_asked_for_before_the_process_is_ended() -> None:
    asked: list[str] = []
    attendant = Attendant(asked.append, lambda _line: None, hang_up=lambda: True, received=[signal.SIGHUP])
    attendant._answer_all()
    assert (asked, attendant.exit_code) == ([], 129)
    attendant._answer(signal.SIGTERM)
    assert (asked, attendant.exit_code) == (["stop"], 143)
    attendant._answer(signal.SIGHUP)
    assert attendant.exit_code == 143
    with pytest.raises(AbandonedError):
        attendant._answer(signal.SIGINT)


@pytest.mark.parametrize("why", [Leave.HANGUP, Leave.DETACH])
def test_a_terminal_that_goes_between_two_runs_keeps_no_other_from_its_turn(
    make_app: MakeApp, why: Leave, tmp_path: Path
) -> None:
    queue = RunQueue(tmp_path / "runs")
    folders = [
        folder
        for seed, setting in enumerate((STOP, GO_ON))
        for folder in queue.add(changed(CONFIG, {"execution.on_hangup": setting}), [seed])
    ]
    app = make_app(FakeEngine(iterations=12))
    app.turns.going = True
    app.turns.left_alone()
    assert _afterwards(app, why) == 0
    assert states(folders) == (["queued", "done"] if why is Leave.HANGUP else ["done", "done"])
    app.turns.queue.give_back()


def test_a_queue_that_does_not_go_on_is_left_as_it_is(make_app: MakeApp, tmp_path: Path) -> None:
    folders = RunQueue(tmp_path / "runs").add(CONFIG, [0])
    app = make_app(FakeEngine(iterations=12))
    app.turns.left_alone()
    assert _afterwards(app, Leave.HANGUP) == 129
    assert states(folders) == ["queued"]


async def test_leaving_between_two_runs_leaves_the_queue_to_go_on(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)):
        app.turns.going = True
        app._question._answered("detach")
    assert app.return_value is Leave.DETACH
    assert app.turns.launch.alone.is_set()
