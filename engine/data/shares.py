"""How many images of each class: plain arithmetic, which validation does before any data is read."""

from __future__ import annotations

from collections.abc import Sequence


def even(available: Sequence[int], total: int) -> list[int]:
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


def proportional(available: Sequence[int], total: int) -> list[int]:
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
