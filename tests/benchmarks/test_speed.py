"""The reference computes what the engine computes, the counted work is the work done, and the report has its parts."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import bench as bench_module
from benchmarks import cases, machine, marked, page, reference, speed
from benchmarks.bench import Bench, Case
from engine import compilation, execution, portions
from engine.compilation import narrow_arithmetic
from engine.config.schema import Network
from engine.kernels import eager
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives
from engine.seeds import generator

SMALL = ConvNet(Network(width=8, depth=3), (3, 16, 16), 10)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> ConvNet:
    """The benchmark on a small network."""
    for module in (cases, speed):
        monkeypatch.setattr(module, "NET", SMALL)
    for name in ("first", "second", "first_keeping", "second_of_kept"):  # uncompiled
        monkeypatch.setattr(compilation, name, partial(uncompiled, name))
    return SMALL


def uncompiled(name: str, net: ConvNet, *_: str) -> Callable[..., Any]:
    found: Callable[..., Any] = torch.no_grad()(getattr(Derivatives(net), name))
    return found


def sized(monkeypatch: pytest.MonkeyPatch, sizes: dict[str, tuple[int, int, int]]) -> None:
    for module in (cases, speed):
        monkeypatch.setattr(module, "GRADIENTS", sizes)


def test_the_reference_agrees_with_the_engine_in_float64(small: ConvNet) -> None:
    setting = cases.Setting.made(4, 5, 20)
    ours = setting.ours(cases.kernels("eager"), torch.float64)
    rate = torch.tensor(cases.STEP_SIZE, dtype=torch.float64)
    theirs = reference.meta_gradient(
        small, setting.start.double(), setting.pixels.double(), setting.labels, rate, setting.target.double(),
        setting.batches,
    )  # fmt: skip
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=0)


def test_the_references_module_is_the_same_network(small: ConvNet) -> None:
    module = reference.module(small)
    assert sum(each.numel() for each in module.parameters()) == small.size
    flat = torch.cat([each.detach().flatten() for each in module.parameters()])
    images = torch.randn(4, *small.shape, generator=generator(0, "x"))
    assert torch.allclose(module(images), small(flat, images), atol=1e-5)


@pytest.mark.parametrize("width", [8, 16])
def test_the_counted_work_is_the_work_that_is_done(width: int) -> None:
    """Within the last layer's products, which are not counted."""
    net = ConvNet(Network(width=width, depth=3), (3, 32, 32), 10)
    draws = generator(0, "flops")
    parameters, images = net.init(draws), torch.randn(6, *net.shape, generator=draws)
    labels = torch.arange(6)
    derivatives = Derivatives(net)
    with FlopCounterMode(display=False) as counter:
        derivatives.first(parameters, images, labels)
        derivatives.second(parameters, parameters, images, labels)
    assert 1 <= counter.get_total_flops() / (6 * machine.student_step(net).flops) < 1.05
    with FlopCounterMode(display=False) as counter:
        *_, kept = derivatives.first_keeping(parameters, images, labels)
        derivatives.second_of_kept(parameters, parameters, images, labels, kept)
    assert 1 <= counter.get_total_flops() / (6 * machine.student_step(net, kept=True).flops) < 1.05
    with FlopCounterMode(display=False) as counter:
        derivatives.first(parameters, images, labels)
    assert 1 <= counter.get_total_flops() / (6 * machine.training_step(net).flops) < 1.05


def test_the_floor_is_arithmetic_or_memory_whichever_is_longer() -> None:
    work = machine.Work(flops=4e9, bytes=1e9)
    assert work.floor(2, {"gflops": 1.0, "gigabytes_per_second": 10.0}) == pytest.approx(8)
    assert work.floor(2, {"gflops": 100.0, "gigabytes_per_second": 1.0}) == pytest.approx(2)


def test_a_report_has_its_parts(small: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, {"50x10": (2, 10, 10), "30x100": (2, 20, 20), "20x100": (2, 20, 20), "30x500": (2, 20, 20)})
    monkeypatch.setattr(speed, "memory", lambda *_: 1.0)
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    told: list[str] = []
    bench = Bench(quick=True)
    report = json.loads(json.dumps(speed.run(bench, told.append)))
    case = report["cases"]["meta_gradient/50x10/exact"]
    assert set(case["ratio"]) == {"min", "median", "max"}
    assert case["cosine"] > 0.9999
    assert case["relative_error"] < 1e-4
    assert case["peak_memory_mib"] == {"ours": 1.0, "reference": 1.0}
    assert case["steps_kept"] == 2
    assert case["activations_mib"] == pytest.approx(2 * 10 * 8 * (256 + 2 * 64 + 2 * 16) * 4 / 2**20)
    assert any("(2 steps timed, 2 of them kept)" in row for row in page.rows(report))
    names = {"meta_gradient/30x100/exact", "experts/epoch", "evaluation/ipc1", "evaluation/ipc10", "loading/digits"}
    assert names <= set(report["cases"])
    assert len(report["growth"]) == 2
    assert report["machine"]["gflops"] > 0
    assert ("mixed" in report["left_out"]) != bool(narrow_arithmetic())
    assert "takes minutes" in told[1], "nothing else is heard while the first case is compiled"
    assert len(told) == 2 + len(report["cases"])


def test_the_page_says_what_the_kept_reports_say() -> None:
    text, docs = page.PAGE.read_text(), page.PAGE.parent
    cpu, card = (json.loads((docs / name).read_text()) for name in ("performance.json", "performance.h100.json"))
    assert marked.filled(text, "figures", "\n".join(page.rows(cpu))) == text
    made = {line.split(" ")[1]: line.partition(") | ")[2] for line in page.rows(card) if line.startswith("| meta_")}
    on_card = text.partition("## On a GPU")[2].partition("\n## ")[0].splitlines()
    said = {line.split(" ")[1]: line.partition(") | ")[2] for line in on_card if line.startswith("| meta_")}
    assert said == made
    assert len(made) == len(card["cases"])


def test_only_what_is_asked_for_is_measured(small: ConvNet) -> None:
    bench = Bench(quick=True, only="loading/digits")
    report = speed.run(bench)
    assert {"experts/epoch", "growth"} <= set(bench.passed_over)
    assert "loading/digits" not in bench.passed_over
    assert list(report["cases"]) == ["loading/digits"]
    assert report["growth"] == []
    assert report["left_out"] == {}, "nothing of what was asked for"
    mixed = speed.run(Bench(quick=True, only="30x500/mixed"))
    assert bool(mixed["left_out"]) != bool(narrow_arithmetic())


@pytest.mark.parametrize(("minutes", "told"), [(0.0, "0 minutes"), (1.0, "1 minute"), (2.5, "2.5 minutes")])
def test_no_case_but_the_first_is_begun_when_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, minutes: float, told: str
) -> None:
    """Compiling alone may take longer: who asked for little time is still told something."""
    both = [Case(name, lambda: None, None) for name in ("loading/one", "loading/two")]
    monkeypatch.setattr(speed, "all_cases", lambda _bench: iter(both))
    monkeypatch.setattr(Bench, "late", lambda _bench: True)
    monkeypatch.setattr(time, "perf_counter", map(float, itertools.count()).__next__)
    report = speed.run(Bench(quick=True, minutes=minutes))
    assert list(report["cases"]) == ["loading/one"]
    assert report["left_out"]["from loading/two"] == f"the time was up ({told})"
    assert report["left_out"]["growth"] == f"the time was up ({told})"
    assert report["growth"] == []


@pytest.mark.parametrize("command", ["mim4dd_tui.__main__.main(['bench', '--json'])", "benchmarks.__main__.main()"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds the card it looks for")
def test_what_torch_logs_stands_between_no_lines_of_the_report(command: str) -> None:
    """With CUDA_HOME set, as on the front node of a cluster, compiling makes torch warn of a card that is not there."""
    measuring = (
        "import importlib, sys, benchmarks.speed, benchmarks.__main__, mim4dd_tui.__main__\n"
        "def run(*_):\n"
        "    importlib.import_module('torch.utils.cpp_extension')\n"
        "    return {'cases': {}, 'growth': [], 'left_out': {}}\n"
        "benchmarks.speed.run, sys.argv = run, ['benchmarks', '--json']\n"
    )
    with_home = os.environ | {"CUDA_HOME": "/nowhere/cuda"}
    with_home.pop("TORCH_LOGS", None)
    for code, silent in ((measuring + command, True), (measuring + "run()", False)):
        done = subprocess.run([sys.executable, "-c", code], env=with_home, capture_output=True, text=True, check=True)
        assert ("No CUDA runtime is found" not in done.stdout + done.stderr) == silent


def test_portions_stand_beside_the_whole(small: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "CACHED", 30 * 4 * small.network.width * small.shape[1] * small.shape[2])
    (case,) = cases.portion_cases(Bench(only="portions"))
    ours, theirs = case.ours(), case.theirs() if case.theirs is not None else None
    assert isinstance(ours, tuple)
    assert isinstance(theirs, tuple)
    assert case.facts["portion"] < 100
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-6)


def test_float32_and_the_reference_convolve_in_float32_on_cards_that_would_round(
    small: ConvNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    sized(monkeypatch, {"50x10": (2, 10, 10)})
    monkeypatch.setattr(cases, "kernels", lambda kind, *_: SimpleNamespace(kind=kind, keeping=None))
    seen: dict[str, set[bool]] = {}

    def noted(side: str) -> tuple[torch.Tensor, torch.Tensor]:
        seen.setdefault(side, set()).add(torch.backends.cudnn.allow_tf32)
        return torch.ones(2, dtype=torch.float64), torch.ones(())

    monkeypatch.setattr(cases.Setting, "ours", lambda self, kernels, kind=None: noted(kernels.kind))
    monkeypatch.setattr(cases.Setting, "theirs", lambda self: noted("reference"))
    bench = Bench()
    bench.narrow = True
    precisions = {}
    for case in cases.gradient_cases(bench, ["50x10"]):
        bench.timed(case.ours, case.precision)
        assert case.theirs is not None
        bench.timed(case.theirs)
        precisions[case.name.rpartition("/")[2]] = case.precision
    del seen["float64"], seen["reference"]
    assert precisions == {kind: "mixed" if kind == "mixed" else "float32" for kind in cases.KINDS["50x10"]}
    assert seen == {kind: {kind == "mixed"} for kind in cases.KINDS["50x10"]}
    assert torch.backends.cudnn.allow_tf32 is True


@pytest.mark.parametrize(
    ("found", "device", "narrow", "precision"),
    [
        ("", "cpu", False, "float32"),
        ("avx512_bf16", "cpu", True, "float32"),
        ("amx", "cpu", True, "mixed"),
        ("", "cuda", True, "mixed"),
    ],
)
def test_experts_and_judges_are_timed_in_the_precision_that_pays(
    found: str, device: str, narrow: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``doctor`` advises it: bfloat16 without AMX makes them slower."""
    monkeypatch.setattr(bench_module, "narrow_arithmetic", lambda: found)
    monkeypatch.setattr(machine, "ceilings", lambda *_, **__: {})
    bench = Bench(device=device)
    assert (bench.narrow, bench.precision) == (narrow, precision)


@pytest.mark.parametrize(("narrow", "precision"), [(True, "mixed"), (False, "float32")])
def test_experts_and_judges_say_in_what_precision_they_were_timed(
    small: ConvNet, narrow: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "narrow_arithmetic", lambda: "amx" if narrow else "")
    monkeypatch.setattr(cases, "epochs_of", lambda *_: lambda: None)
    monkeypatch.setattr(time, "perf_counter", map(float, itertools.count()).__next__)
    bench = Bench(quick=True, only="experts/epoch")
    bench.ceilings |= {"gflops": 100.0} | ({"gflops_bfloat16": 400.0} if narrow else {})
    (case,) = cases.training_cases(bench)
    work = machine.training_step(SMALL).floor(512, bench.ceilings | {"gflops": 400.0 if narrow else 100.0})
    assert case.floor == pytest.approx(work), "the floor is that of the precision's own arithmetic"
    found = speed.measure(dataclasses.replace(case, theirs=None), bench)
    assert found["precision"] == precision
    name = "experts/epoch (mixed)" if narrow else "experts/epoch"
    assert speed.line(case.name, found).startswith(f"{name} ")
    report = {"machine": machine.describe() | bench.ceilings, "cases": {case.name: found}, "left_out": {}, "growth": []}
    assert any(row.startswith(f"| {name} |") for row in page.rows(report))


def test_memory_on_a_card_counts_what_graphs_keep(small: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    setting, bench = cases.Setting.made(1, 2, 2), Bench()
    calls: list[str] = []
    monkeypatch.setattr(cases.Setting, "made", lambda *_, device: setting)
    monkeypatch.setattr(speed, "kernels", lambda kind, device, share: eager(small))
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, partial(calls.append, name))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 100 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 350 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 120 * 2**20)
    bench.device = "cuda"
    assert speed.memory(1, 2, "exact", bench) == 250
    assert calls[:2] == ["empty_cache", "reset_peak_memory_stats"]


@pytest.mark.long
def test_memory_is_flat_in_the_student_steps() -> None:
    bench = Bench(quick=True, only="growth")
    few, many = (speed.memory(steps, 10, "eager", bench) for steps in (3, 12))
    grown = speed.memory(12, 10, "reference", bench)
    assert few is not None
    assert many is not None
    assert grown is not None
    vectors = 9 * cases.NET.size * 4 / 2**20
    assert many < few + vectors + 40  # MiB: what the allocator rounds up
    assert grown > 2 * many


def test_the_time_of_a_whole_buffer_is_multiplied_out() -> None:
    found = {"seconds": {"median": 3.0}, "networks": 4, "epochs": 1, "images": 50_000}
    assert speed.whole_buffer(found) == pytest.approx(100 * 50 / 4 * 3.0 / 60)


@pytest.mark.parametrize(
    ("kind", "share", "kept"),
    [
        ("exact", 1.0, 3072),
        ("exact", 0.5, 1536),
        ("exact-nothing-kept", 1.0, 0),
        ("eager", 1.0, 0),
        ("mixed", 0.1, 307),
    ],
)
def test_of_a_training_cut_short_as_large_a_part_is_kept(
    kind: str, share: float, kept: int, small: ConvNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(execution, "kernels", lambda net, resolved: found.append(resolved.keep_activations))
    cases.kernels(kind, share=share)
    assert found == [kept]


def test_judging_networks_are_trained_in_the_companies_a_run_trains_them_in(
    small: ConvNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    monkeypatch.setattr(cases, "together", lambda *_: 4)
    monkeypatch.setattr(
        cases, "train_epoch", lambda gradient, trainee, *_, **__: trained.append(len(trainee.parameters))
    )
    draws = generator(0, "company")
    cases.epochs_of(torch.randn(10, *small.shape, generator=draws), torch.arange(10), 5, 1, Bench())()
    assert trained == [4, 2], "an odd one has a twin"
