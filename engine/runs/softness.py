"""How far from hard soft labels are, in a few numbers. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError


@dataclass(frozen=True)
class Softness:
    """Means over images: the own class's part of a label, all parts together, and of shares their entropy in bits.

    Free labels are numbers that may lie below 0 and need not add up to one: they have no entropy.
    """

    kind: str  # "free" or "softmax"
    own: float
    total: float
    bits: float | None


def softness(labels: NDArray[np.float32], kind: str) -> Softness:
    """Of targets [images, classes] of images that are ordered by class, as many of each.

    Raises:
        DataError: they are not.
    """
    if labels.ndim != 2 or not labels.size or len(labels) % labels.shape[1] or not np.isfinite(labels).all():
        raise DataError(f"{labels.dtype} {list(labels.shape)} are no soft labels of as many images of each class")
    targets = labels.astype(np.float64)
    images, classes = targets.shape
    own = targets[np.arange(images), np.arange(images) // (images // classes)]
    bits = None
    if kind == "softmax":
        logs = np.log2(np.where(targets > 0, targets, 1.0))
        bits = abs(float(-(targets * logs).sum(1).mean()))  # no -0
    return Softness(kind, float(own.mean()), float(targets.sum(1).mean()), bits)
