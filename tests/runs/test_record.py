"""What the status of a run says once it has gone back: nothing of what it went back behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import Evaluation, Event, Iteration, Progress, Recovered, RunStarted
from engine.record import Recorder
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader
from tests.runs.helpers import make_folder


def began(resumed_from: int | None = None, *, again: bool = False) -> RunStarted:
    where = {} if resumed_from is None else {"resumed_from": resumed_from, "after_sequence": AFTER[resumed_from]}
    return RunStarted("lion", "digits-ipc1", 0, 10, 300, "here", 1, "0", {"device": "cpu"}, again=again, **where)  # type: ignore[arg-type]


def reading(iteration: int, mean: float) -> Evaluation:
    return Evaluation(iteration, "live", "quick-100", mean, 0.1, [mean], "test", "test", 0.1, best_so_far=True)


FIRST: tuple[Event, ...] = (
    began(),
    reading(0, 0.1),
    *(Iteration(number, 1.0, None, None, None, None, 0.1, None, 0.05, 0.03) for number in range(1, 51)),
    reading(50, 0.9),
)
AFTER = {0: 2, 50: len(FIRST)}
"""The journal's record at which a checkpoint of an iteration was written."""


def accuracy(folder: RunFolder) -> float | None:
    status, best = folder.status(), RunHistory.load(folder.journal_path).best
    assert status is not None
    assert status.accuracy == (None if best is None else best.mean), "lists and screens say the same"
    assert (status.measured_on, status.live) == (("", True) if best is None else ("test", True))
    return status.accuracy


@pytest.fixture
def killed(tmp_path: Path) -> RunFolder:
    folder = make_folder(tmp_path)
    with Recorder(folder, None, Control(), resuming=False) as record:
        for event in FIRST:
            record(event)
        record.status.update()
    assert accuracy(folder) == 0.9
    return folder


@pytest.mark.parametrize(("resumed_from", "best"), [(50, 0.9), (0, 0.1), (None, None)])
def test_a_run_taken_up_is_not_listed_with_an_accuracy_that_it_went_back_behind(
    killed: RunFolder, resumed_from: int | None, best: float | None
) -> None:
    with Recorder(killed, None, Control(), resuming=True) as record:
        record.started(began(resumed_from, again=True))
        assert accuracy(killed) == best


def test_a_run_that_is_held_and_has_yet_to_begin_is_called_alive(tmp_path: Path) -> None:
    """The engine may load for seconds: it is no run that anybody else could begin."""
    folder = make_folder(tmp_path)
    with Recorder(folder, None, Control(), resuming=False):
        status = folder.status()
        assert status is not None
        assert (status.state, status.liveness(), status.told_state()) == ("queued", "alive", "starting")
    killed = replace(status, pid=2**22 - 3)
    assert (killed.told_state(), killed.liveness()) == ("queued", "queued"), "as its screen calls it"


def test_an_event_is_heard_as_told_when_the_journal_says(tmp_path: Path) -> None:
    """So that a run's log has the same seconds live as read back, however long a status takes to be written."""
    folder, control = make_folder(tmp_path), Control()
    heard: list[tuple[str, float | None]] = []
    observer = lambda event: heard.append((event.kind, control.told_at))  # noqa: E731
    with Recorder(folder, observer, control, resuming=False) as record:
        for event in FIRST:
            record(event)
        record(Progress("distill", 1, 300, "an evaluation"))
        record(Recovered(0, 51, 1, 3, 0.5))
        assert control.told_at is None
    told = [(each.event.kind, each.time) for each in JournalReader(folder.journal_path).poll()]
    assert [each for each in heard if each[0] != "progress"] == told
    assert ("progress", None) in heard


def test_nor_is_one_that_went_back_by_itself(killed: RunFolder) -> None:
    with Recorder(killed, None, Control(), resuming=True) as record:
        record.started(began(50, again=True))
        record(Recovered(0, 51, 1, 3, 0.5))
        assert accuracy(killed) == 0.1
