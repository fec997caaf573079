"""Gradient matching: against one graph in double precision; which networks, and which real images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.objectives import matched
from engine.objectives.batches import shared_view
from engine.objectives.dream import Dream
from engine.objectives.matched import MatchedNetworks
from engine.objectives.representatives import nearest
from engine.runs.control import StopRequested
from engine.seeds import generator
from tests.objectives.real import Setting, close
from tests.objectives.test_trajectory import Clock

DREAM: dict[str, Any] = {
    "objective__name": "dream",
    "synthetic__images_per_class": 2,
    "objective__real_batch": 5,
    "objective__network_life": 4,
    "objective__network_images": 100,
    "objective__select_every": 2,
}


def literal(setting: Setting, objective: Dream, iteration: int) -> tuple[Tensor, Tensor]:
    """The sum over classes of the distances between gradients, tensor by tensor, and its derivative."""
    stage = objective.networks.at(iteration)
    draws = generator(0, "iteration", iteration)
    leaf = setting.set.pixels.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for label, chosen in enumerate(objective.chosen(stage, draws)):
        view = shared_view(setting.context, draws)
        sides = (view(setting.real.train_images[chosen]), view(leaf[2 * label : 2 * label + 2]))
        slopes = []
        for images in sides:
            theta = stage.parameters.clone().requires_grad_()
            value = F.cross_entropy(setting.net(theta, images), torch.full((len(images),), label))
            slopes.append(setting.net.unflatten(torch.autograd.grad(value, theta, create_graph=True)[0]))
        for slot, real, synthetic in zip(setting.net.slots, *slopes, strict=True):
            if slot.name in ("block0.weight", "block1.weight"):
                difference = real.detach() - synthetic
                kind = setting.config.objective.distance
                total = total + (difference**2 if kind == "mse" else difference.abs()).sum()
    return total.detach(), torch.autograd.grad(total, leaf)[0]


@pytest.mark.parametrize("changes", [{}, {"objective__distance": "l1"}, {"objective__selection": "random"}], ids=str)
@pytest.mark.parametrize("iteration", [0, 3])
def test_the_gradient_is_that_of_one_graph(iteration: int, changes: dict[str, Any]) -> None:
    setting = Setting(**DREAM, **changes)
    objective = Dream(setting.context)
    value, by_pixels = literal(setting, objective, iteration)
    episode = objective.episode(setting.set, iteration)
    assert float(episode.loss) == pytest.approx(float(value), rel=1e-9)
    assert close(episode.gradient().pixels, by_pixels)
    assert episode.gradient().step_size is None
    assert not episode.pull_back(torch.ones(setting.net.size)).pixels.any()


def test_a_network_learns_for_its_life_and_a_fresh_one_follows() -> None:
    setting = Setting(**DREAM)
    networks = MatchedNetworks(setting.context)
    stages = [networks.at(i) for i in range(8)]
    assert [stage.turn for stage in stages] == [0] * 4 + [1] * 4
    assert [stage.anchor_place for stage in stages] == [0, 0, 2, 2] * 2
    assert torch.equal(stages[0].parameters, stages[3].start)
    assert not torch.equal(stages[0].start, stages[4].start)
    assert torch.equal(stages[3].anchor, stages[2].parameters)
    images, labels = setting.real.train_images, setting.real.train_labels
    losses = [float(F.cross_entropy(setting.net(stage.parameters, images), labels)) for stage in stages[:4]]
    assert losses == sorted(losses, reverse=True), "it learns the real images"


def test_a_network_is_the_same_however_it_is_reached() -> None:
    """What a resumed run relies on: nothing of it is in a checkpoint."""
    setting = Setting(**DREAM)
    one = MatchedNetworks(setting.context)
    stages = [one.at(i) for i in range(7)]
    for i in (6, 2, 3, 5):
        again = MatchedNetworks(setting.context).at(i)
        assert torch.equal(again.parameters, stages[i].parameters)
        assert torch.equal(again.anchor, stages[i].anchor)
    assert torch.equal(one.at(1).parameters, stages[1].parameters), "backwards too"


def test_stopped_while_a_network_learns_it_goes_on_to_the_same() -> None:
    clock = Clock()
    setting = Setting(clock, **DREAM)
    networks, whole = MatchedNetworks(setting.context), MatchedNetworks(setting.context).at(3)
    clock.stop_at = clock.ticks + 3
    with pytest.raises(StopRequested):
        networks.at(3)
    assert torch.equal(networks.at(3).parameters, whole.parameters)


def test_without_real_images_a_network_stays_as_it_was_drawn() -> None:
    setting = Setting(**{**DREAM, "objective__network_images": 0})
    stage = MatchedNetworks(setting.context).at(3)
    assert torch.equal(stage.parameters, stage.start)


def test_representatives_are_of_their_class_and_chosen_anew_by_the_anchor() -> None:
    setting = Setting(**DREAM)
    objective = Dream(setting.context)
    chosen = [objective.chosen(objective.networks.at(i), generator(9, "unused")) for i in range(4)]
    assert chosen[0] is chosen[1]
    assert chosen[2] is chosen[3]
    for label, (first, later) in enumerate(zip(chosen[0], chosen[2], strict=True)):
        assert len(first) == 5
        assert set(first.tolist()) <= set(setting.real.class_indices[label].tolist())
        assert set(setting.real.train_labels[later].tolist()) == {label}
    assert any(set(a.tolist()) != set(b.tolist()) for a, b in zip(chosen[0], chosen[2], strict=True))
    again = Dream(setting.context)
    resumed = again.chosen(again.networks.at(3), generator(9, "unused"))
    assert all(torch.equal(a, b) for a, b in zip(resumed, chosen[3], strict=True))


def test_representatives_lie_closer_to_their_class_than_random_images() -> None:
    """Mean distance of a class's images to the nearest chosen one: what k-means makes small."""
    setting = Setting(**{**DREAM, "objective__real_batch": 4, "network__width": 8})
    objective = Dream(setting.context)
    stage = objective.networks.at(0)
    images, near, far = setting.real.train_images, 0.0, 0.0
    chosen = objective.chosen(stage, generator(9, "unused"))
    for label, pool in enumerate(setting.real.class_indices):
        features = setting.net.features(stage.anchor, images)[-2].flatten(1)
        random = pool[torch.randperm(len(pool), generator=generator(label, "random"))[:4]]
        for picked in (chosen[label], random):
            targets = features[picked]
            gap = float((features[pool] - targets[nearest(features[pool], targets)]).norm(dim=1).mean())
            near, far = (near + gap, far) if picked is chosen[label] else (near, far + gap)
    assert near < 0.95 * far


def test_networks_are_trained_in_the_arithmetic_of_their_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a card the processor's lack of bfloat16 is nobody's concern."""
    given: list[Any] = []
    monkeypatch.setattr(matched, "gradient_function", lambda net, execution: given.append(dict(execution)))
    setting = Setting(**DREAM, execution__precision="mixed")
    MatchedNetworks(replace(setting.context, device=torch.device("cuda:1")))
    assert given == [{"precision": "mixed", "device": "cuda:1"}]
