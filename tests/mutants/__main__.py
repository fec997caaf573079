"""``make mutants``: plant every fault of ``faults.py`` in a copy of the source and run the test that must fail.

Exit code 0 if every fault is caught, 1 if one survives or cannot be planted, or a test fails without a fault.
``make mutants ARGS="adjoint"`` runs only the faults whose name contains the word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("engine", "mim4dd_tui", "presets", "tests")
FAILED_TESTS = 1
"""pytest's exit code for "tests ran and some failed"; anything else is not a caught fault."""


def copy(into: Path) -> None:
    """The source tree, without what it has built."""
    for name in COPIED:
        shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "Makefile"):
        shutil.copy(ROOT / name, into / name)


def run_tests(tree: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests on a tree, with nothing of the original importable before it."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "long or not long",
        *tests,
    ]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=600, check=False)


def plant(fault: Fault, tree: Path) -> str | None:
    """Plant a fault; the reason where it cannot be."""
    path = tree / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        return f"{fault.file} contains the original {text.count(fault.old)} times, not once"
    path.write_text(text.replace(fault.old, fault.new))
    return None


def verdict(fault: Fault) -> str | None:
    """None if the fault is caught, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        copy(tree)
        problem = plant(fault, tree)
        if problem is not None:
            return problem
        result = run_tests(tree, [fault.test])
        if result.returncode == FAILED_TESTS:
            return None
        tail = "\n".join(result.stdout.strip().splitlines()[-5:])
        return f"survived {fault.test} (pytest exit {result.returncode}):\n{tail}"


def main(words: list[str]) -> int:
    """Run the faults whose name contains one of the words (all where none is given)."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    healthy = run_tests(ROOT, sorted({fault.test for fault in chosen}))
    if healthy.returncode != 0:
        print(healthy.stdout[-3000:])
        print("the named tests fail without any fault")
        return 1
    survivors = 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        for fault, problem in zip(chosen, pool.map(verdict, chosen), strict=True):
            survivors += problem is not None
            print(f"{'caught  ' if problem is None else 'SURVIVED'}  {fault.name}", flush=True)
            if problem is not None:
                print("    " + problem.replace("\n", "\n    "), flush=True)
    print(f"{len(chosen) - survivors} passed, {survivors} failed")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
