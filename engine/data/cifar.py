"""CIFAR-10 and CIFAR-100: the official binary release, or the pickled one once its checksums match.

A binary record is the label (CIFAR-100: coarse, then fine), then 3,072 bytes: channel, row, column.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import torch

from engine.data.files import Tick, broken, check_md5, check_size, read
from engine.data.layout import File
from engine.data.types import Images

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32


def load_binary(folder: Path, files: tuple[File, ...], classes: int, *, official: bool, tick: Tick | None) -> Images:
    """Images of one split from binary files: uint8 [n, 3, 32, 32] and (fine) labels.

    Args:
        folder: where the files lie.
        files: in order.
        classes: 10 or 100; a record of the latter has two labels.
        official: also require the published size and MD5.
        tick: called while reading.

    Raises:
        DataError: a file is missing, truncated, of another format or corrupted.
    """
    label_bytes = 2 if classes == 100 else 1
    record = label_bytes + PIXELS
    parts = []
    for file in files:
        path = folder / file.name
        data = read(path, tick)
        if official and file.size is not None:
            check_size(path, data, file.size)
        if not data or len(data) % record:
            what = f"is truncated: {len(data):,} bytes are no whole number of {record}-byte records"
            raise broken(path, what)
        if official:
            check_md5(path, data, file)
        records = np.frombuffer(data, np.uint8).reshape(-1, record)
        if (highest := int(records[:, label_bytes - 1].max())) >= classes:
            raise broken(path, f"holds the label {highest}, above {classes - 1}")
        parts.append(records)
    labels = np.concatenate([records[:, label_bytes - 1] for records in parts]).astype(np.int64)
    pixels = np.concatenate([records[:, label_bytes:] for records in parts]).reshape(-1, *SHAPE)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


def load_pickled(folder: Path, files: tuple[File, ...], classes: int, *, tick: Tick | None) -> Images:
    """Images of one split from the Python release that torchvision downloads.

    The very bytes whose MD5 matched are unpickled, and nothing else.

    Raises:
        DataError: a file is missing or is not the published one.
    """
    key = "fine_labels" if classes == 100 else "labels"
    pixels, labels = [], []
    for file in files:
        path = folder / file.name
        data = read(path, tick)
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != file.md5:
            raise broken(path, "is not the published file (its MD5 differs), so it is not unpickled")
        entry = pickle.loads(data, encoding="latin1")  # noqa: S301 - only the published bytes come here
        pixels.append(np.asarray(entry["data"], np.uint8).reshape(-1, *SHAPE))
        labels.append(np.asarray(entry[key], np.int64))
    return Images(torch.from_numpy(np.concatenate(pixels)), torch.from_numpy(np.concatenate(labels)))
