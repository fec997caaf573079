"""The distilled set as a file with everything needed to use it, and nothing to guess.

Pixels (network space), labels, step size, the transform that leads back to pictures, network, protocol and
provenance, in one sealed file: nothing in it is ever unpickled, every byte is checked. A ZCA whitening
(75 MB for 32x32x3) is referred to by its digest and lies in the cache; it is embedded on request.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from engine import sealed
from engine.data import whitening
from engine.data.prepare import Transform
from engine.errors import DataError
from engine.files import default_cache_dir
from engine.formation import decode, decode_labels

FORMAT = "mim4dd distilled set"
VERSION = 2
"""Newest version that is read. Sets whose images are stored as they are, are written as version 1."""
PREFIX = "transform."


@dataclass(frozen=True, eq=False)
class DistilledSet:
    """A synthetic set and what it was made for. Tensors lie on the CPU.

    Args:
        pixels: float32 [n, c, h, w] in network space, as stored: what a network is trained on after :meth:`decoded`.
        labels: int64 [n], or float32 [n, classes] of soft labels.
        step_size: the set's own, learned where its method learns it, else as it was set: protocols that use it train
            networks at it. None where there is none.
        formation: side of the grid of smaller images that each stored image holds; 1: each is one image.
        transform: from 8-bit pixels to network space and back; :meth:`prepare` uses it on the images you test on.
        classes: number of classes.
        class_names: one name a class.
        network: settings of the network it was distilled with.
        protocol: name of the evaluation protocol it is meant for.
        provenance: where it came from; JSON values.

    Raises:
        DataError: the parts do not fit each other; names what is wrong.
    """

    pixels: Tensor
    labels: Tensor
    step_size: float | None
    transform: Transform
    classes: int
    class_names: tuple[str, ...]
    network: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    formation: int = 1

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def soft(self) -> bool:
        """Whether its labels are targets of every class."""
        return self.labels.ndim == 2

    @property
    def hard_labels(self) -> Tensor:
        """Labels int64 [n]; of soft ones, the most likely class."""
        return self.labels.argmax(1) if self.soft else self.labels

    def decoded(self) -> tuple[Tensor, Tensor]:
        """What networks are trained on: images [n * formation^2, c, h, w] in network space, and their labels."""
        return decode(self.pixels, self.formation), decode_labels(self.labels, self.formation)

    def images(self) -> Tensor:
        """Decoded pictures: float32 [n * formation^2, c, h, w] in 0..1, un-whitened and de-normalised, clipped."""
        return self.transform.inverse(self.decoded()[0]).clamp(0, 1)

    def prepare(self, images: Tensor) -> Tensor:
        """Real images as a network trained on this set has to see them: float32 [n, c, h, w] in network space.

        Args:
            images: [n, c, h, w], uint8, or floating point in 0..1 as torchvision gives them.

        Raises:
            DataError: their shape is not the set's, or their values are neither.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != tuple(self.transform.shape):
            raise DataError(
                f"images must be [n, {', '.join(map(str, self.transform.shape))}], not {list(images.shape)}"
            )
        if images.dtype == torch.uint8:
            return self.transform.forward(images)
        if not images.is_floating_point() or len(images) == 0 or not bool(((images >= 0) & (images <= 1)).all()):
            raise DataError(
                "images must be uint8, or floating point in 0..1: "
                f"these are {images.dtype} in {images.min().item():g}..{images.max().item():g}"
                if len(images)
                else "there are no images"
            )
        return self.transform.forward(images * 255)

    def preview(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Pictures of the images as stored, uint8 [n, h, w, c], in the set's order."""
        return as_bytes(self.transform.inverse(self.pixels).clamp(0, 1))

    def dataset(self) -> TensorDataset:
        """A ``torch.utils.data.Dataset`` of (decoded network-space image float32 [c, h, w], label)."""
        return TensorDataset(*self.decoded())

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the content.

        Over the pixels as stored (float32, little-endian, C order), then the labels (int64, or float32 of
        soft ones), then the step size (float64) where there is one, then the formation (int64) where it is above 1.
        """
        digest = hashlib.sha256(self.pixels.contiguous().numpy().astype("<f4").tobytes())
        digest.update(self.labels.contiguous().numpy().astype("<f4" if self.soft else "<i8").tobytes())
        if self.step_size is not None:
            digest.update(np.array(self.step_size, dtype="<f8").tobytes())
        if self.formation > 1:
            digest.update(np.array(self.formation, dtype="<i8").tobytes())
        return digest.hexdigest()

    def save(self, path: Path, *, embed: bool = False, cache_dir: Path | None = None) -> None:
        """Writes the set to one file, in one step.

        Args:
            path: usually ``*.safetensors``.
            embed: put a whitening into the file, so that it can be used on another machine. Otherwise it is
                kept in the cache and referred to.
            cache_dir: whose ``whitening/`` folder is used; the user's cache by default.

        Raises:
            RunFailed: the disk is full, read-only or failing.
            DataError: the cache cannot be written.
        """
        embedded = embed or self.transform.kind != "zca"
        tensors = {"pixels": self.pixels, "labels": self.labels}
        if self.step_size is not None:
            tensors["step_size"] = torch.tensor(self.step_size, dtype=torch.float64)
        if embedded:
            tensors |= {PREFIX + name: tensor for name, tensor in self.transform.tensors().items()}
        else:
            whitening.store(self.transform, cache_dir or default_cache_dir())
        sealed.write(path, tensors, self._document(embedded))

    def _document(self, embedded: bool) -> dict[str, Any]:
        transform = {
            "kind": self.transform.kind,
            "shape": list(self.transform.shape),
            "digest": self.transform.digest(),
            "embedded": embedded,
        }
        return {
            "format": FORMAT,
            "version": 1 if self.formation == 1 else 2,
            "formation": self.formation,
            "fingerprint": self.fingerprint(),
            "transform": transform,
            "classes": self.classes,
            "class_names": list(self.class_names),
            "network": self.network,
            "protocol": self.protocol,
            "provenance": self.provenance,
        }

    @staticmethod
    def load(path: Path, *, cache_dir: Path | None = None) -> DistilledSet:
        """The set in a file, checked to the last byte.

        Args:
            path: what :meth:`save` wrote.
            cache_dir: where a whitening that is not embedded is looked for; the user's cache by default.

        Raises:
            DataError: the file is missing, damaged, of a newer version, or its whitening is not to be found.
        """
        path = Path(path)
        tensors, document = sealed.read(path)
        try:
            return _restored(path, tensors, document, cache_dir or default_cache_dir())
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: its header is incomplete or wrong ({error!r})") from None


def as_bytes(pictures: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures [n, c, h, w] in 0..1 as uint8 [n, h, w, c]."""
    scaled = (pictures * 255).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).numpy())


def load_artifact(path: Path | str, *, cache_dir: Path | None = None) -> DistilledSet:
    """The distilled set in a file: see :meth:`DistilledSet.load`."""
    return DistilledSet.load(Path(path), cache_dir=cache_dir)


def _restored(path: Path, tensors: dict[str, Tensor], document: dict[str, Any], cache_dir: Path) -> DistilledSet:
    if document.get("format") != FORMAT:
        raise DataError(f"{path}: not a distilled set (it says {document.get('format')!r})")
    if not isinstance(document["version"], int) or document["version"] > VERSION:
        raise DataError(
            f"{path}: written by a newer version of mim4dd (format {document['version']}, this one reads "
            f"up to {VERSION}): update mim4dd"
        )
    step_size = tensors.get("step_size")
    try:
        loaded = DistilledSet(
            pixels=tensors["pixels"],
            labels=tensors["labels"],
            step_size=None if step_size is None else float(step_size),
            transform=_transform(path, tensors, document["transform"], cache_dir),
            classes=document["classes"],
            class_names=tuple(document["class_names"]),
            network=dict(document["network"]),
            protocol=str(document["protocol"]),
            provenance=dict(document["provenance"]),
            formation=document.get("formation", 1),
        )
    except DataError as error:
        raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    if loaded.fingerprint() != document["fingerprint"]:
        raise DataError(f"{path}: its fingerprint does not match its content")
    return loaded


def _transform(path: Path, tensors: dict[str, Tensor], about: dict[str, Any], cache_dir: Path) -> Transform:
    digest = about["digest"]
    if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise DataError(f"{path}: its transform has no valid digest")
    if about["embedded"]:
        channels, height, width = (int(size) for size in about["shape"])
        own = {name.removeprefix(PREFIX): t for name, t in tensors.items() if name.startswith(PREFIX)}
        transform = Transform.from_tensors(str(about["kind"]), (channels, height, width), own)
        if transform.digest() != digest:
            raise DataError(f"{path}: its transform does not match its digest")
        return transform
    try:
        return whitening.fetch(digest, cache_dir)
    except DataError as error:
        raise DataError(
            f"{path} needs the whitening {digest}, which is not in the file: {error} Or get the set saved "
            "with the whitening embedded (`mim4dd export --format safetensors`, where it was made), or point "
            "MIM4DD_CACHE_DIR to the cache it was made with."
        ) from None


def _check(item: DistilledSet) -> None:
    pixels, labels = item.pixels, item.labels
    if pixels.dtype != torch.float32 or pixels.ndim != 4 or len(pixels) == 0:
        raise DataError(f"pixels must be float32 [n, c, h, w], not {pixels.dtype} {list(pixels.shape)}")
    if not bool(torch.isfinite(pixels).all()):
        raise DataError("pixels hold values that are not finite")
    shape, expected = list(pixels.shape[1:]), list(item.transform.shape)
    if shape != expected:
        raise DataError(f"pixels of shape {shape} do not fit the transform's {expected}")
    if not isinstance(item.formation, int) or item.formation < 1 or shape[1] % item.formation:
        raise DataError(f"formation must be a number that divides the side {shape[1]}, not {item.formation!r}")
    if not isinstance(item.classes, int) or item.classes < 1:
        raise DataError(f"classes must be a positive number, not {item.classes!r}")
    if len(item.class_names) != item.classes or not all(isinstance(n, str) for n in item.class_names):
        raise DataError(f"class_names must be {item.classes} names")
    _check_labels(labels, len(pixels), item.classes)
    size = item.step_size
    if size is not None and not (math.isfinite(size) and size > 0):
        raise DataError(f"step_size must be a positive number, not {size!r}")
    try:
        json.dumps([item.network, item.provenance], allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"network and provenance must be JSON values: {error}") from None


def _check_labels(labels: Tensor, count: int, classes: int) -> None:
    hard = labels.dtype == torch.int64 and labels.shape == (count,)
    soft = labels.dtype == torch.float32 and labels.shape == (count, classes)
    if not hard and not soft:
        raise DataError(
            f"labels must be int64 [{count}] or float32 [{count}, {classes}], not {labels.dtype} {list(labels.shape)}"
        )
    if hard and not bool(((labels >= 0) & (labels < classes)).all()):
        raise DataError(f"labels lie outside 0..{classes - 1}")
    if soft and not bool(torch.isfinite(labels).all()):
        raise DataError("soft labels hold values that are not finite")


def import_mtt(
    images: Path,
    labels: Path,
    transform: Transform,
    class_names: Sequence[str],
    *,
    step_size: float | None = None,
    protocol: str = "mtt-1000",
) -> DistilledSet:
    """A set published by MTT's code: ``images_best.pt`` and ``labels_best.pt``.

    Those files hold bare tensors; the transform they were made with must be known from elsewhere.

    Args:
        images: a tensor [n, c, h, w] in network space.
        labels: a tensor [n] of whole numbers, or [n, classes] of soft labels.
        transform: the one the images were distilled under.
        class_names: one a class.
        step_size: the learned step size (``lr_best.pt``), where known.
        protocol: evaluation protocol to be used.

    Raises:
        DataError: a file is missing, holds anything but a tensor (nothing else is ever unpickled), or does
            not fit the rest.
    """
    pixels, targets = _tensor(Path(images)), _tensor(Path(labels))
    soft = targets.ndim == 2
    return DistilledSet(
        pixels=pixels.float().contiguous(),
        labels=(targets.float() if soft else targets.long()).contiguous(),
        step_size=step_size,
        transform=transform,
        classes=len(class_names),
        class_names=tuple(class_names),
        protocol=protocol,
        provenance={"imported": [Path(images).name, Path(labels).name]},
    )


def _tensor(path: Path) -> Tensor:
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except Exception as error:  # torch answers garbage with errors of many kinds, IndexError and TypeError among them
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path}: not a file of bare tensors: {reason}") from None
    if not isinstance(value, Tensor):
        raise DataError(f"{path}: holds a {type(value).__name__}, expected one tensor")
    return value.detach()
