"""Random selection and the full set: which images, which networks, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.data.types import RawSet
from engine.evaluation import PROTOCOLS, Score, baselines
from engine.evaluation.baselines import full_set, key_of, random_images, random_selection
from engine.experts import Trajectories
from engine.runs.control import StopRequested
from tests.evaluation.helpers import EXECUTION, Court, court, shortened

SETTINGS: dict[str, Any] = {
    "data__validation": 0.2,
    "data__train_limit": 0,
    "evaluation__random_draws": 3,
    "evaluation__random_networks": 2,
    "synthetic__images_per_class": 2,
}


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    with shortened():
        yield


def select(setting: Court, cache: Path, **changes: Any) -> Score:
    arguments: dict[str, Any] = {"augment": setting.augment, "cache_dir": cache, "execution": EXECUTION}
    return random_selection(setting.config, setting.real, setting.net, **(arguments | changes))


def files(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "baselines").rglob("*.json")}


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.contiguous().numpy().tobytes() for image in images}


def test_draws_are_training_images_without_validation_and_readout(digits: RawSet) -> None:
    setting = court(digits, **SETTINGS, information__readout=300)
    real = setting.real
    assert real.validation_images is not None
    assert real.readout_images is not None
    taken = [random_images(real, 5, 0, draw) for draw in range(30)]
    for images, labels in taken:
        assert torch.bincount(labels).tolist() == [5] * 10
        assert labels.tolist() == sorted(labels.tolist())
        assert len(rows(images)) == 50, "no image twice"
    everything = rows(torch.cat([images for images, _ in taken]))
    pools = rows(real.train_images[torch.cat(real.class_indices)])
    assert everything <= pools
    assert len(everything) > 0.6 * len(pools), "from all of them"
    assert not everything & rows(real.readout_images)
    assert not everything & (rows(real.validation_images) - pools)
    assert not everything & (rows(real.test_images) - pools)
    by_label = dict(zip_rows(real.train_images, real.train_labels))
    assert all(by_label[image] == label for images, labels in taken for image, label in zip_rows(images, labels))


def zip_rows(images: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[bytes, int]]:
    for image, label in zip(images, labels.tolist(), strict=True):
        yield image.contiguous().numpy().tobytes(), label


def test_draws_differ_and_can_be_repeated(digits: RawSet) -> None:
    real = court(digits, **SETTINGS).real
    assert torch.equal(random_images(real, 2, 0, 1)[0], random_images(real, 2, 0, 1)[0])
    assert not torch.equal(random_images(real, 2, 0, 1)[0], random_images(real, 2, 0, 2)[0])
    assert not torch.equal(random_images(real, 2, 0, 1)[0], random_images(real, 2, 1, 1)[0])


def test_every_draw_is_judged_like_any_set_at_the_protocols_own_rate(digits: RawSet, tmp_path: Path) -> None:
    """The accuracies are those of evaluating each draw, without a step size, on the test images."""
    setting = court(digits, **SETTINGS)
    found = select(setting, tmp_path)
    assert len(found.accuracies) == 6
    assert (found.protocol, found.measured_on) == ("quick-100", "test")
    expected: list[float] = []
    for draw in range(3):
        images, labels = random_images(setting.real, 2, setting.config.experts.seed, draw)
        score = setting.score(
            images=images, labels=labels, step_size=None, networks=2, seed=setting.config.experts.seed,
            purpose=("random selection", draw),
        )  # fmt: skip
        expected += score.accuracies
    assert list(found.accuracies) == expected
    assert found.std == pytest.approx(torch.tensor(expected, dtype=torch.float64).std().item())


def test_kept_and_found_again(digits: RawSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = court(digits, **SETTINGS)
    heard: list[tuple[int, int]] = []
    first = select(setting, tmp_path, progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (6, 6)
    kept = files(tmp_path)
    assert len(kept) == 3

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("nothing is to be trained")

    with monkeypatch.context() as patch:
        patch.setattr(baselines, "train_networks", refuse)
        assert select(court(digits, **SETTINGS, seed=4, information__weight=0.0), tmp_path) == first
    assert files(tmp_path) == kept
    fresh = select(setting, tmp_path / "elsewhere")
    assert replace(fresh, seconds=first.seconds) == first, "what was kept is what is computed"


def test_more_draws_add_to_those_there(digits: RawSet, tmp_path: Path) -> None:
    few = select(court(digits, **SETTINGS | {"evaluation__random_draws": 1}), tmp_path)
    kept = files(tmp_path)
    more = select(court(digits, **SETTINGS), tmp_path)
    assert list(more.accuracies[:2]) == list(few.accuracies)
    assert kept.items() < files(tmp_path).items()
    assert list(select(court(digits, **SETTINGS), tmp_path / "at once").accuracies) == list(more.accuracies)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"accuracies": [0.5], "seconds": 1.0}',
    '{"accuracies": [0.5, 7.0], "seconds": 1.0}', '{"accuracies": [0.5, "x"], "seconds": 1.0}',
    '{"accuracies": [0.5, NaN], "seconds": 1.0}'])  # fmt: skip
def test_a_damaged_draw_is_done_again(text: str, digits: RawSet, tmp_path: Path) -> None:
    setting = court(digits, **SETTINGS)
    first = select(setting, tmp_path)
    path = sorted((tmp_path / "baselines").rglob("*.json"))[1]
    path.write_text(text)
    assert list(select(setting, tmp_path).accuracies) == list(first.accuracies)
    assert len(json.loads(path.read_text())["accuracies"]) == 2


def test_an_interruption_keeps_the_draws_that_are_done(
    digits: RawSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With networks too large to be trained side by side."""
    monkeypatch.setattr(baselines, "_at_once", lambda *arguments: 1)
    setting = court(digits, **SETTINGS)
    whole = select(setting, tmp_path / "whole")
    interruptions = 0
    for _ in range(20):
        left = 8

        def tick() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise StopRequested

        try:
            found = select(setting, tmp_path / "torn", tick=tick)
            break
        except StopRequested:
            interruptions += 1
            assert len(files(tmp_path / "torn")) == interruptions
    assert interruptions == 2
    assert list(found.accuracies) == list(whole.accuracies)


@pytest.mark.parametrize(
    "change",
    [
        {"data__validation": 0.1}, {"data__test_limit": 100}, {"data__zca": True}, {"network__width": 5},
        {"network__norm": "group"}, {"augmentation__rotate": 1.0}, {"synthetic__images_per_class": 3},
        {"evaluation__protocol": "paper-300"}, {"evaluation__random_networks": 1}, {"experts__seed": 1},
        {"information__readout": 50},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_decides_a_draw_is_in_its_key(change: dict[str, Any], digits: RawSet) -> None:
    one, other = court(digits, **SETTINGS), court(digits, **SETTINGS | change)
    keys = [key_of(each.config, each.real, each.net, EXECUTION) for each in (one, other)]
    assert keys[0] != keys[1]
    assert key_of(one.config, one.real, one.net, {**EXECUTION, "threads": 2}) != keys[0]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"evaluation__random_draws": 9}, {"evaluation__networks": 9}, {"experts__count": 9},
        {"information__weight": 0.0}, {"objective__step_size": 0.9}, {"synthetic__init": "noise"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_does_not_is_not(change: dict[str, Any], digits: RawSet) -> None:
    one, other = court(digits, **SETTINGS), court(digits, **SETTINGS | change)
    assert key_of(one.config, one.real, one.net, EXECUTION) == key_of(other.config, other.real, other.net, EXECUTION)


def test_another_protocol_of_the_same_name_is_another_key(digits: RawSet, monkeypatch: pytest.MonkeyPatch) -> None:
    one = court(digits, **SETTINGS)
    before = key_of(one.config, one.real, one.net, EXECUTION)
    with monkeypatch.context() as patch:
        patch.setitem(PROTOCOLS, "quick-100", replace(PROTOCOLS["quick-100"], momentum=0.8))
        assert key_of(one.config, one.real, one.net, EXECUTION) != before


def test_the_full_set_is_the_experts_last_epoch() -> None:
    found = full_set(Trajectories([], 5, [0.5, 0.75, 1.0], torch.device("cpu")))
    assert list(found.accuracies) == [0.5, 0.75, 1.0]
    assert (found.mean, found.std) == (0.75, 0.25)
    assert (found.protocol, found.measured_on) == ("experts-last-epoch", "test")
