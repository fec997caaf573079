"""Snapshots of the synthetic set, from the run folder to pixels."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.class_names import CLASS_NAMES
from engine.errors import MimError
from engine.events import Snapshot
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.widgets.label_lines import Labels
from mim4dd_tui.dashboard.widgets.sheet import Sheet
from mim4dd_tui.pictures import Pixels

LARGEST_PICTURES = 1 << 30
"""Bytes of the largest snapshot file that is opened."""


def _loaded(path: Path, what: str) -> NDArray[Any]:
    """An array file that is no larger than ``what`` can be. Raises ValueError and OSError, as :func:`read_pixels`."""
    if path.stat().st_size > LARGEST_PICTURES:
        raise ValueError(f"{path.name} is too large for {what}")
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except EOFError as error:
        raise ValueError(f"{path.name} is empty") from error


def read_pixels(folder: RunFolder, snapshot: Snapshot) -> Pixels:
    """A snapshot's pixels from the run folder.

    Raises:
        ValueError: the file is no uint8 array [images, height, width, 1 or 3], or implausibly large.
        OSError: it cannot be read.
        DataError: its name leads out of the folder.
    """
    path = folder.inside(snapshot.pixels)
    images = _loaded(path, "a picture")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise ValueError(f"{path.name} holds {images.dtype} {images.shape}, not uint8 images")
    return np.asarray(images, dtype=np.uint8)


def read_labels(folder: RunFolder, snapshot: Snapshot, images: int) -> NDArray[np.float32] | None:
    """A snapshot's soft labels [images, classes] from the run folder; None where it has none.

    Raises:
        ValueError: the file holds something else, or is implausibly large.
        OSError: it cannot be read.
        DataError: its name leads out of the folder.
    """
    if not snapshot.labels:
        return None
    path = folder.inside(snapshot.labels)
    labels = _loaded(path, "labels")
    if labels.dtype != np.float32 or labels.shape != (images, snapshot.classes) or not np.isfinite(labels).all():
        raise ValueError(f"{path.name} holds {labels.dtype} {labels.shape}, not labels of these images")
    return np.asarray(labels, dtype=np.float32)


def read_sheet(folder: RunFolder, snapshot: Snapshot, start: Snapshot | None = None) -> Sheet:
    """A snapshot as the gallery shows it, beside the set it started from where ``start`` can be read.

    Raises:
        ValueError, OSError, DataError: as :func:`read_pixels`, for the snapshot itself.
    """
    images = read_pixels(folder, snapshot)
    first: Pixels | None = None
    if start is not None:
        try:
            first = read_pixels(folder, start)
        except (OSError, ValueError, MimError):
            first = None  # the pane says that it was not kept
    if first is not None and first.shape != images.shape:
        first = None
    labels, unread = None, ""
    try:
        labels = read_labels(folder, snapshot, len(images))
    except (OSError, ValueError, MimError) as error:
        unread = f"not read: {error}"
    labels_first: NDArray[np.float32] | None = None
    if start is not None and labels is not None:
        with suppress(OSError, ValueError, MimError):
            labels_first = read_labels(folder, start, len(images))
    try:
        config = folder.config()
        names = CLASS_NAMES.get(config.data.name, ())
        several = "s" if config.synthetic.formation > 1 else ""
        origin = "the noise" if config.synthetic.init == "noise" else f"the real image{several}"
        shares, holds = config.synthetic.labels == "softmax", config.synthetic.formation**2
    except MimError:
        names, origin, shares, holds = (), "the image", False, 1
    caption, contrast = f"iteration {snapshot.iteration}", snapshot.contrast
    known = None if labels is None else Labels(labels, labels_first, shares, holds)
    return Sheet(
        images, caption, snapshot.classes, snapshot.images_per_class, contrast, names, first, origin, known, unread
    )
