"""From 8-bit pixels to network space and back: per-channel normalisation, or ZCA whitening.

ZCA is fitted as MTT does it with kornia: on pixels scaled to 0..1, flattened, centred by each pixel's
mean; covariance over n - 1; whitening U (S + epsilon)^(-1/2) U^T and its inverse U (S + epsilon)^(1/2) U^T
of the covariance U S U^T. Nothing is normalised before or after it. The fit is float64: the second moments
are whole numbers and counted exactly, so the covariance does not depend on threads or chunks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, cast

import torch
from torch import Tensor

from engine.errors import DataError

Kind = Literal["normalise", "zca"]
TENSORS: dict[str, tuple[str, ...]] = {
    "normalise": ("mean", "std"),
    "zca": ("mean", "whitening", "colouring"),
}
BLOCK = 2048
EXACT = 1024


class Transform:
    """A fitted, affine and invertible map of images.

    Tensors, float32: of "normalise" ``mean`` and ``std``, both [channels]; of "zca" ``mean`` [d] and the
    symmetric matrices ``whitening`` and ``colouring`` [d, d], inverse to each other, d = channels * height *
    width.

    Args:
        kind: "normalise" or "zca".
        shape: channels, height and width of an image.
        tensors: as above.

    Raises:
        DataError: a tensor is missing or has the wrong shape or type.
    """

    def __init__(self, kind: str, shape: tuple[int, int, int], tensors: Mapping[str, Tensor]) -> None:
        if kind not in TENSORS:
            raise DataError(f"unknown transform {kind!r}; known are {', '.join(TENSORS)}")
        self.kind: Kind = cast(Kind, kind)
        self.shape = shape
        side = shape[0] if kind == "normalise" else shape[0] * shape[1] * shape[2]
        self._tensors: dict[str, Tensor] = {}
        for name in TENSORS[kind]:
            expected = (side, side) if name in ("whitening", "colouring") else (side,)
            tensor = tensors.get(name)
            if tensor is None or tuple(tensor.shape) != expected or tensor.dtype != torch.float32:
                found = "is missing" if tensor is None else f"is {tensor.dtype} {list(tensor.shape)}"
                raise DataError(f"transform {kind!r}: tensor {name!r} {found}, expected float32 {list(expected)}")
            self._tensors[name] = tensor

    @classmethod
    def from_tensors(cls, kind: str, shape: tuple[int, int, int], tensors: Mapping[str, Tensor]) -> Transform:
        """The transform that :meth:`tensors` was taken from."""
        return cls(kind, shape, tensors)

    def tensors(self) -> dict[str, Tensor]:
        """The fitted tensors by name."""
        return dict(self._tensors)

    def to(self, device: torch.device | str) -> Transform:
        """The same transform on another device."""
        return Transform(self.kind, self.shape, {name: t.to(device) for name, t in self._tensors.items()})

    def digest(self) -> str:
        """SHA-256 (hex) over kind, shape and tensors."""
        digest = hashlib.sha256(f"{self.kind} {self.shape}".encode())
        for name in TENSORS[self.kind]:
            digest.update(name.encode())
            digest.update(self._tensors[name].contiguous().cpu().numpy().data)
        return digest.hexdigest()

    def forward(self, pixels: Tensor) -> Tensor:
        """Network space, float32 [n, c, h, w], of uint8 pixels [n, c, h, w] on the transform's device."""
        out = torch.empty(pixels.shape, dtype=torch.float32, device=pixels.device)
        for start in range(0, len(pixels), BLOCK):
            block = pixels[start : start + BLOCK].float().div_(255)
            if self.kind == "normalise":
                mean, std = self._columns(block)
                out[start : start + BLOCK] = (block - mean) / std
            else:
                centred = block.flatten(1) - self._tensors["mean"]
                out[start : start + BLOCK] = (centred @ self._tensors["whitening"]).view(block.shape)
        return out

    def inverse(self, images: Tensor) -> Tensor:
        """Pixels, nominally 0..1 and not clipped, of network-space images [n, c, h, w] of any float type."""
        if self.kind == "normalise":
            mean, std = self._columns(images)
            return images * std + mean
        colouring, mean = self._tensors["colouring"].to(images.dtype), self._tensors["mean"].to(images.dtype)
        return (images.flatten(1) @ colouring + mean).view(images.shape)

    def _columns(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (self._tensors[name].to(images.dtype).view(1, -1, 1, 1) for name in ("mean", "std"))
        return mean, std


def fit_normalise(pixels: Tensor) -> Transform:
    """Mean and standard deviation (over n) of every channel of uint8 pixels [n, c, h, w].

    Raises:
        DataError: a channel has one value everywhere.
    """
    channels = pixels.shape[1]
    total = pixels.numel() // channels
    sums, squares = torch.zeros(2, channels, dtype=torch.float64)
    for start in range(0, len(pixels), BLOCK):
        block = pixels[start : start + BLOCK].double()  # whole numbers below 2^53: both sums are exact
        sums += block.sum((0, 2, 3))
        squares += block.square().sum((0, 2, 3))
    mean = sums / total
    variance = (squares * total - sums.square()) / total**2
    if bool((variance <= 0).any()):
        raise DataError("a channel of the training images has the same value everywhere: nothing to learn from")
    tensors = {"mean": (mean / 255).float(), "std": (variance.sqrt() / 255).float()}
    return Transform("normalise", _shape(pixels), tensors)


def covariance(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [d] and covariance over n - 1 [d, d], float64, of uint8 pixels [n, c, h, w] scaled to 0..1.

    Pixels less 128 are whole numbers of at most 7 bits and sign, so that a float32 product of 1,024 images
    (sums to at most 2^24) is exact and twice as fast as float64; the blocks are added in float64.
    """
    n = len(pixels)
    flat = pixels.flatten(1)
    side = flat.shape[1]
    moments = torch.zeros(side, side, dtype=torch.float64)
    sums = torch.zeros(side, dtype=torch.float64)
    for start in range(0, n, EXACT):
        block = flat[start : start + EXACT].float().sub_(128)
        moments += block.T @ block
        sums += block.sum(0)
    mean = sums / n
    moments -= torch.outer(sums, mean)
    moments /= (n - 1) * 255.0**2
    return (mean + 128) / 255, moments


def fit_zca(pixels: Tensor, epsilon: float) -> Transform:
    """ZCA whitening of uint8 pixels [n, c, h, w] on the CPU, n at least 2.

    Args:
        pixels: the training images in use.
        epsilon: added to the covariance's eigenvalues (of pixels in 0..1).
    """
    mean, matrix = covariance(pixels)
    values, vectors = torch.linalg.eigh(matrix)
    roots = (values.clamp_min(0) + epsilon).sqrt()
    tensors = {
        "mean": mean.float(),
        "whitening": _symmetric((vectors / roots) @ vectors.T),
        "colouring": _symmetric((vectors * roots) @ vectors.T),
    }
    return Transform("zca", _shape(pixels), tensors)


def _symmetric(matrix: Tensor) -> Tensor:
    return ((matrix + matrix.T) / 2).float()


def _shape(pixels: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = pixels.shape
    return int(channels), int(height), int(width)
