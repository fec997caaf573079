"""Networks of the real and of a synthetic set, compared layer by layer."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.analysis.cka import Estimator
from engine.analysis.similarity import Similarity, pair_by_pair, trained_on
from engine.artifact import DistilledSet
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.evaluation.evaluate import evaluate, train_network
from engine.evaluation.protocols import PROTOCOLS
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
    monkeypatch.setitem(PROTOCOLS, "quick-100", dataclasses.replace(PROTOCOLS["quick-100"], epochs=15, falls=()))
    net, augment = ConvNet(CONFIG.network, real.shape, 10), Augment(CONFIG.augmentation, real.shape)
    whole = distilled(real, real.train_images, real.train_labels)
    noise = distilled(real, torch.randn(20, 1, 8, 8, generator=generator(0, "n")), torch.arange(20) % 10)
    experts = [net.init(generator(number, "expert")) for number in range(2)]
    found = compared(whole, experts, net, augment, real)
    assert found.layers == ("block 1", "block 2", "logits")
    assert found.pairs.shape == (2, 3, 3)
    assert torch.equal(found.same_layer, found.mean.diagonal())
    assert bool((found.deviation > 0).all())

    # As experts, networks trained on the whole set: the last layer of one trained on noise is less like theirs.
    trained = [network_of(whole, net, augment, number) for number in (5, 6)]
    alike = compared(whole, trained, net, augment, real)
    unlike = compared(noise, trained, net, augment, real)
    assert float(alike.same_layer[2]) > float(unlike.same_layer[2]) + 0.1
    biased = compared(noise, trained, net, augment, real, estimator="biased")
    assert float(biased.same_layer[2]) > float(unlike.same_layer[2]), "the bias makes anything look more alike"


def compared(
    item: DistilledSet,
    experts: list[torch.Tensor],
    net: ConvNet,
    augment: Augment,
    real: RealSet,
    estimator: Estimator = "unbiased",
) -> Similarity:
    own = trained_on(item, len(experts), net=net, augment=augment, seed=3, device=torch.device("cpu"))
    return pair_by_pair(experts, own, net=net, images=real.test_images[:100], estimator=estimator)


def network_of(item: DistilledSet, net: ConvNet, augment: Augment, seed: int) -> torch.Tensor:
    return train_network(
        item.pixels, item.labels, item.step_size, net=net, protocol=PROTOCOLS[item.protocol], augment=augment,
        seed=seed, purpose=("expert",),
    )  # fmt: skip


def test_the_networks_are_those_of_the_final_evaluation(real: RealSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "quick-100", dataclasses.replace(PROTOCOLS["quick-100"], epochs=3, falls=()))
    net, augment = ConvNet(CONFIG.network, real.shape, 10), Augment(CONFIG.augmentation, real.shape)
    item = distilled(real, real.train_images[:20], real.train_labels[:20], formation=2)
    trained = trained_on(item, 2, net=net, augment=augment, seed=3, device=torch.device("cpu"))
    images, labels = item.decoded()
    score = evaluate(
        images, labels, item.step_size, net=net, real=real, protocol="quick-100", networks=2, augment=augment, seed=3,
        purpose=("final",),
    )  # fmt: skip
    own = [accuracy(net, parameters, real.test_images, real.test_labels, lambda: None) for parameters in trained]
    assert own == list(score.accuracies)


def test_networks_are_compared_with_their_own_partners_and_never_none(real: RealSet) -> None:
    net = ConvNet(CONFIG.network, real.shape, 10)
    networks = [net.init(generator(number, "n")) for number in range(3)]
    shown = real.test_images[:40]
    same = pair_by_pair(networks, networks, net=net, images=shown)
    assert torch.allclose(same.pairs.diagonal(dim1=1, dim2=2), torch.ones(3, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="shorter"):
        pair_by_pair(networks, networks[:2], net=net, images=shown)
    with pytest.raises(ValueError, match="no networks"):
        pair_by_pair([], [], net=net, images=shown)
