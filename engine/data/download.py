"""Fetching a data set: into a temporary directory beside its place, checked, then renamed file by file.

torchvision's own download writes under the final name, prints its own progress bar and cannot be interrupted
cleanly; the addresses and checksums used here are the same. A file under its final name is always complete.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from engine.data.files import Tick
from engine.data.layout import Archive, File, Layout
from engine.errors import DataError

CHUNK = 1 << 18
TIMEOUT = 30.0
AGENT = "mim4dd"
ASIDE = ".download-"
STALE = 24 * 3600.0


def fetch(
    name: str,
    layout: Layout,
    folder: Path,
    missing: list[str],
    *,
    progress: Callable[[str, int, int | None], None] | None,
    tick: Tick | None,
) -> None:
    """Download the archives that hold the missing files and put these files into ``folder``.

    Args:
        name: the data set, for messages.
        layout: its archives and the checksums of its files.
        folder: where the files go; made if need be.
        missing: names of the files to fetch. Files that are there are left alone.
        progress: hears the archive's name, bytes so far and bytes in all.
        tick: called for every chunk; may raise to interrupt.

    Raises:
        DataError: no address answered with the published file, or ``folder`` cannot be written.
    """
    files = {file.name: file for file in layout.files}
    with _writing(folder), _aside(folder) as aside:
        for archive in layout.archives:
            wanted = [files[provided] for provided in archive.provides if provided in missing]
            if wanted:
                packed = _download(name, archive, aside, progress=progress, tick=tick)
                for file in wanted:
                    _unpack(archive, packed, file, aside, tick).replace(folder / file.name)
                packed.unlink()


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A temporary directory in ``folder``, on the same disk; neither is left behind by a failure."""
    existed = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{ASIDE}*"):  # by a process that was killed; a live one is younger
        if left.stat().st_mtime < time.time() - STALE:
            shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=ASIDE) as temporary:
            yield Path(temporary)
    except BaseException:
        if not existed:
            with suppress(OSError):  # another process put files there
                folder.rmdir()
        raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn a full disk or a directory without write permission into a sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}). Make room, or choose another --data-dir."
        ) from None


def _download(
    name: str,
    archive: Archive,
    aside: Path,
    *,
    progress: Callable[[str, int, int | None], None] | None,
    tick: Tick | None,
) -> Path:
    """The archive in a temporary file, its MD5 checked; every address is tried in turn."""
    failures = []
    for url in archive.urls:
        target = aside / f"archive-{url.rsplit('/', 1)[-1]}"
        try:
            found = _stream(url, target, progress, tick)
        except _UnreachableError as error:
            failures.append(f"{url}: {error}")
            continue
        if found == archive.md5:
            return target
        failures.append(f"{url}: MD5 of what came is {found}, expected {archive.md5}")
    raise DataError(
        f"{name}: {', '.join(archive.provides)} not found in {aside.parent}, and the download failed "
        f"({'; '.join(failures)}). Check the network, or point --data-dir (or MIM4DD_DATA_DIR) to a "
        "directory that holds the set."
    )


class _UnreachableError(Exception):
    """The network failed, not the disk."""


def _stream(url: str, target: Path, progress: Callable[[str, int, int | None], None] | None, tick: Tick | None) -> str:
    """Write what ``url`` answers to ``target``; returns its MD5."""
    request = urllib.request.Request(url, headers={"User-Agent": AGENT})  # noqa: S310 - fixed addresses
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    with target.open("wb") as file:
        for chunk, total in _chunks(request):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress is not None:
                progress(url.rsplit("/", 1)[-1], done, total)
            if tick is not None:
                tick()
    return digest.hexdigest()


def _chunks(request: urllib.request.Request) -> Iterator[tuple[bytes, int | None]]:
    """Pieces of an answer and its announced length. The network's failures become _UnreachableError."""
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except (OSError, http.client.HTTPException) as error:
        raise _UnreachableError(str(getattr(error, "reason", None) or error)) from None
    with response:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else None
        while True:
            try:
                chunk = response.read(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _UnreachableError(f"broke off ({error})") from None
            if not chunk:
                return
            yield chunk, total


def _unpack(archive: Archive, packed: Path, file: File, aside: Path, tick: Tick | None) -> Path:
    """One file of an archive, written aside and checked."""
    unpacked = aside / file.name
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with _open(archive, packed, file.name) as source, unpacked.open("wb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                digest.update(chunk)
                if tick is not None:
                    tick()
            target.flush()
            os.fsync(target.fileno())
    except (tarfile.TarError, KeyError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{archive.urls[0]}: cannot be unpacked ({error})") from None
    if (found := digest.hexdigest()) != file.md5:
        raise DataError(f"{archive.urls[0]}: {file.name} in it has the MD5 {found}, expected {file.md5}")
    return unpacked


@contextmanager
def _open(archive: Archive, packed: Path, name: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """The stream of one file of an archive. No path of a tar archive is ever used to write to."""
    if archive.kind == "plain":
        with packed.open("rb") as file:
            yield file
    elif archive.kind == "gzip":
        with gzip.open(packed) as unzipped:
            yield unzipped
    else:
        with tarfile.open(packed) as tar:
            member = next((m for m in tar if m.isfile() and m.name.rsplit("/", 1)[-1] == name), None)
            stream = tar.extractfile(member) if member else None
            if stream is None:
                raise KeyError(f"{name} is not in it")
            with stream:
                yield stream
