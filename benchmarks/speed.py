"""The engine's speed beside a plain reference's (``benchmarks.reference``): one command, anybody's machine.

    python -m benchmarks [--quick] [--json] [--only WORD] [--device cuda] [--minutes M] [--threads N] [--data-dir DIR]

Both sides of a case are called in turn within one process, with the same threads; a ratio is the reference's time over
the engine's of the same turn, so that a machine's other work falls on both. Peak memory is that of a process of its own
for each side. Errors are against the same computation in float64.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from benchmarks import machine
from benchmarks.bench import Bench, Case, Report
from benchmarks.cases import GRADIENTS, NET, Setting, all_cases, kernels, precision_of
from benchmarks.page import titled


def measure(case: Case, bench: Bench) -> Report:
    """Call both sides in turn, once uncounted, then until the time is up (three times at least)."""
    bench.timed(case.ours, case.precision, ours=True)
    ours: list[float] = []
    ratios: list[float] = []
    if case.theirs is not None:
        bench.timed(case.theirs)
    end = time.perf_counter() + (3.0 if bench.quick else 20.0)
    while len(ours) < 3 or time.perf_counter() < end:
        ours.append(bench.timed(case.ours, case.precision, ours=True))
        if case.theirs is not None:
            ratios.append(bench.timed(case.theirs) / ours[-1])
    report: Report = {"seconds": spread(ours), "turns": len(ours)}
    if ratios:
        report["ratio"] = spread(ratios)
    if case.floor is not None:
        report["times_floor"] = statistics.median(ours) / case.floor
    if case.precision:
        report["precision"] = case.precision
    return report | case.facts


def spread(values: list[float]) -> dict[str, float]:
    """Least, middle and largest."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def memory(steps: int, batch: int, side: str, bench: Bench, share: float = 1.0) -> float | None:
    """Peak MiB that one meta-gradient takes, the set-up apart; None where it cannot be told. ``share`` as in
    :func:`benchmarks.cases.kernels`."""
    if bench.device != "cpu":
        return memory_on_card(steps, batch, side, bench, share)
    sizes = [str(steps), str(batch), side, str(torch.get_num_threads()), str(share)]
    command = [sys.executable, "-m", "benchmarks.memory", *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def memory_on_card(steps: int, batch: int, side: str, bench: Bench, share: float = 1.0) -> float:
    """Peak MiB that torch holds of the card for one meta-gradient: what CUDA graphs keep is theirs from the capture on,
    and not counted as allocated. So what earlier cases captured is given back first, and this one captures anew."""
    setting = Setting.made(steps, batch, batch, device=bench.device)
    own = None if side == "reference" else kernels(side, bench.device, share)
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    bench.timed(setting.theirs if own is None else partial(setting.ours, own), precision_of(side), ours=own is not None)
    return (torch.cuda.max_memory_reserved() - before) / 2**20


def growth(bench: Bench) -> list[Report]:
    """Time and memory as student steps and batch grow: flat in the steps but for theta_0..theta_N."""
    sizes = [(2, 10), (8, 10)] if bench.quick else [(5, 10), (20, 10), (50, 10), (5, 50), (5, 100)]
    rows = []
    for steps, batch in sizes:
        setting, own = Setting.made(steps, batch, batch, device=bench.device), kernels("eager", bench.device)
        sides: dict[str, Callable[[], object]] = {"ours": partial(setting.ours, own), "reference": setting.theirs}
        kinds = {"ours": "eager", "reference": "reference"}
        rows.append(
            {
                "student_steps": steps,
                "batch": batch,
                "seconds": {
                    side: min(bench.timed(work, ours=side == "ours") for _ in range(3)) for side, work in sides.items()
                },
                "peak_memory_mib": {side: memory(steps, batch, kind, bench) for side, kind in kinds.items()},
                "parameter_vectors_mib": (steps + 1) * NET.size * 4 / 2**20,
            }
        )
    return rows


def run(bench: Bench, told: Callable[[str], None] = lambda _: None) -> Report:
    """All cases wanted, the first also where compiling it has taken all the time; ``told`` hears a line of each.

    Returns:
        "cases" by name, "growth", "machine", and "left_out" with the reason.
    """
    report: Report = {"machine": machine.describe(bench.device) | bench.ceilings, "cases": {}, "left_out": {}}
    threads = report["machine"]["threads"]
    told(f"{report['machine']['processor']}, {threads} thread{'' if threads == 1 else 's'}, torch {torch.__version__}")
    told("a case is told once measured; compiling one for the first time takes minutes")
    if not bench.narrow and any(bench.wants(f"meta_gradient/{size}/mixed") for size in GRADIENTS):
        report["left_out"]["mixed"] = "this processor has neither AMX nor avx512_bf16: bfloat16 would be slower"
    for case in all_cases(bench):
        if report["cases"] and bench.late():  # a first time may compile for longer: one is measured all the same
            report["left_out"]["from " + case.name] = _late(bench)
            break
        found = measure(case, bench)
        group, _, rest = case.name.partition("/")
        if group == "meta_gradient" and not case.name.endswith("/eager"):
            size, _, kind = rest.partition("/")
            steps, batch = int(found["student_steps"]), GRADIENTS[size][1]
            share = steps / GRADIENTS[size][0]
            kinds = {"ours": kind, "reference": "reference"}
            found["peak_memory_mib"] = {side: memory(steps, batch, each, bench, share) for side, each in kinds.items()}
        if case.name == "experts/epoch":
            found["minutes_for_100_experts_of_50_epochs"] = whole_buffer(found)
        report["cases"][case.name] = found
        told(line(case.name, found))
    wanted = bench.wants("growth")
    report["growth"] = growth(bench) if wanted and not bench.late() else []
    if wanted and bench.late() and not report["growth"]:
        report["left_out"]["growth"] = _late(bench)
    return report


def _late(bench: Bench) -> str:
    return f"the time was up ({bench.minutes:g} minute{'' if bench.minutes == 1 else 's'})"


def whole_buffer(found: Mapping[str, Any]) -> float:
    """Minutes that a hundred experts of fifty epochs on CIFAR-10's 50,000 images take at the measured speed, without
    augmentation and the tests between epochs."""
    each = found["seconds"]["median"] / (found["networks"] * found["epochs"] * found["images"])
    return float(100 * 50 * 50_000 * each / 60)


def closing_lines(report: Report) -> Iterator[str]:
    """What follows the cases: memory as the student takes more steps, and what was left out."""
    for row in report["growth"]:
        ours, theirs = (row["peak_memory_mib"][side] for side in ("ours", "reference"))
        yield (
            f"{row['student_steps']:3d} student steps of {row['batch']:3d} images: peak memory {_mebibytes(ours)}, "
            f"reference {_mebibytes(theirs)}"
        )
    for what, why in report["left_out"].items():
        yield f"left out: {what}: {why}"


def _mebibytes(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} MiB"


def line(name: str, found: Mapping[str, Any]) -> str:
    """A case in one line."""
    text = f"{titled(name, found):28s}"
    if "ratio" in found:
        ratio = found["ratio"]
        text += f" {ratio['median']:5.2f}x the reference ({ratio['min']:.2f} to {ratio['max']:.2f})"
    if "times_floor" in found:
        text += f"  {found['times_floor']:.1f} times the floor"
    if "relative_error" in found:
        text += f"  error {found['relative_error']:.1e} (reference {found['reference_relative_error']:.1e})"
    return text
