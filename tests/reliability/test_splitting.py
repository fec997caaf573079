"""A batch that does not fit the device's memory is computed in parts: exactly, aloud, and for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from weakref import WeakSet

import pytest
import torch
from torch import Tensor

from engine import execution
from engine.config.schema import Network
from engine.errors import ConfigError, MimError
from engine.events import Event, Notice, RunStarted
from engine.gradient import meta_gradient
from engine.kernels import Keeping, Kernels, eager
from engine.networks import ConvNet
from engine.runs.folder import RunFolder
from engine.seeds import generator
from engine.splitting import BY_IMAGE, Splitting, adjoint, require_separable, step
from tests.distill.helpers import Place, Watch, outcome, quickly, tiny

NORMS = get_args(Network.model_fields["norm"].annotation)
IMAGES = 11


def close(found: Tensor, wanted: Tensor) -> float:
    """Relative distance."""
    return float((found - wanted).norm() / wanted.norm())


def given(norm: str, soft: bool) -> tuple[Kernels, list[Tensor]]:
    """Kernels in float64, and parameters, images, labels, step size and cotangent."""
    net = ConvNet(Network(depth=2, width=8, norm=norm, pooling="avg"), (3, 8, 8), 5)  # type: ignore[arg-type]

    def noise(name: str, *size: int) -> Tensor:
        return torch.randn(*size, generator=generator(3, name), dtype=torch.float64)

    labels = torch.arange(IMAGES) % 5
    probabilities = noise("labels", IMAGES, 5).softmax(1)
    return eager(net), [
        net.init(generator(3, "start")).double(),
        noise("images", IMAGES, 3, 8, 8),
        probabilities if soft else labels,
        torch.tensor(0.05, dtype=torch.float64),
        noise("cotangent", net.size),
    ]


@pytest.mark.parametrize("soft", [False, True], ids=["hard labels", "soft labels"])
@pytest.mark.parametrize("norm", NORMS)
def test_parts_give_the_whole(norm: str, soft: bool) -> None:
    """Step and adjoint, any number of parts, equal ones or not: the same to 12 digits of the change itself."""
    kernels, (theta, images, labels, size, cotangent) = given(norm, soft)
    moved = kernels.step(theta, images, labels, size) - theta
    by_images, by_step, back = kernels.adjoint(theta, images, labels, size, cotangent)
    for parts in (2, 3, 4, 7, IMAGES):
        found = step(kernels, parts, theta, images, labels, size)
        assert close(found - theta, moved) < 1e-12
        slopes, slope, pulled = adjoint(kernels, parts, theta, images, labels, size, cotangent)
        assert close(slopes, by_images) < 1e-12
        assert close(slope, by_step) < 1e-12
        assert close(pulled - cotangent, back - cotangent) < 1e-12


def test_one_part_is_the_kernel_itself() -> None:
    kernels, (theta, images, labels, size, cotangent) = given("instance", soft=False)
    assert torch.equal(step(kernels, 1, theta, images, labels, size), kernels.step(theta, images, labels, size))
    mine = adjoint(kernels, 1, theta, images, labels, size, cotangent)
    assert all(map(torch.equal, mine, kernels.adjoint(theta, images, labels, size, cotangent)))


class Small:
    """A device whose memory holds ``most`` images of a step at a time."""

    def __init__(self, kernels: Kernels, most: int) -> None:
        self.whole = kernels
        self.most = most
        self.tried: list[int] = []

    def fits(self, images: Tensor) -> None:
        self.tried.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    def kernels(self) -> Kernels:
        def small_step(parameters: Tensor, images: Tensor, labels: Tensor, size: Tensor) -> Tensor:
            self.fits(images)
            return self.whole.step(parameters, images, labels, size)

        def small_adjoint(
            parameters: Tensor, images: Tensor, labels: Tensor, size: Tensor, cotangent: Tensor
        ) -> tuple[Tensor, Tensor, Tensor]:
            self.fits(images)
            return self.whole.adjoint(parameters, images, labels, size, cotangent)

        return Kernels(small_step, small_adjoint)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 10])
def test_memory_that_runs_out_doubles_the_parts_until_they_fit(most: int) -> None:
    kernels, (theta, images, labels, size, cotangent) = given("instance", soft=False)
    small, heard = Small(kernels, most), list[int]()
    split = Splitting(small.kernels(), "instance", heard=heard.append).kernels()
    wanted = kernels.adjoint(theta, images, labels, size, cotangent)
    for found, whole in zip(split.adjoint(theta, images, labels, size, cotangent), wanted, strict=True):
        assert close(found, whole) < 1e-12
    assert heard == [2, 4, 8, 11][: len(heard)]
    assert heard[-1] >= IMAGES / most
    said, failures = len(heard), sum(size > most for size in small.tried)
    assert failures == said
    assert close(split.step(theta, images, labels, size), kernels.step(theta, images, labels, size)) < 1e-12
    assert len(heard) == said, "remembered: what did not fit once is not tried again"
    assert sum(size > most for size in small.tried) == failures


def test_a_gradient_through_a_whole_training_in_parts() -> None:
    kernels, (theta, images, labels, size, _) = given("group", soft=False)
    net = ConvNet(Network(depth=2, width=8, norm="group", pooling="avg"), (3, 8, 8), 5)
    target = theta + 0.1
    split = Splitting(Small(kernels, 4).kernels(), "group").kernels()
    whole = meta_gradient(net, theta, images, labels, size, target, steps=5)
    parts = meta_gradient(net, theta, images, labels, size, target, steps=5, kernels=split)
    assert close(parts.gradient.pixels, whole.gradient.pixels) < 1e-12
    assert whole.gradient.step_size is not None
    assert parts.gradient.step_size is not None
    assert close(parts.gradient.step_size, whole.gradient.step_size) < 1e-12


def test_a_single_image_that_does_not_fit_is_an_error() -> None:
    kernels, (theta, images, labels, size, _) = given("instance", soft=False)
    with pytest.raises(torch.OutOfMemoryError):
        Splitting(Small(kernels, 0).kernels(), "instance").kernels().step(theta, images, labels, size)


class SmallKeeping(Small):
    """One whose memory also holds the activations of ``most_kept`` steps."""

    def __init__(self, kernels: Kernels, most: int, most_kept: int, fitting: int = 9) -> None:
        super().__init__(kernels, most)
        self.most_kept = most_kept
        self.fitting = fitting
        self.kept: WeakSet[Tensor] = WeakSet()
        self.used = 0

    def kernels(self) -> Kernels:
        def keeping_step(parameters: Tensor, images: Tensor, labels: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
            if len(self.kept) >= self.most_kept:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
            activations = torch.zeros(())
            self.kept.add(activations)
            return self.whole.step(parameters, images, labels, size), activations

        def kept_adjoint(*given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            self.fits(given[1])
            self.used += 1
            return self.whole.adjoint(*given[:5])

        def fits(images: Sequence[int]) -> int:
            return min(self.fitting, len(images))

        return replace(super().kernels(), keeping=Keeping(keeping_step, kept_adjoint, fits))

    def fits(self, images: Tensor) -> None:
        if self.kept and len(images) > self.most - 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        super().fits(images)


@pytest.mark.parametrize(
    ("most", "most_kept", "fitting", "forgone", "parts"),
    [
        (IMAGES + 1, 5, 5, 0, []),  # room for all
        (IMAGES + 1, 3, 5, 1, []),  # no room to keep the fourth
        (IMAGES + 1, 0, 5, 1, []),  # none at all
        (IMAGES, 5, 5, 1, []),  # an adjoint fits once nothing is kept
        (IMAGES, 5, 3, 1, []),  # so does one of whose step nothing was kept
        (4, 5, 5, 1, [2, 4]),  # and then in parts
    ],
)
def test_what_is_kept_is_given_up_before_a_batch_is_split(
    most: int, most_kept: int, fitting: int, forgone: int, parts: list[int]
) -> None:
    whole, (theta, images, labels, size, _) = given("instance", soft=False)
    net = ConvNet(Network(depth=2, width=8, norm="instance", pooling="avg"), (3, 8, 8), 5)
    small, heard, given_up = SmallKeeping(whole, most, most_kept, fitting), list[int](), list[int]()
    splitting = Splitting(
        small.kernels(), "instance", heard=heard.append, forgone=lambda: given_up.append(len(small.kept))
    )
    expected = meta_gradient(net, theta, images, labels, size, theta + 0.1, steps=5)
    for turn in range(2):
        found = meta_gradient(net, theta, images, labels, size, theta + 0.1, steps=5, kernels=splitting.kernels())
        assert close(found.gradient.pixels, expected.gradient.pixels) < 1e-12
        assert (given_up, heard) == ([0] * forgone, parts), f"turn {turn}: once, and for good; its memory is free then"
    assert small.used == (0 if forgone else 10)


def test_of_a_step_in_parts_nothing_is_kept() -> None:
    """Memory may run out in an adjoint before anything is held."""
    whole, (theta, images, labels, size, cotangent) = given("instance", soft=False)
    small = SmallKeeping(whole, 3, 5, 5)
    kernels = Splitting(small.kernels(), "instance").kernels()
    assert kernels.keeping is not None
    kernels.adjoint(theta, images, labels, size, cotangent)
    moved, held = kernels.keeping.step(theta, images, labels, size)
    assert held is None
    assert kernels.keeping.fits([3, 3]) == 0
    pulled = kernels.keeping.adjoint(theta, images, labels, size, cotangent, held)
    for found, wanted in zip(pulled, whole.adjoint(theta, images, labels, size, cotangent), strict=True):
        assert close(found, wanted) < 1e-12
    assert close(moved - theta, whole.step(theta, images, labels, size) - theta) < 1e-12


def test_fewer_parts_than_portions_do_not_help() -> None:
    kernels, (theta, images, labels, size, _) = given("instance", soft=False)
    small, heard = Small(kernels, 2), list[int]()
    split = Splitting(small.kernels(), "instance", heard=heard.append, portions=lambda count: -(-count // 3)).kernels()
    assert close(split.step(theta, images, labels, size), kernels.step(theta, images, labels, size)) < 1e-12
    assert heard == [8], "twice the four portions of three images"


def test_every_norm_there_is_takes_each_image_by_itself_and_another_is_refused() -> None:
    assert set(NORMS) == set(BY_IMAGE)
    kernels, _ = given("instance", soft=False)
    with pytest.raises(ConfigError, match=r"network\.norm: batch .*objective\.batch_size"):
        Splitting(kernels, "batch")
    require_separable("layer")


# -- whole runs ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly(2):
        yield


def device_of(patch: pytest.MonkeyPatch, most: int) -> Small:
    """Makes the runs that follow compute on a device that holds ``most`` images."""
    whole, small = execution.kernels, Small(Kernels(lambda *a: a[0], lambda *a: a[:3]), most)

    def kernels(*arguments: Any) -> Kernels:
        small.whole = whole(*arguments)
        return small.kernels()

    patch.setattr(execution, "kernels", kernels)
    return small


def warnings(events: list[Event]) -> list[str]:
    return [e.message for e in events if isinstance(e, Notice) and e.level == "warning" and "memory" in e.message]


SMALL: dict[str, Any] = {
    "evaluation__random_draws": 0, "evaluation__networks": 1, "evaluation__every": 0, "objective__iterations": 4,
    "execution__checkpoint_every": 2,
}  # fmt: skip


def test_a_run_goes_on_in_parts_says_so_and_is_resumed_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, watch = tiny(**SMALL), Watch()
    whole, split = Place(tmp_path / "whole"), Place(tmp_path / "split")
    whole.start(config)
    device_of(monkeypatch, most=3)
    assert split.start(config, watch)["state"] == "done"
    said = warnings(watch.events)
    assert [text.partition(" parts")[0].rpartition(" ")[2] for text in said] == ["2", "4"]
    assert all("the run's bits may no longer be those" in text for text in said)
    assert RunFolder.open(split.folder).execution()["parts"] == 4
    for mine, other in zip(outcome(split)["iterations"], outcome(whole)["iterations"], strict=True):
        assert mine["objective"] == pytest.approx(other["objective"], rel=1e-4)

    torn, first, second = Place(tmp_path / "torn"), Watch(), Watch()
    first.act = lambda w: w.request("stop") if w.after(kind="iteration", iteration=2) else None
    torn.start(config, first)
    small = device_of(monkeypatch, most=10)  # enough for the whole batch: the parts are kept all the same
    torn.resume(second)
    assert warnings(second.events) == []
    assert set(small.tried) == {2, 3}, "ten images in four parts, from the first step on"
    assert [e.execution["parts"] for e in second.events if isinstance(e, RunStarted)] == [4]
    assert outcome(torn) == outcome(split)


def test_what_cannot_be_split_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device_of(monkeypatch, most=0)
    with pytest.raises(MimError, match=r"the device ran out of memory: lower .*objective\.batch_size"):
        Place(tmp_path).start(tiny(**SMALL))
