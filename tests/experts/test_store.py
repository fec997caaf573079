"""The expert cache: what is in it, what it reuses, and what an interruption or a damaged file costs."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor

from engine import trained
from engine.config.schema import Augmentation, Config, Network
from engine.data.prepare import RealSet
from engine.errors import DataError, RunFailed
from engine.events import ExpertEpoch, Notice
from engine.experts import Trajectories, missing
from engine.experts.store import key_of, provenance
from engine.seeds import generator
from tests.experts.helpers import emptied, flipped, truncated
from tests.experts.small import (
    EPOCHS,
    EXECUTION,
    STEPS,
    Heard,
    InterruptAt,
    Interruption,
    configuration,
    network,
    real_set,
    train,
)

EVERYTHING = [(expert, epoch) for expert in range(2) for epoch in range(1, EPOCHS + 1)]


@pytest.fixture(scope="module")
def config() -> Config:
    return configuration()


@pytest.fixture(scope="module")
def real(config: Config) -> RealSet:
    return real_set(config)


@pytest.fixture(scope="module")
def whole(config: Config, real: RealSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with both experts, trained without interruption; tests work on copies."""
    cache = tmp_path_factory.mktemp("whole")
    train(config, real, cache)
    return cache


@pytest.fixture
def cache(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "cache"))


def paths(found: Trajectories) -> Tensor:
    """All parameters [experts, epochs + 1, size]."""
    return torch.stack(
        [torch.stack([found.parameters(e, t) for t in range(found.epochs + 1)]) for e in range(found.count)]
    )


def folder(cache: Path) -> Path:
    (found,) = (cache / "experts").iterdir()
    return found


def test_a_path_begins_at_the_start_and_no_two_epochs_are_alike(config: Config, real: RealSet, cache: Path) -> None:
    found, _ = train(config, real, cache)
    assert (found.count, found.epochs) == (2, EPOCHS)
    rows = paths(found)
    net = network(config, real)
    for expert in range(2):
        assert torch.equal(rows[expert, 0], net.init(generator(0, "expert", expert, "init")))
    moved = (rows[:, 1:] - rows[:, :-1]).norm(dim=2)
    assert bool((moved > 1e-3).all())
    assert not torch.equal(rows[0], rows[1])


def test_accuracy_is_that_of_the_last_row(config: Config, real: RealSet, cache: Path) -> None:
    found, heard = train(config, real, cache)
    net = network(config, real)
    for expert, claimed in enumerate(found.test_accuracies):
        logits = net(found.parameters(expert, EPOCHS), real.test_images)
        assert claimed == pytest.approx(float((logits.argmax(1) == real.test_labels).float().mean()))
    said = [e for e in heard if isinstance(e, ExpertEpoch)]
    assert [e.test_accuracy for e in said] == found.test_accuracies
    assert all(e.reused and e.epoch == EPOCHS for e in said)


def test_training_learns_and_says_so(config: Config, real: RealSet, tmp_path: Path) -> None:
    found, heard = train(configuration(count=1, epochs=20, learning_rate=0.1, augment=False), real, tmp_path)
    said = [e for e in heard if isinstance(e, ExpertEpoch)]
    assert [e.epoch for e in said] == list(range(1, 21))
    assert said[-1].loss < said[0].loss / 2
    assert said[-1].train_accuracy > 0.9
    assert [e.test_accuracy for e in said[:-1]] == [None] * 19
    assert found.test_accuracies[0] > 0.6


def test_what_is_read_can_be_changed_without_changing_the_file(config: Config, real: RealSet, cache: Path) -> None:
    found, _ = train(config, real, cache)
    row = found.parameters(0, 1)
    kept = row.clone()
    row.zero_()
    assert torch.equal(found.parameters(0, 1), kept)
    assert found.parameters(0, 1).data_ptr() != found.parameters(0, 1).data_ptr() or row.is_contiguous()


def test_found_again_nothing_is_trained(config: Config, real: RealSet, cache: Path) -> None:
    before = {path: path.read_bytes() for path in folder(cache).iterdir()}
    _, heard = train(config, real, cache)
    assert heard.trained == []
    assert heard.warnings == []
    assert {path: path.read_bytes() for path in folder(cache).iterdir()} == before


def test_more_experts_are_added_to_those_there(real: RealSet, tmp_path: Path, whole: Path, config: Config) -> None:
    train(configuration(count=1), real, tmp_path)
    found, heard = train(configuration(count=2), real, tmp_path)
    assert {expert for expert, _ in heard.trained} == {1}
    assert torch.equal(paths(found), paths(train(config, real, whole)[0]))
    fewer, heard = train(configuration(count=1), real, tmp_path)
    assert fewer.count == 1
    assert heard.trained == []


def _key(config: Config, real: RealSet, execution: dict[str, Any] = EXECUTION) -> str:
    return key_of(provenance(config, real, network(config, real), execution))


@pytest.mark.parametrize(
    "experts",
    [
        {"epochs": 5},
        {"learning_rate": 0.06},
        {"momentum": 0.5},
        {"weight_decay": 1e-4},
        {"batch_size": 16},
        {"augment": False},
        {"seed": 1},
    ],
)
def test_other_settings_have_another_key(experts: dict[str, Any], config: Config, real: RealSet) -> None:
    assert _key(configuration(**experts), real) != _key(config, real)


def test_other_network_augmentation_data_or_arithmetic_has_another_key(config: Config, real: RealSet) -> None:
    others = [
        _key(config.model_copy(update={"network": Network(width=8, depth=2, norm="group")}), real),
        _key(config.model_copy(update={"network": Network(width=16, depth=2)}), real),
        _key(config.model_copy(update={"augmentation": Augmentation(strategy="crop")}), real),
        _key(config, dataclasses.replace(real, fingerprint="0" * 64)),
        _key(config, real, {**EXECUTION, "precision": "mixed"}),
        _key(config, real, {**EXECUTION, "threads": 2}),
        _key(config, real),
    ]
    assert len(set(others)) == len(others)


def test_what_experts_do_not_depend_on_is_not_in_the_key(config: Config, real: RealSet) -> None:
    assert _key(configuration(count=7), real) == _key(config, real)
    assert _key(config.model_copy(update={"seed": 9}), real) == _key(config, real)
    plain = configuration(augment=False)
    other = plain.model_copy(update={"augmentation": Augmentation(strategy="crop")})
    assert _key(other, real) == _key(plain, real)


def test_the_folder_says_where_its_experts_come_from(config: Config, real: RealSet, whole: Path) -> None:
    document = json.loads((folder(whole) / "provenance.json").read_text())
    assert document["data"] == real.fingerprint
    assert document["experts"]["learning_rate"] == 0.05
    assert document["execution"] == EXECUTION
    assert "count" not in document["experts"]


@pytest.mark.parametrize("seed", range(4))
def test_interrupted_anywhere_and_resumed_the_bits_are_the_same(
    seed: int, config: Config, real: RealSet, whole: Path, tmp_path: Path
) -> None:
    """Interrupted again and again, at random steps, until it gets through."""
    source = random.Random(seed)
    expected = paths(train(config, real, whole)[0])
    interruptions = 0
    while True:
        try:
            found, _ = train(config, real, tmp_path, InterruptAt(source.randrange(STEPS + 3, 3 * STEPS + 3)))
        except Interruption:
            interruptions += 1
        else:
            break
        assert interruptions < 20
    assert interruptions >= 2
    assert torch.equal(paths(found), expected)


def test_an_interruption_costs_no_finished_epoch(config: Config, real: RealSet, tmp_path: Path) -> None:
    """One tick for the expert, then one a step: the third epoch's second step is interrupted."""
    with pytest.raises(Interruption):
        train(config, real, tmp_path, InterruptAt(1 + 2 * STEPS + 2))
    _, heard = train(config, real, tmp_path)
    assert heard.trained == EVERYTHING[2:]
    assert heard.warnings == []
    assert not list(folder(tmp_path).glob("*.partial.*"))


def test_an_interruption_while_measuring_costs_no_training(config: Config, real: RealSet, tmp_path: Path) -> None:
    with pytest.raises(Interruption):
        train(config, real, tmp_path, InterruptAt(1 + EPOCHS * STEPS + 1))
    found, heard = train(config, real, tmp_path)
    assert heard.trained == [(0, EPOCHS), *EVERYTHING[EPOCHS:]]
    said = next(e for e in heard if isinstance(e, ExpertEpoch))
    assert 0 < said.train_accuracy <= 1
    assert said.test_accuracy == found.test_accuracies[0]


def test_after_a_kill_the_last_partial_file_is_taken_up(
    config: Config, real: RealSet, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache as a kill in the fourth epoch leaves it: copied in the middle of training."""
    monkeypatch.setattr(missing, "PARTIAL_SECONDS", 0.0)
    steps = 0

    def tick() -> None:
        nonlocal steps
        steps += 1
        if steps == 1 + 3 * STEPS + 2:
            shutil.copytree(tmp_path / "killed", tmp_path / "left")

    train(config, real, tmp_path / "killed", tick)
    found, heard = train(config, real, tmp_path / "left")
    assert heard.trained == EVERYTHING[3:]
    assert torch.equal(paths(found), paths(train(config, real, whole)[0]))


@pytest.mark.parametrize("damage", [truncated, flipped, emptied])
def test_a_damaged_trajectory_is_trained_again_aloud(
    damage: Callable[[Path], None], config: Config, real: RealSet, cache: Path, whole: Path
) -> None:
    damage(folder(cache) / "expert-0001.safetensors")
    found, heard = train(config, real, cache)
    assert heard.trained == EVERYTHING[EPOCHS:]
    assert len(heard.warnings) == 1
    assert "expert-0001.safetensors" in heard.warnings[0]
    assert torch.equal(paths(found), paths(train(config, real, whole)[0]))


@pytest.mark.parametrize("text", ["{}", "", "[1]", '{"loss": "x", "train_accuracy": 1, "test_accuracy": null}'])
def test_a_damaged_seal_too(text: str, config: Config, real: RealSet, cache: Path) -> None:
    (folder(cache) / "expert-0000.json").write_text(text)
    _, heard = train(config, real, cache)
    assert {expert for expert, _ in heard.trained} == {0}
    assert len(heard.warnings) == 1


def test_a_missing_trajectory_is_trained_again(config: Config, real: RealSet, cache: Path) -> None:
    (folder(cache) / "expert-0000.safetensors").unlink()
    _, heard = train(config, real, cache)
    assert {expert for expert, _ in heard.trained} == {0}
    assert len(heard.warnings) == 1


@pytest.mark.parametrize("damage", [truncated, flipped, emptied])
def test_a_damaged_partial_file_is_not_used(
    damage: Callable[[Path], None], config: Config, real: RealSet, tmp_path: Path, whole: Path
) -> None:
    with pytest.raises(Interruption):
        train(config, real, tmp_path, InterruptAt(1 + 2 * STEPS + 2))
    damage(folder(tmp_path) / "expert-0000.partial.safetensors")
    found, heard = train(config, real, tmp_path)
    assert heard.trained == EVERYTHING
    assert len(heard.warnings) == 1
    assert torch.equal(paths(found), paths(train(config, real, whole)[0]))


def test_divergence_names_the_rate_and_leaves_nothing(real: RealSet, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"experts\.learning_rate"):
        train(configuration(learning_rate=1e12), real, tmp_path)
    assert not list(folder(tmp_path).glob("expert-*"))


def test_a_file_that_goes_during_a_run_is_an_error_in_words(config: Config, real: RealSet, cache: Path) -> None:
    found, _ = train(config, real, cache)
    (folder(cache) / "expert-0001.safetensors").unlink()
    with pytest.raises(DataError, match=r"expert-0001\.safetensors.*resume"):
        found.parameters(1, 0)


def test_two_runs_share_the_work(config: Config, real: RealSet, cache: Path) -> None:
    """While another process holds the key, a run waits aloud, can be stopped, and then finds the experts."""
    lock = FileLock(folder(cache) / "lock")
    with lock, pytest.raises(Interruption):
        train(config, real, cache, InterruptAt(2))
    heard, done = Heard(), threading.Event()

    def wait() -> None:
        missing.ensure(
            config, real, network(config, real), cache_dir=cache, execution=EXECUTION, observer=heard,
            tick=lambda: None,
        )  # fmt: skip
        done.set()

    with lock:
        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + 20
        while not heard and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [type(event) for event in heard] == [Notice]
        assert not done.is_set()
    thread.join(20)
    assert done.is_set()
    assert heard.trained == []


def test_no_global_generator_is_touched(config: Config, real: RealSet, tmp_path: Path) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    train(configuration(count=1, epochs=2), real, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_which_experts_there_are_is_known_by_the_settings(config: Config, cache: Path) -> None:
    assert list(trained.there(cache)) == [(config, 2)]
    truncated(next(cache.glob("experts/*/expert-0001.safetensors")))
    assert list(trained.there(cache)) == [(config, 1)]
    next(cache.glob("experts/*/settings.json")).write_text('{"objective": 7}')
    assert list(trained.there(cache)) == []
    assert list(trained.there(cache / "nowhere")) == []


def test_experts_that_are_there_need_no_room_for_that(
    config: Config, real: RealSet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _document: object) -> None:
        raise RunFailed(f"{path}: No space left on device")

    monkeypatch.setattr(trained, "write_json", full)
    next(cache.glob("experts/*/settings.json")).unlink()
    found, _ = train(config, real, cache)
    assert found.count == 2
