"""The derivative by the labels: against plain unrolled autograd in float64, and against differences."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import labels
from engine.config.schema import Augmentation, Network
from engine.data.augment import Augment
from engine.gradient import StepInput, matching_loss, train
from engine.kernels import Kernels, eager
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives
from engine.seeds import generator

SHAPE, CLASSES, IMAGES = (2, 8, 8), 3, 6


def network(**settings: object) -> ConvNet:
    return ConvNet(Network.model_validate({"depth": 2, "width": 4, **settings}), SHAPE, CLASSES)


def learning(net: ConvNet) -> Kernels:
    return replace(eager(net), turned=labels.turning(Derivatives(net)))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "drawn"), dtype=torch.float64)


def inputs(steps: int, batch: int | None) -> list[StepInput]:
    augment, draws = Augment(Augmentation(strategy="color_crop_scale"), SHAPE), generator(1, "inputs")
    found = []
    for _ in range(steps):
        chosen = None if batch is None else torch.randperm(IMAGES, generator=draws)[:batch]
        found.append(StepInput(chosen, partial(augment, draw=augment.draw(batch or IMAGES, draws))))
    return found


def literal(
    net: ConvNet, start: Tensor, pixels: Tensor, targets: Tensor, steps: list[StepInput], momentum: float, window: int
) -> Tensor:
    """One graph through the training, cut before the window: the end point as a function of ``targets``."""
    theta, velocity = start.clone().requires_grad_(), torch.zeros_like(start)
    for i, one in enumerate(steps):
        if window and i == len(steps) - window:
            theta, velocity = theta.detach().requires_grad_(), velocity.detach()
        x, y = (pixels, targets) if one.batch is None else (pixels[one.batch], targets[one.batch])
        assert one.augmentation is not None
        logits = net(theta, one.augmentation(x))
        loss = -(y * F.log_softmax(logits, 1)).sum() / len(logits)
        (slope,) = torch.autograd.grad(loss, theta, create_graph=True)
        velocity = momentum * velocity + slope
        theta = theta - 0.05 * velocity
    return theta


def close(ours: Tensor | None, theirs: Tensor, tolerance: float = 1e-10) -> bool:
    assert ours is not None
    return bool((ours - theirs).norm() <= tolerance * theirs.norm()) and bool(theirs.norm() > 0)


@pytest.mark.parametrize("batch", [None, 4], ids=["full", "minibatch"])
@pytest.mark.parametrize("norm", ["instance", "group", "layer", "none"])
@pytest.mark.parametrize("pooling", ["avg", "max", "none"])
def test_by_targets_of_any_sum(norm: str, pooling: str, batch: int | None) -> None:
    """Free labels need not sum to one: the derivative of the loss holds for any targets."""
    net = network(norm=norm, pooling=pooling)
    start, pixels = net.init(generator(0, "start")).double(), drawn(IMAGES, *SHAPE)
    targets, goal = 0.7 * drawn(IMAGES, CLASSES, seed=1), net.init(generator(0, "goal")).double()
    leaf, steps = targets.clone().requires_grad_(), inputs(4, batch)
    end = literal(net, start, pixels, leaf, steps, 0.0, 0)
    value, cotangent = matching_loss(end, start, goal)
    (theirs,) = torch.autograd.grad(value, leaf)
    training = train(learning(net), start, pixels, targets, torch.tensor(0.05, dtype=torch.float64), steps)
    found = training.pull_back(cotangent.detach())
    assert close(found.labels, theirs)
    plain = train(eager(net), start, pixels, targets, torch.tensor(0.05, dtype=torch.float64), steps).pull_back(
        cotangent.detach()
    )
    assert plain.labels is None, "which costs nothing where labels are not learned"
    assert torch.equal(plain.pixels, found.pixels)


@pytest.mark.parametrize("window", [0, 3])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batch", [None, 4], ids=["full", "minibatch"])
def test_through_a_training_with_momentum(batch: int | None, momentum: float, window: int) -> None:
    net = network()
    start, pixels, direction = net.init(generator(0, "start")).double(), drawn(IMAGES, *SHAPE), drawn(net.size, seed=3)
    targets, steps = drawn(IMAGES, CLASSES, seed=1).softmax(1), inputs(7, batch)
    leaf = targets.clone().requires_grad_()
    # Before the window the end point depends on the targets too; what is asked for is the part from the window on.
    (theirs,) = torch.autograd.grad(
        torch.dot(direction, literal(net, start, pixels, leaf, steps, momentum, window)), leaf
    )
    size = torch.tensor(0.05, dtype=torch.float64)
    training = train(learning(net), start, pixels, targets, size, steps, momentum=momentum, window=window)
    assert close(training.pull_back(direction).labels, theirs)


@pytest.mark.parametrize("kind", [labels.FREE, labels.SOFTMAX])
def test_what_is_learned_through_targets_and_decoded_copies(kind: str) -> None:
    learned, weights = drawn(IMAGES, CLASSES), drawn(4 * IMAGES, CLASSES, seed=1)
    leaf = learned.clone().requires_grad_()
    copies = labels.targets(kind, leaf).repeat_interleave(4, 0)
    (theirs,) = torch.autograd.grad((copies * weights).sum(), leaf)
    assert close(labels.pull_back(kind, learned, weights), theirs)


def test_where_they_start() -> None:
    classes = torch.tensor([2, 0, 0])
    seen = drawn(6, 3)

    def logits() -> Tensor:
        return seen

    assert labels.initial(labels.HARD, classes, 3, logits) is None
    free = labels.initial(labels.FREE, classes, 3, logits)
    assert free is not None
    assert free.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    soft = labels.initial(labels.SOFTMAX, classes, 3, logits)
    assert soft is not None
    assert torch.allclose(soft[1].double(), (seen[2] + seen[3]) / 2), "the images of one stored one are averaged"
    assert torch.allclose(labels.targets(labels.SOFTMAX, soft).sum(1), torch.ones(3))


def test_many_images_are_passed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    start, direction, pixels = net.init(generator(0, "start")).double(), drawn(net.size), drawn(IMAGES, *SHAPE, seed=1)
    whole = labels.turning(Derivatives(net))(start, pixels, direction)
    monkeypatch.setattr(labels, "portion", lambda *_: 4)
    assert close(labels.turning(Derivatives(net))(start, pixels, direction), whole)
    shift = 1e-6
    ahead, behind = (F.log_softmax(net(start + by * direction, pixels), 1) for by in (shift, -shift))
    assert close(whole, (ahead - behind) / (2 * shift), 1e-6)
