"""Networks of the real and of a synthetic set, compared layer by layer."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.analysis.similarity import real_against_synthetic
from engine.artifact import DistilledSet
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.evaluation import PROTOCOLS, evaluate
from engine.evaluation.evaluate import train_network
from engine.networks import ConvNet
from engine.seeds import generator
from engine.training import accuracy
from tests.distill.helpers import tiny

CONFIG = tiny(network__depth=2)


@pytest.fixture(scope="module")
def real() -> RealSet:
    return prepare(load("digits"), CONFIG.data, seed=0, readout=40)


def distilled(real: RealSet, pixels: torch.Tensor, labels: torch.Tensor, formation: int = 1) -> DistilledSet:
    return DistilledSet(
        pixels, labels, 0.05, real.transform, 10, real.class_names, protocol="quick-100", formation=formation
    )


def test_networks_of_the_same_set_are_more_alike_than_of_noise(real: RealSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "quick-100", dataclasses.replace(PROTOCOLS["quick-100"], epochs=15, decay_at=None))
    net, augment = ConvNet(CONFIG.network, real.shape, 10), Augment(CONFIG.augmentation, real.shape)
    whole = distilled(real, real.train_images, real.train_labels)
    noise = distilled(real, torch.randn(20, 1, 8, 8, generator=generator(0, "n")), torch.arange(20) % 10)
    experts = [net.init(generator(number, "expert")) for number in range(2)]
    found = real_against_synthetic(whole, experts, net=net, real=real, augment=augment, seed=3, images=100)
    assert found.layers == ("block 1", "block 2", "logits")
    assert found.pairs.shape == (2, 3, 3)
    assert torch.equal(found.same_layer, found.mean.diagonal())
    assert bool((found.deviation > 0).all())

    # As experts, networks trained on the whole set: the last layer of one trained on noise is less like theirs.
    trained = [network_of(whole, net, augment, number) for number in (5, 6)]
    alike = real_against_synthetic(whole, trained, net=net, real=real, augment=augment, seed=3, images=100)
    unlike = real_against_synthetic(noise, trained, net=net, real=real, augment=augment, seed=3, images=100)
    assert float(alike.same_layer[2]) > float(unlike.same_layer[2]) + 0.1


def network_of(item: DistilledSet, net: ConvNet, augment: Augment, seed: int) -> torch.Tensor:
    return train_network(
        item.pixels, item.labels, item.step_size, net=net, protocol=PROTOCOLS[item.protocol], augment=augment,
        seed=seed, purpose=("expert",),
    )  # fmt: skip


def test_the_networks_are_those_of_the_final_evaluation(real: RealSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "quick-100", dataclasses.replace(PROTOCOLS["quick-100"], epochs=3, decay_at=None))
    net, augment = ConvNet(CONFIG.network, real.shape, 10), Augment(CONFIG.augmentation, real.shape)
    item = distilled(real, real.train_images[:20], real.train_labels[:20], formation=2)
    seen: list[torch.Tensor] = []

    def noted(parameters: torch.Tensor, images: torch.Tensor) -> list[torch.Tensor]:
        seen.append(parameters)
        return ConvNet.features(net, parameters, images)

    monkeypatch.setattr(net, "features", noted)
    real_against_synthetic(
        item, [net.init(generator(0, "e"))] * 2, net=net, real=real, augment=augment, seed=3, images=40
    )
    images, labels = item.decoded()
    score = evaluate(
        images, labels, item.step_size, net=net, real=real, protocol="quick-100", networks=2, augment=augment, seed=3,
        purpose=("final",),
    )  # fmt: skip
    own = [accuracy(net, parameters, real.test_images, real.test_labels, lambda: None) for parameters in seen[1::2]]
    assert own == list(score.accuracies)
