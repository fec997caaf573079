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


@pytest.mark.parametrize(
    ("final", "text"),
    [(True, "87.3 ± 0.4 % (quick-100, 2 networks)"), (False, "~87.3 ± 0.4 % (live, quick-100, 2 networks)")],
)
def test_a_live_accuracy_is_marked_as_the_lists_mark_it(final: bool, text: str) -> None:
    accuracy = {"mean": 0.873, "std": 0.004, "protocol": "quick-100", "networks": 2, "final": final}
    assert dict(result_lines(STOPPED | {"accuracy": accuracy}))["accuracy"] == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"nats": 2.0, "ceiling": 2.3}, "at least 2.00 of at most 2.30 nats"),
        ({"nats": 0.0, "ceiling": None}, "at least 0.00 nats"),
        ({"nats": -0.67, "ceiling": 2.3}, "nothing shown of at most 2.30 nats: the bound, -0.67, is below 0"),
        ({"nats": -0.67, "ceiling": None}, "nothing shown: the bound, -0.67, is below 0"),
    ],
)
def test_a_bound_below_zero_shows_nothing(values: dict[str, Any], text: str) -> None:
    assert dict(result_lines(STOPPED | {"mutual_information": values}))["mutual information"] == text


def test_a_run_that_went_back_says_how_often_and_what_its_rates_are() -> None:
    back = [{"failed": 5, "iteration": 4, "rates": 0.5, "reason": "not finite"}]
    assert dict(result_lines(STOPPED | {"recoveries": back}))["went back"] == (
        "once to iteration 4: its rates are now those set times 0.5"
    )
    again = dict(result_lines(STOPPED | {"recoveries": [*back, {"iteration": 0, "rates": 0.25}]}))["went back"]
    assert again == "2 times, the last time to iteration 0: its rates are now those set times 0.25"
    assert "went back" not in dict(result_lines(STOPPED | {"recoveries": []}))


def test_a_stopped_run_says_what_continues_it_once(tmp_path: Path) -> None:
    path = str(tmp_path / "one")
    state = f"stopped on request; `mim4dd resume {path}` continues it"
    assert dict(result_lines(STOPPED | {"path": path}))["state"] == state
    older = "stopped on request; `mim4dd resume` continues it"  # as it stood in journals
    assert dict(result_lines(STOPPED | {"path": path, "message": older}))["state"] == older
