"""One row of a trajectory file, read by itself.

``safetensors.safe_open`` maps the whole file anew for every row and leaves some bytes behind each time, which a long
run would feel; a row is one short read.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

LONGEST_HEADER = 1 << 20
"""Bytes; a trajectory's has about a hundred."""


def read_row(path: Path, row: int) -> Tensor:
    """Row ``row`` [size] of the tensor ``path`` [rows, size], float32, of a safetensors file.

    Raises:
        OSError: the file cannot be opened or read.
        ValueError: it holds no such row.
    """
    with path.open("rb", buffering=0) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise ValueError("it has no header of a trajectory")
        try:
            entry = json.loads(file.read(length))["path"]
            kind, (rows, size), (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            whole = kind == "F32" and 0 <= row < rows and size > 0 <= begin and end - begin == 4 * rows * size
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("it has no header of a trajectory") from error
        if not whole or path.stat().st_size < 8 + length + end:
            raise ValueError(f"it holds no row {row} of numbers")
        values = torch.empty(size)
        file.seek(8 + length + begin + 4 * size * row)
        if file.readinto(values.numpy().data.cast("B")) != 4 * size:
            raise ValueError("it ends within the row")
    return values
