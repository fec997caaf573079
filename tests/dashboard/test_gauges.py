"""The machine's gauges: what is sampled, where it is shown, and how seldom."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from mim4dd_tui.dashboard.gauges import Gpu, Machine, Sample
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets import gauges as widget
from mim4dd_tui.dashboard.widgets.gauges import GaugesLine
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until

GIB = 2**30


@dataclass
class Scripted:
    """Samples made up, counted."""

    gpus: tuple[Gpu, ...] = ()
    cpu: float | None = 0.37
    asked: list[int | None] = field(default_factory=list)

    def sample(self, pid: int | None) -> Sample:
        self.asked.append(pid)
        return Sample(self.cpu, 5 * GIB, 32 * GIB, GIB, 1.8, self.gpus)


def test_this_machine_is_sampled() -> None:
    machine = Machine()
    first = machine.sample(os.getpid())
    assert first.process_memory is not None
    assert (first.cpu, first.process_cpu) == (None, None), "nothing was measured yet"
    sum(range(2_000_000))
    found = machine.sample(os.getpid())
    assert found.cpu is not None
    assert 0 <= found.cpu <= 1
    assert 0 < found.used < found.total
    assert found.process_cpu is not None
    assert found.process_cpu > 0
    assert found.process_memory is not None
    assert found.process_memory > 10**7


def test_samples_taken_on_different_threads_are_of_one_time() -> None:
    machine, taken = Machine(), []
    for _ in range(2):
        thread = threading.Thread(target=lambda: taken.append(machine.sample(None)))
        thread.start()
        thread.join()
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            sum(range(10_000))
    last = machine.sample(None)
    assert taken[1].cpu is not None
    assert last.cpu is not None
    assert min(taken[1].cpu, last.cpu) > 0.5 / (os.cpu_count() or 1), "one processor was busy all the time"


def test_a_process_that_is_gone_has_no_numbers() -> None:
    machine = Machine()
    found = machine.sample(2**22 - 3)
    assert (found.process_cpu, found.process_memory) == (None, None)
    assert machine.sample(None).process_memory is None


class FakeNvml(ModuleType):
    """NVIDIA's library as far as it is used, for machines that have none."""

    class NVMLError(Exception):
        pass

    def __init__(self, devices: list[tuple[int | None, int, int]], *, driver: bool = True) -> None:
        super().__init__("pynvml")
        self.devices, self.driver = devices, driver

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("driver not loaded")

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, index: int) -> Any:
        return SimpleNamespace(used=self.devices[index][1], total=self.devices[index][2])

    def nvmlDeviceGetUtilizationRates(self, index: int) -> Any:
        busy = self.devices[index][0]
        if busy is None:
            raise self.NVMLError("not supported")
        return SimpleNamespace(gpu=busy)


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        (
            FakeNvml([(63, 5 * GIB, 80 * GIB), (None, GIB, 10 * GIB)]),
            (Gpu(0.63, 5 * GIB, 80 * GIB), Gpu(None, GIB, 10 * GIB)),
        ),
        (FakeNvml([], driver=False), ()),
        (None, ()),
    ],
)
def test_gpus_are_read_where_the_library_and_the_driver_are(
    monkeypatch: pytest.MonkeyPatch, library: ModuleType | None, expected: tuple[Gpu, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)  # None: cannot be imported
    assert Machine().sample(None).gpus == expected


@pytest.mark.parametrize("size", SIZES)
async def test_gauges_are_shown_where_there_is_room(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(widget, "SECONDS", {False: 0.05, True: 0.05})
    source = Scripted((Gpu(0.63, 5 * GIB, 80 * GIB),))
    app = make_app(FakeEngine(iterations=30, hold=True), gauges=source)
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
        line = app.screen.query_one(GaugesLine)
        assert line.display is (size[1] >= 28)
        await pilot.press("4")
        await until(pilot, lambda: line.display is (size[0] >= 76))
        if size[0] < 76:
            await pilot.pause(0.3)
            assert not source.asked, "sampled without being seen"
            return
        await until(pilot, lambda: len(source.asked) > 3)
        for words in ("cpu ", "37 %", "memory 5.0/32.0 GiB", "GPU ", "63 %, 5.0/80.0 GiB"):
            assert words in text(app)
        assert ("run 1.0 GiB, 1.8 cpus" in text(app)) is (size[0] >= 100)
        assert "▃▃" in text(app) or size[0] < 100
        assert set(source.asked) == {os.getpid()}
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped" and not line.display)
        count = len(source.asked)
        await pilot.pause(0.3)
        assert len(source.asked) == count, "sampled after the run's end"


async def test_without_a_reading_there_is_no_share_of_the_processor(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "SECONDS", {False: 0.05, True: 0.05})
    source = Scripted((Gpu(0.63, 5 * GIB, 80 * GIB),), cpu=None)
    app = make_app(FakeEngine(iterations=30, hold=True), gauges=source)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s", "4")
        await until(pilot, lambda: "GPU  63 %, 5.0/80.0 GiB   memory 5.0/32.0 GiB" in text(app))
        assert "cpu " not in app.screen.query_one(GaugesLine).render_line(0).text
        source.cpu = 0.37
        await until(pilot, lambda: re.search("cpu .* 37 %", text(app)) is not None)
        assert len(app.screen.query_one(GaugesLine)._cpu) < len(source.asked)


async def test_a_run_of_another_host_has_no_gauges_here(make_app: MakeApp) -> None:
    source = Scripted()
    app = make_app(FakeEngine(iterations=30, hold=True), gauges=source)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
        line = app.screen.query_one(GaugesLine)
        line.follow("somewhere-else", 1, alive=True)
        assert not line.has_class("-live")


def test_samples_are_far_apart() -> None:
    assert min(widget.SECONDS.values()) >= 1.0
