"""Sealed files: tensors and a JSON document in one safetensors file, with a checksum over every byte of it.

Nothing is unpickled. The document is the only entry of the file's metadata and begins with its
``sha256``: the digest of the whole file with these 64 characters as zeros. Any changed, missing or added
byte is therefore found. Importing this module imports no torch; the document is readable without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from engine.errors import DataError
from engine.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

KEY = "mim4dd"
LARGEST_HEADER = 100 * 1024 * 1024
_ZEROS = b"0" * 64
_BEFORE = b'{"__metadata__":{"' + KEY.encode() + b'":"{\\"sha256\\":\\"'
_CHUNK = 1 << 20


def write(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """Writes a sealed file in one step (aside, synced, renamed).

    Args:
        path: what to replace.
        tensors: any devices and strides; copied.
        document: JSON values; "sha256" is taken by the seal.

    Raises:
        RunFailed: the disk is full, read-only or failing; ``path`` is as before.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if "sha256" in document:
        raise ValueError("the key 'sha256' belongs to the seal")
    text = json.dumps({"sha256": _ZEROS.decode(), **document}, separators=(",", ":"), ensure_ascii=True)
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as aside:
        try:
            save_file(copies, aside, metadata={KEY: text})
        except SafetensorError as error:
            # The library hides the errno of a full disk in its text.
            raise OSError(_errno(str(error)), str(error), str(aside)) from error
        with aside.open("r+b") as file:
            digest, position = _digest(file, path)
            file.seek(position)
            file.write(digest.encode())


def _errno(text: str) -> int:
    number = text.rpartition("os error ")[2].partition(")")[0]
    return int(number) if number.isdigit() else 5


def _digest(file: BinaryIO, path: Path) -> tuple[str, int]:
    """The digest of an open sealed file with its seal as zeros, and where the seal lies."""
    size = os.fstat(file.fileno()).st_size
    start = 8 + len(_BEFORE)
    head = file.read(start + 64)
    if len(head) < start + 64 or head[8:start] != _BEFORE:
        raise DataError(f"{path}: not a file of mim4dd, or its beginning is damaged")
    if int.from_bytes(head[:8], "little") > min(size, LARGEST_HEADER):
        raise DataError(f"{path}: truncated or damaged header")
    digest = hashlib.sha256(head[:start] + _ZEROS)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest(), start


def _document(head: bytes, path: Path) -> dict[str, Any]:
    length = int.from_bytes(head[:8], "little")
    try:
        document = json.loads(json.loads(head[8 : 8 + length])["__metadata__"][KEY])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: the header is no document of mim4dd: {error}") from None
    if not isinstance(document, dict):
        raise DataError(f"{path}: the header is no document of mim4dd")
    return document


def verify(path: Path) -> dict[str, Any]:
    """The document of a sealed file whose every byte was checked; needs no torch.

    Raises:
        DataError: the file is missing, unreadable, truncated or changed.
    """
    try:
        with path.open("rb") as file:
            digest, position = _digest(file, path)
            file.seek(position)
            seal = file.read(64)
            if seal != digest.encode():
                raise DataError(f"{path}: damaged or truncated (its checksum does not match)")
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            file.seek(0)
            return _document(file.read(8 + length), path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and document of a sealed file.

    Raises:
        DataError: the file is missing, unreadable, truncated or changed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    document = verify(path)
    try:
        return load(path.read_bytes()), document
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
