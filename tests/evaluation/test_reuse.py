"""A distilled set is judged on the data set it was made from, and on no other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from engine import compilation, execution, reuse
from engine.artifact import DistilledSet
from engine.config.schema import Config, Data, Information, Network
from engine.data.prepare import prepare
from engine.data.types import Images, RawSet
from engine.errors import DataError
from engine.evaluation import shapes as shapes_module
from engine.evaluation.shapes import Shape, shapes_of
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives
from engine.seeds import generator

SHAPE, CPU = (1, 8, 8), torch.device("cpu")


def raw_set(fingerprint: str) -> RawSet:
    labels = torch.arange(10).repeat_interleave(12)
    pixels = torch.randint(0, 256, (120, *SHAPE), generator=generator(0, fingerprint)).to(torch.uint8)
    names = tuple("0123456789")
    return RawSet("digits", Images(pixels, labels), Images(pixels[::2], labels[::2]), 10, names, fingerprint)


def test_another_data_set_of_the_same_shape_is_refused() -> None:
    config = Config(data=Data(name="digits", train_limit=100, test_limit=20), information=Information(readout=20))
    raw = raw_set("one")
    real = prepare(raw, config.data, seed=config.experts.seed, readout=20)
    item = DistilledSet(
        pixels=torch.randn(10, *SHAPE),
        labels=torch.arange(10),
        step_size=0.01,
        transform=real.transform,
        classes=10,
        class_names=raw.class_names,
        provenance={"data": real.fingerprint, "config": config.model_dump()},
    )
    found = reuse._test_set(item, raw, config, CPU)
    assert torch.equal(found.test_images, real.test_images)
    with pytest.raises(DataError, match=r"not the one .* was made from.*--data-dir"):
        reuse._test_set(item, raw_set("other"), config, CPU)
    tested_on_more = config.model_copy(update={"data": config.data.model_copy(update={"test_limit": 30})})
    with pytest.raises(DataError, match="not the one"):
        reuse._test_set(item, raw, tested_on_more, CPU)
    imported = replace(item, provenance={"config": config.model_dump()})
    assert len(reuse._test_set(imported, raw, config, CPU).test_labels) == 20


def broken(*_: object) -> None:
    raise RuntimeError("g++ failed")


@pytest.mark.parametrize("soft", [False, True])
def test_where_the_compiler_fails_networks_are_trained_uncompiled_and_it_is_said(
    soft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, draws = ConvNet(Network(depth=1, width=4), SHAPE, 10), generator(0, "ready")
    images, labels = torch.randn(10, *SHAPE, generator=draws), torch.arange(10)
    targets = torch.nn.functional.one_hot(labels).float() if soft else labels
    shapes = [Shape(10, soft)]
    assert targets.ndim == 1 + soft
    resolved = execution.Resolved("cpu", "float32", False, 1, torch.__version__, "", compile_evaluation=True)
    said: list[str] = []
    asked = partial(reuse.ready, shapes=shapes, images=images, net=net, tick=lambda: None, tell=said.append)
    monkeypatch.setattr(compilation, "first", lambda *_: broken)
    found = asked(resolved)
    assert not found.compile_evaluation
    assert "compile" not in found.numerics("evaluation")
    assert [text.partition(":")[0] for text in said] == ["compilation failed (g++ failed)"]
    assert asked(found) is found, "what is not to be compiled is not tried"
    assert len(said) == 1
    monkeypatch.setattr(compilation, "first", lambda *_: Derivatives(net).first)
    assert asked(resolved) is resolved


def test_shapes_to_compile_are_those_that_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    net, labels = ConvNet(Network(width=128), (3, 32, 32), 10), torch.arange(10).repeat(10)
    assert shapes_of("paper-300", labels, net) == [Shape(100, False)]
    assert shapes_of("dream-1000", labels, net) == [Shape(64, True)], "labels that are mixed are soft"
    monkeypatch.setattr(shapes_module, "together", lambda *_: 4)
    assert shapes_of("paper-300", labels, net) == [], "several at once are eager on a CPU"
    assert shapes_of("paper-300", labels.to("meta"), net) == [Shape(100, False)], "and one after another on a card"
