"""What an iteration of each base is counted as, which decides how often a run may be evaluated."""

from __future__ import annotations

from engine.budget import iteration_cost
from engine.config.load import changed
from engine.config.schema import Config
from engine.worth import decoded_images, student_flops


def test_an_iteration_costs_what_its_images_do() -> None:
    small = {"objective.real_batch": 16, "objective.network_images": 128, "synthetic.formation": 2}
    dream = changed(Config(), {"objective.name": "dream", **small})
    assert iteration_cost(dream) == 12 * 40 + 3 * (160 + 128)
    assert iteration_cost(changed(Config(), {"objective.name": "bptt"})) == iteration_cost(Config())


def test_decoded_images_are_those_counted() -> None:
    one, four = Config(), changed(Config(), {"synthetic.formation": 2})
    assert (decoded_images(one), decoded_images(four)) == (10, 40)
    assert student_flops(four) == 4 * student_flops(one)
