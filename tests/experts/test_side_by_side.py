"""Several experts trained side by side, as a GPU does: the same experts, and the same promises when interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine import compilation
from engine.config.load import resolve
from engine.config.schema import Config, Network
from engine.data.prepare import RealSet
from engine.evaluation.shapes import Shape, judging_shapes
from engine.events import ExpertEpoch
from engine.experts import Trajectories, missing, store
from engine.experts.train import Expert
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives
from engine.runs.history import RunHistory
from engine.seeds import generator
from engine.stacked import apart, company_sizes, gradient_function
from engine.training import Sets, warm_batch
from tests.experts.small import EPOCHS, STEPS, InterruptAt, Interruption, configuration, real_set, train


@pytest.fixture(scope="module")
def config() -> Config:
    return configuration(count=5)


@pytest.fixture(scope="module")
def real(config: Config) -> RealSet:
    return real_set(config)


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "at_once", lambda *_: 2)


def rows(found: Trajectories) -> Tensor:
    """All parameters [experts, epochs + 1, size]."""
    return torch.stack(
        [torch.stack([found.parameters(e, t) for t in range(found.epochs + 1)]) for e in range(found.count)]
    )


def test_side_by_side_they_become_what_they_become_alone(
    config: Config, real: RealSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, _ = train(config, real, tmp_path / "alone")
    monkeypatch.setattr(missing, "at_once", lambda *_: 2)
    together, heard = train(config, real, tmp_path / "pairs")
    torch.testing.assert_close(rows(together), rows(alone), rtol=1e-3, atol=1e-4)
    expected = [(expert, epoch) for pair in ((0, 1), (2, 3), (4,)) for epoch in range(1, EPOCHS + 1) for expert in pair]
    assert heard.trained == expected
    assert len(together.test_accuracies) == 5


@pytest.mark.usefixtures("pairs")
def test_an_interrupted_pair_goes_on_from_its_last_whole_epoch(config: Config, real: RealSet, tmp_path: Path) -> None:
    whole, _ = train(config, real, tmp_path / "whole")
    with pytest.raises(Interruption):
        train(config, real, tmp_path / "cut", tick=InterruptAt(STEPS * (EPOCHS + 3)))
    found, heard = train(config, real, tmp_path / "cut")
    assert torch.equal(rows(found), rows(whole))
    assert (0, 1) not in heard.trained, "a finished pair is not trained again"
    assert (2, 1) not in heard.trained, "nor is an epoch of an unfinished one"


@pytest.mark.usefixtures("pairs")
def test_experts_after_different_epochs_are_not_paired(config: Config, real: RealSet, tmp_path: Path) -> None:
    whole, _ = train(config, real, tmp_path)
    (folder,) = (tmp_path / "experts").iterdir()
    keeper = store.Store(folder)
    begun = Expert(2, rows(whole)[2].clone(), torch.zeros(rows(whole).shape[2]), 1, 1.0, 0.5)
    for number in (2, 3):
        keeper.path(number).unlink()
        keeper.seal(number).unlink()
    keeper.keep(begun)
    _, heard = train(config, real, tmp_path)
    missing = [(2, epoch) for epoch in range(2, EPOCHS + 1)] + [(3, epoch) for epoch in range(1, EPOCHS + 1)]
    assert heard.trained == missing


def test_a_cpu_trains_one_at_a_time() -> None:
    net = ConvNet(Network(width=128), (3, 32, 32), 10)
    assert missing.at_once(net, 256, torch.device("cpu")) == 1
    assert missing.at_once(net, 256, torch.device("cuda")) == 4
    assert missing.at_once(net, 10, torch.device("cuda")) == 8, "at most so many"


@pytest.mark.parametrize(
    ("count", "most", "sizes"), [(5, 1, [1] * 5), (5, 2, [2, 2, 2]), (5, 8, [6]), (6, 4, [4, 2]), (0, 4, [])]
)
def test_companies_are_even_but_for_one_alone(count: int, most: int, sizes: list[int]) -> None:
    assert company_sizes(count, most) == sizes
    assert sum(company_sizes(count, most, twins=False)) == count, "who is computed apart needs no twin"


def test_networks_are_computed_apart_where_they_are_compiled_on_a_card() -> None:
    for device, compiles, expected in (("cuda", True, True), ("cuda", False, False), ("cpu", True, False)):
        assert apart({"device": device, "compile": compiles}) is expected


def test_a_compiled_company_on_a_card_is_computed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled there; here it is counted and called as it is."""
    net, calls = ConvNet(Network(width=6, depth=2), (1, 8, 8), 10), []

    def uncompiled(function: Callable[..., Any], _: str) -> Callable[..., Any]:
        def counted(parameters: Tensor, images: Tensor, labels: Tensor) -> Any:
            calls.append(len(images))
            return torch.no_grad()(function)(parameters, images, labels)

        return counted

    monkeypatch.setattr(compilation, "compiled", uncompiled)
    compilation._first.cache_clear()
    gradient = gradient_function(net, {"precision": "float32", "compile": True, "device": "cuda:0"}, 4)
    draws = generator(0, "several")
    parameters = torch.stack([net.init(draws) for _ in range(3)])
    images, labels = torch.randn(3, 4, 1, 8, 8, generator=draws), torch.randint(10, (3, 4), generator=draws)
    found = gradient(parameters, images, labels)
    assert calls == [4, 4, 4]
    one = Derivatives(net)
    for number in range(3):
        given = parameters[number], images[number], labels[number]
        alone = gradient(*(each[None] for each in given))
        for ours, single, exact in zip(found, alone, one.first(*given), strict=True):
            assert torch.equal(ours[number], single[0]), "its bits are those of a network alone"
            torch.testing.assert_close(ours[number], exact)
    smaller = gradient(parameters, images[:, :3], labels[:, :3])
    assert len(calls) == 6, "the last, smaller batch is not what was compiled"
    for number in range(3):
        alone = gradient(parameters[number][None], images[number, :3][None], labels[number, :3][None])
        assert all(torch.equal(ours[number], single[0]) for ours, single in zip(smaller, alone, strict=True))
    compilation._first.cache_clear()


@pytest.mark.usefixtures("pairs")
def test_a_pairs_accuracies_are_said_once_they_are_known(config: Config, real: RealSet, tmp_path: Path) -> None:
    found, heard = train(config, real, tmp_path)
    said = [e for e in heard if isinstance(e, ExpertEpoch)]
    assert [e.test_accuracy is not None for e in said] == [e.epoch == EPOCHS for e in said]
    assert [e.test_accuracy for e in said if e.epoch == EPOCHS] == found.test_accuracies


@pytest.mark.usefixtures("pairs")
def test_progress_counts_the_epochs_of_all(config: Config, real: RealSet, tmp_path: Path) -> None:
    _, heard = train(config, real, tmp_path)
    history, done = RunHistory(), []
    for event in heard:
        history.apply(event)
        done.append(history.done)
    assert done == list(range(1, 5 * EPOCHS + 1))


@pytest.mark.usefixtures("pairs")
def test_a_pair_shares_the_time_of_an_epoch(config: Config, real: RealSet, tmp_path: Path) -> None:
    ticks = iter(range(10**6))
    _, heard = train(config, real, tmp_path, clock=lambda: float(next(ticks)))
    said = {(e.expert, e.epoch): e.seconds for e in heard if isinstance(e, ExpertEpoch)}
    assert all(said[0, epoch] == said[1, epoch] > 0 for epoch in range(1, EPOCHS + 1))


@pytest.mark.usefixtures("pairs")
def test_a_full_disk_at_the_first_of_a_pair_loses_no_epoch(
    config: Config, real: RealSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "finish", full)
        with pytest.raises(OSError, match="no space"):
            train(config, real, tmp_path)
    _, heard = train(config, real, tmp_path)
    assert [e for e in heard.trained if e[0] < 2] == [(0, EPOCHS), (1, EPOCHS)], "said anew, nothing trained again"


def test_what_is_compiled_beforehand_is_laid_out_as_training_is(real: RealSet) -> None:
    images, labels = warm_batch(real.train_images, 8)
    taken = Sets.shared(real.train_images, real.train_labels, 3).take(torch.zeros(3, 8, dtype=torch.int64))
    for number in range(3):
        assert (images[0].shape, images[0].stride()) == (taken[0][number].shape, taken[0][number].stride())
        assert (labels[0].shape, labels[0].stride()) == (taken[1][number].shape, taken[1][number].stride())
    images, labels = warm_batch(real.train_images[:5], 8)
    assert (len(images[0]), len(labels[0])) == (8, 8), "as many as are asked for, of however few there are"


def test_every_shape_of_judging_networks_is_known_beforehand() -> None:
    net = ConvNet(Network(width=64), (1, 28, 28), 10)
    config = resolve("mnist-ipc1-dream-study").config
    on_gpu = judging_shapes(config, 10, net, torch.device("cuda"))
    assert on_gpu == [Shape(10, False), Shape(40, False)]
    assert judging_shapes(config, 10, net, torch.device("cpu")) == [Shape(10, False), Shape(40, False)]
    wide = ConvNet(Network(width=128), (3, 32, 32), 100)
    for preset, kinds in (("cifar100-ipc1-soft", {True}), ("cifar100-ipc1-bptt-soft", {True, False})):
        soft = resolve(preset).config  # an expert labels the random images of the first, one-hot those of the second
        assert {shape.soft for shape in judging_shapes(soft, 100, wide, torch.device("cuda"))} == kinds
