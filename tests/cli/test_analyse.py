"""``mim4dd analyse``: a table, a document and a picture from a person's own preset; interrupted and gone on with."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from unittest import mock

import pytest

from engine.analysis.cells import Cell, Document
from engine.analysis.plan import Plan
from engine.config.load import dump
from engine.errors import RunFailed
from mim4dd_tui.__main__ import main
from tests.cli.command import COMMAND, begun, mim4dd, on_terminal
from tests.distill.helpers import quickly, tiny


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``mine.toml``, to which the command is moved."""
    (tmp_path / "mine.toml").write_text(dump(tiny(objective__iterations=3, evaluation__random_draws=0)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_it_writes_table_document_and_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with quickly(2):
        assert main(["analyse", "lambda", "mine.toml", "--seeds", "0-1", "--values", "0, 0.3"]) == 0
    out = capsys.readouterr().out
    place = folder / "analyses" / "mine"
    assert (place / "lambda.md").read_text() in out
    assert "| 0.3 (the preset's) | 2 |" in out
    assert json.loads((place / "lambda.json").read_text())["seeds"] == [0, 1]
    assert (place / "lambda.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((place / "cells").glob("*.json"))) == len(list((folder / "runs").iterdir())) == 4


def test_json_is_the_document_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with quickly(2):
        command = ["analyse", "loss", "mine.toml", "--seeds", "3", "--set", "information.weight = 0.2", "-o", "there"]
        assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "done"
    assert document["weight"] == 0.2
    assert document["files"] == ["there/loss.md", "there/loss.json", "there/loss.png"]
    assert all((folder / name).exists() for name in document["files"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lamda", "mine.toml"], "did you mean lambda?"),
        (["lambda", "mine.toml", "--values", "0.1"], "at least two"),
        (["lambda", "mine.toml", "--values", "0,x"], "mim4dd: --values: information.weight: 'x' is not allowed"),
        (["lambda", "mine.toml", "--values", "0,1", "--set", "information.grid=x"], "mim4dd: --set: information.grid"),
        (["critic", "mine.toml", "--set", "network.width=0"], "mim4dd: --set: network.width"),
        (["lambda", "mine.toml", "--seeds", "2-1"], "backwards"),
        (["lambda", "mine.toml", "--set", "seed=3"], "--seeds"),
        (["lambda", "mine.toml", "--set", "nonsense"], "section.key=value"),
        (["cka", "mine.toml", "--values", "1,2"], "takes no values"),
        (["cka", "no-such-preset"], "no-such-preset"),
        (["grids", "mine.toml", "--set", "information.weight=0"], "no term"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_run(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["analyse", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "runs").exists()
    assert not (folder / "analyses").exists()


def test_a_table_is_not_overwritten_by_one_that_holds_less(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["analyse", "lambda", "mine.toml", "--seeds"]
    sweep = ["--values", "0, 0.3", "--set", "objective.iterations=2"]
    with quickly(2):
        assert main([*command, "0-1", *sweep]) == 0
        table = folder / "analyses" / "mine" / "lambda.md"
        before = table.read_text()
        for seeds, values, changed, said in (
            ("0", "0,0.3", "objective.iterations=2", "has seed 1 as well"),
            ("0-1", "0,1", "objective.iterations=2", "has information.weight 0.3 as well"),
            ("0-1", "0,0.3", "objective.iterations=3", "has runs with objective.iterations 2"),
        ):
            capsys.readouterr()
            assert main([*command, seeds, "--values", values, "--set", changed]) == 2
            told = " ".join(capsys.readouterr().err.split())
            assert f"analyses/mine/lambda.md is there already, and {said}" in told
        assert table.read_text() == before
        assert len(list((folder / "runs").iterdir())) == 4, "nothing was run"
        assert main([*command, "0", *sweep, "--output", "less", "--finished"]) == 0
        assert main([*command, "0-2", *sweep[:-1], "objective.iterations = 2"]) == 0, "more may take its place"
    assert "seeds 0, 1, 2." in table.read_text()
    table.with_suffix(".json").write_text('{"set": 3}')
    assert main([*command, "0", *sweep, "--finished"]) == 0, "what is no document is nothing to lose"


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_on_a_terminal_the_table_is_as_wide_as_that_and_no_number_is_broken(folder: Path, columns: str) -> None:
    arguments = ["analyse", "lambda", "mine.toml", "--seeds", "0-2", "--values", "0,0.3"]
    with quickly(2):
        assert main(arguments) == 0
    program = f"from mim4dd_tui.__main__ import main\nassert main({[*arguments, '--finished']!r}) == 0"
    lines = on_terminal(program, {"COLUMNS": columns}, cwd=folder)
    assert all(len(line) <= int(columns) for line in lines)
    assert not any(line.startswith("|") for line in lines)
    markdown = (folder / "analyses" / "mine" / "lambda.md").read_text().splitlines()
    for row in (line for line in markdown if line.startswith("| 0.3")):
        value, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        told = "  ".join(line for line in lines if line.startswith(value))
        assert all(cell in told for cell in cells)
    assert sum(line.startswith("information.weight") for line in lines) == {"60": 3, "80": 2, "200": 1}[columns]


def test_failed_runs_are_written_down_and_tell_in_the_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.patch.object(Plan, "measure", side_effect=RunFailed("the disk is full")):
        assert main(["analyse", "lambda", "mine.toml", "--seeds", "0", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 1
    assert "6 runs of lambda failed" in document["error"]
    assert len(document["missing"]) == 6
    assert "the disk is full" in (folder / "analyses" / "mine" / "lambda.md").read_text()


def test_one_failed_run_is_told_as_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure = Plan.measure

    def failing(self: Plan, cell: Cell) -> Document:
        if dict(cell.changes).get("information.weight") == "0":
            raise RunFailed("the disk is full")
        return measure(self, cell)

    with quickly(2), mock.patch.object(Plan, "measure", failing):
        assert main(["analyse", "lambda", "mine.toml", "--seeds", "0", "--values", "0,0.3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "1 run of lambda failed: the disk is full"


def test_with_nothing_finished_no_empty_table_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", "lambda", "mine.toml", "--seeds", "0", "--values", "0,0.3", "--finished"]) == 1
    assert "none of the 2 runs of this analysis is finished" in capsys.readouterr().err
    assert not (folder / "runs").exists()
    assert not (folder / "analyses").exists()


def test_interrupted_the_same_command_goes_on(folder: Path) -> None:
    command = ["analyse", "lambda", "mine.toml", "--seeds", "0", "--values", "0,0.3", "--json"]
    command += ["--set", "objective.iterations=300", "--set", "evaluation.every=0", "--set", "evaluation.networks=1"]
    with begun([*COMMAND, *command], cwd=folder) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip() == "distill":
                process.send_signal(signal.SIGINT)
                break
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert json.loads(out) == {"analysis": "lambda", "state": "stopped"}
    again = mim4dd(*command, cwd=folder, wait=240)
    assert again.code == 0, again.err
    assert json.loads(again.out)["missing"] == []
    journals = sorted((folder / "runs").glob("*/journal.jsonl"))
    started = [path.read_text().count('"run_started"') for path in journals]
    assert sorted(started) == [1, 2], "the first run was gone on with, in the same folder"
