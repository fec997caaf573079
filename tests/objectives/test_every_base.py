"""Every base on all four data sets, on files in the published formats; with and without the term; resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.data.sources import UNOFFICIAL
from engine.objectives import OBJECTIVES
from engine.run import resume, start
from engine.runs.control import Control, StopRequested
from tests.data.formats import CLASSES, write
from tests.distill.helpers import quickly, tiny

SETS = ("mnist", "svhn", "cifar10", "cifar100")
OWN: dict[str, dict[str, Any]] = {
    "bptt": {"objective__window": 2, "objective__student_steps": 4, "objective__pixel_clip": 1.0},
    "dream": {"objective__network_life": 2, "objective__network_images": 20, "synthetic__formation": 2,
              "synthetic__init": "noise", "objective__pixel_rate": 0.1},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Small files of all sets, and a cache whose experts all bases share."""
    path = tmp_path_factory.mktemp("bases")
    for name in SETS:
        write(name, path / "data")
    with quickly(2):
        yield path


@pytest.fixture(autouse=True)
def taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their checksums are not the published ones."""
    monkeypatch.setenv(UNOFFICIAL, ",".join(SETS))


def settings(data: str, base: str, **changes: Any) -> dict[str, Any]:
    """Three short iterations."""
    classes = CLASSES[data]
    return {
        "data__name": data,
        "data__train_limit": 0,
        "data__test_limit": 0,
        "experts__count": 1,
        "experts__epochs": 2,
        "objective__name": base,
        "objective__iterations": 3,
        "objective__student_steps": 2,
        "objective__max_start_epoch": 1,
        "objective__real_batch": 2,
        "objective__pixel_rate": 1.0,
        "information__readout": classes,
        "information__real_batch": classes,
        "information__warmup": 1,
        "evaluation__every": 0,
        "evaluation__networks": 1,
        "evaluation__random_draws": 0,
        "execution__checkpoint_every": 2,
        **OWN.get(base, {}),
        **changes,
    }


class StopAt(Control):
    """Asks to stop at a tick of the distillation."""

    def __init__(self, iteration: int, ticks: int) -> None:
        super().__init__()
        self.iteration, self.waiting, self.heard = iteration, ticks, 0

    def hear(self, event: Any) -> None:
        self.heard = getattr(event, "iteration", self.heard) if type(event).__name__ == "Iteration" else self.heard

    def tick(self) -> None:
        if self.heard >= self.iteration:
            self.waiting -= 1
            if self.waiting < 0:
                raise StopRequested
        super().tick()


def whole(place: Path, name: str, values: dict[str, Any]) -> dict[str, Any]:
    return start(tiny(**values), runs_dir=place / "runs", name=name, data_dir=place / "data", cache_dir=place / "cache")


def interrupted(place: Path, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The same, stopped inside the third iteration and taken up again."""
    control = StopAt(2, 2)
    stopped = start(
        tiny(**values), runs_dir=place / "runs", name=name, data_dir=place / "data", cache_dir=place / "cache",
        observer=control.hear, control=control,
    )  # fmt: skip
    assert stopped["state"] == "stopped"
    return resume(place / "runs" / name, data_dir=place / "data", cache_dir=place / "cache")


@pytest.mark.parametrize("base", OBJECTIVES)
@pytest.mark.parametrize("data", SETS)
def test_it_runs_with_the_term(place: Path, data: str, base: str) -> None:
    done = whole(place, f"{data}-{base}", settings(data, base, objective__iterations=2))
    assert done["state"] == "done"
    assert done["mutual_information"]["nats"] is not None


@pytest.mark.parametrize("base", OBJECTIVES)
def test_interrupted_it_ends_in_the_same_bits(place: Path, base: str) -> None:
    values = settings("svhn", base)
    one, other = (
        whole(place, f"whole-{base}", values),
        interrupted(place, f"interrupted-{base}", values),
    )
    assert one["fingerprint"] == other["fingerprint"]
    assert one["accuracy"]["accuracies"] == other["accuracy"]["accuracies"]
    without = whole(place, f"without-{base}", {**values, "information__weight": 0.0})
    assert without["state"] == "done"
    assert without["fingerprint"] != one["fingerprint"], "the term did something"


@pytest.mark.long
@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("base", OBJECTIVES)
@pytest.mark.parametrize("data", SETS)
def test_everywhere_interrupted_it_ends_in_the_same_bits(place: Path, data: str, base: str, weight: float) -> None:
    values = settings(data, base, information__weight=weight)
    name = f"{data}-{base}-{weight}"
    one, other = whole(place, f"a-{name}", values), interrupted(place, f"b-{name}", values)
    assert one["fingerprint"] == other["fingerprint"]
