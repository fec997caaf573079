"""``kill -9`` in the middle of a download: nothing half-written counts as whole, and the next start completes it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.data.layout import Layout
from engine.data.sources import load
from tests.cli.command import environment
from tests.data import formats
from tests.data.formats import md5, write
from tests.data.publisher import Server, publish
from tests.reach.places import until

FETCH = """
import pickle, sys
from pathlib import Path
from engine.data.download import fetch
layout, folder = pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
fetch("mnist", layout, folder, layout.missing(folder), progress=None, tick=None)
"""

RUN = """
import pickle, sys
from pathlib import Path
from engine import run
from engine.data.layout import LAYOUTS
from tests.distill.helpers import quickly, tiny
place = Path(sys.argv[2]).parents[2]
LAYOUTS["mnist"] = (pickle.loads(Path(sys.argv[1]).read_bytes()),)
where = {"data_dir": place / "data", "cache_dir": place / "cache"}
with quickly(2):
    if (place / "runs" / "one").exists():
        document = run.resume(place / "runs" / "one", **where)
    else:
        config = tiny(data__name="mnist", objective__iterations=1, evaluation__random_draws=0, evaluation__networks=1)
        document = run.start(config, runs_dir=place / "runs", name="one", **where)
assert document["state"] == "done", document
"""
"""A whole run, or its continuation."""


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Layout]]:
    """MNIST's four archives, the first of more than a megabyte, so that much of it is on the disk at the kill."""
    monkeypatch.setitem(formats.SIZES, "mnist", (2000, 300))
    with closing(Server()) as server:
        (layout,) = publish("mnist", server, write("mnist", tmp_path / "published"))["mnist"]
        yield server, layout


def started(program: str, layout: Layout, folder: Path) -> subprocess.Popen[bytes]:
    path = folder.parents[2] / "layout.pickle"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(layout))
    none = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), "")
    command = [sys.executable, "-c", program, str(path), str(folder)]
    return subprocess.Popen(command, env=environment(OMP_NUM_THREADS="1", **none))


@pytest.mark.parametrize("program", [FETCH, pytest.param(RUN, marks=pytest.mark.long)], ids=["download", "run"])
def test_a_kill_in_a_download_loses_what_was_half_there_and_nothing_else(
    program: str, published: tuple[Server, Layout], tmp_path: Path
) -> None:
    server, layout = published
    folder = tmp_path / "mine" / "data" / layout.folders[0]
    sums = {file.name: file.md5 for file in layout.files}
    archives = [archive.urls[0].removeprefix(server.address) for archive in layout.archives]
    for killed, stuck in enumerate((archives[0], archives[-1])):
        server.stuck = stuck
        server.halfway.clear()
        process = started(program, layout, folder)
        try:
            assert server.halfway.wait(120)
            if stuck == archives[0]:
                until(
                    lambda: any(path.stat().st_size for path in folder.glob(".download-*/*")), "a part is on the disk"
                )
        finally:
            process.kill()
        assert process.wait() == -9
        there = {path.name: md5(path.read_bytes()) for path in folder.iterdir() if path.is_file()}
        assert len(there) == killed * (len(archives) - 1), "all that came whole is kept"
        assert there.items() <= sums.items(), "under its name a file is whole"
        assert set(layout.missing(folder)) == set(sums) - set(there)
    server.stuck = ""
    assert started(program, layout, folder).wait(240) == 0
    assert {path.name: md5(path.read_bytes()) for path in folder.iterdir() if path.is_file()} == sums
    assert server.asked == [archives[0], *archives, archives[-1]], "what came whole is not fetched again"
    own, theirs = (
        load("mnist", tmp_path / at, layouts={"mnist": (layout,)}, download=False) for at in ("mine/data", "published")
    )
    assert own.fingerprint == theirs.fingerprint
