"""A batch in portions: the derivatives of the whole, in double precision, and how many images a portion has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine import activations, compilation, gradient, memory, portions, stacked
from engine.config.schema import Network
from engine.kernels import LossDerivatives, kernels_of
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives
from engine.seeds import generator
from tests.distill.helpers import tiny

NET = ConvNet(Network(depth=2, width=6), (3, 8, 8), 10)


def given(images: int, *, soft: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parameters, a direction, images and labels, in double precision."""
    draws = generator(0, "portions", images)
    parameters, direction = NET.init(draws).double(), torch.randn(NET.size, generator=draws).double()
    pixels = torch.randn(images, *NET.shape, generator=draws).double()
    hard = torch.randint(10, (images,), generator=draws)
    labels = torch.rand(images, 10, generator=draws).double() if soft else hard  # rows that do not sum to one, too
    return parameters, direction, pixels, labels


def same(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).norm() <= 1e-12 * theirs.norm()) and ours.shape == theirs.shape


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("images", "size"), [(12, 4), (11, 4), (5, 1), (3, 8)])
def test_portions_give_the_derivatives_of_the_whole(images: int, size: int, soft: bool) -> None:
    parameters, direction, pixels, labels = given(images, soft=soft)
    whole = Derivatives(NET)
    seen: list[int] = []

    def first(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen.append(len(arguments[1]))
        return whole.first(*arguments)

    ours = portions.first(first, lambda _: size)(parameters, pixels, labels)
    assert all(map(same, ours, whole.first(parameters, pixels, labels)))
    assert max(seen) <= size
    assert sum(seen) == images
    twice = portions.second(whole.second, lambda _: size)(parameters, direction, pixels, labels)
    assert all(map(same, twice, whole.second(parameters, direction, pixels, labels)))


@pytest.mark.parametrize(("images", "size"), [(12, 4), (11, 4), (3, 8)])
def test_activations_are_kept_portion_by_portion(images: int, size: int) -> None:
    parameters, direction, pixels, labels = given(images, soft=False)
    whole = Derivatives(NET)
    *first, kept = portions.first_keeping(whole.first_keeping, lambda _: size)(parameters, pixels, labels)
    assert all(map(same, first, whole.first(parameters, pixels, labels)))
    taken: list[int] = []

    def second(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        taken.append(len(arguments[4][0]))
        return whole.second_of_kept(*arguments)

    found = portions.second_of_kept(second, lambda _: size)(parameters, direction, pixels, labels, kept)
    assert all(map(same, found, whole.second(parameters, direction, pixels, labels)))
    assert taken == [min(size, images - begun) for begun in range(0, images, size)]


def test_a_step_and_its_adjoint_in_portions() -> None:
    parameters, cotangent, pixels, labels = given(10, soft=False)
    plain = Derivatives(NET)
    cut = LossDerivatives(portions.first(plain.first, lambda _: 3), portions.second(plain.second, lambda _: 3))
    ours, theirs = kernels_of(cut), kernels_of(LossDerivatives(plain.first, plain.second))
    rate = torch.tensor(0.1, dtype=torch.float64)
    assert same(ours.step(parameters, pixels, labels, rate), theirs.step(parameters, pixels, labels, rate))
    wanted = theirs.adjoint(parameters, pixels, labels, rate, cotangent)
    assert all(map(same, ours.adjoint(parameters, pixels, labels, rate, cotangent), wanted))


@pytest.mark.parametrize(
    ("width", "images", "size"),
    [
        (128, 10, 10),
        (128, 12, 12),
        (128, 100, 10),
        (128, 256, 8),
        (128, 500, 10),
        (128, 125, 12),
        (64, 256, 16),
        (8, 9, 9),
    ],
)
def test_a_portion_fits_the_cache_and_is_even_where_it_can_be(width: int, images: int, size: int) -> None:
    net = ConvNet(Network(width=width), (3, 32, 32), 10)
    assert portions.portion(net, images, "cpu") == size
    assert size <= portions.limit(net, "cpu")


def test_a_huge_network_is_computed_image_by_image() -> None:
    net = ConvNet(Network(width=2048, depth=1), (3, 32, 32), 10)
    assert portions.portion(net, 3, "cpu") == 1


def test_a_gpu_takes_hundreds_at_once() -> None:
    net = ConvNet(Network(width=128), (3, 32, 32), 10)
    assert portions.portion(net, 256, torch.device("cuda", 1)) == 256
    assert portions.portion(net, 500, "cuda") == 250


def test_images_of_28_are_counted_as_padded() -> None:
    net = ConvNet(Network(width=128), (1, 28, 28), 10)
    assert portions.limit(net, "cpu") == 12


def test_the_estimate_of_memory_knows_what_is_held() -> None:
    assert (activations.CACHED, memory.KEPT) == (portions.CACHED, gradient.KEPT)


def test_a_compiled_training_step_meets_one_shape_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a smaller last batch is eager: nothing compiles in the middle of a run."""
    net = ConvNet(Network(depth=1, width=4), (1, 8, 8), 10)
    monkeypatch.setattr(portions, "CACHED", 4 * 4 * 64 * 4)  # four images
    seen: list[int] = []
    plain = Derivatives(net)

    def compiled(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen.append(len(arguments[1]))
        return plain.first(*arguments)

    monkeypatch.setattr(compilation, "first", lambda *_: compiled)
    gradient = stacked.gradient_function(net, {"precision": "float32", "compile": True, "device": "cpu"}, 8)
    eager = stacked.gradient_function(net, {"precision": "float32"})
    draws = generator(0, "shapes")
    parameters, images = net.init(draws)[None], torch.randn(1, 8, 1, 8, 8, generator=draws)
    labels = torch.arange(8)[None]
    for count in (8, 7, 3):
        ours = gradient(parameters, images[:, :count], labels[:, :count])
        theirs = eager(parameters, images[:, :count], labels[:, :count])
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True))
    assert seen == [4, 4, 4]


def test_the_estimate_grows_no_more_with_the_batch_than_its_images() -> None:
    few, many = (
        memory.estimate(tiny(network__width=64, data__train_limit=1400, experts__batch_size=size)).phases["experts"]
        for size in (500, 900)
    )
    assert many - few == 2 * 400 * 64 * 4
