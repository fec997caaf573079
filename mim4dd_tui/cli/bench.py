"""``bench``: the engine's speed on this machine, beside a plain reference's."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from mim4dd_tui.cli.failures import UsageError, require_torch
from mim4dd_tui.cli.options import DataDir, Json, data_dir_of
from mim4dd_tui.cli.output import say, write_json
from mim4dd_tui.plain import tell


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and smaller cases: a minute, the first time five.")
    ] = False,
    only: Annotated[str, typer.Option("--only", metavar="WORD", help="Only cases whose name contains WORD.")] = "",
    device: Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="Where both sides compute.")] = "cpu",
    threads: Annotated[
        int,
        typer.Option("--threads", metavar="N", min=0, help="CPU threads; 0 takes OMP_NUM_THREADS, else all cores."),
    ] = 0,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            metavar="M",
            min=0.0,
            help="Begin no case but the first after this long; compiling counts.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> int:
    """Measure the engine beside plain reference code: speed, error and memory.

    Both compute the same in turn in one process; what is printed are ratios. A first time compiles for some minutes.
    """
    if device not in ("cpu", "cuda"):
        raise UsageError(f"--device is {device}; it can be cpu or cuda")
    require_torch()
    import torch

    from benchmarks import speed
    from benchmarks.bench import Bench, only_errors

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no CUDA device here (see mim4dd doctor)")
    if threads:
        torch.set_num_threads(threads)
    only_errors()
    found = Bench(
        quick=quick, only=only, device=device, data_dir=data_dir_of(data_dir),
        minutes=math.inf if minutes is None else minutes,
    )  # fmt: skip
    report = speed.run(found, tell if as_json else say)
    if only and not (report["cases"] or report["growth"] or report["left_out"] or found.late()):
        names = ", ".join(dict.fromkeys(found.passed_over))
        raise UsageError(f"--only {only}: no case's name contains that; there are {names}")
    if as_json:
        write_json(report)
        return 0
    for text in speed.closing_lines(report):
        say(text)
    return 0
