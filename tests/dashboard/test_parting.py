"""The lines that are left on the terminal when the dashboard has closed."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError, DataError, RunDiverged, RunLocked
from engine.events import Observer
from engine.files import write_json
from engine.runs.control import Control
from mim4dd_tui.dashboard import entry
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.parting import lines
from mim4dd_tui.dashboard.screens.dialogs import QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.session import EngineSession, Launch, Order
from mim4dd_tui.signals import AbandonedError, Attendant
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, words
from tests.dashboard.shelves import make_run


def sat(folder: Path, error: BaseException | None = None) -> EngineSession:
    """A run that was taken up here and has ended."""

    def launch(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        if error is not None:
            raise error
        return {"state": "stopped"}

    return ended(EngineSession(Order(runs_dir=folder.parent, resume=folder), launch))


def ended(session: EngineSession) -> EngineSession:
    session.start()
    assert session.join(10)
    return session


def test_each_run_has_one_line_with_what_can_be_done_next(tmp_path: Path) -> None:
    ten = make_run(tmp_path, "ten", state="stopped", iterations=72).path
    good = make_run(tmp_path, "good", accuracy=0.873).path
    assert lines([sat(ten), sat(good), sat(ten)], [], tmp_path) == [
        "good is done, 87.3 %; `mim4dd show good`",
        "ten stopped at iteration 36 of 72; `mim4dd resume ten`",
    ], "where it was last, though it had two sittings"


def test_of_a_run_that_stopped_among_its_experts_it_is_told_where(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "ten", state="stopped", journal=False)
    status = folder.status()
    assert status is not None
    at = replace(status, iteration=0, phase="experts", done=9, total=40)
    write_json(folder.status_path, asdict(at), durable=False)
    assert lines([sat(folder.path)], [], tmp_path) == ["ten stopped at experts 9/40; `mim4dd resume ten`"]


def test_a_run_that_no_command_finds_by_its_name_is_named_by_its_folder(tmp_path: Path) -> None:
    ten = make_run(tmp_path / "my runs", "ten", state="stopped", iterations=72).path
    (line,) = lines([sat(ten)], [], tmp_path)
    assert line == f"ten stopped at iteration 36 of 72; `mim4dd resume '{ten}'`"


def test_of_a_run_that_was_deleted_since_nothing_is_said(tmp_path: Path) -> None:
    good, bad = (make_run(tmp_path, name).path for name in ("good", "bad"))
    sittings = [sat(good), sat(bad, DataError("no space."))]
    for path in (good, bad):
        path.rename(path.with_name(f".{path.name}"))
    assert lines(sittings, [], tmp_path) == ["bad failed: no space; its folder is gone"]
    assert lines([], [good], tmp_path) == []


def test_a_failure_is_told_with_its_log_and_a_way_on_where_there_is_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "ten", state="failed", message="no data.")
    log = f"log: {folder.path}/journal.jsonl"
    (line,) = lines([sat(folder.path, DataError("no data."))], [], tmp_path)
    assert line == f"ten failed: no data; `mim4dd resume ten`; {log}"
    status = folder.status()
    assert status is not None
    write_json(folder.status_path, asdict(replace(status, diverged=True)), durable=False)
    (line,) = lines([sat(folder.path, RunDiverged("not a number. Begin it anew."))], [], tmp_path)
    assert line == f"ten failed: not a number; {log}"
    (line,) = lines([sat(folder.path, ZeroDivisionError("by 0"))], [], tmp_path)
    assert line == f"ten failed: ZeroDivisionError: by 0; log: {folder.path}/traceback.txt"


def test_what_was_not_begun_and_what_followed_alone_are_told_too(tmp_path: Path) -> None:
    held = make_run(tmp_path, "held", state="running").path
    late = make_run(tmp_path, "late", state="done", accuracy=None).path

    def refuse(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        raise DataError("no such data set")

    over = make_run(tmp_path, "over").path
    nameless = ended(EngineSession(Order(runs_dir=tmp_path), refuse))
    refused = [sat(held, RunLocked("another process holds it")), sat(over, ConfigError("it is done")), nameless]
    assert lines(refused, [], tmp_path) + lines([], [late], tmp_path) == [
        "held goes on in another process; `mim4dd attach held`",
        "over was not begun: it is done",
        "the run was not begun: no such data set",
        "late is done; `mim4dd show late`",
    ]


def test_a_run_is_not_told_to_have_failed_of_the_one_that_followed_it(tmp_path: Path) -> None:
    first = make_run(tmp_path, "first", accuracy=0.5).path
    late = make_run(tmp_path, "late", state="failed", message="no data").path
    assert lines([sat(first, DataError("no data"))], [late], tmp_path) == [
        "first is done, 50.0 %; `mim4dd show first`",
        f"late failed: no data; `mim4dd resume late`; log: {late}/journal.jsonl",
    ]


class Slow:
    """An engine that takes its time to write the checkpoint it stops with."""

    def __init__(self) -> None:
        self.written = False

    def __call__(self, order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        def slowly(event: object) -> None:
            while control.stopping and not self.written:
                time.sleep(0.01)
            observer(event)  # type: ignore[arg-type]

        return FakeEngine(iterations=30, hold=True)(order, slowly, control)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("away", [False, True])
async def test_while_a_run_is_being_stopped_it_is_said_what_is_waited_for(
    make_app: MakeApp, size: tuple[int, int], away: bool
) -> None:
    engine = Slow()
    app = make_app(engine)
    async with app.run_test(size=size, notifications=True) as pilot:
        try:
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
            if away:
                await pilot.press("escape")
            await pilot.press("q", "s")
            await until(pilot, lambda: "has stopped" in told(app) and "this closes when" in told(app))
            assert away or "stopping" in text(app).splitlines()[0]
        finally:
            engine.written = True
        await until(pilot, lambda: app.return_value is not None)


async def test_who_cancels_while_a_run_is_being_stopped_stays(make_app: MakeApp) -> None:
    engine = Slow()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        try:
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
            await pilot.press("q", "s")
            await until(pilot, lambda: app.leaving is Leave.DONE)
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, QuitScreen) and "is stopping" in text(app))
            for word in ("Leave once it has stopped", "Leave now"):
                assert word in text(app)
            assert "Let it run on" not in text(app)
            await pilot.press("c")
            await until(pilot, lambda: app.leaving is None)
        finally:
            engine.written = True
        await until(pilot, lambda: run_screen(app).state == "stopped")
        assert not app.closing


# ---- a divergence


def diverged(make_app: MakeApp) -> DashboardApp:
    return make_app(FakeEngine(iterations=60, fail_at=30, error=RunDiverged))


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_that_would_diverge_again_offers_a_copy_not_to_resume(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = diverged(make_app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "D makes a new run of its settings · 4 shows the whole log" in words(app))
        await until(pilot, lambda: "D new run" in text(app).splitlines()[-1])
        assert "R resume" not in text(app)
        await pilot.press("escape", "r")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("R")
        await until(pilot, lambda: "would fail again as it is: D takes its settings" in told(app))
        app.clear_notifications()
        await pilot.press("b", "R")
        await until(pilot, lambda: "would fail again as it is: D takes its settings" in told(app))
        assert len(app.sessions) == 1
        await pilot.press("enter", "D")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "settings" in text(app))


async def test_a_run_that_failed_otherwise_may_be_resumed(make_app: MakeApp) -> None:
    engine: Launch = FakeEngine(iterations=60, fail_at=30, error=DataError)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "R resumes at iteration" in words(app))
        assert "R resume" in text(app).splitlines()[-1]


async def test_of_a_run_that_has_ended_nothing_is_asked_while_its_thread_puts_things_away(make_app: MakeApp) -> None:
    away = threading.Event()

    def slowly(order: Order, observer: Observer, control: Control) -> dict[str, Any]:
        result = FakeEngine(iterations=20)(order, observer, control)
        away.wait(30)
        return result

    app = make_app(slowly)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("q")
        await until(pilot, lambda: app.leaving is Leave.DONE)
        assert isinstance(app.screen, RunScreen), "it was asked what is to become of the run"
        away.set()
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DONE


@pytest.mark.parametrize(("followed", "at_work"), [([], "first"), (["second", "third"], "third")])
def test_a_run_that_is_ended_at_once_after_the_dashboard_leaves_its_word(
    followed: list[str], at_work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the terminal is told which run goes on: it may have followed the one that went on then."""

    class Impatient(Attendant):
        def wait(self, _ended: object) -> None:
            raise AbandonedError("ended at once")

    def leave(code: int) -> None:
        raise SystemExit(code)

    said = list[str]()
    told_there = list[str]()
    session = EngineSession(Order(runs_dir=tmp_path, resume=tmp_path / "first"), lambda *_: {})
    session.control.watch(tmp_path / "control", on_abandon=said.append)
    monkeypatch.setattr("os._exit", leave)
    monkeypatch.setenv("MIM4DD_RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(entry, "tell", told_there.append)
    with pytest.raises(SystemExit, match="130"):
        entry._to_its_end(session, Impatient(session.control.request, print), [tmp_path / name for name in followed])
    assert said == ["ended at once (Ctrl-C)"]
    assert told_there[-1] == f"ended at once; `mim4dd resume {at_work}` goes on from the last one"
