"""Data sets by name: found under a data directory, or downloaded into it, checked, and read in one go.

Importing this module imports no torch; :func:`find` needs none.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.class_names import CLASS_NAMES
from engine.data.layout import LAYOUTS, Layout, places
from engine.errors import DataError
from engine.files import expanded

if TYPE_CHECKING:
    from engine.data.files import Tick
    from engine.data.types import Images, RawSet

Progress = Callable[[str, int, int | None], None]
"""Hears what is being fetched, bytes so far and bytes in all (None where the server does not say)."""

DATA_DIR = "MIM4DD_DATA_DIR"
UNOFFICIAL = "MIM4DD_UNOFFICIAL"
"""Names (joined by commas) of data sets whose files may differ from the published ones: their format is
checked, their checksums are not, and the set says that it is not the official one."""


def default_data_dir() -> Path:
    """``MIM4DD_DATA_DIR`` where it is set, else ``data`` in the user's cache directory."""
    if chosen := os.environ.get(DATA_DIR):
        return expanded(chosen)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("mim4dd", appauthor=False)) / "data"


def find(name: str, data_dir: Path | None = None) -> Path | None:
    """The folder that holds all files of a data set, or None; their content is not checked.

    For the built-in digits this is the file in scikit-learn's installation.
    """
    if name == "digits":
        spec = importlib.util.find_spec("sklearn")
        if spec is None or spec.origin is None:
            return None
        path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
        return path if path.is_file() else None
    found = _complete(LAYOUTS[name], data_dir or default_data_dir())
    return found[1] if found else None


def accepted(name: str) -> bool:
    """Whether ``MIM4DD_UNOFFICIAL`` names the set: its files need not be the published ones."""
    return name in os.environ.get(UNOFFICIAL, "").replace(" ", "").split(",")


def fault(name: str, data_dir: Path | None = None) -> str | None:
    """Why the files of a data set that is there are not the published ones; None where they are, or are not there.

    Reads all of them.
    """
    found = None if name == "digits" else _complete(LAYOUTS[name], data_dir or default_data_dir())
    return _fault(*found) if found else None


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    download: bool = True,
    progress: Progress | None = None,
    tick: Tick | None = None,
    unofficial: bool | None = None,
    layouts: Mapping[str, tuple[Layout, ...]] = LAYOUTS,
) -> RawSet:
    """A whole data set as uint8 tensors on the CPU.

    Args:
        name: digits, mnist, svhn, cifar10 or cifar100 (its 100 fine labels).
        data_dir: where the files lie or are downloaded to; None takes :func:`default_data_dir`.
        download: fetch what is missing. Files that are there are never replaced.
        progress: hears about downloads.
        tick: called often; may raise to interrupt, which leaves nothing half-written.
        unofficial: accept files of the right format whose checksums are not the published ones; None asks the
            environment variable ``MIM4DD_UNOFFICIAL``. Pickled files are never accepted so.
        layouts: the files, addresses and checksums to go by.

    Raises:
        DataError: files are missing (and could not be downloaded), truncated or corrupted.
    """
    from engine.data import digits
    from engine.data.types import RawSet, fingerprint

    official, notes = True, tuple[str, ...]()
    if name == "digits":
        train, test = digits.load()
    else:
        if unofficial is None:
            unofficial = accepted(name)
        directory = data_dir or default_data_dir()
        layout, folder = _obtain(name, layouts[name], directory, download=download, progress=progress, tick=tick)
        official = not unofficial or _fault(layout, folder, tick) is None
        train = _read(name, layout, folder, train=True, official=official, tick=tick)
        test = _read(name, layout, folder, train=False, official=official, tick=tick)
        notes = () if official else (_note(name, folder, len(train), len(test)),)
    names = CLASS_NAMES[name]
    return RawSet(name, train, test, len(names), names, fingerprint(train, test), official, notes)


def _complete(layouts: tuple[Layout, ...], data_dir: Path) -> tuple[Layout, Path] | None:
    return next(((layout, at) for layout, at in places(layouts, data_dir) if not layout.missing(at)), None)


def _obtain(
    name: str,
    layouts: tuple[Layout, ...],
    data_dir: Path,
    *,
    download: bool,
    progress: Progress | None,
    tick: Tick | None,
) -> tuple[Layout, Path]:
    """The form and the folder of a complete set, downloaded where it is not there."""
    if found := _complete(layouts, data_dir):
        return found
    # A folder that holds a part of the set is completed rather than a second one begun.
    first = layouts[0]
    at = next((folder for layout, folder in places(layouts[:1], data_dir) if _begun(layout, folder)), None)
    target = at or data_dir / first.folders[0]
    missing = first.missing(target)
    if not download:
        looked = ", ".join(str(folder) for _, folder in places(layouts, data_dir))
        raise DataError(
            f"{name}: {', '.join(missing)} not found in {target} (looked in {looked}). Allow the download, "
            "or point --data-dir (or MIM4DD_DATA_DIR) to a directory that holds the set."
        )
    from engine.data.download import fetch

    fetch(name, first, target, missing, progress=progress, tick=tick)
    return first, target


def _begun(layout: Layout, folder: Path) -> bool:
    return len(layout.missing(folder)) < len(layout.files)


def _fault(layout: Layout, folder: Path, tick: Tick | None = None) -> str | None:
    """What the first file is that is not the published one; None where all are."""
    from engine.data.files import check_md5, read

    for file in layout.files:
        path = layout.locate(folder, file) or folder / file.name
        try:
            check_md5(path, read(path, tick), file)
        except DataError as error:
            return str(error)
    return None


def _read(name: str, layout: Layout, folder: Path, *, train: bool, official: bool, tick: Tick | None) -> Images:
    files = layout.train if train else layout.test
    if layout.form == "idx":
        from engine.data import mnist

        return mnist.load_split(layout, folder, files, official=official, tick=tick)
    if layout.form == "mat":
        from engine.data import svhn

        return svhn.load_split(folder, files[0], official=official, tick=tick)
    from engine.data import cifar

    if layout.form == "pickled":
        return cifar.load_pickled(folder, files, len(CLASS_NAMES[name]), tick=tick)
    return cifar.load_binary(folder, files, len(CLASS_NAMES[name]), official=official, tick=tick)


def _note(name: str, folder: Path, train: int, test: int) -> str:
    return (
        f"{name}: the files in {folder} are not the published ones ({train:,} training and {test:,} test "
        f"images); they were accepted because you asked for it ({UNOFFICIAL}). Numbers measured on them are "
        f"no {name} results."
    )
