"""Reading a file of a data set, and the sentences said when it is not what it should be."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

from engine.data.layout import File
from engine.errors import DataError

Tick = Callable[[], None]
"""Called between pieces of work; may raise to interrupt it."""

CHUNK = 1 << 22
REMEDY = "Delete it and run again to download it afresh, or point --data-dir (or MIM4DD_DATA_DIR) to a complete copy."


def broken(path: Path, what: str) -> DataError:
    """The error for a file that is there but wrong."""
    return DataError(f"{path}: {what}. {REMEDY}")


def read(path: Path, tick: Tick | None = None) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz.

    Raises:
        DataError: it cannot be read, or the gzip stream is damaged.
    """
    parts = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while chunk := file.read(CHUNK):
                parts.append(chunk)
                if tick is not None:
                    tick()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise broken(path, f"is a truncated or damaged gzip file ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    return b"".join(parts)


def check_size(path: Path, data: bytes, expected: int) -> None:
    """Refuse a file that is shorter or longer than it must be.

    Raises:
        DataError: naming both sizes.
    """
    if len(data) != expected:
        what = "is truncated" if len(data) < expected else "is too long"
        raise broken(path, f"{what}: {len(data):,} bytes, expected {expected:,}")


def check_md5(path: Path, data: bytes, file: File) -> None:
    """Refuse a file whose content is not the published one.

    Raises:
        DataError: naming both checksums.
    """
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != file.md5:
        raise broken(path, f"is corrupted or not the published file: MD5 is {found}, expected {file.md5}")
