"""Back-propagation through a training from scratch: the whole objective against one graph, and what is drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.distill import clipped
from engine.objectives.batches import step_inputs, visited_expert
from engine.objectives.bptt import Bptt
from engine.runs.control import StopRequested
from engine.seeds import generator
from tests.objectives.real import Setting, close
from tests.objectives.test_trajectory import Clock

BPTT: dict[str, Any] = {
    "objective__name": "bptt",
    "objective__student_steps": 6,
    "objective__step_size": 0.05,
    "objective__real_batch": 5,
    "objective__student_momentum": 0.8,
}


def literal(setting: Setting, iteration: int) -> tuple[Tensor, Tensor, Tensor]:
    """Loss and its derivatives by pixels and step size, through one graph: no window."""
    objective, draws = Bptt(setting.context), generator(0, "iteration", iteration)
    theta = setting.net.init(draws).requires_grad_()
    leaf, rate = setting.set.pixels.clone().requires_grad_(), setting.set.step_size.clone().requires_grad_()
    velocity = torch.zeros_like(theta)
    for given in step_inputs(setting.context, len(leaf), 6, draws):
        x = leaf if given.batch is None else leaf[given.batch]
        y = setting.set.labels if given.batch is None else setting.set.labels[given.batch]
        x = x if given.augmentation is None else given.augmentation(x)
        (grad,) = torch.autograd.grad(F.cross_entropy(setting.net(theta, x), y), theta, create_graph=True)
        velocity = 0.8 * velocity + grad
        theta = theta - rate * velocity
    images, labels = objective.measured(draws)
    value = F.cross_entropy(setting.net(theta, images), labels)
    by_pixels, by_rate = torch.autograd.grad(value, (leaf, rate))
    return value.detach(), by_pixels, by_rate


@pytest.mark.parametrize("batch", [0, 4])
@pytest.mark.parametrize("iteration", [0, 3])
def test_the_gradient_is_that_of_one_graph(iteration: int, batch: int) -> None:
    setting = Setting(**BPTT, objective__batch_size=batch)
    episode = Bptt(setting.context).episode(setting.set, iteration)
    value, by_pixels, by_rate = literal(setting, iteration)
    found = episode.gradient()
    assert found.step_size is not None
    assert float(episode.loss) == pytest.approx(float(value), rel=1e-12)
    assert close(found.pixels, by_pixels)
    assert close(found.step_size, by_rate)
    assert torch.equal(episode.pull_back(episode.cotangent).pixels, found.pixels)


def test_lengths_reach_from_the_windows_to_all() -> None:
    setting = Setting(**BPTT, objective__window=2)
    objective = Bptt(setting.context)
    found = [objective.length(generator(i, "draws")) for i in range(200)]
    assert set(found) == {2, 3, 4, 5, 6}
    assert {Bptt(Setting(**BPTT).context).length(generator(i, "draws")) for i in range(9)} == {6}


def test_a_window_is_what_is_kept() -> None:
    setting = Setting(**BPTT, objective__window=2)
    for iteration in range(5):
        assert len(Bptt(setting.context).episode(setting.set, iteration).training.kept) == 2


def test_real_images_are_of_every_class_and_never_those_set_apart() -> None:
    setting = Setting(**BPTT, augmentation__strategy="none")
    pools = {
        tuple(i.flatten().tolist()) for pool in setting.real.class_indices for i in setting.real.train_images[pool]
    }
    images, labels = Bptt(setting.context).measured(generator(0, "draws"))
    assert labels.bincount().tolist() == [5] * 10
    assert all(tuple(image.flatten().tolist()) in pools for image in images)
    more = Setting(**{**BPTT, "objective__real_batch": 1000})
    assert len(Bptt(more.context).measured(generator(0, "draws"))[1]) == 160, "a class gives what it has"


def test_networks_are_fresh_and_an_iteration_depends_on_no_other() -> None:
    setting = Setting(**BPTT)
    one, other = Bptt(setting.context), Bptt(setting.context)
    starts = [one.episode(setting.set, i).networks.start for i in range(3)]
    assert not torch.equal(starts[0], starts[1])
    assert torch.equal(other.episode(setting.set, 2).networks.start, starts[2])
    episode = one.episode(setting.set, 1)
    assert torch.equal(episode.networks.target, episode.student), "real images go through the student"
    expert = visited_expert(setting.context, 1)
    assert torch.equal(episode.networks.last(), setting.context.trajectories.parameters(expert, 3))


@pytest.mark.parametrize("at", [1, 7, 12])
def test_both_sweeps_can_be_stopped(at: int) -> None:
    clock = Clock(stop_at=at)
    setting = Setting(clock, **BPTT)
    with pytest.raises(StopRequested):
        Bptt(setting.context).episode(setting.set, 0).gradient()
    assert clock.ticks == at


def test_a_gradient_is_clipped_only_where_it_is_longer() -> None:
    long = torch.tensor([3.0, 4.0])
    assert torch.equal(clipped(long, 0.0), long)
    assert torch.equal(clipped(long, 5.0), long)
    assert torch.allclose(clipped(long, 2.5), long / 2)
