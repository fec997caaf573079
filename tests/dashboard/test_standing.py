"""How far a run has come is said alike wherever runs are listed, also in a phase that counts no iterations."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

from engine.config.load import EDITED
from engine.events import Event, Iteration, Lengthened, Phase, Progress, RunStarted, StateChanged
from engine.files import write_json
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.status import host_name, process_identity
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli.summary import result_lines
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.details import run_text
from mim4dd_tui.dashboard.progress import progress
from mim4dd_tui.dashboard.run_queue import FILE, Waiting
from mim4dd_tui.dashboard.screens import queue
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.widgets.runs import RunList
from mim4dd_tui.dashboard.widgets.status import Head, RunHead
from mim4dd_tui.dashboard.widgets.summary import Summary
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, text, until, within, words
from tests.dashboard.shelves import make_run, stands

CHANGED = ("objective.student_steps", "information.weight")


def going(
    runs_dir: Path, phase: str, done: int, total: int | None, iteration: int = 0, state: str = "running"
) -> RunFolder:
    """A run that this process holds, or that ended, in a phase."""
    folder = make_run(runs_dir, "one", state="running", iterations=80, accuracy=None, journal=False)
    count(folder, phase, done, total, iteration, state)
    return folder


def count(
    folder: RunFolder, phase: str, done: int, total: int | None, iteration: int = 0, state: str = "running"
) -> None:
    """What such a run says of itself a little later."""
    status = folder.status()
    assert status is not None
    status = replace(status, pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    status = replace(status, state=state, phase=phase, done=done, total=total, iteration=iteration)
    write_json(folder.status_path, asdict(status), durable=False)


def rows(out: str) -> dict[str, str]:
    """The lines of ``show``, by name."""
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines() if "  " in line}


@pytest.mark.parametrize("state", ["running", "stopped", "failed"])
def test_every_list_counts_the_epochs_of_experts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    folder = going(tmp_path, "experts", 9, 40, state=state)
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:4] == ["one", state, "experts", "9/40"]
    assert main(["runs", "--json", "--runs-dir", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["phase"], row["done"], row["total"]) == ("experts", 9, 40)
    assert main(["show", "one", "--runs-dir", str(tmp_path)]) == 0
    shown = rows(capsys.readouterr().out)
    assert shown["phase"] == "experts 9/40"
    assert "iteration" not in shown
    details = run_text(read_run(folder), "green", unicode=True).plain
    assert "phase       experts 9/40" in details
    assert "iteration" not in details
    assert queue._cells(1, Waiting(folder, "running"))[3].text == "experts 9/40"


def test_what_is_distilled_already_is_said_beside_a_later_phase(tmp_path: Path) -> None:
    folder = going(tmp_path, "evaluate", 3, 10, iteration=80)
    shown = dict(result_lines({"state": "running", "iteration": 80, "iterations": 80}, "evaluate 3/10"))
    assert (shown["phase"], shown["iteration"]) == ("evaluate 3/10", "80 of 80")
    details = run_text(read_run(folder), "green", unicode=True).plain
    assert "phase       evaluate 3/10" in details
    assert "iteration   80 of 80" in details


@pytest.mark.parametrize(
    ("state", "pid", "told"),
    [("done", 0, "ended"), ("stopped", 0, "ended"), ("queued", 0, "queued"), ("running", 2**22 + 1, "last sign")],
)
def test_when_a_run_was_heard_of_last_is_called_by_what_it_was(tmp_path: Path, state: str, pid: int, told: str) -> None:
    folder = make_run(tmp_path, "one", state=state, age=300)
    stands(folder, pid=pid, host=host_name())
    lines = run_text(read_run(folder), "green", unicode=True).plain.splitlines()
    (line,) = [line for line in lines if line.endswith(" ago")]
    assert line.split("  ")[0] == told


def test_a_run_at_work_gives_signs(tmp_path: Path) -> None:
    assert "last sign   " in run_text(read_run(going(tmp_path, "distill", 1, 80)), "green", unicode=True).plain


def test_distillation_counts_iterations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = going(tmp_path, "distill", 12, 80, iteration=12)
    main(["runs", "--runs-dir", str(tmp_path)])
    assert "distill 12/80" in capsys.readouterr().out
    main(["show", "one", "--runs-dir", str(tmp_path)])
    assert "phase" not in rows(capsys.readouterr().out)
    assert read_run(folder).progress == "12/80"
    assert queue._cells(1, Waiting(folder, "running"))[3].text == "12/80"


async def test_the_browser_counts_the_epochs_too(make_app: MakeApp, tmp_path: Path) -> None:
    going(tmp_path / "runs", "experts", 9, 40)
    app = make_app()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "one" in text(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "experts 9/40" in text(app))
        assert "0/80" not in text(app)


@pytest.mark.parametrize(("key", "length"), [("b", 18), ("b", 20), ("b", 22), ("b", 24), ("Q", 18), ("Q", 22)])
async def test_the_columns_of_a_list_stay_while_a_run_counts(
    make_app: MakeApp, tmp_path: Path, key: str, length: int
) -> None:
    runs_dir = tmp_path / "runs"
    other = make_run(runs_dir, "x" * length, state="queued", objective__student_steps=7, information__weight=0.25)
    about = json.loads(other.about_path.read_text())
    write_json(other.about_path, about | {"origins": dict.fromkeys(CHANGED, EDITED)}, durable=False)
    folder = going(runs_dir, "experts", 9, 24)
    write_json(runs_dir / FILE, {"runs": [folder.name, other.name]}, durable=False)
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: "experts 9/24" in text(app) and "xxx" in text(app))
        headings = text(app).splitlines()[2]
        for phase, done, total in (("experts", 22, 24), ("baselines", 10, 10), ("distill", 9, 80)):
            count(folder, phase, done, total, 9 if phase == "distill" else 0)
            told = f"{done}/{total}" if phase == "distill" else f"{phase} {done}/{total}"
            await until(pilot, partial(seen, app, told))
            assert text(app).splitlines()[2] == headings


BPTT, SMALL, HEAVY = "mnist-ipc1-bptt-small-s0", "mnist-ipc1-small-s0", "digits-heavy-s2"


@pytest.mark.parametrize(
    ("key", "size", "told"),
    [
        ("b", (80, 24), (f"{BPTT}…", f"{SMALL}…021034", f"{HEAVY}…020835")),
        ("b", (60, 20), ("mnist-ipc1-bptt-sma…s0", f"{SMALL}…", f"{HEAVY}…020835")),
        ("Q", (80, 24), (f"{BPTT}…020034", f"{SMALL}-20261128-021034", f"{HEAVY}-20261128-020835")),
    ],
)
async def test_while_a_run_counts_names_keep_preset_and_seed_and_values_stay(
    make_app: MakeApp, tmp_path: Path, key: str, size: tuple[int, int], told: tuple[str, ...]
) -> None:
    runs_dir = tmp_path / "runs"
    folder = going(runs_dir, "distill", 9, 80, 9)
    names = [f"{BPTT}-20261128-020034", f"{SMALL}-20261128-021034", f"{HEAVY}-20261128-020835"]
    for name in names:
        run = make_run(runs_dir, name, state="queued", objective__iterations=40)
        about = json.loads(run.about_path.read_text())
        write_json(run.about_path, about | {"origins": {"objective.iterations": EDITED}}, durable=False)
    write_json(runs_dir / FILE, {"runs": [folder.name, *names]}, durable=False)
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: "9/80" in text(app) and HEAVY in text(app))
        assert " running " in text(app)
        assert all(f" {name} " in text(app) for name in told)
        assert text(app).count("iterations 40") == (3 if size == (80, 24) else 0)


def seen(app: DashboardApp, what: str) -> bool:
    return what in text(app)


async def test_before_it_is_deleted_it_is_said_that_a_run_stopped_among_its_experts(
    make_app: MakeApp, tmp_path: Path
) -> None:
    going(tmp_path / "runs", "experts", 9, 40, state="stopped")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "experts 9/40" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: "stopped, experts 9/40; it cannot" in words(app))


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_run_that_ended_among_its_experts_says_so_in_its_head(state: str) -> None:
    history = RunHistory()
    for event in (Phase("experts", 96), Progress("experts", 83, 96)):
        history.apply(event, time=1.0)
    told = progress(history, state, preparing=False, waiting="")
    assert (told.phase, told.done, told.total, told.detail) == (state, 83, 96, "experts")


def test_a_run_that_is_stopping_has_no_time_left() -> None:
    history = RunHistory()
    history.apply(RunStarted("run", "digits-ipc1", 0, 10, 60, "here", 1, "0", {"device": "cpu"}), time=0.0)
    history.apply(Phase("distill", 60), time=0.0)
    for number in range(1, 31):
        history.apply(Iteration(number, 1.0, None, None, None, None, 0.1, None, 0.05, 0.03), time=number / 10)
    going, stopping = (progress(history, state, preparing=False, waiting="") for state in ("running", "stopping"))
    assert going.remaining is not None
    assert going.rate
    assert (stopping.remaining, stopping.rate, stopping.done) == (None, "", 30)


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (90, "lion  seed 3 · vm, process 938"),
        (52, "lion  vm, process 938"),
        (40, "lion  seed 3"),
        (28, "lion"),
    ],
)
async def test_where_the_place_has_no_room_the_seed_has(make_app: MakeApp, width: int, said: str) -> None:
    app = make_app(FakeEngine(iterations=3), autostart=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        place = app.screen.query_one(RunHead)
        place.head = Head("lion", "", 3, "running", 61.0, "vm, process 938")
        left, _ = place._first(place.inks, width)
        assert "".join(segment.text for segment in left) == said


@pytest.mark.parametrize("longer", [True, False])
def test_while_the_engine_loads_a_run_stands_where_it_is_and_is_in_no_phase(longer: bool) -> None:
    """Not where the evaluation stood that the sitting before made last, nor at its old end."""
    history = RunHistory()
    begun = RunStarted("run", "digits-ipc1", 0, 10, 260, "here", 1, "0", {"device": "cpu"})
    reached = Iteration(260, 1.0, None, None, None, None, 0.1, None, 0.05, 0.03)
    done: tuple[Event, ...] = (
        begun,
        Phase("distill", 260),
        reached,
        Phase("evaluate", 10),
        Progress("evaluate", 0, 10),
    )
    for event in (*done, *([Lengthened(260, 260, 300, 0.9, "")] if longer else [])):
        history.apply(event, time=1.0)
    told = progress(history, "starting", preparing=True, waiting="loading the engine")
    assert (told.phase, told.done, told.total) == ("starting", 260, 300 if longer else 260)
    assert (told.detail, told.rate, told.remaining) == ("loading the engine", "", None)
    fresh = progress(RunHistory(), "starting", preparing=True, waiting="loading the engine")
    assert (fresh.phase, fresh.done, fresh.total) == ("starting", 0, None)


def test_an_iteration_that_takes_far_longer_than_the_others_is_told_of() -> None:
    history = RunHistory()
    begun = time.time() - 2.0
    for event in (StateChanged("running"), Phase("distill", 200)):
        history.apply(event, time=begun)
    for i in range(1, 61):
        history.apply(Iteration(i, 1.0, None, None, None, None, 0.1, None, 0.05, 0.03, 500.0), time=begun + 0.03 * i)
        history.apply(Progress("distill", i, 200), time=begun + 0.03 * i)
    soon, late = (progress(history, "running", preparing=False, waiting="", silent=silent) for silent in (4.0, 25.0))
    assert (soon.rate, soon.remaining is not None) == ("33 it/s", True)
    assert (late.rate, late.remaining) == ("this iteration 25 s", None), "it would say for ever that seconds are left"
    assert progress(history, "paused", preparing=False, waiting="", silent=25.0).rate == "33 it/s"
    history.apply(Progress("distill", 60, 200, "evaluating"), time=begun + 1.9)
    busy = progress(history, "running", preparing=False, waiting="", silent=25.0)
    assert (busy.rate, busy.detail) == ("33 it/s", "evaluating"), "no iteration is made meanwhile"


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_reason_is_cut_with_a_mark_and_what_helps_is_seen(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    reason = "the pixels diverge, and smaller rates did not help: " + "word after " * 60 + "THE END"
    make_run(tmp_path / "runs", "one", state="failed", message=reason)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "✗" in text(app))
        app.screen.query_one(RunList).take()
        details = app.screen.query_one(Summary)
        await until(pilot, lambda: "the pixels diverge" in within(app, details))
        await until(pilot, lambda: within(app, details).endswith("into a new run"))
        assert ("…" in within(app, details)) != ("THE END" in within(app, details))
        await pilot.resize_terminal(160, 48)
        await until(pilot, lambda: "THE END" in within(app, details))
        assert "…" not in within(app, details)
