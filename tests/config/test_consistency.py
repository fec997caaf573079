"""What the rules between settings promise: a legal configuration finds its images, an illegal one would not have."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.datasets import CLASSES, TEST_IMAGES, TRAIN_IMAGES, image_side
from engine.config.load import change, changed
from engine.config.schema import Config
from engine.data.prepare import split
from engine.data.sources import load
from engine.data.types import RawSet
from engine.errors import ConfigError
from engine.networks import ConvNet

PUBLISHED = {"mnist": (60_000, 10), "svhn": (73_257, 10), "cifar10": (50_000, 10), "cifar100": (50_000, 100)}


@pytest.fixture(scope="module")
def digits() -> RawSet:
    """The built-in set."""
    return load("digits")


def test_counts_of_the_digits_are_those_of_their_split(digits: RawSet) -> None:
    assert tuple(digits.train.labels.bincount().tolist()) == TRAIN_IMAGES["digits"]
    assert len(digits.test.labels) == TEST_IMAGES["digits"]
    assert CLASSES["digits"] == digits.classes
    assert image_side("digits") == digits.shape[1]


def test_counts_of_the_other_sets_are_the_published_ones() -> None:
    assert {name: (sum(TRAIN_IMAGES[name]), CLASSES[name]) for name in PUBLISHED} == PUBLISHED
    assert set(TRAIN_IMAGES) == set(TEST_IMAGES) == {*PUBLISHED, "digits"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    validation=st.sampled_from([0.0, 1e-5, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999]),
    train_limit=st.sampled_from([0, 1, 9, 10, 11, 25, 100, 143, 700, 1300, 1437, 1438]),
    test_limit=st.sampled_from([0, 1, 359, 360, 361]),
    readout=st.sampled_from([1, 9, 10, 15, 90, 500, 1290, 1380, 1437, 1438]),
    each=st.sampled_from([1, 2, 10, 90, 138, 139]),
    weight=st.sampled_from([0.0, 0.8]),
    init=st.sampled_from(["real", "noise"]),
    draws=st.sampled_from([0, 3]),
)
def test_a_configuration_is_legal_exactly_where_its_images_are_there(
    digits: RawSet,
    validation: float,
    train_limit: int,
    test_limit: int,
    readout: int,
    each: int,
    weight: float,
    init: str,
    draws: int,
) -> None:
    values = {
        "data.validation": validation,
        "data.train_limit": train_limit,
        "data.test_limit": test_limit,
        "information.readout": readout,
        "information.weight": weight,
        "synthetic.images_per_class": each,
        "synthetic.init": init,
        "evaluation.random_draws": draws,
    }
    try:
        config = changed(Config(), values)
    except ConfigError:
        legal = False
        # The parts alone, which are always legal one by one, for asking the data itself.
        data = Config().data.model_copy(
            update={"validation": validation, "train_limit": train_limit, "test_limit": test_limit}
        )
    else:
        legal, data = True, config.data
    needs_pools = init == "real" or draws > 0
    assert legal == _there(digits, data, readout, each, needs_pools=needs_pools, reads=weight > 0)


def _there(digits: RawSet, data: Any, readout: int, each: int, *, needs_pools: bool, reads: bool) -> bool:
    """Whether the real split succeeds, every class is read on, and every pool is large enough.

    The readout images are set apart with the term off too.
    """
    try:
        chosen = split(digits, data, seed=0, readout=readout)
    except ConfigError:
        return False
    labels = digits.train.labels
    if reads and len(set(labels[chosen.readout].tolist())) < digits.classes:
        return False
    pool = chosen.train[~torch.isin(chosen.train, chosen.readout)]
    smallest = int(labels[pool].bincount(minlength=digits.classes).min())
    return smallest >= (each if needs_pools else 1)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"network.depth": 4}, "network.depth"),
        ({"network.norm": "group", "network.width": 6}, "network.width"),
        ({"network.width": 6, "network.norm": "group"}, "network.norm"),
        ({"objective.batch_size": 11}, "objective.batch_size"),
        ({"objective.expert_epochs": 50}, "objective.expert_epochs"),
        ({"experts.epochs": 2}, "experts.epochs"),
        ({"information.real_batch": 9}, "information.real_batch"),
        ({"information.synthetic_batch": 9}, "information.synthetic_batch"),
        ({"information.readout": 9}, "information.readout"),
        ({"data.name": "cifar100", "information.readout": 99}, "information.readout"),
        ({"information.readout": 300, "data.name": "cifar100", "information.real_batch": 99}, "information.real_batch"),
        ({"data.test_limit": 361}, "data.test_limit"),
        ({"data.validation": 0.0001}, "data.validation"),
        ({"data.train_limit": 1438}, "data.train_limit"),
        ({"synthetic.images_per_class": 139}, "synthetic.images_per_class"),
        ({"synthetic.formation": 3}, "synthetic.formation"),
        ({"synthetic.images_per_class": 30, "synthetic.formation": 2}, "synthetic.formation"),
        ({"synthetic.formation": 2, "objective.batch_size": 41}, "objective.batch_size"),
        ({"objective.name": "bptt", "objective.window": 51}, "objective.window"),
        ({"objective.window": 30, "objective.name": "bptt", "objective.student_steps": 29}, "objective.student_steps"),
        ({"objective.name": "dream", "information.synthetic_network": "attached"}, "information.synthetic_network"),
        ({"information.synthetic_network": "attached", "objective.name": "dream"}, "objective.name"),
    ],
)
def test_settings_that_exclude_each_other_are_told_of_the_last_one_set(values: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(Config(), values)
    assert str(caught.value).startswith(f"settings: {key}: ")
    assert "\n" not in str(caught.value)


def test_the_form_can_attribute_a_clash_to_what_was_typed() -> None:
    with pytest.raises(ConfigError) as caught:
        change(Config(), "experts.epochs", "2")
    assert str(caught.value).startswith("settings: experts.epochs: ")
    assert "objective.max_start_epoch" in str(caught.value)


def test_only_methods_that_match_experts_ask_how_long_they_were_trained() -> None:
    for name in ("trajectory", "tesla"):
        with pytest.raises(ConfigError, match="max_start_epoch"):
            changed(Config(), {"objective.name": name, "experts.epochs": 2})
    for name in ("bptt", "dream"):
        assert changed(Config(), {"objective.name": name, "experts.epochs": 2}).experts.epochs == 2


def test_a_formation_divides_the_images_of_every_set() -> None:
    """28 pixels of MNIST's images, though the network pads them to 32."""
    for name, factors in (("digits", {1, 2, 4, 8}), ("mnist", {1, 2, 4, 7, 14}), ("cifar10", {1, 2, 4, 8, 16})):
        legal = set()
        for factor in range(1, 17):
            try:
                changed(Config(), {"data.name": name, "synthetic.formation": factor, "synthetic.init": "noise"})
            except ConfigError:
                continue
            legal.add(factor)
        assert legal == factors


def test_decoded_images_are_enough_for_a_batch() -> None:
    config = changed(Config(), {"synthetic.formation": 2, "objective.batch_size": 40})
    assert config.objective.batch_size == 40


def test_the_term_makes_no_demands_while_it_is_off() -> None:
    off = {"information.weight": 0.0, "information.readout": 1, "information.real_batch": 1}
    assert changed(Config(), off).information.readout == 1


@pytest.mark.parametrize("name", TRAIN_IMAGES)
@pytest.mark.parametrize("pooling", ["avg", "max", "none"])
def test_every_legal_depth_has_a_network_and_the_next_has_none(name: str, pooling: str) -> None:
    shape = {"digits": (1, 8, 8), "mnist": (1, 28, 28)}.get(name, (3, 32, 32))
    deepest = 0
    for depth in range(1, 7):
        try:
            config = changed(Config(), {"data.name": name, "network.pooling": pooling, "network.depth": depth})
        except ConfigError:
            break
        net = ConvNet(config.network, shape, CLASSES[name])
        assert net.feature_shapes[-2][-1] >= 1
        deepest = depth
    assert deepest == (6 if pooling == "none" else 3 if name == "digits" else 5)


@pytest.mark.parametrize("name", ["tesla", "dream", "distribution"])
def test_labels_are_learned_only_where_the_gradient_reaches_them(name: str) -> None:
    with pytest.raises(ConfigError, match=f"objective {name} has no gradient by the labels"):
        changed(Config(), {"objective.name": name, "synthetic.labels": "free"})


def test_labels_of_an_expert_need_images_that_it_knows() -> None:
    with pytest.raises(ConfigError, match=r"synthetic\.init"):
        changed(Config(), {"synthetic.labels": "softmax", "synthetic.init": "noise"})
    assert changed(Config(), {"synthetic.labels": "free", "synthetic.init": "noise"}).synthetic.labels == "free"
