"""Baselines: what random real images give, and what it costs to know."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from engine import stacked
from engine.config.schema import Config, Data, Evaluation, Experts, Information, Network, Objective, Synthetic
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.types import RawSet
from engine.evaluation.baselines import full_set, key_of, random_images, random_selection
from engine.evaluation.evaluate import Score, train_network, train_networks
from engine.evaluation.protocols import PROTOCOLS
from engine.experts import Trajectories
from engine.networks import ConvNet
from engine.training import accuracy

EXECUTION = {"device": "cpu", "precision": "float32", "threads": 1}


def configuration(**sections: Any) -> Config:
    return Config.model_validate(
        {
            "data": Data(name="digits", train_limit=200, validation=0.2, test_limit=100),
            "network": Network(width=8, depth=2),
            "synthetic": Synthetic(images_per_class=2),
            "experts": Experts(count=2, epochs=4),
            "objective": Objective(expert_epochs=2, max_start_epoch=1),
            "information": Information(readout=50),
            "evaluation": Evaluation(protocol="quick-100", random_draws=3, random_networks=2),
            **sections,
        }
    )


@pytest.fixture(scope="module")
def real(digits: RawSet) -> RealSet:
    config = configuration()
    return prepare(digits, config.data, seed=config.experts.seed, readout=config.information.readout)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The draws that are trained, one entry a network."""
    draws: list[int] = []

    def counted(*arguments: Any, **named: Any) -> torch.Tensor:
        draws.extend(purpose[1] for purpose in named["purposes"])
        return train_networks(*arguments, **named)

    monkeypatch.setattr("engine.evaluation.baselines.train_networks", counted)
    return draws


def judged(config: Config, real: RealSet, cache: Path, **named: Any) -> Score:
    net = ConvNet(config.network, real.shape, real.classes)
    return random_selection(
        config, real, net, augment=Augment(config.augmentation, real.shape), cache_dir=cache, execution=EXECUTION,
        **named,
    )  # fmt: skip


def test_an_expert_labels_them_where_the_synthetic_labels_start_so(
    real: RealSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(**evaluation(1, 1))
    net = ConvNet(config.network, real.shape, real.classes)
    teacher = net.init(torch.Generator().manual_seed(0))
    seen: list[torch.Tensor] = []

    def noted(sets: Any, *arguments: Any, **named: Any) -> torch.Tensor:
        seen.extend(labels for _, labels in sets)
        return train_networks(sets, *arguments, **named)

    monkeypatch.setattr("engine.evaluation.baselines.train_networks", noted)
    hard, taught = judged(config, real, tmp_path), judged(config, real, tmp_path, teacher=teacher)
    images, labels = random_images(real, 2, 0, 0)
    assert torch.equal(seen[0], labels)
    assert torch.equal(seen[1], net(teacher, images).softmax(1))
    assert hard.accuracies != taught.accuracies
    judged(config, real, tmp_path, teacher=net.init(torch.Generator().manual_seed(1)))
    assert len(seen) == 3, "another expert's labels were taken from the cache"
    assert judged(config, real, tmp_path, teacher=teacher) == taught
    assert len(seen) == 3


def evaluation(draws: int, networks: int) -> dict[str, Any]:
    return {"evaluation": Evaluation(protocol="quick-100", random_draws=draws, random_networks=networks)}


def test_draws_hold_no_held_out_image(real: RealSet) -> None:
    """No image of a hundred draws is a validation, test or readout image; together they are nearly all others."""
    held_out = {image.numpy().tobytes() for image in cast("torch.Tensor", real.validation_images)}
    held_out |= {image.numpy().tobytes() for image in cast("torch.Tensor", real.readout_images)}
    held_out |= {image.numpy().tobytes() for image in real.test_images}
    allowed = {real.train_images[i].numpy().tobytes() for pool in real.class_indices for i in pool}
    allowed -= held_out
    seen = set()
    for draw in range(100):
        images, _ = random_images(real, 2, 0, draw)
        seen |= {image.numpy().tobytes() for image in images}
    assert not seen & held_out
    assert seen <= allowed
    assert len(seen) > 0.9 * len(allowed)


def test_a_draw_has_as_many_of_every_class_each_once(real: RealSet) -> None:
    images, labels = random_images(real, 3, 0, 0)
    assert labels.tolist() == [label for label in range(10) for _ in range(3)]
    assert len({image.numpy().tobytes() for image in images}) == 30
    again, _ = random_images(real, 3, 0, 0)
    assert torch.equal(images, again)
    assert not torch.equal(images, random_images(real, 3, 0, 1)[0])
    assert not torch.equal(images, random_images(real, 3, 1, 0)[0])


def by_hand(config: Config, real: RealSet, step_size: float | None) -> list[float]:
    """Accuracies of three draws of two networks each, trained one by one."""
    net = ConvNet(config.network, real.shape, real.classes)
    found = []
    for draw in range(3):
        for network in range(2):
            parameters = train_network(
                *random_images(real, 2, 0, draw), step_size, net=net, protocol=PROTOCOLS["quick-100"],
                augment=Augment(config.augmentation, real.shape), seed=0, purpose=("random selection", draw, network),
            )  # fmt: skip
            found.append(accuracy(net, parameters, real.test_images, real.test_labels, lambda: None))
    return found


def test_it_is_the_protocol_at_its_own_rate_on_every_draw(real: RealSet, tmp_path: Path) -> None:
    config = configuration()
    score = judged(config, real, tmp_path)
    expected = by_hand(config, real, None)
    assert score.accuracies == expected
    assert len(set(expected)) > 1
    assert (score.protocol, score.measured_on) == ("quick-100", "test")
    assert score.std == Score.of(expected, "", "", 0).std


def test_at_a_step_size_it_is_the_protocol_at_that(real: RealSet, tmp_path: Path, trained: list[int]) -> None:
    config = configuration()
    own = judged(config, real, tmp_path)
    trained.clear()
    asked = judged(config, real, tmp_path, step_size=0.05)
    assert trained == [0, 0, 1, 1, 2, 2], "those at the protocol's rate were taken from the cache"
    assert asked.accuracies == by_hand(config, real, 0.05) != own.accuracies
    assert judged(config, real, tmp_path, step_size=0.05) == asked
    assert judged(config, real, tmp_path) == own
    assert len(trained) == 6


def test_known_draws_are_not_trained_again(real: RealSet, tmp_path: Path, trained: list[int]) -> None:
    first = judged(configuration(), real, tmp_path)
    assert trained == [0, 0, 1, 1, 2, 2]
    trained.clear()
    assert judged(configuration(), real, tmp_path) == first
    assert trained == []
    more = judged(configuration(**evaluation(4, 2)), real, tmp_path)
    assert trained == [3, 3]
    assert more.accuracies[:6] == first.accuracies
    fewer = judged(configuration(**evaluation(1, 2)), real, tmp_path)
    assert fewer.accuracies == first.accuracies[:2]


def test_a_single_network_is_kept_too(real: RealSet, tmp_path: Path, trained: list[int]) -> None:
    first = judged(configuration(**evaluation(1, 1)), real, tmp_path)
    again = judged(configuration(**evaluation(1, 1)), real, tmp_path)
    assert trained == [0]
    assert math.isnan(first.std)
    assert again.accuracies == first.accuracies


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"accuracies": [0.5], "seconds": 1.0}', '{"accuracies": [7.0, 0.5], "seconds": 1.0}']
)
def test_a_damaged_draw_is_done_again(text: str, real: RealSet, tmp_path: Path, trained: list[int]) -> None:
    first = judged(configuration(), real, tmp_path)
    trained.clear()
    (path,) = tmp_path.rglob("draw-01.json")
    path.write_text(text)
    assert judged(configuration(), real, tmp_path).accuracies == first.accuracies
    assert trained == [1, 1]
    assert json.loads(path.read_text())["accuracies"] == list(first.accuracies[2:4])


class Stop(Exception):
    """Stands for a stop request."""


def test_a_stop_keeps_the_draws_that_are_done(
    real: RealSet, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draws one at a time, as larger networks are; stopped in the middle of the second."""
    expected = judged(configuration(), real, tmp_path / "whole").accuracies
    trained.clear()
    monkeypatch.setattr(stacked, "TOGETHER", 2 * 20 * 8 * 64)
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 150:
            raise Stop

    told: list[tuple[int, int]] = []
    with pytest.raises(Stop):
        judged(configuration(), real, tmp_path, tick=tick)
    assert trained == [0, 0, 1, 1]
    trained.clear()
    score = judged(configuration(), real, tmp_path, progress=lambda done, of: told.append((done, of)))
    assert trained == [1, 1, 2, 2]
    assert score.accuracies == expected
    assert told[0] == (2, 6)
    assert told[-1] == (6, 6)
    assert told == sorted(told)


def test_what_decides_it_is_in_its_key(real: RealSet) -> None:
    def key(
        real: RealSet, execution: dict[str, Any] = EXECUTION, step_size: float | None = None, **sections: Any
    ) -> str:
        config = configuration(**sections)
        net = ConvNet(config.network, real.shape, real.classes)
        return key_of(config, real, net, execution, step_size=step_size)

    others = [
        key(real),
        key(real, network=Network(width=16, depth=2)),
        key(real, synthetic=Synthetic(images_per_class=3)),
        key(real, experts=Experts(count=2, epochs=4, seed=1)),
        key(real, evaluation=Evaluation(protocol="mtt-1000", random_networks=2)),
        key(real, evaluation=Evaluation(protocol="dream-1000", random_networks=2)),
        key(real, evaluation=Evaluation(protocol="quick-100", random_networks=3)),
        key(real, augmentation={"strategy": "crop"}),
        key(dataclasses.replace(real, fingerprint="0")),
        key(real, {**EXECUTION, "precision": "mixed"}),
        *(key(real, step_size=size) for size in (0.05, 0.06)),
    ]
    assert len(set(others)) == len(others)
    assert key(real, seed=7) == key(real), "runs of other seeds are compared with the same draws"
    assert key(real, **evaluation(5, 2)) == key(real)
    fixed = Evaluation(protocol="paper-300", random_networks=2)
    assert key(real, step_size=0.05, evaluation=fixed) == key(real, evaluation=fixed), "it trains at its own rate"


def test_the_full_set_is_the_experts(tmp_path: Path) -> None:
    score = full_set(cast("Trajectories", SimpleNamespace(test_accuracies=[0.9, 0.94])))
    assert score.mean == pytest.approx(0.92)
    assert (score.protocol, score.measured_on) == ("experts-last-epoch", "test")
