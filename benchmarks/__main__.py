"""``python -m benchmarks``: the engine's speed beside a plain reference's."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import torch

from benchmarks import speed
from benchmarks.bench import Bench, only_errors


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=speed.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases: about a minute")
    parser.add_argument("--json", action="store_true", help="the whole report as one JSON document")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose name contains WORD")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where both sides compute")
    parser.add_argument("--minutes", type=float, default=math.inf,
                        help="begin no case but the first after this long; compiling counts")  # fmt: skip
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads of both sides; 0 takes OMP_NUM_THREADS, else all cores"
    )
    parser.add_argument("--data-dir", type=Path, default=None, help="where data sets are, to time their loading")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    told = print if not options.json else lambda text: print(text, file=sys.stderr, flush=True)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here")
    only_errors()
    bench = Bench(
        quick=options.quick,
        only=options.only,
        device=options.device,
        data_dir=options.data_dir,
        minutes=options.minutes,
    )
    report = speed.run(bench, told)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for text in speed.closing_lines(report):
            print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
