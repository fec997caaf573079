"""What was changed for a run alone is known from its folder, and told wherever the run is."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from engine.analysis.cells import Cell
from engine.analysis.plan import WEIGHT
from engine.config.load import EDITED, resolve
from engine.config.presets import lacking, of_gone, of_run
from engine.runs.changes import changes
from engine.runs.folder import RunFolder
from engine.runs.log import log_line, told_changes
from mim4dd_tui.__main__ import main
from mim4dd_tui.dashboard.catalog import labels, read_run, telling_first
from mim4dd_tui.dashboard.details import run_text
from mim4dd_tui.dashboard.run_queue import RunQueue
from mim4dd_tui.dashboard.shelf import Shelf, chosen
from mim4dd_tui.dashboard.widgets.runs import _ages, _alike
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import text, until
from tests.dashboard.shelves import make_run, stands
from tests.runs.helpers import started


def made(runs_dir: Path, name: str | None, *overrides: str, seed: int | None = None) -> RunFolder:
    found = resolve("digits-ipc1", overrides, seed=seed)
    return RunFolder.create(runs_dir, name, found.config, preset=found.preset, origins=found.origins)


def test_a_preset_and_a_seed_are_no_changes(tmp_path: Path) -> None:
    assert changes(made(tmp_path, "plain", seed=7)) == {}
    own = made(tmp_path, "own", "information.weight=0.3", "network.norm=group", seed=7)
    assert changes(own) == {"information.weight": 0.3, "network.norm": "group"}
    assert told_changes(changes(own)) == "network.norm group, information.weight 0.3"
    (own.path / "config.toml").write_text("[network]\nwidth = no")
    assert changes(own) == {}


@pytest.mark.parametrize("weight", ["0.1", "0.10", "1e-1"])
def test_a_value_of_the_presets_own_is_no_change(tmp_path: Path, weight: str) -> None:
    """As an analysis gives it to the runs of its middle row."""
    assert resolve("digits-ipc1").config.information.weight == 0.1
    cell = Cell("digits-ipc1", (("network.width", "16"), (WEIGHT, weight)), 0, (WEIGHT,)).resolved
    run = RunFolder.create(tmp_path, "own", cell.config, preset=cell.preset, origins=cell.origins)
    assert changes(run) == {"network.width": 16}


def test_what_was_edited_in_the_form_counts(tmp_path: Path) -> None:
    config = resolve("digits-ipc1", ["objective.iterations=60"]).config
    origins = {"objective.iterations": EDITED, "network.width": "preset digits-ipc1", "seed": EDITED}
    assert changes(RunFolder.create(tmp_path, "own", config, origins=origins)) == {"objective.iterations": 60}


def test_the_log_begins_with_them() -> None:
    assert "with" not in (log_line(started()) or ("", ""))[1]
    event = replace(started(), changes={"information.weight": 0.3})
    assert (log_line(event) or ("", ""))[1].endswith(", with information.weight 0.3")


def test_runs_of_one_preset_and_seed_are_told_apart_and_found_by_them(tmp_path: Path) -> None:
    made(tmp_path, None)
    made(tmp_path, None, "information.weight=0.3", "network.norm=group")
    found = Shelf(tmp_path).read()
    assert sorted(labels(found)) == ["digits-ipc1", "digits-ipc1 norm group, weight 0.3"]
    assert sorted(labels(found, 33)) == ["digits-ipc1", "dig…s-ipc1 norm group, weight 0.3"], "names first"
    assert sorted(labels(found, 28)) == ["digits-ipc1", "digits-ipc1 norm group, …"]
    assert sorted(labels(found, 24)) == ["digits-ipc1", "dig…s-ipc1 norm group, …"], "the name gives way to it"
    assert labels(found, 18) == ["digits-ipc1"] * 2, "so short it would tell nothing"
    assert [run.changes for run in chosen(found, words="weight 0.3")] == [
        {"information.weight": 0.3, "network.norm": "group"}
    ]


@pytest.mark.parametrize("preset", ["digits-ipc1", "digits-ipc1-distribution"])
@pytest.mark.parametrize("room", range(22, 60))
def test_three_arms_of_two_settings_are_told_apart(tmp_path: Path, preset: str, room: int) -> None:
    """What tells two of them apart is the whole of what was changed for the third."""
    weight, validation = "information.weight=0", "data.validation=0.2"
    arms = ((weight,), (weight, validation), (validation,))
    for place, changed in enumerate(((), *arms)):
        for seed in (0, 1):
            found = resolve(preset, changed, seed=seed)
            name = f"{preset}-s{seed}-2026112{place}-115701"
            RunFolder.create(tmp_path, name, found.config, preset=preset, origins=found.origins)
    told = labels(Shelf(tmp_path).read(), room)
    assert len(set(told)) == 8, told


def test_first_comes_what_tells_the_listed_runs_apart(tmp_path: Path) -> None:
    """Of ten runs nine share a width, in which one differs; all share the iterations; the temperature is each one's."""
    for place in range(10):
        own = [f"information.temperature=0.{place + 20}", f"network.width={16 if place else 8}"]
        made(tmp_path, f"run{place}", "objective.iterations=60", *own)
    made(tmp_path, "plain")
    found = Shelf(tmp_path).read()
    told = {run.name: run.changed for run in chosen(found)}
    assert told["run3"] == "temperature 0.23, width 16, iterations 60"
    assert told["run0"] == "temperature 0.2, width 8, iterations 60"
    assert told["plain"] == ""
    made(tmp_path, "run10", "network.width=64", "information.temperature=0.23", "objective.iterations=60")
    narrow = chosen(Shelf(tmp_path).read(), words="temperature 0.23")
    assert [run.changed.partition(",")[0] for run in narrow] == ["width 64", "width 16"], "listed are these two alone"


def test_the_commands_tell_first_what_tells_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIM4DD_RUNS_DIR", str(tmp_path))
    for temperature in ("0.25", "0.35"):
        own = ["network.width=16", "objective.iterations=60", f"information.temperature={temperature}"]
        made(tmp_path, f"run{temperature}", *own)
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition("  information.temperature ")[2].partition(",")[0] for line in lines] == ["0.25", "0.35"]


def test_the_commands_tell_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, "plain")
    monkeypatch.setenv("MIM4DD_RUNS_DIR", str(tmp_path))
    assert main(["runs"]) == 0
    assert "changed" not in capsys.readouterr().out
    made(tmp_path, "own", "information.weight=0.3")
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-1] == "changed"
    assert [line.split()[0] for line in lines if line.endswith("  information.weight 0.3")] == ["own"]
    assert main(["show", "own"]) == 0
    assert "digits-ipc1 with information.weight 0.3, seed 0" in capsys.readouterr().out


async def test_the_list_of_all_runs_has_a_column_for_them_where_there_are_any(
    make_app: MakeApp, tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "plain")
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "plain" in text(app) and "worked" in text(app))
        assert "changed" not in text(app)
        made(tmp_path / "runs", "own", "information.weight=0.3")
        await until(pilot, lambda: "changed" in text(app) and "weight 0.3" in text(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "seed" not in text(app))
        assert "weight 0.3" in text(app), "it tells apart what is of one preset and seed"


def test_of_what_was_changed_labels_say_what_tells_runs_apart(tmp_path: Path) -> None:
    for weight in ("0.0", "0.2"):
        made(tmp_path, None, "objective.iterations=60", f"information.weight={weight}")
    assert sorted(labels(Shelf(tmp_path).read())) == ["digits-ipc1 weight 0.0", "digits-ipc1 weight 0.2"]
    made(tmp_path, None, "objective.iterations=60", "information.weight=0.2")
    assert sorted(labels(Shelf(tmp_path).read()))[1:] == ["digits-ipc1 weight 0.2"] * 2
    alike = [run for run in Shelf(tmp_path).read() if run.changes["information.weight"] == 0.2]
    assert labels(alike) == ["digits-ipc1 weight 0.2, iterations 60"] * 2, "nothing tells them apart"
    assert [run.changed for run in telling_first(alike[::-1])] == ["weight 0.2, iterations 60"] * 2


def test_what_one_run_alone_has_comes_before_what_it_shares_with_most(tmp_path: Path) -> None:
    """Also where this setting tells no others apart: a list that cuts the end shows why a run is another one."""
    for seed in (0, 1, 2):
        made(tmp_path, f"short{seed}", "objective.iterations=60", "information.weight=0.2", seed=seed)
        made(tmp_path, f"long{seed}", "objective.iterations=400", seed=seed)
    made(tmp_path, "odd", "objective.iterations=60", "information.weight=0.2", "objective.pixel_rate=1e7")
    told = {run.name: run.changed for run in telling_first(Shelf(tmp_path).read())}
    assert told["odd"] == "pixel_rate 1e+07, iterations 60, weight 0.2"
    assert told["long0"] == "iterations 400"
    assert told["short0"] == told["short1"] == "iterations 60, weight 0.2"


async def test_the_first_screen_says_what_was_changed_where_two_runs_bear_one_name(
    make_app: MakeApp, tmp_path: Path
) -> None:
    for weight in ("0.1", "0"):
        for seed in (1, 2):
            changed = ["objective.iterations=60", f"information.weight={weight}"]
            found = resolve("digits-ipc1-dream", changed, seed=seed)
            run = RunFolder.create(tmp_path / "runs", None, found.config, preset=found.preset, origins=found.origins)
            now = time.time() - 10_000 * seed
            stands(run, state="done", preset=found.preset, seed=seed, accuracy=0.8123, started=now, heartbeat=now)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: text(app).count("81.2") == 4)
        lines = [line[:34] for line in text(app).splitlines() if "81.2" in line]
        for name in ("s1", "s2"):
            ours = [line for line in lines if name in line]
            assert len(ours) == 2, lines
            assert sum("weight 0.0" in line or "weight 0 " in f"{line} " for line in ours) == 1, lines


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_runs_of_an_analysis_are_told_apart_in_the_lists(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    cells = [
        Cell("digits-ipc1", (("objective.iterations", "60"), (WEIGHT, weight)), seed, (WEIGHT,))
        for weight in ("0", "0.3")
        for seed in (0, 1)
    ]
    for cell in cells:
        found = cell.resolved
        config, origins = found.config, found.origins
        run = RunFolder.create(tmp_path / "runs", cell.run_name, config, preset=found.preset, origins=origins)
        values = {"preset": found.preset, "seed": cell.seed, "accuracy": 0.8, "iteration": 60, "iterations": 60}
        stands(run, state="done", started=time.time() - 9000, heartbeat=time.time(), **values)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: text(app).count("80.0") == 4)
        rows = [line[: size[0] * 2 // 5] for line in text(app).splitlines() if "80.0" in line]
        assert len({row.split("80.0")[1].split()[0] for row in rows}) == 4, rows
        await pilot.press("b")
        await until(pilot, lambda: "changed" in text(app) and text(app).count("60/60") == 4)
        assert all(cell.run_name in text(app) for cell in cells)
        assert text(app).count("weight 0.3") == 2


async def test_room_that_shortened_names_leave_goes_to_what_was_changed(make_app: MakeApp, tmp_path: Path) -> None:
    """A name loses its date as a whole, for want of a single column."""
    for weight, seed, clock in ((0, 0, "115701"), (0, 1, "115708"), (0.1, 0, "115709"), (0.1, 1, "115710")):
        changed = ["objective.iterations=150", f"information.weight={weight}"]
        run = made(tmp_path / "runs", f"digits-ipc1-dream-s{seed}-20261128-{clock}", *changed)
        stands(run, state="done", preset="digits-ipc1-dream", accuracy=0.8, iteration=150, iterations=150)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: text(app).count("150/150") == 4)
        assert text(app).count("weight 0.0, iterations") == 2, text(app)


async def test_what_was_changed_has_room_before_long_names(make_app: MakeApp, tmp_path: Path) -> None:
    for weight in ("0.3", "0"):
        changed = ["objective.iterations=60", f"information.weight={weight}"]
        run = made(tmp_path / "runs", f"{'of-a-long-name-' * 3}{weight}", *changed)
        stands(run, state="done", preset="digits-ipc1", accuracy=0.8, iteration=60, iterations=60)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: text(app).count("60/60") == 2)
        assert "changed" in text(app)
        assert "weight 0.3" in text(app)
        assert text(app).count("80.0 %") == 2


@pytest.mark.parametrize(("size", "shared"), [((60, 20), ()), ((80, 24), ()), ((80, 24), ("data.validation=0.125",))])
async def test_the_queue_tells_them_and_names_whole(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int], shared: tuple[str, ...]
) -> None:
    names = [
        folder.name
        for weight in ("0.0", "0.35")
        for folder in RunQueue(tmp_path / "runs").add(
            resolve("digits-ipc1", [f"information.weight={weight}", *shared]).config,
            [0],
            preset="digits-ipc1",
            origins={text.partition("=")[0]: EDITED for text in (*shared, "information.weight")},
        )
    ]
    app = make_app()
    app.turns.offer = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        await pilot.press("Q")
        # where there is no room for all, how far they are goes before their date
        shown = names if size[0] > 60 else [name[:14] + "…" + name[24:] for name in names]
        await until(pilot, lambda: all(name in text(app) for name in shown))
        assert "weight 0.0" in text(app)
        assert "weight 0.35" in text(app), "what both share stands before it"


@pytest.mark.parametrize("room", range(14, 40))
def test_runs_of_one_name_are_told_apart_in_the_narrowest_list(tmp_path: Path, room: int) -> None:
    made(tmp_path, None)
    made(tmp_path, None, "information.weight=0")
    made(tmp_path, None, "data.validation=0.2")
    made(tmp_path, None, "data.validation=0.2", "objective.pixel_rate=1e7")
    found = Shelf(tmp_path).read()
    told = labels(found, room)
    assert all(cell_len(text) <= room for text in told), told
    assert len(set(told)) >= 3, told  # of two with the same first setting the second may have no room


def test_what_most_runs_share_does_not_hide_what_tells_two_of_them_apart(tmp_path: Path) -> None:
    many = [(), ("objective.iterations=40",), ("objective.iterations=50",)]
    for number, overrides in enumerate([*many, *many, ("objective.iterations=50", "objective.step_size=0.01")]):
        RunFolder.create(
            tmp_path,
            f"digits-ipc1-s0-20260101-00000{number}",
            (found := resolve("digits-ipc1", list(overrides))).config,
            preset=found.preset,
            origins=found.origins,
        )
    found_labels = labels(Shelf(tmp_path).read(), 22)
    assert sum("ste… 0.01" in label for label in found_labels) == 1, found_labels


def test_ages_have_one_spelling_where_one_row_has_little_room() -> None:
    ages = [_ages(240.0), _ages(7 * 60.0), _ages(60.0)]
    assert _alike(ages, [20, 20, 20]) == ["  4 min ago", "  7 min ago", "  1 min ago"]
    assert _alike(ages, [20, 4, 20]) == ["  4m", "  7m", "  1m"]
    assert _alike(ages, [20, 2, 20]) == ["  4 min ago", "", "  1 min ago"], "where none has room none is spelt"
    assert _alike([[""], _ages(240.0)], [9, 20]) == ["", "  4 min ago"]


@pytest.mark.parametrize(
    ("source", "why", "name"),
    [
        (of_gone("mine"), "the preset mine was gone when the run was made", "mine-s0-"),
        (of_run("lion"), "made of the settings of run lion", "digits-s0-"),
    ],
)
def test_of_what_is_no_preset_to_compare_with_it_is_said_where_the_values_are(
    source: str, why: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = resolve("digits-ipc1", ["network.norm=group", "network.depth=2"]).config
    origins = {"network.norm": "preset mine", "network.depth": EDITED}
    run = RunFolder.create(tmp_path, None, config, preset=source, origins=origins)
    assert run.name.startswith(name)
    where = f"`mim4dd show {run.path} --config` has all settings"
    told = run_text(read_run(run), "", unicode=False).plain
    assert source in told
    assert f"{why}; {where}" in told
    assert main(["show", run.name, "--runs-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"{source} with network.depth 2, seed 0" in shown
    assert f"{why}; {where}" in shown
    event = replace(started(), preset=source, changes={"network.depth": 2})
    assert (log_line(event) or ("", ""))[1].endswith(f", of {source}, with network.depth 2")
    assert lacking("mine") == lacking("mine.toml on digits-ipc1") == ""


def test_of_a_run_whose_status_is_damaged_no_number_of_iterations_is_told(tmp_path: Path) -> None:
    run = made(tmp_path, "damaged")
    assert "iteration   0 of " in run_text(read_run(run), "", unicode=False).plain
    run.status_path.write_text("{")
    told = run_text(read_run(run), "", unicode=False).plain
    assert "its status file is missing or damaged" in told
    assert "iteration" not in told.partition("enter opens it")[0]
