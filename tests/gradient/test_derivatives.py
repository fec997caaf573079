"""The written-out derivatives of the ConvNet against automatic differentiation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import compilation, keeping
from engine.config.schema import Network
from engine.kernels import loss, step
from engine.networks import ConvNet, convolutions, derivatives
from engine.networks.convolutions import rounded
from engine.networks.derivatives import Derivatives
from engine.seeds import generator

NORMS, POOLINGS = ("instance", "group", "layer", "none"), ("avg", "max", "none")
IMAGES = 6


def network(norm: str = "instance", pooling: str = "avg", depth: int = 2, width: int = 8, side: int = 8) -> ConvNet:
    settings = Network.model_validate({"norm": norm, "pooling": pooling, "depth": depth, "width": width})
    return ConvNet(settings, (1, 28, 28) if side == 28 else (3, side, side), 5)


def setting(net: ConvNet, *, soft: bool = False, trained: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parameters, direction, images and labels in float64."""
    draws = generator(1, "derivatives")
    parameters = (net.init(draws) + 0.1 * torch.randn(net.size, generator=draws)).double()
    images = torch.randn(IMAGES, *net.shape, generator=draws).double()
    labels = torch.rand(IMAGES, 5, generator=draws).double() if soft else torch.arange(IMAGES) % 5
    if trained:
        for _ in range(5):
            parameters = step(net, parameters, images, labels, torch.tensor(0.2, dtype=torch.float64))
    return parameters, torch.randn(net.size, generator=draws).double(), images, labels


def automatic(net: ConvNet, parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Loss, gradient, slope along the direction, and its derivatives by parameters and images."""
    leaf, pixels = parameters.clone().requires_grad_(), images.clone().requires_grad_()
    value = loss(net, leaf, pixels, labels)
    (first,) = torch.autograd.grad(value, leaf, create_graph=True)
    slope = first @ direction
    return [t.detach() for t in (value, first, slope, *torch.autograd.grad(slope, (leaf, pixels)))]


def written_out(net: ConvNet, parameters: Tensor, direction: Tensor, images: Tensor, labels: Tensor) -> list[Tensor]:
    derivatives = Derivatives(net)
    value, _, first = derivatives.first(parameters, images, labels)
    return [value, first, *derivatives.second(parameters, direction, images, labels)]


def error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.double() - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("norm", "pooling"), list(itertools.product(NORMS, POOLINGS)))
@pytest.mark.parametrize(("depth", "soft", "trained"), [(1, False, False), (2, True, False), (3, False, True)])
def test_against_automatic_differentiation(norm: str, pooling: str, depth: int, soft: bool, trained: bool) -> None:
    net = network(norm, pooling, depth)
    given = setting(net, soft=soft, trained=trained)
    for ours, theirs in zip(written_out(net, *given), automatic(net, *given), strict=True):
        assert error(ours, theirs) < 1e-10


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_images_of_28_pixels_are_padded(pooling: str) -> None:
    net = network(pooling=pooling, side=28)
    given = setting(net)
    for ours, theirs in zip(written_out(net, *given), automatic(net, *given), strict=True):
        assert error(ours, theirs) < 1e-10


def test_groups_that_do_not_divide_the_width() -> None:
    net = network("group", width=6)
    given = setting(net)
    for ours, theirs in zip(written_out(net, *given), automatic(net, *given), strict=True):
        assert error(ours, theirs) < 1e-10


@pytest.mark.parametrize(("norm", "pooling"), list(itertools.product(NORMS, POOLINGS)))
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("fused", [False, True], ids=["native", "plain"])
def test_what_is_kept_need_not_be_computed_again(
    norm: str, pooling: str, depth: int, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: fused)
    net = network(norm, pooling, depth)
    parameters, direction, images, labels = setting(net, soft=depth == 1)
    whole = Derivatives(net)
    *first, kept = whole.first_keeping(parameters, images, labels)
    for ours, theirs in zip(first, whole.first(parameters, images, labels), strict=True):
        assert torch.equal(ours, theirs)
    convolutions = Counted(monkeypatch)
    expected, again = whole.second(parameters, direction, images, labels), convolutions.taken()
    found, saved = whole.second_of_kept(parameters, direction, images, labels, kept), convolutions.taken()
    for ours, theirs in zip(found, expected, strict=True):
        assert error(ours, theirs) < 1e-12
    assert again - saved == IMAGES * (2 * depth - 1), "neither the forward nor the backward pass"
    assert sum(each.nbytes for each in kept) // 2 - _groups(kept) == keeping.activation_bytes(net, IMAGES)
    spoilt = whole.second_of_kept(parameters, direction, images, labels, [2 * each for each in kept])
    assert error(spoilt[2], expected[2]) > 0.01, "it is used"


def _groups(kept: Sequence[Tensor]) -> int:
    """Bytes, in float32, of the numbers that every group of a norm has one of."""
    return sum(4 * each.numel() for each in kept if each.ndim == 5)


class Counted:
    """Counts the images that convolutions are of, forward and by their input."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = 0
        forward, backward = F.conv2d, convolutions.CONVOLUTION_BACKWARD

        def convolved(x: Tensor, *others: Any, **options: Any) -> Tensor:
            self.images += len(x)
            return forward(x, *others, **options)

        def turned(by_y: Tensor, *others: Any) -> Any:
            self.images += len(by_y) * others[-1][0]
            return backward(by_y, *others)

        monkeypatch.setattr(F, "conv2d", convolved)
        monkeypatch.setattr(convolutions, "CONVOLUTION_BACKWARD", turned)

    def taken(self) -> int:
        """How many since the last call."""
        found, self.images = self.images, 0
        return found


@pytest.mark.parametrize("trained", [False, True])
def test_float32_is_close_to_float64(trained: bool) -> None:
    """At random and at trained weights; a ReLU that opens in one arithmetic and not in the other would show."""
    net = network(depth=3, width=16, side=16)
    parameters, direction, images, labels = setting(net, trained=trained)
    single = written_out(net, parameters.float(), direction.float(), images.float(), labels)
    for ours, theirs in zip(single, automatic(net, parameters, direction, images, labels), strict=True):
        assert error(ours, theirs) < 1e-5


def test_what_the_compiler_is_given_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled, normalisations are plain operations for the compiler to fuse, in place of the library's own."""
    net = network("group", "max", 3)
    given = setting(net)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for ours, theirs in zip(written_out(net, *given), automatic(net, *given), strict=True):
        assert error(ours, theirs) < 1e-10


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_channels_that_lie_last_on_a_card_are_normalised_by_plain_operations(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's demands contiguous images there in torch 2.11. A tensor without data stands for a card's."""
    used: list[str] = []
    native = torch.native_group_norm

    def noted(*arguments: Any) -> Any:
        used.append(arguments[0].device.type)
        return native(*arguments)

    def noted_backward(*arguments: Any) -> Any:
        used.append(arguments[0].device.type)
        return backward(*arguments)

    backward = derivatives.GROUP_NORM_BACKWARD
    monkeypatch.setattr(torch, "native_group_norm", noted)
    monkeypatch.setattr(derivatives, "GROUP_NORM_BACKWARD", noted_backward)
    net = network(depth=2)
    given = [t.float().to(device) if t.is_floating_point() else t.to(device) for t in setting(net)]
    found = Derivatives(net, torch.bfloat16).second(given[0], given[1], given[2], given[3])
    assert found[2].shape == given[2].shape
    assert set(used) == ({"cpu"} if device == "cpu" else set())


def test_narrow_operands_round_and_keep_their_direction() -> None:
    net = network(depth=3, width=32, side=16)
    parameters, direction, images, labels = (t.float() if t.is_floating_point() else t for t in setting(net))
    exact = Derivatives(net).second(parameters, direction, images, labels)
    narrow = Derivatives(net, torch.bfloat16).second(parameters, direction, images, labels)
    for ours, theirs in zip(narrow[1:], exact[1:], strict=True):
        assert ours.dtype == torch.float32
        assert not torch.equal(ours, theirs)
        assert float(torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0)) > 0.99


def test_rounding_is_that_of_bfloat16() -> None:
    draws = generator(0, "rounding")
    x = torch.randn(10_000, generator=draws) * torch.exp(torch.randn(10_000, generator=draws) * 8)
    assert torch.equal(rounded(x), x.bfloat16().float())
    exact = torch.tensor([0.0, 1.0, -3.5, 2.0**100])
    assert torch.equal(rounded(exact), exact)


def test_emulated_and_native_narrow_operands_agree() -> None:
    """Beyond float32, to the order in which a convolution's products are added."""
    net = network(depth=3, width=32, side=16)
    parameters, direction, images, labels = (t.float() if t.is_floating_point() else t for t in setting(net))
    native, own = Derivatives(net, torch.bfloat16), Derivatives(net, torch.bfloat16, emulated=True)
    exact = Derivatives(net).second(parameters, direction, images, labels)[1]
    ours = own.second(parameters, direction, images, labels)[1]
    theirs = native.second(parameters, direction, images, labels)[1]
    assert error(ours, theirs.double()) < error(exact, theirs.double()) / 3
    assert own.first(parameters, images, labels)[2].dtype == torch.float32


@pytest.mark.long
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_compiled_derivatives_agree(norm: str) -> None:
    net = network(norm)
    parameters, direction, images, labels = (t.float() if t.is_floating_point() else t for t in setting(net))
    derivatives = Derivatives(net)
    first, second = compilation.first(net, "float32", "cpu"), compilation.second(net, "float32", "cpu")
    for ours, theirs in zip(
        first(parameters, images, labels), derivatives.first(parameters, images, labels), strict=True
    ):
        assert error(ours, theirs.double()) < 1e-4
    given = (parameters, direction, images, labels)
    for ours, theirs in zip(second(*given), derivatives.second(*given), strict=True):
        assert error(ours, theirs.double()) < 1e-4
    *_, kept = compilation.first_keeping(net, "float32", "cpu")(parameters, images, labels)
    found = compilation.second_of_kept(net, "float32", "cpu")(*given, kept)
    for ours, theirs in zip(found, derivatives.second(*given), strict=True):
        assert error(ours, theirs.double()) < 1e-4
