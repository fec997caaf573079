"""One iteration's algebra: what the two gradients do to the pixels and the step size, and what they never do."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.config.schema import Config
from engine.distill import MOST, Loop, updated_step_size
from engine.errors import RunFailed
from engine.events import Iteration
from engine.gradient import SyntheticGradient
from engine.information.term import InformationTerm, Sides, TermGradient
from engine.objectives import RealNetworks, SyntheticSet
from engine.recovery import Diverged
from engine.runs.control import StopRequested
from engine.seeds import generator
from engine.state import State, initial_state
from tests.distill.helpers import tiny

SHAPE = (10, 1, 8, 8)


def noise(*purpose: str | int, size: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(size, generator=generator(7, *purpose))


@dataclass
class GivenEpisode:
    """An iteration of an objective whose gradients are given."""

    loss: Tensor
    slope: SyntheticGradient
    pulled: SyntheticGradient
    student: Tensor = field(default_factory=lambda: torch.zeros(3))
    networks: RealNetworks = field(
        default_factory=lambda: RealNetworks(torch.zeros(3), torch.ones(3), lambda: torch.ones(3))
    )

    def gradient(self) -> SyntheticGradient:
        return self.slope

    def pull_back(self, cotangent: Tensor) -> SyntheticGradient:
        return self.pulled


@dataclass
class GivenObjective:
    """Gradients by iteration: drawn, unless ``say`` gives others."""

    say: Callable[[int], GivenEpisode | None] = lambda iteration: None

    def episode(self, synthetic: SyntheticSet, iteration: int) -> GivenEpisode:
        return self.say(iteration) or episode(iteration)


def episode(iteration: int, **changes: Any) -> GivenEpisode:
    step = noise("step", iteration, size=(1,))[0]
    values: dict[str, Any] = {
        "loss": torch.tensor(0.5),
        "slope": SyntheticGradient(noise("pixels", iteration), step),
        "pulled": SyntheticGradient(noise("pulled", iteration), 2 * step),
    }
    return GivenEpisode(**{**values, **changes})


class GivenTerm(InformationTerm):
    """A term whose gradient is given; counts its updates."""

    def __init__(self, gradient: Callable[[int], TermGradient]) -> None:
        self.given = gradient
        self.asked = 0
        self.warmed = 0

    def sides(self, networks: RealNetworks, student: Tensor, iteration: int) -> Sides:
        return Sides(student, networks.target)

    def warm_up(self, pixels: Tensor, sides: Sides) -> None:
        self.warmed += 1

    def gradient(self, pixels: Tensor, sides: Sides, iteration: int) -> TermGradient:
        self.asked += 1
        return self.given(iteration)

    def bounds(self, pixels: Tensor, sides: Sides, iteration: int) -> list[float]:
        return [0.25, 0.75, 0.5]


def nce(iteration: int, *, attached: bool = False, **changes: Any) -> TermGradient:
    student = torch.ones(3) if attached else None
    values: dict[str, Any] = {"loss": torch.tensor(2.0), "pixels": 3 * noise("nce", iteration), "student": student}
    return TermGradient(**{**values, **changes})


@dataclass
class Quiet:
    """Hooks that only listen."""

    heard: list[Iteration] = field(default_factory=list)
    befores: list[int] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def before(self, state: State) -> None:
        self.befores.append(state.iteration)

    def metrics(self, event: Iteration) -> None:
        self.heard.append(event)

    def recover(self, state: State, fault: Diverged) -> None:
        raise fault

    def warn(self, message: str) -> None:
        self.warned.append(message)


def loop_of(
    config: Config, objective: GivenObjective | None = None, term: InformationTerm | None = None
) -> tuple[Loop, State, Quiet]:
    hooks = Quiet()
    labels = torch.arange(10)
    loop = Loop(config, objective or GivenObjective(), term, labels, 10, hooks, lambda: 1.5)
    return loop, initial_state(config, noise("start")), hooks


def same(state: State, other: State) -> bool:
    """Equal to the bit."""
    tensors, others = state.tensors(), other.tensors()
    return (
        state.document() == other.document()
        and tensors.keys() == others.keys()
        and all(torch.equal(tensors[name], others[name]) for name in tensors)
    )


# -- the step size ------------------------------------------------------------------------------------


@given(
    size=st.floats(1e-8, 1e3),
    momentum=st.floats(-1e6, 1e6),
    rate=st.floats(1e-12, 1.0),
)
def test_the_step_size_stays_positive_or_the_run_says_that_it_diverges(
    size: float, momentum: float, rate: float
) -> None:
    if abs(rate * momentum / size) > 50:
        with pytest.raises(RunFailed, match=r"objective\.step_size_rate"):
            updated_step_size(size, momentum, rate)
    else:
        new = updated_step_size(size, momentum, rate)
        assert new > 0
        assert abs(math.log(new / size)) <= MOST + 1e-9
        assert (new <= size) if momentum >= 0 else (new >= size)


@pytest.mark.parametrize("momentum", [3.0, -0.7])
def test_to_first_order_it_is_mtts_step(momentum: float) -> None:
    """The difference from ``step_size - rate * momentum`` shrinks with the square of the rate."""
    size = 0.02
    rates = [1e-4, 5e-5, 2.5e-5]
    gaps = [updated_step_size(size, momentum, rate) - (size - rate * momentum) for rate in rates]
    assert gaps[0] > 0
    for wide, narrow in pairwise(gaps):
        assert wide / narrow == pytest.approx(4, rel=0.02)
    assert gaps[0] == pytest.approx((rates[0] * momentum) ** 2 / (2 * size), rel=0.02)


@pytest.mark.parametrize(("momentum", "factor"), [(-1e5, math.e), (1e5, 1 / math.e)])
def test_a_step_size_leaps_e_fold_at_most_and_says_so_once(momentum: float, factor: float) -> None:
    """A set's step size that has become small is not thrown to thousands of times what it was."""
    config = tiny(information__weight=0.0, objective__step_size_rate=1e-6, objective__iterations=2)
    steep = torch.tensor(momentum)
    objective = GivenObjective(lambda i: episode(i, slope=SyntheticGradient(noise("pixels", i), steep)))
    loop, state, hooks = loop_of(config, objective)
    before = state.step_size
    loop.iterate(state)
    assert state.step_size == pytest.approx(before * factor)
    loop.iterate(state)
    (told,) = hooks.warned
    assert "at iteration 1 the student's step size" in told
    assert "objective.step_size_rate" in told


@pytest.mark.parametrize("momentum", [math.nan, math.inf, -math.inf, 1e300, -1e300])
def test_a_step_size_without_meaning_ends_the_run(momentum: float) -> None:
    with pytest.raises(RunFailed, match="diverges"):
        updated_step_size(0.01, momentum, 1e-3)


def test_updates_are_those_of_torchs_sgd() -> None:
    """Pixels bit for bit; the step size to first order, with its own rate and momentum."""
    config = tiny(
        information__weight=0.0,
        objective__iterations=5,
        objective__pixel_rate=3.0,
        objective__pixel_momentum=0.5,
        objective__step_size_rate=1e-6,
        objective__step_size_momentum=0.75,
    )
    loop, state, hooks = loop_of(config)
    pixels = noise("start").requires_grad_()
    size = torch.tensor(config.objective.step_size, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.SGD(
        [{"params": [pixels], "lr": 3.0, "momentum": 0.5}, {"params": [size], "lr": 1e-6, "momentum": 0.75}]
    )
    for iteration in range(5):
        slope = episode(iteration).slope
        assert slope.step_size is not None
        pixels.grad, size.grad = slope.pixels, slope.step_size.double()
        theirs.step()
    loop.run(state)
    torch.testing.assert_close(state.pixels, pixels.detach(), rtol=1e-6, atol=1e-5)
    moved = state.step_size - config.objective.step_size
    assert moved == pytest.approx(float(size.detach()) - config.objective.step_size, rel=1e-3)
    assert moved != 0
    assert hooks.befores == [0, 1, 2, 3, 4, 5]
    assert [event.iteration for event in hooks.heard] == [1, 2, 3, 4, 5]
    assert hooks.heard[-1].step_size == state.step_size
    assert {event.memory for event in hooks.heard} == {1.5}


def test_a_rate_of_zero_keeps_the_step_size() -> None:
    loop, state, _ = loop_of(tiny(information__weight=0.0, objective__step_size_rate=0.0))
    loop.run(state)
    assert state.step_size == 0.05
    assert state.step_momentum == 0.0


# -- never half a step -----------------------------------------------------------------------------------


def nan(tensor: Tensor) -> Tensor:
    broken = tensor.clone()
    broken.view(-1)[0] = math.nan
    return broken


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "loss is nan": ({"loss": torch.tensor(math.nan)}, {}, "objective is not finite"),
    "loss is infinite": ({"loss": torch.tensor(math.inf)}, {}, "objective is not finite"),
    "a pixel's slope is nan": (
        {"slope": SyntheticGradient(nan(torch.ones(SHAPE)), torch.tensor(0.0))}, {}, "objective is not finite",
    ),
    "a pixel's slope is infinite": (
        {"slope": SyntheticGradient(torch.full(SHAPE, math.inf), torch.tensor(0.0))}, {}, "objective is not finite",
    ),
    "the step size's slope is nan": (
        {"slope": SyntheticGradient(torch.ones(SHAPE), torch.tensor(math.nan))}, {}, "step size diverges",
    ),
    "the step size's slope is huge": (
        {"slope": SyntheticGradient(torch.ones(SHAPE), torch.tensor(1e30))}, {}, "step size diverges",
    ),
    "nce is nan": ({}, {"loss": torch.tensor(math.nan)}, "contrastive loss is not finite"),
    "nce slope is nan": ({}, {"pixels": nan(torch.ones(SHAPE))}, "contrastive loss is not finite"),
    "nce slope is infinite": ({}, {"pixels": torch.full(SHAPE, -math.inf)}, "contrastive loss is not finite"),
    "pulled back nan": (
        {"pulled": SyntheticGradient(nan(torch.ones(SHAPE)), torch.tensor(0.0))}, {}, "contrastive loss is not finite",
    ),
    "pulled back step size nan": (
        {"pulled": SyntheticGradient(torch.ones(SHAPE), torch.tensor(math.nan))}, {}, "step size diverges",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_numbers_without_meaning_end_the_run_and_leave_the_set_as_it_was(what: str) -> None:
    base, information, message = BROKEN[what]
    objective = GivenObjective(lambda iteration: episode(iteration, **(base if iteration == 2 else {})))
    term = GivenTerm(lambda iteration: nce(iteration, attached=True, **(information if iteration == 2 else {})))
    config = tiny()
    loop, state, hooks = loop_of(config, objective, term)
    for _ in range(2):
        loop.iterate(state)
    before = copy.deepcopy(state)
    with pytest.raises(RunFailed, match=message):
        loop.run(state)
    assert same(state, before)
    assert bool(state.pixels.isfinite().all())
    assert [event.iteration for event in hooks.heard] == [], "the iteration that failed is not told of"


def test_a_stop_within_an_iteration_changes_nothing() -> None:
    def say(iteration: int) -> GivenEpisode | None:
        if iteration == 2:
            raise StopRequested
        return None

    term = GivenTerm(nce)
    loop, state, hooks = loop_of(tiny(), GivenObjective(say), term)
    for _ in range(2):
        loop.iterate(state)
    before = copy.deepcopy(state)
    with pytest.raises(StopRequested):
        loop.run(state)
    assert same(state, before)
    assert term.asked == 2, "the critic is as it was, too"
    assert hooks.heard == []


def test_an_update_leaves_the_tensors_others_hold() -> None:
    """A best iterate, a picture, a checkpoint may hold the old ones."""
    loop, state, _ = loop_of(tiny(), term=GivenTerm(nce))
    loop.iterate(state)
    pixels, momentum = state.pixels, state.momentum
    kept = pixels.clone(), momentum.clone()
    loop.iterate(state)
    assert torch.equal(pixels, kept[0])
    assert torch.equal(momentum, kept[1])
    assert not torch.equal(state.pixels, pixels)


def test_a_state_survives_its_checkpoint_to_the_bit() -> None:
    loop, state, _ = loop_of(tiny(information__weight=0.0))
    for _ in range(3):
        loop.iterate(state)
    again = State.restore(state.tensors(), state.document(), torch.device("cpu"))
    assert same(state, again)
    loop.iterate(state)
    loop.iterate(again)
    assert same(state, again)


# -- the two gradients together -----------------------------------------------------------------------------


def first_move(config: Config, *, attached: bool) -> tuple[Tensor, float, Iteration]:
    """What one iteration adds to the momentum, which starts at zero: the whole gradient, and by the step size."""
    loop, state, _ = loop_of(config, term=GivenTerm(lambda iteration: nce(iteration, attached=attached)))
    event = loop.iterate(state)
    return state.momentum, state.step_momentum, event


@pytest.mark.parametrize("attached", [False, True], ids=["constant student", "attached student"])
def test_raw_scaling_multiplies_by_the_weight(attached: bool) -> None:
    given = episode(0)
    pixels, by_step, event = first_move(tiny(information__scaling="raw", information__weight=0.25), attached=attached)
    information = 3 * noise("nce", 0) + (given.pulled.pixels if attached else 0)
    torch.testing.assert_close(pixels, given.slope.pixels + 0.25 * information)
    assert given.slope.step_size is not None
    assert given.pulled.step_size is not None
    pulled = 0.25 * float(given.pulled.step_size) if attached else 0.0
    assert by_step == pytest.approx(float(given.slope.step_size) + pulled)
    assert event.gradient_norm == pytest.approx(float(given.slope.pixels.norm()))
    assert event.gradient_ratio == pytest.approx(float(information.norm() / given.slope.pixels.norm()))
    assert event.nce == 2.0
    assert event.ceiling == pytest.approx(math.log(10))


@pytest.mark.parametrize("attached", [False, True], ids=["constant student", "attached student"])
@pytest.mark.parametrize("weight", [0.1, 2.0])
def test_ratio_scaling_sets_the_norm(weight: float, attached: bool) -> None:
    """The term's share has ``weight`` times the objective's norm, whatever its own; the direction is its own."""
    given = episode(0)
    config = tiny(information__scaling="ratio", information__weight=weight)
    pixels, by_step, event = first_move(config, attached=attached)
    share = pixels - given.slope.pixels
    information = 3 * noise("nce", 0) + (given.pulled.pixels if attached else 0)
    assert float(share.norm()) == pytest.approx(weight * float(given.slope.pixels.norm()), rel=1e-4)
    assert float(torch.cosine_similarity(share.flatten(), information.flatten(), 0)) == pytest.approx(1, abs=1e-5)
    assert event.gradient_ratio == pytest.approx(float(information.norm() / given.slope.pixels.norm())), "unweighted"
    scale = weight * float(given.slope.pixels.norm() / information.norm())
    assert given.slope.step_size is not None
    assert given.pulled.step_size is not None
    pulled = scale * float(given.pulled.step_size) if attached else 0.0
    assert by_step == pytest.approx(float(given.slope.step_size) + pulled, rel=1e-4)


@pytest.mark.parametrize(
    ("objective", "information"), [(0.0, 1.0), (1.0, 0.0)], ids=["objective is flat", "term is flat"]
)
def test_a_gradient_of_zero_divides_nothing(objective: float, information: float) -> None:
    flat = SyntheticGradient(objective * noise("pixels", 0), torch.tensor(0.5))
    term = GivenTerm(lambda iteration: nce(iteration, pixels=information * noise("nce", iteration)))
    loop, state, _ = loop_of(tiny(), GivenObjective(lambda iteration: episode(iteration, slope=flat)), term)
    event = loop.iterate(state)
    assert torch.equal(state.momentum, flat.pixels)
    assert event.gradient_ratio == (None if objective == 0 else 0.0)


def test_the_bound_is_read_now_and_then_and_at_the_end_and_the_critic_warmed_up_once() -> None:
    term = GivenTerm(nce)
    loop, state, hooks = loop_of(tiny(objective__iterations=8, information__readout_every=3), term=term)
    loop.run(state)
    assert [event.iteration for event in hooks.heard if event.bound is not None] == [1, 4, 7, 8]
    assert {event.bound for event in hooks.heard} == {None, 0.75}, "of the best layer"
    assert term.warmed == 1
    assert term.asked == 8
