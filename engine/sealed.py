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
    from numpy.typing import NDArray
    from torch import Tensor

KEY = "mim4dd"
LARGEST_HEADER = 100 * 1024 * 1024
_ZEROS = b"0" * 64
_BEFORE = b'{"__metadata__":{"' + KEY.encode() + b'":"{\\"sha256\\":\\"'
_CHUNK = 1 << 20
DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
"""torch's names of element types -> safetensors'."""


def write(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> None:
    """Writes a sealed file in one step (aside, synced, renamed).

    Args:
        path: what to replace.
        tensors: any devices and strides.
        document: JSON values; "sha256" is taken by the seal.

    Raises:
        RunFailed: the disk is full, read-only or failing; ``path`` is as before.
        ValueError: a tensor's type has no name in the format.
    """
    if "sha256" in document:
        raise ValueError("the key 'sha256' belongs to the seal")
    text = json.dumps({"sha256": _ZEROS.decode(), **document}, separators=(",", ":"), ensure_ascii=True)
    # Larger elements first, so that every tensor begins at a multiple of its element's size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    head = _head(text, [(name, tensors[name]) for name in names])
    digest = hashlib.sha256(head)
    # Not the library's own writer: it writes aside once more, under a name that a kill would leave behind.
    with replacing(path) as aside, aside.open("r+b") as file:
        file.write(head)
        for name in names:
            content = _content(tensors[name])
            digest.update(content)
            file.write(content)
        file.seek(8 + len(_BEFORE))
        file.write(digest.hexdigest().encode())


def _head(text: str, tensors: list[tuple[str, Tensor]]) -> bytes:
    """Length and JSON header of a safetensors file, padded so that the tensors begin at a multiple of 8."""
    header: dict[str, Any] = {"__metadata__": {KEY: text}}
    start = 0
    for name, tensor in tensors:
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind not in DTYPES:
            raise ValueError(f"tensor {name!r} of type {kind} cannot be stored")
        stop = start + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[kind], "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded


def _content(tensor: Tensor) -> memoryview:
    """A tensor's elements in C order, little-endian (as on every platform torch runs on)."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


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
    except ValueError as error:  # a path that no file can have
        raise DataError(f"{str(path)!r}: cannot be read: {error}") from None


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


def array(path: Path, name: str) -> NDArray[Any]:
    """One tensor of a file that :func:`verify` found whole, without torch.

    Raises:
        DataError: the file cannot be read, or holds no tensor of that name.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found: NDArray[Any] = file.get_tensor(name)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return found
