"""Networks trained on a synthetic set: against a plain loop, and independent of their company."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import stacked
from engine.config.schema import Augmentation, Data, Network
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.types import RawSet
from engine.errors import DataError
from engine.evaluation.baselines import random_images
from engine.evaluation.evaluate import Score, evaluate, train_network, train_networks
from engine.evaluation.protocols import PROTOCOLS, Protocol
from engine.networks import ConvNet
from engine.seeds import generator

SHAPE = (1, 8, 8)
SHORT = dataclasses.replace(PROTOCOLS["quick-100"], epochs=6, falls=((3, 0.1),), batch_size=8)
"""Batches of 8 of 20 images: three a pass, the last one smaller."""


@pytest.fixture(scope="module")
def real(digits: RawSet) -> RealSet:
    return prepare(digits, Data(name="digits", train_limit=200, validation=0.2, test_limit=100), seed=0, readout=20)


@pytest.fixture
def net() -> ConvNet:
    return ConvNet(Network(width=8, depth=2), SHAPE, 10)


@pytest.fixture
def augment() -> Augment:
    return Augment(Augmentation(), SHAPE)


@pytest.fixture
def chosen(real: RealSet) -> tuple[Tensor, Tensor]:
    """Two images of each class."""
    return random_images(real, 2, 0, 0)


def trained(sets: list[tuple[Tensor, Tensor]], net: ConvNet, augment: Augment, networks: int, **changes: Any) -> Tensor:
    purposes = changes.pop("purposes", [("test", number) for number in range(networks)])
    return train_networks(
        sets, changes.pop("step_size", 0.05), net=net, protocol=SHORT, augment=augment, seed=changes.pop("seed", 3),
        purposes=purposes, **changes,
    )  # fmt: skip


def test_a_network_is_that_of_a_plain_loop(chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment) -> None:
    """torch.optim.SGD on the network's own call, the rate a tenth from the protocol's epoch on."""
    images, labels = chosen
    found = trained([chosen], net, augment, 2)[1]
    leaf = net.init(generator(3, "evaluation", "test", 1, "init")).requires_grad_()
    draws = generator(3, "evaluation", "test", 1, "draws")
    optimizer = torch.optim.SGD([leaf], lr=0.05, momentum=0.9, weight_decay=5e-4)
    start = leaf.detach().clone()
    for epoch in range(6):
        optimizer.param_groups[0]["lr"] = 0.05 if epoch < 3 else 0.005
        for batch in torch.split(torch.randperm(20, generator=draws), 8):
            optimizer.zero_grad()
            x = augment(images[batch], augment.draw(len(batch), draws))
            torch.autograd.backward(F.cross_entropy(net(leaf, x), labels[batch]))
            optimizer.step()
    torch.testing.assert_close(found, leaf.detach(), rtol=1e-3, atol=1e-4)
    assert float((found - start).norm()) > 0.1


def test_one_after_another_and_at_once_agree(
    chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = trained([chosen], net, augment, 3)
    monkeypatch.setattr(stacked, "TOGETHER", 0)
    one_by_one = trained([chosen], net, augment, 3)
    torch.testing.assert_close(at_once, one_by_one, rtol=1e-3, atol=1e-4)
    assert not torch.equal(at_once, one_by_one), "both would be the same path"


@pytest.mark.parametrize("width", [8, 24])
def test_a_network_has_the_same_bits_in_any_company(
    width: int, chosen: tuple[Tensor, Tensor], augment: Augment, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = ConvNet(Network(width=width, depth=2), SHAPE, 10)
    most = trained([chosen], net, augment, 7)
    for networks in (1, 2, 3, 6):
        assert torch.equal(trained([chosen], net, augment, networks), most[:networks])
    monkeypatch.setattr(stacked, "TOGETHER", 5 * 8 * width * 64)  # groups of 4 and of 3 with a twin
    assert torch.equal(trained([chosen], net, augment, 7), most)


def test_sets_of_their_own(real: RealSet, net: ConvNet, augment: Augment) -> None:
    sets = [random_images(real, 2, 0, draw) for draw in range(3)]
    found = trained(sets, net, augment, 3)
    for number in range(3):
        alone = trained([sets[number]], net, augment, 1, purposes=[("test", number)])
        assert torch.equal(found[number], alone[0])
    assert not torch.equal(found[0], trained([sets[1]], net, augment, 1)[0])


def test_one_network_is_the_first_of_several(chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment) -> None:
    alone = train_network(*chosen, 0.05, net=net, protocol=SHORT, augment=augment, seed=3, purpose=("test", 0))
    assert torch.equal(alone, trained([chosen], net, augment, 2)[0])


def test_one_hot_labels_are_hard_labels(chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment) -> None:
    soft = (chosen[0], F.one_hot(chosen[1], 10).float())
    hard = trained([chosen], net, augment, 2)
    torch.testing.assert_close(trained([soft], net, augment, 2), hard, rtol=1e-3, atol=1e-4)


def test_draws_follow_seed_and_purpose(chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment) -> None:
    first = trained([chosen], net, augment, 1)
    assert torch.equal(trained([chosen], net, augment, 1), first)
    assert not torch.equal(trained([chosen], net, augment, 1, seed=4), first)
    assert not torch.equal(trained([chosen], net, augment, 1, purposes=[("other", 0)]), first)


def test_progress_goes_up_to_all_of_them(
    chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacked, "TOGETHER", 2 * 8 * 8 * 64)
    told: list[tuple[int, int]] = []
    trained([chosen], net, augment, 5, progress=lambda done, of: told.append((done, of)))
    done = [n for n, _ in told]
    assert done == sorted(done)
    assert set(done) == {0, 1, 2, 3, 4, 5}
    assert told[-1] == (5, 5)


def test_augmentation_only_where_the_protocol_has_it(
    chosen: tuple[Tensor, Tensor], net: ConvNet, augment: Augment
) -> None:
    plain = dataclasses.replace(SHORT, augment=False)
    none = Augment(Augmentation(strategy="none"), SHAPE)

    def with_(protocol: Protocol, augmentation: Augment) -> Tensor:
        return train_network(*chosen, 0.05, net=net, protocol=protocol, augment=augmentation, seed=0, purpose=("test",))

    assert torch.equal(with_(plain, augment), with_(plain, none))
    assert not torch.equal(with_(SHORT, augment), with_(plain, augment))


def judged(chosen: tuple[Tensor, Tensor], net: ConvNet, real: RealSet, augment: Augment, **changes: Any) -> Score:
    return evaluate(
        *chosen, changes.pop("step_size", 0.05), net=net, real=real, protocol="quick-100",
        networks=changes.pop("networks", 2), augment=augment, seed=0, purpose=("test",), **changes,
    )  # fmt: skip


def test_an_evaluation_is_its_networks_accuracies(
    chosen: tuple[Tensor, Tensor], net: ConvNet, real: RealSet, augment: Augment
) -> None:
    score = judged(chosen, net, real, augment)
    assert (score.protocol, score.measured_on) == ("quick-100", "test")
    for number, claimed in enumerate(score.accuracies):
        parameters = train_network(
            *chosen, 0.05, net=net, protocol=PROTOCOLS["quick-100"], augment=augment, seed=0, purpose=("test", number)
        )
        right = net(parameters, real.test_images).argmax(1) == real.test_labels
        assert claimed == pytest.approx(float(right.float().mean()))
    assert score.mean == pytest.approx(np.mean(score.accuracies))
    assert score.std == pytest.approx(np.std(score.accuracies, ddof=1))
    assert score.mean > 0.3
    assert score.seconds > 0
    assert dataclasses.replace(judged(chosen, net, real, augment), seconds=score.seconds) == score


def test_global_generators_are_left_alone(
    chosen: tuple[Tensor, Tensor], net: ConvNet, real: RealSet, augment: Augment
) -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
    first = judged(chosen, net, real, augment, networks=1).accuracies
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (repr(np.random.get_state()), random.getstate()) == before[1:]
    torch.manual_seed(5)
    assert judged(chosen, net, real, augment, networks=1).accuracies == first


def test_validation_images_are_measured_where_asked(
    chosen: tuple[Tensor, Tensor], net: ConvNet, real: RealSet, augment: Augment, digits: RawSet
) -> None:
    """Against the same networks on labels that are all wrong: only the asked for ones are looked at."""
    assert real.validation_labels is not None
    fooled = dataclasses.replace(real, test_labels=torch.full_like(real.test_labels, -1))
    score = judged(chosen, net, fooled, augment, on="validation")
    assert score.measured_on == "validation"
    assert score.mean > 0.3
    assert judged(chosen, net, fooled, augment, on="test").mean == 0
    without = prepare(digits, Data(name="digits", train_limit=200, test_limit=100), seed=0, readout=20)
    with pytest.raises(DataError, match=r"data\.validation"):
        judged(chosen, net, without, augment, on="validation")


class Stop(Exception):
    """Stands for a stop request."""


@pytest.mark.parametrize("at", [1, 57, 101])
def test_a_stop_is_heard_between_steps_and_while_measuring(
    at: int, chosen: tuple[Tensor, Tensor], net: ConvNet, real: RealSet, augment: Augment
) -> None:
    """A hundred epochs of one batch each, then the test images."""
    left = at

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stop

    with pytest.raises(Stop):
        judged(chosen, net, real, augment, networks=1, tick=tick)


@pytest.mark.parametrize(
    ("name", "epochs", "given", "rates"),
    [
        ("mtt-1000", 1000, 0.03, {0: 0.03, 500: 0.03, 501: 0.003, 999: 0.003}),
        ("mtt-1000", 1000, None, {0: 0.01, 500: 0.01, 501: 0.001}),
        ("paper-300", 300, 0.03, {0: 0.01, 150: 0.01, 151: 0.001, 299: 0.001}),
        ("quick-100", 100, 0.03, {0: 0.03, 50: 0.03, 51: 0.003}),
        ("quick-100", 100, None, {0: 0.01, 51: 0.001}),
    ],
)
def test_rates_of_the_protocols(name: str, epochs: int, given: float | None, rates: dict[int, float]) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.epochs == epochs
    assert {epoch: protocol.rate(epoch, given) for epoch in rates} == pytest.approx(rates)


def test_the_protocols_other_settings() -> None:
    for name, protocol in PROTOCOLS.items():
        batch = {"dream-1000": 64, "bptt-300": 640}.get(name, 256)
        decay = 0.0 if name == "bptt-300" else 5e-4
        assert (protocol.momentum, protocol.weight_decay, protocol.batch_size) == (0.9, decay, batch)
        assert protocol.augment == (name not in ("paper-300", "bptt-300"))
        assert protocol.source


def test_a_single_network_has_no_deviation() -> None:
    assert math.isnan(Score.of([0.5], "p", "test", 1.0).std)
    assert Score.of([0.4, 0.6], "p", "test", 1.0).std == pytest.approx(math.sqrt(0.02))
