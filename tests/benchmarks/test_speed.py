"""The reference computes what the engine computes, the counted work is the work done, and the report has its parts."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import machine, page, reference, speed
from engine import compilation, portions
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
    monkeypatch.setattr(speed, "NET", SMALL)
    return SMALL


def test_the_reference_agrees_with_the_engine_in_float64(small: ConvNet) -> None:
    setting = speed.Setting.made(4, 5, 20)
    ours = setting.ours(speed.kernels("eager"), torch.float64)
    rate = torch.tensor(speed.STEP_SIZE, dtype=torch.float64)
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
        derivatives.first(parameters, images, labels)
    assert 1 <= counter.get_total_flops() / (6 * machine.training_step(net).flops) < 1.05


def test_the_floor_is_arithmetic_or_memory_whichever_is_longer() -> None:
    work = machine.Work(flops=4e9, bytes=1e9)
    assert work.floor(2, {"gflops": 1.0, "gigabytes_per_second": 10.0}) == pytest.approx(8)
    assert work.floor(2, {"gflops": 100.0, "gigabytes_per_second": 1.0}) == pytest.approx(2)


def test_a_report_has_its_parts(small: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "GRADIENTS", {"50x10": (2, 10, 10), "30x100": (2, 20, 20)})
    monkeypatch.setattr(compilation, "first", lambda net, *_: torch.no_grad()(Derivatives(net).first))
    monkeypatch.setattr(compilation, "second", lambda net, *_: torch.no_grad()(Derivatives(net).second))
    monkeypatch.setattr(speed, "memory", lambda *_: 1.0)
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    told: list[str] = []
    bench = speed.Bench(quick=True)
    report = json.loads(json.dumps(speed.run(bench, told.append)))
    case = report["cases"]["meta_gradient/50x10/exact"]
    assert set(case["ratio"]) == {"min", "median", "max"}
    assert case["cosine"] > 0.9999
    assert case["relative_error"] < 1e-4
    assert case["peak_memory_mib"] == {"ours": 1.0, "reference": 1.0}
    names = {"meta_gradient/30x100/exact", "experts/epoch", "evaluation/ipc1", "evaluation/ipc10", "loading/digits"}
    assert names <= set(report["cases"])
    assert len(report["growth"]) == 2
    assert report["machine"]["gflops"] > 0
    assert ("mixed" in report["left_out"]) != bool(narrow_arithmetic())
    assert len(told) == 1 + len(report["cases"])


def test_only_what_is_asked_for_is_measured(small: ConvNet) -> None:
    report = speed.run(speed.Bench(quick=True, only="loading/digits"))
    assert list(report["cases"]) == ["loading/digits"]
    assert report["growth"] == []


def test_no_case_is_begun_when_the_time_is_up(small: ConvNet) -> None:
    report = speed.run(speed.Bench(quick=True, only="loading/digits", minutes=0))
    assert report["cases"] == {}
    assert report["left_out"]["from loading/digits"] == "the 0 minutes were up"


def test_portions_stand_beside_the_whole(small: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "second", lambda net, *_: torch.no_grad()(Derivatives(net).second))
    monkeypatch.setattr(compilation, "first", lambda net, *_: torch.no_grad()(Derivatives(net).first))
    monkeypatch.setattr(portions, "CACHED", 30 * 4 * small.network.width * small.shape[1] * small.shape[2])
    (case,) = speed.portion_cases(speed.Bench(only="portions"))
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
    monkeypatch.setattr(speed, "GRADIENTS", {"50x10": (2, 10, 10)})
    monkeypatch.setattr(speed, "kernels", lambda kind, device="cpu": kind)
    seen: dict[str, set[bool]] = {}

    def noted(side: str) -> tuple[torch.Tensor, torch.Tensor]:
        seen.setdefault(side, set()).add(torch.backends.cudnn.allow_tf32)
        return torch.ones(2, dtype=torch.float64), torch.ones(())

    monkeypatch.setattr(speed.Setting, "ours", lambda self, kernels, kind=None: noted(kernels))
    monkeypatch.setattr(speed.Setting, "theirs", lambda self: noted("reference"))
    bench = speed.Bench()
    bench.narrow = True
    precisions = {}
    for case in speed.gradient_cases(bench):
        bench.timed(case.ours, case.precision)
        assert case.theirs is not None
        bench.timed(case.theirs)
        precisions[case.name.rpartition("/")[2]] = case.precision
    assert precisions == {"exact": "float32", "mixed": "mixed", "eager": "float32"}
    del seen["float64"]
    assert seen == {"exact": {False}, "mixed": {True}, "eager": {False}, "reference": {False}}
    assert torch.backends.cudnn.allow_tf32 is True


@pytest.mark.parametrize(("narrow", "precision"), [(True, "mixed"), (False, "float32")])
def test_experts_and_judges_say_in_what_precision_they_were_timed(
    small: ConvNet, narrow: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "narrow_arithmetic", lambda: "amx" if narrow else "")
    monkeypatch.setattr(speed, "epochs_of", lambda *_: lambda: None)
    monkeypatch.setattr(time, "perf_counter", map(float, itertools.count()).__next__)
    bench = speed.Bench(quick=True, only="experts/epoch")
    (case,) = speed.training_cases(bench)
    found = speed.measure(dataclasses.replace(case, theirs=None), bench)
    assert found["precision"] == precision
    name = "experts/epoch (mixed)" if narrow else "experts/epoch"
    assert speed.line(case.name, found).startswith(f"{name} ")
    report = {"machine": machine.describe() | bench.ceilings, "cases": {case.name: found}, "left_out": {}, "growth": []}
    assert any(row.startswith(f"| {name} |") for row in page.rows(report))


def test_memory_on_a_card_counts_what_graphs_keep(small: ConvNet, monkeypatch: pytest.MonkeyPatch) -> None:
    setting, bench = speed.Setting.made(1, 2, 2), speed.Bench()
    calls: list[str] = []
    monkeypatch.setattr(speed.Setting, "made", lambda *_, device: setting)
    monkeypatch.setattr(speed, "kernels", lambda kind, device: eager(small))
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
    bench = speed.Bench(quick=True, only="growth")
    few, many = (speed.memory(steps, 10, "eager", bench) for steps in (3, 12))
    grown = speed.memory(12, 10, "reference", bench)
    assert few is not None
    assert many is not None
    assert grown is not None
    vectors = 9 * speed.NET.size * 4 / 2**20
    assert many < few + vectors + 40  # MiB: what the allocator rounds up
    assert grown > 2 * many


def test_the_time_of_a_whole_buffer_is_multiplied_out() -> None:
    found = {"seconds": {"median": 3.0}, "networks": 4, "epochs": 1, "images": 50_000}
    assert speed.whole_buffer(found) == pytest.approx(100 * 50 / 4 * 3.0 / 60)
