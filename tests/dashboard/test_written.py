"""What a run's folder will take, against what runs have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.config.load import changed, resolve
from engine.information.critic import pool
from engine.memory import critic_sizes
from engine.networks import ConvNet
from mim4dd_tui.dashboard import estimate, written
from tests.dashboard.test_estimate import measured
from tests.distill.helpers import Place, quickly, tiny

BASE = resolve("digits-ipc1").config


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"information__weight": 0},
        {"information__critic_optimizer": "sgd"},
        {"information__embedding_shared": False, "information__embedding_layers": 2, "data__validation": 0.2},
        {"information__layers": "blocks+logits", "synthetic__labels": "free", "evaluation__every": 0},
    ],
    ids=["term", "no term", "sgd", "two embeddings", "labels"],
)
def test_a_folder_holds_what_was_calculated(tmp_path: Path, changes: dict[str, Any]) -> None:
    config, place = tiny(**{"information__embedding_dim": 128, "network__width": 16, **changes}), Place(tmp_path)
    with quickly():
        place.start(config)
    lying = sorted((place.folder / "checkpoints").iterdir())
    assert len(lying) == written.kept(config, 0.1)
    assert lying[-1].stat().st_size == pytest.approx(written.checkpoint(config), rel=0.15)
    whole = sum(path.stat().st_size for path in place.folder.rglob("*") if path.is_file())
    assert written.folder(config, 0.1) == pytest.approx(whole, rel=0.3)


@pytest.mark.parametrize("preset", ["digits-ipc1", "mnist-ipc1", "cifar100-ipc1"])
@pytest.mark.parametrize("changes", [{}, {"layers": "last", "pooling": "average"}, {"layers": "blocks+logits"}])
def test_the_critic_embeds_features_of_these_sizes(preset: str, changes: dict[str, Any]) -> None:
    config = changed(resolve(preset).config, {f"information.{key}": value for key, value in changes.items()})
    shape, classes = {"d": ((1, 8, 8), 10), "m": ((1, 28, 28), 10), "c": ((3, 32, 32), 100)}[preset[0]]
    net = ConvNet(config.network, shape, classes)
    every = [pool(torch.zeros(1, *shape), config.information).shape[1] for shape in net.feature_shapes]
    depth = config.network.depth
    assert critic_sizes(config) == {"last": every[depth - 1 : depth], "blocks": every[:depth]}.get(
        config.information.layers, every
    )


def test_checkpoints_by_the_clock_lie_beside_those_that_are_due() -> None:
    assert BASE.execution.checkpoint_every * 2.9 < BASE.execution.checkpoint_seconds
    assert [written.kept(BASE, seconds) for seconds in (0.1, 2.9, 3.0, 5.9, 6.0, 100.0)] == [2, 2, 3, 3, 4, 4]
    odd = changed(BASE, {"objective.iterations": 310})
    assert [written.kept(odd, seconds) for seconds in (0.1, 2.9, 30.0)] == [3, 3, 4], "the last iterate's is not due"
    few = changed(BASE, {"objective.iterations": 10})
    assert [written.kept(few, seconds) for seconds in (6.0, 30.0)] == [2, 3], "there are no hundred iterations"


def test_the_time_of_an_iteration_counts_where_it_was_measured() -> None:
    quick, slow = (estimate.estimate(BASE, [measured(iteration=seconds)]).disk for seconds in (0.1, 100.0))
    assert quick == estimate.estimate(BASE, []).disk, "the digits are quick anywhere"
    assert slow - quick == 2 * written.checkpoint(BASE)


def test_a_change_that_was_never_measured_is_calculated_with_the_critic_too() -> None:
    """Neither the steps of a student nor the images of the term change what is written."""
    run = changed(BASE, {"objective.student_steps": 12, "information.synthetic_batch": 10})
    assert estimate.estimate(run, []).disk == estimate.estimate(BASE, []).disk > 2**20
    assert estimate.estimate(changed(BASE, {"information.weight": 0}), []).disk < 2**18
