"""Distribution matching: against one graph in double precision, and what is drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.budget import iteration_cost
from engine.config.load import changed, resolve
from engine.config.schema import Config
from engine.errors import ConfigError
from engine.objectives.batches import real_batch, shared_view
from engine.objectives.distribution import Distribution
from engine.runs.control import StopRequested
from engine.seeds import generator
from tests.objectives.real import Setting, close
from tests.objectives.test_trajectory import Clock

DM: dict[str, Any] = {
    "objective__name": "distribution",
    "synthetic__images_per_class": 2,
    "objective__real_batch": 5,
}


@pytest.mark.parametrize("iteration", [0, 3])
def test_the_gradient_is_that_of_one_graph(iteration: int) -> None:
    setting = Setting(**DM)
    draws = generator(0, "iteration", iteration)
    network = setting.net.init(draws)
    chosen = real_batch(setting.real, 5, draws)
    leaf = setting.set.pixels.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for label in range(10):
        view = shared_view(setting.context, draws)
        real = setting.real.train_images[chosen[5 * label : 5 * label + 5]]
        sides = view(real), view(leaf[2 * label : 2 * label + 2])
        means = [setting.net.features(network, images)[1].sum(0) / len(images) for images in sides]
        total = total + ((means[0] - means[1]) ** 2).sum()
    episode = Distribution(setting.context).episode(setting.set, iteration)
    assert float(episode.loss) == pytest.approx(float(total.detach()), rel=1e-9)
    assert close(episode.gradient().pixels, torch.autograd.grad(total, leaf)[0])
    assert episode.gradient().step_size is None


def test_the_real_images_themselves_match_perfectly() -> None:
    setting = Setting(**DM, augmentation__strategy="none")
    draws = generator(0, "iteration", 0)
    setting.net.init(draws)
    chosen = real_batch(setting.real, 5, draws)
    setting.set.pixels, setting.set.labels = setting.real.train_images[chosen], setting.real.train_labels[chosen]
    episode = Distribution(setting.context).episode(setting.set, 0)
    assert float(episode.loss) < 1e-20
    assert float(Distribution(setting.context).episode(setting.set, 1).loss) > 1e-3


def test_networks_are_fresh_and_an_iteration_depends_on_no_other() -> None:
    setting = Setting(**DM)
    one, other = Distribution(setting.context), Distribution(setting.context)
    networks = [one.episode(setting.set, i).student for i in range(3)]
    assert not torch.equal(networks[0], networks[1])
    assert torch.equal(other.episode(setting.set, 2).student, networks[2])


def test_it_can_be_stopped() -> None:
    with pytest.raises(StopRequested):
        Distribution(Setting(Clock(stop_at=4), **DM).context).episode(Setting(**DM).set, 0)


def test_what_it_costs_and_what_it_cannot_be_asked() -> None:
    small = {"objective.name": "distribution", "objective.real_batch": 16, "experts.epochs": 2}
    assert iteration_cost(changed(Config(), small)) == 3 * 10 + 160
    with pytest.raises(ConfigError, match="trains no student"):
        changed(Config(), {**small, "information.synthetic_network": "attached"})


@pytest.mark.parametrize("data", ["mnist", "svhn", "cifar10", "cifar100"])
@pytest.mark.parametrize("each", [1, 10])
def test_published_settings(data: str, each: int) -> None:
    objective = resolve(f"{data}-ipc{each}-distribution").config.objective
    assert (objective.iterations, objective.pixel_rate, objective.real_batch) == (20_000, 1.0, 256)
