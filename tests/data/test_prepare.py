"""The split: held-out images reach nothing they must not reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.config.schema import Data
from engine.data.prepare import RealSet, prepare, split
from engine.data.shares import even, proportional
from engine.data.sources import load
from engine.data.types import Images, RawSet, fingerprint
from engine.errors import ConfigError
from tests.data.formats import real_or_written


@pytest.fixture(scope="module")
def digits() -> RawSet:
    return load("digits")


def unbalanced() -> RawSet:
    """A set whose every image is different, with 50, 30 and 10 images of its classes."""
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 10)[
        torch.randperm(90, generator=torch.Generator().manual_seed(3))
    ]
    pixels = torch.arange(90, dtype=torch.uint8).view(90, 1, 1, 1).repeat(1, 1, 2, 2)
    pixels[:, 0, 1, 1] = 255 - pixels[:, 0, 1, 1] // 2
    train, test = Images(pixels, labels), Images(pixels[:45], labels[:45])
    return RawSet("three", train, test, 3, ("a", "b", "c"), fingerprint(train, test))


def counts(labels: torch.Tensor, classes: int = 10) -> list[int]:
    return torch.bincount(labels.cpu(), minlength=classes).tolist()


def test_everything_in_network_space(digits: RawSet) -> None:
    real = prepare(digits, Data(), seed=0)
    scaled = digits.train.pixels.numpy() / 255
    expected = (scaled - scaled.mean()) / scaled.std()
    np.testing.assert_allclose(real.train_images.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(
        real.test_images.numpy(), (digits.test.pixels.numpy() / 255 - scaled.mean()) / scaled.std(), atol=1e-5
    )
    assert torch.equal(real.train_labels, digits.train.labels)
    assert torch.equal(real.test_labels, digits.test.labels)
    assert real.validation_images is real.readout_images is None
    assert real.validation_labels is real.readout_labels is None
    assert real.shape == (1, 8, 8)
    for label, pool in enumerate(real.class_indices):
        assert torch.equal(pool, (digits.train.labels == label).nonzero()[:, 0])


@pytest.mark.parametrize("zca", [False, True])
def test_held_out_images_reach_no_statistic_pool_or_training_set(zca: bool, digits: RawSet) -> None:
    data = Data(validation=0.2, zca=zca)
    real = prepare(digits, data, seed=4, readout=100)
    chosen = real.split
    assert not set(chosen.train.tolist()) & set(chosen.validation.tolist())
    assert len(chosen.train) + len(chosen.validation) == len(digits.train)
    # Whatever the held-out images show, everything else stays the same to the bit.
    pixels = digits.train.pixels.clone()
    pixels[chosen.validation] = 255 - pixels[chosen.validation]
    changed = dataclasses.replace(digits, train=Images(pixels, digits.train.labels))
    other = prepare(changed, data, seed=4, readout=100)
    for name, tensor in real.transform.tensors().items():
        assert torch.equal(tensor, other.transform.tensors()[name])
    assert torch.equal(real.train_images, other.train_images)
    assert torch.equal(real.test_images, other.test_images)
    assert real.validation_images is not None
    assert other.validation_images is not None
    assert real.readout_images is not None
    assert other.readout_images is not None
    assert torch.equal(real.readout_images, other.readout_images)
    assert not torch.equal(real.validation_images, other.validation_images)
    # And the statistics are those of the training images alone.
    if not zca:
        used = digits.train.pixels[chosen.train].double() / 255
        assert float(real.transform.tensors()["mean"]) == pytest.approx(float(used.mean()), rel=1e-6)


@pytest.mark.parametrize("readout", [0, 100])
def test_pools_hold_the_training_images_but_the_readout(readout: int, digits: RawSet) -> None:
    real = prepare(digits, Data(validation=0.1), seed=1, readout=readout)
    pools = [set(pool.tolist()) for pool in real.class_indices]
    apart = set(real.split.readout.tolist())
    assert len(apart) == readout
    assert apart <= set(real.split.train.tolist())
    for label, pool in enumerate(pools):
        positions = real.split.train[sorted(pool)]
        assert set(digits.train.labels[positions].tolist()) == {label}
        assert not set(positions.tolist()) & apart
        assert not set(positions.tolist()) & set(real.split.validation.tolist())
    assert sum(len(pool) for pool in pools) == len(real.split.train) - readout
    if readout:
        assert real.readout_labels is not None
        assert counts(real.readout_labels) == [10] * 10
        assert real.readout_images is not None
        expected = real.transform.forward(digits.train.pixels[real.split.readout])
        assert torch.equal(real.readout_images, expected)
        assert torch.equal(real.readout_labels, digits.train.labels[real.split.readout])


def test_validation_takes_the_share_of_every_class(digits: RawSet) -> None:
    real = prepare(digits, Data(validation=0.2), seed=0)
    assert real.validation_labels is not None
    for held_out, available in zip(counts(real.validation_labels), counts(digits.train.labels), strict=True):
        assert abs(held_out - 0.2 * available) < 1
    raw = unbalanced()
    assert counts(raw.train.labels[split(raw, Data(validation=0.1), seed=0).validation], 3) == [5, 3, 1]
    assert real.validation_images is not None
    assert torch.equal(real.validation_images, real.transform.forward(digits.train.pixels[real.split.validation]))


def test_images_are_held_out_before_training_images_are_left_out(digits: RawSet) -> None:
    whole, limited = (split(digits, Data(validation=0.1, train_limit=limit), seed=3) for limit in (0, 500))
    assert torch.equal(whole.validation, limited.validation)
    assert not torch.equal(whole.validation, split(digits, Data(validation=0.1), seed=4).validation)


def test_limits_draw_by_class(digits: RawSet) -> None:
    real = prepare(digits, Data(train_limit=205, test_limit=50, validation=0.1), seed=0)
    assert sorted(counts(real.train_labels)) == [20] * 5 + [21] * 5
    assert counts(real.test_labels) == [5] * 10
    assert len(real.test_images) == 50
    raw = unbalanced()
    assert counts(raw.train.labels[split(raw, Data(train_limit=60), seed=0).train], 3) == [25, 25, 10]
    assert counts(raw.test.labels[split(raw, Data(test_limit=9), seed=0).test], 3) == proportional(
        counts(raw.test.labels, 3), 9
    )


def test_the_split_depends_on_the_seed_given(digits: RawSet) -> None:
    data = Data(validation=0.2, train_limit=300, test_limit=100)
    first, again, other = (split(digits, data, seed=seed, readout=50) for seed in (0, 0, 1))
    for name in ("train", "validation", "readout", "test"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    everything = Data()
    readouts = [split(digits, everything, seed=seed, readout=50).readout for seed in (0, 1)]
    assert torch.equal(*readouts), "of the same images the same are set apart"


def test_the_fingerprint_says_what_experts_see(digits: RawSet) -> None:
    def of(data: Data, *, seed: int = 0, readout: int = 0) -> str:
        return prepare(digits, data, seed=seed, readout=readout).fingerprint

    assert of(Data()) == of(Data(), seed=1) == of(Data(), readout=100)
    different = [of(Data()), of(Data(train_limit=100)), of(Data(validation=0.1)), of(Data(test_limit=100))]
    different.append(of(Data(validation=0.1), seed=1))
    assert len(set(different)) == len(different)


def test_whitening_comes_from_the_cache(digits: RawSet, tmp_path: Path) -> None:
    data = Data(zca=True, train_limit=200)
    first = prepare(digits, data, seed=0, cache_dir=tmp_path)
    (index,) = (tmp_path / "whitening").glob("fit-*.json")
    before = index.stat().st_mtime_ns
    again = prepare(digits, data, seed=0, readout=20, cache_dir=tmp_path)
    assert index.stat().st_mtime_ns == before
    assert torch.equal(first.train_images, again.train_images)
    prepare(digits, data, seed=1, cache_dir=tmp_path)
    assert len(list((tmp_path / "whitening").glob("fit-*.json"))) == 2


@pytest.mark.parametrize(
    ("data", "readout", "message"),
    [
        (Data(train_limit=2000), 0, r"data\.train_limit = 2000 exceeds the 1,437 training images"),
        (Data(train_limit=1300, validation=0.1), 0, r"exceeds the 1,293 training images"),
        (
            Data(test_limit=361),
            0,
            r"data\.test_limit = 361 exceeds the 360 test images of digits; 0 uses all",
        ),
        (Data(validation=1e-4), 0, r"data\.validation = 0\.0001 of 1,437 images holds out none"),
        (Data(train_limit=50), 51, r"information\.readout = 51 exceeds the 50"),
        (Data(train_limit=50), 50, r"class '0' of digits is left without a training image"),
        (Data(train_limit=9), 0, r"class '9' of digits is left without"),
    ],
)
def test_impossible_settings_are_refused(data: Data, readout: int, message: str, digits: RawSet) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(digits, data, seed=0, readout=readout)


def test_even_and_proportional_shares() -> None:
    assert even([5, 5, 5], 7) == [3, 2, 2]
    assert even([1, 9, 9], 12) == [1, 6, 5]
    assert even([2, 0, 3], 5) == [2, 0, 3]
    assert even([4, 4], 0) == [0, 0]
    assert proportional([60, 30, 10], 10) == [6, 3, 1]
    assert proportional([1, 1, 1], 2) == [1, 1, 0]
    for share in (even, proportional):
        with pytest.raises(ValueError, match="6 of 5"):
            share([2, 3], 6)


def test_official_or_not_is_passed_on(digits: RawSet) -> None:
    marked = dataclasses.replace(digits, official=False, notes=("not the official set",))
    real: RealSet = prepare(marked, Data(), seed=0)
    assert not real.official
    assert real.notes == ("not the official set",)


def test_a_whole_set_from_files(tmp_path: Path) -> None:
    data_dir, layouts = real_or_written("mnist", tmp_path)
    raw = load("mnist", data_dir, download=False, layouts=layouts)
    real = prepare(raw, Data(name="mnist", zca=False), seed=0, readout=10)
    assert real.train_images.shape == (len(raw.train), 1, 28, 28)
    assert abs(float(real.train_images.double().mean())) < 1e-4
    assert float(real.train_images.double().std(correction=0)) == pytest.approx(1, abs=1e-4)
    restored = real.transform.inverse(real.train_images[:20]) * 255
    assert torch.equal(restored.round().to(torch.uint8), raw.train.pixels[:20])
