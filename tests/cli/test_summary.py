"""A run's result document in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.events import Evaluation
from engine.runs.log import evaluated
from mim4dd_tui.cli.over_seeds import over_seeds, seed_lines
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


def test_where_a_run_goes_on_and_which_iterate_its_set_holds_are_said_where_they_are_not_what_stands_there() -> None:
    at = {"artifact": "best.safetensors", "accuracy": {"mean": 0.8, "std": 0.1, "iteration": 200, "final": False}}
    for checkpoint, told in ((278, "278 of 400"), (200, "278 of 400 (last checkpoint: 200)"), (None, "278 of 400")):
        assert dict(result_lines(STOPPED | {"checkpoint": checkpoint}))["iteration"] == told
    going_on = result_lines(STOPPED | {"checkpoint": 200, "state": "running"})
    assert dict(going_on)["iteration"] == "278 of 400"
    for held, last in ((200, "distilled set"), (100, ""), (None, "distilled set")):
        assert result_lines(STOPPED | at | {"artifact_iteration": held})[-1][0] == last


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


def accuracy(mean: float, iteration: int, selected_on: str = "none", **changes: Any) -> dict[str, Any]:
    values = {"mean": mean, "std": 0.004, "protocol": "quick-100", "networks": 2, "final": True, "measured_on": "test"}
    return {**values, "iteration": iteration, "selected_on": selected_on, **changes}


def test_the_last_iterate_stands_beside_the_best_and_both_say_where_they_were() -> None:
    chosen = {"accuracy": accuracy(0.873, 150, "test"), "last": accuracy(0.871, 300)}
    lines = result_lines(STOPPED | {"state": "done", "message": ""} | chosen)
    assert lines[3:6] == [
        ("accuracy", "87.3 ± 0.4 % (quick-100, 2 networks, iteration 150)"),
        ("", "best iterate chosen on the test images"),
        ("last iterate", "87.1 ± 0.4 % (quick-100, 2 networks, iteration 300)"),
    ]
    by_test = result_lines(STOPPED | chosen | {"accuracy_by_test": accuracy(0.88, 200, "test")})
    assert ("chosen by test", "88.0 ± 0.4 % (quick-100, 2 networks, iteration 200)") in by_test
    names = [name for name, _ in result_lines(STOPPED | {"accuracy": accuracy(0.87, 300), "last": chosen["last"]})]
    assert "last iterate" not in names, "the accuracy is its own"


@pytest.mark.parametrize(
    ("protocol", "told"),
    [("quick-100", "quick-100 at rate 0.01"), ("bptt-300", "bptt-300"), ("another", "another")],
)
def test_random_real_images_say_their_rate_where_a_set_has_its_own(protocol: str, told: str) -> None:
    found = {"mean": 0.5, "std": 0.02, "protocol": protocol, "final": True, "measured_on": "test"}
    lines = dict(result_lines({"state": "done", "accuracy": found, "random_selection": found}))
    assert lines["random real images"] == f"50.0 ± 2.0 % ({told})"
    assert lines["accuracy"] == f"50.0 ± 2.0 % ({protocol})"
    event = Evaluation(0, "random_selection", protocol, 0.5, 0.02, [0.5], "none", "test", 1.0)
    assert evaluated(event).endswith(f"({told})")


def test_numbers_that_stand_beside_each_other_say_at_which_rate_and_by_whose_labels() -> None:
    score = {"mean": 0.5, "std": 0.02, "protocol": "quick-100", "final": True, "measured_on": "test"}
    found = {"accuracy": score | {"step_size": 0.0402123}, "random_selection": score | {"labelled": True}}
    lines = dict(result_lines({"state": "done", **found}))
    assert lines["accuracy"] == "50.0 ± 2.0 % (quick-100 at step size 0.0402)"
    assert lines["random real images"] == "50.0 ± 2.0 % (labelled by an expert, quick-100 at rate 0.01)"


def test_an_accuracy_on_validation_images_says_so() -> None:
    live = accuracy(0.894, 250, "validation", final=False, measured_on="validation")
    lines = dict(result_lines(STOPPED | {"accuracy": live, "last": live | {"selected_on": "none"}}))
    text = "v89.4 ± 0.4 % (live, on validation images, quick-100, 2 networks, iteration 250)"
    assert lines["accuracy"] == text
    assert "last measured" not in lines, "it is the same"
    later = dict(result_lines(STOPPED | {"accuracy": live, "last": live | {"selected_on": "none", "iteration": 300}}))
    assert later["last measured"] == text.replace("250", "300")
    assert not [name for name in lines if "iterate" in name], "the run has come further than what was measured"


DEVIATION = "± is the standard deviation over the seeds, no interval of the mean"


def test_seeds_are_averaged_for_best_and_last_iterates() -> None:
    runs = [
        {"state": "done", "accuracy": accuracy(0.8 + k / 50, 100, "test"), "last": accuracy(0.7 + k / 50, 300)}
        for k in range(3)
    ]
    document = over_seeds([*runs, {"state": "stopped", "accuracy": accuracy(0.1, 1, "test")}])
    assert document["accuracy"] == {
        "mean": pytest.approx(0.82), "std": pytest.approx(0.02), "runs": 3, "protocol": "quick-100",
        "selected_on": "test", "measured_on": "test",
    }  # fmt: skip
    assert document["last"]["mean"] == pytest.approx(0.72)
    assert document["accuracy_by_test"] is None
    assert seed_lines(document) == [
        "over 3 seeds: 82.0 ± 2.0 % (quick-100), best iterates, chosen on the test images",
        "over 3 seeds: 72.0 ± 2.0 % (quick-100), last iterates",
        DEVIATION,
    ]
    same = over_seeds([run | {"accuracy": run["last"]} for run in runs])
    assert seed_lines(same) == ["over 3 seeds: 72.0 ± 2.0 % (quick-100), last iterates", DEVIATION]
    assert seed_lines(over_seeds([])) == []
    assert seed_lines(over_seeds(runs[:1]))[-1] == "over 1 seed: 70.0 % (quick-100), last iterates"
    unmeasured = {"state": "done", "accuracy": accuracy(0.8, 100, "test") | {"mean": None}, "last": accuracy(0.7, 300)}
    assert seed_lines(over_seeds([unmeasured])) == ["over 1 seed: 70.0 % (quick-100), last iterates"]


def test_why_no_bound_was_read_is_said() -> None:
    reason = "the term is off (information.weight is 0)"
    lines = dict(result_lines(STOPPED | {"mutual_information": None, "mutual_information_reason": reason}))
    assert lines["mutual information"] == f"- ({reason})"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"nats": 1.88, "ceiling": 2.3, "iteration": 300, "mean": 1.34, "over": 50},
            "at least 1.34 of at most 2.30 nats (mean of readings over 50 iterations; last reading 1.88)",
        ),
        (
            {"nats": 2.01, "ceiling": 2.3, "iteration": 150, "mean": 2.02, "over": 15, "until": 141},
            "at least 2.02 of at most 2.30 nats (mean of readings over iterations 127 to 141; last reading 2.01)",
        ),
        (
            {"nats": 2.04, "iteration": 300, "mean": 2.09, "readings": 3, "since": 271, "over": 30, "until": 291},
            "at least 2.09 nats (mean of 3 readings over iterations 271 to 291; last reading 2.04)",
        ),
        (
            {"nats": 2.01, "ceiling": 2.3, "iteration": 150, "mean": 2.02, "readings": 3, "over": 15, "until": 141},
            "at least 2.02 of at most 2.30 nats (mean of 3 readings over iterations 127 to 141; last reading 2.01)",
        ),
        (
            {"nats": 1.98, "ceiling": 2.3, "iteration": 51, "mean": 1.98, "readings": 1, "over": 6, "until": 51},
            "at least 1.98 of at most 2.30 nats (reading of iteration 51)",
        ),
        (
            {"nats": 1.44, "ceiling": 2.3, "iteration": 6, "mean": 2.21, "readings": 1, "over": 1, "until": 1},
            "at least 2.21 of at most 2.30 nats (reading of iteration 1; last reading 1.44)",
        ),
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


def test_soft_labels_are_told_in_a_line_after_their_set_and_hard_ones_not() -> None:
    def told(**values: Any) -> list[tuple[str, str]]:
        lines = result_lines({"state": "done", "artifact": "there.safetensors", **values})
        return lines[[name for name, _ in lines].index("distilled set") + 1 :]

    softmax = {"kind": "softmax", "own": 0.9523, "total": 1.0, "bits": 0.3149}
    assert told(labels=softmax) == [
        ("its labels", "soft (softmax): 95.2 % on the own class, 0.31 bits of entropy (means over images)")
    ]
    free = {"kind": "free", "own": 0.931, "total": 1.02, "bits": None}
    assert told(labels=free) == [("its labels", "soft (free): 0.93 on the own class, 1.02 in all (means over images)")]
    assert told(labels={"kind": "hard"}) == told() == [], "an older document says nothing of them"
    assert told(labels=None, labels_reason="cannot be read") == [("its labels", "- (cannot be read)")]
    assert "its labels" not in dict(result_lines({"state": "stopped", "labels": None, "labels_reason": "none yet"}))
