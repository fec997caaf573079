"""What a run compiles beforehand, and what it says where it cannot."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from engine import execution
from engine.arithmetic import Arithmetic
from engine.config.schema import Config
from engine.events import Notice
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


class Calls:
    """Kernels that note what they are called for; of a training the last ``fitting`` images are kept."""

    def __init__(self, fitting: int) -> None:
        self.fitting = fitting
        self.seen: dict[str, set[int]] = {}

    def kernels(self, *_: object) -> Kernels:
        keeping = Keeping(self._noted("keeping", (None, "kept")), self._noted("kept", None), self.fits)
        return Kernels(
            self._noted("step", None), self._noted("adjoint", None), keeping=keeping if self.fitting else None
        )

    def fits(self, images: Sequence[int]) -> int:
        return sum(sum(images[-steps:]) <= self.fitting for steps in range(1, len(images) + 1))

    def _noted(self, name: str, result: object) -> Any:
        def called(parameters: Tensor, pixels: Tensor, labels: Tensor, size: Tensor, *others: object) -> object:
            assert len(pixels) == len(labels)
            if others:
                assert others[0] is not parameters, "a compiler takes one tensor given twice for always the same"
            if name == "kept":
                assert others[1] == "kept"
            self.seen.setdefault(name, set()).add(len(labels))
            return result

        return called


@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (4, 3), (4, 2), (5, 3), (6, 4)])
@pytest.mark.parametrize("fitting", [0, 3, 5, 100])
def test_all_that_a_run_calls_is_compiled_beforehand(
    batch: int, steps: int, fitting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, ahead, called = (
        Setting(objective__batch_size=batch, objective__student_steps=steps),
        Calls(fitting),
        Calls(0),
    )
    labels = setting.set.labels
    given = step_inputs(setting.context, len(labels), steps, generator(0, "batches"))
    sizes = [len(labels) if each.batch is None else len(each.batch) for each in given]
    kept = ahead.fits(sizes) if fitting else 0
    resolved = execution.Resolved("cpu", "float32", True, 1, torch.__version__, "")
    monkeypatch.setattr(Arithmetic, "kernels", ahead.kernels)
    monkeypatch.setattr(Arithmetic, "_compile", lambda self, what, work: work())
    made(setting.config, resolved, []).compiled_kernels(cast(ConvNet, setting.net), setting.set.pixels, labels)
    called.seen = {"step": set(sizes[: steps - kept]), "keeping": set(sizes[steps - kept :])}
    called.seen |= {"adjoint": called.seen["step"], "kept": called.seen["keeping"]}
    for name, wanted in called.seen.items():
        assert wanted <= ahead.seen.get(name, set()), name
    if fitting == 100:
        assert set(ahead.seen) == {"keeping", "kept"}, "and no more than is needed"
    if fitting == 0:
        assert set(ahead.seen) == {"step", "adjoint"}


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


def test_a_pause_while_it_compiles_is_none_of_its_time() -> None:
    said: list[str] = []

    class Paused(SimpleNamespace):
        def __call__(self, event: Notice) -> None:
            said.append(event.message)

        def phase(self, _event: object) -> None:
            """Nobody listens."""

        def tick(self) -> None:
            """The run stands still until it is let go on."""
            time.sleep(1.2)

    folder = cast(RunFolder, SimpleNamespace(execution=dict))
    resolved = execution.Resolved("cpu", "float32", True, 1, torch.__version__, "")
    arithmetic = Arithmetic(folder, tiny(), resolved, cast(Recorder, Paused()))
    arithmetic._compile("a step", lambda: time.sleep(0.3))
    assert said == ["compiled in 0 s"]
