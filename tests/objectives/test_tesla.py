"""TESLA's gradient: the exact one where the theory says so, its own published formula everywhere."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import gradient
from engine.config.schema import Network
from engine.gradient import StepInput, Training, matching_loss
from engine.kernels import eager
from engine.networks import ConvNet
from engine.objectives.tesla import ApproximateTrajectory, Tesla, approximate_pull_back, cosine_to_exact
from engine.runs.control import StopRequested
from engine.seeds import generator
from tests.objectives.test_trajectory import STEPS, Clock, Setting

SHAPE = (1, 8, 8)


def trained(steps: int, size: float, batch: int | None = None) -> tuple[Training, Tensor, Tensor]:
    """A training in float64 with the cotangent of its matching loss, and the target."""
    net = ConvNet(Network(depth=2, width=6), SHAPE, 3)
    draws = generator(0, "test")
    pixels = torch.randn(6, *SHAPE, generator=draws, dtype=torch.float64)
    labels = torch.arange(6) % 3
    start, target = net.init(draws).double(), net.init(draws).double()
    inputs = [
        StepInput(None if batch is None else torch.randperm(6, generator=draws)[:batch], None) for _ in range(steps)
    ]
    step_size = torch.tensor(size, dtype=torch.float64)
    training = gradient.train(eager(net), start, pixels, labels, step_size, inputs)
    return training, matching_loss(training.end, start, target)[1], target


def published(training: Training, target: Tensor, net: ConvNet) -> tuple[Tensor, Tensor]:
    """The second pass of TESLA's code, written out: derivatives by the pixels and the step size."""
    path = [start for start, _ in training.kept]
    start, size = path[0], training.step_size
    scale = (start - target).square().sum()
    slopes = []
    for theta, given in zip(path, training.inputs, strict=True):
        x = training.pixels if given.batch is None else training.pixels[given.batch]
        y = training.labels if given.batch is None else training.labels[given.batch]
        leaf = theta.clone().requires_grad_()
        slopes.append(torch.autograd.grad(F.cross_entropy(net(leaf, x), y), leaf)[0])
    single, square = size * (target - start), size**2 * sum(slopes)
    found = torch.zeros_like(training.pixels)
    for theta, given in zip(path, training.inputs, strict=True):
        pixels = training.pixels.clone().requires_grad_()
        x = pixels if given.batch is None else pixels[given.batch]
        y = training.labels if given.batch is None else training.labels[given.batch]
        leaf = theta.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(net(leaf, x), y), leaf, create_graph=True)
        found += 2 * torch.autograd.grad((single + square) @ slope / scale, pixels)[0]
    rate = size.clone().requires_grad_()
    distance = start - rate * sum(slopes) - target
    return found, torch.autograd.grad(distance.dot(distance) / scale, rate)[0]


@pytest.mark.parametrize("batch", [None, 4], ids=["full", "minibatch"])
def test_it_is_the_published_formula(batch: int | None) -> None:
    training, cotangent, target = trained(5, 0.1, batch)
    found = approximate_pull_back(training, cotangent)
    by_pixels, by_step = published(training, target, ConvNet(Network(depth=2, width=6), SHAPE, 3))
    assert found.step_size is not None
    assert torch.allclose(found.pixels, by_pixels, rtol=1e-9, atol=1e-14)
    assert torch.allclose(found.step_size, by_step, rtol=1e-9)


def test_one_step_is_exact() -> None:
    training, cotangent, _ = trained(1, 0.3)
    ours, exact = approximate_pull_back(training, cotangent), training.pull_back(cotangent)
    assert exact.pixels.norm() > 0
    assert torch.equal(ours.pixels, exact.pixels)
    assert ours.step_size == exact.step_size


def test_the_error_is_of_first_order_in_the_step_size() -> None:
    """The factors left out are I - step_size * H: a tenth of the step size leaves a tenth of the error."""
    errors = []
    for size in (1e-4, 1e-5):
        training, cotangent, _ = trained(6, size)
        exact = training.pull_back(cotangent).pixels
        errors.append(float((approximate_pull_back(training, cotangent).pixels - exact).norm() / exact.norm()))
    assert errors[0] > 1e-6
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.05)


def test_more_and_larger_steps_are_further_off() -> None:
    cosines = [cosine_to_exact(*trained(steps, size)[:2]) for steps, size in ((1, 0.1), (5, 0.01), (5, 0.1), (30, 0.1))]
    assert cosines[0] == pytest.approx(1, abs=1e-12)
    assert cosines == sorted(cosines, reverse=True)
    assert 0 < cosines[-1] < 0.97 < cosines[1]


def test_the_objective_is_trajectory_matching_with_another_sweep() -> None:
    setting = Setting()
    ours, exact = Tesla(setting.objective.context).episode(setting.set, 2), setting.objective.episode(setting.set, 2)
    assert isinstance(ours, ApproximateTrajectory)
    assert torch.equal(ours.student, exact.student)
    assert torch.equal(ours.loss, exact.loss)
    assert not torch.equal(ours.gradient().pixels, exact.gradient().pixels)
    cotangent = torch.randn(setting.net.size, generator=generator(4, "c"))
    assert torch.equal(ours.pull_back(cotangent).pixels, approximate_pull_back(exact.training, cotangent).pixels)


@pytest.mark.parametrize("at", [STEPS + 1, 2 * STEPS])
def test_its_sweep_can_be_stopped_but_not_the_critics(at: int) -> None:
    setting = Setting(clock=Clock(stop_at=at))
    episode = Tesla(setting.objective.context).episode(setting.set, 0)
    with pytest.raises(StopRequested):
        episode.gradient()
    assert setting.clock.ticks == at
    episode.pull_back(episode.cotangent)
    assert setting.clock.ticks == at
