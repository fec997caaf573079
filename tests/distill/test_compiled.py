"""A compiled run: it compiles beforehand all that it calls, and gives what an eager one gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.events import Iteration, RunStarted
from tests.distill.helpers import Place, Watch, quickly, tiny


def graphs() -> int:
    """How many graphs were compiled in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


@pytest.mark.long
@pytest.mark.parametrize("kept", [0, 1], ids=["nothing kept", "all kept"])
@pytest.mark.parametrize("labels", ["hard", "softmax"])
def test_nothing_is_compiled_once_iterations_have_begun(tmp_path: Path, labels: str, kept: int) -> None:
    """Batches of two sizes, both reverse sweeps, and evaluations between."""
    changes: dict[str, Any] = {
        "synthetic__images_per_class": 1, "synthetic__labels": labels, "objective__batch_size": 7,
        "objective__iterations": 4, "execution__keep_activations": kept, "information__synthetic_network": "attached",
    }  # fmt: skip
    at: dict[str, int] = {}
    ours, theirs, before = Watch(), Watch(), graphs()

    def note(watch: Watch) -> None:
        if watch.phase == "distill":
            at.setdefault("begun", graphs())
        at["last"] = graphs()

    ours.act = note
    with quickly(2):
        Place(tmp_path / "eager").start(tiny(**changes, execution__compile="off"), theirs)
        Place(tmp_path / "compiled").start(tiny(**changes, execution__compile="on"), ours)
    assert before < at["begun"] == at["last"]
    assert [e.execution["keep_activations"] for e in ours.events if isinstance(e, RunStarted)] == [kept]
    assert objectives(ours) == pytest.approx(objectives(theirs), rel=1e-3)


def objectives(watch: Watch) -> list[float]:
    """The objective of every iteration."""
    return [event.objective for event in watch.events if isinstance(event, Iteration)]
