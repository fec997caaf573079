"""Data sets are read as published, and nothing wrong is taken for right."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from engine.data.class_names import CLASS_NAMES
from engine.data.layout import LAYOUTS
from engine.data.sources import default_data_dir, find, load
from engine.data.types import Images, fingerprint
from engine.errors import DataError
from tests.data.formats import BINARY, PICKLED, Written, content, known, pack, real_or_written, write

FILES = ["mnist", "svhn", "cifar10", "cifar100"]


def read(written: Written, name: str, *, unofficial: bool = False) -> None:
    load(name, written.data_dir, download=False, unofficial=unofficial, layouts=written.layouts)


@pytest.mark.parametrize("name", FILES)
def test_written_files_are_read_exactly(name: str, tmp_path: Path) -> None:
    written = write(name, tmp_path)
    raw = load(name, tmp_path, download=False, layouts=written.layouts)
    for split, images in (("train", raw.train), ("test", raw.test)):
        pixels, labels = content(name, split)
        assert images.pixels.dtype == torch.uint8
        assert images.labels.dtype == torch.int64
        assert np.array_equal(images.pixels.numpy(), pixels)
        assert np.array_equal(images.labels.numpy(), labels)
    assert raw.official
    assert raw.notes == ()
    assert raw.classes == len(raw.class_names) == len(CLASS_NAMES[name])
    assert raw.fingerprint == fingerprint(raw.train, raw.test)


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_first_and_last_records_match_a_literal_reading(name: str, tmp_path: Path) -> None:
    data_dir, layouts = real_or_written(name, tmp_path)
    raw = load(name, data_dir, download=False, layouts=layouts)
    layout = layouts[name][0]
    folder = find_in(layout.folders, data_dir, layout.files[0].name)
    if name == "mnist":
        images = (folder / layout.train[0].name).read_bytes()
        labels = (folder / layout.train[1].name).read_bytes()
        (count,) = struct.unpack(">I", labels[4:8])
        assert raw.train.pixels[0].numpy().tobytes() == images[16 : 16 + 784]
        assert raw.train.pixels[-1].numpy().tobytes() == images[-784:]
        assert raw.train.labels.tolist() == list(labels[8:])
    else:
        prefix = 2 if name == "cifar100" else 1
        parts = [(folder / file.name).read_bytes() for file in layout.train]
        count = sum(len(part) for part in parts) // (prefix + 3072)
        assert raw.train.pixels[0].numpy().tobytes() == parts[0][prefix : prefix + 3072]
        assert raw.train.pixels[-1].numpy().tobytes() == parts[-1][-3072:]
        assert int(raw.train.labels[0]) == parts[0][prefix - 1]
        assert int(raw.train.labels[-1]) == parts[-1][-3073]
    assert len(raw.train) == count
    assert set(raw.train.labels.tolist()) == set(range(raw.classes))


def find_in(folders: tuple[str, ...], data_dir: Path, name: str) -> Path:
    return next(data_dir / folder for folder in folders if (data_dir / folder / name).is_file())


def test_digits_are_scaled_and_split_by_class() -> None:
    from sklearn.datasets import load_digits

    raw = load("digits")
    assert raw.train.pixels.shape == (1437, 1, 8, 8)
    assert raw.test.labels.bincount().tolist() == [36] * 10
    assert int(raw.train.pixels.max()) == 255
    assert raw.fingerprint == "ac6fedfb5b8bceb3de372a418a72b4fe5a6b89301f83f63c993fc89a5e300081"
    values, labels = load_digits(return_X_y=True)
    published = sorted((row.tobytes(), int(label)) for row, label in zip(values, labels, strict=True))
    both = torch.cat([raw.train.pixels, raw.test.pixels]).flatten(1).double().mul(16 / 255).round().numpy()
    mine = torch.cat([raw.train.labels, raw.test.labels]).tolist()
    assert sorted((row.tobytes(), label) for row, label in zip(both, mine, strict=True)) == published


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_pickled_release_gives_the_same_set(name: str, tmp_path: Path) -> None:
    binary = write(name, tmp_path / "binary")
    pickled = write(name, tmp_path / "pickled", PICKLED)
    from_binary = load(name, binary.data_dir, download=False, layouts=binary.layouts)
    from_pickled = load(name, pickled.data_dir, download=False, layouts=pickled.layouts)
    assert from_pickled.fingerprint == from_binary.fingerprint


@pytest.mark.parametrize("unofficial", [False, True])
def test_nothing_is_unpickled_before_its_checksum_matches(tmp_path: Path, unofficial: bool) -> None:
    written = write("cifar10", tmp_path, PICKLED)
    proof = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (proof,)

    payload = pickle.dumps(Trap())
    (written.folder / "data_batch_3").write_bytes(payload)
    with pytest.raises(DataError, match=r"data_batch_3: is not the published file.*not unpickled"):
        read(written, "cifar10", unofficial=unofficial)
    assert not proof.exists()
    pickle.loads(payload)
    assert proof.exists(), "the trap itself must work"


def test_gzipped_mnist_is_read(tmp_path: Path) -> None:
    written = write("mnist", tmp_path)
    plain = load("mnist", tmp_path, download=False, layouts=written.layouts)
    for path in list(written.folder.iterdir()):
        pack(path)
    packed = load("mnist", tmp_path, download=False, layouts=written.layouts)
    assert packed.fingerprint == plain.fingerprint


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    written = write("mnist", tmp_path)
    path = written.folder / "train-images-idx3-ubyte"
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-200])
    path.unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: is a truncated or damaged gzip file"):
        read(written, "mnist")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def spoil(offset: int, value: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[:offset] + value + data[offset + len(value) :])

    return change


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "file", "damage", "message"),
    [
        ("mnist", IMAGES, cut, "is truncated: 31,375 bytes, expected 31,376"),
        ("mnist", IMAGES, lengthen, "is too long: 31,377 bytes, expected 31,376"),
        ("mnist", IMAGES, empty, "is truncated: 0 bytes do not hold its 16-byte header"),
        ("mnist", IMAGES, flip_a_bit, "is corrupted or not the published file: MD5 is"),
        ("mnist", IMAGES, spoil(0, b"\0\0\x08\x01"), "magic number is 2049, expected 2051"),
        ("mnist", IMAGES, spoil(8, b"\0\0\0\x1b"), "holds images of 27x28, expected 28x28"),
        ("mnist", LABELS, cut, "is truncated: 47 bytes, expected 48"),
        ("mnist", LABELS, spoil(0, b"\0\0\x08\x03"), "magic number is 2051, expected 2049"),
        ("mnist", LABELS, spoil(4, b"\0\0\0\x29"), "is truncated: 48 bytes, expected 49"),
        ("mnist", LABELS, flip_a_bit, "is corrupted or not the published file"),
        ("cifar10", "data_batch_2.bin", cut, "is truncated: 30,729 bytes, expected 30,730"),
        ("cifar10", "data_batch_5.bin", empty, "is truncated: 0 bytes, expected 30,730"),
        ("cifar10", "test_batch.bin", flip_a_bit, "is corrupted or not the published file: MD5 is"),
        ("cifar100", "train.bin", cut, "is truncated"),
        ("cifar100", "test.bin", flip_a_bit, "is corrupted or not the published file: MD5 is"),
        ("svhn", "train_32x32.mat", cut, "is corrupted or not the published file: MD5 is"),
        ("svhn", "test_32x32.mat", empty, "is corrupted or not the published file: MD5 is"),
    ],
)
def test_damage_is_named_with_a_remedy(
    name: str, file: str, damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    written = write(name, tmp_path)
    read(written, name)
    damage(written.folder / file)
    with pytest.raises(DataError) as caught:
        read(written, name)
    assert str(caught.value).startswith(f"{written.folder / file}: ")
    assert message in str(caught.value)
    assert "Delete it and run again" in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "file", "damage", "message"),
    [
        ("mnist", LABELS, spoil(20, b"\x0a"), "holds the label 10, above 9"),
        ("mnist", LABELS, spoil(4, b"\0\0\0\x27"), "is too long"),
        ("cifar10", "data_batch_1.bin", spoil(3073, b"\x0a"), "holds the label 10, above 9"),
        ("cifar10", "data_batch_1.bin", cut, "no whole number of 3073-byte records"),
        ("cifar100", "train.bin", spoil(1, b"\x64"), "holds the label 100, above 99"),
        ("svhn", "train_32x32.mat", empty, "is no readable .mat file"),
        ("svhn", "train_32x32.mat", cut, "is no readable .mat file"),
    ],
)
def test_unofficial_files_must_still_have_the_format(
    name: str, file: str, damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    written = write(name, tmp_path)
    damage(written.folder / file)
    with pytest.raises(DataError, match=message):
        read(written, name, unofficial=True)


def test_more_images_than_labels(tmp_path: Path) -> None:
    written = write("mnist", tmp_path)
    labels = (written.folder / LABELS).read_bytes()
    (written.folder / LABELS).write_bytes(struct.pack(">2I", 2049, 39) + labels[8:-1])
    with pytest.raises(DataError, match="holds 39 labels for 40 images"):
        read(written, "mnist", unofficial=True)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((32, 32, 3, 4), np.float32), np.ones((4, 1), np.uint8), "X is float32"),
        (np.zeros((28, 28, 3, 4), np.uint8), np.ones((4, 1), np.uint8), "holds no SVHN images"),
        (np.zeros((32, 32, 3, 4), np.uint8), np.ones((3, 1), np.uint8), "labels of shape .3. for 4 images"),
        (np.zeros((32, 32, 3, 4), np.uint8), np.full((4, 1), 11, np.uint8), "holds labels 11..11"),
    ],
)
def test_svhn_files_of_another_content(x: np.ndarray, y: np.ndarray, message: str, tmp_path: Path) -> None:
    written = write("svhn", tmp_path)
    savemat(written.folder / "train_32x32.mat", {"X": x, "y": y})
    with pytest.raises(DataError, match=message):
        read(written, "svhn", unofficial=True)


def test_svhn_matches_a_literal_reading(tmp_path: Path) -> None:
    """On the part of SVHN under MIM4DD_TEST_DATA where there is one, else on written files."""
    folder = Path(os.environ.get("MIM4DD_TEST_DATA", tmp_path)) / "svhn-part"
    if not folder.is_dir():
        folder = write("svhn", tmp_path).folder
    raw = load("svhn", folder, download=False, unofficial=True)
    for split, images in (("train", raw.train), ("test", raw.test)):
        found = loadmat(folder / f"{split}_32x32.mat")
        assert images.labels.tolist() == [0 if digit == 10 else digit for digit in found["y"][:, 0].tolist()]
        assert 0 in images.labels
        for index in (0, len(images) - 1):
            picture = images.pixels[index].permute(1, 2, 0).numpy()
            assert np.array_equal(picture, found["X"][:, :, :, index])
    assert not raw.official


def test_svhn_without_its_variables(tmp_path: Path) -> None:
    written = write("svhn", tmp_path)
    savemat(written.folder / "test_32x32.mat", {"Z": np.zeros(3)})
    with pytest.raises(DataError, match=r"test_32x32\.mat: is no readable \.mat file \(KeyError"):
        read(written, "svhn", unofficial=True)


def test_unofficial_files_need_the_users_word_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write("svhn", tmp_path)
    with pytest.raises(DataError, match="expected e26dedcc434d2e4c54c9b2d4a06d8373"):
        load("svhn", tmp_path, download=False)
    monkeypatch.setenv("MIM4DD_UNOFFICIAL", "cifar10, svhn")
    raw = load("svhn", tmp_path, download=False)
    assert not raw.official
    assert "no svhn results" in raw.notes[0]
    official = load("svhn", tmp_path, download=False, layouts=written.layouts)
    assert official.official, "files that do match are official whatever was allowed"
    assert official.notes == ()
    assert official.fingerprint == raw.fingerprint


@pytest.mark.parametrize("name", FILES)
def test_missing_sets_say_where_they_were_looked_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found in") as caught:
        load(name, tmp_path / "none", download=False)
    for layout in LAYOUTS[name]:
        for folder in layout.folders:
            assert str(tmp_path / "none" / folder) in str(caught.value)
    assert "--data-dir" in str(caught.value)
    assert not (tmp_path / "none").exists()


def test_a_missing_file_of_a_set_is_named(tmp_path: Path) -> None:
    written = write("cifar10", tmp_path)
    (written.folder / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"cifar10: data_batch_4\.bin not found in .*cifar-10-batches-bin"):
        read(written, "cifar10")


def test_a_folder_may_be_given_itself(tmp_path: Path) -> None:
    for name in ("mnist", "cifar10", "svhn"):
        written = write(name, tmp_path / name)
        raw = load(name, written.folder, download=False, layouts=written.layouts)
        assert len(raw.train) == len(content(name, "train")[1])


@pytest.mark.parametrize("name", FILES)
def test_find(name: str, tmp_path: Path) -> None:
    assert find(name, tmp_path) is None
    written = write(name, tmp_path)
    assert find(name, tmp_path) == written.folder
    next(iter(sorted(written.folder.iterdir()))).unlink()
    assert find(name, tmp_path) is None


def test_find_digits() -> None:
    found = find("digits")
    assert found is not None
    assert found.is_file()


def test_the_data_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIM4DD_DATA_DIR", str(tmp_path))
    assert default_data_dir() == tmp_path
    written = write("mnist", tmp_path)
    assert len(load("mnist", download=False, layouts=written.layouts).test) == 20
    monkeypatch.delenv("MIM4DD_DATA_DIR")
    assert default_data_dir().parts[-2:] == ("mim4dd", "data")


def test_reading_can_be_interrupted(tmp_path: Path) -> None:
    written = write("cifar10", tmp_path)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load("cifar10", tmp_path, download=False, layouts=written.layouts, tick=stop)


def test_the_fingerprint_covers_every_array() -> None:
    pixels, labels = torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    base = Images(pixels, labels)
    one = Images(pixels.clone().index_fill_(0, torch.tensor([1]), 1), labels)
    other = Images(pixels, labels + 1)
    pairs = [(base, base), (one, base), (other, base), (base, one), (base, other)]
    assert len({fingerprint(*pair) for pair in pairs}) == len(pairs)


def test_layouts_agree_with_torchvision() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN

    archives = {archive.urls[0].rsplit("/", 1)[-1]: archive.md5 for archive in LAYOUTS["mnist"][BINARY].archives}
    assert archives == dict(MNIST.resources)
    for name, cls in (("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        layout = LAYOUTS[name][PICKLED]
        assert [[file.name, file.md5] for file in layout.train] == cls.train_list
        assert [[file.name, file.md5] for file in layout.test] == cls.test_list
        assert layout.folders[0] == cls.base_folder
    for split in ("train", "test"):
        file = getattr(LAYOUTS["svhn"][0], split)[0]
        assert [file.name, file.md5] == SVHN.split_list[split][1:]


def test_importing_sources_and_finding_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, engine.data, engine.data.sources as s; s.find('digits'); "
        f"s.find('mnist', pathlib.Path({str(tmp_path)!r})); s.default_data_dir(); engine.data.load; "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_known_layouts_keep_the_other_forms(tmp_path: Path) -> None:
    written = write("cifar10", tmp_path)
    assert known("cifar10", written.folder)["cifar10"][PICKLED] == LAYOUTS["cifar10"][PICKLED]
