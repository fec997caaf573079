"""A distilled set to be passed on: whole in one file, or in formats other programs read (npz, PNG grid or folder, .pt).

Each is written in one step: a failure leaves what was there before. Images go out as pictures (0..1,
un-whitened and de-normalised, clipped) and, where the format allows, also as the pixels networks are
trained on, with the transform between the two. A set whose stored images each hold several smaller ones goes out
decoded, as networks are trained on it; only the grid shows it as stored.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.artifact import PREFIX, DistilledSet, as_bytes
from engine.errors import ConfigError
from engine.files import as_any_new_file, creating_folder, explained, replacing, write_bytes
from engine.formation import decode_labels

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
GAP = 1
LARGE = 96
"""Pictures of the grid are enlarged by whole factors to about this side."""


def by_class(item: DistilledSet) -> list[int]:
    """Positions of the images ordered by class, within a class as they are."""
    return torch.sort(item.hard_labels, stable=True).indices.tolist()


def write_npz(item: DistilledSet, path: Path) -> Path:
    """A numpy archive that loads without pickle.

    ``images`` float32 [n, c, h, w] in 0..1, ``pixels`` float32 [n, c, h, w] in network space, ``labels``,
    ``step_size`` (float64, where there is one), ``class_names``, ``transform.*``, ``about`` (JSON text).
    """
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in _tensors(item).items()}
    arrays["class_names"] = np.array(item.class_names)
    arrays["about"] = np.array(json.dumps(_about(item)))
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def write_pt(item: DistilledSet, path: Path) -> Path:
    """A dict of tensors for ``torch.load(path, weights_only=True)``; names as in :func:`write_npz`."""
    whole = io.BytesIO()  # torch.save to a file hides a full disk behind an error of its own
    torch.save(_tensors(item), whole)
    write_bytes(path, whole.getvalue())
    return path


def write_safetensors(item: DistilledSet, path: Path) -> Path:
    """The set as :func:`engine.load_artifact` reads it on any machine: with its whitening, where it has one."""
    item.save(path, embed=True)
    return path


def write_grid(item: DistilledSet, path: Path) -> Path:
    """A PNG of the images as stored: one row a class (several where a class has many), enlarged by a whole factor."""
    order = by_class(item)
    pictures = item.preview()[order]
    labels = item.hard_labels[order].tolist()
    most = max(labels.count(label) for label in set(labels))
    columns = min(most, 10) if most > 1 else math.ceil(math.sqrt(len(labels)))
    canvas = _grid(pictures, labels if most > 1 else [0] * len(labels), columns)
    factor = max(1, LARGE // pictures.shape[1]) if len(labels) <= 100 else 1
    canvas = canvas.repeat(factor, axis=0).repeat(factor, axis=1)
    _write_png(canvas, path)
    return path


def write_folder(item: DistilledSet, path: Path) -> Path:
    """A folder of PNGs, one subfolder a class (``0-airplane/003.png``), as image-folder loaders read it.

    ``about.json`` beside them says what the set is. Labels of soft sets are the most likely classes.

    Raises:
        ConfigError: ``path`` exists already; nothing is overwritten.
    """
    pictures = as_bytes(item.images())
    labels = decode_labels(item.hard_labels, item.formation).tolist()
    digits = len(str(item.classes - 1))
    counts = dict.fromkeys(range(item.classes), 0)
    try:
        with creating_folder(path) as aside:
            for picture, label in zip(pictures, labels, strict=True):
                folder = aside / f"{label:0{digits}d}-{_file_name(item.class_names[label])}"
                folder.mkdir(exist_ok=True, mode=0o700)
                _picture(picture).save(folder / f"{counts[label]:03d}.png")
                counts[label] += 1
            (aside / "about.json").write_text(json.dumps(_about(item), indent=2) + "\n", encoding="utf-8")
    except FileExistsError:
        raise ConfigError(f"{path} exists already: choose another place or remove it first") from None
    return path


FORMATS: dict[str, Callable[[DistilledSet, Path], Path]] = {
    "safetensors": write_safetensors,
    "npz": write_npz,
    "png": write_grid,
    "folder": write_folder,
    "pt": write_pt,
}
"""Export format -> its writer."""


def export(item: DistilledSet, path: Path, kind: str) -> Path:
    """Writes a set as "safetensors", "npz", "png" (a grid), "folder" (of PNGs) or "pt"; returns the path.

    It is made to be passed on, so its permissions are those of any new file of the user.

    Raises:
        ConfigError: the format is unknown, or the folder exists.
        RunFailed: the disk is full, read-only or failing.
    """
    if kind not in FORMATS:
        raise ConfigError(f"unknown export format {kind!r}: allowed are {', '.join(FORMATS)}")
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    written = FORMATS[kind](item, path)
    as_any_new_file(written)
    return written


def _tensors(item: DistilledSet) -> dict[str, Tensor]:
    pixels, labels = item.decoded()
    tensors = {"images": item.images(), "pixels": pixels, "labels": labels}
    if item.step_size is not None:
        tensors["step_size"] = torch.tensor(item.step_size, dtype=torch.float64)
    tensors |= {PREFIX + name: tensor for name, tensor in item.transform.tensors().items()}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _about(item: DistilledSet) -> dict[str, Any]:
    return {
        "fingerprint": item.fingerprint(),
        "formation": item.formation,
        "stored_images": len(item),
        "transform": {"kind": item.transform.kind, "digest": item.transform.digest()},
        "class_names": list(item.class_names),
        "step_size": item.step_size,
        "network": item.network,
        "protocol": item.protocol,
        "provenance": item.provenance,
    }


def _grid(pictures: Pixels, labels: list[int], columns: int) -> Pixels:
    """Pictures [n, h, w, c] in rows; every label begins a new row. Missing places are black."""
    rows: list[list[int]] = []
    for index, label in enumerate(labels):
        fresh = index == 0 or label != labels[index - 1] or len(rows[-1]) == columns
        if fresh:
            rows.append([])
        rows[-1].append(index)
    _, height, width, channels = pictures.shape
    shape = (len(rows) * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels)
    canvas = np.zeros(shape, dtype=np.uint8)
    for y, row in enumerate(rows):
        for x, index in enumerate(row):
            top, left = GAP + y * (height + GAP), GAP + x * (width + GAP)
            canvas[top : top + height, left : left + width] = pictures[index]
    return canvas


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _write_png(pixels: Pixels, path: Path) -> None:
    with replacing(path) as aside:
        _picture(pixels).save(aside, format="PNG")


def _file_name(name: str) -> str:
    """A class name made safe as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "class"
