"""What a data source hands over: whole sets of 8-bit images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Images and their labels.

    Attributes:
        pixels: uint8 [n, channels, height, width].
        labels: int64 [n], in 0..classes-1.
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return int(self.labels.shape[0])


@dataclass(frozen=True)
class RawSet:
    """A data set as it was published, on the CPU.

    Attributes:
        name: the name in the configuration.
        train: training images.
        test: test images.
        classes: number of classes.
        class_names: what each label stands for.
        fingerprint: SHA-256 over all arrays, see :func:`fingerprint`.
        official: every file matched its published checksum. False where the user allowed other files;
            numbers measured on them are no results of the named set.
        notes: sentences the user should see, e.g. why the set is not official.
    """

    name: str
    train: Images
    test: Images
    classes: int
    class_names: tuple[str, ...]
    fingerprint: str
    official: bool = True
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.train.pixels.shape
        return int(channels), int(height), int(width)


def fingerprint(train: Images, test: Images) -> str:
    """SHA-256 (hex) over shapes and bytes of train pixels, train labels, test pixels and test labels."""
    digest = hashlib.sha256()
    for tensor in (train.pixels, train.labels, test.pixels, test.labels):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
