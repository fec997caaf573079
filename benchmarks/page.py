"""Puts a report of ``python -m benchmarks --json`` into docs/performance.md: ``python -m benchmarks.page REPORT``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.marked import filled

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def rows(report: dict[str, Any]) -> Iterator[str]:
    """The tables, line by line."""
    machine = report["machine"]
    yield (
        f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, Python {machine['python']}; "
        f"a large matrix product runs at {machine['gflops']:.0f} GFLOP/s, copying memory at "
        f"{machine['gigabytes_per_second']:.0f} GB/s. Load of the machine in the minute before: {machine['load']:.1f}."
    )
    yield ""
    yield "| case | speed: the reference is 1 | times the floor | error: ours, reference | peak MiB: ours, reference |"
    yield "|---|---|---|---|---|"
    for name, case in report["cases"].items():
        title = titled(name, case) + _steps(case)
        yield f"| {title} | {_ratio(case)} | {_floor(case)} | {_errors(case)} | {_memory(case)} |"
    for what, why in report["left_out"].items():
        yield f"| {what} | left out: {why} | | | |"
    yield ""
    yield "Time and memory as the student takes more steps (eager; the reference keeps every step's graph):"
    yield ""
    yield "| student steps | images | seconds: ours, reference | peak MiB: ours, reference | of ours, parameters |"
    yield "|---|---|---|---|---|"
    for row in report["growth"]:
        seconds = row["seconds"]
        yield (
            f"| {row['student_steps']} | {row['batch']} | {seconds['ours']:.2f}, {seconds['reference']:.2f} "
            f"| {_memory(row)} | {row['parameter_vectors_mib']:.0f} |"
        )


def titled(name: str, found: Mapping[str, Any]) -> str:
    """A case's name, with its precision where that is mixed and the name does not say so."""
    return f"{name} (mixed)" if found.get("precision") == "mixed" and not name.endswith("/mixed") else name


def _steps(case: dict[str, Any]) -> str:
    if "student_steps" not in case:
        return ""
    kept = f", {case['steps_kept']} of them kept" if case.get("steps_kept") else ""
    return f" ({case['student_steps']} steps timed{kept})"


def _ratio(case: dict[str, Any]) -> str:
    ratio = case.get("ratio")
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})" if ratio else "–"


def _floor(case: dict[str, Any]) -> str:
    return f"{case['times_floor']:.1f}" if "times_floor" in case else "–"


def _errors(case: dict[str, Any]) -> str:
    if "relative_error" not in case:
        return "–"
    return f"{case['relative_error']:.0e}, {case['reference_relative_error']:.0e}"


def _memory(case: dict[str, Any]) -> str:
    found = case.get("peak_memory_mib")
    if not found:
        return "–"
    return ", ".join("?" if found[side] is None else f"{found[side]:.0f}" for side in ("ours", "reference"))


def main() -> int:
    """The command."""
    report = json.loads(Path(sys.argv[1]).read_text())
    PAGE.write_text(filled(PAGE.read_text(), "figures", "\n".join(rows(report))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
