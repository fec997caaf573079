"""Multi-formation (IDC, Kim et al. 2022): one stored image holds factor x factor smaller ones.

A stored image is cut into a grid of factor x factor patches, and each is enlarged to the whole size: what networks
are trained on is the decoded set, factor^2 times as many images as are stored. The storage budget, images per
class times the size of an image, stays what it was. Decoding is linear; written as products with two small
matrices, it and its transpose give the same bits on every run, on a GPU too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def decode(stored: Tensor, factor: int) -> Tensor:
    """The images [n * factor^2, c, h, w] that stored ones [n, c, h, w] stand for; those of an image lie together.

    Patches are enlarged bilinearly. With factor 1 the same tensor.
    """
    if factor == 1:
        return stored
    n, channels, height, width = stored.shape
    rows, columns = height // factor, width // factor
    patches = stored.reshape(n, channels, factor, rows, factor, columns).permute(0, 2, 4, 1, 3, 5)
    patches = patches.reshape(n * factor**2, channels, rows, columns)
    return _enlargement(rows, height, stored) @ patches @ _enlargement(columns, width, stored).T


def decode_labels(labels: Tensor, factor: int) -> Tensor:
    """Labels of the decoded images, of the stored ones' [n] or [n, classes]."""
    return labels.repeat_interleave(factor**2, 0) if factor > 1 else labels


def pull_back(cotangent: Tensor, factor: int) -> Tensor:
    """The derivative by the stored images [n, c, h, w] from that by the decoded ones [n * factor^2, c, h, w]."""
    if factor == 1:
        return cotangent
    count, channels, height, width = cotangent.shape
    rows, columns = height // factor, width // factor
    patches = _enlargement(rows, height, cotangent).T @ cotangent @ _enlargement(columns, width, cotangent)
    return _assemble(patches, factor).reshape(count // factor**2, channels, height, width)


def compose(images: Tensor, factor: int) -> Tensor:
    """Stored images [n, c, h, w] whose patches are images [n * factor^2, c, h, w] made smaller by means of squares."""
    if factor == 1:
        return images
    return _assemble(F.avg_pool2d(images, factor), factor)


def _assemble(patches: Tensor, factor: int) -> Tensor:
    count, channels, rows, columns = patches.shape
    grid = patches.reshape(count // factor**2, factor, factor, channels, rows, columns).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(count // factor**2, channels, factor * rows, factor * columns)


def _enlargement(small: int, large: int, like: Tensor) -> Tensor:
    """The matrix [large, small] of linear interpolation, as torch's bilinear ``interpolate`` has it."""
    identity = torch.eye(small, dtype=like.dtype, device=like.device)
    return F.interpolate(identity[None], size=large, mode="linear", align_corners=False)[0].T
