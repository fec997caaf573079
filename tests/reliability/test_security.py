"""Nothing unverified is executed, names reach nowhere else, and what a run keeps is its user's alone."""

from __future__ import annotations

import ast
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import files
from engine.artifact import load_artifact
from engine.config import presets
from engine.config.load import dump, resolve, save_user_preset
from engine.config.schema import Config
from engine.errors import ConfigError, DataError, MimError
from engine.export import export
from engine.runs import control
from engine.runs.finding import find
from engine.runs.folder import RunFolder
from tests.artifact.helpers import distilled
from tests.distill.helpers import Place, quickly, tiny

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for room in ("engine", "mim4dd_tui", "presets", "benchmarks") for path in (ROOT / room).rglob("*.py")
)

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"yaml", "marshal", "dill", "cloudpickle", "joblib", "shelve"}
FORBIDDEN_ATTRIBUTES = {("os", "system"), ("os", "popen"), ("torch.hub", "load")}
FORBIDDEN_METHODS = {"extractall", "extract", "unpack_archive"}
"""Archives are read member by member; no path in one is ever written to."""

UNPICKLES = {"engine/data/cifar.py": 1}
"""Files that unpickle, and how often: the published CIFAR batches, after the checksum of the very bytes matched."""


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def keyword(call: ast.Call, name: str) -> object:
    """The value of a keyword that is written as a constant; None where it is not given."""
    return next((k.value.value for k in call.keywords if k.arg == name and isinstance(k.value, ast.Constant)), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_source_runs_what_it_reads(path: Path) -> None:
    unpickled = 0
    for call in calls(path):
        name = ast.unparse(call.func)
        where = f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)[:120]}"
        owner, _, attribute = name.rpartition(".")
        assert name not in FORBIDDEN_CALLS, where
        assert (owner, attribute) not in FORBIDDEN_ATTRIBUTES, where
        assert attribute not in FORBIDDEN_METHODS, where
        assert keyword(call, "shell") is not True, where
        if name == "torch.load":
            assert keyword(call, "weights_only") is True, where
        if attribute == "load" and owner in ("np", "numpy"):
            assert keyword(call, "allow_pickle") is False, where
        if owner in ("pickle", "cPickle", "_pickle") and attribute in ("load", "loads", "Unpickler"):
            unpickled += 1
    assert unpickled == UNPICKLES.get(str(path.relative_to(ROOT)), 0)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN_MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in FORBIDDEN_MODULES
            assert not (node.module == "pickle" and {a.name for a in node.names} & {"load", "loads", "Unpickler"})


def test_the_scan_sees_what_it_forbids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (
        "eval('1')", "torch.load(p)", "torch.load(p, weights_only=False)", "import yaml",
        "subprocess.run(x, shell=True)",
        "pickle.loads(b)", "np.load(p, allow_pickle=True)", "np.load(p)", "os.system('x')", "from pickle import loads",
        "tar.extractall(path)",
    ):  # fmt: skip
        probe = tmp_path / "probe.py"
        probe.write_text(text)
        monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
        with pytest.raises(AssertionError):
            test_no_source_runs_what_it_reads(probe)


# -- names --------------------------------------------------------------------------------------------------

NASTY = [
    "", ".", "..", "../x", "../../etc/passwd", "/etc/passwd", "a/../../b", "a/b", "a\\b", "..\\x", "a\0b", "a\nb",
    "-rf",
    ".hidden", "~", "~root/x", "$HOME", "`id`", "x" * 300, "é", "\udcff", "a b", "*", "\x1b[31m",
]  # fmt: skip


def everything_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_no_name_of_a_run_or_preset_reaches_outside(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    before = everything_under(tmp_path)
    with pytest.raises(ConfigError):
        RunFolder.create(tmp_path / "runs", name, Config())
    with pytest.raises(ConfigError):
        save_user_preset(name, Config())
    with pytest.raises(ConfigError):
        presets.find(name)
    with pytest.raises(ConfigError):
        resolve(name)
    with pytest.raises(MimError):
        find(tmp_path / "runs", name)
    assert everything_under(tmp_path) == before


def test_an_extended_name_reaches_no_other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "secret.toml").write_text("seed = 7\n")
    for name in ("../secret", str(tmp_path / "secret"), "../../secret", "secret\0", ".", ".."):
        path = tmp_path / "mine.toml"
        path.write_text(
            f"extends = {ascii(name) if chr(0) not in name else chr(34) + 'secret' + chr(92) + 'u0000' + chr(34)}\n"
        )
        with pytest.raises(ConfigError, match="extends"):
            resolve(str(path))


def test_a_run_name_that_is_a_link_is_never_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "taken").symlink_to(outside)
    (runs / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("taken", "dangling"):
        with pytest.raises(ConfigError, match="already"):
            RunFolder.create(runs, name, Config())
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for write in (
        lambda path: files.write_bytes(path, b"new"),
        lambda path: files.write_json(path, {}),
        lambda path: files.write_npy(path, np.zeros(3)),
        lambda path: distilled().save(path),
        lambda path: export(distilled(), path, "npz"),
        lambda path: export(distilled(), path, "png"),
        lambda path: export(distilled(), path, "pt"),
    ):
        link = tmp_path / "link"
        link.symlink_to(victim)
        write(link)
        assert victim.read_text() == "precious"
        assert not link.is_symlink()
        link.unlink()


def test_names_in_a_foreign_artifact_stay_inside_the_export(tmp_path: Path) -> None:
    """Its classes are called "dog/../x" and worse; the folder holds one subfolder each, and nothing lies beside it."""
    for bad in ("../../up", "/abs", "..", "nul\0", "x" * 400):
        item = replace(distilled(), class_names=("cat", bad, "ok"))
        target = tmp_path / "out" / "set"
        export(item, target, "folder")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]
        assert len([path for path in target.iterdir() if path.is_dir()]) == 3
        for path in target.rglob("*"):
            assert path.resolve().is_relative_to(target.resolve())
            path.unlink() if path.is_file() else None
        for folder in target.iterdir():
            folder.rmdir()
        target.rmdir()


@pytest.mark.parametrize("path", ["a" * 5000, "a/" * 3000, "x\0y/z", "./" + "b" * 300])
def test_paths_no_system_takes_are_refused_in_words(path: str, tmp_path: Path) -> None:
    with pytest.raises(MimError):
        find(tmp_path, path)
    with pytest.raises(MimError):
        load_artifact(Path(path))


def test_a_request_only_ever_removes_its_own_file(tmp_path: Path) -> None:
    outside = tmp_path / "victim"
    outside.write_text("precious")
    folder = tmp_path / "control"
    control.post(folder, "pause")
    (folder / f"1-2-{'a' * 16}.stop").symlink_to(outside)
    (folder / f"1-3-{'a' * 16}.stop").mkdir()
    listened = control.Control()
    listened.watch(folder)
    listened.take("checkpoint")
    assert listened.stopping
    assert outside.read_text() == "precious"


# -- privacy ------------------------------------------------------------------------------------------------


def test_after_a_whole_run_everything_is_private(tmp_path: Path) -> None:
    """Folders 0700 and files 0600, whatever the umask: the run's, its control folder, and the cache's experts."""
    place, before = Place(tmp_path / "new"), os.umask(0)
    try:
        with quickly(2):
            place.start(tiny(objective__iterations=1, evaluation__random_draws=0, evaluation__networks=1))
        control.post(place.folder / "control", "stop")
    finally:
        os.umask(before)
    looked = [place.runs, *place.runs.rglob("*")]
    assert any(path.name == "control" for path in looked)
    for path in looked:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} has mode {mode:o}"


def test_a_folder_of_somebody_elses_run_is_read_and_not_obeyed(tmp_path: Path) -> None:
    """A journal that names files outside: the reader refuses to follow."""
    run = RunFolder.create(tmp_path, "one", Config())
    for name in ("../../../etc/passwd", "/etc/passwd", "snapshots/../../x"):
        with pytest.raises(DataError, match="outside"):
            run.inside(name)
    (run.path / "snapshots" / "link").symlink_to("/etc")
    with pytest.raises(DataError, match="outside"):
        run.inside("snapshots/link/passwd")
    assert dump(run.config())
