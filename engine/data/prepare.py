"""The real set as a run uses it: split, in network space, on the device, whole.

Order of the draws: validation images first; from what remains, ``train_limit`` images; of these, the
readout images, which stay in the training set (experts may see them) but in no class's pool. Statistics
are fitted on the training images in use alone. Everything depends on the data's settings and the seed
given, which is the experts', so that runs of different seeds share experts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.config.schema import Data
from engine.data.shares import even, proportional
from engine.data.split import choose, sizes, without
from engine.data.transform import Transform, fit_normalise
from engine.data.types import RawSet
from engine.data.whitening import fitted
from engine.errors import ConfigError, DataError
from engine.seeds import generator

__all__ = ["RealSet", "Split", "Transform", "fingerprint_of", "prepare", "split"]


@dataclass(frozen=True)
class Split:
    """Which images are used for what: int64 positions, ascending, into the published training or test set.

    ``train`` and ``validation`` share none; ``readout`` is a part of ``train``.
    """

    train: Tensor
    validation: Tensor
    readout: Tensor
    test: Tensor


@dataclass(frozen=True)
class RealSet:
    """Real images in network space, on one device.

    Attributes:
        train_images: float32 [n, c, h, w]; with ``train_labels`` int64 [n].
        test_images: as above, with ``test_labels``.
        validation_images: held out from everything else, to choose the best iterate; None where none is.
        readout_images: a part of the training images, to read the information bound on; None where none is.
        transform: fitted on the training images, on the device.
        classes: number of classes.
        class_names: what each label stands for.
        shape: channels, height, width.
        fingerprint: SHA-256 over the published arrays and which of them are trained and tested on.
        class_indices: for every class its pool, int64 positions in ``train_images`` without the readout
            images: for initialisation, information batches and random draws.
        split: where the images stand in the published set.
        official: see :class:`engine.data.types.RawSet`.
        notes: sentences the user should see.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    validation_images: Tensor | None
    validation_labels: Tensor | None
    readout_images: Tensor | None
    readout_labels: Tensor | None
    transform: Transform
    classes: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    fingerprint: str
    class_indices: list[Tensor]
    split: Split
    official: bool = True
    notes: tuple[str, ...] = ()


def split(raw: RawSet, data: Data, *, seed: int, readout: int = 0) -> Split:
    """Decide which images are used for what.

    Args:
        raw: the published set.
        data: ``validation`` (a share of every class), ``train_limit`` (as even over the classes as they
            allow) and ``test_limit`` (in proportion to the classes).
        seed: the experts' seed.
        readout: how many images to set apart, as even over the classes as they allow.

    Raises:
        ConfigError: a setting asks for more images than there are, or leaves a class without any.
    """
    labels = raw.train.labels
    everything = torch.arange(len(labels))
    nothing = everything[:0]
    validation = nothing
    if data.validation:
        held_out = round(data.validation * len(labels))
        if held_out == 0:
            raise ConfigError(f"data.validation = {data.validation} of {len(labels):,} images holds out none; raise it")
        counts = proportional(sizes(labels, raw.classes), held_out)
        validation = choose(labels, counts, generator(seed, "validation"))
    train = without(everything, validation)
    if data.train_limit:
        counts = _even("data.train_limit", labels[train], raw.classes, data.train_limit)
        train = train[choose(labels[train], counts, generator(seed, "train_limit"))]
    apart = nothing
    if readout:
        counts = _even("information.readout", labels[train], raw.classes, readout)
        apart = train[choose(labels[train], counts, generator(0, "readout"))]
    _no_class_empty(labels[without(train, apart)], raw, data, readout)
    return Split(train, validation, apart, _test(raw, data, seed))


def prepare(
    raw: RawSet,
    data: Data,
    *,
    seed: int,
    readout: int = 0,
    device: torch.device | str = "cpu",
    cache_dir: Path | None = None,
) -> RealSet:
    """Split the set, fit the transform, and bring all images into network space on the device.

    Args:
        raw: the published set.
        data: limits, validation, whitening.
        seed: the experts' seed; the split depends on nothing else that is random.
        readout: see :func:`split`.
        device: where the tensors go.
        cache_dir: keeps fitted whitening (``whitening/`` in it); None fits anew.

    Raises:
        ConfigError: see :func:`split`.
        DataError: the images cannot be normalised, or the cache cannot be written.
    """
    chosen = split(raw, data, seed=seed, readout=readout)
    pixels, labels = raw.train.pixels, raw.train.labels
    train_pixels = pixels[chosen.train]
    fingerprint = fingerprint_of(raw, chosen)
    if data.zca:
        if len(train_pixels) < 2:
            raise DataError("ZCA whitening needs at least two training images")
        key = hashlib.sha256(f"{raw.fingerprint} {_digest(chosen.train)}".encode()).hexdigest()
        transform = fitted(train_pixels, data.zca_epsilon, key, cache_dir)
    else:
        transform = fit_normalise(train_pixels)
    transform = transform.to(device)

    def network_space(images: Tensor) -> Tensor:
        return transform.forward(images.to(device))

    train_labels = labels[chosen.train]
    train_images = network_space(train_pixels)
    # Positions of the readout images and of each class's pool in the training images in use.
    apart = torch.isin(chosen.train, chosen.readout)
    pools = [((train_labels == label) & ~apart).nonzero()[:, 0] for label in range(raw.classes)]
    held_out = len(chosen.validation) > 0
    return RealSet(
        train_images=train_images,
        train_labels=train_labels.to(device),
        test_images=network_space(raw.test.pixels[chosen.test]),
        test_labels=raw.test.labels[chosen.test].to(device),
        validation_images=network_space(pixels[chosen.validation]) if held_out else None,
        validation_labels=labels[chosen.validation].to(device) if held_out else None,
        readout_images=train_images[apart.to(device)] if readout else None,
        readout_labels=train_labels[apart].to(device) if readout else None,
        transform=transform,
        classes=raw.classes,
        class_names=raw.class_names,
        shape=raw.shape,
        fingerprint=fingerprint,
        class_indices=[pool.to(device) for pool in pools],
        split=chosen,
        official=raw.official,
        notes=raw.notes,
    )


def _even(key: str, labels: Tensor, classes: int, total: int) -> list[int]:
    try:
        return even(sizes(labels, classes), total)
    except ValueError:
        raise ConfigError(f"{key} = {total} exceeds the {len(labels):,} training images there are; lower it") from None


def _test(raw: RawSet, data: Data, seed: int) -> Tensor:
    labels = raw.test.labels
    if not data.test_limit:
        return torch.arange(len(labels))
    if data.test_limit > len(labels):
        raise ConfigError(
            f"data.test_limit = {data.test_limit} exceeds the {len(labels):,} test images of {raw.name}; 0 uses all"
        )
    counts = proportional(sizes(labels, raw.classes), data.test_limit)
    return choose(labels, counts, generator(seed, "test_limit"))


def _no_class_empty(pool: Tensor, raw: RawSet, data: Data, readout: int) -> None:
    counts = sizes(pool, raw.classes)
    if min(counts) == 0:
        raise ConfigError(
            f"class {raw.class_names[counts.index(0)]!r} of {raw.name} is left without a training image by "
            f"data.train_limit = {data.train_limit}, data.validation = {data.validation} and "
            f"information.readout = {readout}; raise the first (0 uses all) or lower the others"
        )


def fingerprint_of(raw: RawSet, chosen: Split) -> str:
    """SHA-256 over the published arrays and which of them are trained and tested on."""
    parts = f"{raw.fingerprint} train {_digest(chosen.train)} test {_digest(chosen.test)}"
    return hashlib.sha256(parts.encode()).hexdigest()


def _digest(indices: Tensor) -> str:
    return hashlib.sha256(indices.contiguous().numpy().data).hexdigest()
