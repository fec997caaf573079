"""A distilled set is judged on the data set it was made from, and on no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine import reuse
from engine.artifact import DistilledSet
from engine.config.schema import Config, Data, Information
from engine.data.prepare import prepare
from engine.data.types import Images, RawSet
from engine.errors import DataError
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
