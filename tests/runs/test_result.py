"""The result document can be made of any run at any time, and is honest about what is not there."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import sealed
from engine.config.load import changed
from engine.config.schema import Config, Evaluation, Information
from engine.errors import DataError
from engine.events import Event, RunEnded, StateChanged
from engine.runs import checkpoint
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from engine.runs.lock import RunLock
from engine.runs.result import document
from engine.runs.status import Status, StatusWriter, host_name
from mim4dd_tui.cli.summary import result_lines
from tests.runs.helpers import evaluation, iteration, make_folder, started

NULLABLE = (
    "accuracy", "last", "random_selection", "full_set", "mutual_information", "checkpoint", "artifact", "fingerprint",
    "artifact_iteration", "labels", "traceback",
)  # fmt: skip


def say(run: RunFolder, *events: Event) -> None:
    with JournalWriter(run.journal_path) as writer:
        for event in events:
            writer.append(event)


def check(values: dict[str, Any]) -> dict[str, Any]:
    """What holds for every document: JSON without nan, and every null has its reason."""
    json.dumps(values, allow_nan=False)
    for key in NULLABLE:
        assert (values[key] is None) == (f"{key}_reason" in values), key
        assert values.get(f"{key}_reason", "x").strip()
    assert values["state"] in ("queued", "running", "paused", "stopped", "failed", "done")
    return values


def crash(run: RunFolder, **changes: Any) -> None:
    """Leaves the status of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    status = Status(state="running", pid=gone.pid, host=host_name(), identity="x", phase="distill")
    run.status_path.write_text(json.dumps(asdict(replace(status, **changes))))


def test_a_run_that_waits(tmp_path: Path) -> None:
    values = check(document(make_folder(tmp_path).path))
    assert (values["run"], values["state"], values["preset"], values["seed"]) == ("one", "queued", "digits-ipc1", 0)
    assert values["accuracy"] is None
    assert "queued" in values["accuracy_reason"]


def finished(tmp_path: Path) -> RunFolder:
    run = make_folder(tmp_path)
    sealed.write(run.distilled_path("best"), {"pixels": torch.zeros(1)}, {"fingerprint": "ab" * 32})
    say(
        run,
        started(),
        evaluation(0, "random_selection", 0.3),
        evaluation(0, "full_set", 0.9),
        iteration(1, bound=1.5),
        iteration(2, bound=None),
        evaluation(2, mean=0.6, best_so_far=True),
        evaluation(2, "best", 0.7, protocol="mtt-1000", accuracies=[0.7] * 5, std=math.nan),
        evaluation(2, "last", 0.65),
        StateChanged("done"),
        RunEnded("done", "", {}),
    )
    StatusWriter(run.path).update(state="done")
    return run


def test_a_run_that_is_done(tmp_path: Path) -> None:
    run = finished(tmp_path)
    values = check(document(run.path))
    assert values["state"] == "done"
    assert values["accuracy"] == {
        "mean": 0.7,
        "std": None,
        "accuracies": [0.7] * 5,
        "networks": 5,
        "protocol": "mtt-1000",
        "selected_on": "test",
        "measured_on": "test",
        "iteration": 2,
        "final": True,
    }
    assert values["last"]["mean"] == 0.65
    assert values["random_selection"]["mean"] == 0.3
    assert values["full_set"]["mean"] == 0.9
    bound = {"nats": 1.5, "ceiling": 2.3, "iteration": 1, "mean": 1.5, "readings": 1, "since": 1, "over": 1, "until": 1}
    assert values["mutual_information"] == bound
    assert values["artifact"] == str(run.distilled_path("best"))
    assert values["fingerprint"] == "ab" * 32
    assert values["artifact_iteration"] is None, "this header names none"


def test_a_score_says_at_which_step_size_or_by_whose_labels_where_it_is_so(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    say(
        run,
        started(),
        evaluation(0, "random_selection", 0.3, labelled=True),
        evaluation(0, "full_set", 0.9, train_images=5000),
        evaluation(1, "best", 0.7, step_size=0.02),
    )
    values = check(document(run.path))
    assert values["accuracy"]["step_size"] == 0.02
    assert values["random_selection"]["labelled"] is True
    assert not {"step_size", "labelled"} & {*values["random_selection"]} - {"labelled"}
    assert values["full_set"]["train_images"] == 5000
    assert "train_images" not in values["random_selection"]
    assert ("full set", "90.0 ± 1.0 % (quick-100, 5,000 training images, 2 networks)") in result_lines(values)


def test_a_damaged_artifact_is_not_offered(tmp_path: Path) -> None:
    run = finished(tmp_path)
    path = run.distilled_path("best")
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    values = check(document(run.path))
    assert values["artifact"] is None
    assert "checksum" in values["artifact_reason"]


def test_soft_labels_that_cannot_be_read_have_a_reason_and_hard_ones_are_called_so(tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert check(document(run.path))["labels"] == {"kind": "hard"}
    run.write_config(changed(run.config(), {"synthetic.labels": "softmax"}))
    assert "labels" in check(document(run.path))["labels_reason"], "the file holds none"
    path = run.distilled_path("best")
    sealed.write(path, {"labels": torch.tensor([[0.5, 0.5], [0.0, 1.0]])}, {"fingerprint": "ab" * 32})
    assert check(document(run.path))["labels"] == {"kind": "softmax", "own": 0.75, "total": 1.0, "bits": 0.5}
    sealed.write(path, {"labels": torch.tensor([0, 1])}, {"fingerprint": "ab" * 32})
    assert "no soft labels" in check(document(run.path))["labels_reason"]
    path.unlink()
    assert "no distilled set" in check(document(run.path))["labels_reason"]


def test_no_torch_is_needed_to_say_what_soft_labels_are(tmp_path: Path) -> None:
    run = finished(tmp_path)
    run.write_config(changed(run.config(), {"synthetic.labels": "softmax"}))
    sealed.write(run.distilled_path("best"), {"labels": torch.eye(10)}, {"fingerprint": "ab" * 32})
    program = (
        "import sys; from pathlib import Path; from engine.runs.result import document\n"
        f"assert document(Path({str(run.path)!r}))['labels']['own'] == 1.0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_run_that_goes_on_shows_its_live_numbers_as_such(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    StatusWriter(run.path).update(state="running")
    say(run, started(), iteration(1), evaluation(1, mean=0.5, best_so_far=True), evaluation(1, "request", 0.1))
    values = check(document(run.path))
    assert (values["state"], values["iteration"]) == ("running", 1)
    assert (values["accuracy"]["mean"], values["accuracy"]["final"]) == (0.5, False)


def test_a_killed_run_has_failed_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    crash(run)
    say(run, started(), StateChanged("running"), iteration(1))
    values = check(document(run.path))
    assert values["state"] == "failed"
    assert f"`mim4dd resume {run.path}`" in values["message"], "it is found so from every folder"
    assert values["iteration"] == 1


def test_readings_of_a_journal_that_begins_at_iteration_0(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    say(run, started(), replace(iteration(1), iteration=0))
    bound = check(document(run.path))["mutual_information"]
    assert (bound["over"], bound["until"], bound["readings"]) == (1, 0, 1)


def test_a_killed_run_says_from_where_it_goes_on_and_which_iterate_its_set_holds(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    crash(run)
    say(run, started(), iteration(1), evaluation(50, mean=0.86), iteration(66))
    values = check(document(run.path))
    assert (values["checkpoint"], values["artifact_iteration"]) == (None, None)
    for at in (0, 40):
        checkpoint.save(run.path, at, {"x": torch.zeros(1)}, {}, due=True)
        header = {"fingerprint": "ab" * 32, "provenance": {"iteration": at}}
        sealed.write(run.distilled_path("best"), {"images": torch.zeros(1)}, header)
        values = check(document(run.path))
        assert (values["iteration"], values["checkpoint"], values["artifact_iteration"]) == (66, at, at)
        lines = result_lines(values)
        assert ("iteration", f"66 of {values['iterations']} (last checkpoint: {at})") in lines
        held = lines[lines.index(("distilled set", values["artifact"])) + 1]
        assert held == ("", "of iteration 0, what distillation started from" if at == 0 else "of iteration 40")


@pytest.mark.parametrize("state", ["done", "stopped"])
def test_killed_between_its_last_event_and_its_last_status(tmp_path: Path, state: str) -> None:
    run = make_folder(tmp_path)
    crash(run)
    say(run, started(), RunEnded(state, "asked", {"state": state}))
    assert check(document(run.path))["state"] == state


def test_an_old_result_does_not_outlive_a_resumption(tmp_path: Path) -> None:
    run = finished(tmp_path)
    run.write_result({"state": "done"})
    say(run, started(resumed_from=1, after_sequence=4))
    crash(run)
    values = check(document(run.path))
    assert values["state"] == "failed"
    assert values["accuracy"] is None


@pytest.mark.parametrize("state", ["stopped", "failed", "paused", "running"])
def test_states_of_a_live_process_are_its_own(tmp_path: Path, state: str) -> None:
    run = make_folder(tmp_path)
    StatusWriter(run.path).update(state=state, message="so it is")
    values = check(document(run.path))
    assert (values["state"], values["message"]) == (state, "so it is")


def test_without_a_status_the_journal_decides(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    run.status_path.write_text("\0\0\0")
    assert check(document(run.path))["state"] == "queued"
    say(run, started(), iteration(1))
    assert check(document(run.path))["state"] == "failed"
    with RunLock(run.path):
        values = check(document(run.path))
        assert values["state"] == "running"
        assert f"process {os.getpid()}" in values["message"]
    say(run, RunEnded("stopped", "asked", {}))
    assert check(document(run.path))["state"] == "stopped"


def test_what_is_switched_off_is_named(tmp_path: Path) -> None:
    config = Config(information=Information(weight=0.0), evaluation=Evaluation(random_draws=0))
    values = check(document(RunFolder.create(tmp_path, "off", config).path))
    assert "information.weight is 0" in values["mutual_information_reason"]
    assert "evaluation.random_draws is 0" in values["random_selection_reason"]


def test_a_bound_that_is_no_number_is_not_reported(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    say(run, started(), iteration(1, bound=math.nan))
    assert check(document(run.path))["mutual_information"] is None


def bound_of(tmp_path: Path, name: str, end: int) -> dict[str, Any]:
    """Of a run of ``end`` iterations whose readings, one in ten and the last, grow from 1 in 40 iterations, again and
    again."""
    config = changed(Config(), {"objective.name": name, "objective.network_life": 40})
    folder = RunFolder.create(tmp_path, f"{name}-{end}", config)
    read = [*range(1, end, 10), end]
    say(folder, started(), *(iteration(n, bound=1 + (n - 1) % 40 / 100) for n in read))
    found: dict[str, Any] = check(document(folder.path))["mutual_information"]
    return found


def test_the_mean_bound_does_not_depend_on_where_a_networks_life_ends(tmp_path: Path) -> None:
    found = {end: bound_of(tmp_path, "dream", end) for end in (111, 120, 121, 130)}
    assert [one["iteration"] for one in found.values()] == list(found)
    assert [one["nats"] for one in found.values()] == pytest.approx([1.3, 1.39, 1.0, 1.09])
    assert [one["mean"] for one in found.values()] == pytest.approx([1.15] * 4)
    assert {one["over"] for one in found.values()} == {40}
    assert [one["until"] for one in found.values()] == [111, 111, 121, 121], "the last that was due"
    assert bound_of(tmp_path, "dream", 21)["over"] == 21, "there is no more yet"
    tenth = bound_of(tmp_path, "trajectory", 211)
    assert (tenth["over"], tenth["readings"], tenth["mean"]) == (22, 3, pytest.approx((1.3 + 1.0 + 1.1) / 3)), (
        "networks without a life"
    )


def test_what_the_test_images_would_have_chosen_is_measured_at_the_end(tmp_path: Path) -> None:
    def reason(name: str, **changes: Any) -> str:
        run = RunFolder.create(tmp_path, name, changed(Config(), changes))
        StatusWriter(run.path).update(state="paused")
        live = evaluation(1, measured_on="validation", selected_on="validation", best_so_far=True)
        say(run, started(), iteration(1), live, evaluation(1, "live_on_test"))
        return str(document(run.path)["accuracy_by_test_reason"])

    assert reason("a", **{"data.validation": 0.2}) == "not measured yet: the run is paused"
    assert reason("b") == "the test images chose: it is accuracy"
    assert reason("c", **{"evaluation.every": 0}) == "no images choose (evaluation.every is 0)"


def test_no_run_no_document(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        document(tmp_path / "none")


def test_run_rooms_import_no_torch(tmp_path: Path) -> None:
    """Listing and showing runs must be quick: neither importing nor reading a folder loads torch."""
    run = finished(tmp_path)
    code = (
        "import sys, importlib\n"
        "for name in 'folder journal status lock control history eta log result plain'.split():\n"
        "    importlib.import_module('engine.runs.' + name)\n"
        "import engine.files, engine.sealed, engine.runs\n"
        "from pathlib import Path\n"
        "from engine.runs.result import document\n"
        "from engine.runs.finding import list_runs\n"
        f"assert document(Path({str(run.path)!r}))['fingerprint'] == 'ab' * 32\n"
        f"assert len(list_runs(Path({str(tmp_path)!r}))) == 1\n"
        "print([m for m in ('torch', 'numpy', 'textual', 'rich', 'typer') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_process_that_is_gone_may_have_left_words_in_its_output(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    say(run, started())
    crash(run)
    assert "is gone without a word; continue" in check(document(run.path))["message"]
    run.output_path.touch()
    assert "is gone without a word; continue" in check(document(run.path))["message"]
    run.output_path.write_text("terminate called")
    told = f"is gone without a word of its own; {run.output_path} has what was printed last; continue"
    assert told in check(document(run.path))["message"]
