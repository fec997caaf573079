"""The Makefile: its targets, and what it says on a machine without a fitting Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``make ARGUMENTS`` in a folder."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=clean | env, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_every_target() -> None:
    done = make(cwd=ROOT)
    assert done.returncode == 0
    for target in ("install", "demo", "test", "test-all", "lint", "mutants", "clean"):
        assert f"make {target} " in done.stdout


def test_no_fitting_python_is_a_clear_message_and_leaves_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = make("test", "PYTHON=/no/such/python", cwd=tmp_path)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_on_the_path_is_found(tmp_path: Path) -> None:
    """An old ``python3`` is passed over for a newer interpreter beside it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "awk", "env"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    for name, code in (("python3", 1), ("python3.12", 0)):
        script = tools / name
        script.write_text(f"#!/bin/sh\nexit {code}\n")
        script.chmod(0o755)
    make_path = shutil.which("make")
    assert make_path is not None
    done = subprocess.run(
        [make_path, "--dry-run", "install"],
        cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert '"python3.12" -m venv .venv' in done.stdout


def test_an_environment_made_by_hand_is_taken_over(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> calls\n')
    python.chmod(0o755)
    assert make("install", cwd=tmp_path).returncode == 0
    assert make("install", cwd=tmp_path).returncode == 0  # nothing to do the second time
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].endswith("-e .[dev]")


def test_no_source_file_is_ignored_by_git(tmp_path: Path) -> None:
    """A pattern meant for what runs leave behind must not swallow a package of the same name."""
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    sources = [
        str(path.relative_to(ROOT))
        for folder in ("engine", "mim4dd_tui", "presets", "tests", "docs", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", ".hypothesis"} & set(path.parts)
    ]
    done = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "--stdin"],
        input="\n".join(sources), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout  # git's code for "none is ignored"
    assert done.stdout == ""
