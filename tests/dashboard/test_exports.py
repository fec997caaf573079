"""What is written to be taken along: plots and tables, of one run and of several."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest

from engine.events import Iteration
from engine.runs.finding import list_runs
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.exports import COLOURS, Plot, export, tables_of
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.plots import Figure, Series, Viewport
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until
from tests.dashboard.shelves import make_run


def test_metrics_are_written_in_full_precision() -> None:
    history = RunHistory()
    value = 0.1 + 0.2
    history.apply(Iteration(1, value, None, None, None, None, 0.1, None, 0.05, 0.1), time=1.0)
    history.apply(Iteration(2, math.nan, 3.0, None, None, None, 0.1, None, 0.05, 0.1), time=2.0)
    rows = list(csv.DictReader(io.StringIO(tables_of(history)()["metrics.csv"])))
    assert float(rows[0]["objective"]) == value
    assert rows[0]["nce"] == ""
    assert rows[1]["objective"] == "nan"


def test_what_was_exported_is_named_by_a_path_that_holds_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.array([1.0, 2.0])
    plots = [Plot("a", "A", Figure((Series("a", x, x),)), Viewport()), Plot("b", "nothing yet", Figure(), Viewport())]
    told = export(Path("runs/one"), plots, lambda: {"m.csv": "x\n", "e.csv": "y\n"})
    assert told == f"1 plot (SVG, PNG) and 2 tables in {tmp_path / 'runs/one'}"
    assert {path.name for path in (tmp_path / "runs/one").iterdir()} == {"a.svg", "a.png", "m.csv", "e.csv"}


@pytest.mark.parametrize("size", SIZES)
async def test_plots_and_metrics_go_into_the_run_folder(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        app.screen.query_one("#accuracy", PlotPane).focus()
        await pilot.press("E")
        (folder,) = list_runs(app.runs_dir)
        exports = folder.path / "exports"
        await until(pilot, (exports / "evaluations.csv").exists)
        assert sorted(p.name for p in exports.iterdir()) == [
            "accuracy.png",
            "accuracy.svg",
            "evaluations.csv",
            "metrics.csv",
        ]
        assert len((exports / "metrics.csv").read_text().splitlines()) == 31


@pytest.mark.parametrize("size", SIZES)
async def test_a_comparison_is_exported_and_copied(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    make_run(tmp_path / "runs", "one", age=10)
    make_run(tmp_path / "runs", "two", seed=1)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "two" in text(app))
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: "A 80.0" in text(app))
        await pilot.press("c", "E")
        exports = tmp_path / "runs" / "exports"
        await until(pilot, lambda: len(list(exports.glob("compare-*/*.csv"))) == 2)
        (folder,) = exports.iterdir()
        assert {path.name for path in folder.iterdir()} == {"accuracy.png", "accuracy.svg", "curves.csv", "runs.csv"}
        rows = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text())))
        columns = [
            "run", "preset", "state", "best_mean", "best_iteration", "best_selected_on", "last_mean", "seed",
            "iteration", "objective", "bound", "step_size", "bound_mean_at_end", "full_set_mean",
            "seconds_worked",
        ]  # fmt: skip
        assert [name for name in rows[0] if name in columns] == columns
        assert [(row["preset"], row["best_iteration"], row["best_selected_on"]) for row in rows] == [
            ("digits-ipc1", "50", "test"),
            ("digits-ipc1", "50", "test"),
        ]
        ends = [float(rows[0][metric]) for metric in ("objective", "bound", "step_size")]
        assert ends == pytest.approx([math.exp(-1) + 0.1, 1.0, 0.05])
        assert [(row["mark"], row["run"], row["seed"], row["state"]) for row in rows] == [
            ("A", "two", "1", "done"),
            ("B", "one", "0", "done"),
        ]
        assert float(rows[0]["best_mean"]) == pytest.approx(0.8)
        curves = list(csv.DictReader(io.StringIO((folder / "curves.csv").read_text())))
        assert {row["run"] for row in curves} == {"one", "two"}
        assert all(math.isfinite(float(row["objective"])) for row in curves if row["objective"])
        assert not list(tmp_path.glob("runs/*/exports")), "nothing in the folders of the runs"
        assert "seed\t1\t0" in app.clipboard


@pytest.mark.parametrize("view", ["3", "4"])
async def test_curves_that_were_never_seen_are_exported_whole(make_app: MakeApp, view: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "old")
    make_app().remember(view={"3": "pictures", "4": "log"}[view])
    app = make_app(attach=run.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("E")
        exports = run.path / "exports"
        await until(pilot, (exports / "evaluations.csv").exists)
    drawn = {path.stem: path.read_text() for path in exports.glob("*.svg")}
    assert {"losses", "ratio", "speed"} <= drawn.keys()
    for name in ("losses", "ratio", "speed", "accuracy"):
        assert "no data yet" not in drawn[name]
        assert any(colour in drawn[name] for colour in COLOURS.values()), name
