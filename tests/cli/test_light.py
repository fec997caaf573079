"""Commands that only look answer at once: little CPU time, and no torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from engine.config.schema import Config
from engine.files import write_json
from engine.runs.folder import RunFolder
from tests.cli.command import COMMAND, Ended, begun, cpu_seconds

LIGHT = [
    ("--help",),
    ("--version",),
    ("run", "--help"),
    ("analyse", "--help"),
    ("presets",),
    ("presets", "--json"),
    ("presets", "digits-ipc1"),
    ("runs",),
    ("runs", "--json"),
    ("paths",),
    ("protocols",),
    ("protocols", "--json"),
    ("attach", "--help"),
    ("attach", "over"),
    ("runs", "--runs-dir", "runs"),
]

LIMIT = 0.5
"""CPU seconds of an answer ..."""

OF_LIBRARIES = 3.0
"""... or, on a slower or busier machine, times what the libraries take that no command can do without."""
LIBRARIES = (sys.executable, "-c", "import typer, typer._adapters, pydantic; pydantic.BaseModel")


def without(modules: Iterable[str], arguments: tuple[str, ...], cwd: Path) -> Ended:
    """A command in a process that fails where one of the modules was imported."""
    program = (
        "import sys\n"
        "from mim4dd_tui.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        f"heavy = {set(modules)!r} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.exit(code)\n"
    )
    with begun([sys.executable, "-c", program, *arguments], cwd=cwd) as process:
        out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_no_torch_is_imported(arguments: tuple[str, ...], tmp_path: Path) -> None:
    over(tmp_path / "runs")
    done = without({"torch", "torchvision", "numpy", "scipy", "sklearn", "textual"}, arguments, tmp_path)
    assert done.code == 0, done.err


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("presets",), ("runs",)], ids=" ".join)
def test_answers_within_half_a_second_of_cpu_time(arguments: tuple[str, ...], tmp_path: Path) -> None:
    best = libraries = float("inf")
    for _ in range(4):  # in turn, so that the machine's other work falls on both
        best = min(best, cpu_seconds(*COMMAND, *arguments, cwd=tmp_path))
        libraries = min(libraries, cpu_seconds(*LIBRARIES, cwd=tmp_path))
        if best < LIMIT:
            return
    assert best < OF_LIBRARIES * libraries


@pytest.mark.parametrize("arguments", [("stop", "over"), ("pause", "over"), ("request", "over", "checkpoint")])
def test_no_torch_is_imported_to_ask_a_run(arguments: tuple[str, ...], tmp_path: Path) -> None:
    over(tmp_path / "runs")
    done = without({"torch", "numpy", "textual"}, arguments, tmp_path)
    assert done.code == 1
    assert "run over is over (stopped)" in done.err


def over(runs: Path) -> None:
    """A run that was stopped."""
    folder = RunFolder.create(runs, "over", Config.model_validate({"data": {"name": "digits"}}))
    write_json(folder.status_path, json.loads(folder.status_path.read_text()) | {"state": "stopped"})
