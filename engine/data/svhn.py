"""SVHN's cropped digits (format 2), read by torchvision's class; label 10 of the files is the digit 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.files import Tick, broken, check_md5, read
from engine.data.layout import File
from engine.data.types import Images
from engine.errors import DataError

SHAPE = (3, 32, 32)


def load_split(folder: Path, file: File, *, official: bool, tick: Tick | None) -> Images:
    """Images of one split: uint8 [n, 3, 32, 32] and labels 0..9.

    Args:
        folder: where the .mat file lies.
        file: its name and MD5.
        official: require the MD5.
        tick: called while reading.

    Raises:
        DataError: the file is missing, truncated, of another format or corrupted, or torchvision cannot
            be imported.
    """
    path = folder / file.name
    data = read(path, tick)
    if official:
        check_md5(path, data, file)
    del data
    reader = _reader(file)
    try:
        found = reader(folder, split="train", download=False)
    except Exception as error:  # scipy raises whatever a damaged stream leads it to
        raise broken(path, f"is no readable .mat file ({type(error).__name__}: {error})") from None
    pixels, labels = found.data, np.atleast_1d(found.labels)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != SHAPE:
        what = f"X is {pixels.dtype} {list(pixels.shape)} as images, channels, rows, columns"
        raise broken(path, f"holds no SVHN images: {what}, expected uint8 [n, 3, 32, 32]")
    if labels.shape != (len(pixels),) or len(labels) == 0:
        raise broken(path, f"holds labels of shape {list(labels.shape)} for {len(pixels):,} images")
    if labels.min() < 0 or labels.max() > 9:
        raise broken(path, f"holds labels {labels.min()}..{labels.max()}, expected 1..10 (10 is the digit 0)")
    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels))


def _reader(file: File) -> Any:
    """torchvision's class for this very file; its checksum has been checked already, or need not match."""
    try:
        from torchvision.datasets import SVHN
    except (ImportError, RuntimeError) as error:
        raise DataError(
            f"svhn: torchvision cannot be imported ({error}). Install the version that fits torch {torch.__version__}."
        ) from None

    class OneFile(SVHN):  # type: ignore[misc]
        split_list = {"train": ["", file.name, None]}  # noqa: RUF012 - torchvision's own form

    return OneFile
