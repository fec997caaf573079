"""Linear centred kernel alignment (CKA, Kornblith et al. 2019): how alike two layers represent the same images.

    CKA(X, Y) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),    K = X X^T,  L = Y Y^T

of features [n, d] and [n, e] of the same n images. HSIC is estimated with bias (Gretton et al. 2005), which is
large where there are more features than images, or without (Song et al. 2012). Over many images the unbiased HSICs
of minibatches are averaged before the ratio is taken (Nguyen, Raghu & Kornblith 2021): the same in expectation, at
the memory of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

Estimator = Literal["unbiased", "biased"]
LEAST = 4
"""Images the unbiased estimator needs."""


def gram(features: Tensor) -> Tensor:
    """Inner products [n, n] of the features [n, ...] of n images, in double precision."""
    flat = features.flatten(1).double()
    return flat @ flat.T


def hsic(first: Tensor, second: Tensor, estimator: Estimator = "unbiased") -> Tensor:
    """The Hilbert-Schmidt independence criterion [] of two Gram matrices [n, n].

    Args:
        estimator: "biased", ``tr(K H L H) / (n - 1)^2`` with H the centring matrix, never negative; or "unbiased",
            which is 0 in the mean for independent features, and so may fall below it.

    Raises:
        ValueError: there are too few images.
    """
    n = len(first)
    if estimator == "biased":
        if n < 2:
            raise ValueError("the biased estimator needs at least 2 images")
        return (_centred(first) * _centred(second)).sum() / (n - 1) ** 2
    if n < LEAST:
        raise ValueError(f"the unbiased estimator needs at least {LEAST} images, not {n}")
    k, l = _hollow(first), _hollow(second)  # noqa: E741 - the letters of the paper
    rows_k, rows_l = k.sum(1), l.sum(1)
    total = (k * l).sum() + rows_k.sum() * rows_l.sum() / ((n - 1) * (n - 2)) - 2 * torch.dot(rows_k, rows_l) / (n - 2)
    return total / (n * (n - 3))


def _centred(matrix: Tensor) -> Tensor:
    return matrix - matrix.mean(0, keepdim=True) - matrix.mean(1, keepdim=True) + matrix.mean()


def _hollow(matrix: Tensor) -> Tensor:
    return matrix - torch.diag(matrix.diagonal())


def cka(first: Tensor, second: Tensor, estimator: Estimator = "unbiased") -> float:
    """CKA of features [n, ...] and [n, ...] of the same images: 1 for the same up to rotation and scale.

    Raises:
        ValueError: there are too few images, or one side's features do not differ between images.
    """
    accumulated = Accumulated(1, 1, estimator)
    accumulated.add([first], [second])
    return float(accumulated.matrix())


class Accumulated:
    """CKA between all layers of two networks, from minibatches of images.

    Args:
        first: layers of the first network; ``second`` of the second.
        estimator: of the HSIC of a minibatch; only the unbiased one does not depend on the batches' size.
    """

    def __init__(self, first: int, second: int, estimator: Estimator = "unbiased") -> None:
        self.estimator: Estimator = estimator
        self._cross = torch.zeros(first, second, dtype=torch.float64)
        self._first = torch.zeros(first, dtype=torch.float64)
        self._second = torch.zeros(second, dtype=torch.float64)

    def add(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> None:
        """One minibatch: the features [n, ...] of every layer of both networks on the same n images."""
        grams = [gram(x) for x in first], [gram(x) for x in second]
        for i, k in enumerate(grams[0]):
            self._first[i] += hsic(k, k, self.estimator).cpu()
            for j, l in enumerate(grams[1]):  # noqa: E741
                self._cross[i, j] += hsic(k, l, self.estimator).cpu()
        for j, l in enumerate(grams[1]):  # noqa: E741
            self._second[j] += hsic(l, l, self.estimator).cpu()

    def matrix(self) -> Tensor:
        """CKA float64 [first, second] over the minibatches added.

        Raises:
            ValueError: a layer's features do not differ between images, or none were added.
        """
        if bool((self._first <= 0).any() | (self._second <= 0).any()):
            raise ValueError("CKA is not defined: a layer's features do not differ between the images")
        return self._cross / (self._first[:, None] * self._second).sqrt()


Features = Callable[[Tensor, Tensor], list[Tensor]]
"""Outputs of every layer, of (flat parameters [size], images [n, c, h, w]): ``ConvNet.features``."""


@torch.no_grad()
def between_networks(
    features: Features,
    first: Tensor,
    second: Tensor,
    images: Tensor,
    *,
    batch: int = 256,
    estimator: Estimator = "unbiased",
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """CKA float64 [layers, layers] between two networks of one layout, on the same images.

    Args:
        features: the layout, e.g. ``ConvNet.features``.
        first: flat parameters [size] of the network of the rows; ``second`` of the columns.
        images: [n, c, h, w]; a last batch of fewer than four is left out.
        tick: called before every batch; may raise to stop.

    Raises:
        ValueError: there are no images, or too few.
    """
    if len(images) == 0:
        raise ValueError("there are no images")
    accumulated: Accumulated | None = None
    for part in torch.split(images, batch):
        tick()
        if len(part) < LEAST and accumulated is not None:
            break
        left, right = features(first, part), features(second, part)
        accumulated = accumulated or Accumulated(len(left), len(right), estimator)
        accumulated.add(left, right)
    assert accumulated is not None
    return accumulated.matrix()
