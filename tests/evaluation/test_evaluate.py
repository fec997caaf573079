"""Protocols as their sources state them; networks trained by them; scores."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from engine import stacked
from engine.config.schema import Evaluation, Network
from engine.data import cutmix as cutmix_module
from engine.data.augment import Augment
from engine.data.types import RawSet
from engine.evaluation.evaluate import Score, train_network, train_networks
from engine.evaluation.protocols import PROTOCOLS
from engine.evaluation.shapes import Shape, compile_shapes, shapes_of
from engine.networks import ConvNet
from engine.seeds import generator
from tests.evaluation.helpers import court, plainly_trained, shortened


@pytest.mark.parametrize(
    ("name", "epochs", "uses_step_size", "lowered_at", "augment"),
    [
        ("mtt-1000", 1000, True, 501, True),
        ("paper-300", 300, False, 151, False),
        ("quick-100", 100, True, 51, True),
    ],
)
def test_protocols(name: str, epochs: int, uses_step_size: bool, lowered_at: int, augment: bool) -> None:
    """The rate of every epoch to its last bit: kept results were made by these."""
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert (protocol.epochs, protocol.uses_step_size, protocol.augment) == (epochs, uses_step_size, augment)
    assert (protocol.momentum, protocol.weight_decay, protocol.batch_size) == (0.9, 5e-4, 256)
    assert (protocol.without, protocol.cutmix) == ((), 0.0), "no draw but of the order and the augmentation"
    assert protocol.source
    for given in (0.03, 0.0217, None):
        base = given if given is not None and uses_step_size else 0.01
        rates = [protocol.rate(epoch, given) for epoch in range(epochs)]
        assert rates == [base] * lowered_at + [base * 0.1] * (epochs - lowered_at)


def test_the_protocol_of_bptt() -> None:
    """A constant rate of its own."""
    protocol = PROTOCOLS["bptt-300"]
    assert (protocol.epochs, protocol.uses_step_size, protocol.augment) == (300, False, False)
    assert {protocol.rate(epoch, 0.03) for epoch in range(300)} == {0.01}


def test_the_protocol_of_dream() -> None:
    protocol = PROTOCOLS["dream-1000"]
    assert (protocol.epochs, protocol.uses_step_size, protocol.augment) == (1000, False, True)
    assert (protocol.momentum, protocol.weight_decay, protocol.batch_size) == (0.9, 5e-4, 64)
    assert (protocol.without, protocol.cutmix) == (("cutout",), 0.5)
    rates = [protocol.rate(epoch, 0.03) for epoch in range(1000)]
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimiser = torch.optim.SGD([parameter], lr=0.01)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2 * 1000 // 3, 5 * 1000 // 6], gamma=0.2)
    for epoch in range(1000):
        assert rates[epoch] == pytest.approx(optimiser.param_groups[0]["lr"]), epoch
        optimiser.step()
        schedule.step()


def test_the_configuration_knows_the_same_protocols() -> None:
    for field in ("protocol", "live_protocol"):
        annotation = Evaluation.model_fields[field].annotation
        assert set(getattr(annotation, "__args__", ())) == set(PROTOCOLS)


def test_a_rate_that_is_never_lowered() -> None:
    protocol = replace(PROTOCOLS["quick-100"], falls=())
    assert {protocol.rate(epoch, 0.02) for epoch in range(100)} == {0.02}


def test_scores_deviate_by_n_minus_1() -> None:
    score = Score.of([0.5, 0.7, 0.9], "quick-100", "test", 1.0)
    assert score.mean == pytest.approx(0.7)
    assert score.std == pytest.approx(0.2)
    assert score.std == pytest.approx(statistics.stdev(score.accuracies))
    assert math.isnan(Score.of([0.5], "quick-100", "test", 1.0).std)


@pytest.fixture
def short() -> Iterator[None]:
    with shortened():
        yield


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_network_is_trained_as_torch_would(name: str, soft: bool, digits: RawSet) -> None:
    """Batches smaller than the set, the rate lowered, soft labels too; several at once and one alone."""
    setting = court(digits)
    if soft:
        setting.labels = F.one_hot(setting.labels, 10) * 0.8 + 0.02
    protocol = replace(PROTOCOLS[name], batch_size=7)
    arguments: dict[str, Any] = {"net": setting.net, "protocol": protocol, "augment": setting.augment, "seed": 3}
    judged = setting.images, setting.labels
    found = train_networks([judged], 0.05, purposes=[("a", 0), ("a", 1)], **arguments)
    assert found.shape == (2, setting.net.size)
    for number in range(2):
        theirs = plainly_trained(setting, protocol, 0.05, seed=3, purpose=("a", number))
        torch.testing.assert_close(found[number], theirs, rtol=1e-3, atol=1e-4)
        assert torch.equal(train_network(*judged, 0.05, purpose=("a", number), **arguments), found[number])
    assert float((found[0] - found[1]).abs().max()) > 1e-2
    other = train_networks([judged], 0.5, purposes=[("a", 0)], **arguments)
    assert torch.equal(other[0], found[0]) is not protocol.uses_step_size


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("network", "side"),
    [({"width": 4, "depth": 1}, 8), ({"width": 32, "depth": 2}, 8), ({"width": 32, "depth": 3}, 28)],
)
def test_a_network_does_not_depend_on_how_many_there_are(network: dict[str, int], side: int, digits: RawSet) -> None:
    """Bit for bit: five networks asked for later begin with the two that were asked for first."""
    setting = court(digits)
    net = ConvNet(Network.model_validate(network), (1, side, side), 10)
    judged = torch.randn(10, 1, side, side, generator=generator(0, "j")), torch.arange(10)

    def trained(count: int) -> torch.Tensor:
        return train_networks(
            [judged], 0.05, net=net, protocol=PROTOCOLS["paper-300"], augment=setting.augment, seed=0,
            purposes=[("n", number) for number in range(count)],
        )  # fmt: skip

    most = trained(6)
    for count in (1, 2, 3, 5):
        assert torch.equal(trained(count), most[:count]), f"{count} networks"


@pytest.mark.usefixtures("short")
def test_the_same_seed_and_purpose_give_the_same_score_and_others_do_not(digits: RawSet) -> None:
    setting = court(digits)
    first = setting.score()
    assert len(first.accuracies) == 3
    assert len(set(first.accuracies)) > 1
    assert all(0 <= value <= 1 for value in first.accuracies)
    assert first.mean == pytest.approx(statistics.fmean(first.accuracies))
    again = setting.score()
    assert replace(again, seconds=first.seconds) == first
    assert setting.score(seed=1).accuracies != first.accuracies
    assert setting.score(purpose=("other",)).accuracies != first.accuracies
    assert (first.protocol, first.measured_on) == ("quick-100", "test")


def test_what_dream_draws_from_is_the_runs_but_for_cutout(digits: RawSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flips and the rest are kept; batches are of 7 here, mixed and not, each network's by draws of its own."""
    setting, drawn, mixed = court(digits, augmentation__strategy="crop_cutout_flip"), set(), []
    draw, mix = Augment.draw, cutmix_module.cutmix

    def noted(augment: Augment, n: int, generator: torch.Generator) -> Any:
        drawn.add((found := draw(augment, n, generator)).op)
        return found

    def told(images: torch.Tensor, labels: torch.Tensor, draws: torch.Generator) -> Any:
        mixed.append(len(images))
        return mix(images, labels, draws)

    monkeypatch.setattr(Augment, "draw", noted)
    monkeypatch.setattr(cutmix_module, "cutmix", told)
    batches = 2 * 12 * 3

    def train(**changes: Any) -> torch.Tensor:
        drawn.clear()
        mixed.clear()
        protocol = replace(PROTOCOLS["dream-1000"], epochs=12, batch_size=7, **changes)
        return train_networks(
            [(setting.images, setting.labels)], None, net=setting.net, protocol=protocol, augment=setting.augment,
            seed=0, purposes=[("d", 0), ("d", 1)],
        )  # fmt: skip

    first = train()
    assert drawn == {"crop", "flip"}
    assert 0.3 * batches < len(mixed) < 0.7 * batches
    assert set(mixed) == {7, 6}
    assert torch.equal(train(), first)
    assert not torch.equal(train(cutmix=0.25), first)
    train(cutmix=0.0)
    assert (drawn, mixed) == ({"crop", "flip"}, [])
    train(without=())
    assert drawn == {"crop", "flip", "cutout"}


@pytest.mark.long
@pytest.mark.parametrize("soft", [False, True])
def test_networks_by_dreams_protocol_are_the_same_compiled(
    soft: bool, digits: RawSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that training meets but what is left of a smaller last batch was compiled beforehand, mixed or not."""
    setting = court(digits)
    monkeypatch.setattr(stacked, "TOGETHER", 0)
    monkeypatch.setitem(PROTOCOLS, "dream-1000", replace(PROTOCOLS["dream-1000"], epochs=6, batch_size=7))
    labels = F.one_hot(setting.labels, 10) * 0.8 + 0.02 if soft else setting.labels

    def trained(execution: dict[str, Any]) -> torch.Tensor:
        return train_networks(
            [(setting.images, labels)], None, net=setting.net, protocol=PROTOCOLS["dream-1000"],
            augment=setting.augment, seed=0, purposes=[("c", 0), ("c", 1)], execution=execution,
        )  # fmt: skip

    compiled = {"precision": "float32", "compile": True, "device": "cpu"}
    shapes = shapes_of("dream-1000", labels, setting.net)
    assert shapes == [Shape(7, True)]
    torch._dynamo.reset()
    compile_shapes(shapes, setting.images, setting.net, compiled)
    with torch._dynamo.config.patch(error_on_recompile=True):
        found = trained(compiled)
    eager = trained({"precision": "float32"})
    torch.testing.assert_close(found, eager, rtol=1e-3, atol=1e-4)
    assert not torch.equal(found, eager), "both would be the same path"


@pytest.mark.long
def test_more_epochs_learn_more(digits: RawSet) -> None:
    """Ten real images of each class, by the quick protocol as it is: far beyond chance."""
    setting = court(digits, network__width=16, network__depth=2)
    chosen = torch.cat([pool[:10] for pool in setting.real.class_indices])
    setting.images, setting.labels = setting.real.train_images[chosen], setting.real.train_labels[chosen]
    assert setting.score(step_size=0.02).mean > 0.6
