"""Writing files so that they are never half there: aside in the same folder, synced, renamed.

What a run keeps is private to the user: folders 0700, files 0600, whatever the umask.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError, RunFailed

if TYPE_CHECKING:
    import numpy as np

ASIDE = ".part"
"""Ending of a file or folder that is still being written; found after a kill, it may be removed."""

ABANDONED_SECONDS = 24 * 3600.0
"""Age after which a half-written file of a folder that several processes share counts as left by a kill."""

_OURS = re.compile(rf"\..*\.(?:(\d+)-)?[0-9a-f]{{12}}{re.escape(ASIDE)}")

ADVICE = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only: mount it writable or choose another folder",
    errno.EACCES: "permission denied: make the folder writable or choose another place",
    errno.EPERM: "not permitted: make the folder writable or choose another place",
    errno.EIO: "the disk reports an input/output error: check it before going on with `mim4dd resume`",
    errno.ESTALE: "the network file system lost the file: check the mount, then go on with `mim4dd resume`",
}


def expanded(path: str | Path) -> Path:
    """The path with the home folder that ``~`` or ``~name`` at its beginning stands for.

    Raises:
        ConfigError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(f"{path}: {Path(path).parts[0]} is no home folder here: write out the path") from None


def default_cache_dir() -> Path:
    """What runs share (experts, baselines, whitening): MIM4DD_CACHE_DIR, else the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("MIM4DD_CACHE_DIR")
    return expanded(chosen) if chosen else user_cache_path("mim4dd", appauthor=False)


def disk_error(error: OSError, path: Path) -> RunFailed:
    """The error a person sees when ``path`` could not be written: which file, why, what to do."""
    reason = ADVICE.get(error.errno or 0, error.strerror or str(error))
    return RunFailed(f"cannot write {path}: {reason}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into :class:`RunFailed` with advice."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def private_folder(path: Path) -> Path:
    """Creates a folder (and missing parents) with mode 0700; an existing one is left as it is.

    Raises:
        RunFailed: it cannot be created.
    """
    with explained(path):
        for folder in (*reversed(path.parents), path):
            with suppress(FileExistsError):
                if not folder.exists():
                    folder.mkdir(mode=0o700)
                    folder.chmod(0o700)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "there is a file of this name", str(path))
    return path


def as_any_new_file(path: Path) -> None:
    """Give a file, or a folder with all in it, the permissions that the user's other new files have (the umask's).

    For what is made to be passed on: everything else here is private.

    Raises:
        RunFailed: the system refuses.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    with explained(path):
        for each in (path, *path.rglob("*")):
            each.chmod((0o777 if each.is_dir() else 0o666) & ~mask)


def sync_folder(path: Path) -> None:
    """Makes renames in a folder durable. File systems that cannot sync a folder are left alone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def _aside(path: Path) -> Path:
    """A new name beside ``path`` that says which process writes there."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(6)}{ASIDE}")


def no_file(path: Path) -> str:
    """``PATH is a device or a pipe, and no file``; empty where a file or a folder is there, or nothing."""
    special = path.exists() and not (path.is_file() or path.is_dir())
    return f"{path} is a device or a pipe, and no file" if special else ""


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yields a path beside ``path`` to write to; on success it takes the place of ``path`` at once.

    On any failure the half-written file is removed and ``path`` stays as it was. ``durable`` syncs file and
    folder, so that the new content survives a power cut.

    Raises:
        RunFailed: the disk is full, read-only or failing, or ``path`` is a device, a pipe or a socket.
    """
    aside = _aside(path)
    try:
        with explained(path):
            if special := no_file(path):
                raise RunFailed(f"{special}: nothing was written there")
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield aside
            aside.chmod(0o600)  # a library may have put a new file in its place
            if durable:
                descriptor = os.open(aside, os.O_RDWR)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            aside.replace(path)
            if durable:
                sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


@contextmanager
def creating_folder(path: Path) -> Iterator[Path]:
    """Yields a new private folder beside ``path`` to fill; on success it becomes ``path`` in one step.

    Raises:
        FileExistsError: ``path`` is there already (an empty folder counts).
        RunFailed: the disk is full, read-only or failing.
    """
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "already exists", str(path))
    aside = _aside(path)
    try:
        with explained(path):
            aside.mkdir(mode=0o700)
            aside.chmod(0o700)
            yield aside
            try:
                aside.rename(path)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    taken = FileExistsError(errno.EEXIST, "already exists", str(path))
                else:
                    raise
            else:
                sync_folder(path.parent)
                return
        raise taken
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replaces ``path`` by ``data`` in one step. Raises RunFailed where the disk refuses."""
    with replacing(path, durable=durable) as aside:
        aside.write_bytes(data)


def write_npy(path: Path, array: np.ndarray[Any, Any], *, durable: bool = True) -> None:
    """Replaces ``path`` by an array in numpy's format, in one step."""
    import numpy

    with replacing(path, durable=durable) as aside, aside.open("wb") as file:
        numpy.save(file, array, allow_pickle=False)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replaces ``path`` by a readable JSON document in one step; numbers that are not finite are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    write_bytes(path, text.encode() + b"\n", durable=durable)


def read_json_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where it is missing, unreadable or something else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def remove_leftovers(folder: Path) -> list[Path]:
    """Removes what a killed process left half-written in a folder and its subfolders; returns the paths.

    Only the process that holds the folder may call it: another one's unfinished files look the same.
    """
    removed = []
    for path in sorted(folder.rglob(f".*{ASIDE}")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
        removed.append(path)
    return removed


def remove_abandoned(folder: Path) -> list[Path]:
    """Removes half-written files directly in a folder that several processes share; returns the paths.

    Gone are only files of :func:`replacing` that have not changed for ``ABANDONED_SECONDS`` and whose writer does not
    run (on this machine; one of another machine would have written within that time).
    """
    removed = []
    for path in sorted(folder.glob(f".*{ASIDE}")):
        name = _OURS.fullmatch(path.name)
        with suppress(OSError):
            if name and _old(path) and path.is_file() and not (name[1] and _runs(int(name[1]))):
                path.unlink()
                removed.append(path)
    return removed


def _old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > ABANDONED_SECONDS


def _runs(pid: int) -> bool:
    """Whether a process of this machine has the id."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
