"""A checkpoint gives back every bit, and a damaged one is found out and passed over."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import sealed
from engine.errors import DataError, RunFailed
from engine.runs import checkpoint

STATE = {"step_size": 0.1 + 0.2, "best": None, "journal": 12, "text": 'a "quoted" \\ ü', "sha256": "0" * 64}


def tensors(fill: float = 1.0) -> dict[str, torch.Tensor]:
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2) * fill
    return {
        "pixels": base,
        "view": base.permute(0, 3, 1, 2)[:, :1],  # not contiguous, shares memory
        "count": torch.tensor(7),
        "double": torch.tensor([1e-300, math.nan, math.inf], dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "half": base.to(torch.bfloat16),
    }


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(
        left[k].dtype == right[k].dtype
        and left[k].shape == right[k].shape
        and left[k].contiguous().view(-1).view(torch.uint8).equal(right[k].contiguous().view(-1).view(torch.uint8))
        for k in left
        if left[k].ndim
    )


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 5, tensors(), STATE)
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert same(found.tensors, tensors())
    assert int(found.tensors["count"]) == 7
    assert (found.iteration, found.state, found.path, found.skipped) == (5, STATE, path, [])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_loaded_shares_nothing_with_what_was_saved(tmp_path: Path) -> None:
    given_tensors = tensors()
    checkpoint.save(tmp_path, 5, given_tensors, {})
    found = checkpoint.latest(tmp_path)
    assert found is not None
    found.tensors["pixels"].fill_(-1)
    again = checkpoint.latest(tmp_path)
    assert again is not None
    assert same(again.tensors, tensors())
    assert same(given_tensors, tensors())


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sealed.write(tmp_path / name, tensors(), {"x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None


def test_the_newest_two_written_are_kept_whatever_their_iteration(tmp_path: Path) -> None:
    for iteration in (10, 20, 30, 15):
        checkpoint.save(tmp_path, iteration, tensors(), {})
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.iteration == 15
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    found.path.unlink()
    before = checkpoint.latest(tmp_path)
    assert before is not None
    assert before.iteration == 30


def test_a_damaged_newest_one_is_passed_over_and_named(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 10, tensors(), {})
    newest = checkpoint.save(tmp_path, 20, tensors(), {})
    newest.write_bytes(newest.read_bytes()[:-1])
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.iteration == 10
    ((path, why),) = found.skipped
    assert path == newest
    assert "checksum" in why
    checkpoint.set_aside(tmp_path, found.skipped)
    checkpoint.save(tmp_path, 12, tensors(), {})
    third = checkpoint.latest(tmp_path)
    assert third is not None
    assert (third.iteration, third.skipped) == (12, [])
    assert found.path.exists(), "the good one before must outlive the damaged one"


def test_those_that_were_due_outlive_the_others(tmp_path: Path) -> None:
    """However many a clock or a person asks for in between, there are two to go back to."""
    assert checkpoint.newest_due(tmp_path) is None
    for iteration in (0, 10, 20, 21, 22, 23):
        checkpoint.save(tmp_path, iteration, tensors(), {}, due=iteration % 10 == 0)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert [name[7:] for name in kept] == [
        "00000010-due.safetensors", "00000020-due.safetensors", "00000022.safetensors", "00000023.safetensors",
    ]  # fmt: skip
    assert checkpoint.newest_due(tmp_path) == 20
    for due, iteration in ((False, 23), (True, 20)):
        found = checkpoint.latest(tmp_path, due=due)
        assert found is not None
        assert (found.iteration, found.skipped) == (iteration, [])
    newest = tmp_path / "checkpoints" / kept[1]
    newest.write_bytes(newest.read_bytes()[:-1])
    found = checkpoint.latest(tmp_path, due=True)
    assert found is not None
    assert (found.iteration, [path for path, _ in found.skipped]) == (10, [newest])
    found.path.write_bytes(b"")
    assert checkpoint.latest(tmp_path, due=True) is None
    assert checkpoint.latest(tmp_path) is not None


def test_when_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    for iteration in (10, 20):
        checkpoint.save(tmp_path, iteration, tensors(), {}).write_bytes(b"")
    with pytest.raises(DataError, match="every checkpoint") as caught:
        checkpoint.latest(tmp_path)
    assert str(caught.value).count(".safetensors") == 2


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    """A run with a good older checkpoint, and the file and bytes of the newest."""
    folder = tmp_path_factory.mktemp("run")
    checkpoint.save(folder, 1, tensors(), {"good": True})
    newest = checkpoint.save(folder, 2, tensors(2.0), STATE)
    return folder, newest, newest.read_bytes()


def expect_the_older(folder: Path, newest: Path) -> None:
    found = checkpoint.latest(folder)
    assert found is not None
    assert (found.iteration, found.state) == (1, {"good": True})
    assert same(found.tensors, tensors())
    assert [path for path, _ in found.skipped] == [newest]


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_detected(pair: tuple[Path, Path, bytes], data: st.DataObject) -> None:
    folder, newest, whole = pair
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    newest.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
    expect_the_older(folder, newest)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_truncation_or_extension_is_detected(pair: tuple[Path, Path, bytes], data: st.DataObject) -> None:
    folder, newest, whole = pair
    changed = data.draw(
        st.integers(0, len(whole) - 1).map(lambda size: whole[:size])
        | st.binary(min_size=1, max_size=20).map(lambda more: whole + more)
        | st.integers(1, len(whole)).map(lambda size: whole[:-size] + b"\0" * size)
    )
    if changed == whole:  # zeros in the place of zeros
        return
    newest.write_bytes(changed)
    expect_the_older(folder, newest)


def test_every_byte_of_the_header_counts(pair: tuple[Path, Path, bytes]) -> None:
    folder, newest, whole = pair
    for place in range(8 + int.from_bytes(whole[:8], "little")):
        newest.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        with pytest.raises(DataError):
            sealed.verify(newest)
    expect_the_older(folder, newest)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=400))
def test_any_bytes_are_a_data_error(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(junk)
    with pytest.raises(DataError):
        sealed.read(path)
    with pytest.raises(DataError):
        checkpoint.load(path)


def test_another_sealed_file_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x"
    sealed.write(path, tensors(), {"format": "something"})
    with pytest.raises(DataError, match="not a checkpoint"):
        checkpoint.load(path)
    document = {"format": checkpoint.FORMAT, "version": 99, "iteration": 1, "state": {}}
    sealed.write(path, tensors(), document)
    with pytest.raises(DataError, match="newer version"):
        checkpoint.load(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_refusing_disk_keeps_the_earlier_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for iteration in (1, 2):
        checkpoint.save(tmp_path, iteration, tensors(), {})

    def refuse(*_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    before = sorted((tmp_path / "checkpoints").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(RunFailed, match=r"free some space|read-only"):
            checkpoint.save(tmp_path, 3, tensors(), {})
    assert sorted((tmp_path / "checkpoints").iterdir()) == before
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.iteration == 2


def test_other_programs_read_it(tmp_path: Path) -> None:
    """The file is plain safetensors: the library's own reader finds the same tensors, aligned."""
    from safetensors import safe_open

    sealed.write(tmp_path / "x", tensors(), {"a": "ü"})
    with safe_open(tmp_path / "x", framework="pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert same(found, tensors())
    assert all(tensor.data_ptr() % tensor.element_size() == 0 for tensor in found.values())


@pytest.mark.parametrize("kind", sorted(sealed.DTYPES))
def test_every_type_comes_back(tmp_path: Path, kind: str) -> None:
    tensor = torch.tensor([0, 1, 1], dtype=torch.int64).to(getattr(torch, kind))
    sealed.write(tmp_path / "x", {"a": tensor, "b": tensor[1]}, {})
    found, _ = sealed.read(tmp_path / "x")
    assert found["a"].equal(tensor)
    assert found["a"].dtype == tensor.dtype
    assert found["b"].shape == ()


def test_a_type_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="complex64"):
        sealed.write(tmp_path / "x", {"a": torch.zeros(1, dtype=torch.complex64)}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_of_a_graph_is_stored(tmp_path: Path) -> None:
    sealed.write(tmp_path / "x", {"a": torch.ones(2, requires_grad=True) * 2}, {})
    assert sealed.read(tmp_path / "x")[0]["a"].tolist() == [2.0, 2.0]


def test_the_seal_keeps_its_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="belongs to the seal"):
        sealed.write(tmp_path / "x", tensors(), {"sha256": "mine"})
