"""The term's gradient on a tiny network in float64, against one graph through everything."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.data.types import RawSet
from engine.distill import Loop
from engine.experts import Trajectories
from engine.information import contrast
from engine.information.critic import pool
from engine.information.term import InformationTerm, Sides
from engine.kernels import eager
from engine.networks import ConvNet
from engine.objectives import Context, Trajectory
from engine.seeds import generator
from engine.state import initial_state
from tests.distill.helpers import tiny
from tests.distill.test_loop import Quiet

DOUBLE = torch.float64
MODES = ("student", "attached", "same")


class GivenTrajectories(Trajectories):
    """Experts in double precision, drawn."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__([], 3, [0.5, 0.5], torch.device("cpu"))
        self.net = net

    @property
    def count(self) -> int:
        return 2

    def parameters(self, expert: int, epoch: int) -> Tensor:
        start = self.net.init(generator(expert, "start")).double()
        return start + 0.05 * epoch * self.net.init(generator(expert, "way", epoch)).double()


@pytest.fixture(scope="module")
def digits() -> RawSet:
    return load("digits")


def doubled(real: RealSet) -> RealSet:
    values = dict(vars(real))
    for name in ("train_images", "test_images", "readout_images"):
        values[name] = values[name].double()
    return RealSet(**values)


class Setting:
    """A term, an objective and a loop around them, all in float64."""

    def __init__(self, raw: RawSet, **changes: Any) -> None:
        self.config: Config = tiny(
            **{
                "network__depth": 2,
                "information__layers": "blocks+logits",
                "information__scaling": "raw",
                "information__weight": 0.7,
                "information__critic_steps": 0,
                "information__warmup": 0,
                "objective__step_size": 0.0625,  # the same in float32
                "objective__batch_size": 4,
                **changes,
            }
        )
        self.real = doubled(prepare(raw, self.config.data, seed=0, readout=40))
        self.net = ConvNet(self.config.network, self.real.shape, 10)
        self.labels = torch.arange(10)
        self.augment = Augment(self.config.augmentation, self.real.shape)
        device = torch.device("cpu")
        self.term = InformationTerm(self.config.information, self.net, self.real, self.labels, self.augment, 0, device)
        self.term.critic.double()
        context = Context(
            self.config, self.real, self.net, GivenTrajectories(self.net), self.augment,
            eager(self.net), device, lambda: None,
        )  # fmt: skip
        self.objective = Trajectory(context)
        self.pixels = torch.randn(10, *self.real.shape, generator=generator(1, "pixels"), dtype=DOUBLE)
        self.loop = Loop(self.config, self.objective, self.term, self.labels, 10, Quiet(), lambda: None)

    def literal(self, iteration: int) -> tuple[Tensor, Tensor, Tensor]:
        """Objective and weighted term through one graph: total loss, its slopes by pixels and step size."""
        settings, information = self.config.objective, self.config.information
        leaf = self.pixels.clone().requires_grad_()
        size = torch.tensor(settings.step_size, dtype=DOUBLE, requires_grad=True)
        draws = generator(self.config.seed, "iteration", iteration)
        epoch = int(torch.randint(settings.max_start_epoch, (), generator=draws))
        experts = self.objective.context.trajectories
        expert = self.objective.expert(iteration)
        start = experts.parameters(expert, epoch)
        target = experts.parameters(expert, epoch + settings.expert_epochs)
        parameters = start.clone().requires_grad_()
        for given in self.objective.inputs(10, draws):
            x, y = (leaf, self.labels) if given.batch is None else (leaf[given.batch], self.labels[given.batch])
            x = x if given.augmentation is None else given.augmentation(x)
            (slope,) = torch.autograd.grad(F.cross_entropy(self.net(parameters, x), y), parameters, create_graph=True)
            parameters = parameters - size * slope
        matching = (parameters - target).square().sum() / (start - target).square().sum()
        total = matching + information.weight * self.contrast(leaf, parameters, target, iteration)
        by_pixels, by_size = torch.autograd.grad(total, (leaf, size))
        return total.detach(), by_pixels, by_size

    def contrast(self, pixels: Tensor, student: Tensor, target: Tensor, iteration: int) -> Tensor:
        """The weighted sum over layers, written out."""
        information = self.config.information
        draws = generator(self.config.seed, "information", iteration)
        torch.rand(10, 1, generator=draws)  # the order of the one image a class
        picked = torch.cat(
            [pool_[torch.randint(len(pool_), (4,), generator=draws)] for pool_ in self.real.class_indices]
        )
        synthetic = {"attached": student, "student": student.detach(), "same": target}[information.synthetic_network]
        left = self.net.features(synthetic, pixels)
        right = self.net.features(target, self.real.train_images[picked])
        weights = contrast.pairs(self.labels, self.real.train_labels[picked])
        total = torch.zeros((), dtype=DOUBLE)
        for k in range(3):
            scores = self.term.critic.scores(k, pool(left[k], information), pool(right[k], information))
            total = total + information.layer_growth ** (k - 1) * contrast.infonce_loss(scores, weights)
        return total


def close(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    assert theirs.norm() > 0
    assert float((ours - theirs).norm()) <= tolerance * float(theirs.norm())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("iteration", [0, 3])
def test_an_iterations_gradient_is_that_of_one_graph(mode: str, iteration: int, digits: RawSet) -> None:
    """Through the features, and, where the student is attached, through every step of its training as well."""
    setting = Setting(digits, information__synthetic_network=mode)
    state = initial_state(setting.config, setting.pixels)
    state.iteration = iteration
    event = setting.loop.iterate(state)
    total, by_pixels, by_size = setting.literal(iteration)
    assert event.nce is not None
    assert event.objective + 0.7 * event.nce == pytest.approx(float(total), rel=1e-10)
    close(state.momentum, by_pixels, 1e-9)
    assert state.step_momentum == pytest.approx(float(by_size), rel=1e-5)  # the step size is float32


def test_the_three_modes_differ(digits: RawSet) -> None:
    """The test above would not see a mode that is silently another."""
    found = []
    for mode in MODES:
        setting = Setting(digits, information__synthetic_network=mode)
        found.append(setting.literal(0)[1])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert float((found[a] - found[b]).norm() / found[a].norm()) > 1e-3


def test_the_critic_is_held_still_while_the_pixels_are_asked(digits: RawSet) -> None:
    """It is trained first, on features as constants; then loss and gradient are those of the trained critic."""
    setting = Setting(digits, information__critic_steps=3, information__synthetic_network="attached")
    student, target = (setting.net.init(generator(5, name)).double() for name in ("student", "target"))
    before = copy.deepcopy(setting.term.critic.state_dict())
    given = setting.pixels.clone()
    found = setting.term.gradient(given, Sides(student, target), 0)
    after = copy.deepcopy(setting.term.critic.state_dict())
    assert any(not torch.equal(before[name], after[name]) for name in before), "the critic learned"
    assert torch.equal(given, setting.pixels)
    assert not given.requires_grad
    assert not student.requires_grad
    leaf, attached = given.clone().requires_grad_(), student.clone().requires_grad_()
    value = setting.contrast(leaf, attached, target, 0)
    by_pixels, by_student = torch.autograd.grad(value, (leaf, attached))
    assert float(found.loss) == pytest.approx(float(value.detach()), rel=1e-12)
    close(found.pixels, by_pixels, 1e-10)
    assert found.student is not None
    close(found.student, by_student, 1e-10)


def test_a_student_on_both_sides_is_asked_through_both(digits: RawSet) -> None:
    """As the objective bptt has it, whose real images go through the student too."""
    setting = Setting(digits, information__synthetic_network="attached")
    student = setting.net.init(generator(5, "student")).double()
    found = setting.term.gradient(setting.pixels, Sides(student, student), 0)
    leaf, attached = setting.pixels.clone().requires_grad_(), student.clone().requires_grad_()
    by_pixels, by_student = torch.autograd.grad(setting.contrast(leaf, attached, attached, 0), (leaf, attached))
    assert found.student is not None
    close(found.pixels, by_pixels, 1e-10)
    close(found.student, by_student, 1e-10)
    other = setting.term.gradient(setting.pixels, Sides(student, student.clone()), 0)
    assert other.student is not None
    assert float((other.student - found.student).norm() / found.student.norm()) > 1e-3, "through one side alone"


def test_without_critic_steps_the_critic_never_changes(digits: RawSet) -> None:
    setting = Setting(digits)
    before = copy.deepcopy(setting.term.critic.state_dict())
    student, target = (setting.net.init(generator(5, name)).double() for name in ("student", "target"))
    found = setting.term.gradient(setting.pixels, Sides(student, target), 0)
    setting.term.warm_up(setting.pixels, Sides(student, target))
    assert float(found.pixels.norm()) > 0
    assert found.student is None
    assert all(torch.equal(before[name], value) for name, value in setting.term.critic.state_dict().items())
    assert all(parameter.grad is None for parameter in setting.term.critic.parameters())


def test_reading_the_bound_changes_nothing(digits: RawSet) -> None:
    """Nor does it depend on being read: the run is the same however often one looks."""
    one, other = Setting(digits, information__critic_steps=1), Setting(digits, information__critic_steps=1)
    student, target = (one.net.init(generator(5, name)).double() for name in ("student", "target"))
    sides = Sides(student, target)
    for iteration in range(3):
        one.term.bounds(one.pixels, sides, iteration)
        first, second = (each.term.gradient(each.pixels, sides, iteration) for each in (one, other))
        assert torch.equal(first.pixels, second.pixels)
    assert one.term.bounds(one.pixels, sides, 3) == other.term.bounds(other.pixels, sides, 3)


def test_batches_never_hold_readout_images(digits: RawSet) -> None:
    setting = Setting(digits, information__real_batch=150)
    assert setting.real.readout_images is not None
    apart = {tuple(image.flatten().tolist()) for image in setting.real.readout_images}
    for draw in range(20):
        _, images, labels = setting.term._batches(generator(draw, "test"))
        assert torch.bincount(labels).tolist() == [15] * 10
        assert not apart & {tuple(image.flatten().tolist()) for image in images}
