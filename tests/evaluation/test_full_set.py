"""The baseline of networks trained on the real set."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.datasets import TRAIN_IMAGES
from engine.events import Evaluation
from tests.distill.helpers import Place, Watch, quickly, tiny


@pytest.mark.parametrize(
    ("limit", "validation", "images"),
    [(0, 0.0, None), (200, 0.0, 200), (0, 0.1, sum(TRAIN_IMAGES["digits"]) - round(0.1 * sum(TRAIN_IMAGES["digits"])))],
)
def test_a_full_set_that_is_not_whole_says_of_how_many_images_it_is(
    limit: int, validation: float, images: int | None, tmp_path: Path
) -> None:
    config = tiny(
        data__train_limit=limit, data__validation=validation, objective__iterations=1, experts__count=1,
        evaluation__random_draws=0, evaluation__every=0, evaluation__networks=1,
    )  # fmt: skip
    watch = Watch()
    with quickly(2):
        Place(tmp_path).start(config, watch)
    (full,) = (event for event in watch.events if isinstance(event, Evaluation) and event.subject == "full_set")
    assert full.train_images == images
