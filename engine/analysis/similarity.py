"""Layer by layer: networks trained on the real set against networks trained on a synthetic one (the paper's Fig. 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.analysis.cka import Estimator, between_networks
from engine.artifact import DistilledSet
from engine.data.augment import Augment
from engine.evaluation.evaluate import EAGER, nothing, train_networks
from engine.evaluation.protocols import PROTOCOLS
from engine.networks import ConvNet


@dataclass(frozen=True)
class Similarity:
    """CKA of pairs of networks: the layers of the first are the rows, those of the second the columns.

    Attributes:
        layers: names of the layers, in order.
        pairs: float64 [pairs, layers, layers].
    """

    layers: tuple[str, ...]
    pairs: Tensor

    @property
    def mean(self) -> Tensor:
        """Over the pairs, [layers, layers]."""
        return self.pairs.mean(0)

    @property
    def deviation(self) -> Tensor:
        """Standard deviation (n - 1) over the pairs, [layers, layers]; nan of one."""
        return self.pairs.std(0) if len(self.pairs) > 1 else torch.full_like(self.pairs[0], torch.nan)

    @property
    def same_layer(self) -> Tensor:
        """Mean CKA of each layer with itself, [layers]."""
        return self.mean.diagonal()


def layer_names(net: ConvNet) -> tuple[str, ...]:
    """Names of what ``net.features`` returns."""
    return (*(f"block {number + 1}" for number in range(net.network.depth)), "logits")


def trained_on(
    item: DistilledSet,
    count: int,
    *,
    net: ConvNet,
    augment: Augment,
    seed: int,
    device: torch.device,
    protocol: str | None = None,
    tick: Callable[[], None] = nothing,
    execution: Mapping[str, Any] = EAGER,
) -> list[Tensor]:
    """Flat parameters [size] of ``count`` networks trained on a distilled set by its protocol.

    Args:
        seed: of the networks; as the run's, they are those of its final evaluation.
        protocol: a name in ``PROTOCOLS``; the set's own by default.
        tick: called before every step; may raise to stop.
        execution: its "precision" is trained in.
    """
    pixels, labels = item.decoded()
    return list(
        train_networks(
            [(pixels.to(device), labels.to(device))],
            item.step_size,
            net=net,
            protocol=PROTOCOLS[protocol or item.protocol],
            augment=augment,
            seed=seed,
            purposes=[("final", number) for number in range(count)],
            tick=tick,
            execution=execution,
        )
    )


def pair_by_pair(
    rows: Sequence[Tensor],
    columns: Sequence[Tensor],
    *,
    net: ConvNet,
    images: Tensor,
    batch: int = 250,
    estimator: Estimator = "unbiased",
    tick: Callable[[], None] = nothing,
) -> Similarity:
    """Compare the first network of ``rows`` with the first of ``columns``, and so on, on the same images.

    Args:
        rows: flat parameters [size] of the networks whose layers become the matrices' rows; ``columns`` likewise.
        images: [n, c, h, w], shown to both.
        tick: called before every batch; may raise to stop.

    Raises:
        ValueError: there are not as many on both sides, or none, or too few images.
    """
    pairs = [
        between_networks(
            net.features, first.to(images.device), second, images, batch=batch, estimator=estimator, tick=tick
        )
        for first, second in zip(rows, columns, strict=True)
    ]
    if not pairs:
        raise ValueError("there are no networks to compare")
    return Similarity(layer_names(net), torch.stack(pairs))
