"""The wheel: complete, free of tests, and working from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "mim4dd_tui", "presets")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the source tree, built without network by this environment's setuptools."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = target.glob("mim4dd-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are this environment's, through a path file."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        check=True,
    )
    # A plain line in a path file adds a folder without running the path files in it, so that an editable
    # installation of the source tree stays out.
    purelib.joinpath("dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(installed: Path, cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the fresh environment, in an empty folder, with no path into the source tree."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = [str(installed / "bin" / command[0]), *command[1:]]
    return subprocess.run(program, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_it_holds_every_module_preset_and_style_sheet_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml", ".tcss", ".typed")
    } | {f"{package}/py.typed" for package in ("engine", "mim4dd_tui")}
    assert names == wanted


def test_it_carries_licence_and_entry_point(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert texts["LICENSE"].startswith("MIT License")
    assert "License-Expression: MIT" in texts["METADATA"]
    assert "mim4dd = mim4dd_tui.__main__:main" in texts["entry_points.txt"]


def test_the_installed_command_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    version = run(installed, tmp_path, "mim4dd", "--version")
    assert version.returncode == 0, version.stderr
    from engine import __version__

    assert version.stdout == f"mim4dd {__version__}\n"
    presets = json.loads(run(installed, tmp_path, "mim4dd", "presets", "--json").stdout)
    assert {preset["name"] for preset in presets} == {
        path.stem for path in (ROOT / "presets").glob("*.toml") if not path.name.startswith("_")
    }
    assert all(Path(preset["path"]).is_relative_to(installed) for preset in presets)
    assert list(tmp_path.iterdir()) == []


def test_the_module_works_too(installed: Path, tmp_path: Path) -> None:
    listed = run(installed, tmp_path, "python", "-m", "mim4dd_tui", "presets")
    assert listed.returncode == 0, listed.stderr
    assert "digits-ipc1" in listed.stdout
    where = run(installed, tmp_path, "python", "-c", "import engine; print(engine.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed)
