"""The time a run was at work: its sittings added up, from its journal alone and from its history."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.events import CheckpointWritten, Event, Observer, Progress, RunEnded, RunStarted, StateChanged
from engine.files import write_json
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, JournalWriter
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import EngineSession, Heard, Order
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.sittings import Sittings, read_sittings
from mim4dd_tui.dashboard.widgets.table import Table
from mim4dd_tui.plain import duration
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text, until, words
from tests.dashboard.shelves import make_run

START = RunStarted("run", "digits-ipc1", 0, 10, 300, "here", 1, "0", {"device": "cpu"})
ENDED = RunEnded("stopped", "", {})
AGAIN = replace(START, resumed_from=0, after_sequence=1)


def write(path: Path, *said: tuple[float, Event]) -> None:
    moments = iter([moment for moment, _ in said])
    with JournalWriter(path, clock=lambda: next(moments)) as journal:
        for _, event in said:
            journal.append(event)


def test_the_time_between_two_sittings_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, (1000.0, START), (1030.0, ENDED))
    first = read_sittings(path)
    assert first.worked() == 30.0
    write(path, (90_000.0, AGAIN), (90_012.0, ENDED))
    both = read_sittings(path)
    assert both.worked() == 42.0
    assert read_sittings(path, first) == both, "what is added alone says the same"
    assert RunHistory.of(JournalReader(path).poll()).worked == 42.0


def test_a_line_of_the_log_has_the_same_second_live_as_read_back(tmp_path: Path) -> None:
    """However long it takes until the interface hears of it: of the first event longest, as more is done for it."""

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        for moment, event in ((1000.0, START), (1005.0, ENDED)):
            control.told_at = moment
            observer(event)
        control.told_at = None
        observer(Progress("distill", 1, 300))
        return {}

    session = EngineSession(Order(runs_dir=tmp_path), launch)
    before = time.time()
    session.start()
    session.join()
    heard = [each for each in session.poll() if isinstance(each, Heard)]
    assert [each.time for each in heard[:2]] == [1000.0, 1005.0]
    assert heard[2].time >= before, "what is not journaled"


def test_a_run_that_starts_afresh_keeps_the_time_it_worked_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, (1000.0, START), (1010.0, ENDED), (2000.0, START), (2005.0, ENDED))
    assert read_sittings(path).worked() == 15.0
    assert RunHistory.of(JournalReader(path).poll()).worked == 15.0


def test_pauses_are_not_counted(tmp_path: Path) -> None:
    """Neither while one lasts nor after, also where the run is stopped or killed in one."""
    path = tmp_path / "journal.jsonl"
    pause, on = StateChanged("paused", "paused on request"), StateChanged("running", "")
    write(path, (1000.0, START), (1000.0, on), (1030.0, pause))
    paused = read_sittings(path)
    assert paused.worked() == paused.worked(heartbeat=1090.0) == 30.0
    write(path, (1100.0, on))
    assert read_sittings(path).worked(heartbeat=1105.0) == 35.0
    write(path, (1110.0, pause), (1120.0, ENDED), (5000.0, AGAIN), (5007.0, ENDED))
    whole = read_sittings(path)
    assert whole.worked() == 47.0
    assert read_sittings(path, paused) == whole, "what is added alone says the same"
    assert RunHistory.of(JournalReader(path).poll()).worked == 47.0


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_what_is_put_away_after_the_end_is_not_counted(tmp_path: Path, state: str) -> None:
    """The log's last line says the end, and the result document of a long run takes its time."""
    path = tmp_path / "journal.jsonl"
    write(path, (1000.0, START), (1083.9, StateChanged(state, "")), (1086.2, replace(ENDED, state=state)))
    history = RunHistory.of(JournalReader(path).poll())
    assert [duration(seconds) for seconds in (history.worked, history.log[-1].worked)] == ["1:23", "1:23"]
    told = read_sittings(path).worked(heartbeat=1090.0)
    assert told is not None
    assert duration(told) == "1:23"
    write(path, (2000.0, AGAIN), (2010.2, StateChanged(state, "")), (2013.0, ENDED))
    both, whole = read_sittings(path).worked(), RunHistory.of(JournalReader(path).poll()).worked
    assert both == pytest.approx(94.1)
    assert whole == pytest.approx(94.1)


def test_a_sum_of_times_says_the_second_that_it_comes_to() -> None:
    assert sum([0.1] * 10) < 1.0
    assert duration(83 + sum([0.1] * 10)) == "1:24"


def test_a_run_that_goes_on_has_worked_up_to_its_last_sign_of_life(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, (1000.0, START), (1030.0, ENDED), (2000.0, AGAIN))
    assert read_sittings(path).worked() == 30.0
    assert read_sittings(path).worked(heartbeat=2008.0) == 38.0


def test_damaged_and_half_written_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, (1000.0, START), (1030.0, ENDED))
    with path.open("ab") as file:
        file.write(b'not an event\n{"sequence":3,"ti')
    assert read_sittings(path).worked() == 30.0


def test_a_journal_that_is_missing_empty_or_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert read_sittings(path) == Sittings()
    assert Sittings().worked(heartbeat=5.0) is None
    path.write_bytes(b"")
    assert read_sittings(path) == Sittings()
    write(path, (1000.0, START), (1030.0, ENDED))
    assert read_sittings(path, Sittings(1_000_000, 500.0, 1.0, 2.0)).worked() == 30.0


def test_a_run_was_begun_when_it_was_made_not_when_it_was_resumed(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "run", age=500.0)
    created = folder.about().created
    status = RunFolder(folder.path).status()
    assert status is not None
    values = {name: getattr(status, name) for name in status.__slots__}
    write_json(folder.status_path, {**values, "started": created + 480.0, "heartbeat": created + 495.0})
    assert [run.started for run in Shelf(tmp_path).read()] == [created]


@pytest.mark.parametrize("size", SIZES)
async def test_every_place_tells_the_same_time_at_work_also_after_a_resume(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    """Whole seconds that have passed; what lay between the sittings, a day, is in none of them."""
    for name in ("one", "two"):
        folder = make_run(tmp_path / "runs", name, state="stopped", journal=False)
        write(
            folder.journal_path,
            (1000.0, replace(START, run=name)),
            (1030.0, CheckpointWritten(0, "checkpoints/0.safetensors", 0.1)),
            (90_000.0, replace(AGAIN, run=name, after_sequence=2)),
            (90_036.7, ENDED),
        )
    app = make_app()
    app.remembered.view = "log"
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "two" in text(app))
        if size[0] > 100:
            assert text(app).count("1:06") == 2, "as the table has it"
            assert " worked " in text(app)
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "worked" in lines_of(app, Table))
        assert "worked 1:06 1:06" in lines_of(app, Table)
        await pilot.press("escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "worked 1:06" in text(app))
        assert "30 s checkpoint at iteration 0" in words(app)
        assert "1:06 stopped" in words(app)


def lines_of(app: DashboardApp, kind: type[Table]) -> str:
    """All of a table, also the rows that are not seen."""
    table = app.screen.query_one(kind)
    return " ".join(" ".join(cell.text for cell in row.cells) for row in table._rows)
