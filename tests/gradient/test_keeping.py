"""Activations of the last steps, kept for the reverse sweep: the same gradient, within a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import pytest
import torch
from torch import Tensor

from engine import compilation, execution, gradient, keeping, portions
from engine.config.schema import Config, Network
from engine.gradient import StepInput, Training, train
from engine.kernels import KeepingDerivatives, Kernels, LossDerivatives, keeping_kernels, kernels_of
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives
from engine.objectives.tesla import approximate_pull_back
from engine.seeds import generator

NET = ConvNet(Network(depth=2, width=6), (3, 8, 8), 5)
IMAGES, BATCH, STEPS = 10, 4, 9
EACH = keeping.activation_bytes(NET, BATCH)


@dataclass
class Computed:
    """Kernels with activations kept within ``bound`` bytes, and how many adjoints were computed from kept ones and how
    many without."""

    bound: int
    kept: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)

    def kernels(self) -> Kernels:
        whole = Derivatives(NET)

        def second(*given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            self.again.append(len(given[2]))
            return whole.second(*given)

        def second_of_kept(
            parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor, activations: Sequence[Tensor]
        ) -> tuple[Tensor, Tensor, Tensor]:
            self.kept.append(len(images))
            return whole.second_of_kept(parameters, direction, images, labels, activations)

        fits = keeping.fitting(NET, self.bound)
        return keeping_kernels(
            LossDerivatives(whole.first, second), KeepingDerivatives(whole.first_keeping, second_of_kept, fits)
        )


def plain() -> Kernels:
    whole = Derivatives(NET)
    return kernels_of(LossDerivatives(whole.first, whole.second))


def trained(kernels: Kernels, *, momentum: float = 0.0, window: int = 0, batch: int = BATCH) -> Training:
    draws = generator(2, "keeping")
    start = NET.init(draws).double()
    pixels = torch.randn(IMAGES, *NET.shape, generator=draws).double()
    inputs = [StepInput(torch.randperm(IMAGES, generator=draws)[:batch], None) for _ in range(STEPS)]
    size = torch.tensor(0.05, dtype=torch.float64)
    return train(kernels, start, pixels, torch.arange(IMAGES) % 5, size, inputs, momentum=momentum, window=window)


def close(ours: Tensor | None, theirs: Tensor | None) -> bool:
    assert ours is not None
    assert theirs is not None
    return bool((ours - theirs).norm() <= 1e-12 * theirs.norm())


DIRECTION = torch.randn(NET.size, generator=generator(3, "direction")).double()


@pytest.mark.parametrize("sparse", [False, True], ids=["all vectors", "some vectors"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("window", [0, 5])
@pytest.mark.parametrize("fitting", [0, 1, 4, STEPS])
def test_the_gradient_is_the_same_however_many_steps_are_kept(
    fitting: int, window: int, momentum: float, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sparse:
        monkeypatch.setattr(gradient, "KEPT", 1)
    computed = Computed(fitting * EACH + EACH - 1)
    training = trained(computed.kernels(), momentum=momentum, window=window)
    expected = trained(plain(), momentum=momentum, window=window)
    assert torch.equal(training.end, expected.end)
    for _ in range(2):  # a run pulls back twice: from its objective and from the term
        found, wanted = training.pull_back(DIRECTION), expected.pull_back(DIRECTION)
        assert close(found.pixels, wanted.pixels)
        assert close(found.step_size, wanted.step_size)
    last = window or STEPS
    assert len(computed.kept) == 2 * min(fitting, last)
    assert len(computed.again) == 2 * (last - min(fitting, last))
    ours, theirs = approximate_pull_back(training, DIRECTION), approximate_pull_back(expected, DIRECTION)
    assert close(ours.pixels, theirs.pixels)
    assert len(computed.kept) == 3 * min(fitting, last)


def test_steps_fit_by_their_own_images_the_last_ones_first() -> None:
    fits = keeping.fitting(NET, 3 * EACH)
    assert fits([BATCH] * 2) == 2
    assert fits([BATCH] * 9) == 3
    assert fits([BATCH, BATCH, BATCH, 2 * BATCH]) == 2
    assert fits([BATCH, 4 * BATCH]) == 0
    assert fits([4 * BATCH, BATCH]) == 1
    assert fits([]) == 0
    assert keeping.fitting(NET, 0)([1]) == 0


@pytest.mark.parametrize(
    ("execution_", "kept"),
    [({"compile": "on"}, 3072), ({"compile": "on", "keep_activations": 7}, 7), ({"compile": "off"}, 0)],
)
def test_what_is_kept_is_resolved_and_only_of_compiled_steps(execution_: dict[str, object], kept: int) -> None:
    resolved = execution.resolve(Config.model_validate({"execution": {"device": "cpu", **execution_}}))
    assert resolved.keep_activations == kept
    assert execution.Resolved.from_dict(resolved.to_dict()) == resolved
    assert (execution.kernels(NET, resolved).keeping is None) == (kept == 0)
    assert execution.eager(resolved, "students", "no reason").keep_activations == 0
    older = {key: value for key, value in resolved.to_dict().items() if key != "keep_activations"}
    assert execution.Resolved.from_dict(older).keep_activations == 0, "a run begun before goes on as it began"


@contextmanager
def fresh() -> Iterator[None]:
    """What was compiled before is forgotten, and so is afterwards what is compiled within."""
    functions = [getattr(compilation, name) for name in ("_first", "_first_keeping", "_second", "_second_of_kept")]
    for function in functions:
        function.cache_clear()
    yield
    for function in functions:
        function.cache_clear()


def test_a_large_batch_is_kept_in_the_portions_it_is_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "CACHED", 4 * 6 * 64 * 2)  # two images
    monkeypatch.setattr(compilation, "compiled", lambda function, _: torch.no_grad()(function))
    resolved = execution.Resolved("cpu", "float32", True, 1, torch.__version__, "", keep_activations=1)
    with fresh():
        training = trained(execution.kernels(NET, resolved), batch=5)
    assert [len(each) for each in training.activations] == [3 * 5] * STEPS
    assert close(training.pull_back(DIRECTION).pixels, trained(plain(), batch=5).pull_back(DIRECTION).pixels)


@pytest.mark.parametrize("fitting", [0, 2])
def test_of_a_step_that_is_not_kept_no_more_than_a_portion_is_alive(
    fitting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a large batch would hold all its activations in every step, whatever the bound."""
    monkeypatch.setattr(portions, "portion", lambda *_, **__: 1)
    alive: WeakSet[Tensor] = WeakSet()
    most = 0

    def compiled(function: Callable[..., Any], _: str) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            nonlocal most
            found = torch.no_grad()(function)(*given)
            for each in found[3] if len(found) == 4 else []:
                alive.add(each)
            most = max(most, len(alive))
            return found

        return noted

    monkeypatch.setattr(compilation, "compiled", compiled)
    resolved = execution.Resolved("cpu", "float32", True, 1, torch.__version__, "", keep_activations=1)
    monkeypatch.setattr(keeping, "fitting", lambda *_: lambda _: fitting)
    with fresh():
        training = trained(execution.kernels(NET, resolved))
    assert most <= (fitting * BATCH + 1) * 5
    assert len(alive) == fitting * BATCH * 5
    assert training.pull_back(DIRECTION).pixels.any()
    del training
    assert not alive, "nothing outlives the training"
