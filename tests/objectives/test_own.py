"""A method of one's own: what it gives is looked at, what it is given is read only, its name stands in both lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from engine.config.schema import Objective as Settings
from engine.distill import Loop
from engine.errors import ConfigError, RunFailed
from engine.events import Iteration, Notice
from engine.gradient import SyntheticGradient
from engine.objectives import OBJECTIVES, Episode, RealNetworks, SyntheticSet, code_of, edited
from engine.objectives.base import Matching
from engine.recovery import Diverged
from engine.run import resume, start
from engine.runs.folder import RunFolder
from engine.state import State, initial_state
from tests.distill.helpers import Place, Watch, quickly, tiny

SHAPE = (10, 1, 8, 8)
OFFERED = RealNetworks(torch.zeros(3), torch.zeros(3), lambda: torch.zeros(3))


@dataclass
class Own:
    """An objective of these gradients, which may do something with the set first."""

    loss: Any = field(default_factory=lambda: torch.tensor(0.5))
    pixels: Any = field(default_factory=lambda: torch.ones(SHAPE))
    step_size: Any = None
    labels: Any = None
    act: Callable[[SyntheticSet], object] = lambda synthetic: None

    def episode(self, synthetic: SyntheticSet, iteration: int) -> Episode:
        self.act(synthetic)
        gradient = SyntheticGradient(self.pixels, self.step_size, self.labels)

        class Given(Matching):
            def gradient(self) -> SyntheticGradient:
                return gradient

        return Given(self.loss, torch.zeros(3), OFFERED, torch.zeros(SHAPE))


class Silent:
    """Hooks that do nothing."""

    def before(self, state: State) -> None:
        """Nothing."""

    def metrics(self, event: Iteration) -> None:
        """Nothing."""

    def recover(self, state: State, fault: Diverged) -> None:
        raise fault

    def warn(self, message: str) -> None:
        """Nothing."""


def begun(own: Own, **changes: Any) -> tuple[Loop, State]:
    config = tiny(**changes)
    learned = torch.eye(10) if config.synthetic.labels == "free" else None
    loop = Loop(config, own, None, torch.arange(10), 10, Silent(), lambda: None)
    return loop, initial_state(config, torch.randn(SHAPE), learned)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "broadcast": (
        {"pixels": torch.ones(1, 1, 8, 8)},
        r"gradient\(\)\.pixels is float32 \[1, 1, 8, 8\] on cpu, and has to be float32 \[10, 1, 8, 8\] on cpu",
    ),
    "one dimension more": ({"pixels": torch.ones(1, *SHAPE)}, r"is float32 \[1, 10, 1, 8, 8\]"),
    "float64": ({"pixels": torch.ones(SHAPE).double()}, r"is float64 .* has to be float32 .*as synthetic\.pixels is"),
    "elsewhere": ({"pixels": torch.ones(SHAPE, device="meta")}, r"on meta, and has to be .* on cpu"),
    "no pixels": ({"pixels": None}, r"gradient\(\)\.pixels is None"),
    "step sizes": ({"step_size": torch.ones(10)}, r"step_size is float32 \[10\] .* has to be float32 \[\]"),
    "a number": ({"step_size": 0.5}, r"step_size is a float"),
    "labels that are not learned": ({"labels": torch.ones(10, 10)}, "labels is .*None: these labels are not learned"),
    "a vector of losses": ({"loss": torch.ones(10)}, r"its loss is float32 \[10\] on cpu, and has to be a tensor \[\]"),
    "no loss": ({"loss": None}, "its loss is None"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_gradient_of_the_set_is_told_at_once(what: str) -> None:
    given, message = WRONG[what]
    loop, state = begun(Own(**given))
    before = state.pixels
    with pytest.raises(RunFailed, match=f"objective trajectory: .*{message}"):
        loop.iterate(state)
    assert state.pixels is before
    assert state.iteration == 0


def test_labels_that_are_learned_need_a_gradient() -> None:
    loop, state = begun(Own(), synthetic__labels="free")
    with pytest.raises(RunFailed, match=r"labels is None, and has to be float32 \[10, 10\]"):
        loop.iterate(state)
    loop, state = begun(Own(labels=torch.ones(10, 10)), synthetic__labels="free")
    loop.iterate(state)
    assert state.iteration == 1


def test_with_several_images_in_one_the_gradient_is_of_the_decoded_ones() -> None:
    loop, state = begun(Own(), synthetic__formation=2)
    with pytest.raises(RunFailed, match=r"has to be float32 \[40, 1, 8, 8\]"):
        loop.iterate(state)
    loop, state = begun(Own(pixels=torch.ones(40, 1, 8, 8)), synthetic__formation=2)
    loop.iterate(state)


@pytest.mark.parametrize("loss", [torch.tensor(2), torch.tensor([2.0]), 2.0])
def test_one_number_is_a_loss(loss: Any) -> None:
    loop, state = begun(Own(loss=loss))
    assert loop.iterate(state).objective == 2.0


NAN = torch.tensor(float("nan"))


@pytest.mark.parametrize(
    ("own", "changes", "advice"),
    [
        (Own(loss=NAN), {}, "lower objective.pixel_rate"),
        (Own(loss=NAN, step_size=torch.tensor(0.0)), {"objective__step_size_rate": 0.0},
         "lower objective.pixel_rate or objective.step_size"),
        (Own(loss=NAN, step_size=torch.tensor(0.0)), {},
         "lower objective.pixel_rate, objective.step_size or objective.step_size_rate"),
    ],
)  # fmt: skip
def test_rates_that_the_run_does_not_have_are_not_advised(own: Own, changes: dict[str, Any], advice: str) -> None:
    loop, state = begun(own, **changes)
    state.iteration = 1
    with pytest.raises(Diverged, match=rf"loss nan, gradient norm [\d.]+\): {advice}; the last checkpoint"):
        loop.iterate(state)


def test_before_the_first_move_no_rate_is_advised() -> None:
    loop, state = begun(Own(loss=NAN))
    with pytest.raises(Diverged, match=r"no rate has been used yet, so look at the code of objective trajectory"):
        loop.iterate(state)
    loop, state = begun(Own(loss=NAN, step_size=torch.tensor(0.0)))
    with pytest.raises(Diverged, match=r": lower objective\.step_size; the last"):
        loop.iterate(state)


@pytest.mark.parametrize(("weight", "advice"), [(0.0, r"pixel_rate"), (0.3, r"pixel_rate or information\.weight")])
def test_the_terms_weight_is_advised_where_there_is_a_term(weight: float, advice: str) -> None:
    loop, state = begun(Own(pixels=torch.full(SHAPE, 1e9)), information__weight=weight)
    loop.start = 1.0
    with pytest.raises(Diverged, match=rf"pixels diverge: .*: lower objective\.{advice}; the last"):
        loop.iterate(state)


IN_PLACE: dict[str, Callable[[SyntheticSet], object]] = {
    "pixels": lambda synthetic: synthetic.pixels.mul_(0.5),
    "labels": lambda synthetic: synthetic.labels.add_(1),
    "step_size": lambda synthetic: synthetic.step_size.fill_(1.0),
}


@pytest.mark.parametrize("which", IN_PLACE)
def test_a_change_in_place_is_told_at_once(which: str) -> None:
    loop, state = begun(Own(act=IN_PLACE[which]))
    with pytest.raises(RunFailed, match=rf"trajectory changes synthetic\.{which} in place.*synthetic\.{which}\.clone"):
        loop.iterate(state)
    assert state.iteration == 0


def test_a_view_is_the_set_too() -> None:
    loop, state = begun(Own(act=lambda synthetic: synthetic.pixels.detach()[0].zero_()))
    with pytest.raises(RunFailed, match="in place"):
        loop.iterate(state)


def test_asking_for_gradients_of_the_set_leaves_no_graph_behind() -> None:
    def differentiated(synthetic: SyntheticSet) -> Tensor:
        loss = synthetic.pixels.requires_grad_().square().mean()
        own.pixels = loss * torch.ones(SHAPE)
        return loss

    own = Own(act=differentiated)
    loop, state = begun(own)
    for _ in range(2):
        loop.iterate(state)
    assert not state.pixels.requires_grad
    assert not state.momentum.requires_grad


def test_schema_and_registry_agree() -> None:
    """Besides its own file a method has a line in each."""
    assert get_args(Settings.model_fields["name"].annotation) == tuple(OBJECTIVES)


def test_a_name_without_a_class_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(objective__name="distribution")
    waiting = RunFolder.create(tmp_path / "runs", "waiting", config)
    monkeypatch.delitem(OBJECTIVES, "distribution")
    told = r"distribution is allowed by engine/config/schema\.py.*OBJECTIVES in engine/objectives/__init__\.py"
    with pytest.raises(ConfigError, match=told):
        start(config, runs_dir=tmp_path / "runs", name="own", cache_dir=tmp_path / "cache")
    with pytest.raises(ConfigError, match=told):
        resume(waiting.path, cache_dir=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["waiting"]
    assert not (tmp_path / "cache").exists()


def test_a_run_that_is_taken_up_after_an_edit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, config = Place(tmp_path), tiny(objective__iterations=2, evaluation__every=0, evaluation__random_draws=0)
    stop = Watch(act=lambda w: w.request("stop") if w.after(kind="iteration", iteration=1) else None)
    with quickly(2):
        assert place.start(config, stop)["state"] == "stopped"
        recorded = RunFolder.open(place.folder).execution()["code"]
        assert recorded == code_of("trajectory")
        assert recorded.startswith("trajectory.py ")
        monkeypatch.setattr("engine.objectives.code_of", lambda name: "trajectory.py of today")
        watch = Watch()
        assert place.resume(watch)["state"] == "done"
    said = [event.message for event in watch.events if isinstance(event, Notice)]
    assert [text for text in said if "the code of objective trajectory (trajectory.py) was edited" in text]
    assert not [event for event in stop.events if isinstance(event, Notice) and "edited" in event.message]


def test_a_run_of_an_older_version_recorded_no_code() -> None:
    assert edited("trajectory", "") == ""
    assert edited("trajectory", code_of("trajectory")) == ""
