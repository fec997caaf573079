"""Snapshots of the synthetic set, from the run folder to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.events import Snapshot
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.widgets.pictures import Sheet

LARGEST_PICTURES = 1 << 30
"""Bytes of the largest snapshot file that is opened."""


def read_sheet(folder: RunFolder, snapshot: Snapshot) -> Sheet:
    """A snapshot's pixels from the run folder.

    Raises:
        ValueError: the file is no uint8 array [images, height, width, 1 or 3], or implausibly large.
        OSError: it cannot be read.
        DataError: its name leads out of the folder.
    """
    path: Path = folder.inside(snapshot.pixels)
    if path.stat().st_size > LARGEST_PICTURES:
        raise ValueError(f"{path.name} is too large for a picture")
    images = np.load(path, allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise ValueError(f"{path.name} holds {images.dtype} {images.shape}, not uint8 images")
    caption = f"iteration {snapshot.iteration} · {snapshot.contrast}"
    return Sheet(images, caption, snapshot.classes, snapshot.images_per_class)
