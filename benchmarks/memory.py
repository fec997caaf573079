"""Peak memory of one meta-gradient, measured in a process of its own.

python -m benchmarks.memory STEPS BATCH SIDE THREADS SHARE
"""

from __future__ import annotations

import sys
from pathlib import Path


def peak(*, reset: bool = False) -> float:
    """The process's peak memory so far in MiB (Linux); with ``reset``, from now on."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> int:
    """Prints the MiB by which the process's peak grew."""
    import torch

    from benchmarks.cases import Setting, kernels, warm

    steps, batch, side, threads = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(threads)
    own = None if side == "reference" else kernels(side, share=float(sys.argv[5]))

    def work(count: int) -> None:
        setting = Setting.made(count, batch, batch)
        if own is None:
            setting.theirs()
        else:
            setting.ours(own)

    if own is not None:
        warm(own, Setting.made(1, batch, batch))
    work(1)  # what libraries keep, and what compiling takes, is not the computation's
    before = peak(reset=True)
    work(steps)
    print(round(peak() - before, 1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
