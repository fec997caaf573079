"""How often live evaluations are made, by counted work."""

from __future__ import annotations

from typing import Any

import pytest

from engine.budget import evaluation_cost, iteration_cost, live_evaluations, live_every, live_share
from engine.config.schema import Config
from engine.judge import Judge


def config(iterations: int = 1000, **evaluation: Any) -> Config:
    return Config.model_validate(
        {
            "data": {"name": "digits"},
            "objective": {"student_steps": 2, "iterations": iterations},
            "evaluation": {"every": 10, "live_protocol": "mtt-1000", **evaluation},
        }
    )


def made(settings: Config, every: int) -> list[int]:
    """The iterates that a run evaluates, as its judge decides between iterations."""
    last = settings.objective.iterations
    return [iteration for iteration in range(last + 1) if iteration % every == 0 or iteration == last]


def taken(settings: Config, every: int) -> float:
    """The evaluations' share of all that a run computes."""
    evaluations = len(made(settings, every)) * evaluation_cost(settings)
    return evaluations / (evaluations + settings.objective.iterations * iteration_cost(settings))


@pytest.mark.parametrize("iterations", [1000, 1009])
@pytest.mark.parametrize("share", [0.4, 0.5, 0.6, 0.75, 0.9])
def test_all_evaluations_of_a_run_stay_within_their_share(share: float, iterations: int) -> None:
    settings = config(share=share, iterations=iterations)
    every = live_every(settings)
    assert every > 10
    assert taken(settings, every) <= share
    assert every == iterations or taken(settings, every - 1) > share


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25])
def test_the_first_and_the_last_iterate_are_evaluated_whatever_the_share(share: float) -> None:
    settings = config(share=share)
    every = live_every(settings)
    assert made(settings, every) == [0, 1000]
    assert live_share(settings) == pytest.approx(taken(settings, every))
    assert live_share(settings) > share


def test_shares_are_told_in_percent() -> None:
    judge = object.__new__(Judge)
    judge.config = config(share=0.125)
    judge._every = live_every(judge.config)
    share = round(100 * live_share(judge.config))
    assert "to take at most 12.5 % of what the run computes" in judge._rarer()
    assert judge._rarer().endswith(f"always made, take {share} %")


@pytest.mark.parametrize("evaluation", [{"share": 0.5}, {"share": 1.0}, {"every": 7, "share": 1.0}, {"every": 5000}])
def test_the_evaluations_of_a_run_are_counted_as_they_are_made(evaluation: dict[str, Any]) -> None:
    settings = config(**evaluation)
    assert live_evaluations(settings) == len(made(settings, live_every(settings)))
    assert live_evaluations(config(every=0)) == 0


def test_a_schedule_within_the_share_is_kept() -> None:
    assert live_every(config(every=10_000, share=0.5)) == 10_000


def test_a_share_of_one_and_never_are_taken_literally() -> None:
    assert live_every(config(share=1.0)) == 10
    assert live_every(config(every=0, share=0.01)) == 0


def test_held_out_images_are_measured_beside_the_test_set() -> None:
    held_out = config().model_copy(update={"data": config().data.model_copy(update={"validation": 0.01})})
    networks = config().evaluation.live_networks
    assert evaluation_cost(held_out) - evaluation_cost(config()) == pytest.approx(networks * 0.01 * 1437)
