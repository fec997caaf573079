"""Loading the engine keeps no key waiting longer than it must."""

from __future__ import annotations

import subprocess
import sys

import pytest

OPENED = """
import sys, threading, time
from mim4dd_tui.dashboard.loading import open_libraries

done = threading.Event()
work = threading.Thread(target=lambda: (open_libraries(), done.set()))
began = last = time.perf_counter()
longest = 0.0
work.start()
while not done.is_set():
    time.sleep(0.001)
    now = time.perf_counter()
    longest, last = max(longest, now - last), now
maps = open("/proc/self/maps").read()
print("libtorch_cpu.so" in maps, "torch" in sys.modules, longest / (last - began))
import torch
print(float(torch.ones(2, 2).matmul(torch.ones(2, 2)).sum()))
"""
SKIPPED = """
from mim4dd_tui.dashboard.loading import open_libraries

open_libraries()
print("libtorch_cpu.so" in open("/proc/self/maps").read())
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems' imports open them as ever")


def printed(code: str, monkeypatch: pytest.MonkeyPatch, path: str | None = None) -> list[str]:
    if path is None:
        monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    else:
        monkeypatch.setenv("LD_LIBRARY_PATH", path)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return run.stdout.split()


@linux
def test_other_threads_work_while_torchs_libraries_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, imported, waited, total = printed(OPENED, monkeypatch)
    assert (opened, imported, total) == ("True", "False", "8.0")
    assert float(waited) < 0.7, "of the time that opening them took, in which no key was heard"


@linux
def test_where_libraries_may_be_looked_for_elsewhere_the_import_alone_opens_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert printed(SKIPPED, monkeypatch, "/nowhere") == ["False"]


def test_what_computes_eagerly_loads_no_compiler() -> None:
    code = """
import sys
from engine import execution
from engine.config.load import resolve

found = execution.resolve(resolve("digits-ipc1", ["execution.compile=off", "execution.device=cpu"]).config)
execution.settle(found)
print(found.compiles, "torch._dynamo" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.split() == ["False", "False"]
