"""Cells of the results: what counts as the same run, going on after an interruption, and the tables made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cells, results, tables
from benchmarks.cells import Cell, same_run
from engine.runs.control import Control
from tests.distill.helpers import quickly

TINY = (
    "objective.iterations=4", "objective.student_steps=2", "objective.max_start_epoch=1", "experts.count=2",
    "experts.epochs=3", "network.width=8", "network.depth=2", "data.train_limit=200", "data.test_limit=100",
    "evaluation.networks=2", "evaluation.random_draws=1", "evaluation.every=2", "information.readout=40",
    "information.real_batch=40",
)  # fmt: skip
CELL = Cell("digits-ipc1", "tiny", TINY, 0)


def test_where_a_cell_ran_does_not_count_and_its_settings_do() -> None:
    kept = CELL.config().model_dump(exclude={"summary"})
    assert same_run(kept, CELL.config(("execution.threads=3", "execution.compile=off")).model_dump())
    assert not same_run(kept, CELL.config(("execution.precision=mixed",)).model_dump())
    assert not same_run(kept, CELL.config(("objective.pixel_rate=3",)).model_dump())
    assert not same_run(kept, Cell("digits-ipc1", "tiny", TINY, 1).config().model_dump())


def test_a_setting_that_is_newer_than_a_cell_counts_only_beside_its_default() -> None:
    kept = CELL.config().model_dump(exclude={"summary"})
    del kept["objective"]["pixel_clip"]
    assert same_run(kept, CELL.config().model_dump())
    assert not same_run(kept, CELL.config(("objective.pixel_clip=1",)).model_dump())
    kept["objective"]["gone"] = 1
    assert not same_run(kept, CELL.config().model_dump())


def test_a_cell_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path / "cache"))
    with quickly():
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        CELL.run(whole)
        assert not list((tmp_path / "cache" / "cells").iterdir()), "a finished cell leaves no run folder"
        stopping = Control()
        stopping.request("stop")
        CELL.run(cut, control=stopping)
        assert CELL.read(cut) is None
        assert list((tmp_path / "cache" / "cells").iterdir())
        CELL.run(cut)
    documents = [json.loads(CELL.path(folder).read_text()) for folder in (whole, cut)]
    assert documents[0]["fingerprint"] == documents[1]["fingerprint"]
    assert documents[0]["accuracy"] == documents[1]["accuracy"]
    assert CELL.read(cut) == documents[1]


def test_missing_cells_are_run_side_by_side_and_time_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By processes that stand for cells: one that is done at once, one that would take for ever."""
    made = [Cell("digits-ipc1", name, (), seed) for seed in range(2) for name in ("term", "weight-0")]
    monkeypatch.setattr(results, "cells", lambda _: iter(made))
    folder = tmp_path / "cells"

    def command(cell: Cell, _: Any) -> list[str]:
        if cell.variant == "weight-0":
            return ["sleep", "600"]
        cell.path(folder).parent.mkdir(parents=True, exist_ok=True)
        cell.path(folder).write_text(json.dumps({"config": cell.config().model_dump(exclude={"summary"})}))
        return ["true"]

    monkeypatch.setattr(results, "command", command)
    monkeypatch.setattr(
        "sys.argv", ["results", "run", "small", "--jobs", "2", "--minutes", "0.05", "--cells", str(folder)]
    )
    assert results.main() == 1
    said = capsys.readouterr().err
    assert "missing: digits-ipc1/weight-0-seed-0, digits-ipc1/weight-0-seed-1" in said
    assert all(cell.read(folder) is not None for cell in made if cell.variant == "term")


def score(mean: float, selected_on: str = "validation") -> dict[str, Any]:
    return {"mean": mean, "std": 0.01, "protocol": "paper-300", "selected_on": selected_on}


def test_a_row_names_both_selections_and_the_pairs_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CELLS", tmp_path)
    preset = "mnist-ipc1-study"
    for seed, gain in enumerate((0.02, 0.03)):
        for name, changes, mean in (("term", (), 0.8 + gain), ("weight-0", ("information.weight=0",), 0.8)):
            cell = Cell(preset, name, changes, seed)
            document = {
                "config": cell.config().model_dump(exclude={"summary"}),
                "accuracy": score(mean), "accuracy_by_test": score(mean + 0.01, "test"), "last": score(mean - 0.01),
                "random_selection": score(0.5), "full_set": score(0.99),
                "mutual_information": {"nats": 2.0, "ceiling": 2.3} if name == "term" else None,
            }  # fmt: skip
            cell.path(tmp_path).parent.mkdir(parents=True, exist_ok=True)
            cell.path(tmp_path).write_text(json.dumps(document))
    term, plain, pair = tables.rows(preset, 5)
    assert "| 2 | 82.5 ± 0.7 | 83.5 ± 0.7 | 81.5 ± 0.7 | 50.0 ± 1.0 | 99.0 ± 1.0 |" in term
    assert "2.00 of 2.30 | 92.0 ± 0.6 |" in term
    assert "80.0 ± 0.0" in plain
    assert plain.endswith("| – | 91.4 ± 0.9 |")
    assert "2 pairs | +2.5 ± 6.4 | +2.5 ± 6.4 | +2.5 ± 6.4 |" in pair
    assert not list(tables.rows("cifar10-ipc1-study", 5)), "nothing is said of cells that are not there"


def test_the_pages_are_made_of_the_cells_that_are_there() -> None:
    page = (tables.ROOT / "docs" / "results.md").read_text()
    assert tables.accuracy_table() in page
    assert tables.precision_table() in (tables.ROOT / "docs" / "performance.md").read_text()


@pytest.mark.parametrize(("group", "count"), [("small", 18), ("study", 96), ("precision", 15)])
def test_groups_are_whole(group: str, count: int) -> None:
    found = list(results.cells(group))
    assert len({cell.name for cell in found}) == len(found) == count
    assert cells.COUNTS
