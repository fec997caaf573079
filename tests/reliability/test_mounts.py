"""Real file systems: a small one that fills up during a run, and one that becomes read-only."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import MimError
from engine.runs.checkpoint import latest
from tests.distill.helpers import Place, Watch, outcome, quickly, tiny
from tests.reliability.test_disk import SMALL

Mount = Callable[[Path, str], None]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly(2):
        yield


def mounted(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"cannot mount a file system here (these tests need root in a machine of its own): {done.stderr}")


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts a tmpfs with options on a folder that is made."""
    held: list[Path] = []

    def make(folder: Path, options: str) -> None:
        folder.mkdir(parents=True)
        mounted("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        held.append(folder)

    yield make
    gc.collect()  # an error that was raised holds the frames it came through, and they their mapped files
    for folder in reversed(held):
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.long
@pytest.mark.parametrize("left", [0, 4, 8, 16])
def test_a_disk_that_fills_up(mount: Mount, tmp_path: Path, left: int) -> None:
    """Another program takes all but ``left`` KiB of it during the run; once it went, resume ends in the same bits."""
    config = tiny(**{**SMALL, "objective__iterations": 6})
    whole, full = Place(tmp_path / "whole"), Place(tmp_path / "small")
    whole.start(config)
    mount(full.path, "size=8M")
    ballast = full.path / "ballast"

    def fill(watch: Watch) -> None:
        if watch.after(kind="iteration", iteration=2) and watch.ticks == 0:
            state = os.statvfs(full.path)
            ballast.write_bytes(bytes(max(0, state.f_bavail * state.f_frsize - left * 1024)))

    with pytest.raises(MimError, match="the disk is full: free some space"):
        full.start(config, Watch(act=fill))
    found = latest(full.folder)
    assert found is not None
    assert found.skipped == []
    assert found.iteration >= 1
    ballast.unlink()
    assert full.resume()["state"] == "done"
    assert outcome(full) == outcome(whole)
    assert list(full.folder.rglob("*.part")) == []


@pytest.mark.long
def test_a_disk_too_small_from_the_start(mount: Mount, tmp_path: Path) -> None:
    place = Place(tmp_path / "tiny")
    mount(place.path, "size=64k")
    with pytest.raises(MimError, match="free some space"):
        place.start(tiny(**SMALL))
    mounted("-o", "remount,size=16M", str(place.path))
    again = place.resume() if place.folder.exists() else place.start(tiny(**SMALL))
    assert again["state"] == "done"


@pytest.mark.long
def test_a_disk_that_becomes_read_only(mount: Mount, tmp_path: Path) -> None:
    """The cache while it is used, and the runs between two resumptions: refused in words, finished afterwards."""
    config = tiny(**SMALL)
    whole, place = Place(tmp_path / "whole"), Place(tmp_path / "place")
    whole.start(config)
    mount(place.runs, "size=16M")
    mount(place.cache, "size=16M")

    def protect(watch: Watch) -> None:
        if watch.after(kind="phase", name="experts") and watch.ticks == 0:
            mounted("-o", "remount,ro", str(place.cache))

    with pytest.raises(MimError, match="read-only: mount it writable"):
        place.start(config, Watch(act=protect))
    mounted("-o", "remount,rw", str(place.cache))
    stopped = Watch(act=lambda w: w.request("stop") if w.after(kind="iteration", iteration=2) else None)
    assert place.resume(stopped)["state"] == "stopped"
    before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    mounted("-o", "remount,ro", str(place.runs))
    with pytest.raises(MimError, match="read-only: mount it writable"):
        place.resume()
    assert {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()} == before
    mounted("-o", "remount,rw", str(place.runs))
    assert place.resume()["state"] == "done"
    assert outcome(place) == outcome(whole)
