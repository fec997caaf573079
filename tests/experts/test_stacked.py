"""Networks side by side against each one's own call, in float64."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Augmentation, Network
from engine.data.augment import Augment
from engine.networks import ConvNet
from engine.stacked import TOGETHER, TOGETHER_ON_GPU, Stack, gradient_function, together
from engine.training import augmented

FLOAT32 = {"precision": "float32"}
MIXED = {"precision": "mixed"}
SHAPE = (1, 8, 8)


def given(net: ConvNet, k: int, n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters, images and labels of k networks; normalisation's own parameters are random too."""
    source = torch.Generator().manual_seed(5)
    parameters = torch.stack([net.init(source) for _ in range(k)])
    parameters = parameters + 0.1 * torch.randn(parameters.shape, generator=source)
    images = torch.randn(k, n, *net.shape, generator=source)
    labels = torch.randint(net.classes, (k, n), generator=source)
    return parameters.to(dtype), images.to(dtype), labels


def assert_each_its_own(net: ConvNet, k: int, n: int = 5) -> None:
    """Loss, logits and gradient of every network, against autograd through its own call."""
    parameters, images, labels = given(net, k, n)
    losses, logits, gradients = gradient_function(net, FLOAT32)(parameters, images, labels)
    for i in range(k):
        leaf = parameters[i].clone().requires_grad_()
        outputs = net(leaf, images[i])
        loss = F.cross_entropy(outputs, labels[i])
        (expected,) = torch.autograd.grad(loss, leaf)
        torch.testing.assert_close(losses[i], loss.detach(), rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(logits[i], outputs.detach(), rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(gradients[i], expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("norm", "pooling", "shape"),
    [
        ("instance", "avg", SHAPE),
        ("instance", "max", (3, 12, 12)),
        ("group", "avg", (1, 28, 28)),
        ("layer", "none", SHAPE),
        ("none", "max", (3, 8, 8)),
        ("none", "none", SHAPE),
    ],
)
@pytest.mark.parametrize("k", [1, 3])
def test_every_kind_of_network(
    norm: Literal["instance", "group", "layer", "none"],
    pooling: Literal["avg", "max", "none"],
    shape: tuple[int, int, int],
    k: int,
) -> None:
    assert_each_its_own(ConvNet(Network(width=8, depth=2, norm=norm, pooling=pooling), shape, 10), k)


def test_a_width_that_four_groups_do_not_divide() -> None:
    assert_each_its_own(ConvNet(Network(width=6, depth=1, norm="group"), SHAPE, 3), 2)


def test_soft_labels_are_cross_entropy_with_probabilities() -> None:
    net = ConvNet(Network(width=8, depth=1), SHAPE, 10)
    parameters, images, _ = given(net, 2, 6)
    soft = torch.rand(2, 6, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(2)
    losses, _, gradients = gradient_function(net, FLOAT32)(parameters, images, soft)
    for i in range(2):
        leaf = parameters[i].clone().requires_grad_()
        loss = -(soft[i] * net(leaf, images[i]).log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(losses[i], loss.detach(), rtol=1e-10, atol=0)
        torch.testing.assert_close(gradients[i], torch.autograd.grad(loss, leaf)[0], rtol=1e-8, atol=1e-11)


def test_mixed_precision_is_close_and_not_the_same() -> None:
    net = ConvNet(Network(width=16, depth=2), SHAPE, 10)
    given_to_both = given(net, 2, 16, torch.float32)
    _, logits, exact = gradient_function(net, FLOAT32)(*given_to_both)
    _, rounded, mixed = gradient_function(net, MIXED)(*given_to_both)
    assert rounded.dtype == mixed.dtype == torch.float32
    assert not torch.equal(logits, rounded)
    assert bool((F.cosine_similarity(exact, mixed) > 0.99).all())


def test_nothing_is_left_on_the_parameters() -> None:
    net = ConvNet(Network(width=8, depth=1), SHAPE, 10)
    parameters, images, labels = given(net, 1, 4)
    before = parameters.clone()
    results = gradient_function(net, FLOAT32)(parameters, images, labels)
    assert torch.equal(parameters, before)
    assert not any(tensor.requires_grad for tensor in (parameters, *results))


def test_split_and_join_are_inverse() -> None:
    net = ConvNet(Network(width=8, depth=2), (3, 8, 8), 10)
    parameters = torch.randn(3, net.size)
    stack = Stack(net)
    assert torch.equal(stack.join(stack.split(parameters)), parameters)
    for part, one in zip(stack.split(parameters), net.unflatten(parameters[2]), strict=True):
        assert torch.equal(part[2], one)


def test_augmentation_of_several_is_each_ones_own() -> None:
    """Enough networks that some draw the same strategy."""
    shape = (3, 8, 8)
    augment = Augment(Augmentation(), shape)
    images = torch.randn(9, 4, *shape, generator=torch.Generator().manual_seed(0))
    found = augmented(augment, images, [torch.Generator().manual_seed(i) for i in range(9)])
    drawn = [augment.draw(4, torch.Generator().manual_seed(i)) for i in range(9)]
    assert 1 < len({draw.op for draw in drawn}) < 9
    for i, draw in enumerate(drawn):
        torch.testing.assert_close(found[i], augment(images[i], draw), rtol=1e-6, atol=1e-6)


def test_how_many_at_once_follows_from_sizes() -> None:
    """28x28 images count as the 32x32 they are padded to; one network is always allowed."""
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    small = ConvNet(Network(width=32, depth=2), SHAPE, 10)
    assert together(small, 10, cpu) == TOGETHER // (10 * 32 * 64)
    padded = ConvNet(Network(width=16, depth=3), (1, 28, 28), 10)
    assert together(padded, 10, cpu) == TOGETHER // (10 * 16 * 32 * 32)
    large = ConvNet(Network(width=128, depth=3), (3, 32, 32), 10)
    assert together(large, 256, cpu) == 1
    assert together(large, 10, gpu) == TOGETHER_ON_GPU // (10 * 128 * 32 * 32)
