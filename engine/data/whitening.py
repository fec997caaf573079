"""Fitted whitening on disk: one file for a matrix pair (75 MB for 32x32x3), named by its digest.

Runs, experts and artifacts refer to a whitening by digest. A small index file leads from what determines a
fit to its digest, so that the same data is fitted once, and every run on it has the same bits.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.data.transform import Transform, fit_zca
from engine.errors import DataError, RunFailed
from engine.files import private_folder, write_bytes

FOLDER = "whitening"
VERSION = 1


def path_of(digest: str, cache_dir: Path) -> Path:
    """Where the transform with this digest lies under the cache directory."""
    return cache_dir / FOLDER / f"{digest}.safetensors"


def store(transform: Transform, cache_dir: Path) -> Path:
    """Write a transform under its digest, unless it is there; returns its path.

    Raises:
        DataError: the cache directory cannot be written.
    """
    path = path_of(transform.digest(), cache_dir)
    if not path.is_file():
        header = {"kind": transform.kind, "shape": json.dumps(transform.shape)}
        tensors = {name: tensor.contiguous().cpu() for name, tensor in transform.tensors().items()}
        _write(path, save(tensors, metadata=header))
    return path


def fetch(digest: str, cache_dir: Path) -> Transform:
    """The transform with this digest, checked against it.

    Raises:
        DataError: the file is missing, unreadable or does not have that digest.
    """
    path = path_of(digest, cache_dir)
    if not path.is_file():
        raise DataError(f"{path}: the whitening is missing. Run the preset on its data again to fit it anew.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        channels, height, width = json.loads(header["shape"])
        transform = Transform.from_tensors(header["kind"], (channels, height, width), tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, DataError) as error:
        raise DataError(f"{path}: the whitening cannot be read ({error}). Delete it; it is fitted anew.") from None
    if transform.digest() != digest:
        raise DataError(f"{path}: the whitening is corrupted: its digest differs. Delete it; it is fitted anew.")
    return transform


def fitted(pixels: Tensor, epsilon: float, key: str, cache_dir: Path | None) -> Transform:
    """The ZCA whitening of these pixels: from the cache where it was fitted before, else fitted and stored.

    A damaged cache file is replaced.

    Args:
        pixels: uint8 [n, c, h, w], on the CPU.
        epsilon: added to the eigenvalues.
        key: what determines the pixels.
        cache_dir: None keeps nothing.
    """
    if cache_dir is None:
        return fit_zca(pixels, epsilon)
    name = hashlib.sha256(f"{VERSION} {key} {epsilon!r}".encode()).hexdigest()
    index = cache_dir / FOLDER / f"fit-{name[:32]}.json"
    known = _known(index)
    if known is not None:
        try:
            return fetch(known, cache_dir)
        except DataError:
            path_of(known, cache_dir).unlink(missing_ok=True)
    transform = fit_zca(pixels, epsilon)
    store(transform, cache_dir)
    _write(index, json.dumps({"digest": transform.digest(), "torch": torch.__version__}).encode())
    return transform


def _known(index: Path) -> str | None:
    try:
        return str(json.loads(index.read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, data: bytes) -> None:
    """Write aside and rename, so that a reader never sees a part."""
    try:
        private_folder(path.parent)
        write_bytes(path, data)
    except RunFailed as error:
        raise DataError(f"{path}: cannot be written ({error}).") from None
