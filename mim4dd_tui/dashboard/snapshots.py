"""Snapshots of the synthetic set, from the run folder to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.data.class_names import CLASS_NAMES
from engine.errors import MimError
from engine.events import Snapshot
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.widgets.sheet import Sheet
from mim4dd_tui.pictures import Pixels

LARGEST_PICTURES = 1 << 30
"""Bytes of the largest snapshot file that is opened."""


def read_pixels(folder: RunFolder, snapshot: Snapshot) -> Pixels:
    """A snapshot's pixels from the run folder.

    Raises:
        ValueError: the file is no uint8 array [images, height, width, 1 or 3], or implausibly large.
        OSError: it cannot be read.
        DataError: its name leads out of the folder.
    """
    path: Path = folder.inside(snapshot.pixels)
    if path.stat().st_size > LARGEST_PICTURES:
        raise ValueError(f"{path.name} is too large for a picture")
    try:
        images = np.load(path, allow_pickle=False)
    except EOFError as error:
        raise ValueError(f"{path.name} is empty") from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise ValueError(f"{path.name} holds {images.dtype} {images.shape}, not uint8 images")
    return np.asarray(images, dtype=np.uint8)


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
    try:
        config = folder.config()
        names = CLASS_NAMES.get(config.data.name, ())
        several = "s" if config.synthetic.formation > 1 else ""
        origin = "the noise" if config.synthetic.init == "noise" else f"the real image{several}"
    except MimError:
        names, origin = (), "the image"
    caption, contrast = f"iteration {snapshot.iteration}", snapshot.contrast
    return Sheet(images, caption, snapshot.classes, snapshot.images_per_class, contrast, names, first, origin)
