"""A run that another process writes while it is watched: its words, its end, and a disk that cannot be read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Static

from engine.events import Event, Iteration, Notice, Phase, Progress, RunEnded, RunStarted, Snapshot, StateChanged
from engine.runs.journal import JournalWriter
from engine.runs.status import StatusWriter, host_name
from engine.runs.unforeseen import TRACEBACK, traceback_of
from mim4dd_tui.dashboard.commands import commands
from mim4dd_tui.dashboard.keys import KEYS
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.session import FolderSession
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.widgets.facts import FactsPane
from mim4dd_tui.dashboard.widgets.gauges import GaugesLine
from mim4dd_tui.dashboard.widgets.log import LogPane
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import digits
from tests.dashboard.helpers import run_screen, text, told, until, within, words
from tests.dashboard.shelves import make_run

FAILED, BROKEN = StateChanged("failed", "not a number"), "not a number"


class Other:
    """A process at work on a run."""

    def __init__(self, runs: Path, name: str = "lion") -> None:
        self.folder = make_run(runs, name, journal=False)
        self.journal, self.status = JournalWriter(self.folder.journal_path), StatusWriter(self.folder.path)
        self.begin()

    def say(self, *events: Event) -> None:
        for event in events:
            self.journal.append(event)
            self.status.hear(event)
        self.status.update()

    def begin(self) -> None:
        who = {"host": host_name(), "pid": os.getpid(), "version": "0", "execution": {"device": "cpu"}}
        self.say(RunStarted(self.folder.name, "digits-ipc1", 0, 10, 50, *who.values()), StateChanged("running"))  # type: ignore[arg-type]

    def go(self, first: int, last: int) -> None:
        self.say(*(Iteration(i, 0.5, 2.0, None, None, None, 0.1, 0.8, 0.05, 0.1) for i in range(first, last + 1)))


@pytest.fixture
def other(tmp_path: Path) -> Other:
    found = Other(tmp_path / "runs")
    found.go(1, 9)
    return found


def between(monkeypatch: pytest.MonkeyPatch, *deeds: Callable[[], None]) -> list[Callable[[], None]]:
    """Has each deed done right after the journal was read, one a reading, once the list is given free."""
    waiting, poll = list(deeds), FolderSession.poll

    def then(session: FolderSession) -> object:
        found = poll(session)
        if held and waiting:
            waiting.pop(0)()
        return found

    held: list[Callable[[], None]] = []
    monkeypatch.setattr(FolderSession, "poll", then)
    return held


async def test_a_run_that_ends_while_it_is_read_has_not_failed(
    make_app: MakeApp, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = between(monkeypatch, lambda: other.say(StateChanged("done"), RunEnded("done", "", {})))
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.iteration == 9)
        told: list[str] = []
        tell = run_screen(app)._tell

        def telling(why: str) -> None:
            told.append(why)
            tell(why)

        monkeypatch.setattr(run_screen(app), "_tell", telling)
        held.append(lambda: None)
        await until(pilot, lambda: run_screen(app).state == "done" and not run_screen(app).alive)
        assert told == []
        assert not app.screen.has_class("-failed")


async def test_a_run_that_is_taken_up_while_it_is_read_has_not_failed(
    make_app: MakeApp, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.say(StateChanged("stopped"), RunEnded("stopped", "", {}))
    app, poll, states = make_app(), FolderSession.poll, []
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).state == "stopped")
        screen, waiting = run_screen(app), [other.begin]

        def between_the_two(session: FolderSession) -> object:
            if waiting:
                waiting.pop()()
            return poll(session)

        take = screen._take

        def taken(*arguments: Any) -> None:
            take(*arguments)
            states.append(screen.state)

        monkeypatch.setattr(screen, "_take", taken)
        monkeypatch.setattr(FolderSession, "poll", between_the_two)
        await until(pilot, lambda: states[-1:] == ["running"])
        assert {*states} <= {"stopped", "running"}, "never failed"


async def test_an_evaluation_in_another_process_is_told_while_it_lasts(make_app: MakeApp, other: Other) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.iteration == 9)
        other.say(Phase("distill", total=50))
        other.status.update(done=9, detail="evaluating")
        await until(pilot, lambda: "evaluating" in text(app))
        other.go(10, 10)  # of which its status may know later
        await until(pilot, lambda: run_screen(app).history.iteration == 10 and "evaluating" not in text(app))


async def test_what_follows_the_first_word_of_a_failure_corrects_it(
    make_app: MakeApp, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = between(
        monkeypatch, lambda: other.say(FAILED), lambda: other.say(RunEnded("failed", BROKEN, {}, diverged=True))
    )
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.iteration == 9)
        held.append(lambda: None)
        await until(pilot, lambda: run_screen(app).history.diverged)
        ways = app.screen.query_one("#problem-ways", Static)
        await until(pilot, lambda: "D makes a new run of its settings" in str(ways.render()))
        assert not run_screen(app).resumable


async def test_a_status_that_is_away_for_a_moment_leaves_no_failure_behind(make_app: MakeApp, other: Other) -> None:
    app, path = make_app(), other.folder.status_path
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.iteration == 9)
        path.rename(path.with_suffix(".away"))
        await until(pilot, lambda: app.screen.has_class("-failed"))
        path.with_suffix(".away").rename(path)
        await until(pilot, lambda: not app.screen.has_class("-failed") and run_screen(app).state == "running")
        other.say(StateChanged("failed", "the disk is full"), RunEnded("failed", "the disk is full", {}))
        await until(pilot, lambda: app.screen.has_class("-failed") and "the disk is full" in words(app))


async def test_a_journal_that_cannot_be_read_for_a_moment_does_not_make_the_run_a_failed_one(
    make_app: MakeApp, other: Other
) -> None:
    app, path = make_app(), other.folder.journal_path
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.iteration == 9)
        path.rename(path.with_suffix(".away"))
        path.mkdir()
        await until(pilot, lambda: "the run goes on, but what is shown stands still" in told(app))
        assert run_screen(app).state == "running"
        path.rmdir()
        path.with_suffix(".away").rename(path)
        other.go(10, 12)
        await until(pilot, lambda: run_screen(app).state == "running" and run_screen(app).history.iteration == 12)


async def test_a_stop_promises_a_checkpoint_where_it_writes_one(make_app: MakeApp, other: Other) -> None:
    app = make_app()
    (listed,) = (key.help for key in KEYS if (key.scope, key.action) == ("run", "stop"))
    assert listed == "Stop, while it distils with a checkpoint; R resumes it."
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        app.open_run(other.folder)

        async def promised(phase: str) -> str:
            other.say(Phase(phase, total=8))
            await until(pilot, lambda: run_screen(app).history.phase == phase)
            return next(each.help for each in commands(app.screen) if each.title == "stop (x)")

        for phase in ("experts", "baselines"):
            assert await promised(phase) == "Stop at the next step; R resumes it."
        assert await promised("distill") == "Stop at the next step, with a checkpoint; R resumes it."
        assert await promised("evaluate") == "Stop at the next step; R resumes it."
        await pilot.press("x")
        await until(pilot, lambda: "stopping at the next step" in told(app))
        assert "checkpoint" not in told(app)


async def test_a_run_begun_anew_shows_no_picture_of_the_attempt_before(make_app: MakeApp, other: Other) -> None:
    for i in (0, 9):
        np.save(other.folder.snapshot_path(i), digits(0.1 * i))
        other.say(Snapshot(i, other.folder.relative(other.folder.snapshot_path(i)), 10, 1, "clipped"))
    other.say(FAILED, RunEnded("failed", BROKEN, {}))
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.iteration == 9)
        pane = app.screen.query_one(PicturesPane)
        await until(pilot, lambda: pane._sheet is not None)
        assert "beside" not in pane.idle_actions
        other.begin()
        other.say(Phase("experts", total=8))
        await until(pilot, lambda: not run_screen(app).history.snapshots and pane._sheet is None)
        assert "beside" in pane.idle_actions, "the key of what there is not"


def test_a_traceback_of_a_failure_before_is_not_named(other: Other) -> None:
    path = other.folder.path / TRACEBACK
    assert traceback_of(other.folder.path) is None
    path.write_text("RuntimeError of last week")
    os.utime(path, (time.time() - 86_400,) * 2)
    assert traceback_of(other.folder.path) is None
    path.write_text("RuntimeError of now")
    assert traceback_of(other.folder.path) == path


async def test_a_comparison_follows_runs_that_are_gone_on_with_or_deleted(
    make_app: MakeApp, other: Other, tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "tapir", seed=1)
    other.say(StateChanged("stopped"), RunEnded("stopped", "", {}))
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        infos = Shelf(tmp_path / "runs").read()
        app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "stopped" in text(app))
        other.begin()
        other.go(10, 20)
        await until(pilot, lambda: "running" in text(app) and "20/50" in text(app))
        (tmp_path / "runs" / "tapir").rename(tmp_path / "gone")
        await until(pilot, lambda: "deleted" in text(app))
        assert "tapir" in text(app)
        assert "failed" not in text(app)


@pytest.mark.parametrize("lines", [5, 12, 13, 40])
async def test_of_a_log_that_gives_a_row_away_nothing_is_below(
    make_app: MakeApp, tmp_path: Path, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Other(tmp_path / "runs")
    other.say(*(Notice("info", f"line {number}") for number in range(lines)))
    app = make_app()
    app.remembered.view = "log"
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: f"line {lines - 1}" in text(app))
        gauges = app.screen.query_one(GaugesLine)
        monkeypatch.setattr(gauges, "follow", lambda *_, **__: None)
        gauges.add_class("-live")
        await until(pilot, lambda: gauges.region.height == 1 and app.screen.query_one("#log").region.bottom == 22)
        log = app.screen.query_one(LogPane)
        await until(pilot, lambda: within(app, log).endswith(f"line {lines - 1}"))
        note = log.query_one("#log-below", Static)
        told: list[str] = []
        monkeypatch.setattr(note, "update", lambda words: told.append(str(words)))  # also for a moment only

        async def at_its_end() -> None:
            for _ in range(10):
                await pilot.pause(0.02)
            assert within(app, log).endswith(f"line {lines - 1}")

        await at_its_end()
        for _ in range(3):
            gauges.remove_class("-live")
            await until(pilot, lambda: log.region.bottom == 23)
            await at_its_end()
            gauges.add_class("-live")
            await until(pilot, lambda: log.region.bottom == 22)
            await at_its_end()
        assert not [words for words in told if not words.startswith("0 more")]


async def test_what_only_the_status_counts_is_told_of_a_run_that_was_stopped_there(
    make_app: MakeApp, tmp_path: Path
) -> None:
    """The journal has nothing between a phase's beginning and its end but what was trained."""
    stopped = Other(tmp_path / "runs", "tiger")
    stopped.say(Phase("baselines", 3))
    stopped.status.hear(Progress("baselines", 1, 3))
    stopped.status.update()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(stopped.folder)
        await until(pilot, lambda: "1/3" in text(app) and "baselines" in text(app))
        stopped.say(StateChanged("stopped", "stopped on request"))
        await until(pilot, lambda: run_screen(app).state == "stopped" and "1/3" in text(app).splitlines()[1])
        app.back()
        app.open_run(stopped.folder)
        await until(pilot, lambda: run_screen(app).state == "stopped" and "1/3" in text(app).splitlines()[1])


async def test_what_a_run_of_another_process_takes_and_is_chosen_by_is_told_before_it_distils(
    make_app: MakeApp, tmp_path: Path
) -> None:
    other = Other(tmp_path / "runs")
    other.status.memory = lambda: 1234.0
    other.say(Phase("experts", 3))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(other.folder)
        await until(pilot, lambda: run_screen(app).history.phase == "experts")
        facts = run_screen(app).query_one(FactsPane)
        await until(pilot, lambda: ("memory", "1,234 MiB", 0) in facts.facts, 10)
        told = {name: value for name, value, _ in facts.facts}
        assert (told["protocol"], told["chosen on"]) == ("quick-100", "test")


def test_an_evaluation_of_another_process_is_told_as_ones_own(other: Other) -> None:
    session = FolderSession(other.folder)
    for busy in ("", "evaluating", ""):
        other.status.hear(Progress("distill", 9, 50, busy))
        other.status.update()
        assert [heard.event for heard in session.poll()][-1] == Progress("distill", 9, 50, busy)


async def test_that_the_term_is_off_is_told_as_soon_as_a_run_says_so(make_app: MakeApp, tmp_path: Path) -> None:
    late = Other(tmp_path / "runs", "late")
    late.folder.journal_path.write_bytes(b"")
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        app.open_run(late.folder)
        await until(pilot, lambda: "no bound read yet" in text(app))
        started = RunStarted("late", "digits-ipc1", 0, 10, 50, host_name(), os.getpid(), "0", {"device": "cpu"})
        late.journal = JournalWriter(late.folder.journal_path)
        late.say(replace(started, changes={"information.weight": 0.0}))
        await until(pilot, lambda: "the term is off" in words(app))
        assert "no bound read yet" not in text(app)


async def test_a_run_that_another_process_loads_its_engine_for_is_starting_wherever_it_stands(
    make_app: MakeApp, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "runs", "lion", state="queued")
    (tmp_path / "runs" / ".queue.json").write_text('{"runs": ["lion"]}')
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Not now" in text(app))
        await pilot.press("n")
        await until(pilot, lambda: "○ lion" in text(app))
        StatusWriter(folder.path).beat()
        await until(pilot, lambda: "● lion" in text(app))
        for opened, left in (("b", "escape"), ("Q", "escape")):
            await pilot.press(opened)
            await until(pilot, lambda: "starting" in text(app))
            assert "queued" not in text(app)
            await pilot.press(left)
        app.open_run(folder)
        await until(pilot, lambda: "● starting" in text(app))
        await pilot.press("escape", "b", "f")
        await until(pilot, lambda: "running or paused" in text(app))
        assert "starting" in text(app)
        await pilot.press("f")
        await until(pilot, lambda: "no run matches" in text(app))
