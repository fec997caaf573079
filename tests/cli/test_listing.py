"""``mim4dd runs``: what gives way where there is little room, and nothing where it is piped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.files import write_json
from engine.runs.status import StatusWriter
from tests.cli.command import environment, mim4dd, on_terminal
from tests.dashboard.shelves import make_run

LISTED = "from mim4dd_tui.__main__ import main\nmain(['runs'])"
LONG = "digits-ipc1-information.weight-0-objective.iterations-60-evaluation-seed-"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with runs of an analysis, which have long names, and another."""
    for seed in (0, 1):
        run = make_run(tmp_path / "runs", f"{LONG}{seed}", seed=seed, age=9000, information__weight=0)
        about = {"run": run.name, "preset": "digits-ipc1", "seed": seed, "created": 1.0}
        write_json(run.about_path, {**about, "origins": {"information.weight": "--set"}})
    make_run(tmp_path / "runs", "mine", state="stopped", accuracy=0.4)
    return tmp_path


@pytest.mark.parametrize(
    ("columns", "headers"),
    [
        (160, ["run", "state", "progress", "accuracy", "begun", "changed"]),
        (80, ["run", "state", "progress", "accuracy", "begun", "changed"]),
        (64, ["run", "state", "progress", "accuracy", "begun"]),
        (42, ["run", "state", "progress", "accuracy"]),
    ],
)
def test_long_names_are_shortened_and_accuracy_and_progress_stay(
    folder: Path, columns: int, headers: list[str]
) -> None:
    head, _, *lines = on_terminal(LISTED, {"COLUMNS": str(columns)}, cwd=folder)
    assert head.split() == headers
    assert len(lines) == 3, "a run takes one line"
    assert all(len(line) <= columns for line in lines)
    long = [line for line in lines if line.startswith("di")]
    assert len({line.split()[0] for line in long}) == 2
    assert all("50/50" in line and "80.0 %" in line for line in long)
    assert all("weight 0" in line for line in long) == ("changed" in headers)
    mine = next(line for line in lines if line.startswith("mine"))
    assert mine.split()[1:5] == ["stopped", "25/50", "~40.0", "%"]


@pytest.mark.parametrize("columns", ["20", "80"])
def test_piped_a_run_is_one_line_with_nothing_cut(folder: Path, columns: str) -> None:
    out = mim4dd("runs", cwd=folder, env=environment(COLUMNS=columns)).out.splitlines()
    assert len(out) == 4
    rows = sorted(line.split()[0] for line in out[1:])
    assert rows == [f"{LONG}0", f"{LONG}1", "mine"]
    assert sum("information.weight 0" in line for line in out) == 2


def test_what_was_changed_is_cut_before_it_is_left_out(tmp_path: Path) -> None:
    changed = {"objective.iterations": 60, "information.temperature": 0.25, "information.layer_growth": 1.5}
    values = {key.replace(".", "__"): value for key, value in changed.items()}
    for name, own in (("mine", values), ("yours", {"information__weight": 0})):
        run = make_run(tmp_path / "runs", name, **own)
        origins = {key.replace("__", "."): "--set" for key in own}
        write_json(
            run.about_path, {"run": name, "preset": "digits-ipc1", "seed": 0, "created": 1.0, "origins": origins}
        )
    head, _, *lines = on_terminal(LISTED, {"COLUMNS": "80"}, cwd=tmp_path)
    assert head.split()[-1] == "changed"
    assert any(line.rstrip().endswith("…") and "iterations 60" in line for line in lines)
    assert any(line.rstrip().endswith("weight 0.0") for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_age_gives_way_to_what_tells_runs_of_one_name_apart(tmp_path: Path) -> None:
    for number, weight in enumerate((0.2, 0.5)):
        run = make_run(tmp_path / "runs", f"digits-ipc1-dream-s0-20260101-00000{number}", information__weight=weight)
        about = {"run": run.name, "preset": "digits-ipc1", "seed": 0, "created": 1.0}
        write_json(run.about_path, {**about, "origins": {"information.weight": "--set"}})
    head, _, *lines = on_terminal(LISTED, {"COLUMNS": "80"}, cwd=tmp_path)
    assert head.split() == ["run", "state", "progress", "accuracy", "changed"]
    assert [line.split()[-2:] for line in lines] == [["weight", "0.2"], ["weight", "0.5"]]
    assert all(line.startswith("digits-ipc1-dream-s0-20260101-00000") for line in lines), "names are whole"


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (120, "mnist-ipc1-small-s0-20261128-02103"),
        (100, "mnist-ipc1-small-s0…02103"),
        (80, "mnist-ipc1-small-s0-20261128-02103"),
        (72, "mnist-ipc1-sma…s0…02103"),
    ],
)
def test_names_give_way_to_the_values_that_tell_runs_apart(tmp_path: Path, columns: int, names: str) -> None:
    changed: list[dict[str, Any]] = [
        {"objective.pixel_rate": 1e7},
        {"objective.iterations": 40},
        {"experts.count": 1, "experts.epochs": 6, "objective.iterations": 6, "evaluation.networks": 2},
    ]
    for number, own in enumerate(changed):
        run = make_run(
            tmp_path / "runs",
            f"mnist-ipc1-small-s0-20261128-02103{number}",
            preset="mnist-ipc1-small",
            iterations=300,
            **{key.replace(".", "__"): value for key, value in own.items()},
        )
        about = {"run": run.name, "preset": "mnist-ipc1-small", "seed": 0, "created": 1.0 + number}
        write_json(run.about_path, {**about, "origins": dict.fromkeys(own, "--set")})
    head, _, *lines = on_terminal(LISTED, {"COLUMNS": str(columns)}, cwd=tmp_path)
    assert head.split()[-1] == "changed"
    assert [line.split()[0] for line in lines] == [f"{names}{number}" for number in range(3)]
    for line, told in zip(lines, ("pixel_rate 1e+07", "iterations 40", "iterations 6, "), strict=True):
        assert line.index(told) == head.index("changed")
        assert len(line) <= columns


def test_a_run_whose_process_loads_its_engine_is_starting_and_its_documents_say_queued(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "lion", state="queued")
    StatusWriter(folder.path).beat()
    assert mim4dd("runs", cwd=tmp_path).out.splitlines()[1].split()[:2] == ["lion", "starting"]
    shown = mim4dd("show", "lion", cwd=tmp_path).out.splitlines()
    assert next(line for line in shown if line.startswith("state")).split() == ["state", "starting"]
    (row,) = json.loads(mim4dd("runs", "--json", cwd=tmp_path).out)
    assert row["state"] == json.loads(mim4dd("show", "lion", "--json", cwd=tmp_path).out)["state"] == "queued"
