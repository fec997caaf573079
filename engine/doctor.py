"""What this machine offers a run: packages, torch and torchvision, devices and precision, data sets.

torch and torchvision are looked at in a process of their own, because a broken pair can crash the one that
imports it. Importing this module imports no torch.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.config.schema import CLASSES
from engine.data.sources import UNOFFICIAL, accepted, fault, find
from engine.processor import cores
from engine.wording import counted

PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pillow", "safetensors", "pydantic", "tomli",
    "tomli-w", "filelock", "platformdirs", "psutil", "regex", "textual", "rich", "typer",
)  # fmt: skip
"""Distributions that mim4dd needs."""

PROBE_SECONDS = 180.0
"""Longest that importing torch and torchvision may take (a cold network file system is slow)."""

PROBE = r"""
import json, sys
found = {}
try:
    import torch
    found["torch"] = torch.__version__
    found["cuda_build"] = torch.version.cuda
    found["cpu"] = torch.backends.cpu.get_cpu_capability()
    found["amx"] = bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())
    found["mps"] = bool(torch.backends.mps.is_available())
    found["cuda"] = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            with torch.cuda.device(index):
                bfloat16 = bool(torch.cuda.is_bf16_supported())
            capability = f"{properties.major}.{properties.minor}"
            found["cuda"].append({"name": properties.name, "memory_mib": properties.total_memory // 2**20,
                                  "capability": capability, "bfloat16": bfloat16})
except BaseException as error:
    found["torch_error"] = f"{type(error).__name__}: {error}"
else:
    try:
        import torchvision
        found["torchvision"] = torchvision.__version__
        torchvision.ops.nms
    except BaseException as error:
        found["torchvision_error"] = f"{type(error).__name__}: {error}"
sys.stdout.write("\n" + json.dumps(found) + "\n")
"""


MISSING = "not on this machine"
"""What is said of a data set whose files are not found."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: a problem keeps runs from working, a warning means that something is missing."""

    group: str
    name: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    advice: str = ""


def examine(data_dir: Path | None = None) -> list[Check]:
    """Everything but the terminal, which is the interface's own business. Takes a few seconds."""
    return [*packages(), *torch_checks(probe()), compiler(), *data_sets(data_dir)]


def packages() -> list[Check]:
    """Python and the installed version of every package needed."""
    checks = [Check("packages", "python", "ok", f"{platform.python_version()} ({sys.executable})")]
    for name in PACKAGES:
        try:
            checks.append(Check("packages", name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            advice = f"install it: {sys.executable} -m pip install {name}"
            checks.append(Check("packages", name, "problem", "not installed", advice))
    return checks


def probe() -> dict[str, Any]:
    """What torch and torchvision say of themselves, from a process of their own."""
    command = [sys.executable, "-P", "-c", PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"torch_error": f"importing torch took more than {PROBE_SECONDS:.0f} s"}
    for line in reversed(done.stdout.splitlines()):  # libraries may say something as the process ends
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {"torch_error": f"the import ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}"}


def torch_checks(found: dict[str, Any]) -> list[Check]:
    """Judge what :func:`probe` found."""
    again = f"{sys.executable} -m pip install --force-reinstall torch torchvision"
    if "torch_error" in found:
        return [Check("torch", "torch", "problem", str(found["torch_error"]), f"install it again: {again}")]
    build = f"CUDA {found['cuda_build']}" if found.get("cuda_build") else "CPU only"
    checks = [Check("torch", "torch", "ok", f"{found['torch']} ({build})")]
    error = found.get("torchvision_error")
    if error is None:
        checks.append(Check("torch", "torchvision", "ok", str(found.get("torchvision"))))
    else:
        checks.append(_mismatch(str(error), build, again))
    return [*checks, *_devices(found)]


def _mismatch(error: str, build: str, again: str) -> Check:
    version = importlib.metadata.version
    try:
        pair = f"torch {version('torch')} ({build}) and torchvision {version('torchvision')}"
    except importlib.metadata.PackageNotFoundError:
        return Check("torch", "torchvision", "problem", error, f"install it: {again}")
    if "torchvision::nms" in error or "undefined symbol" in error:
        error = f"{pair} do not belong together ({error})"
    advice = f"install both from one source, both for the CPU or both for the same CUDA: {again}"
    return Check("torch", "torchvision", "problem", error, advice)


def _devices(found: dict[str, Any]) -> list[Check]:
    number = cores()
    small = ", 1 for small networks" if number > 1 else ""
    there = counted(os.cpu_count() or number, "core")
    threads = f"a run takes {counted(number, 'thread')} of {there}{small}; {found.get('cpu')}"
    mixed = "mixed precision pays (AMX bfloat16)" if found.get("amx") else "use float32 (no AMX bfloat16)"
    checks = [Check("device", "cpu", "ok", f"{threads}; {mixed}")]
    for index, gpu in enumerate(found.get("cuda", [])):
        precision = "float32, mixed (bfloat16)" if gpu["bfloat16"] else "float32"
        detail = f"{gpu['name']}, {gpu['memory_mib']} MiB, capability {gpu['capability']}; {precision}"
        checks.append(Check("device", f"cuda:{index}", "ok", detail))
    if found.get("cuda_build") and not found.get("cuda") and shutil.which("nvidia-smi"):
        advice = "compare the CUDA version that nvidia-smi shows with torch's; update the driver or torch"
        checks.append(Check("device", "cuda", "warning", "nvidia-smi is here, but torch sees no GPU", advice))
    if found.get("mps"):
        checks.append(Check("device", "mps", "ok", "Apple GPU; float32"))
    return checks


def compiler() -> Check:
    """The C++ compiler that compiled steps need on the CPU."""
    for name in (os.environ.get("CXX", ""), "g++", "clang++"):
        if name and (path := shutil.which(name)):
            return Check("device", "compiler", "ok", path)
    return Check("device", "compiler", "warning", "none: runs on the CPU are not compiled", "install g++")


def data_sets(data_dir: Path | None = None) -> list[Check]:
    """Which data sets are on disk, and whether their files are the published ones."""
    checks = []
    for name in CLASSES:
        folder = find(name, data_dir)
        if folder is None:
            advice = "it is downloaded when a run needs it, or found under --data-dir"
            checks.append(Check("data", name, "warning", MISSING, advice))
        elif wrong := fault(name, data_dir):
            way = f"taken all the same, as {UNOFFICIAL} says" if accepted(name) else "no run takes it"
            checks.append(Check("data", name, "warning", f"{folder}: not the published files; {way}", wrong))
        else:
            checks.append(Check("data", name, "ok", str(folder)))
    return checks
