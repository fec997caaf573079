"""What a run compiles beforehand, and what it says where it cannot."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from engine import execution
from engine.arithmetic import Arithmetic
from engine.config.schema import Config
from engine.kernels import Keeping, Kernels
from engine.networks import ConvNet
from engine.objectives.batches import step_inputs
from engine.record import Recorder
from engine.runs.folder import RunFolder
from engine.seeds import generator
from tests.distill.helpers import tiny
from tests.objectives.real import Setting


def made(config: Config, resolved: execution.Resolved, said: list[str]) -> Arithmetic:
    """A run's arithmetic without its run; ``said`` is what it warns of."""
    folder = SimpleNamespace(execution=dict)
    record = SimpleNamespace(warn=said.append)
    return Arithmetic(cast(RunFolder, folder), config, resolved, cast(Recorder, record))


@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (4, 3), (4, 2), (5, 3)])
def test_every_size_of_batch_is_compiled_beforehand(batch: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(objective__batch_size=batch, objective__student_steps=steps)
    labels = setting.set.labels
    given = step_inputs(setting.context, len(labels), steps, generator(0, "batches"))
    occurring = {len(labels) if each.batch is None else len(each.batch) for each in given}
    seen: dict[str, set[int]] = {"step": set(), "adjoint": set()}

    def step(parameters: Tensor, pixels: Tensor, labels: Tensor, size: Tensor) -> Tensor:
        seen["step"].add(len(labels))
        return parameters

    def adjoint(parameters: Tensor, pixels: Tensor, labels: Tensor, size: Tensor, by_end: Tensor) -> Any:
        seen["adjoint"].add(len(labels))

    resolved = execution.Resolved("cpu", "float32", True, 1, torch.__version__, "")
    monkeypatch.setattr(Arithmetic, "kernels", lambda self, net: Kernels(step, adjoint))
    monkeypatch.setattr(Arithmetic, "_compile", lambda self, what, work: work())
    made(setting.config, resolved, []).compiled_kernels(cast(ConvNet, setting.net), setting.set.pixels, labels)
    assert seen == {"step": occurring, "adjoint": occurring}


@pytest.mark.parametrize(
    ("fitting", "called"),
    [(0, ["step", "adjoint"]), (2, ["keeping", "kept", "step", "adjoint"]), (3, ["keeping", "kept"])],
)
def test_of_kernels_that_keep_activations_what_is_needed_is_compiled(
    fitting: int, called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, seen = Setting(objective__student_steps=3), list[str]()

    def noted(name: str, result: object) -> Any:
        def called(*_: object) -> object:
            seen.append(name)
            return result

        return called

    def kernels(*_: object) -> Kernels:
        kept = Keeping(noted("keeping", (None, "activations")), noted("kept", None), lambda images: fitting)
        return Kernels(noted("step", None), noted("adjoint", None), keeping=kept)

    resolved = execution.Resolved("cpu", "float32", True, 1, torch.__version__, "")
    monkeypatch.setattr(Arithmetic, "kernels", kernels)
    monkeypatch.setattr(Arithmetic, "_compile", lambda self, what, work: work())
    ours = made(setting.config, resolved, [])
    ours.compiled_kernels(cast(ConvNet, setting.net), setting.set.pixels, setting.set.labels)
    assert seen == called


def test_activations_that_memory_has_no_room_for_are_given_up_aloud_and_on_record() -> None:
    said: list[str] = []
    resolved = execution.Resolved("cuda:0", "float32", True, 1, torch.__version__, "", keep_activations=512)
    ours, written = made(tiny(), resolved, said), list[dict[str, Any]]()
    ours.folder = cast(RunFolder, SimpleNamespace(write_execution=written.append))
    ours._forgo()
    assert [each["keep_activations"] for each in written] == [0]
    assert execution.Resolved.from_dict(written[0]) == ours.resolved
    assert len(said) == 1
    assert "execution.keep_activations" in said[0]


@pytest.mark.parametrize("name", ["dream", "distribution"])
def test_a_run_that_cannot_be_compiled_as_asked_says_why(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    config = tiny(objective__name=name, execution__compile="on")
    said: list[str] = []
    made(config, execution.resolve(config), said).warn()
    assert said == [f"the run is not compiled: objective {name} takes no student steps"]
