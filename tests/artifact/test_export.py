"""Exports read back with other programs' own loaders, and are written in one step."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine import export
from engine.artifact import load_artifact
from engine.data.transform import Transform
from engine.errors import ConfigError, RunFailed
from tests.artifact.helpers import SHAPE, distilled, real_pixels, transform


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_npz(tmp_path: Path, kind: str) -> None:
    item = distilled(kind)
    path = export.export(item, tmp_path / "new" / "a.npz", "npz")
    with np.load(path, allow_pickle=False) as found:
        assert np.array_equal(found["pixels"], item.pixels.numpy())
        assert np.array_equal(found["images"], item.images().numpy())
        assert np.array_equal(found["labels"], item.labels.numpy())
        assert float(found["step_size"]) == item.step_size
        assert found["class_names"].tolist() == list(item.class_names)
        about = json.loads(str(found["about"]))
        own = {
            name.removeprefix("transform."): torch.from_numpy(found[name])
            for name in found
            if name.startswith("transform.")
        }
    assert about["fingerprint"] == item.fingerprint()
    again = Transform.from_tensors(about["transform"]["kind"], SHAPE, own)
    assert again.digest() == item.transform.digest()


@pytest.mark.parametrize("soft", [False, True])
def test_pt_loads_without_unpickling_anything_else(tmp_path: Path, soft: bool) -> None:
    item = distilled(soft=soft, step_size=None if soft else 0.5)
    export.export(item, tmp_path / "a.pt", "pt")
    found = torch.load(tmp_path / "a.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in found.values())
    assert found["pixels"].equal(item.pixels)
    assert found["labels"].equal(item.labels)
    assert found["images"].equal(item.images())
    assert ("step_size" in found) == (not soft)


@pytest.mark.parametrize("each", [1, 2, 12])
def test_the_grid_shows_every_image_once_a_row_a_class(tmp_path: Path, each: int) -> None:
    pixels = real_pixels()[: 3 * each].clone()
    pixels[:, 0, 0, 0] = torch.arange(3 * each, dtype=torch.uint8) + 100  # which image it is
    fitted = transform()
    item = distilled(each=each)
    object.__setattr__(item, "pixels", fitted.forward(pixels))
    export.export(item, tmp_path / "a.png", "png")
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "RGB"
    factor = 96 // 4
    small = np.asarray(image)[::factor, ::factor]
    order = export.by_class(item)
    columns = {1: 2, 2: 2, 12: 10}[each]
    places = []
    row, column, previous = -1, 0, -1
    for position, index in enumerate(order):
        label = int(item.labels[index]) if each > 1 else 0
        fresh = position == 0 or label != previous or column == columns
        row, column = (row + 1, 0) if fresh else (row, column)
        places.append((1 + row * 5, 1 + column * 5))
        column, previous = column + 1, label
    for index, (top, left) in zip(order, places, strict=True):
        expected = pixels[index].permute(1, 2, 0).numpy()
        assert np.array_equal(small[top : top + 4, left : left + 4], expected)
    assert small.shape[0] == (row + 1) * 5 + 1


def test_grey_sets_give_grey_pictures(tmp_path: Path) -> None:
    grey = real_pixels()[:, :1].contiguous()
    from engine.artifact import DistilledSet
    from engine.data.transform import fit_normalise

    fitted = fit_normalise(grey)
    item = DistilledSet(fitted.forward(grey[:2]), torch.tensor([1, 0]), None, fitted, 2, ("a", "b"))
    export.export(item, tmp_path / "a.png", "png")
    assert Image.open(tmp_path / "a.png").mode == "L"
    export.export(item, tmp_path / "f", "folder")
    picture = np.asarray(Image.open(tmp_path / "f" / "1-b" / "000.png"))
    assert np.array_equal(picture, grey[0, 0].numpy())


def test_the_folder_has_one_subfolder_a_class_and_safe_names(tmp_path: Path) -> None:
    item = distilled()
    export.export(item, tmp_path / "out", "folder")
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.png"))
    assert found == [f"{name}/{number}.png" for name in ("0-cat", "1-dog-x", "2-b") for number in ("000", "001")]
    assert json.loads((tmp_path / "out" / "about.json").read_text())["fingerprint"] == item.fingerprint()
    second_cat = np.asarray(Image.open(tmp_path / "out" / "0-cat" / "001.png"))
    assert np.array_equal(second_cat, item.preview()[3])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["normalise", "zca"])
def test_a_set_passed_on_is_whole_on_a_machine_that_knows_nothing_of_it(tmp_path: Path, kind: str) -> None:
    item = distilled(kind)
    export.export(item, tmp_path / "out.safetensors", "safetensors")
    found = load_artifact(tmp_path / "out.safetensors", cache_dir=tmp_path / "no-cache")
    assert found.fingerprint() == item.fingerprint()
    assert found.transform.digest() == item.transform.digest()
    assert found.provenance == item.provenance
    assert not (tmp_path / "no-cache").exists()


def test_an_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        export.export(distilled(), tmp_path / "out", "folder")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_format_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="safetensors, npz, png, folder, pt"):
        export.export(distilled(), tmp_path / "a", "gif")


@pytest.mark.parametrize("kind", ["safetensors", "npz", "png", "pt"])
def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(RunFailed, match="disk is full"):
            export.export(distilled(), path, kind)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
@pytest.mark.parametrize("kind", list(export.FORMATS))
def test_what_is_exported_has_the_permissions_of_any_new_file(
    tmp_path: Path, kind: str, mask: int, file: int, folder: int
) -> None:
    before = os.umask(mask)
    try:
        path = export.export(distilled(), tmp_path / "new" / "out", kind)
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == folder
    for each in (path, *path.rglob("*")):
        assert each.stat().st_mode & 0o777 == (folder if each.is_dir() else file), each
