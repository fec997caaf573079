"""Where the time of compiled derivatives goes, by kind of kernel: ``python -m benchmarks.profile [--threads N]``.

Shares of the processor's time in one thread that issues the work, as torch's profiler tells them: convolutions and
matrix products are the library's, passes are the compiler's loops over activations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch._inductor.config
from torch.profiler import ProfilerActivity, profile

from engine import compilation, portions
from engine.config.schema import Network
from engine.networks import ConvNet

KINDS = (("convolutions", ("conv",)), ("matrix products", ("mm", "linear")), ("passes", ("cpp_fused",)))
NET = ConvNet(Network(width=128, depth=3), (3, 32, 32), 10)
REPEATS = 10


def cases() -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is profiled, by name."""
    draws = torch.Generator().manual_seed(0)
    parameters, direction = NET.init(draws), torch.randn(NET.size, generator=draws)
    second, first = compilation.second(NET, "float32", "cpu"), compilation.first(NET, "float32", "cpu")
    images, labels = torch.randn(10, *NET.shape, generator=draws), torch.arange(10)
    yield "a student step's second derivative, 10 images", partial(second, parameters, direction, images, labels)
    size = portions.portion(NET, 128, "cpu")
    images, labels = torch.randn(size, *NET.shape, generator=draws), torch.arange(size) % NET.classes
    yield f"a training step, batch 128, a portion of {size} images", partial(first, parameters, images, labels)


def shares(work: Callable[[], Any]) -> dict[str, float]:
    """The share of the time by kind of kernel; what is none of them is "the rest"."""
    work()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(REPEATS):
            work()
    spent = dict.fromkeys([*(kind for kind, _ in KINDS), "the rest"], 0.0)
    for event in found.key_averages():
        kind = next((kind for kind, words in KINDS if any(word in event.key for word in words)), "the rest")
        spent[kind] += event.self_cpu_time_total
    return {kind: time / sum(spent.values()) for kind, time in spent.items()}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch._inductor.config.cpp.enable_kernel_profile = True  # else the compiler's loops have no name
    for name, work in cases():
        print(name)
        for kind, share in sorted(shares(work).items(), key=lambda item: -item[1]):
            print(f"  {kind:<16} {share:4.0%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
