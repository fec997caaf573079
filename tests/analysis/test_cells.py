"""Cells: named by what they are, kept once, run where missing, gone on with where interrupted."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch

from engine.analysis.cells import LONGEST, POINTS, SHORT, Cell, Places, flat, settings_of, step_sizes, thinned
from engine.analysis.plan import WEIGHT, Plan, Variant
from engine.artifact import DistilledSet
from engine.config.load import dump, resolve
from engine.config.schema import Config
from engine.errors import ConfigError
from engine.runs.control import Control, StopRequested
from engine.runs.history import RunHistory
from engine.runs.lengthening import lengthen
from engine.runs.naming import check_name
from tests.distill.helpers import quickly, tiny

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, name: str = "mine") -> str:
    path = folder / f"{name}.toml"
    path.write_text(dump(tiny(objective__iterations=3, evaluation__random_draws=0)))
    return str(path)


def places(folder: Path) -> Places:
    return Places(folder / "cells", folder / "runs", cache=folder / "cache")


def test_a_name_says_what_differs_from_the_preset() -> None:
    assert Cell("digits-ipc1", (), 3).name == "digits-ipc1-seed-3"
    assert Cell("digits-ipc1", (("information.weight", "0.1"),), 0).name == "digits-ipc1-seed-0", "the preset's own"
    changed = (("information.weight", "3e-2"), ("execution.threads", "1"), ("data.name", "mnist"))
    assert Cell("digits-ipc1", changed, 0).name == "digits-ipc1-data.name-mnist-information.weight-0.03-seed-0"


def test_values_that_are_nearly_the_same_have_names_of_their_own() -> None:
    names = {Cell("digits-ipc1", (("information.weight", text),), 0).name for text in ("0.2", "0.20000001", "2e-1")}
    assert len(names) == 2


def test_a_long_name_is_shortened_and_stays_safe_and_its_own(tmp_path: Path) -> None:
    target = written(tmp_path, "a name with spaces & more, " + "x" * 60)
    names = {Cell(target, (("information.weight", w), ("objective.iterations", "9")), 2**31 - 1).name for w in "123"}
    assert len(names) == 3
    assert all(check_name(name) for name in names)


def test_a_run_has_a_short_name_that_tells_early_what_is_swept(tmp_path: Path) -> None:
    def name(*changes: tuple[str, str], swept: tuple[str, ...] = (WEIGHT,), target: str = "digits-ipc1") -> str:
        cell = Cell(target, changes, 1, swept)
        assert check_name(cell.run_name)
        assert len(cell.run_name) <= SHORT + len("-123456-s1")
        return cell.run_name

    assert name((WEIGHT, "0")) == "digits-ipc1-weight-0-s1"
    assert name((WEIGHT, "0.1")) == name() == "digits-ipc1-s1", "the preset's own"
    longer, other = (name((WEIGHT, "0"), ("objective.iterations", n)) for n in ("60", "70"))
    assert re.fullmatch(r"digits-ipc1-weight-0-[0-9a-f]{6}-s1", longer)
    assert longer[:-9] == other[:-9]
    assert longer != other
    assert name((WEIGHT, "1"), ("objective.iterations", "60")) == longer.replace("weight-0", "weight-1")
    counts = {name((key, "9"), swept=(key,)) for key in ("experts.batch_size", "objective.batch_size")}
    assert len(counts) == 2
    target = written(tmp_path, "a name with spaces & more, " + "x" * 60)
    assert len({name((WEIGHT, w), target=target) for w in "12"}) == 2


def test_a_run_under_the_name_of_its_cell_is_taken_up(tmp_path: Path) -> None:
    cell, where = Cell(written(tmp_path), ((WEIGHT, "0"),), 0, (WEIGHT,)), places(tmp_path)
    with quickly(2):
        assert cell.run(where).name == "mine-weight-0-s0"
        (where.runs / "mine-weight-0-s0").rename(where.runs / cell.name)
        assert cell.run(where).name == cell.name
    assert [path.name for path in where.runs.iterdir()] == [cell.name]


CONSTANT = (("data.name", "mnist"), ("data.train_limit", "1500"), ("evaluation.networks", "2"),
            ("evaluation.random_draws", "0"), ("experts.count", "3"), ("experts.epochs", "6"))  # fmt: skip


def test_a_long_name_says_what_is_swept_and_hashes_what_is_constant(tmp_path: Path) -> None:
    plan = Plan("digits-ipc1", (0,), places(tmp_path), CONSTANT)
    names = [plan.cell(Variant(w, ((WEIGHT, w),)), 0).name for w in ("0", "0.3", "1")]
    assert [name.split("-data.name")[0] for name in names] == [
        f"digits-ipc1-information.weight-{w}" for w in ("0", "0.3", "1")
    ]
    assert all(check_name(name) and len(name) <= LONGEST + len("-seed-0") for name in names)
    other = Plan("digits-ipc1", (0,), places(tmp_path), (*CONSTANT[:-1], ("experts.epochs", "7")))
    assert other.cell(Variant("0", ((WEIGHT, "0"),)), 0).name not in names, "the digest is of all changes"


KEPT_CELLS = sorted(
    path
    for folder in ("docs/analyses/digits-ipc1/cells", "docs/results")
    for path in (ROOT / folder).glob("*-seed-*.json")
    if not path.name.endswith(".cka.json")
)


@pytest.mark.parametrize("path", KEPT_CELLS, ids=lambda path: path.stem)
def test_cells_that_are_kept_have_the_name_that_they_are_looked_for_by(path: Path) -> None:
    document = json.loads(path.read_text())
    wanted, base = document["settings"], settings_of(resolve(document["preset"], seed=document["seed"]).config)
    defaults = flat(Config())
    values = {key: wanted.get(key, defaults[key]) for key in {*wanted, *base}}
    changes = tuple(sorted((key, str(v)) for key, v in values.items() if v != base.get(key, defaults[key])))
    for swept in ((), tuple(key for key, _ in changes)):
        assert Cell(document["preset"], changes, document["seed"], swept).name == path.stem


def test_there_are_kept_cells_of_both_studies() -> None:
    assert len(KEPT_CELLS) > 30
    assert len({path.parent for path in KEPT_CELLS}) == 2


def test_only_settings_that_decide_what_a_run_gives_count() -> None:
    plain = resolve("digits-ipc1").config
    threads = ["execution.threads=1", "execution.device=cpu", "summary=other"]
    assert settings_of(resolve("digits-ipc1", threads).config) == settings_of(plain)
    for change in ("execution.precision=mixed", "execution.recovery_factor=0.3", "information.grid=3", "seed=4"):
        assert settings_of(resolve("digits-ipc1", [change]).config) != settings_of(plain), change


def test_its_run_is_not_made_longer(tmp_path: Path) -> None:
    cell, where = Cell(written(tmp_path), (), 0), places(tmp_path)
    with quickly(2):
        folder = cell.run(where)
    with pytest.raises(ConfigError, match="is an analysis's"):
        lengthen(folder, 1000)
    assert cell.finished_run(where) == folder


def test_it_is_run_once_and_kept(tmp_path: Path) -> None:
    cell, where = Cell(written(tmp_path), (), 0), places(tmp_path)
    assert cell.kept(where) is None
    with quickly(2):
        first = cell.measure(where)
    assert first == json.loads((where.cells / f"{cell.name}.json").read_text())
    assert first["accuracy"]["final"]
    assert first["execution"]["torch"] == str(torch.__version__), "other versions give other last bits"
    assert first["gradient_ratio"]["least"] <= first["gradient_ratio"]["median"] <= first["gradient_ratio"]["most"]
    assert first["curves"]["objective"]["iterations"] == [1, 2, 3]
    heard: list[object] = []
    assert cell.measure(where, heard.append) == first
    assert not heard, "nothing is run for a cell that is kept"


def test_the_step_sizes_of_what_was_measured_are_kept(tmp_path: Path) -> None:
    """Those that the distilled sets carry."""
    cell, where = Cell(written(tmp_path), (), 0), places(tmp_path)
    with quickly(2):
        document = cell.measure(where)
    run = cell.finished_run(where)
    assert run is not None
    best, last = (DistilledSet.load(run.distilled_path(name)).step_size for name in ("best", "last"))
    assert document["step_sizes"] == {"accuracy": best, "last": last}
    measured = {"accuracy": {"iteration": 0}, "accuracy_by_test": {"iteration": 2}, "last": {"iteration": 3}}
    found = step_sizes(cell.config, measured, RunHistory.load(run.journal_path))
    assert found["accuracy"] == cell.config.objective.step_size, "nothing was learned yet"
    assert len(set(found.values())) == 3
    assert found["last"] == last


def test_numbers_of_another_code_are_told_from_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    plan = Plan(written(tmp_path), (0,), places(tmp_path), tell=said.append)
    cell = plan.cell(Variant("mine"), 0)
    with quickly(2):
        plan.measure(cell)
    plan.measure(cell)
    assert not said
    monkeypatch.setattr("engine.objectives.code_of", lambda name: "trajectory.py of today")
    document = plan.measure(cell)
    assert document["seed"] == 0, "they are taken all the same"
    (line,) = said
    assert line.startswith(f"warning: {cell.name} is from before the code of objective trajectory (trajectory.py) was")
    assert f"remove {plan.places.cells / cell.name}.json and {plan.places.runs / cell.name}" in line


def test_a_stopped_cell_is_gone_on_with_to_the_same_bits(tmp_path: Path) -> None:
    target, where = written(tmp_path), places(tmp_path)
    cell = Cell(target, (), 1)
    control = Control()

    def stop(event: object) -> None:
        if getattr(event, "iteration", 0) == 2:
            control.request("stop")

    with quickly(2):
        with pytest.raises(StopRequested):
            cell.measure(where, stop, control)
        assert cell.kept(where) is None
        again = cell.measure(where)
        elsewhere = Places(tmp_path / "cells2", tmp_path / "runs2", cache=tmp_path / "cache")
        assert again["fingerprint"] == cell.measure(elsewhere)["fingerprint"]


def test_a_cell_of_other_settings_is_not_taken_and_its_run_not_overwritten(tmp_path: Path) -> None:
    target, where = written(tmp_path), places(tmp_path)
    with quickly(2):
        Cell(target, (), 0).measure(where)
    Path(target).write_text(dump(tiny(objective__iterations=4, evaluation__random_draws=0)))
    now = Cell(target, (), 0)
    assert now.kept(where) is None
    with pytest.raises(ConfigError, match="other settings"):
        now.measure(where)
    (where.cells / f"{now.name}.json").write_text("{ torn")
    assert now.kept(where) is None


def test_a_setting_newer_than_a_cell_counts_only_beside_its_default(tmp_path: Path) -> None:
    where = places(tmp_path)
    where.cells.mkdir()
    old = settings_of(resolve("digits-ipc1").config)
    assert "objective.pixel_clip" not in old, "at its default: as if the cell were older than the setting"

    def kept(cell: Cell, settings: dict[str, object]) -> bool:
        (where.cells / f"{cell.name}.json").write_text(json.dumps({"settings": settings}))
        return cell.kept(where) is not None

    assert kept(Cell("digits-ipc1", (), 0), old)
    assert not kept(Cell("digits-ipc1", (("objective.pixel_clip", "1"),), 0), old)
    assert not kept(Cell("digits-ipc1", (), 0), {**old, "objective.gone": 1})


def test_curves_are_thinned_by_means_of_what_is_finite() -> None:
    long = thinned([(i + 1, float(i)) for i in range(600)])
    assert len(long["values"]) == POINTS
    assert long["values"][0] == 4.5
    assert long["iterations"][-1] == 600
    assert thinned([(1, math.nan), (2, 4.0), (3, math.inf)], 1) == {"iterations": [3], "values": [4.0]}
    assert thinned([(1, math.nan)]) == {"iterations": [1], "values": [None]}
    assert thinned([]) == {"iterations": [], "values": []}
