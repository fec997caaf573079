"""Distilled sets small enough to test on."""

from __future__ import annotations

import torch

from engine.artifact import DistilledSet
from engine.data.transform import Transform, fit_normalise, fit_zca

SHAPE = (3, 4, 4)


def real_pixels() -> torch.Tensor:
    """Some real images, uint8 [64, 3, 4, 4]."""
    return torch.randint(0, 256, (64, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def transform(kind: str = "normalise") -> Transform:
    """A transform fitted on :func:`real_pixels`."""
    return fit_zca(real_pixels(), 0.1) if kind == "zca" else fit_normalise(real_pixels())


def distilled(
    kind: str = "normalise", *, soft: bool = False, step_size: float | None = 0.0123, each: int = 2
) -> DistilledSet:
    """Three classes of ``each`` images, in network space and out of class order."""
    draws = torch.Generator().manual_seed(1)
    labels = torch.arange(3).repeat(each)
    soft_labels = torch.rand(3 * each, 3, generator=draws) + 3 * torch.nn.functional.one_hot(labels, 3)
    return DistilledSet(
        pixels=torch.randn(3 * each, *SHAPE, generator=draws),
        labels=soft_labels if soft else labels,
        step_size=step_size,
        transform=transform(kind),
        classes=3,
        class_names=("cat", "dog/../x", "ä b"),
        network={"name": "convnet", "width": 8},
        protocol="mtt-1000",
        provenance={"run": "one", "iteration": 7, "config": {"seed": 0}},
    )
