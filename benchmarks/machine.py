"""What the machine can do, measured: the ceilings that the engine's times are held against."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from engine.compilation import narrow_arithmetic
from engine.networks import ConvNet
from engine.processor import processor


def best(work: Callable[[], object], repeats: int = 8, device: str = "cpu") -> float:
    """The least seconds of several calls, after one that is not counted."""

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    work()
    times = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - began)
    return min(times)


def ceilings(device: str = "cpu", *, narrow: bool = False) -> dict[str, float]:
    """Arithmetic of a matrix product in float32, with ``narrow`` in bfloat16 too (GFLOP/s), and copying of memory
    (GB/s, read and written)."""
    source = torch.randn(2**25, device=device)
    target = torch.empty_like(source)
    return {
        "gflops": _product(device, torch.float32),
        **({"gflops_bfloat16": _product(device, torch.bfloat16)} if narrow else {}),
        "gigabytes_per_second": round(2 * 4 * 2**25 / best(lambda: target.copy_(source), device=device) / 1e9, 1),
    }


def _product(device: str, kind: torch.dtype) -> float:
    """GFLOP/s of a large matrix product."""
    a, b = (torch.randn(1536, 1536, device=device).to(kind) for _ in range(2))
    return round(2 * 1536**3 / best(lambda: a @ b, device=device) / 1e9, 1)


def describe(device: str = "cpu") -> dict[str, Any]:
    """The machine, what it was busy with in the minute before, and the versions: for the head of a table."""
    return {
        "processor": processor() if device == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "bfloat16": narrow_arithmetic() or None,
        "load": os.getloadavg()[0],
    }


@dataclass(frozen=True)
class Work:
    """Counted work of one image: FLOPs of the convolutions (two operations a multiplication), and the bytes that they
    read as input and write as output in float32, each once."""

    flops: float
    bytes: float

    def floor(self, images: int, ceilings: dict[str, float]) -> float:
        """Seconds that ``images`` images take at least: arithmetic and memory, whichever needs longer."""
        by_arithmetic = self.flops / (ceilings["gflops"] * 1e9)
        return images * max(by_arithmetic, self.bytes / (ceilings["gigabytes_per_second"] * 1e9))


def student_step(net: ConvNet, *, kept: bool = False) -> Work:
    """A student step and its adjoint, as the engine computes them.

    Step: a convolution forward, one by kernel, one by input (not in the first block). Adjoint: three forward, three by
    input and two by kernel; in the first block, whose input does not turn with the parameters, two, two and one. One
    forward and, but for the first block, one by input less where the step's activations were kept.
    """
    return _counted(net, first=2 + 4, others=3 + 6) if kept else _counted(net, first=2 + 5, others=3 + 8)


def training_step(net: ConvNet) -> Work:
    """An ordinary training step."""
    return _counted(net, first=2, others=3)


def _counted(net: ConvNet, first: int, others: int) -> Work:
    flops = moved = 0.0
    width, channels, side = net.network.width, net.shape[0], net.shape[1] + 2 * (net.first_padding - 1)
    for block in range(net.network.depth):
        times = first if block == 0 else others
        flops += times * 2.0 * 9 * channels * width * side * side
        moved += times * 4.0 * (channels + width) * side * side
        channels, side = width, side // (1 if net.network.pooling == "none" else 2)
    return Work(flops, moved)
