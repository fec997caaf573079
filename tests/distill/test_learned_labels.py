"""Whole runs that learn their labels: learned, kept, resumed to the bit, judged and exported with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import judge as judging
from engine import labels, memory
from engine.artifact import DistilledSet, load_artifact
from engine.config.schema import Config
from engine.errors import DataError, RunFailed
from engine.evaluation.evaluate import Score
from engine.events import Recovered, Snapshot
from engine.export import export
from engine.reuse import judge
from engine.runs import checkpoint
from engine.runs.checkpoint import latest
from engine.runs.folder import RunFolder
from engine.runs.journal import read_all
from engine.runs.result import document
from tests.distill.helpers import Place, Watch, quickly, tiny

BASES: dict[str, dict[str, Any]] = {
    "trajectory": {},
    "bptt": {
        "objective__name": "bptt",
        "objective__window": 2,
        "objective__real_batch": 4,
        "objective__pixel_clip": 1.0,
    },
}
KINDS = ("free", "softmax")


def config(base: str = "trajectory", kind: str = "free", **changes: Any) -> Config:
    values = {"synthetic__labels": kind, "objective__label_rate": 0.5, **BASES[base], **changes}
    return tiny(**values)


def made(tmp_path: Path, settings: Config, name: str = "a") -> tuple[Place, DistilledSet]:
    place = Place(tmp_path / name)
    with quickly():
        place.start(settings)
    return place, load_artifact(place.folder / "distilled" / "last.safetensors")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", BASES)
def test_labels_move_and_the_set_carries_them(tmp_path: Path, base: str, kind: str) -> None:
    place, item = made(tmp_path, config(base, kind))
    assert item.labels.shape == (10, 10)
    if kind == "softmax":
        assert torch.allclose(item.labels.sum(1), torch.ones(10), atol=1e-6)
    _, still = made(tmp_path, config(base, kind, objective__label_rate=0.0), "still")
    assert not torch.equal(still.labels, item.labels)
    if kind == "free":
        assert torch.equal(still.labels, torch.eye(10)), "one-hot, which is where they start"
    with quickly():
        score = judge(load_artifact(place.folder / "distilled" / "best.safetensors")).score
    assert list(score.accuracies) == place.resume()["accuracy"]["accuracies"], (
        "judged with the labels it was chosen with"
    )


def test_one_hot_labels_that_do_not_move_give_the_run_of_hard_ones(tmp_path: Path) -> None:
    """A loss with one-hot targets is that of their classes, to rounding."""
    _, still = made(tmp_path, config(objective__label_rate=0.0, information__weight=0.0))
    _, hard = made(tmp_path, tiny(information__weight=0.0), "hard")
    assert torch.allclose(still.pixels, hard.pixels, atol=1e-4)
    assert torch.equal(still.hard_labels, hard.labels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", BASES)
def test_interrupted_it_ends_in_the_same_bits(tmp_path: Path, base: str, kind: str) -> None:
    settings = config(base, kind)
    whole, _ = made(tmp_path, settings)
    place = Place(tmp_path / "b")

    def act(watch: Watch) -> None:
        if watch.after(kind="iteration", iteration=5):
            watch.request("stop")

    with quickly():
        assert place.start(settings, Watch(act))["state"] == "stopped"
        kept = latest(place.folder)
        assert kept is not None
        assert {"labels", "label_momentum"} <= set(kept.tensors)
        done = place.resume()
    assert done["state"] == "done"
    for name in ("best", "last"):
        ours, theirs = (load_artifact(p.folder / "distilled" / f"{name}.safetensors") for p in (place, whole))
        assert ours.fingerprint() == theirs.fingerprint()


def test_the_best_iterate_keeps_its_own_labels(tmp_path: Path) -> None:
    """Chosen by the first evaluation, and then no more."""
    with pytest.MonkeyPatch.context() as patch:
        scores = iter([0.9] + [0.1] * 50)
        patch.setattr(judging, "evaluate_on", lambda *a, **k: [Score.of([next(scores)], k["protocol"], "test", 0.0)])
        place, last = made(tmp_path, config(objective__label_rate=5.0))
    best = load_artifact(place.folder / "distilled" / "best.safetensors")
    assert best.provenance["iteration"] == 0
    assert torch.equal(best.labels, torch.eye(10))
    assert not torch.equal(last.labels, torch.eye(10))


def test_the_attached_term_reaches_the_labels(tmp_path: Path) -> None:
    student: dict[str, Any] = {"information__synthetic_network": "student", "information__weight": 1.0}
    _, constant = made(tmp_path, config(**student))
    _, attached = made(tmp_path, config(**{**student, "information__synthetic_network": "attached"}), "attached")
    assert not torch.equal(constant.labels, attached.labels)


def test_decoded_images_share_their_stored_images_labels(tmp_path: Path) -> None:
    _, item = made(tmp_path, config(kind="softmax", synthetic__formation=2))
    pixels, labels = item.decoded()
    assert len(pixels) == len(labels) == 40
    assert torch.equal(labels[:4], item.labels[:1].expand(4, -1))


@pytest.mark.parametrize("kind", ["npz", "pt", "png", "folder"])
def test_it_is_exported_with_its_labels(tmp_path: Path, kind: str) -> None:
    _, item = made(tmp_path, config())
    written = export(item, tmp_path / f"out-{kind}", kind)
    if kind == "npz":
        assert np.array_equal(np.load(written)["labels"], item.labels.numpy())
    if kind == "pt":
        assert torch.equal(torch.load(written, weights_only=True)["labels"], item.labels)
    if kind == "folder":
        assert len(list(written.rglob("*.png"))) == 10


def test_a_rate_that_is_too_high_is_named_and_sends_the_run_back(tmp_path: Path) -> None:
    watch = Watch()
    settings = config(objective__label_rate=1e12, objective__label_momentum=0.99, execution__recoveries=1)
    with quickly(), pytest.raises(RunFailed):
        Place(tmp_path).start(settings, watch)
    assert sum(isinstance(event, Recovered) for event in watch.events) == 1


def test_labels_that_are_not_finite_name_their_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(kind: str, learned: torch.Tensor, by_targets: torch.Tensor) -> torch.Tensor:
        return torch.full_like(learned, torch.nan)

    monkeypatch.setattr(labels, "pull_back", spoiled)
    with quickly(), pytest.raises(RunFailed, match=r"objective\.label_rate"):
        Place(tmp_path).start(config(execution__recoveries=0))


def test_a_checkpoint_of_hard_labels_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)

    def act(watch: Watch) -> None:
        if watch.after(kind="iteration", iteration=5):
            watch.request("stop")

    with quickly():
        place.start(config(), Watch(act))
        kept = latest(place.folder)
        assert kept is not None
        bare = {name: value for name, value in kept.tensors.items() if "label" not in name}
        checkpoint.save(place.folder, kept.iteration + 1, bare, kept.state)
        with pytest.raises(DataError, match="does not fit"):
            place.resume()


def test_the_memory_estimate_counts_them() -> None:
    hard, learned = (memory.estimate(tiny(synthetic__labels=kind)) for kind in ("hard", "free"))
    assert learned.data - hard.data == 6 * 100 * 4, "six arrays of ten labels of ten classes"


def snapshots(place: Place) -> list[Snapshot]:
    records = read_all(RunFolder(place.folder).journal_path)
    return [record.event for record in records if isinstance(record.event, Snapshot)]


@pytest.mark.parametrize("formation", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_every_snapshot_keeps_the_labels_of_its_iteration(tmp_path: Path, kind: str, formation: int) -> None:
    place, item = made(tmp_path, config(kind=kind, synthetic__formation=formation))
    kept = [np.load(place.folder / event.labels) for event in snapshots(place)]
    assert len(kept) > 1
    assert {(labels.dtype, labels.shape) for labels in kept} == {(np.dtype(np.float32), (10, 10))}
    assert np.array_equal(kept[-1], item.labels.numpy()), "the set's own, of the last iteration"
    assert not np.array_equal(kept[0], kept[-1])
    if kind == "free":
        assert np.array_equal(kept[0], np.eye(10))


def test_hard_labels_are_kept_in_no_snapshot(tmp_path: Path) -> None:
    place, _ = made(tmp_path, tiny())
    assert {event.labels for event in snapshots(place)} == {""}
    assert not list((place.folder / "snapshots").glob("*labels*"))


@pytest.mark.parametrize("formation", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_result_says_what_the_sets_labels_are(tmp_path: Path, kind: str, formation: int) -> None:
    place, _ = made(tmp_path, config(kind=kind, synthetic__images_per_class=2, synthetic__formation=formation))
    item = load_artifact(place.folder / "distilled" / "best.safetensors")
    told = document(place.folder)["labels"]
    targets = item.labels.double()
    assert told["kind"] == kind
    assert told["own"] == pytest.approx(float(targets[torch.arange(20), torch.arange(20) // 2].mean()))
    assert told["total"] == pytest.approx(float(targets.sum(1).mean()))
    bits = float(-(targets * targets.log2()).sum(1).mean()) if kind == "softmax" else None
    assert told["bits"] == (bits if bits is None else pytest.approx(bits))
