"""Whole experts against ones trained anew the plain way; what they see, and what they leave alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Augmentation, Network
from engine.data.augment import Augment
from engine.data.types import RawSet
from engine.networks import ConvNet
from engine.seeds import generator
from engine.stacked import gradient_function
from engine.training import Sets, Trainee, train_epoch
from tests.experts.helpers import Bench, bench, equal, nothing

SHAPE = (1, 8, 8)
NORMS = ("instance", "group", "layer", "none")


def literal_epoch(
    net: ConvNet,
    parameters: Tensor,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    batch: int,
    augment: Augment | None,
    draws: torch.Generator,
) -> tuple[float, float]:
    """One epoch the plain way, on the network's own forward pass: mean loss and accuracy as images were seen."""
    total, right = 0.0, 0
    for chosen in torch.split(torch.randperm(len(labels), generator=draws), batch):
        x, y = images[chosen], labels[chosen]
        if augment is not None and augment.enabled:
            x = augment(x, augment.draw(len(chosen), draws))
        optimiser.zero_grad()
        logits = net(parameters, x)
        loss = F.cross_entropy(logits, y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += float(loss.detach()) * len(chosen)
        hard = y if y.ndim == 1 else y.argmax(1)
        right += int((logits.argmax(1) == hard).sum())
    return total / len(labels), right / len(labels)


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.0, 5e-3), (0.9, 5e-3)])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("networks", [1, 3])
def test_an_epoch_is_that_of_torchs_sgd(momentum: float, decay: float, norm: str, networks: int) -> None:
    """In float64, several epochs, batches of uneven size, augmentation, hard and soft labels, one network or more."""
    net = ConvNet(Network.model_validate({"depth": 2, "width": 8, "norm": norm}), SHAPE, 10)
    augment = Augment(Augmentation(), SHAPE)
    draws = generator(0, "test")
    images = torch.randn(25, *SHAPE, generator=draws, dtype=torch.float64)
    hard = torch.arange(25) % 10
    labels = hard if norm != "group" else F.one_hot(hard, 10).double() * 0.9 + 0.01
    starts = torch.stack([net.init(generator(number, "init")) for number in range(networks)]).double()
    trainee = Trainee.fresh(starts)
    gradient = gradient_function(net, {"precision": "float32"})
    settings = {"rate": 0.05, "momentum": momentum, "weight_decay": decay}
    found = [
        train_epoch(
            gradient, trainee, Sets.shared(images, labels, networks), **settings, batch_size=8, augment=augment,
            draws=[generator(number, "epoch", epoch) for number in range(networks)], tick=nothing,
        )
        for epoch in range(3)
    ]  # fmt: skip
    for number in range(networks):
        parameters = starts[number].clone().requires_grad_()
        theirs = torch.optim.SGD([parameters], lr=0.05, momentum=momentum, weight_decay=decay)
        for epoch in range(3):
            loss, accurate = literal_epoch(
                net, parameters, theirs, images, labels, batch=8, augment=augment,
                draws=generator(number, "epoch", epoch),
            )  # fmt: skip
            assert float(found[epoch].loss[number]) == pytest.approx(loss, rel=1e-6)
            assert float(found[epoch].accuracy[number]) == pytest.approx(accurate)
        assert float((trainee.parameters[number] - parameters.detach()).abs().max()) < 1e-10
    assert float((trainee.parameters - starts).abs().max()) > 1e-2


# -- experts ----------------------------------------------------------------------------------------------


def recomputed(setting: Bench, expert: int) -> Tensor:
    """An expert's path, trained anew the plain way."""
    settings = setting.config.experts
    parameters = setting.net.init(generator(settings.seed, "expert", expert, "init")).requires_grad_()
    theirs = torch.optim.SGD(
        [parameters], lr=settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    augment = Augment(setting.config.augmentation, setting.real.shape) if settings.augment else None
    rows = [parameters.detach().clone()]
    for epoch in range(settings.epochs):
        literal_epoch(
            setting.net, parameters, theirs, setting.real.train_images, setting.real.train_labels,
            batch=settings.batch_size, augment=augment,
            draws=generator(settings.seed, "expert", expert, "epoch", epoch),
        )  # fmt: skip
        rows.append(parameters.detach().clone())
    return torch.stack(rows)


@pytest.mark.parametrize("augment", [True, False])
def test_paths_are_those_recomputed_and_no_row_is_another(augment: bool, digits: RawSet, tmp_path: Path) -> None:
    setting = bench(digits, tmp_path, experts__augment=augment, experts__weight_decay=1e-3)
    paths = setting.paths()
    assert [tuple(path.shape) for path in paths] == [(4, setting.net.size)] * 2
    for expert, path in enumerate(paths):
        expected = recomputed(setting, expert)
        torch.testing.assert_close(path, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(path[0], expected[0])
        for row in range(3):
            moved = float((path[row + 1] - path[row]).abs().max())
            assert moved > 1e-3, "a snapshot that aliases the weights shows the last epoch everywhere"
    assert not torch.equal(paths[0][0], paths[1][0])


def test_global_generators_are_left_alone(digits: RawSet, tmp_path: Path) -> None:
    setting = bench(digits, tmp_path)
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    paths = setting.paths()
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # type: ignore[index]
    assert before[2] == random.getstate()
    torch.manual_seed(2)
    assert equal(bench(digits, tmp_path / "again").paths(), paths)


def test_the_seed_is_the_experts_own(digits: RawSet, tmp_path: Path) -> None:
    same = bench(digits, tmp_path / "a", seed=5).paths()
    assert equal(bench(digits, tmp_path / "b", seed=6).paths(), same)
    assert not equal(bench(digits, tmp_path / "c", experts__seed=1).paths(), same)


@pytest.mark.parametrize("zca", [False, True])
def test_validation_images_are_never_seen(zca: bool, digits: RawSet, tmp_path: Path) -> None:
    """Other pixels and labels in their place: the experts, the statistics and the pools are the same to the bit."""
    from dataclasses import replace

    from engine.data.types import Images, fingerprint

    changes = {"data__validation": 0.2, "data__zca": zca, "data__train_limit": 0}
    setting = bench(digits, tmp_path / "a", **changes)
    chosen = setting.real.split.validation
    assert len(chosen) == round(0.2 * len(digits.train))
    pixels, labels = digits.train.pixels.clone(), digits.train.labels
    pixels[chosen] = 255 - pixels[chosen]
    train = Images(pixels, labels)
    other_raw = replace(digits, train=train, fingerprint=fingerprint(train, digits.test))
    other = bench(other_raw, tmp_path / "b", **changes)
    assert other.real.validation_images is not None
    assert setting.real.validation_images is not None
    assert not torch.equal(other.real.validation_images, setting.real.validation_images)
    assert other.real.transform.digest() == setting.real.transform.digest()
    assert equal(other.paths(), setting.paths())
    assert other.ensure().test_accuracies == setting.ensure().test_accuracies
