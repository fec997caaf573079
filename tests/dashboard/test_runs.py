"""The browser of runs: what is listed, how it is chosen, and what can be done to a run from there."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input

from engine.errors import ConfigError, DataError, RunLocked
from engine.files import write_json
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from engine.runs.status import host_name, process_identity
from mim4dd_tui.dashboard.catalog import RunInfo, labels, read_run
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.shelf import SERIES, Shelf, chosen, colours, remove
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.dashboard.widgets.table import Table
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, words
from tests.dashboard.shelves import fill, make_run, shown, stands


def info(name: str, state: str = "done", accuracy: float | None = None, iteration: int = 5, seed: int = 0) -> RunInfo:
    folder = RunFolder(Path("/nowhere") / name)
    return RunInfo(folder, state, "digits-ipc1", seed, iteration, 10, accuracy, 1.0, 2.0, "", False)


RUNS = [info("b", "running", 0.5, 3), info("a", "done", 0.9, 10, seed=3), info("c", "failed", None, 0)]


def names(runs: list[RunInfo]) -> str:
    return "".join(run.name for run in runs)


def test_a_live_accuracy_is_marked_and_comes_after_the_final_ones(tmp_path: Path) -> None:
    best = read_run(make_run(tmp_path, "best", state="stopped", accuracy=0.9))
    final = read_run(make_run(tmp_path, "final", accuracy=0.8))
    none = read_run(make_run(tmp_path, "none", state="stopped", accuracy=None))
    assert [run.score for run in (best, final, none)] == ["~90.0 %", "80.0 %", ""]
    assert [run.name for run in chosen([none, best, final], sort="accuracy")] == ["final", "best", "none"]


def test_runs_are_sorted_filtered_and_searched() -> None:
    assert names(chosen(RUNS)) == "bac"
    assert names(chosen(RUNS, reverse=True)) == "cab"
    assert names(chosen(RUNS, sort="name")) == "abc"
    assert names(chosen(RUNS, sort="accuracy")) == "abc"
    assert names(chosen(RUNS, sort="progress")) == "abc"
    assert names(chosen(RUNS, sort="state")) == "acb"
    assert names(chosen(RUNS, which="running or paused")) == "b"
    assert names(chosen(RUNS, which="failed")) == "c"
    assert names(chosen(RUNS, words="Digits seed3")) == "a"
    assert names(chosen(RUNS, words="digits nothing")) == ""


@given(st.lists(st.text("abcdef", min_size=1, max_size=3), max_size=SERIES, unique=True), st.randoms())
def test_curve_colours_are_distinct_and_stay(marked: list[str], random: object) -> None:
    inks = colours(marked, {})
    assert sorted(set(inks.values())) == sorted(inks.values())
    assert all(1 <= ink <= SERIES for ink in inks.values())
    fewer = marked[::2]
    kept = colours(fewer, inks)
    assert kept == {name: inks[name] for name in fewer}
    assert {name: ink for name, ink in colours(marked, kept).items() if name in fewer} == kept


def test_a_shelf_reads_again_only_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(3):
        make_run(tmp_path, f"run{index}", age=index * 100.0, journal=False)
    (tmp_path / "no-run").mkdir()
    (tmp_path / ".hidden").mkdir()
    shelf = Shelf(tmp_path)
    assert [run.name for run in shelf.read()] == ["run0", "run1", "run2"]
    reads: list[str] = []

    def counted(folder: RunFolder) -> RunInfo:
        reads.append(folder.name)
        return read_run(folder)

    monkeypatch.setattr("mim4dd_tui.dashboard.shelf.read_run", counted)
    shelf.read()
    assert reads == []
    folder = RunFolder(tmp_path / "run1")
    status = folder.status()
    assert status is not None
    write_json(folder.status_path, {**{f: getattr(status, f) for f in status.__slots__}, "accuracy": 0.123})
    assert {run.name: run.accuracy for run in shelf.read()}["run1"] == 0.123
    assert reads == ["run1"]


def test_a_dead_process_is_noticed_although_its_file_stays(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "going", journal=False)
    status = folder.status()
    assert status is not None
    alive = replace(status, state="running", pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    values = {f: getattr(alive, f) for f in alive.__slots__}
    write_json(folder.status_path, values)
    before = folder.status_path.stat()
    shelf = Shelf(tmp_path)
    assert shelf.read()[0].state == "running"
    write_json(folder.status_path, {**values, "pid": 999_999_999})
    # the same length and time: only asking the system tells
    os.utime(folder.status_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shelf.read()[0].state == "failed"


def test_a_missing_folder_has_no_runs_and_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    assert Shelf(tmp_path / "nothing").read() == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot list"):
        Shelf(tmp_path / "file").read()


def test_hundreds_of_runs_are_listed_fast(tmp_path: Path) -> None:
    first = make_run(tmp_path, "run000", journal=False)
    sources = {path: path.read_bytes() for path in (first.config_path, first.about_path, first.status_path)}
    for index in range(1, 400):
        folder = tmp_path / f"run{index:03}"
        folder.mkdir()
        for path, data in sources.items():
            (folder / path.name).write_bytes(data)
    shelf = Shelf(tmp_path)
    begun = time.process_time()
    assert len(shelf.read()) == 400
    cold = time.process_time() - begun
    begun = time.process_time()
    shelf.read()
    warm = time.process_time() - begun
    assert cold < 2.0, f"{cold:.2f} s of processor time for 400 runs"
    assert warm < cold / 2, (warm, cold)


# ---- removing


def test_removing_takes_the_run_alone(tmp_path: Path) -> None:
    kept, gone = make_run(tmp_path, "kept"), make_run(tmp_path, "gone")
    remove(tmp_path, gone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert kept.status() is not None


def test_a_run_that_is_held_is_not_removed(tmp_path: Path) -> None:
    folder = make_run(tmp_path, "held")
    with RunLock(folder.path), pytest.raises(RunLocked):
        remove(tmp_path, folder)
    status = folder.status()
    assert status is not None
    alive = replace(status, state="paused", pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    write_json(folder.status_path, {f: getattr(alive, f) for f in alive.__slots__})
    with pytest.raises(RunLocked, match="stop it first"):
        remove(tmp_path, folder)
    assert folder.config_path.is_file()


def test_nothing_outside_the_runs_folder_is_removed(tmp_path: Path) -> None:
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    outside = make_run(elsewhere, "outside")
    runs.mkdir()
    (runs / "link").symlink_to(outside.path)
    for path in (outside.path, runs / "link", runs / ".." / "elsewhere" / "outside"):
        with pytest.raises(ConfigError, match="is not in"):
            remove(runs, RunFolder(path))
    (runs / "notes").mkdir()
    with pytest.raises(DataError, match="not a run folder"):
        remove(runs, RunFolder(runs / "notes"))
    assert outside.config_path.is_file()


# ---- the screen


@pytest.mark.parametrize("size", SIZES)
async def test_browse_sort_filter_search_and_open(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(shown(app)) == 3)
        assert shown(app) == ["third", "second", "first"]
        assert "90.0 %" in text(app)
        await pilot.press("s")
        await until(pilot, lambda: shown(app) == ["second", "first", "third"])
        await pilot.press("S")
        await until(pilot, lambda: shown(app) == ["third", "first", "second"])
        await pilot.press("f", "f", "f", "f")
        await until(pilot, lambda: shown(app) == ["third"])
        await pilot.press("f", "f", "slash", *"seco")
        await until(pilot, lambda: shown(app) == ["second"])
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
    again = make_app()
    assert (again.remembered.sort, again.remembered.reverse) == ("accuracy", True)


@pytest.mark.parametrize("size", SIZES)
async def test_delete_asks_and_refuses_what_goes_on(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("enter")  # the cursor stands on no
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert (tmp_path / "runs" / "third").is_dir()
        await pilot.press("X", "y")
        await until(pilot, lambda: shown(app) == ["second", "first"])
        assert not (tmp_path / "runs" / "third").exists()


async def test_what_a_search_hides_is_not_deleted(make_app: MakeApp, tmp_path: Path) -> None:
    """Marks are kept for a comparison; who searches for a run and deletes it means that one."""
    for name in ("lion", "tapir", "zebra"):
        make_run(tmp_path / "runs", name)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "zebra" in text(app))
        await pilot.press("space", "j", "space")
        await until(pilot, lambda: "2 marked" in text(app))
        await pilot.press("slash", *"lion", "enter")
        await until(pilot, lambda: "1 of 3" in text(app))
        await pilot.press("X")
        await until(pilot, lambda: "Delete lion?" in words(app))
        await pilot.press("n", "slash", *["backspace"] * 4, *"tapir", "enter")
        await until(pilot, lambda: "1 of 3" in text(app) and "tapir" in text(app))
        await pilot.press("X", "y")
        await until(pilot, lambda: {run.name for run in list_runs(tmp_path / "runs")} == {"lion", "zebra"})


@pytest.mark.parametrize("size", SIZES)
async def test_marked_runs_are_deleted_together(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("space", "j", "space", "k", "X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "Delete the 2 marked runs?" in words(app)
        assert "third, first; they cannot be brought back" in words(app)
        await pilot.press("y")
        await until(pilot, lambda: shown(app) == ["second"])
        assert [path.name for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")] == ["second"]
        await until(pilot, lambda: "marked" not in text(app))
        assert "2 runs are deleted" in told(app)


@pytest.mark.parametrize("size", SIZES)
async def test_duplicate_opens_the_form_with_the_runs_settings(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("j", "D")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and isinstance(app.focused, FieldList))
        assert app.screen.query_one(SettingsForm).changed() == {"objective.student_steps": 7}


@pytest.mark.parametrize("size", SIZES)
async def test_the_mouse_sorts_by_a_heading_and_opens_a_row(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        place = app.screen.query_one(Table).region
        heading = text(app).splitlines()[place.y]
        await pilot.click(offset=(heading.index("accuracy") + 2, place.y))
        await until(pilot, lambda: shown(app) == ["second", "first", "third"])
        row = next(y for y, line in enumerate(text(app).splitlines()) if " first " in line)
        await pilot.click(offset=(place.x + 5, row))
        assert isinstance(app.screen, RunsScreen), "one click opened what was only to be chosen"
        await pilot.click(offset=(place.x + 5, row))
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert run_screen(app).path == tmp_path / "runs" / "first"


@pytest.mark.parametrize("size", SIZES)
async def test_the_search_keeps_its_letters_from_the_keys(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("slash", *"scfq")
        await pilot.pause()
        assert app.screen.query_one("#runs-search", Input).value == "scfq"
        assert isinstance(app.screen, RunsScreen)
        await until(pilot, lambda: "no run matches · esc ends the search" in text(app))
        await pilot.press("down")
        await until(pilot, lambda: "no run matches · 0 shows all" in text(app))
        await pilot.press("0")
        await until(pilot, lambda: len(shown(app)) == 3)
        assert not app.screen.query_one("#runs-search", Input).display
        await pilot.press("F", "F")  # stopped: one run
        await until(pilot, lambda: len(shown(app)) == 1)
        await pilot.press("f")
        await until(pilot, lambda: "no run matches · 0 shows all" in text(app))
        await pilot.press("0")
        await until(pilot, lambda: len(shown(app)) == 3)


async def test_the_filter_stays_while_the_dashboard_is_open_and_no_longer(make_app: MakeApp, tmp_path: Path) -> None:
    fill(tmp_path / "runs")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(app)) == 3)
        await pilot.press("f")
        await until(pilot, lambda: "running or paused" in text(app))
        await pilot.press("escape", "b")
        await until(pilot, lambda: "running or paused" in text(app))
    again = make_app()
    async with again.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: len(shown(again)) == 3)


def test_seed_0_is_said_where_a_run_of_its_preset_has_another(tmp_path: Path) -> None:
    named = ("digits-ipc1-s0-20260101-000000", 0), ("digits-ipc1-s3-20260101-000001", 3), ("my-own", 0)
    runs = [read_run(make_run(tmp_path, name, seed=seed)) for name, seed in named]
    assert labels(runs) == ["digits-ipc1 s0", "digits-ipc1 s3", "my-own"]
    assert labels([runs[0], runs[2]]) == ["digits-ipc1", "my-own"]


async def test_names_are_whole_and_columns_that_still_fit_are_there(make_app: MakeApp, tmp_path: Path) -> None:
    """Also one behind a column that has no room."""
    name = "mnist-ipc1-small-s0-20261127-144710"
    folder = make_run(tmp_path / "runs", name, state="stopped", iterations=5000)
    origins = {"experts.learning_rate": "--set", "information.critic_optimizer": "--set"}
    write_json(folder.about_path, {"run": name, "preset": "digits-ipc1", "created": 1.0, "origins": origins})
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: name in text(app))
        assert "begun" in text(app)
        assert "changed" not in text(app)
        await pilot.resize_terminal(110, 24)
        await until(pilot, lambda: "changed" in text(app))
        assert name in text(app)


async def test_accuracy_and_progress_come_before_a_long_name_and_the_seed(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "cifar10-ipc10-soft-s0-20261127-144710", age=50)
    other = make_run(tmp_path / "runs", "cifar10-ipc10-soft-s1-20261127-144711", state="paused", seed=1)
    stands(other, pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()), accuracy=0.7)
    app = make_app()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "80.0 %" in text(app))
        assert "25/50" in text(app)
        assert "~70.0 %" in text(app)
        assert text(app).count("cifar1") == 2
        assert "seed" not in text(app)


async def test_what_is_cut_has_the_room_that_others_leave(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "mine", experts__learning_rate=0.015625, information__temperature=0.123456)
    preset = "a-preset-of-my-own-of-some-length.toml"
    origins = {"experts.learning_rate": "--set", "information.temperature": "--set"}
    write_json(folder.about_path, {"run": "mine", "preset": preset, "created": 1.0, "origins": origins})
    stands(folder, preset=preset)
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "learning_rate 0.015625, temperature 0.123456" in text(app))
        assert preset in text(app)


async def test_the_seed_is_a_column_where_no_name_tells_it(make_app: MakeApp, tmp_path: Path) -> None:
    for seed in (0, 1):
        make_run(tmp_path / "runs", f"digits-ipc1-s{seed}-20260101-00000{seed}", seed=seed)
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "preset" in text(app) and "s1-2026" in text(app))
        assert "seed" not in text(app)
        make_run(tmp_path / "runs", "mine", seed=27)
        make_run(tmp_path / "runs", "digits-ipc1-dream-s31-20260101-000000", preset="digits-ipc1-dream", seed=31)
        await until(pilot, lambda: "seed" in text(app))
        told = [line.split() for line in text(app).splitlines() if "digits-ipc1" in line]
        assert sum("27" in cells for cells in told) == 1
        assert sum("31" in cells for cells in told) == 1, "a blank would be read as no seed, whatever its name tells"


async def test_names_that_end_with_their_seed_tell_it(make_app: MakeApp, tmp_path: Path) -> None:
    """As ``--seeds`` with ``--name``, and analyses, call runs."""
    for name, seed in (("mine-seed0", 0), ("mine-seed1", 1), ("digits-ipc1-weight-0-s2", 2)):
        make_run(tmp_path / "runs", name, seed=seed)
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "preset" in text(app) and "mine-seed1" in text(app))
        assert "seed " not in text(app).replace("mine-seed", "")
        make_run(tmp_path / "runs", "tests10", seed=0)
        await until(pilot, lambda: "seed " in text(app))


@pytest.mark.parametrize("columns", [80, 82, 90, 100])
async def test_the_seed_has_room_before_what_tells_nothing_apart(
    columns: int, make_app: MakeApp, tmp_path: Path
) -> None:
    for seed, (name, state, weight) in enumerate([("one", "done", 0.5), ("two", "stopped", 0.25)]):
        folder = make_run(
            tmp_path / "runs",
            name,
            state=state,
            iterations=4000,
            seed=seed,
            objective__iterations=4000,
            information__weight=weight,
        )
        about = {"run": name, "preset": "digits-ipc1", "created": 1.0}
        write_json(
            folder.about_path, about | {"origins": {"objective.iterations": "--set", "information.weight": "--set"}}
        )
    app = make_app()
    async with app.run_test(size=(columns, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "stopped" in text(app))
        assert "seed" in text(app)


async def test_why_runs_cannot_be_listed_names_the_folder_as_a_person_would(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").write_text("")
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, lambda: "cannot list the runs in ~/runs" in text(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "runs in ~/runs: Not a" in text(app))


async def test_a_key_typed_ahead_finds_its_run(make_app: MakeApp, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "zebra", age=10)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "zebra" in text(app))
        with mock.patch.object(Shelf, "read", side_effect=lambda: time.sleep(5)):
            await pilot.press("b", "enter")
            await until(pilot, lambda: isinstance(app.screen, RunScreen), seconds=4)
        assert run_screen(app).path == run.path


def test_a_search_finds_what_can_be_seen() -> None:
    stopped = RunInfo(RunFolder(Path("a")), "stopped", "p", 0, 1, 2, None, 0, 0, "stopped on request", False)
    failed = replace(stopped, folder=RunFolder(Path("b")), state="failed", message="the disk is full")
    assert chosen([stopped, failed], words="que") == []
    assert chosen([stopped, failed], words="disk") == [failed], "why a run failed is shown"


async def test_the_columns_stay_while_words_are_typed(make_app: MakeApp, tmp_path: Path) -> None:
    for name in ("digits-ipc1-s0-20261127-204205", "mine-s2-20261127-204405"):
        make_run(tmp_path / "runs", name)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "accuracy" in text(app))
        heading = next(line for line in text(app).splitlines() if "accuracy" in line)
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.focused, Input))
        assert heading in text(app).splitlines()
