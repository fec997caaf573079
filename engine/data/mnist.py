"""MNIST's idx files.

torchvision's own reader checks only that the files exist, and prefers a ``processed/*.pt`` left by an old
version over them; so the bytes are read here: magic number, counts, exact length and checksum.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from engine.data.files import Tick, broken, check_md5, check_size, read
from engine.data.layout import File, Layout
from engine.data.types import Images

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
SIDE = 28


def load_split(layout: Layout, folder: Path, files: tuple[File, ...], *, official: bool, tick: Tick | None) -> Images:
    """Images of one split: uint8 [n, 1, 28, 28] and labels 0..9.

    Args:
        layout: the form the files are in.
        folder: where they lie; a file may also lie there gzipped, as torchvision leaves it.
        files: the image file and the label file.
        official: also require the published size and MD5.
        tick: called while reading.

    Raises:
        DataError: a file is missing, truncated, too long, of another format or corrupted.
    """
    image_file, label_file = files
    image_path, image_data = _read(layout, folder, image_file, tick)
    label_path, label_data = _read(layout, folder, label_file, tick)
    count, height, width = _header(image_path, image_data, IMAGES_MAGIC, 3)
    if (height, width) != (SIDE, SIDE):
        raise broken(image_path, f"holds images of {height}x{width}, expected {SIDE}x{SIDE}")
    check_size(image_path, image_data, 16 + count * SIDE * SIDE)
    (label_count,) = _header(label_path, label_data, LABELS_MAGIC, 1)
    check_size(label_path, label_data, 8 + label_count)
    if count != label_count:
        raise broken(label_path, f"holds {label_count:,} labels for {count:,} images")
    if official:
        for file, path, data in ((image_file, image_path, image_data), (label_file, label_path, label_data)):
            if file.size is not None:
                check_size(path, data, file.size)
            check_md5(path, data, file)
    pixels = np.frombuffer(image_data, np.uint8, offset=16).reshape(count, 1, SIDE, SIDE)
    labels = np.frombuffer(label_data, np.uint8, offset=8)
    if count == 0 or labels.max() > 9:
        what = "holds no labels" if count == 0 else f"holds the label {labels.max()}, above 9"
        raise broken(label_path, what)
    return Images(torch.from_numpy(pixels.copy()), torch.from_numpy(labels.astype(np.int64)))


def _read(layout: Layout, folder: Path, file: File, tick: Tick | None) -> tuple[Path, bytes]:
    path = layout.locate(folder, file) or folder / file.name
    return path, read(path, tick)


def _header(path: Path, data: bytes, magic: int, dimensions: int) -> tuple[int, ...]:
    size = 4 + 4 * dimensions
    if len(data) < size:
        raise broken(path, f"is truncated: {len(data)} bytes do not hold its {size}-byte header")
    found, *counts = struct.unpack(f">{1 + dimensions}I", data[:size])
    if found != magic:
        raise broken(path, f"is no such idx file: magic number is {found}, expected {magic}")
    return tuple(counts)
