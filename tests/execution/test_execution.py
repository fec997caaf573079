"""What a run was begun on is there, or said to be missing; and what is settled for the process."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import compilation, execution, processor
from engine.config.load import resolve
from engine.config.schema import Config, Execution
from engine.errors import ConfigError
from engine.runs.control import StopRequested
from tests.execution.process import as_before


@pytest.fixture
def resolved() -> execution.Resolved:
    return execution.resolve(Config(execution=Execution(device="cpu", threads=1)))


@pytest.fixture
def settled() -> Iterator[None]:
    yield from as_before()


@pytest.mark.parametrize("device", ["cuda:0", "cuda:7", "mps"])
def test_a_run_begun_on_a_device_that_is_not_here_says_so(
    device: str, resolved: execution.Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"computes on {device}.*--device cpu"):
        execution.require_device(dataclasses.replace(resolved, device=device))


def test_devices_that_are_here_are_taken(resolved: execution.Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:1"):
        execution.require_device(dataclasses.replace(resolved, device=device))
    with pytest.raises(ConfigError, match="cuda:2"):
        execution.require_device(dataclasses.replace(resolved, device="cuda:2"))


def test_what_differs_from_the_machine_a_run_was_begun_on_is_named(resolved: execution.Resolved) -> None:
    assert execution.differences(resolved) == []
    moved = dataclasses.replace(resolved, torch="2.11.0", processor="another")
    assert [text.split(" ")[0] for text in execution.differences(moved)] == ["torch", "processor"]


@pytest.mark.parametrize("found", ["amx", "avx512_bf16", ""])
def test_how_a_processor_computes_mixed_precision_is_on_record(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "narrow_arithmetic", lambda: found)
    resolved = execution.resolve(Config(execution=Execution(device="cpu", threads=1, precision="mixed")))
    assert resolved.bfloat16 == (found or "emulated")
    for part in ("experts", "evaluation"):
        assert resolved.numerics(part)["bfloat16"] == resolved.bfloat16
    assert execution.differences(execution.Resolved.from_dict(resolved.to_dict())) == []
    monkeypatch.setattr(compilation, "narrow_arithmetic", lambda: "another")
    assert execution.differences(resolved) == [f"bfloat16 arithmetic was {resolved.bfloat16} and is another"]


def test_float32_and_other_devices_have_nothing_of_it_in_their_keys(resolved: execution.Resolved) -> None:
    found = dataclasses.replace(resolved, compile_experts=False).numerics("experts")
    assert found == {"device": "cpu", "precision": "float32", "threads": 1}
    assert execution._bfloat16("mixed", "cuda:0") == ""


def test_processors_of_one_architecture_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "CPUINFO", cpuinfo)
    names = ["Intel(R) Xeon(R) 6975P-C", "AMD EPYC 9R45"]
    recorded = []
    for name in names:
        cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: some\nmodel name\t: {name}\n")
        recorded.append(execution.resolve(Config(execution=Execution(device="cpu", threads=1))))
    assert [each.processor for each in recorded] == names
    assert execution.differences(recorded[0]) == [f"processor was {names[0]} and is {names[1]}"]
    cpuinfo.unlink()
    assert processor.processor()


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("preset", "threads"), [("digits-ipc1", 1), ("mnist-ipc1-small", 3)])
def test_a_run_takes_all_cores_but_one_for_small_networks_whatever_openmp_is_told(
    preset: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the option's help and doctor have it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(execution, "cores", lambda: 3)
    torch.set_num_threads(2)
    found = execution.resolve(resolve(preset, ["execution.device=cpu"]).config)
    execution.settle(found)
    assert found.threads == torch.get_num_threads() == threads


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("mixed", True)])
def test_float32_is_float32_on_cards_that_would_round(
    precision: str, allowed: bool, resolved: execution.Resolved
) -> None:
    torch.backends.cudnn.allow_tf32 = not allowed
    execution.settle(dataclasses.replace(resolved, precision=precision))
    assert torch.backends.cudnn.allow_tf32 is allowed
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("settled")
def test_sums_on_a_card_repeat_their_bits(resolved: execution.Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "any")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    memory: Any = torch.utils.deterministic
    for _ in range(2):
        execution.settle(dataclasses.replace(resolved, device="cuda:0"))
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not memory.fill_uninitialized_memory
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    execution.settle(dataclasses.replace(resolved, device="cuda:0"))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "a person's own choice stands"


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("chosen", [False, True])
def test_on_a_processor_the_processs_own_choice_stands(chosen: bool, resolved: execution.Resolved) -> None:
    memory: Any = torch.utils.deterministic
    torch.use_deterministic_algorithms(chosen)
    memory.fill_uninitialized_memory = chosen
    for device in ("cpu", "cuda:0", "cuda:0", "cpu", "cpu"):
        execution.settle(dataclasses.replace(resolved, device=device))
        assert torch.are_deterministic_algorithms_enabled() is (chosen or device != "cpu")
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert memory.fill_uninitialized_memory is chosen


def test_what_was_cached_on_a_card_before_sums_had_an_order_is_not_taken(resolved: execution.Resolved) -> None:
    assert dataclasses.replace(resolved, device="cuda:0").numerics("experts")["ordered"]
    assert "ordered" not in resolved.numerics("experts")


def test_a_torch_without_onednn_has_no_fast_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert compilation.narrow_arithmetic() == ""


def _large(**changes: Any) -> Config:
    sections: dict[str, Any] = {
        "data": {"name": "cifar10"},
        "experts": {"count": 2, "epochs": 5},
        "objective": {"iterations": 5000, "expert_epochs": 1, "max_start_epoch": 1},
        "execution": {"device": "cpu"},
    }
    return Config.model_validate(sections | changes)


def test_long_work_is_compiled_and_short_work_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    large = execution.resolve(_large())
    assert (large.compile, large.compile_experts, large.compile_evaluation) == (True, True, True)
    small = execution.resolve(resolve("digits-ipc1", ["execution.device=cpu"]).config)
    assert (small.compile, small.compile_experts, small.compile_evaluation) == (False, False, False)
    assert "too short" in small.why_eager


def test_without_a_compiler_everything_is_eager_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = execution.resolve(_large(execution={"device": "cpu", "compile": "on"}))
    assert (found.compile, found.compile_experts, found.compile_evaluation) == (False, False, False)
    assert "C++ compiler" in found.why_eager


@pytest.mark.parametrize(
    ("version", "anywhere"),
    [("2.9.1+cu126", False), ("2.13.2", False), ("2.14.0a0+git1", True), ("2.14.1+cu130", True), ("3.0.0", True)],
)
def test_graphs_of_a_card_are_made_where_torch_can(
    version: str, anywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert compilation.makes_graphs()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(compilation.makes_graphs).result() is anywhere
    here = threading.current_thread()
    assert (compilation.aside(threading.current_thread, lambda: None, 1) is here) is not anywhere
    with pytest.raises(compilation.CompilationFailed, match="broken"):
        compilation.aside(_broken, lambda: None, 1)


def _broken() -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize("changes", [{"experts": {"count": 50, "epochs": 5}}, {"synthetic": {"images_per_class": 10}}])
def test_experts_are_computed_alike_whatever_the_run(changes: dict[str, Any]) -> None:
    """They are shared by runs of any number of experts and images."""
    assert execution.resolve(_large(**changes)).numerics("experts") == execution.resolve(_large()).numerics("experts")


def test_one_part_that_fails_to_compile_leaves_the_others() -> None:
    resolved = dataclasses.replace(execution.resolve(_large()), compile=True, compile_experts=True)
    found = execution.eager(resolved, "experts", "no reason")
    assert (found.compile, found.compile_experts, found.why_eager) == (True, False, "no reason")
    assert "compile" not in found.numerics("experts")


@pytest.mark.usefixtures("settled")
def test_a_thread_that_compiles_may_do_so_for_many_shapes(resolved: execution.Resolved) -> None:
    def limit() -> int:
        return int(torch._dynamo.config.recompile_limit)

    def settled_limit() -> int:
        execution.settle(resolved)
        return limit()

    assert compilation.aside(limit, lambda: None, 1) == compilation.SHAPES
    with ThreadPoolExecutor(1) as other:
        assert other.submit(settled_limit).result() == compilation.SHAPES


def test_compiling_aside_hears_a_stop_and_says_what_failed() -> None:
    released, ticks = threading.Event(), itertools.count()

    def stop() -> None:
        if next(ticks) == 2:
            raise StopRequested

    with pytest.raises(StopRequested):
        compilation.aside(released.wait, stop, 1)
    released.set()

    def fails() -> None:
        raise RuntimeError("first line\nsecond line")

    with pytest.raises(compilation.CompilationFailed, match=r"^first line$"):
        compilation.aside(fails, lambda: None, 1)
    assert compilation.aside(torch.get_num_threads, lambda: None, 1) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds the card it looks for")
def test_compiling_for_the_processor_warns_of_no_missing_card() -> None:
    """With CUDA_HOME set; what a run prints is kept and told of."""
    loading = "import importlib; importlib.import_module('torch.utils.cpp_extension')"
    compiling = f"from engine.compilation import compiled; compiled(abs, 'cpu'); {loading}"
    with_home = os.environ | {"CUDA_HOME": "/nowhere/cuda"}
    with_home.pop("TORCH_LOGS", None)
    for code, warned in ((compiling, False), (loading, True)):
        done = subprocess.run([sys.executable, "-c", code], env=with_home, capture_output=True, text=True, check=True)
        assert ("No CUDA runtime is found" in done.stderr) == warned
