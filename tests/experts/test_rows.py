"""One row of a trajectory file: what the library itself reads, and a fault where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engine.experts.rows import read_row


def test_a_row_is_the_librarys(tmp_path: Path) -> None:
    path = tmp_path / "expert"
    save_file({"other": torch.zeros(3), "path": torch.randn(5, 37)}, path)
    with safe_open(path, framework="pt") as file:
        for row in range(5):
            assert torch.equal(read_row(path, row), file.get_slice("path")[row])


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_that_is_not_there(tmp_path: Path, row: int) -> None:
    path = tmp_path / "expert"
    save_file({"path": torch.zeros(5, 3)}, path)
    with pytest.raises(ValueError, match=f"no row {row}"):
        read_row(path, row)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "expert"
    save_file({"path": torch.zeros(5, 3)}, path)
    whole = path.read_bytes()
    for data in (b"", b"\x00" * 8, b"\xff" * 30, whole[:20], whole[:-1], whole[:8] + b"[" * 200 + whole[8:]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="it "):
            read_row(path, 0)
    save_file({"path": torch.zeros(5, 3, dtype=torch.float64)}, path)
    with pytest.raises(ValueError, match="no row 0 of numbers"):
        read_row(path, 0)
    with pytest.raises(OSError, match="No such file"):
        read_row(tmp_path / "nothing", 0)
