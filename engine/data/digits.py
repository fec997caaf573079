"""The built-in set: scikit-learn's 1,797 real 8x8 digits (UCI optical recognition of handwritten digits)."""

from __future__ import annotations

import numpy as np
import torch

from engine.data.types import Images

TEST_PER_CLASS = 36


def load() -> tuple[Images, Images]:
    """Training and test images, uint8 [1437, 1, 8, 8] and [360, 1, 8, 8].

    The set comes without a split: 36 images of each class are the test set, chosen once and for all.
    Its values 0..16 are scaled to 0..255.
    """
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    pixels = np.rint(values * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    # RandomState's stream is frozen (NEP 19): the split is the same under every version of numpy and torch.
    order = np.random.RandomState(0).permutation(len(labels))
    test = np.sort(np.concatenate([order[labels[order] == digit][:TEST_PER_CLASS] for digit in range(10)]))
    train = np.setdiff1d(np.arange(len(labels)), test)

    def take(indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Images:
        return Images(torch.from_numpy(pixels[indices]), torch.from_numpy(labels[indices].astype(np.int64)))

    return take(train), take(test)
