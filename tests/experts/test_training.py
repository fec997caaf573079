"""Training against the plain way of writing it: torch.optim.SGD, autograd through the network's own call."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import training
from engine.config.schema import Augmentation, Network
from engine.data.augment import Augment
from engine.networks import ConvNet
from engine.stacked import MOST_ON_GPU, TOGETHER, TOGETHER_ON_GPU, Stack, gradient_function, together
from engine.training import Sets, Trainee, accuracy, augmented, batches, train_epoch

FLOAT32 = {"precision": "float32"}
MIXED = {"precision": "mixed"}


def draws(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def given(net: ConvNet, k: int, n: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters, images and labels of k networks; normalisation's own parameters are random too."""
    source = torch.Generator().manual_seed(5)
    parameters = torch.stack([net.init(source) for _ in range(k)])
    parameters = parameters + 0.1 * torch.randn(parameters.shape, generator=source)
    images = torch.randn(k, n, *net.shape, generator=source)
    labels = torch.randint(net.classes, (k, n), generator=source)
    return parameters.to(dtype), images.to(dtype), labels


def plain(net: ConvNet, parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, logits and gradient of one network by autograd through its own call."""
    leaf = parameters.clone().requires_grad_()
    logits = net(leaf, images)
    loss = F.cross_entropy(logits, labels)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), logits.detach(), gradient


@pytest.mark.parametrize(
    ("norm", "pooling", "shape"),
    [
        ("instance", "avg", (1, 8, 8)),
        ("instance", "max", (3, 12, 12)),
        ("group", "avg", (1, 28, 28)),
        ("layer", "none", (1, 8, 8)),
        ("none", "max", (3, 8, 8)),
        ("none", "avg", (1, 8, 8)),
    ],
)
@pytest.mark.parametrize("k", [1, 3])
def test_stacked_gradient_is_each_networks_own(
    norm: Literal["instance", "group", "layer", "none"],
    pooling: Literal["avg", "max", "none"],
    shape: tuple[int, int, int],
    k: int,
) -> None:
    net = ConvNet(Network(width=8, depth=2, norm=norm, pooling=pooling), shape, 10)
    parameters, images, labels = given(net, k, 5)
    losses, logits, gradients = gradient_function(net, FLOAT32)(parameters, images, labels)
    for i in range(k):
        loss, outputs, gradient = plain(net, parameters[i], images[i], labels[i])
        torch.testing.assert_close(losses[i], loss, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(logits[i], outputs, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(gradients[i], gradient, rtol=1e-8, atol=1e-11)


def test_group_normalisation_of_a_width_that_four_does_not_divide() -> None:
    net = ConvNet(Network(width=6, depth=1, norm="group"), (1, 8, 8), 3)
    parameters, images, labels = given(net, 2, 4)
    _, _, gradients = gradient_function(net, FLOAT32)(parameters, images, labels)
    for i in range(2):
        torch.testing.assert_close(
            gradients[i], plain(net, parameters[i], images[i], labels[i])[2], rtol=1e-8, atol=1e-11
        )


def test_soft_labels_are_cross_entropy_with_probabilities() -> None:
    net = ConvNet(Network(width=8, depth=1), (1, 8, 8), 10)
    parameters, images, _ = given(net, 2, 6)
    soft = torch.rand(2, 6, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(2)
    losses, logits, gradients = gradient_function(net, FLOAT32)(parameters, images, soft)
    for i in range(2):
        leaf = parameters[i].clone().requires_grad_()
        loss = -(soft[i] * net(leaf, images[i]).log_softmax(1)).sum(1).mean()
        torch.testing.assert_close(losses[i], loss.detach(), rtol=1e-10, atol=0)
        torch.testing.assert_close(gradients[i], torch.autograd.grad(loss, leaf)[0], rtol=1e-8, atol=1e-11)
    assert logits.shape == (2, 6, 10)


def test_mixed_precision_is_close_and_not_the_same() -> None:
    net = ConvNet(Network(width=16, depth=2), (1, 8, 8), 10)
    parameters, images, labels = given(net, 2, 16, torch.float32)
    _, logits, exact = gradient_function(net, FLOAT32)(parameters, images, labels)
    _, rounded, mixed = gradient_function(net, MIXED)(parameters, images, labels)
    assert rounded.dtype == mixed.dtype == torch.float32
    assert not torch.equal(logits, rounded)
    assert bool((F.cosine_similarity(exact, mixed) > 0.99).all())


def test_no_gradient_is_left_on_the_parameters() -> None:
    net = ConvNet(Network(width=8, depth=1), (1, 8, 8), 10)
    parameters, images, labels = given(net, 1, 4, torch.float32)
    before = parameters.clone()
    results = gradient_function(net, FLOAT32)(parameters, images, labels)
    assert torch.equal(parameters, before)
    assert not parameters.requires_grad
    assert not any(result.requires_grad for result in results)


@pytest.mark.parametrize(("momentum", "weight_decay"), list(itertools.product((0.0, 0.9), (0.0, 5e-4))))
def test_updates_are_those_of_torch_sgd(momentum: float, weight_decay: float) -> None:
    """Ten steps in float64, the rate changed halfway."""
    net = ConvNet(Network(width=8, depth=2), (1, 8, 8), 10)
    parameters, images, labels = given(net, 1, 8)
    trainee = Trainee.fresh(parameters.clone())
    leaf = parameters[0].clone().requires_grad_()
    optimizer = torch.optim.SGD([leaf], lr=0.1, momentum=momentum, weight_decay=weight_decay)
    gradient = gradient_function(net, FLOAT32)
    for step in range(10):
        rate = 0.1 if step < 5 else 0.01
        trainee.update(gradient(trainee.parameters, images, labels)[2], rate, momentum, weight_decay)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(net(leaf, images[0]), labels[0]))
        optimizer.step()
        torch.testing.assert_close(trainee.parameters[0], leaf.detach(), rtol=1e-9, atol=1e-12)
    assert float((leaf.detach() - parameters[0]).norm()) > 1e-2


def test_an_update_leaves_earlier_tensors_alone() -> None:
    trainee = Trainee.fresh(torch.ones(1, 3))
    kept, old = trainee.parameters, trainee.velocity
    for momentum in (0.0, 0.9):
        trainee.update(torch.ones(1, 3), 0.5, momentum, 0.1)
    assert torch.equal(kept, torch.ones(1, 3))
    assert torch.equal(old, torch.zeros(1, 3))


def test_an_epoch_sees_every_image_once_in_orders_of_their_own() -> None:
    parts = list(batches(10, 4, draws(0, 1)))
    assert [tuple(part.shape) for part in parts] == [(2, 4), (2, 4), (2, 2)]
    order = torch.cat(parts, 1)
    assert order.sort(1).values.tolist() == [list(range(10))] * 2
    assert order[0].tolist() != order[1].tolist()
    assert order[0].tolist() != list(range(10))


def test_sets_apart_stay_apart() -> None:
    sets = [(torch.full((3, 1, 2, 2), float(i)), torch.full((3,), i)) for i in range(2)]
    images, labels = Sets.apart(sets).take(torch.tensor([[0, 2], [1, 1]]))
    assert images[:, :, 0, 0, 0].tolist() == [[0, 0], [1, 1]]
    assert labels.tolist() == [[0, 0], [1, 1]]


def test_augmentation_of_several_is_each_ones_own() -> None:
    """Enough networks that some draw the same strategy."""
    shape = (3, 8, 8)
    augment = Augment(Augmentation(), shape)
    images = torch.randn(9, 4, *shape, generator=torch.Generator().manual_seed(0))
    found = augmented(augment, images, draws(*range(9)))
    drawn = [augment.draw(4, one) for one in draws(*range(9))]
    assert 1 < len({draw.op for draw in drawn}) < 9
    for i, draw in enumerate(drawn):
        torch.testing.assert_close(found[i], augment(images[i], draw), rtol=1e-6, atol=1e-6)


def test_an_epoch_against_a_plain_loop() -> None:
    """Order, augmentation, last smaller batch, and the statistics."""
    net = ConvNet(Network(width=8, depth=1), (1, 8, 8), 4)
    augment = Augment(Augmentation(strategy="crop_cutout"), net.shape)
    parameters, images, labels = given(net, 1, 10, torch.float32)
    trainee, ticks = Trainee.fresh(parameters), []
    found = train_epoch(
        gradient_function(net, FLOAT32), trainee, Sets.shared(images[0], labels[0], 1), rate=0.1, momentum=0.9,
        weight_decay=1e-3, batch_size=4, augment=augment, draws=draws(3), tick=lambda: ticks.append(0),
    )  # fmt: skip
    (source,), leaf = draws(3), parameters[0].clone().requires_grad_()
    optimizer = torch.optim.SGD([leaf], lr=0.1, momentum=0.9, weight_decay=1e-3)
    total, right = 0.0, 0
    for batch in torch.split(torch.randperm(10, generator=source), 4):
        x, y = augment(images[0][batch], augment.draw(len(batch), source)), labels[0][batch]
        optimizer.zero_grad()
        logits = net(leaf, x)
        loss = F.cross_entropy(logits, y)
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.item() * len(batch)
        right += int((logits.argmax(1) == y).sum())
    torch.testing.assert_close(trainee.parameters[0], leaf.detach(), rtol=1e-4, atol=1e-5)
    assert float(found.loss[0]) == pytest.approx(total / 10, rel=1e-4)
    assert float(found.accuracy[0]) == pytest.approx(right / 10)
    assert len(ticks) == 3


@pytest.mark.parametrize("chunk", [3, 7, 100])
def test_accuracy_in_chunks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHUNK", chunk)
    net = ConvNet(Network(width=8, depth=1), (1, 8, 8), 4)
    parameters, images, labels = given(net, 1, 20, torch.float32)
    ticks: list[int] = []
    expected = float((net(parameters[0], images[0]).argmax(1) == labels[0]).float().mean())
    assert 0 < expected < 1
    assert accuracy(net, parameters[0], images[0], labels[0], lambda: ticks.append(0)) == pytest.approx(expected)
    assert len(ticks) == -(-20 // chunk)


def test_split_and_join_are_inverse() -> None:
    net = ConvNet(Network(width=8, depth=2), (3, 8, 8), 10)
    parameters = torch.randn(3, net.size)
    stack = Stack(net)
    assert torch.equal(stack.join(stack.split(parameters)), parameters)
    for part, one in zip(stack.split(parameters), net.unflatten(parameters[2]), strict=True):
        assert torch.equal(part[2], one)


def test_how_many_at_once_follows_from_sizes() -> None:
    """28x28 images count as the 32x32 they are padded to; one network is always allowed."""
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    small = ConvNet(Network(width=32, depth=2), (1, 8, 8), 10)
    assert TOGETHER // (10 * 32 * 64) == 29
    assert together(small, 10, cpu) == 28
    padded = ConvNet(Network(width=16, depth=3), (1, 28, 28), 10)
    assert TOGETHER // (10 * 16 * 32 * 32) == 3
    assert together(padded, 10, cpu) == 2
    large = ConvNet(Network(width=128, depth=3), (3, 32, 32), 10)
    assert together(large, 256, cpu) == 1
    assert together(large, 10, gpu) == MOST_ON_GPU
    assert together(large, 256, gpu) == TOGETHER_ON_GPU // (256 * 128 * 32 * 32) == 4
