"""The cache of experts at every tick of its work, in company, and against every setting of a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.data.types import RawSet
from engine.events import Notice
from engine.experts import missing
from engine.files import ASIDE
from engine.runs.control import StopRequested
from tests.experts.helpers import Bench, bench, emptied, equal, flipped, truncated

OTHER_EXPERTS: dict[str, Any] = {
    "data__train_limit": 150,
    "data__test_limit": 60,
    "data__validation": 0.1,
    "data__zca": True,
    "network__width": 8,
    "network__depth": 2,
    "network__norm": "group",
    "network__pooling": "max",
    "augmentation__strategy": "flip",
    "augmentation__rotate": 20.0,
    "experts__epochs": 4,
    "experts__learning_rate": 0.04,
    "experts__momentum": 0.6,
    "experts__weight_decay": 1e-4,
    "experts__batch_size": 32,
    "experts__augment": False,
    "experts__seed": 1,
}
SAME_EXPERTS: dict[str, Any] = {
    "seed": 3,
    "summary": "another",
    "experts__count": 5,
    "synthetic__images_per_class": 2,
    "objective__iterations": 3,
    "objective__step_size": 0.5,
    "information__weight": 0.0,
    "information__readout": 50,
    "evaluation__networks": 1,
    "execution__checkpoint_every": 1,
}


@pytest.mark.parametrize("change", OTHER_EXPERTS)
def test_what_decides_an_expert_is_in_its_key(change: str, digits: RawSet, tmp_path: Path) -> None:
    assert bench(digits, tmp_path, **{change: OTHER_EXPERTS[change]}).key != bench(digits, tmp_path).key


@pytest.mark.parametrize("change", SAME_EXPERTS)
def test_what_does_not_is_not(change: str, digits: RawSet, tmp_path: Path) -> None:
    assert bench(digits, tmp_path, **{change: SAME_EXPERTS[change]}).key == bench(digits, tmp_path).key


@pytest.mark.parametrize(("name", "value"), [("threads", 2), ("precision", "mixed"), ("device", "cuda")])
def test_how_it_is_computed_is_in_its_key(name: str, value: Any, digits: RawSet, tmp_path: Path) -> None:
    setting, other = bench(digits, tmp_path), bench(digits, tmp_path)
    other.execution[name] = value
    assert other.key != setting.key


def test_more_experts_add_to_the_first(digits: RawSet, tmp_path: Path) -> None:
    few, more = (bench(digits, tmp_path / "a", experts__count=count) for count in (1, 3))
    first = few.paths()
    written = few.store.path(0).stat().st_mtime_ns
    paths = more.paths()
    assert few.store.path(0).stat().st_mtime_ns == written
    assert torch.equal(paths[0], first[0])
    assert equal(bench(digits, tmp_path / "b", experts__count=3).paths(), paths), "as if asked for at once"
    few.ensure()
    assert (few.reused, few.epochs) == ([0], []), "and fewer are there already"


# -- damage -------------------------------------------------------------------------------------------------


def without_figures(path: Path) -> None:
    seal = json.loads(path.read_text())
    del seal["test_accuracy"]
    path.write_text(json.dumps(seal))


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "trajectory truncated": ("safetensors", truncated),
    "trajectory flipped": ("safetensors", flipped),
    "trajectory emptied": ("safetensors", emptied),
    "trajectory gone": ("safetensors", Path.unlink),
    "seal truncated": ("json", truncated),
    "seal emptied": ("json", emptied),
    "seal gone": ("json", Path.unlink),
    "seal without figures": ("json", without_figures),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Two finished experts."""
    from engine.data.sources import load

    setting = bench(load("digits"), tmp_path_factory.mktemp("whole"))
    setting.ensure()
    return setting


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_expert_is_trained_again_to_the_same_bits(damage: str, whole: Bench, tmp_path: Path) -> None:
    expected, ending, harm = whole.paths(), *DAMAGE[damage]
    shutil.copytree(whole.cache, tmp_path / "cache")
    setting = Bench(whole.raw, whole.config, tmp_path / "cache")
    harm(setting.store.folder / f"expert-0001.{ending}")
    setting.ensure()
    assert setting.reused == [0]
    assert setting.epochs == [(1, 1), (1, 2), (1, 3)]
    (warning,) = setting.warnings
    assert "expert 2 is trained again" in warning
    assert equal(setting.paths(), expected)
    assert setting.warnings == []


# -- interruption -----------------------------------------------------------------------------------------------


class Clock:
    """Counts ticks; at the chosen one, ``act``."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at = at
        self.act = act
        self.ticks = 0

    def __call__(self) -> None:
        self.ticks += 1
        if self.ticks == self.at:
            self.act()


def stop() -> None:
    raise StopRequested


def die() -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def ticks(whole: Bench, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Ticks of the whole training."""
    clock = Clock(0, stop)
    Bench(whole.raw, whole.config, tmp_path_factory.mktemp("ticks")).ensure(clock)
    return clock.ticks


@pytest.mark.parametrize(
    ("end", "first", "stride"),
    [
        (stop, 1, 4),
        (die, 3, 4),
        pytest.param(stop, 1, 1, marks=pytest.mark.long),
        pytest.param(die, 1, 1, marks=pytest.mark.long),
    ],
)
def test_interrupted_at_any_tick_nothing_is_lost(
    end: Callable[[], None], first: int, stride: int, whole: Bench, ticks: int, tmp_path: Path
) -> None:
    """Within epochs, between them, between experts, while the test accuracy is measured."""
    expected, accuracies = whole.paths(), whole.ensure().test_accuracies
    assert ticks > 20
    for at in range(first, ticks + 1, stride):
        setting = Bench(whole.raw, whole.config, tmp_path / str(at))
        with pytest.raises((StopRequested, KeyboardInterrupt)):
            setting.ensure(Clock(at, end))
        done = setting.epochs
        found = setting.ensure()
        again = setting.epochs
        assert equal(setting.paths(), expected)
        assert found.test_accuracies == accuracies
        assert setting.warnings == []
        trained = sorted({*done, *again})
        assert trained == [(expert, epoch) for expert in (0, 1) for epoch in (1, 2, 3)]
        twice = set(done) & set(again)
        assert twice <= {(0, 3), (1, 3)}, "no finished epoch is trained twice; a last one is announced when measured"
        assert not list(setting.store.folder.glob("*.partial*"))


def test_killed_at_any_tick(whole: Bench, ticks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written on the way out: only what was on the disk counts."""
    monkeypatch.setattr(missing, "PARTIAL_SECONDS", 0.0)
    expected = whole.paths()
    source = Bench(whole.raw, whole.config, tmp_path / "source")
    clock = Clock(0, stop)
    copies = []

    def copy() -> None:
        clock()
        copies.append(tmp_path / f"copy{clock.ticks}")
        shutil.copytree(source.cache, copies[-1])

    source.ensure(copy)
    assert len(copies) == ticks
    for cache in copies[2:-1:4]:
        setting = Bench(whole.raw, whole.config, cache)
        assert equal(setting.paths(), expected)
        assert setting.warnings == []
    resumed = Bench(whole.raw, whole.config, copies[-1])
    assert resumed.store.partial(1).exists()
    resumed.ensure()
    assert resumed.reused == [0]
    assert resumed.epochs == [(1, 3)], "only its accuracy was still to be measured"


def test_nothing_half_written_is_taken_for_an_expert(whole: Bench, tmp_path: Path) -> None:
    """A trajectory whose process died before it was sealed."""
    shutil.copytree(whole.cache, tmp_path / "cache")
    setting = Bench(whole.raw, whole.config, tmp_path / "cache")
    setting.store.seal(1).unlink()
    path = setting.store.path(1)
    path.rename(path.with_name(f".{path.name}.0a{ASIDE}"))
    setting.ensure()
    assert setting.epochs == [(1, 1), (1, 2), (1, 3)]
    assert setting.warnings == []


# -- company ---------------------------------------------------------------------------------------------------


def test_two_runs_at_once_train_every_expert_once(whole: Bench, tmp_path: Path) -> None:
    first, second = (Bench(whole.raw, whole.config, tmp_path) for _ in range(2))
    at_work, go_on, waits = threading.Event(), threading.Event(), threading.Event()

    def slowly() -> None:
        at_work.set()
        assert go_on.wait(60)

    def waiting() -> None:
        if any("waiting" in e.message for e in second.events if isinstance(e, Notice)):
            waits.set()

    threads = [
        threading.Thread(target=first.ensure, args=(slowly,)),
        threading.Thread(target=second.ensure, args=(waiting,)),
    ]
    threads[0].start()
    assert at_work.wait(60)
    threads[1].start()
    assert waits.wait(60), "the second says that it waits, and ticks meanwhile"
    assert (second.epochs, second.reused) == ([], [])
    go_on.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(first.epochs) == 6
    assert (second.epochs, second.reused) == ([], [0, 1])
    assert equal(first.paths(), whole.paths())


HOLDER = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_another_process_is_waited_for_until_it_ends_or_one_is_stopped(whole: Bench, tmp_path: Path) -> None:
    setting = Bench(whole.raw, whole.config, tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(setting.store.folder / "lock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StopRequested):
            setting.ensure(Clock(2, stop))
        assert setting.epochs == []
        assert [e.message for e in setting.events if isinstance(e, Notice)] == [
            "another run is training the same experts; waiting for it"
        ]
        clock = Clock(2, child.kill)
        setting.ensure(clock)
    finally:
        child.kill()
        child.communicate()
    assert len(setting.epochs) == 6
