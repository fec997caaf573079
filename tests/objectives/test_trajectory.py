"""Trajectory matching: which expert, from which epoch to which, on which batches, and what decides them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.experts import Trajectories
from engine.gradient import StepInput
from engine.kernels import eager
from engine.networks import ConvNet
from engine.objectives import Context, SyntheticSet, Trajectory
from engine.runs.control import StopRequested
from engine.seeds import generator

SHAPE, CPU = (1, 8, 8), torch.device("cpu")
EXPERTS, EPOCHS, STEPS = 4, 9, 5


class Given(Trajectories):
    """Drawn experts; remembers what was read."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__([], EPOCHS, [0.5] * EXPERTS, CPU)
        self.net = net
        self.read: list[tuple[int, int]] = []

    @property
    def count(self) -> int:
        return EXPERTS

    def parameters(self, expert: int, epoch: int) -> Tensor:
        self.read.append((expert, epoch))
        return self.net.init(generator(expert, "epoch", epoch))


@dataclass
class Clock:
    """Counts ticks, and stops at one of them."""

    stop_at: int = 0
    ticks: int = 0

    def __call__(self) -> None:
        self.ticks += 1
        if self.ticks == self.stop_at:
            raise StopRequested


@dataclass
class Setting:
    """The objective on a tiny network, two synthetic images a class."""

    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    seed: int = 0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        values: dict[str, Any] = {
            "seed": self.seed,
            "network": {"depth": 1, "width": 2},
            "synthetic": {"images_per_class": 2},
            "experts": {"count": EXPERTS, "epochs": EPOCHS},
            "objective": {"student_steps": STEPS, "expert_epochs": 3, "max_start_epoch": 4, "batch_size": 8},
        }
        for section, settings in self.changes.items():
            values[section] = {**values.get(section, {}), **settings}
        self.config = Config.model_validate(values)
        self.net = ConvNet(self.config.network, SHAPE, 10)
        self.experts = Given(self.net)
        augment = Augment(self.config.augmentation, SHAPE)
        kernels = eager(self.net)
        context = Context(
            self.config, cast("RealSet", None), self.net, self.experts, augment, kernels, CPU, self.clock
        )  # fmt: skip
        self.objective = Trajectory(context)
        labels = torch.arange(10).repeat_interleave(2)
        pixels = torch.randn(20, *SHAPE, generator=generator(1, "pixels"))
        self.set = SyntheticSet(pixels, labels, torch.tensor(0.05))


def plain(inputs: list[StepInput]) -> list[Any]:
    """Batches and draws as plain values."""
    values = []
    for given in inputs:
        draw = getattr(given.augmentation, "keywords", {}).get("draw")
        batch = None if given.batch is None else given.batch.tolist()
        values.append((batch, None if draw is None else (draw.op, draw.values.tolist())))
    return values


@pytest.mark.parametrize("seed", [0, 3])
def test_every_expert_is_visited_once_a_round(seed: int) -> None:
    objective = Setting(seed=seed).objective
    visits = [objective.expert(iteration) for iteration in range(10 * EXPERTS)]
    rounds = [tuple(visits[start : start + EXPERTS]) for start in range(0, len(visits), EXPERTS)]
    assert all(sorted(one) == list(range(EXPERTS)) for one in rounds)
    assert len(set(rounds)) > 3, "in an order of its own"
    assert [objective.expert(iteration) for iteration in reversed(range(len(visits)))] == visits[::-1]


def test_seeds_visit_in_orders_of_their_own() -> None:
    orders = {tuple(Setting(seed=seed).objective.expert(i) for i in range(12)) for seed in range(4)}
    assert len(orders) == 4


def test_start_epochs_are_all_reached_and_the_target_is_m_later() -> None:
    setting = Setting({"objective": {"student_steps": 1}})
    starts = set()
    for iteration in range(60):
        setting.experts.read.clear()
        episode = setting.objective.episode(setting.set, iteration)
        (expert, start), (matched, target) = setting.experts.read
        assert expert == matched == setting.objective.expert(iteration)
        assert target == start + 3
        starts.add(start)
        assert torch.equal(episode.training.kept[0][0], setting.experts.parameters(expert, start))
        assert torch.equal(episode.networks.start, setting.experts.parameters(expert, start))
        assert torch.equal(episode.networks.target, setting.experts.parameters(expert, target))
        assert torch.equal(episode.networks.last(), setting.experts.parameters(expert, EPOCHS))
    assert starts == {0, 1, 2, 3}


def test_the_latest_stretch_ends_at_the_experts_last_epoch() -> None:
    setting = Setting({"objective": {"student_steps": 1, "max_start_epoch": EPOCHS - 2}})
    for iteration in range(60):
        setting.objective.episode(setting.set, iteration)
    assert max(epoch for _, epoch in setting.experts.read) == EPOCHS


@pytest.mark.parametrize("images", [20, 21, 24])
def test_chunks_cover_a_permutation_before_a_new_one_is_drawn(images: int) -> None:
    setting = Setting({"objective": {"student_steps": 9, "batch_size": 8}})
    batches = [given.batch for given in setting.objective.inputs(images, generator(2, "draws"))]
    rounds = [batches[start : start + 3] for start in (0, 3, 6)]
    orders = []
    for one in rounds:
        chunks = [batch.tolist() for batch in one if batch is not None]
        assert [len(chunk) for chunk in chunks] == [8, 8, images - 16]
        order = [index for chunk in chunks for index in chunk]
        assert sorted(order) == list(range(images))
        orders.append(tuple(order))
    assert len(set(orders)) == 3


@pytest.mark.parametrize("size", [0, 20])
def test_a_batch_of_everything_is_not_shuffled(size: int) -> None:
    setting = Setting({"objective": {"batch_size": size}})
    assert {given.batch for given in setting.objective.inputs(20, generator(2, "draws"))} == {None}


def test_every_step_is_augmented_anew_and_not_at_all_where_it_is_off() -> None:
    drawn = plain(Setting().objective.inputs(20, generator(2, "draws")))
    assert len({repr(draw) for _, draw in drawn}) == STEPS
    off = Setting({"augmentation": {"strategy": "none"}}).objective.inputs(20, generator(2, "draws"))
    assert {given.augmentation for given in off} == {None}


INFORMATION: list[dict[str, Any]] = [
    {"weight": 0.0},
    {"weight": 5.0, "loss": "nce", "bias": "batch", "real_batch": 500, "augment": "independent"},
    {"synthetic_network": "attached", "real_network": "fresh", "layers": "last", "critic_steps": 7, "readout": 40},
]


@pytest.mark.parametrize("information", INFORMATION)
def test_what_is_drawn_does_not_depend_on_the_information_term(information: dict[str, Any]) -> None:
    one, other = Setting(), Setting({"information": information})
    for iteration in (0, 1, 7):
        first, second = (each.objective.episode(each.set, iteration) for each in (one, other))
        assert one.experts.read == other.experts.read
        assert plain(list(first.training.inputs)) == plain(list(second.training.inputs))
        assert torch.equal(first.student, second.student)
        assert torch.equal(first.gradient().pixels, second.gradient().pixels)


def test_an_iteration_depends_on_no_other() -> None:
    """What a resumed run relies on."""
    one, other = Setting(), Setting()
    for iteration in range(4):
        one.objective.episode(one.set, iteration)
    first, second = (each.objective.episode(each.set, 4) for each in (one, other))
    assert plain(list(first.training.inputs)) == plain(list(second.training.inputs))
    assert torch.equal(first.loss, second.loss)
    assert not torch.equal(first.loss, one.objective.episode(one.set, 5).loss)


@pytest.mark.parametrize("at", [1, STEPS, STEPS + 1, 2 * STEPS])
def test_both_sweeps_can_be_stopped_before_each_step(at: int) -> None:
    setting = Setting(clock=Clock(stop_at=at))
    with pytest.raises(StopRequested):
        setting.objective.episode(setting.set, 0).gradient()
    assert setting.clock.ticks == at


def test_pulling_a_cotangent_back_cannot_be_stopped() -> None:
    """By then the critic has learned: a checkpoint would hold it beside the pixels of before."""
    setting = Setting()
    episode = setting.objective.episode(setting.set, 0)
    gradient_ = episode.gradient()
    assert setting.clock.ticks == 2 * STEPS
    again = episode.pull_back(episode.cotangent)
    assert setting.clock.ticks == 2 * STEPS
    assert torch.equal(gradient_.pixels, again.pixels)
