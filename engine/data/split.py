"""Choosing images by class: how many of each, and which."""

from __future__ import annotations

import torch
from torch import Tensor


def even(available: list[int], total: int) -> list[int]:
    """``total`` shared out as evenly as the classes allow; what is left over goes to the lowest labels.

    Raises:
        ValueError: there are fewer than ``total``.
    """
    if total > sum(available):
        raise ValueError(f"{total} of {sum(available)}")
    counts = [0] * len(available)
    rest = total
    while rest:
        open_classes = [label for label, size in enumerate(available) if counts[label] < size]
        share = max(1, rest // len(open_classes))
        for label in open_classes:
            taken = min(share, available[label] - counts[label], rest)
            counts[label] += taken
            rest -= taken
    return counts


def proportional(available: list[int], total: int) -> list[int]:
    """``total`` shared out in proportion to the classes' sizes (largest remainders; ties: lowest label).

    Raises:
        ValueError: there are fewer than ``total``.
    """
    everything = sum(available)
    if total > everything:
        raise ValueError(f"{total} of {everything}")
    counts = [size * total // everything for size in available]
    remainders = [size * total % everything for size in available]
    for label in sorted(range(len(available)), key=lambda label: -remainders[label])[: total - sum(counts)]:
        counts[label] += 1
    return counts


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
