"""Who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERFACE = {"textual", "rich", "typer", "mim4dd_tui", "click"}

LIGHT = (
    "engine", "engine.config", "engine.events", "engine.errors", "engine.doctor", "engine.data.sources",
    "engine.evaluation.protocols",
)  # fmt: skip
"""Modules that import no torch, besides all of ``engine.config`` and ``engine.runs`` but the checkpoints."""


def modules(folder: Path) -> list[str]:
    """Dotted names of all modules under a folder of the source tree."""
    names = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def child(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python program in a fresh process, in the source tree."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_the_engine_runs_without_any_interface_library() -> None:
    program = (
        "import importlib, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in names:\n"
        "            raise ModuleNotFoundError(name)\n"
        "names = set(sys.argv[1].split())\n"
        "sys.meta_path.insert(0, Absent())\n"
        "for module in sys.argv[2:]:\n"
        "    importlib.import_module(module)\n"
    )
    done = child(program, " ".join(INTERFACE), *modules(ROOT / "engine"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "engine").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_engine_file_names_an_interface_library(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert not imported & INTERFACE


def test_light_modules_import_no_torch() -> None:
    listed = [*modules(ROOT / "engine" / "config"), *modules(ROOT / "engine" / "runs")]
    light = [*LIGHT, *(name for name in listed if name != "engine.runs.checkpoint")]
    program = (
        "import importlib, sys\n"
        "for module in sys.argv[1:]:\n"
        "    importlib.import_module(module)\n"
        "    assert 'torch' not in sys.modules, module\n"
    )
    done = child(program, *light)
    assert done.returncode == 0, done.stderr


def test_the_dashboard_opens_before_torch_is_loaded() -> None:
    program = "import sys, mim4dd_tui.dashboard; assert 'torch' not in sys.modules"
    done = child(program)
    assert done.returncode == 0, done.stderr


def test_the_public_surface_is_what_it_says() -> None:
    import engine

    for name in engine.__all__:
        assert getattr(engine, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = engine.no_such_name
