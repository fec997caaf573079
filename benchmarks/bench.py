"""What a measurement is: a task with two sides, where and how long it is measured, and how it is timed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks import machine
from engine.compilation import narrow_arithmetic
from engine.execution import repeat_bits

Report = dict[str, Any]


@dataclass
class Case:
    """Two sides of one task; each call does the whole task once. ``precision`` is the engine's, empty where nothing is
    computed by networks; the reference's is float32."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object] | None
    floor: float | None = None
    facts: Report = field(default_factory=dict)
    precision: str = ""


def only_errors() -> None:
    """Has torch log errors alone: what else it has to say, as of a card that is not there where CUDA_HOME is set, would
    stand between the lines of the report. TORCH_LOGS in the environment brings it back."""
    torch._logging.set_logs(all=logging.ERROR)  # type: ignore[attr-defined]


@contextmanager
def convolving(precision: str, *, as_a_run: bool = False) -> Iterator[None]:
    """cuDNN's convolutions as a run has them (``execution.settle``): TF32 in mixed precision, never in float32.

    Args:
        as_a_run: sums on a card in their order too, which the reference does not ask for.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = precision == "mixed"
    repeat_bits(on_card=as_a_run)
    try:
        yield
    finally:
        repeat_bits(on_card=False)
        torch.backends.cudnn.allow_tf32 = before


class Bench:
    """What is measured, and on what.

    Args:
        quick: fewer and smaller cases.
        only: cases whose name contains this.
        device: "cpu" or "cuda".
        data_dir: where data sets are, to time their loading.
        minutes: no case is begun after this long, but for the first; compiling counts.

    Attributes:
        passed_over: names of cases that were not asked for.
    """

    def __init__(
        self,
        *,
        quick: bool = False,
        only: str = "",
        device: str = "cpu",
        data_dir: Path | None = None,
        minutes: float = math.inf,
    ) -> None:
        self.quick, self.only, self.device, self.data_dir = quick, only, device, data_dir
        self.passed_over: list[str] = []
        self.minutes, self._end = minutes, time.monotonic() + 60 * minutes
        narrow = narrow_arithmetic() if device == "cpu" else device
        self.narrow = bool(narrow)
        # Of experts and judging networks; avx512_bf16 alone makes them slower.
        self.precision = "mixed" if narrow in ("amx", device) else "float32"
        self.ceilings = machine.ceilings(device, narrow=self.narrow)

    def ceilings_of(self, precision: str) -> dict[str, float]:
        """The machine's ceilings, with the arithmetic of a precision's convolutions."""
        product = self.ceilings.get("gflops_bfloat16", self.ceilings["gflops"])
        return self.ceilings | ({"gflops": product} if precision == "mixed" else {})

    def wants(self, name: str) -> bool:
        """Whether a case is to be measured."""
        if self.only in name:
            return True
        self.passed_over.append(name)
        return False

    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._end

    def free(self) -> float:
        """Bytes of memory that are free on the device."""
        if self.device == "cpu":
            return float(psutil.virtual_memory().available)
        return float(torch.cuda.mem_get_info()[0])

    def timed(self, work: Callable[[], object], precision: str = "float32", *, ours: bool = False) -> float:
        """Seconds that a call takes, until the device is done; ``ours`` are computed as in a run."""
        self._wait()
        with convolving(precision, as_a_run=ours and self.device != "cpu"):
            began = time.perf_counter()
            work()
            self._wait()
            return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()
