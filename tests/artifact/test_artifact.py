"""A distilled set comes back whole from its file, or the file is refused with a reason."""

from __future__ import annotations

import hashlib
import pickle
import struct
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from engine import sealed
from engine.artifact import DistilledSet, import_mtt, load_artifact
from engine.errors import DataError
from tests.artifact.helpers import distilled, real_pixels, transform


def same(left: DistilledSet, right: DistilledSet) -> bool:
    plain = [f.name for f in fields(left) if f.name not in ("pixels", "labels", "transform")]
    return (
        left.pixels.equal(right.pixels)
        and left.labels.equal(right.labels)
        and left.labels.dtype == right.labels.dtype
        and left.transform.digest() == right.transform.digest()
        and all(getattr(left, name) == getattr(right, name) for name in plain)
    )


@pytest.mark.parametrize("kind", ["normalise", "zca"])
@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("step_size", [None, 0.1 + 0.2])
def test_everything_comes_back(tmp_path: Path, kind: str, embed: bool, soft: bool, step_size: float | None) -> None:
    item = distilled(kind, soft=soft, step_size=step_size)
    item.save(tmp_path / "a.safetensors", embed=embed, cache_dir=tmp_path / "cache")
    loaded = load_artifact(str(tmp_path / "a.safetensors"), cache_dir=tmp_path / "cache")
    assert same(item, loaded)
    assert loaded.fingerprint() == item.fingerprint()
    assert (tmp_path / "cache").exists() == (kind == "zca" and not embed)


def test_the_fingerprint_is_what_it_is_said_to_be() -> None:
    item = distilled()
    by_hand = b"".join(struct.pack("<f", value) for value in item.pixels.flatten().tolist())
    by_hand += b"".join(struct.pack("<q", value) for value in item.labels.tolist())
    assert replace(item, step_size=None).fingerprint() == hashlib.sha256(by_hand).hexdigest()
    assert item.fingerprint() == hashlib.sha256(by_hand + struct.pack("<d", 0.0123)).hexdigest()
    soft = distilled(soft=True, step_size=None)
    by_hand = b"".join(struct.pack("<f", value) for value in soft.pixels.flatten().tolist())
    by_hand += b"".join(struct.pack("<f", value) for value in soft.labels.flatten().tolist())
    assert soft.fingerprint() == hashlib.sha256(by_hand).hexdigest()


def test_the_fingerprint_does_not_depend_on_strides() -> None:
    item = distilled()
    strided = item.pixels.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not strided.is_contiguous()
    assert replace(item, pixels=strided).fingerprint() == item.fingerprint()


def test_the_header_tells_the_fingerprint_without_torch_tensors(tmp_path: Path) -> None:
    item = distilled()
    item.save(tmp_path / "a")
    assert sealed.verify(tmp_path / "a")["fingerprint"] == item.fingerprint()


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_images_are_pictures_again(kind: str) -> None:
    fitted = transform(kind)
    item = replace(distilled(kind), pixels=fitted.forward(real_pixels()[:6]))
    assert item.images().mul(255).round().to(torch.uint8).equal(real_pixels()[:6])
    assert item.preview().shape == (6, 4, 4, 3)
    assert torch.from_numpy(item.preview()).permute(0, 3, 1, 2).equal(real_pixels()[:6])
    wild = replace(item, pixels=item.pixels * 100)
    assert float(wild.images().min()) == 0.0
    assert float(wild.images().max()) == 1.0


def test_it_is_a_torch_dataset() -> None:
    item = distilled()
    assert len(item.dataset()) == len(item) == 6
    ((images, labels),) = DataLoader(item.dataset(), batch_size=6)
    assert images.equal(item.pixels)
    assert labels.equal(item.labels)


def test_a_missing_whitening_is_named_with_what_to_do(tmp_path: Path) -> None:
    item = distilled("zca")
    item.save(tmp_path / "a", cache_dir=tmp_path / "cache")
    with pytest.raises(DataError) as caught:
        load_artifact(tmp_path / "a", cache_dir=tmp_path / "other")
    text = str(caught.value)
    assert item.transform.digest() in text
    assert "embedded" in text
    assert "MIM4DD_CACHE_DIR" in text


def test_a_foreign_whitening_under_the_right_name_is_refused(tmp_path: Path) -> None:
    item = distilled("zca")
    item.save(tmp_path / "a", cache_dir=tmp_path)
    (path,) = (tmp_path / "whitening").glob("*.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match="corrupted"):
        load_artifact(tmp_path / "a", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"pixels": torch.zeros(6, 3, 4, 4, dtype=torch.float64)}, "pixels must be float32"),
        ({"pixels": torch.zeros(6, 48)}, "pixels must be float32"),
        ({"pixels": torch.zeros(0, 3, 4, 4)}, "pixels must be float32"),
        ({"pixels": torch.full((6, 3, 4, 4), float("nan"))}, "not finite"),
        ({"pixels": torch.zeros(6, 1, 4, 4)}, "do not fit the transform"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, "labels must be"),
        ({"labels": torch.zeros(6, dtype=torch.int32)}, "labels must be"),
        ({"labels": torch.zeros(6, 2)}, "labels must be"),
        ({"labels": torch.full((6,), 3)}, "outside 0..2"),
        ({"labels": torch.full((6,), -1)}, "outside 0..2"),
        ({"labels": torch.full((6, 3), float("inf"))}, "not finite"),
        ({"classes": 0}, "classes must be"),
        ({"class_names": ("a",)}, "class_names"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": float("nan")}, "step_size"),
        ({"provenance": {"x": float("nan")}}, "JSON"),
        ({"network": {"x": object()}}, "JSON"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        replace(distilled(), **change)


def rewritten(path: Path, tensors: dict[str, torch.Tensor], **changes: Any) -> None:
    """Seals a file anew, with a header changed: valid to the last byte, wrong in what it says."""
    own, document = sealed.read(path)
    document.pop("sha256")
    for key, value in changes.items():
        if value is None:
            document.pop(key)
        else:
            document[key] = value
    sealed.write(path, {**own, **tensors}, document)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": "x"}, "not a distilled set"),
        ({"version": 99}, "newer version"),
        ({"version": "1"}, "newer version"),
        ({"transform": None}, "incomplete"),
        ({"transform": {}}, "incomplete"),
        ({"transform": {"digest": "../../x", "embedded": False}}, "no valid digest"),
        ({"class_names": 5}, "incomplete"),
        ({"network": "x"}, "incomplete"),
        ({"classes": "3"}, "classes must be"),
        ({"fingerprint": "0" * 64}, "fingerprint does not match"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    path = tmp_path / "a"
    distilled().save(path)
    rewritten(path, {}, **changes)
    with pytest.raises(DataError, match=match) as caught:
        load_artifact(path)
    assert str(path) in str(caught.value)


def test_an_embedded_transform_must_match_its_digest(tmp_path: Path) -> None:
    distilled().save(tmp_path / "a")
    rewritten(tmp_path / "a", {"transform.mean": torch.zeros(3)})
    with pytest.raises(DataError, match="does not match its digest"):
        load_artifact(tmp_path / "a")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_a_data_error(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a"
    if not path.exists():
        distilled().save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(0, 255))
    path.write_bytes(whole[:place] + (bytes([whole[place] ^ flip]) + whole[place + 1 :] if flip else b""))
    with pytest.raises(DataError, match=str(path)):
        load_artifact(path)


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_artifact(tmp_path / "none")


class Bomb:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_sets_of_mtt_are_imported(tmp_path: Path) -> None:
    item = distilled("zca")
    torch.save(item.pixels, tmp_path / "images_best.pt")
    torch.save(item.labels, tmp_path / "labels_best.pt")
    loaded = import_mtt(
        tmp_path / "images_best.pt",
        tmp_path / "labels_best.pt",
        item.transform,
        item.class_names,
        step_size=item.step_size,
    )
    assert loaded.fingerprint() == item.fingerprint()
    assert loaded.provenance == {"imported": ["images_best.pt", "labels_best.pt"]}


@pytest.mark.parametrize("what", ["bomb", "list", "text", "missing"])
def test_a_foreign_file_of_anything_else_is_refused_and_never_run(tmp_path: Path, what: str) -> None:
    path, trace = tmp_path / "images_best.pt", tmp_path / "trace"
    if what == "bomb":
        torch.save(Bomb(trace), path)
    elif what == "list":
        torch.save([torch.zeros(1)], path)
    elif what == "text":
        path.write_bytes(pickle.dumps("x", protocol=2))
    with pytest.raises(DataError, match=r"images_best\.pt"):
        import_mtt(path, path, transform(), ("a", "b", "c"))
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_images_to_measure_on_are_prepared_from_bytes_and_from_torchvisions_floats(kind: str) -> None:
    item, images = distilled(kind), real_pixels()
    prepared = item.prepare(images)
    assert prepared.equal(item.transform.forward(images))
    assert torch.allclose(item.prepare(images / 255), prepared, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (real_pixels().float(), "0..1"),  # floats that are counted to 255
        (real_pixels().float() / 127.5 - 1, "0..1"),  # normalised already
        (real_pixels().long(), "uint8"),
        (real_pixels()[:, :1], "must be"),
        (real_pixels()[0], "must be"),
        (real_pixels()[:0].float(), "no images"),
    ],
)
def test_images_of_another_kind_are_refused(images: torch.Tensor, word: str) -> None:
    with pytest.raises(DataError, match=word):
        distilled().prepare(images)
