"""An error nobody foresaw: one report, in the run's folder, wherever the run was begun; and every view names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from engine.config.schema import Config
from engine.errors import MimError
from engine.memory import advice_on_device, estimate
from engine.objectives.distribution import Distribution
from engine.objectives.trajectory import Trajectory
from engine.runs.result import document
from engine.runs.unforeseen import TRACEBACK, traceback_of
from mim4dd_tui.__main__ import main
from tests.cli.test_running import settings
from tests.distill.helpers import Place, quickly, tiny

DONE = {"evaluation__random_draws": 0, "evaluation__networks": 1, "evaluation__every": 0, "objective__iterations": 2}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own, and the user's state folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIM4DD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def raising(error: Callable[[], BaseException]) -> Any:
    def of_my_own(*_: object) -> NoReturn:
        raise error()

    return of_my_own


@pytest.mark.parametrize(("error", "kind"), [(ValueError, "ValueError"), (SystemExit, "SystemExit")])
def test_headless_it_lies_in_the_runs_folder_too(
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[BaseException],
    kind: str,
) -> None:
    monkeypatch.setattr(Trajectory, "episode", raising(lambda: error("my own mistake")))
    assert main(["run", "digits-ipc1", "--name", "own", "--json", *settings()]) == 1
    out, err = capsys.readouterr()
    path = Path("runs") / "own" / TRACEBACK
    assert err.splitlines()[-1].startswith(f"mim4dd: the run failed ({kind}: my own mistake); the full report is in ")
    assert err.splitlines()[-1].endswith(str(path))
    assert json.loads(out)["kind"] == kind
    assert "of_my_own" in path.read_text()
    assert not list(state.rglob("crash*")), "a second report elsewhere"

    assert main(["show", "own"]) == 0
    assert str(path) in capsys.readouterr().out
    assert main(["show", "own", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["traceback"] == str(path.absolute())


def test_before_there_is_a_folder_it_lies_among_the_users_own(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.execution.resolve", raising(lambda: ValueError("early")))
    assert main(["run", "digits-ipc1", "--name", "own", "--headless", *settings()]) == 1
    (report,) = state.rglob("crash-*.txt")
    assert str(report) in capsys.readouterr().err


def test_a_run_that_has_gone_on_since_names_it_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    with quickly(2):
        with monkeypatch.context() as patch:
            patch.setattr(Trajectory, "episode", raising(lambda: ValueError("once")))
            with pytest.raises(ValueError, match="once"):
                place.start(tiny(**DONE))
        assert traceback_of(place.folder) == place.folder / TRACEBACK
        assert (place.folder / TRACEBACK).stat().st_mode & 0o777 == 0o600
        result = place.resume()
    assert result["state"] == "done"
    assert result["traceback"] is None
    assert document(place.folder)["traceback"] is None


def test_where_memory_ran_out_torchs_own_words_and_the_place_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "CUDA out of memory. Tried to allocate 2.00 GiB"
    monkeypatch.setattr(Distribution, "mean_features", raising(lambda: torch.OutOfMemoryError(words)))
    place, config = Place(tmp_path), tiny(**DONE, objective__name="distribution", information__weight=0.0)
    with quickly(2), pytest.raises(MimError) as raised:
        place.start(config)
    assert str(raised.value) == (
        "the device ran out of memory: lower objective.real_batch or network.width, or choose another "
        f"execution.device; traceback.txt in its folder says where. torch: {words}"
    )
    assert "of_my_own" in (place.folder / TRACEBACK).read_text()


ADVICE: list[tuple[dict[str, Any], str]] = [
    ({}, "execution.keep_activations, objective.batch_size, information.real_batch or network.width"),
    ({"execution__keep_activations": 0, "information__weight": 0.0}, "objective.batch_size or network.width"),
    ({"objective__name": "distribution"}, "objective.real_batch, information.real_batch or network.width"),
    (
        {"objective__name": "bptt", "information__weight": 0.0},
        "execution.keep_activations, objective.batch_size, objective.real_batch or network.width",
    ),
]


@pytest.mark.parametrize(("changes", "advice"), ADVICE)
def test_settings_that_a_run_does_not_have_are_not_advised(changes: dict[str, Any], advice: str) -> None:
    assert advice_on_device(tiny(**changes)) == advice


def test_nor_on_the_cpu() -> None:
    def advised(**changes: Any) -> str:
        config: Config = tiny(**{"network__width": 2048, "network__depth": 3, **changes})
        found = estimate(config)
        return type(found)(0, 0, {"student": 1}, found.unused).advice

    steps = "objective.batch_size, objective.student_steps or network.width"
    assert advised(execution__keep_activations=0) == steps
    assert advised(execution__keep_activations=64) == f"execution.keep_activations, {steps}"
    assert advised(objective__name="dream") == "objective.real_batch or network.width"
