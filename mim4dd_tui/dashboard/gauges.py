"""How busy this machine is: processor and memory of host and process, and of NVIDIA's GPUs where their library is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import psutil


@dataclass(frozen=True)
class Gpu:
    """One GPU: share of time it was busy (0..1; None where it does not tell), bytes of memory used and there."""

    busy: float | None
    used: int
    total: int


@dataclass(frozen=True)
class Sample:
    """The machine at one moment.

    Attributes:
        cpu: share of all processors' time since the sample before, 0..1; None in the first.
        used, total: bytes of main memory.
        process_memory: resident bytes of the process; None where there is no such process.
        process_cpu: processors' worth of time it took since the sample before (2.0 for two whole ones); None in the
            first sample of a process.
        gpus: the GPUs in their order.
    """

    cpu: float | None
    used: int
    total: int
    process_memory: int | None = None
    process_cpu: float | None = None
    gpus: tuple[Gpu, ...] = ()


class Source(Protocol):
    """Where samples come from. Called on a thread, one call at a time."""

    def sample(self, pid: int | None) -> Sample:
        """The machine now, with the process ``pid`` where there is one."""
        ...


class Machine:
    """This machine. Shares of time are measured from one sample to the next: the first sample has none."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self._process: psutil.Process | None = None
        self._nvml: ModuleType | None = None
        self._looked = False

    def sample(self, pid: int | None) -> Sample:
        """The machine now."""
        memory = psutil.virtual_memory()
        now, before = _times(), self._before
        passed = now[1] - before[1] if before is not None else 0.0
        cpu = min(1.0, (now[0] - before[0]) / passed) if before is not None and passed > 0 else None
        self._before = now
        used = memory.total - memory.available
        return Sample(cpu, used, memory.total, *self._of_process(pid), self._gpus())

    def _of_process(self, pid: int | None) -> tuple[int | None, float | None]:
        try:
            if pid is None:
                return None, None
            known = self._process is not None and self._process.pid == pid
            process = self._process if known and self._process is not None else psutil.Process(pid)
            self._process = process
            share = process.cpu_percent(None) / 100
            return int(process.memory_info().rss), share if known else None
        except psutil.Error:  # it is gone, or somebody else's
            self._process = None
            return None, None

    def _gpus(self) -> tuple[Gpu, ...]:
        if not self._looked:
            self._looked = True
            self._nvml = _nvml()
        if self._nvml is None:
            return ()
        found = []
        with suppress(self._nvml.NVMLError):
            for index in range(self._nvml.nvmlDeviceGetCount()):
                found.append(_gpu(self._nvml, self._nvml.nvmlDeviceGetHandleByIndex(index)))
        return tuple(found)


def _times() -> tuple[float, float]:
    """Seconds that all processors were busy, and all seconds. psutil's own share is one thread's: it counts from that
    thread's last call, and samples are taken on many."""
    times = psutil.cpu_times()._asdict()
    whole = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))  # user time has those
    return whole - times["idle"] - times.get("iowait", 0.0), whole


def _nvml() -> ModuleType | None:
    """NVIDIA's library, ready for use; None without it (extra ``gauges``), without a driver, or without a GPU."""
    try:
        import pynvml
    except ImportError:
        return None
    library: ModuleType = pynvml
    try:
        library.nvmlInit()
    except library.NVMLError:
        return None
    return library


def _gpu(nvml: ModuleType, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    busy: float | None = None
    with suppress(nvml.NVMLError):  # parts of a divided GPU do not tell
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    return Gpu(busy, int(memory.used), int(memory.total))
