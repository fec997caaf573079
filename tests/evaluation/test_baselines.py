"""What of the baseline of random real images is kept, and what of a run's settings decides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.data.types import RawSet
from engine.evaluation import baselines
from engine.evaluation.baselines import key_of, random_images, random_selection
from engine.evaluation.evaluate import Score
from engine.evaluation.protocols import PROTOCOLS
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


def test_draws_differ_and_can_be_repeated(digits: RawSet) -> None:
    real = court(digits, **SETTINGS).real
    assert torch.equal(random_images(real, 2, 0, 1)[0], random_images(real, 2, 0, 1)[0])
    assert not torch.equal(random_images(real, 2, 0, 1)[0], random_images(real, 2, 0, 2)[0])
    assert not torch.equal(random_images(real, 2, 0, 1)[0], random_images(real, 2, 1, 1)[0])


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
