"""What a run keeps is the user's alone, and neither a name nor a control folder reaches outside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config.schema import Config
from engine.errors import ConfigError, DataError, RunFailed
from engine.runs.control import Control, post
from engine.runs.finding import find
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from engine.runs.status import StatusWriter
from mim4dd_tui.__main__ import main

CONFIG = Config.model_validate({"data": {"name": "digits"}})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    before = os.umask(0)
    try:
        return RunFolder.create(tmp_path / "runs", "mine", CONFIG)
    finally:
        os.umask(before)


def test_folders_and_requests_are_private_whatever_the_umask(run: RunFolder) -> None:
    before = os.umask(0)
    try:
        request = post(run.control_path, "pause")
        with RunLock(run.path):
            StatusWriter(run.path).update(state="running")
            for path in (run.path, *run.path.rglob("*")):
                assert path.stat().st_mode & 0o077 == 0, path
    finally:
        os.umask(before)
    assert request.parent == run.control_path


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755])
def test_a_control_folder_left_open_is_closed(run: RunFolder, mode: int) -> None:
    for use in (lambda: post(run.control_path, "pause"), lambda: Control().watch(run.control_path)):
        run.control_path.chmod(mode)
        use()
        assert run.control_path.stat().st_mode & 0o777 == 0o700


def test_a_control_folder_that_leads_elsewhere_is_refused(run: RunFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    bystander = outside / "1-1-00000000.stop"  # named as a request is: it would be consumed
    bystander.touch()
    run.control_path.rmdir()
    run.control_path.symlink_to(outside)
    for use in (lambda: post(run.control_path, "stop"), lambda: Control().watch(run.control_path, discard=True)):
        with pytest.raises(RunFailed, match="is a link"):
            use()
    assert list(outside.iterdir()) == [bystander]
    assert outside.stat().st_mode & 0o777 == 0o755


def test_a_request_makes_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="there is no run folder"):
        post(tmp_path / "runs" / "typo" / "control", "stop")
    assert list(tmp_path.iterdir()) == []


def test_a_bug_in_a_request_is_a_sentence(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    StatusWriter(run.path).update(state="running")
    run.control_path.rmdir()
    run.control_path.symlink_to(run.path.parent)
    assert main(["stop", str(run.path)]) == 1
    assert "is a link" in capsys.readouterr().err
    assert sorted(path.name for path in run.path.parent.iterdir()) == ["mine"]


NAMES = st.one_of(
    st.text(min_size=1, max_size=120),
    st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "~", "\x00", "runs", "mine", "%2e", "-"]), min_size=1).map(
        "".join
    ),
)


@given(NAMES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_reaches_outside(tmp_path: Path, name: str) -> None:
    place = tmp_path / "deep" / "runs"
    outside = {path for path in tmp_path.rglob("*") if place not in (path, *path.parents)} | {place.parent}
    try:
        made = RunFolder.create(place, name, CONFIG)
    except (ConfigError, RunFailed):
        made = None
    if made is not None:
        assert made.path.parent == place
        assert made.path.resolve().parent == place.resolve()
    try:
        found = find(place, name)
    except (ConfigError, DataError):
        found = None
    if found is not None and "/" not in name:
        assert found.path.parent == place.absolute()
    assert {path for path in tmp_path.rglob("*") if place not in (path, *path.parents)} | {place.parent} == outside


@pytest.mark.parametrize("name", ["../../etc/x.npy", "/etc/passwd", "snapshots/../../other/x.npy"])
def test_a_picture_named_in_a_journal_is_looked_for_inside_only(run: RunFolder, name: str) -> None:
    with pytest.raises(DataError, match="outside the run folder"):
        run.inside(name)
    (run.snapshots / "link.npy").symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="outside the run folder"):
        run.inside("snapshots/link.npy")


def test_the_control_folder_reads_nothing_but_names(run: RunFolder) -> None:
    """A request that is a link, or holds something, is consumed by its name; what is behind it is not touched."""
    target = run.path.parent / "target"
    target.write_text("kept")
    (run.control_path / "1-1-00000000.pause").symlink_to(target)
    (run.control_path / "2-1-00000000.resume").write_text(json.dumps({"evil": True}))
    control = Control()
    control.watch(run.control_path)
    control.tick()
    assert target.read_text() == "kept"
    assert list(run.control_path.iterdir()) == []
