"""Cells of the results: going on after an interruption, groups side by side, and the tables made of them."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from benchmarks import random_images, results, tables
from benchmarks.results import Task
from engine.analysis.cells import Cell, Document, settings_of
from engine.analysis.plan import WITH, WITHOUT
from engine.config.load import resolve
from engine.runs.control import Control
from engine.runs.folder import RunFolder
from engine.runs.result import document
from tests.distill.helpers import quickly

TINY = (
    ("objective.iterations", "4"), ("objective.student_steps", "2"), ("objective.max_start_epoch", "1"),
    ("experts.count", "2"), ("experts.epochs", "3"), ("network.width", "8"), ("network.depth", "2"),
    ("data.train_limit", "200"), ("data.test_limit", "100"), ("evaluation.networks", "2"),
    ("evaluation.random_draws", "1"), ("evaluation.every", "2"), ("information.readout", "40"),
    ("information.real_batch", "40"), ("data.validation", "0.2"),
)  # fmt: skip
TASK = Task(Cell("digits-ipc1", TINY, 0))


def put(task: Task, folder: Path, document: Document) -> None:
    """Keep a document as that of a task's cell."""
    path = task.places(folder).cells / f"{task.cell.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"settings": settings_of(task.cell.config), **document}))


def options(cells: Path, device: str = "cpu") -> argparse.Namespace:
    return argparse.Namespace(cells=cells, device=device, threads=1, data_dir=None, group="small")


def test_where_a_cell_runs_is_no_part_of_what_it_is() -> None:
    for device in ("cpu", "cuda"):
        there = Cell("digits-ipc1", (*TINY, *results.execution(options(Path(), device))), 0)
        assert there.config.execution.device == device
        assert there.name == TASK.cell.name
        assert settings_of(there.config) == settings_of(TASK.cell.config)


def test_a_cell_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path / "cache"))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with quickly():
        assert results.work(TASK, options(whole), Control())
        assert not list((tmp_path / "cache" / "cells").iterdir()), "a finished cell leaves no run folder"
        stopping = Control()
        stopping.request("stop")
        assert not results.work(TASK, options(cut), stopping)
        assert results.missing([TASK], cut) == [TASK]
        assert TASK.places(cut).runs.is_dir()
        assert results.work(TASK, options(cut), Control())
    first, second = (TASK.cell.kept(TASK.places(folder)) for folder in (whole, cut))
    assert first is not None
    assert second is not None
    assert first["fingerprint"] == second["fingerprint"]
    assert first["accuracy"] == second["accuracy"]
    assert first["accuracy_by_test"] == second["accuracy_by_test"]
    assert first["accuracy"]["selected_on"] == "validation"
    assert first["accuracy_by_test"]["selected_on"] == "test"
    assert first["seconds"] > 0


def test_arithmetics_have_folders_of_their_own_for_cells_and_runs(tmp_path: Path) -> None:
    found = list(results.tasks("precision"))
    for of_seed in (found[:3], found[-3:]):
        assert len({settings.cell.name for settings in of_seed}) == 2, "compiled or not is no part of a name"
        places = [task.places(tmp_path) for task in of_seed]
        assert len({place.cells for place in places}) == len({place.runs for place in places}) == 3
    put(found[0], tmp_path, {})
    assert results.missing(found[:3], tmp_path) == found[1:3]


def test_missing_cells_are_run_side_by_side_and_time_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By processes that stand for cells: one that is done at once, one that would take for ever."""
    made = [Task(Cell("digits-ipc1", side.changes, seed)) for seed in range(2) for side in (WITH, WITHOUT)]
    monkeypatch.setattr(results, "tasks", lambda _: iter(made))
    folder = tmp_path / "cells"

    def command(task: Task, _: Any) -> list[str]:
        if task.cell.changes == WITHOUT.changes:
            return ["sleep", "600"]
        put(task, folder, {})
        return ["true"]

    monkeypatch.setattr(results, "command", command)
    monkeypatch.setattr(
        "sys.argv", ["results", "run", "small", "--jobs", "2", "--minutes", "0.05", "--cells", str(folder)]
    )
    assert results.main() == 1
    said = capsys.readouterr().err
    assert "missing: digits-ipc1-information.weight-0-seed-0, digits-ipc1-information.weight-0-seed-1" in said
    assert results.missing(made, folder) == [made[1], made[3]]


@pytest.mark.long
def test_a_process_that_is_told_to_end_leaves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path / "cache"))
    task = next(results.tasks("small"))
    run = RunFolder(task.places(tmp_path).runs / task.cell.run_name)
    with subprocess.Popen(results.command(task, options(tmp_path / "cells")), cwd=results.ROOT) as process:
        end = time.monotonic() + 200
        while b'"kind":"expert_epoch"' not in journal(run):
            assert process.poll() is None
            assert time.monotonic() < end, "no expert is trained"
            time.sleep(0.1)
        process.terminate()
        assert process.wait(100) == 0
    assert document(run.path)["state"] == "stopped"
    assert results.missing([task], tmp_path / "cells") == [task]


def journal(run: RunFolder) -> bytes:
    return run.journal_path.read_bytes() if run.journal_path.exists() else b""


def test_a_cell_of_its_own_process_is_found_by_its_whole_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    monkeypatch.setattr(results, "work", lambda task, *_: asked.append(task.name))
    monkeypatch.setattr(results, "listening", Control)
    for task in (list(results.tasks("small"))[1], list(results.tasks("precision"))[4]):
        group = "small" if task.arithmetic is None else "precision"
        given = results.command(task, argparse.Namespace(**{**vars(options(tmp_path)), "group": group}))
        monkeypatch.setattr("sys.argv", given[2:])
        assert results.main() == 0
        assert asked.pop() == task.name


def score(mean: float, selected_on: str = "validation") -> dict[str, Any]:
    spread = [mean + shift for shift in (-0.01, 0.01, 0.0, -0.01, 0.01)]
    return {"mean": mean, "std": 0.01, "protocol": "paper-300", "selected_on": selected_on, "accuracies": spread}


def test_a_row_names_both_selections_and_the_pairs_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CELLS", tmp_path)
    monkeypatch.setattr(random_images, "FOLDER", tmp_path)
    preset = "mnist-ipc1-study"
    for seed, gain in enumerate((0.02, 0.03)):
        for side, mean in ((WITH, 0.8 + gain), (WITHOUT, 0.8)):
            document = {
                "accuracy": score(mean), "accuracy_by_test": score(mean + 0.01, "test"), "last": score(mean - 0.01),
                "random_selection": score(0.5), "full_set": score(0.99),
                "mutual_information": {"nats": 2.0, "ceiling": 2.3} if side == WITH else None,
            }  # fmt: skip
            put(Task(Cell(preset, side.changes, seed)), tmp_path, document)
    term, plain, pair = tables.rows(preset, 5)
    assert "| 2 | 82.5 ± 0.7 | 83.5 ± 0.7 | 81.5 ± 0.7 | 50.0 ± 1.0 | – | 99.0 ± 1.0 |" in term
    assert "2.00 of 2.30 | 92.0 ± 0.6 |" in term
    assert "80.0 ± 0.0" in plain
    draws = [0.49, 0.51, 0.5, 0.49, 0.51]
    interval = stats.ttest_ind([0.82, 0.83], draws, equal_var=False).confidence_interval()
    assert f"| +32.5 ± {(interval.high - interval.low) * 50:.1f} | – |" in term
    assert plain.endswith("| – | 91.4 ± 0.9 |")
    assert "2 pairs | +2.5 ± 6.4 | +2.5 ± 6.4 | +2.5 ± 6.4 |" in pair
    assert not list(tables.rows("cifar10-ipc1-study", 5)), "nothing is said of cells that are not there"
    columns = len(tables.HEAD[0].split("|"))
    assert {len(row.split("|")) for row in (*tables.HEAD, term, plain, pair)} == {columns}


def cells_of(preset: str, folder: Path, step_size: float) -> None:
    """Two pairs, at 80 % and about 50 of random images."""
    for seed, side in product(range(2), (WITH, WITHOUT)):
        document = {
            "accuracy": score(0.8 + 0.01 * seed, "test"), "accuracy_by_test": None, "last": score(0.8),
            "random_selection": score(0.5), "full_set": score(0.99), "mutual_information": None,
            "step_sizes": {"accuracy": step_size},
        }  # fmt: skip
        put(Task(Cell(preset, side.changes, seed)), folder, document)


def test_a_row_compares_with_random_images_at_the_sets_step_size_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "CELLS", tmp_path)
    monkeypatch.setattr(random_images, "FOLDER", tmp_path / "random")

    def shown(preset: str) -> tuple[str, ...]:
        """Of the side with the term: random images at the sets' step size, and what the sets have over either."""
        cells = [cell.strip() for cell in next(tables.rows(preset, 2)).split("|")]
        return cells[9], cells[11].split(" ")[0], cells[12].split(" ")[0]

    cells_of("digits-ipc1", tmp_path, 0.06)
    assert shown("digits-ipc1") == ("not measured", "+30.3", "not")
    path = random_images.path_of("digits-ipc1", 0.06)
    path.parent.mkdir(parents=True)
    settings = random_images.decisive(resolve("digits-ipc1").config, 0.06)
    path.write_text(json.dumps({"settings": settings, "draws": [[0.6, 0.62], [0.61, 0.61]]}))
    assert shown("digits-ipc1") == ("61.0 ± 0.8 (at 0.06)", "+30.3", "+19.5")
    cells_of("mnist-ipc1-small", tmp_path, 0.06)
    assert shown("mnist-ipc1-small") == ("–", "+30.5", "–"), "both at the protocol's rate"


def test_pairs_are_compared_at_every_rate_and_one_side_alone_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "CELLS", tmp_path)
    monkeypatch.setattr(tables, "RATES", {"mnist-ipc1-bptt-small": (12, 20)})
    monkeypatch.setattr(results, "RATES", tables.RATES)
    for task in results.tasks("rates"):
        changes, with_term = dict(task.cell.changes), "information.weight" not in dict(task.cell.changes)
        if task.cell.seed < 2 and not (with_term and changes["objective.pixel_rate"] == "12"):
            mean = 0.7 + 0.1 * task.cell.seed + 0.02 * with_term
            put(task, tmp_path, {"accuracy": score(mean + 0.01), "last": score(mean)})
    first, second = tables.rate_table().splitlines()[2:]
    assert first == "| mnist-ipc1-bptt-small | 12 | – | 75.0 ± 7.1 | 0 | – | – |"
    assert second == "| mnist-ipc1-bptt-small | 20 | 77.0 ± 7.1 | 75.0 ± 7.1 | 2 | +2.0 ± 0.0 | +2.0 ± 0.0 |"


def test_rates_of_the_study_are_run_on_its_own_seeds() -> None:
    cells = [task.cell for task in results.tasks("rates") if task.cell.target == "mnist-ipc1-bptt-study"]
    assert {cell.seed for cell in cells} == set(range(5))
    assert len(cells) == 2 * 2 * 5


def test_precisions_are_compared_with_the_eager_run_of_their_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "CELLS", tmp_path)
    gains = {"float32-eager": 0.0, "float32-compiled": 0.01, "mixed": -0.02}
    for task in results.tasks("precision"):
        assert task.arithmetic is not None
        if task.cell.seed < 2 and (task.arithmetic.label, task.cell.seed) != ("mixed", 1):
            mean = 0.8 + 0.1 * task.cell.seed + gains[task.arithmetic.label]
            put(task, tmp_path, {"accuracy": score(mean), "last": score(mean)})
    eager, compiled, mixed = tables.precision_table().splitlines()[2:]
    assert eager == "| float32-eager | 2 | 85.0 ± 7.1 | 85.0 ± 7.1 | – |"
    assert compiled == "| float32-compiled | 2 | 86.0 ± 7.1 | 86.0 ± 7.1 | +1.0 ± 0.0 |"
    assert mixed == "| mixed | 1 | 78.0 | 78.0 | -2.0 |"


def test_the_pages_are_made_of_the_cells_that_are_there() -> None:
    page = (tables.ROOT / "docs" / "results.md").read_text()
    assert tables.accuracy_table() in page
    assert tables.rate_table() in page
    assert tables.precision_table() in (tables.ROOT / "docs" / "performance.md").read_text()


@pytest.mark.parametrize(("group", "count"), [("small", 66), ("study", 96), ("rates", 72), ("precision", 15)])
def test_groups_are_whole(group: str, count: int) -> None:
    found = list(results.tasks(group))
    assert len({task.name for task in found}) == len(found) == count
    assert len({(task.places(Path()).cells, task.cell.name) for task in found}) == count
    assert len({task.places(Path()).runs for task in found}) == count
