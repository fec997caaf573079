"""Settings that are fine one by one, but not together: each rule here keeps a run from failing later.

What can be known of the published data sets without reading them is checked against their counts; files
that are not the published ones are checked again when they are split (``engine.data.prepare``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.config.datasets import CLASSES, TEST_IMAGES, TRAIN_IMAGES, image_side
from engine.data.shares import even, proportional
from engine.wording import counted

if TYPE_CHECKING:
    from engine.config.schema import Config


MATCH_EXPERTS = ("trajectory", "tesla")
"""Objectives that compare a student with an expert some epochs later."""

LEARN_LABELS = ("trajectory", "bptt")
"""Objectives whose gradient reaches the labels of the synthetic set."""

TRAIN_STUDENTS = (*MATCH_EXPERTS, "bptt")
"""Objectives that train a student on the synthetic set, so that its end point depends on the pixels."""


DRAW_REAL = ("bptt", "dream", "distribution")
"""Objectives whose loss is on a batch of real images."""


@dataclass(frozen=True)
class Problem:
    """Settings that exclude each other, and what to do about it. The first key is the one most likely meant."""

    keys: tuple[str, ...]
    message: str


def problems(config: Config) -> Iterator[Problem]:
    """What is wrong between the settings of a configuration whose single values are all allowed."""
    yield from _trajectory(config)
    yield from _objective(config)
    yield from _network(config)
    yield from _synthetic(config)
    yield from _information(config)
    yield from _images(config)


def _trajectory(config: Config) -> Iterator[Problem]:
    if config.objective.name not in MATCH_EXPERTS:
        return
    last = config.objective.max_start_epoch - 1 + config.objective.expert_epochs
    if last > config.experts.epochs:
        yield Problem(
            ("objective.max_start_epoch", "objective.expert_epochs", "experts.epochs"),
            f"objective.max_start_epoch - 1 + objective.expert_epochs = {last} must not exceed "
            f"experts.epochs = {config.experts.epochs}: lower one of the first two or train the experts longer",
        )


def _objective(config: Config) -> Iterator[Problem]:
    """What the objectives ask of their own settings and of the term's."""
    objective = config.objective
    if objective.name == "bptt" and objective.window > objective.student_steps:
        yield Problem(
            ("objective.window", "objective.student_steps"),
            f"objective.window = {objective.window} exceeds objective.student_steps = {objective.student_steps}; "
            "0 differentiates through all of them",
        )
    if objective.name not in TRAIN_STUDENTS and config.information.synthetic_network == "attached":
        yield Problem(
            ("information.synthetic_network", "objective.name"),
            f"objective {objective.name} trains no student on the synthetic set, so there is none for "
            "information.synthetic_network = attached: choose student or same",
        )


def _network(config: Config) -> Iterator[Problem]:
    network, name = config.network, config.data.name
    deepest = image_side(name).bit_length() - 1
    if network.pooling != "none" and network.depth > deepest:
        yield Problem(
            ("network.depth", "network.pooling", "data.name"),
            f"network.depth = {network.depth} pools images of {name} below one pixel: at most {deepest} blocks, "
            "or network.pooling = none",
        )
    if network.norm == "group" and network.width % 4:
        yield Problem(
            ("network.norm", "network.width"),
            f"network.norm = group has 4 groups, so network.width = {network.width} must be a multiple of 4",
        )


def _synthetic(config: Config) -> Iterator[Problem]:
    factor, name = config.synthetic.formation, config.data.name
    side = 28 if name == "mnist" else image_side(name)
    if side % factor:
        yield Problem(
            ("synthetic.formation", "data.name"),
            f"synthetic.formation = {factor} does not divide the {side} pixels of a side of {name}'s images",
        )
    size = config.synthetic.images_per_class * CLASSES[name] * factor**2
    if config.objective.batch_size > size:
        yield Problem(
            ("objective.batch_size", "synthetic.images_per_class", "synthetic.formation", "data.name"),
            f"objective.batch_size = {config.objective.batch_size} exceeds the synthetic set's {size} images; "
            "0 takes all",
        )
    yield from _labels(config)


def _labels(config: Config) -> Iterator[Problem]:
    kind, objective = config.synthetic.labels, config.objective.name
    if kind != "hard" and objective not in LEARN_LABELS:
        yield Problem(
            ("synthetic.labels", "objective.name"),
            f"objective {objective} has no gradient by the labels: synthetic.labels = {kind} is for "
            f"{' and '.join(LEARN_LABELS)}",
        )
    elif kind == "softmax" and config.synthetic.init != "real":
        yield Problem(
            ("synthetic.labels", "synthetic.init"),
            f"synthetic.labels = softmax starts from what an expert sees in the first images, and synthetic.init = "
            f"{config.synthetic.init} shows it none: choose init = real, or labels = free",
        )


def _information(config: Config) -> Iterator[Problem]:
    """Every batch of the term needs each class: pairs are positive by their label."""
    if config.information.weight == 0:
        return
    classes = CLASSES[config.data.name]
    for key in ("real_batch", "synthetic_batch", "readout"):
        value = getattr(config.information, key)
        if value < classes:
            yield Problem(
                (f"information.{key}", "data.name"),
                f"information.{key} = {value} must be at least the {classes} classes of {config.data.name}",
            )


def _images(config: Config) -> Iterator[Problem]:
    """Whether the data set has the images that are asked for, class by class."""
    data, name = config.data, config.data.name
    if data.test_limit > TEST_IMAGES[name]:
        yield Problem(
            ("data.test_limit", "data.name"),
            f"data.test_limit = {data.test_limit} exceeds the {TEST_IMAGES[name]:,} test images of {name}; 0 uses all",
        )
    published = TRAIN_IMAGES[name]
    held_out = round(data.validation * sum(published))
    if data.validation and held_out == 0:
        yield Problem(
            ("data.validation", "data.name"),
            f"data.validation = {data.validation} of {sum(published):,} images holds out none; raise it",
        )
    left = [size - out for size, out in zip(published, proportional(published, held_out), strict=True)]
    if data.train_limit > sum(left):
        yield Problem(
            ("data.train_limit", "data.validation", "data.name"),
            f"data.train_limit = {data.train_limit} exceeds the {counted(sum(left), 'training image')} of {name} not "
            "held out; 0 uses all",
        )
        return
    yield from _pools(config, even(left, data.train_limit) if data.train_limit else left)


def _pools(config: Config, train: list[int]) -> Iterator[Problem]:
    """Whether every class keeps enough images beside those the bound is read on."""
    name = config.data.name
    limits = ("data.train_limit", "data.validation", "data.name")
    readout = config.information.readout  # set apart with the term off too, so that a pair starts alike
    if readout > sum(train):
        yield Problem(
            ("information.readout", *limits),
            f"information.readout = {readout} exceeds the {counted(sum(train), 'training image')} of {name} in use; "
            "lower it",
        )
        return
    pool = min(size - apart for size, apart in zip(train, even(train, readout), strict=True))
    kept = counted(pool, "training image")
    beside = f" beside the {readout} of information.readout"
    among: tuple[str, ...] = (*limits, "information.readout")
    if pool < 1:
        ways = [
            *(["raise data.train_limit (0 uses all)"] if config.data.train_limit else []),
            *(["lower data.validation"] if config.data.validation else []),
            "lower information.readout",
        ]
        yield Problem(among, f"a class of {name} is left without a training image{beside}: {' or '.join(ways)}")
        return
    each, factor = config.synthetic.images_per_class, config.synthetic.formation
    if each * factor**2 > pool and config.synthetic.init == "real":
        needs = f"synthetic.images_per_class = {each}"
        if factor > 1:
            needs += f" with synthetic.formation = {factor} starts from {each * factor**2} images a class"
        yield Problem(
            ("synthetic.images_per_class", "synthetic.formation", "synthetic.init", *among),
            f"{needs}, but a class of {name} has only {kept}{beside}: lower it, or start from noise (synthetic.init)",
        )
    elif each > pool and config.evaluation.random_draws:
        yield Problem(
            ("synthetic.images_per_class", "evaluation.random_draws", *among),
            f"synthetic.images_per_class = {each}, but a class of {name} has only {kept}{beside} for the random "
            "selection: lower it, or leave that baseline out (evaluation.random_draws = 0)",
        )
