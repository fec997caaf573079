"""Run folders are made whole, are private, and names reach nowhere else."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.config.schema import Config, Information
from engine.errors import ConfigError, DataError, RunFailed
from engine.runs.finding import LATEST, find, list_runs
from engine.runs.folder import RunFolder
from engine.runs.naming import check_name
from engine.runs.status import StatusWriter
from tests.runs.helpers import make_folder


def test_what_was_put_in_comes_back(tmp_path: Path) -> None:
    config = Config(seed=3, information=Information(weight=0.5, grid=2))
    made = RunFolder.create(tmp_path / "runs", "a.b-c_1", config, preset="p", origins={"seed": "--set"})
    run = RunFolder.open(made.path)
    assert run.config() == config
    about = run.about()
    assert (about.run, about.preset, about.seed, about.origins) == ("a.b-c_1", "p", 3, {"seed": "--set"})
    assert run.preset() == "p"
    status = run.status()
    assert status is not None
    assert (status.state, status.liveness(), status.iterations) == ("queued", "queued", 5000)
    for path in (run.checkpoints, run.distilled, run.snapshots, run.control_path):
        assert path.is_dir()
    assert list(run.path.rglob("*.part")) == []


def test_every_file_and_folder_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run = make_folder(tmp_path / "runs")
    finally:
        os.umask(before)
    for path in (tmp_path / "runs", run.path, *run.path.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_taken_name_is_refused_and_the_run_untouched(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match="already"):
        make_folder(tmp_path)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


def test_runs_without_a_name_never_collide(tmp_path: Path) -> None:
    runs = [RunFolder.create(tmp_path, None, Config(seed=1), preset="my preset!") for _ in range(3)]
    assert len({run.name for run in runs}) == 3
    assert all(run.name.startswith("my-preset-s1-20") for run in runs)
    assert RunFolder.create(tmp_path, None, Config()).name.startswith("digits-s0-20")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=0, max_size=30))
@example("..")
@example("../x")
@example("/etc")
@example("a/b")
@example(".hidden")
@example("-rf")
@example("a\n")
@example("a\0")
@example("x" * 101)
@example("é")
def test_no_name_reaches_outside(tmp_path: Path, name: str) -> None:
    safe = name.isascii() and all(c.isalnum() or c in "._-" for c in name)
    safe = safe and 0 < len(name) <= 100 and name[0].isalnum() and not name.endswith(".")
    if safe:
        assert check_name(name) == name
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        return
    with pytest.raises(ConfigError, match="allowed are"):
        RunFolder.create(tmp_path / "runs", name, Config())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_leaves_no_half_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if "status" in path.name:
            raise OSError(number, os.strerror(number))
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(RunFailed):
            make_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_opening_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no run folder"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(DataError, match="not a run folder"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("seed = [", ConfigError, "not valid TOML"),
        ("sed = 1", ConfigError, "config.toml: sed"),
        ('[information]\nweight = "x"', ConfigError, "information.weight"),
    ],
)
def test_a_changed_configuration_names_the_key(tmp_path: Path, text: str, error: type[Exception], match: str) -> None:
    run = make_folder(tmp_path)
    run.config_path.write_text(text)
    with pytest.raises(error, match=match):
        run.config()


def test_a_damaged_run_json_falls_back_on_the_configuration(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one", Config(seed=9), preset="p")
    run.about_path.write_text("{")
    assert (run.about().seed, run.about().preset) == (9, None)
    assert [folder.name for folder in list_runs(tmp_path)] == ["one"]


def dated(run: RunFolder, created: float) -> None:
    values = json.loads(run.about_path.read_text())
    run.about_path.write_text(json.dumps({**values, "created": created}))


def test_runs_are_listed_oldest_first_and_strangers_left_out(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    for name, created in (("b", 1.0), ("a", 3.0), ("c", 2.0)):
        dated(make_folder(tmp_path, name), created)
    (tmp_path / ".x.part").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("")
    assert [run.name for run in list_runs(tmp_path)] == ["b", "c", "a"]


def test_an_entry_that_cannot_be_looked_into_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path, "mine")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "odd").symlink_to("x" * 300)  # too long a name, for the superuser too
    theirs, stat = make_folder(tmp_path, "theirs"), Path.stat

    def refused(path: Path, **options: bool) -> os.stat_result:
        if theirs.path in path.parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    assert [run.name for run in list_runs(tmp_path)] == ["mine"]
    assert not theirs.exists
    with pytest.raises(DataError, match=r"cannot look at the run 'theirs' in .*: Permission denied"):
        find(tmp_path, "theirs")


def test_find_by_name_path_and_with_a_hint(tmp_path: Path) -> None:
    run = make_folder(tmp_path, "digits-a")
    assert find(tmp_path, "digits-a").path == run.path
    assert find(tmp_path / "elsewhere", str(run.path)).path == run.path
    with pytest.raises(DataError, match="did you mean digits-a"):
        find(tmp_path, "digits-b")
    with pytest.raises(DataError, match="did you mean digits-a"):
        find(tmp_path, "DIGITS-A")
    with pytest.raises(DataError, match=rf"did you mean {re.escape(str(tmp_path))}/digits-a\?"):
        find(tmp_path / "elsewhere", str(tmp_path / "digits-b"))
    with pytest.raises(DataError, match=r"no run folder '/nowhere/x'$"):
        find(tmp_path, "/nowhere/x")
    with pytest.raises(DataError, match="mim4dd runs"):
        find(tmp_path, "zzz")
    with pytest.raises(ConfigError, match="allowed"):
        find(tmp_path, "..")


def test_a_name_begun_brings_the_runs_that_begin_so_first(tmp_path: Path) -> None:
    for seed in range(4):
        for day in (1, 2):
            dated(make_folder(tmp_path, f"digits-ipc1-dream-s{seed}-2026112{day}-200000"), 10.0 * day + seed)
    make_folder(tmp_path, "digits-s0")
    newest, older = "digits-ipc1-dream-s0-20261122-200000", "digits-ipc1-dream-s0-20261121-200000"
    with pytest.raises(DataError, match=rf"did you mean {newest} or {older} or digits-"):
        find(tmp_path, "digits-ipc1-dream-s0")
    with pytest.raises(DataError, match=rf"; the only run that begins so is {newest}$"):
        find(tmp_path, "Digits-ipc1-dream-s0-20261122")
    with pytest.raises(DataError, match=rf"; the only run that begins so is {tmp_path}/{newest}$"):
        RunFolder.open(tmp_path / newest[:-3])


def test_the_latest_is_the_one_active_last(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mim4dd run PRESET"):
        find(tmp_path, LATEST)
    old, new = make_folder(tmp_path, "old"), make_folder(tmp_path, "new")
    dated(old, 1.0)
    with pytest.raises(DataError, match=r"no run in .* was started yet"):
        find(tmp_path, LATEST)
    StatusWriter(new.path, clock=lambda: 10.0).update(state="done")
    assert find(tmp_path, LATEST).name == "new", "the other was never started"
    StatusWriter(old.path, clock=lambda: 1e12).update(state="stopped")
    assert find(tmp_path, LATEST).name == "old"
    assert find(tmp_path, LATEST, states=("queued", "done")).name == "new"
    waiting = make_folder(tmp_path, "waiting")
    assert find(tmp_path, LATEST, states=("queued",)).name == waiting.name
    assert find(tmp_path, LATEST).name == "old"
    with pytest.raises(DataError, match=r"no run in .* is running or paused: `mim4dd runs --runs-dir /"):
        find(tmp_path, LATEST, states=("running", "paused"))


def test_execution_and_result_are_kept(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    with pytest.raises(DataError, match="mim4dd run"):
        run.execution()
    assert run.result() is None
    run.write_execution({"threads": 2})
    run.write_result({"state": "done"})
    assert (run.execution(), run.result()) == ({"threads": 2}, {"state": "done"})


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "snapshots/../../x", "link/x"])
def test_a_journal_cannot_point_outside_the_folder(tmp_path: Path, name: str) -> None:
    run = make_folder(tmp_path)
    (run.path / "link").symlink_to("/tmp")
    with pytest.raises(DataError, match="outside"):
        run.inside(name)
    inner = run.inside("snapshots/00000001.npy")
    assert inner == run.snapshot_path(1)
    assert run.relative(inner) == "snapshots/00000001.npy"
