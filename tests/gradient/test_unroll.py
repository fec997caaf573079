"""The sweep through a training with momentum, against plain unrolled autograd in float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import gradient
from engine.config.schema import Augmentation, Network
from engine.data.augment import Augment
from engine.gradient import StepInput, Training, train
from engine.kernels import eager
from engine.networks import ConvNet
from engine.seeds import generator

SHAPE, CLASSES, IMAGES = (2, 8, 8), 3, 6
NET = ConvNet(Network(depth=2, width=4), SHAPE, CLASSES)


def given(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Start, pixels, labels and a direction to read the end point along, in float64."""
    draws = generator(seed, "test")
    pixels = torch.randn(IMAGES, *SHAPE, generator=draws, dtype=torch.float64)
    direction = torch.randn(NET.size, generator=draws, dtype=torch.float64)
    return NET.init(draws).double(), pixels, torch.arange(IMAGES) % CLASSES, direction


def inputs(steps: int, batch: int | None, strategy: str = "none") -> list[StepInput]:
    augment, draws = Augment(Augmentation(strategy=strategy), SHAPE), generator(1, "inputs")
    found = []
    for _ in range(steps):
        chosen = None if batch is None else torch.randperm(IMAGES, generator=draws)[:batch]
        drawn = augment.draw(batch or IMAGES, draws)
        found.append(StepInput(chosen, partial(augment, draw=drawn) if augment.enabled else None))
    return found


def literal(
    start: Tensor, pixels: Tensor, labels: Tensor, size: float, steps: list[StepInput], momentum: float, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """torch.optim.SGD's recurrence in (theta, velocity) as one graph, cut before the window: the end point and
    the leaves it depends on."""
    leaf = pixels.clone().requires_grad_()
    rate = torch.tensor(size, dtype=torch.float64, requires_grad=True)
    theta, velocity = start.clone().requires_grad_(), torch.zeros_like(start)
    for i, one in enumerate(steps):
        if window and i == len(steps) - window:
            # What has been moved so far is a constant, the displacement still to come from it as well.
            theta, moved = theta.detach().requires_grad_(), (rate * velocity).detach()
            velocity = moved / rate.detach()
            rate = rate.detach().requires_grad_()
        x = leaf if one.batch is None else leaf[one.batch]
        y = labels if one.batch is None else labels[one.batch]
        x = x if one.augmentation is None else one.augmentation(x)
        (slope,) = torch.autograd.grad(F.cross_entropy(NET(theta, x), y), theta, create_graph=True)
        velocity = momentum * velocity + slope
        theta = theta - rate * velocity
    return theta, leaf, rate


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-10) -> bool:
    return bool((ours - theirs).norm() <= tolerance * theirs.norm()) and bool(theirs.norm() > 0)


def agree(
    training: Training, direction: Tensor, reference: tuple[Tensor, Tensor, Tensor], *, step: bool = True
) -> None:
    theta, leaf, rate = reference
    by_pixels, by_rate = torch.autograd.grad(torch.dot(direction, theta), (leaf, rate))
    found = training.pull_back(direction)
    assert close(training.end, theta.detach())
    assert close(found.pixels, by_pixels)
    assert found.step_size is not None
    if step:
        assert close(found.step_size, by_rate)


@pytest.mark.parametrize("strategy", ["none", "color_crop_scale"])
@pytest.mark.parametrize("batch", [None, 4], ids=["full", "minibatch"])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_all_steps(momentum: float, batch: int | None, strategy: str) -> None:
    start, pixels, labels, direction = given()
    steps, size = inputs(9, batch, strategy), 0.05
    rate = torch.tensor(size, dtype=torch.float64)
    training = train(eager(NET), start, pixels, labels, rate, steps, momentum=momentum)
    agree(training, direction, literal(start, pixels, labels, size, steps, momentum, 0))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("window", [1, 2, 5, 9])
def test_a_window(window: int, momentum: float) -> None:
    """The step size's derivative is that of the steps in the window: the velocity they begin with is a constant
    displacement, as the parameters are."""
    start, pixels, labels, direction = given()
    steps, size = inputs(9, 4, "crop"), 0.05
    rate = torch.tensor(size, dtype=torch.float64)
    training = train(eager(NET), start, pixels, labels, rate, steps, momentum=momentum, window=window)
    assert len(training.kept) == window
    agree(training, direction, literal(start, pixels, labels, size, steps, momentum, window), step=momentum == 0)
    assert torch.equal(training.end, train(eager(NET), start, pixels, labels, rate, steps, momentum=momentum).end)


@pytest.mark.parametrize("window", [3, 9])
def test_the_derivative_by_the_step_size_of_a_window(window: int) -> None:
    """By differences: the displacement that enters the window held still, the step size moved inside it."""
    start, pixels, labels, direction = given()
    steps, size, momentum = inputs(9, 4), 0.05, 0.9
    rate = torch.tensor(size, dtype=torch.float64)
    current_then, previous_then = train(
        eager(NET), start, pixels, labels, rate, steps, momentum=momentum, window=window
    ).kept[0]

    def end(shifted: float) -> Tensor:
        current, previous = current_then, previous_then
        for one in steps[9 - window :]:
            y = labels if one.batch is None else labels[one.batch]
            x = pixels if one.batch is None else pixels[one.batch]
            moved = eager(NET).step(current, x, y, torch.tensor(shifted, dtype=torch.float64))
            previous, current = current, moved + momentum * (current - previous)
        return current

    numeric = torch.dot(direction, end(size + 1e-6) - end(size - 1e-6)) / 2e-6
    training = train(eager(NET), start, pixels, labels, rate, steps, momentum=momentum, window=window)
    found = training.pull_back(direction).step_size
    assert found is not None
    assert torch.allclose(found, numeric, rtol=1e-5)


def test_a_window_is_not_the_whole() -> None:
    start, pixels, labels, direction = given()
    rate = torch.tensor(0.05, dtype=torch.float64)
    whole, cut = (
        train(eager(NET), start, pixels, labels, rate, inputs(9, None), momentum=0.9, window=window)
        for window in (0, 6)
    )
    assert not close(cut.pull_back(direction).pixels, whole.pull_back(direction).pixels, 1e-3)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(("steps", "window"), [(9, 0), (9, 7), (10, 0), (2, 0), (1, 0)])
def test_vectors_that_are_computed_again_are_the_same(
    steps: int, window: int, momentum: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit: every sqrt-th vector is kept, and the others come from the same steps."""
    start, pixels, labels, direction = given()
    rate, taken = torch.tensor(0.05, dtype=torch.float64), inputs(steps, 4, "color_crop")

    def swept() -> tuple[Training, gradient.SyntheticGradient, int]:
        ticks: list[int] = []
        training = train(eager(NET), start, pixels, labels, rate, taken, momentum=momentum, window=window)
        return training, training.pull_back(direction, lambda: ticks.append(0)), len(ticks)

    whole, expected, plain = swept()
    monkeypatch.setattr(gradient, "KEPT", 1)
    sparse, found, more = swept()
    last = window or steps
    assert len(whole.kept) == last
    assert len(sparse.kept) <= int(last**0.5) + 1
    assert sparse.stride <= int(last**0.5) + 1
    assert torch.equal(found.pixels, expected.pixels)
    assert found.step_size is not None
    assert torch.equal(found.step_size, expected.step_size if expected.step_size is not None else found.pixels)
    assert torch.equal(sparse.end, whole.end)
    assert (plain, more) == (last, 2 * last - len(sparse.kept)), "a stop is heard while they are computed again"


def test_vectors_are_kept_while_they_fit() -> None:
    assert gradient.stride(50, torch.zeros(320_010)) == 1
    assert gradient.stride(400, torch.zeros(500_000)) == 20
    assert gradient.stride(401, torch.zeros(500_000)) == 21
    assert gradient.stride(0, torch.zeros(500_000)) == 1


def test_float32_is_close_to_float64_after_many_steps() -> None:
    """The displacement is a difference of parameters: what that loses must stay small."""
    start, pixels, labels, direction = given()
    steps = inputs(60, None)
    exact = train(eager(NET), start, pixels, labels, torch.tensor(0.02).double(), steps, momentum=0.9)
    single = train(eager(NET), start.float(), pixels.float(), labels, torch.tensor(0.02), steps, momentum=0.9)
    assert close(single.end.double(), exact.end, 1e-4)
    found = single.pull_back(direction.float()).pixels.double()
    assert close(found, exact.pull_back(direction).pixels, 1e-3)
