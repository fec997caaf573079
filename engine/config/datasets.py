"""What the schema has to know of the built-in data sets, without reading them: classes, counts, sizes.

Counts are those of the published files (of the digits: of this program's split of them).
"""

from __future__ import annotations

TRAIN_IMAGES: dict[str, tuple[int, ...]] = {
    "digits": (142, 146, 141, 147, 145, 146, 145, 143, 138, 144),
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "svhn": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
    "cifar10": (5000,) * 10,
    "cifar100": (500,) * 100,
}
"""Training images of every class."""

TEST_IMAGES = {"digits": 360, "mnist": 10_000, "svhn": 26_032, "cifar10": 10_000, "cifar100": 10_000}
"""Test images in all."""

CLASSES = {name: len(counts) for name, counts in TRAIN_IMAGES.items()}
"""Number of classes."""


def image_side(name: str) -> int:
    """Side of the first block's feature map: 28x28 images are padded to 32 by the first convolution (MTT)."""
    return 8 if name == "digits" else 32
