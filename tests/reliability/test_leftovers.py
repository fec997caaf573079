"""What a killed process leaves half-written in the cache that runs share: removed once it is surely nobody's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from engine import files
from engine.events import Phase
from engine.files import ABANDONED_SECONDS, remove_abandoned, replacing, write_json
from engine.record import Recorder
from engine.runs.control import Control
from engine.runs.lock import NOTE, Holder
from engine.runs.status import host_name
from tests.experts.small import configuration, real_set, train
from tests.runs.helpers import make_folder


def half_written(folder: Path) -> Path:
    """The file that a process killed while it writes ``folder``/whole leaves; what it really leaves."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom engine.files import replacing\n"
        "with replacing(Path(sys.argv[1]) / 'whole') as aside:\n"
        "    aside.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(folder)], check=False)
    assert ended.returncode == -9
    (left,) = folder.glob(f".whole.*{files.ASIDE}")
    return left


def aged(path: Path, seconds: float = ABANDONED_SECONDS + 60) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_only_what_is_old_and_of_a_process_that_is_gone_is_removed(tmp_path: Path) -> None:
    left = half_written(tmp_path)
    assert remove_abandoned(tmp_path) == [], "it may be written this moment, on another machine"
    assert remove_abandoned(aged(left).parent) == [left]
    with replacing(tmp_path / "mine") as aside:
        aside.write_text("half")
        aged(aside)
        assert remove_abandoned(tmp_path) == [], "its writer, this process, runs"
    assert (tmp_path / "mine").read_text() == "half"


@pytest.mark.parametrize(("text", "gone"), [("", True), ("terminate called", False)])
def test_an_empty_log_of_a_killed_dashboard_goes_when_its_run_is_taken_up(
    tmp_path: Path, text: str, gone: bool
) -> None:
    folder = make_folder(tmp_path)
    folder.output_path.write_text(text)
    with Recorder(folder, None, Control(), resuming=True):
        assert folder.output_path.exists(), "nobody was killed: somebody may be about to write there"
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write_json(folder.path / NOTE, asdict(Holder(host_name(), process.pid, time.time(), "gone")))
    with Recorder(folder, None, Control(), resuming=True):
        assert folder.output_path.exists() is not gone


def test_the_status_tells_what_the_process_takes(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with Recorder(folder, None, Control(), resuming=False) as record:
        record.phase(Phase("experts", total=3))
    status = folder.status()
    assert status is not None
    assert status.memory is not None
    assert status.memory > 10


def test_nothing_of_others_is_removed(tmp_path: Path) -> None:
    kept = [
        tmp_path / name
        for name in (".download.part", "x.0123456789ab.part", ".x.0123456789ab.partial", ".x.12-ab.part")
    ]
    for path in kept:
        aged(path.parent / path.name) if path.exists() else path.write_text("x")
        aged(path)
    link, target = tmp_path / ".x.0123456789ab.part", tmp_path / "folder"
    target.mkdir()
    link.symlink_to(target)
    assert remove_abandoned(tmp_path) == []
    assert all(path.exists() for path in (*kept, target))
    older = tmp_path / ".expert.0123456789ab.part"  # named as before the writer was part of it
    older.write_text("x")
    assert remove_abandoned(aged(older).parent) == [older]


@pytest.mark.parametrize("place", ["whitening", "baselines/key", "experts/key"])
def test_the_cache_is_swept_when_experts_are_ensured(tmp_path: Path, place: str) -> None:
    config = configuration(count=1, epochs=2)
    folder = tmp_path / "cache" / place
    folder.mkdir(parents=True)
    old, young = (folder / f".a.{hexes}{files.ASIDE}" for hexes in ("0" * 12, "1" * 12))
    old.write_text("half")
    young.write_text("half")
    aged(old)
    train(config, real_set(config), tmp_path / "cache")
    assert not old.exists()
    assert young.exists()
