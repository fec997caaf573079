"""Files of mim4dd's own formats, damaged in every way: words or what was stored, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from engine import sealed
from engine.artifact import import_mtt, load_artifact
from engine.config.schema import Network
from engine.data import whitening
from engine.experts.store import Store, Trajectories
from engine.experts.train import Expert
from engine.networks import ConvNet
from engine.runs import checkpoint
from engine.state import State, initial_state
from tests.artifact.helpers import distilled, transform
from tests.distill.helpers import tiny
from tests.fuzz.cases import budget, changed, every, mutated, refused_or_given, resealed, within


def either(whole: bytes, other: bytes) -> st.SearchStrategy[bytes]:
    """Damaged bytes, under the old checksum or one that fits."""
    return mutated(whole, other) | mutated(whole, other).map(resealed)


@budget(150, 10_000)
def test_artifacts(tmp_path: Path, count: int) -> None:
    path, other = tmp_path / "in" / "set.safetensors", tmp_path / "other"
    path.parent.mkdir()
    item = distilled("zca")
    item.save(path, embed=True)
    distilled(soft=True).save(other)
    whole = path.read_bytes()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        found = refused_or_given(lambda: load_artifact(path))
        if found is not None and found.fingerprint() == item.fingerprint():
            return  # what changed does not belong to the content
        assert found is None or data != whole

    with within(path.parent):
        every(count, either(whole, other.read_bytes()), check)


@budget(80, 4000)
def test_artifacts_that_say_something_else(tmp_path: Path, count: int) -> None:
    path = tmp_path / "set.safetensors"
    distilled().save(path)
    tensors, document = sealed.read(path)
    del document["sha256"]

    def check(values: dict[str, Any]) -> None:
        values.pop("sha256", None)
        sealed.write(path, tensors, values)
        refused_or_given(lambda: load_artifact(path))

    with within(tmp_path):
        every(count, changed(document), check)


@pytest.fixture
def state() -> State:
    return initial_state(tiny(), torch.randn(10, 1, 8, 8))


@budget(150, 10_000)
def test_checkpoints(tmp_path: Path, state: State, count: int) -> None:
    """A damaged newest one: the one before is taken, whatever the damage."""
    older = checkpoint.save(tmp_path, 1, state.tensors(), state.document())
    newest = checkpoint.save(tmp_path, 2, state.tensors(), state.document())
    whole = newest.read_bytes()

    def check(data: bytes) -> None:
        newest.write_bytes(data)
        found = refused_or_given(lambda: checkpoint.load(newest))
        if found is not None:
            refused_or_given(lambda: State.restore(found.tensors, found.state, torch.device("cpu")))
            return
        chosen = checkpoint.latest(tmp_path)
        assert chosen is not None
        assert chosen.path == older
        assert [path for path, _ in chosen.skipped] == [newest]

    with within(tmp_path):
        every(count, mutated(whole, older.read_bytes()) | either(whole, b""), check)


@budget(80, 4000)
def test_checkpoints_that_say_something_else(tmp_path: Path, state: State, count: int) -> None:
    document = state.document()
    document["best"] = {"iteration": 1, "step_size": 0.1, "accuracy": 0.5}

    def check(values: dict[str, Any]) -> None:
        path = checkpoint.save(tmp_path, 1, state.tensors(), values)
        found = refused_or_given(lambda: checkpoint.load(path))
        if found is not None:
            refused_or_given(lambda: State.restore(found.tensors, found.state, torch.device("cpu")))

    with within(tmp_path):
        every(count, changed(document), check)


@budget(80, 3000)
def test_trajectories(tmp_path: Path, count: int) -> None:
    """An expert's file, its seal and its partial file: trained again, or what was stored; never something else."""
    config = tiny()
    net = ConvNet(Network(depth=1, width=4), (1, 8, 8), 10)
    store, expert = Store(tmp_path / "key"), Expert.fresh(0, net, config.experts)
    expert.path[1:] = 1.0
    expert.epoch, expert.loss, expert.train_accuracy = 2, 0.5, 0.5
    store.keep(expert)
    partial = store.partial(0).read_bytes()
    store.finish(expert, 0.5)
    files = {store.path(0): store.path(0).read_bytes(), store.seal(0): store.seal(0).read_bytes()}
    files[store.partial(0)] = partial

    def check(case: tuple[Path, bytes]) -> None:
        for path, whole in files.items():
            path.write_bytes(whole)
        path, data = case
        path.write_bytes(data)
        seal, why = store.finished(0)
        if path == store.path(0) and data != files[path]:
            assert seal is None
            assert why
        taken, why = store.take_up(Expert.fresh(0, net, config.experts))
        assert taken.epoch == 0 or torch.equal(taken.path[:3], expert.path[:3])
        experts = Trajectories([path], 3, [0.5], torch.device("cpu"))
        refused_or_given(lambda: experts.parameters(0, 1))

    pieces = [st.tuples(st.just(path), mutated(whole, partial)) for path, whole in files.items()]
    with within(tmp_path):
        every(count, st.one_of(pieces), check)


@budget(60, 3000)
def test_whitenings(tmp_path: Path, count: int) -> None:
    found = transform("zca")
    path = whitening.store(found, tmp_path)
    whole = path.read_bytes()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        given = refused_or_given(lambda: whitening.fetch(found.digest(), tmp_path))
        assert given is None or given.digest() == found.digest()

    with within(tmp_path):
        every(count, mutated(whole), check)


@budget(40, 2000)
def test_foreign_tensor_files(tmp_path: Path, count: int) -> None:
    """Files of torch's own format are only ever read as bare tensors."""
    images, labels = tmp_path / "images.pt", tmp_path / "labels.pt"
    torch.save(torch.randn(4, 3, 4, 4), images)
    torch.save(torch.arange(4) % 3, labels)
    whole = images.read_bytes()

    def check(data: bytes) -> None:
        images.write_bytes(data)
        refused_or_given(lambda: import_mtt(images, labels, transform(), ("a", "b", "c")))

    with within(tmp_path):
        every(count, mutated(whole, labels.read_bytes()) | st.binary(max_size=60), check)


def test_lies_about_lengths(tmp_path: Path) -> None:
    """Headers that promise more than there is, under a checksum that fits: no allocation, no traceback."""
    path = tmp_path / "set.safetensors"
    distilled().save(path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    lies = []
    changes: list[dict[str, Any]] = [
        {"shape": [2**40, 3, 4, 4]}, {"data_offsets": [0, 2**60]}, {"data_offsets": [-8, 4]}, {"dtype": "F99"},
        {"shape": [-1]}, {"data_offsets": [2**63, 2**64]}, {"shape": []}, {"dtype": None},
    ]  # fmt: skip
    for name in ("pixels", "labels"):
        for change in changes:
            text = json.dumps({**header, name: {**header[name], **change}}, separators=(",", ":")).encode()
            lies.append(len(text).to_bytes(8, "little") + text + whole[8 + length :])
    for number in (0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1):
        lies.append(number.to_bytes(8, "little") + whole[8:])
    for data in lies:
        path.write_bytes(resealed(data))
        assert refused_or_given(lambda: load_artifact(path)) is None
