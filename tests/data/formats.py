"""Small data sets written in the exact published formats, with the layouts that know their checksums."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import savemat

from engine.data.layout import LAYOUTS, File, Layout

SIZES = {"mnist": (40, 20), "svhn": (30, 20), "cifar10": (50, 10), "cifar100": (200, 100)}
CLASSES = {"mnist": 10, "svhn": 10, "cifar10": 10, "cifar100": 100}
BINARY, PICKLED = 0, 1


@dataclass(frozen=True)
class Written:
    """A set on disk and the layouts to load it by."""

    data_dir: Path
    folder: Path
    layouts: dict[str, tuple[Layout, ...]]


def arrays(name: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels uint8 [count, c, h, w] and labels that take every class in turn."""
    shape = (1, 28, 28) if name == "mnist" else (3, 32, 32)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return pixels, (np.arange(count) % CLASSES[name]).astype(np.uint8)


def content(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`write` puts into a split."""
    train, test = SIZES[name]
    return arrays(name, train, 1) if split == "train" else arrays(name, test, 2)


def write(name: str, data_dir: Path, form: int = BINARY) -> Written:
    """Write a set under ``data_dir`` where its publisher's layout has it."""
    layout = LAYOUTS[name][form]
    folder = data_dir / layout.folders[0]
    folder.mkdir(parents=True)
    for split, files in (("train", layout.train), ("test", layout.test)):
        pixels, labels = content(name, split)
        if layout.form == "idx":
            (folder / files[0].name).write_bytes(struct.pack(">4I", 2051, len(labels), 28, 28) + pixels.tobytes())
            (folder / files[1].name).write_bytes(struct.pack(">2I", 2049, len(labels)) + labels.tobytes())
        elif layout.form == "mat":
            digits = np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)
            savemat(folder / files[0].name, {"X": pixels.transpose(2, 3, 1, 0), "y": digits}, do_compression=True)
        else:
            parts = zip(files, np.split(pixels, len(files)), np.split(labels, len(files)), strict=True)
            for file, some_pixels, some_labels in parts:
                (folder / file.name).write_bytes(_cifar(name, layout.form, some_pixels, some_labels))
    return Written(data_dir, folder, known(name, folder, form))


def _cifar(name: str, form: str, pixels: np.ndarray, labels: np.ndarray) -> bytes:
    flat = pixels.reshape(len(pixels), -1)
    if form == "pickled":
        keys = {"labels": labels.tolist()}
        if name == "cifar100":
            keys = {"fine_labels": labels.tolist(), "coarse_labels": (labels // 5).tolist()}
        return pickle.dumps({"data": flat, **keys}, protocol=2)
    columns = [labels // 5, labels] if name == "cifar100" else [labels]
    return np.concatenate([*(column[:, None] for column in columns), flat], axis=1).tobytes()


def known(name: str, folder: Path, form: int = BINARY) -> dict[str, tuple[Layout, ...]]:
    """The published layouts with the sizes and checksums of the files now in ``folder`` for one form."""

    def of(file: File) -> File:
        data = (folder / file.name).read_bytes()
        return File(file.name, md5(data), None if file.size is None else len(data))

    forms = list(LAYOUTS[name])
    layout = forms[form]
    train, test = tuple(of(file) for file in layout.train), tuple(of(file) for file in layout.test)
    forms[form] = dataclasses.replace(layout, train=train, test=test)
    return {**LAYOUTS, name: tuple(forms)}


def md5(data: bytes) -> str:
    """MD5 as hex."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def pack(path: Path) -> None:
    """Replace a file by its gzipped form."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def real_or_written(name: str, tmp_path: Path) -> tuple[Path, dict[str, tuple[Layout, ...]]]:
    """A data directory: the published files from MIM4DD_TEST_DATA, else small ones in their format."""
    if directory := os.environ.get("MIM4DD_TEST_DATA"):
        layout = LAYOUTS[name][0]
        if not all(layout.missing(Path(directory) / folder) for folder in layout.folders):
            return Path(directory), LAYOUTS
    written = write(name, tmp_path)
    return written.data_dir, written.layouts
