"""An objective on a few real digits, in double precision, for comparison with one graph through everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.experts import Trajectories
from engine.kernels import eager
from engine.networks import ConvNet
from engine.objectives import Context, SyntheticSet
from engine.seeds import generator
from tests.distill.helpers import tiny

CPU = torch.device("cpu")
DOUBLE = torch.float64


class DoubleNet(ConvNet):
    """A network that is drawn in double precision."""

    def init(self, generator: torch.Generator) -> Tensor:
        return super().init(generator).double()


class GivenExperts(Trajectories):
    """Two drawn experts of three epochs."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__([], 3, [0.5, 0.5], CPU)
        self.net = net

    @property
    def count(self) -> int:
        return 2

    def parameters(self, expert: int, epoch: int) -> Tensor:
        return self.net.init(generator(expert, "epoch", epoch))


def doubled(real: RealSet) -> RealSet:
    """The same images in double precision."""
    names = ("train_images", "test_images", "readout_images")
    return replace(real, **{name: getattr(real, name).double() for name in names})


class Setting:
    """A context on 200 digits and a set of ten images, or of as many a class as the changes say."""

    def __init__(self, tick: Callable[[], None] = lambda: None, **changes: Any) -> None:
        self.config: Config = tiny(**{"network__depth": 2, "information__weight": 0.0, **changes})
        self.real = doubled(prepare(load("digits"), self.config.data, seed=0, readout=40))
        self.net = DoubleNet(self.config.network, self.real.shape, 10)
        augment = Augment(self.config.augmentation, self.real.shape)
        self.context = Context(
            self.config, self.real, self.net, GivenExperts(self.net), augment, eager(self.net), CPU, tick
        )
        labels = torch.arange(10).repeat_interleave(self.config.synthetic.images_per_class)
        pixels = torch.randn(len(labels), *self.real.shape, generator=generator(1, "pixels"), dtype=DOUBLE)
        self.set = SyntheticSet(pixels, labels, torch.tensor(self.config.objective.step_size, dtype=DOUBLE))


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-9) -> bool:
    """Whether two tensors agree relative to the second, which is not zero."""
    return bool(theirs.norm() > 0) and bool((ours - theirs).norm() <= tolerance * theirs.norm())
