"""The reverse sweep against plain unrolled autograd, in float64."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import execution
from engine.config.schema import Augmentation, Config, Network
from engine.data.augment import Augment
from engine.gradient import MetaGradient, StepInput, matching_loss, meta_gradient, train
from engine.kernels import adjoint, eager, step
from engine.networks import ConvNet
from engine.seeds import generator

SHAPE = (2, 8, 8)
CLASSES = 3
TOLERANCE = 1e-10


def network(**settings: object) -> ConvNet:
    return ConvNet(Network.model_validate({"depth": 2, "width": 4, **settings}), SHAPE, CLASSES)


def setting(net: ConvNet, images: int = 6, *, trained: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parameters, target, images and labels in float64."""
    draws = generator(0, "test")
    pixels = torch.randn(images, *SHAPE, generator=draws, dtype=torch.float64)
    labels = torch.arange(images) % CLASSES
    start = net.init(draws).double()
    target = net.init(draws).double()
    if trained:
        other = torch.randn(30, *SHAPE, generator=draws, dtype=torch.float64)
        for _ in range(40):
            start = step(net, start, other, torch.arange(30) % CLASSES, torch.tensor(0.1).double())
        target = step(net, start, other, torch.arange(30) % CLASSES, torch.tensor(0.1).double())
    return start, target, pixels, labels


def unrolled(
    net: ConvNet, start: Tensor, target: Tensor, pixels: Tensor, labels: Tensor, size: float, inputs: list[StepInput]
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss and gradients the way the public code gets them: one graph through all steps."""
    leaf = pixels.clone().requires_grad_()
    step_size = torch.tensor(size, dtype=torch.float64, requires_grad=True)
    parameters = start.clone().requires_grad_()
    for given in inputs:
        x = leaf if given.batch is None else leaf[given.batch]
        y = labels if given.batch is None else labels[given.batch]
        if given.augmentation is not None:
            x = given.augmentation(x)
        (slope,) = torch.autograd.grad(F.cross_entropy(net(parameters, x), y), parameters, create_graph=True)
        parameters = parameters - step_size * slope
    loss = (parameters - target).square().sum() / (start - target).square().sum()
    by_pixels, by_step = torch.autograd.grad(loss, (leaf, step_size))
    return loss.detach(), by_pixels, by_step


def close(ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> bool:
    return bool((ours - theirs).norm() <= tolerance * theirs.norm().clamp_min(1e-12))


def agree(ours: MetaGradient, theirs: tuple[Tensor, Tensor, Tensor]) -> None:
    loss, by_pixels, by_step = theirs
    assert by_pixels.norm() > 0
    assert close(ours.loss, loss)
    assert close(ours.gradient.pixels, by_pixels)
    assert ours.gradient.step_size is not None
    assert close(ours.gradient.step_size, by_step)


@pytest.mark.parametrize("trained", [False, True], ids=["random", "trained"])
@pytest.mark.parametrize("norm", ["instance", "group", "layer", "none"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_plain_steps(depth: int, norm: str, trained: bool) -> None:
    net = network(depth=depth, norm=norm)
    start, target, pixels, labels = setting(net, trained=trained)
    ours = meta_gradient(net, start, pixels, labels, 0.05, target, steps=4)
    agree(ours, unrolled(net, start, target, pixels, labels, 0.05, [StepInput(None, None)] * 4))


@pytest.mark.parametrize("pooling", ["avg", "max", "none"])
def test_pooling(pooling: str) -> None:
    net = network(pooling=pooling)
    start, target, pixels, labels = setting(net)
    ours = meta_gradient(net, start, pixels, labels, 0.05, target, steps=3)
    agree(ours, unrolled(net, start, target, pixels, labels, 0.05, [StepInput(None, None)] * 3))


def augmented_inputs(strategy: str, images: int, steps: int, batch: int | None) -> list[StepInput]:
    augment = Augment(Augmentation(strategy=strategy), SHAPE)
    draws = generator(1, "inputs")
    inputs = []
    for _ in range(steps):
        chosen = None if batch is None else torch.randperm(images, generator=draws)[:batch]
        drawn = augment.draw(images if chosen is None else batch or 0, draws)
        inputs.append(StepInput(chosen, partial(augment, draw=drawn) if augment.enabled else None))
    return inputs


@pytest.mark.parametrize("batch", [None, 4], ids=["full", "minibatch"])
@pytest.mark.parametrize("strategy", ["none", "color", "crop", "cutout", "flip", "scale", "rotate"])
def test_augmented_and_minibatched_steps(strategy: str, batch: int | None) -> None:
    net = network()
    start, target, pixels, labels = setting(net)
    inputs = augmented_inputs(strategy, len(labels), 4, batch)
    ours = meta_gradient(net, start, pixels, labels, 0.05, target, inputs=inputs)
    agree(ours, unrolled(net, start, target, pixels, labels, 0.05, inputs))


def test_mixed_strategies_on_trained_weights() -> None:
    net = network(depth=3)
    start, target, pixels, labels = setting(net, trained=True)
    inputs = augmented_inputs("color_crop_cutout_flip_scale_rotate", len(labels), 8, 5)
    ours = meta_gradient(net, start, pixels, labels, 0.1, target, inputs=inputs)
    agree(ours, unrolled(net, start, target, pixels, labels, 0.1, inputs))


def test_soft_labels() -> None:
    net = network()
    start, target, pixels, _ = setting(net)
    labels = torch.softmax(torch.randn(6, CLASSES, generator=generator(2, "soft"), dtype=torch.float64), 1)
    ours = meta_gradient(net, start, pixels, labels, 0.05, target, steps=3)
    agree(ours, unrolled(net, start, target, pixels, labels, 0.05, [StepInput(None, None)] * 3))


def test_any_cotangent_and_linearity() -> None:
    """The reverse sweep is the transposed Jacobian of the end point: finite differences agree along a direction."""
    net = network()
    start, _, pixels, labels = setting(net)
    size = torch.tensor(0.05, dtype=torch.float64)
    inputs = augmented_inputs("color_crop", len(labels), 3, None)
    direction = torch.randn(pixels.shape, generator=generator(3, "d"), dtype=torch.float64)
    cotangent = torch.randn(net.size, generator=generator(4, "c"), dtype=torch.float64)

    def end(shift: float) -> Tensor:
        return train(eager(net), start, pixels + shift * direction, labels, size, inputs).end

    numeric = torch.dot(cotangent, end(1e-6) - end(-1e-6)) / 2e-6
    pulled = train(eager(net), start, pixels, labels, size, inputs).pull_back(cotangent)
    assert torch.allclose((pulled.pixels * direction).sum(), numeric, rtol=1e-6)
    twice = train(eager(net), start, pixels, labels, size, inputs).pull_back(2 * cotangent)
    assert close(twice.pixels, 2 * pulled.pixels, 1e-14)


def test_matching_loss_and_its_derivative() -> None:
    draws = generator(5, "m")
    end, start, target = (torch.randn(7, generator=draws, dtype=torch.float64) for _ in range(3))
    leaf = end.clone().requires_grad_()
    expected = (leaf - target).square().sum() / (start - target).square().sum()
    loss, derivative = matching_loss(end, start, target)
    assert torch.equal(loss, expected.detach())
    assert close(derivative, torch.autograd.grad(expected, leaf)[0])


def test_nothing_given_is_changed_and_no_graph_is_kept() -> None:
    net = network()
    start, target, pixels, labels = setting(net)
    before = [copy.deepcopy(t) for t in (start, target, pixels)]
    result = meta_gradient(net, start, pixels, labels, 0.05, target, steps=3)
    for old, new in zip(before, (start, target, pixels), strict=True):
        assert torch.equal(old, new)
    assert not result.loss.requires_grad
    assert not result.gradient.pixels.requires_grad
    assert not result.end.requires_grad


def test_float32_is_close_to_float64() -> None:
    net = network(depth=3, width=8)
    start, target, pixels, labels = setting(net, trained=True)
    exact = meta_gradient(net, start, pixels, labels, 0.05, target, steps=6)
    single = meta_gradient(net, start.float(), pixels.float(), labels, 0.05, target.float(), steps=6)
    assert close(single.gradient.pixels.double(), exact.gradient.pixels, 1e-4)


@pytest.mark.parametrize("arguments", [{}, {"steps": 2, "inputs": [StepInput(None, None)]}])
def test_steps_and_inputs_exclude_each_other(arguments: dict[str, object]) -> None:
    net = network()
    start, target, pixels, labels = setting(net)
    with pytest.raises(ValueError, match="exactly one"):
        meta_gradient(net, start, pixels, labels, 0.05, target, **arguments)  # type: ignore[arg-type]


def test_a_runs_kernels_are_step_and_adjoint() -> None:
    """A run computes by the written-out derivatives what plain automatic differentiation gives."""
    net = network(depth=2)
    start, target, pixels, labels = setting(net)
    eager = Config.model_validate({"execution": {"compile": "off", "device": "cpu"}})
    kernels = execution.kernels(net, execution.resolve(eager))
    size = torch.tensor(0.05, dtype=torch.float64)
    assert close(kernels.step(start, pixels, labels, size), step(net, start, pixels, labels, size))
    theirs = adjoint(net, start, pixels, labels, size, target)
    for a, b in zip(kernels.adjoint(start, pixels, labels, size, target), theirs, strict=True):
        assert close(a, b)


@pytest.mark.long
def test_compiled_kernels_agree() -> None:
    config = Config.model_validate({"execution": {"compile": "on", "device": "cpu"}})
    net = network(depth=2)
    start, target, pixels, labels = (t.float() if t.is_floating_point() else t for t in setting(net))
    compiled = execution.kernels(net, execution.resolve(config))
    ours = meta_gradient(net, start, pixels, labels, 0.05, target, steps=3, kernels=compiled)
    theirs = meta_gradient(net, start, pixels, labels, 0.05, target, steps=3)
    assert close(ours.gradient.pixels, theirs.gradient.pixels, 1e-4)
