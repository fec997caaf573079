"""Runs that differ in the term's weight alone are paired: what they draw is the same, draw by draw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.events import Event, ExpertEpoch, Iteration
from engine.gradient import StepInput
from engine.objectives import Trajectory
from tests.distill.helpers import Place, Watch, quickly, tiny


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly():
        yield


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All that the objective draws from now on, as plain values."""
    heard: list[Any] = []
    inputs, expert = Trajectory.inputs, Trajectory.expert

    def told_inputs(self: Trajectory, images: int, draws: torch.Generator) -> list[StepInput]:
        found = inputs(self, images, draws)
        for given in found:
            draw = getattr(given.augmentation, "keywords", {}).get("draw")
            heard.append(None if given.batch is None else given.batch.tolist())
            heard.append(None if draw is None else (draw.op, draw.values.tolist()))
        return found

    def told_expert(self: Trajectory, iteration: int) -> int:
        found = expert(self, iteration)
        heard.append(found)
        return found

    monkeypatch.setattr(Trajectory, "inputs", told_inputs)
    monkeypatch.setattr(Trajectory, "expert", told_expert)
    return heard


@pytest.mark.parametrize("init", ["real", "noise"])
def test_a_pair_shares_all_but_the_term(init: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = drawn(monkeypatch)
    events: dict[float, list[Event]] = {}
    draws: dict[float, list[Any]] = {}
    results: dict[float, dict[str, Any]] = {}
    starts: dict[float, Any] = {}
    for weight in (0.0, 0.4):
        place, watch = Place(tmp_path), Watch()
        config = tiny(
            information__weight=weight, synthetic__init=init, objective__batch_size=4, objective__iterations=4
        )
        results[weight] = place.start(config, watch)
        starts[weight] = np.load(place.folder / "snapshots" / "00000000.npy")
        place.runs.rename(tmp_path / f"runs-{weight}")
        events[weight], draws[weight] = watch.events, list(heard)
        heard.clear()
    assert draws[0.0] == draws[0.4]
    assert len(draws[0.0]) == 4 * (1 + 2 * 3)
    assert np.array_equal(starts[0.0], starts[0.4]), "both start from the same images"
    first, second = ([e for e in events[weight] if isinstance(e, Iteration)] for weight in (0.0, 0.4))
    assert first[0].objective == second[0].objective
    assert first[0].gradient_norm == second[0].gradient_norm
    assert first[1].objective != second[1].objective, "and then go different ways"
    assert all(e.nce is None and e.bound is None and e.gradient_ratio is None for e in first)
    assert all(e.nce is not None and e.gradient_ratio is not None for e in second)
    assert all(e.reused for e in events[0.4] if isinstance(e, ExpertEpoch)), "one buffer of experts for both"
    for baseline in ("random_selection", "full_set"):
        assert results[0.0][baseline] == results[0.4][baseline]


def test_every_expert_is_visited_once_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = drawn(monkeypatch)
    config = tiny(
        experts__count=3, experts__epochs=2, objective__iterations=9, objective__student_steps=1,
        objective__max_start_epoch=1, information__weight=0.0, evaluation__every=0, evaluation__random_draws=0,
    )  # fmt: skip
    Place(tmp_path).start(config)
    visits = [value for value in heard if isinstance(value, int)]
    assert len(visits) == 9
    rounds = [visits[start : start + 3] for start in (0, 3, 6)]
    assert all(sorted(one) == [0, 1, 2] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1, "in an order of its own"
