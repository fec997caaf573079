"""Layer by layer: networks trained on the real set against networks trained on a synthetic one (the paper's Fig. 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.analysis.cka import between_networks
from engine.artifact import DistilledSet
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.evaluation.evaluate import EAGER, nothing, train_networks
from engine.evaluation.protocols import PROTOCOLS
from engine.networks import ConvNet


@dataclass(frozen=True)
class Similarity:
    """CKA of pairs of networks, one trained on the real set (rows), one on the synthetic set (columns).

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


def real_against_synthetic(
    item: DistilledSet,
    experts: Sequence[Tensor],
    *,
    net: ConvNet,
    real: RealSet,
    augment: Augment,
    seed: int,
    protocol: str | None = None,
    images: int = 2000,
    batch: int = 250,
    tick: Callable[[], None] = nothing,
    execution: Mapping[str, Any] = EAGER,
) -> Similarity:
    """Compare networks trained on the real set with as many trained on a distilled set, pair by pair.

    Args:
        experts: flat parameters [size] of networks trained on the real set, e.g. experts at their last epoch.
        real: whose first ``images`` test images both are shown.
        seed: of the networks trained here; as the run's, they are those of its final evaluation.
        protocol: a name in ``PROTOCOLS``; the set's own by default.
        tick: called before every step; may raise to stop.
        execution: its "precision" is trained in.
    """
    device = real.test_images.device
    pixels, labels = item.decoded()
    trained = train_networks(
        [(pixels.to(device), labels.to(device))],
        item.step_size,
        net=net,
        protocol=PROTOCOLS[protocol or item.protocol],
        augment=augment,
        seed=seed,
        purposes=[("final", number) for number in range(len(experts))],
        tick=tick,
        execution=execution,
    )
    shown = real.test_images[:images]
    pairs = [
        between_networks(net.features, expert.to(device), own, shown, batch=batch, tick=tick)
        for expert, own in zip(experts, trained, strict=True)
    ]
    return Similarity(layer_names(net), torch.stack(pairs))
