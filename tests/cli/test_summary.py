"""A run's result document in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mim4dd_tui.cli.summary import print_result, result_lines

STOPPED: dict[str, Any] = {
    "run": "one",
    "state": "stopped",
    "message": "stopped on request",
    "iteration": 278,
    "iterations": 400,
}


def test_a_run_that_is_not_done_says_where_it_stands() -> None:
    lines = dict(result_lines(STOPPED))
    assert lines["state"] == "stopped on request"
    assert lines["iteration"] == "278 of 400"
    assert "iteration" not in dict(result_lines(STOPPED | {"state": "done", "message": ""}))


def test_the_folder_stands_in_the_column_of_the_other_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(STOPPED, Path("there"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("folder")
    assert lines[-1].index("there") == lines[0].index("one")
