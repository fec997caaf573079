"""Choosing images by class: how many of each there are, and which."""

from __future__ import annotations

import torch
from torch import Tensor


def sizes(labels: Tensor, classes: int) -> list[int]:
    """How many images each class has."""
    return [int(count) for count in torch.bincount(labels.cpu(), minlength=classes)]


def choose(labels: Tensor, counts: list[int], generator: torch.Generator) -> Tensor:
    """Random positions, ``counts[c]`` of every class c: int64, ascending."""
    order = torch.randperm(len(labels), generator=generator)
    shuffled = labels[order]
    return torch.cat([order[shuffled == label][:count] for label, count in enumerate(counts)]).sort().values


def without(indices: Tensor, taken: Tensor) -> Tensor:
    """``indices`` that are not in ``taken``, in their order."""
    return indices[~torch.isin(indices, taken)]
