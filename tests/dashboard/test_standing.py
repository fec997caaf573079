"""How far a run has come is said alike wherever runs are listed, also in a phase that counts no iterations."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.files import write_json
from engine.runs.folder import RunFolder
from engine.runs.status import host_name, process_identity
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli.summary import result_lines
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.details import run_text
from mim4dd_tui.dashboard.run_queue import Waiting
from mim4dd_tui.dashboard.screens import queue
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import text, until
from tests.dashboard.shelves import make_run


def going(runs_dir: Path, phase: str, done: int, total: int | None, iteration: int = 0) -> RunFolder:
    """A run that this process holds, in a phase."""
    folder = make_run(runs_dir, "one", state="running", iterations=80, accuracy=None, journal=False)
    status = folder.status()
    assert status is not None
    status = replace(status, pid=os.getpid(), host=host_name(), identity=process_identity(os.getpid()))
    status = replace(status, phase=phase, done=done, total=total, iteration=iteration)
    write_json(folder.status_path, asdict(status), durable=False)
    return folder


def rows(out: str) -> dict[str, str]:
    """The lines of ``show``, by name."""
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines() if "  " in line}


def test_while_experts_train_every_list_counts_their_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = going(tmp_path, "experts", 9, 40)
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:4] == ["one", "running", "experts", "9/40"]
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
    assert queue._cells(1, Waiting(folder, "going"))[3].text == "experts 9/40"


def test_what_is_distilled_already_is_said_beside_a_later_phase(tmp_path: Path) -> None:
    folder = going(tmp_path, "evaluate", 3, 10, iteration=80)
    shown = dict(result_lines({"state": "running", "iteration": 80, "iterations": 80}, "evaluate 3/10"))
    assert (shown["phase"], shown["iteration"]) == ("evaluate 3/10", "80 of 80")
    details = run_text(read_run(folder), "green", unicode=True).plain
    assert "phase       evaluate 3/10" in details
    assert "iteration   80 of 80" in details


def test_distillation_counts_iterations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = going(tmp_path, "distill", 12, 80, iteration=12)
    main(["runs", "--runs-dir", str(tmp_path)])
    assert "distill 12/80" in capsys.readouterr().out
    main(["show", "one", "--runs-dir", str(tmp_path)])
    assert "phase" not in rows(capsys.readouterr().out)
    assert read_run(folder).progress == "12/80"
    assert queue._cells(1, Waiting(folder, "going"))[3].text == "12/80"


async def test_the_browser_counts_the_epochs_too(make_app: MakeApp, tmp_path: Path) -> None:
    going(tmp_path / "runs", "experts", 9, 40)
    app = make_app()
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "one" in text(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "experts 9/40" in text(app))
        assert "0/80" not in text(app)
