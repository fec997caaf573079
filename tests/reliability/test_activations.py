"""What a network's passes hold at once is counted as torch allocates it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from engine import compilation, memory, stacked, training
from engine.activations import FLOAT, Shape
from engine.config.load import changed, resolve
from engine.config.schema import Config
from engine.data import transform
from engine.data.augment import Augment
from engine.networks import ConvNet
from engine.objectives import dream, matched
from engine.seeds import generator

IMAGES = 40


def peak(work: Callable[[], object]) -> int:
    """Bytes of tensors that were alive at once, above those that were there before."""
    work()  # what is made once is none of it
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        work()
    events: list[Any] = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most


def of(**changes: object) -> tuple[Config, ConvNet]:
    base = {"network.width": 16, "network.depth": 3, "augmentation.strategy": "none"}
    values = base | {name.replace("__", "."): value for name, value in changes.items()}
    config = changed(resolve("cifar10-ipc1-small").config, values)
    return config, ConvNet(config.network, (3, 32, 32), 10)


@pytest.mark.parametrize("pooling", ["avg", "none"])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_passes_hold_what_is_counted(norm: str, pooling: str) -> None:
    config, net = of(network__norm=norm, network__pooling=pooling)
    shape, draws = Shape.of(config), generator(0, "peaks")
    parameters, images = net.init(draws), torch.randn(IMAGES, 3, 32, 32, generator=draws)
    direction, labels = torch.randn(net.size, generator=draws), torch.arange(IMAGES) % 10
    stack = stacked.Stack(net)
    exact = compilation.in_precision(net, "float32", "cpu")

    @torch.no_grad()
    def second() -> object:
        return exact.second(parameters, direction, images, labels)

    @torch.no_grad()
    def features() -> object:
        return net.features(parameters, images)

    @torch.no_grad()
    def logits() -> object:
        return stack.logits(stack.split(parameters[None]), images[None])

    def differentiated() -> object:
        pixels = images.clone().requires_grad_()
        return torch.autograd.grad(net.features(parameters, pixels)[-2].sum(), pixels)

    first = stacked.alone(net, "float32", "cpu")
    counted: dict[str, tuple[Callable[[], object], float, int]] = {
        "slope": (lambda: first(parameters, images, labels), shape.slope(), 2),
        "second": (second, shape.second(), 3),
        "features": (features, shape.features(), 0),
        "differentiated": (differentiated, shape.differentiated(), 0),
        "logits": (logits, shape.measured(), 0),
    }
    for name, (work, floats, vectors) in counted.items():
        ratio = FLOAT * (IMAGES * floats + vectors * net.size) / peak(work)
        assert 0.9 < ratio < 1.15, (name, ratio)


@pytest.mark.parametrize("strategy", ["rotate", "color_crop_cutout_flip_scale"])
def test_augmentations_hold_no_more_than_is_counted(strategy: str) -> None:
    config, _ = of(augmentation__strategy=strategy)
    augment, images = Augment(config.augmentation, (3, 32, 32)), torch.randn(IMAGES, 3, 32, 32)
    counted = FLOAT * IMAGES * Shape.of(config).augmentation()
    found = []
    for name in augment.strategies:
        alone = config.augmentation.model_copy(update={"strategy": name})
        draw = Augment(alone, (3, 32, 32)).draw(IMAGES, generator(0, "peaks"))
        found.append(peak(partial(augment, images, draw)))
    assert max(found) <= 1.1 * counted
    if strategy == "rotate":
        assert found[0] >= 0.9 * counted


def test_what_the_engine_bounds_is_bounded_alike() -> None:
    assert (training.CHUNK, stacked.TOGETHER, dream.CHUNK) == (memory.CHUNK, memory.TOGETHER, memory.FEATURES)
    assert (matched.BATCH, transform.BLOCK) == (memory.MATCHED, memory.BLOCK)
