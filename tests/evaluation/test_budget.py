"""How often live evaluations are made, by counted work."""

from __future__ import annotations

from typing import Any

import pytest

from engine.budget import evaluation_cost, iteration_cost, live_every
from engine.config.schema import Config


def config(**evaluation: Any) -> Config:
    return Config.model_validate(
        {
            "data": {"name": "digits"},
            "objective": {"student_steps": 2, "iterations": 1000},
            "evaluation": {"every": 10, "live_protocol": "mtt-1000", **evaluation},
        }
    )


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_evaluations_stay_within_their_share(share: float) -> None:
    settings = config(share=share)
    every = live_every(settings)
    taken = evaluation_cost(settings) / (evaluation_cost(settings) + every * iteration_cost(settings))
    assert every > 10
    assert taken <= share
    before = evaluation_cost(settings) / (evaluation_cost(settings) + (every - 1) * iteration_cost(settings))
    assert before > share


def test_a_schedule_within_the_share_is_kept() -> None:
    assert live_every(config(every=10_000, share=0.5)) == 10_000


def test_a_share_of_one_and_never_are_taken_literally() -> None:
    assert live_every(config(share=1.0)) == 10
    assert live_every(config(every=0, share=0.01)) == 0


def test_held_out_images_are_measured_beside_the_test_set() -> None:
    held_out = config().model_copy(update={"data": config().data.model_copy(update={"validation": 0.01})})
    networks = config().evaluation.live_networks
    assert evaluation_cost(held_out) - evaluation_cost(config()) == pytest.approx(networks * 0.01 * 1437)
