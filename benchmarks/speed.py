"""The engine's speed beside a plain reference's (``benchmarks.reference``): one command, anybody's machine.

    python -m benchmarks [--quick] [--json] [--only WORD] [--device cuda] [--minutes M] [--threads N] [--data-dir DIR]

Both sides of a case are called in turn within one process, with the same threads; a ratio is the reference's time over
the engine's of the same turn, so that a machine's other work falls on both. Peak memory is that of a process of its own
for each side. Errors are against the same computation in float64.
"""

from __future__ import annotations

import gc
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from benchmarks import machine, reference
from benchmarks.page import titled
from engine import compilation, execution, portions
from engine.compilation import narrow_arithmetic
from engine.config.schema import Network
from engine.experts.store import at_once
from engine.gradient import StepInput, meta_gradient
from engine.kernels import Kernels, eager
from engine.networks import ConvNet
from engine.seeds import generator
from engine.stacked import gradient_function, together
from engine.training import Sets, Trainee, train_epoch

NET = ConvNet(Network(width=128, depth=3), (3, 32, 32), 10)
STEP_SIZE = 0.01
GRADIENTS = {"50x10": (50, 10, 10), "30x100": (30, 100, 100), "20x100": (20, 100, 100), "30x500": (30, 500, 500)}
"""Student steps, images of a step, images of the set."""

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


@contextmanager
def convolving(precision: str) -> Iterator[None]:
    """cuDNN's convolutions as a run has them (``execution.settle``): TF32 in mixed precision, never in float32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = precision == "mixed"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class Bench:
    """What is measured, and on what.

    Args:
        quick: fewer and smaller cases.
        only: cases whose name contains this.
        device: "cpu" or "cuda".
        data_dir: where data sets are, to time their loading.
        minutes: no case is begun after this long.
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
        self.minutes, self._end = minutes, time.monotonic() + 60 * minutes
        self.narrow = device != "cpu" or bool(narrow_arithmetic())
        self.precision = "mixed" if self.narrow else "float32"  # of experts and judging networks
        self.ceilings = machine.ceilings(device)

    def wants(self, name: str) -> bool:
        """Whether a case is to be measured."""
        return self.only in name

    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._end

    def free(self) -> float:
        """Bytes of memory that are free on the device."""
        if self.device == "cpu":
            return float(psutil.virtual_memory().available)
        return float(torch.cuda.mem_get_info()[0])

    def timed(self, work: Callable[[], object], precision: str = "float32") -> float:
        """Seconds that a call takes, until the device is done."""
        self._wait()
        with convolving(precision):
            began = time.perf_counter()
            work()
            self._wait()
            return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Setting:
    """A student's start, its target, and a synthetic set, as the matching loss takes them."""

    start: Tensor
    target: Tensor
    pixels: Tensor
    labels: Tensor
    batches: list[Tensor]

    @classmethod
    def made(cls, steps: int, batch: int, images: int, *, trained: bool = False, device: str = "cpu") -> Setting:
        """Random images around a mean for each class; at random weights, or after some steps on them."""
        draws = generator(0, "bench", steps, batch)
        labels = torch.arange(images) % NET.classes
        centres = torch.randn(NET.classes, *NET.shape, generator=draws)
        pixels = centres[labels] + torch.randn(images, *NET.shape, generator=draws)
        start = NET.init(draws)
        if trained:
            one = gradient_function(NET, {"precision": "float32"})
            for _ in range(15):
                start = start - 0.1 * one(start[None], pixels[None, :64], labels[None, :64])[2][0]
        target = start + 0.01 * torch.randn(NET.size, generator=draws)
        order = [torch.randperm(images, generator=draws)[:batch] for _ in range(steps)]
        tensors = [each.to(device) for each in (start, target, pixels, labels)]
        return cls(tensors[0], tensors[1], tensors[2], tensors[3], [each.to(device) for each in order])

    def ours(self, kernels: Kernels, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """The engine's gradient."""
        found = meta_gradient(
            NET, self.start.to(kind), self.pixels.to(kind), self.labels, STEP_SIZE, self.target.to(kind),
            inputs=[StepInput(batch, None) for batch in self.batches], kernels=kernels,
        ).gradient  # fmt: skip
        assert found.step_size is not None
        return found.pixels, found.step_size

    def theirs(self) -> tuple[Tensor, Tensor]:
        """The reference's."""
        rate = torch.tensor(STEP_SIZE, device=self.start.device)
        return reference.meta_gradient(NET, self.start, self.pixels, self.labels, rate, self.target, self.batches)


def kernels(kind: str, device: str = "cpu") -> Kernels:
    """The engine's kernels: "exact" and "mixed" are compiled, "eager" is not; "float64" is plain and exact."""
    if kind == "float64":
        return eager(NET)
    return execution.kernels(NET, resolved(precision_of(kind), device, compiled=kind != "eager"))


def precision_of(kind: str) -> str:
    """A run's precision with kernels of a kind."""
    return "mixed" if kind == "mixed" else "float32"


def resolved(precision: str, device: str, *, compiled: bool) -> execution.Resolved:
    """How a run would compute."""
    return execution.Resolved(device, precision, compiled, torch.get_num_threads(), torch.__version__, "")


def steps_that_fit(steps: int, batch: int, bench: Bench) -> int:
    """As many of a case's student steps as a turn has time for (time grows in proportion to them, see "growth"), and
    the reference's graph memory (it was measured to keep 3.5 MB an image and step)."""
    in_time = max(2, (40 if bench.quick else 500) // batch)
    in_memory = int(0.6 * bench.free() / (batch * 3.5e6))
    return max(1, min(steps, in_time if bench.device == "cpu" else steps, in_memory))


def gradient_cases(bench: Bench) -> Iterator[Case]:
    """The meta-gradient at the sizes of CIFAR-10 with 1, 10 and 50 images per class."""
    kinds = ["exact", "mixed", "eager"] if bench.narrow else ["exact", "eager"]
    for name, (steps, batch, images) in GRADIENTS.items():
        for kind in kinds:
            title = f"meta_gradient/{name}/{kind}"
            if not bench.wants(title) or (bench.quick and (kind == "eager" or name not in ("50x10", "30x100"))):
                continue
            fitting = steps_that_fit(steps, batch, bench)
            setting = Setting.made(fitting, batch, images, device=bench.device)
            own = kernels(kind, bench.device)
            facts = {"student_steps": fitting, **accuracy(own, batch, images, bench, precision_of(kind))}
            floor = machine.student_step(NET).floor(batch * fitting, bench.ceilings)
            yield Case(title, partial(setting.ours, own), setting.theirs, floor, facts, precision_of(kind))


def accuracy(own: Kernels, batch: int, images: int, bench: Bench, precision: str) -> Report:
    """Cosine and relative error of the pixels' gradient against float64, of both sides, at random and trained weights,
    over one student step and over three. A ReLU that opens in one arithmetic and not in the other shows in both."""
    errors: Report = {}
    cosine = 1.0
    for trained in (False, True):
        for steps in (1,) if bench.quick or batch > 100 else (1, 3):
            setting = Setting.made(steps, batch, images, trained=trained, device=bench.device)
            exact = setting.ours(kernels("float64"), torch.float64)[0]
            with convolving(precision):
                ours = setting.ours(own)[0].double()
            with convolving("float32"):
                theirs = setting.theirs()[0].double()
            of_ours, of_theirs = (float((each - exact).norm() / exact.norm()) for each in (ours, theirs))
            where = f"{'trained' if trained else 'random'}/{steps}"
            errors[where] = {"ours": of_ours, "reference": of_theirs}
            cosine = min(cosine, float(torch.cosine_similarity(ours.flatten(), exact.flatten(), dim=0)))
    return {
        "cosine": cosine,
        "relative_error": max(each["ours"] for each in errors.values()),
        "reference_relative_error": max(each["reference"] for each in errors.values()),
        "relative_errors": errors,
    }


def epochs_of(images: Tensor, labels: Tensor, networks: int, epochs: int, bench: Bench) -> Callable[[], None]:
    """The engine's training of ``networks`` networks on the same images in batches of 256, without augmentation."""
    batch = min(256, len(labels))
    most = min(networks, together(NET, batch, images.device))
    settings = {"precision": bench.precision, "device": bench.device, "compile": True}
    gradient = gradient_function(NET, settings, batch)

    def work() -> None:
        for first in range(0, networks, most):
            count = min(most, networks - first)
            starts = torch.stack([NET.init(generator(first + number, "bench")) for number in range(count)])
            trainee = Trainee.fresh(starts.to(images.device))
            sets = Sets.shared(images, labels, count)
            order = [generator(first + number, "order") for number in range(count)]
            for _ in range(epochs):
                train_epoch(
                    gradient, trainee, sets, rate=0.01, momentum=0.9, weight_decay=5e-4, batch_size=256, augment=None,
                    draws=order, tick=lambda: None,
                )  # fmt: skip

    return work


def training_case(name: str, count: int, networks: int, epochs: int, bench: Bench) -> Case:
    """Networks trained on ``count`` images: an expert's epoch, or those that judge a synthetic set."""
    draws = generator(0, "bench", name)
    images = torch.randn(count, *NET.shape, generator=draws).to(bench.device)
    labels = (torch.arange(count) % NET.classes).to(bench.device)
    models = [reference.module(NET).to(bench.device) for _ in range(networks)]
    ours = epochs_of(images, labels, networks, epochs, bench)
    theirs = reference.trainer(models, images, labels, 256, epochs, 0.01)
    floor = machine.training_step(NET).floor(networks * epochs * count, bench.ceilings)
    facts = {"images": count, "networks": networks, "epochs": epochs}
    return Case(name, ours, theirs, floor, facts, bench.precision)


def training_cases(bench: Bench) -> Iterator[Case]:
    """An epoch of an expert (of CIFAR-10's 50,000 images as many as the time allows), and five judging networks."""
    images = 256 * (2 if bench.quick else 20) if bench.device == "cpu" else 50_000 // 256 * 256
    sizes = {
        "experts/epoch": (images, at_once(NET, 256, torch.device(bench.device)), 1),
        "evaluation/ipc1": (10, 5, 4 if bench.quick else 20),
        "evaluation/ipc10": (100, 5, 1 if bench.quick else 4),
    }
    for name, (count, networks, epochs) in sizes.items():
        if bench.wants(name):
            yield training_case(name, count, networks, epochs, bench)


def portion_cases(bench: Bench) -> Iterator[Case]:
    """The second derivative of a hundred images in portions, beside the same kernels on all of them at once."""
    title = "portions/second/100"
    if bench.device != "cpu" or bench.quick or not bench.wants(title):
        return
    setting = Setting.made(1, 100, 100)
    given = (setting.start, setting.target - setting.start, setting.pixels, setting.labels)
    whole = compilation.second(NET, "float32", bench.device)
    cut = execution.derivatives(NET, resolved("float32", bench.device, compiled=True), compiled=True).second
    size = portions.portion(NET, 100, bench.device)
    facts = {"images": 100, "portion": size}
    yield Case(title, partial(cut, *given), partial(whole, *given), None, facts, "float32")


def loading_cases(bench: Bench) -> Iterator[Case]:
    """Reading, checking and normalising each data set that is on this machine."""
    from engine.config.schema import Data
    from engine.data.prepare import prepare
    from engine.data.sources import find, load

    for name in ("digits", "mnist", "svhn", "cifar10", "cifar100"):
        if not bench.wants(f"loading/{name}") or (bench.quick and name != "digits"):
            continue
        if name != "digits" and find(name, bench.data_dir) is None:
            continue
        raw = load(name, bench.data_dir, download=False)
        pixels = np.ascontiguousarray(raw.train.pixels.permute(0, 2, 3, 1).numpy())
        settings = Data.model_validate({"name": name})

        def ours(name: str = name, settings: Data = settings) -> object:
            return prepare(
                load(name, bench.data_dir, download=False), settings, seed=0, device=torch.device(bench.device)
            )

        channels = pixels.shape[-1]
        theirs = partial(reference.prepared, pixels, [0.5] * channels, [0.25] * channels)
        yield Case(f"loading/{name}", ours, theirs, None, {"images": len(pixels)})


def measure(case: Case, bench: Bench) -> Report:
    """Call both sides in turn, once uncounted, then until the time is up (three times at least)."""
    bench.timed(case.ours, case.precision)
    ours: list[float] = []
    ratios: list[float] = []
    if case.theirs is not None:
        bench.timed(case.theirs)
    end = time.perf_counter() + (3.0 if bench.quick else 20.0)
    while len(ours) < 3 or time.perf_counter() < end:
        ours.append(bench.timed(case.ours, case.precision))
        if case.theirs is not None:
            ratios.append(bench.timed(case.theirs) / ours[-1])
    report: Report = {"seconds": spread(ours), "turns": len(ours)}
    if ratios:
        report["ratio"] = spread(ratios)
    if case.floor is not None:
        report["times_floor"] = statistics.median(ours) / case.floor
    if case.precision:
        report["precision"] = case.precision
    return report | case.facts


def spread(values: list[float]) -> dict[str, float]:
    """Least, middle and largest."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def memory(steps: int, batch: int, side: str, bench: Bench) -> float | None:
    """Peak MiB that one meta-gradient takes, the set-up apart; None where it cannot be told."""
    if bench.device != "cpu":
        return memory_on_card(steps, batch, side, bench)
    command = [sys.executable, "-m", "benchmarks.memory", str(steps), str(batch), side, str(torch.get_num_threads())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def memory_on_card(steps: int, batch: int, side: str, bench: Bench) -> float:
    """Peak MiB that torch holds of the card for one meta-gradient: what CUDA graphs keep is theirs from the capture on,
    and not counted as allocated. So what earlier cases captured is given back first, and this one captures anew."""
    setting = Setting.made(steps, batch, batch, device=bench.device)
    own = None if side == "reference" else kernels(side, bench.device)
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    bench.timed(setting.theirs if own is None else partial(setting.ours, own), precision_of(side))
    return (torch.cuda.max_memory_reserved() - before) / 2**20


def growth(bench: Bench) -> list[Report]:
    """Time and memory as student steps and batch grow: flat in the steps but for theta_0..theta_N."""
    sizes = [(2, 10), (8, 10)] if bench.quick else [(5, 10), (20, 10), (50, 10), (5, 50), (5, 100)]
    rows = []
    for steps, batch in sizes:
        setting, own = Setting.made(steps, batch, batch, device=bench.device), kernels("eager", bench.device)
        sides: dict[str, Callable[[], object]] = {"ours": partial(setting.ours, own), "reference": setting.theirs}
        kinds = {"ours": "eager", "reference": "reference"}
        rows.append(
            {
                "student_steps": steps,
                "batch": batch,
                "seconds": {side: min(bench.timed(work) for _ in range(3)) for side, work in sides.items()},
                "peak_memory_mib": {side: memory(steps, batch, kind, bench) for side, kind in kinds.items()},
                "parameter_vectors_mib": (steps + 1) * NET.size * 4 / 2**20,
            }
        )
    return rows


def run(bench: Bench, told: Callable[[str], None] = lambda _: None) -> Report:
    """All cases wanted; ``told`` hears a line of each.

    Returns:
        "cases" by name, "growth", "machine", and "left_out" with the reason.
    """
    report: Report = {"machine": machine.describe(bench.device) | bench.ceilings, "cases": {}, "left_out": {}}
    told(f"{report['machine']['processor']}, {report['machine']['threads']} threads, torch {torch.__version__}")
    if not bench.narrow:
        report["left_out"]["mixed"] = "this processor has neither AMX nor avx512_bf16: bfloat16 would be slower"
    for case in _cases(bench):
        if bench.late():
            report["left_out"]["from " + case.name] = f"the {bench.minutes:g} minutes were up"
            break
        found = measure(case, bench)
        group, _, rest = case.name.partition("/")
        if group == "meta_gradient" and not case.name.endswith("/eager"):
            size, _, kind = rest.partition("/")
            steps, batch = int(found["student_steps"]), GRADIENTS[size][1]
            kinds = {"ours": kind, "reference": "reference"}
            found["peak_memory_mib"] = {side: memory(steps, batch, each, bench) for side, each in kinds.items()}
        if case.name == "experts/epoch":
            found["minutes_for_100_experts_of_50_epochs"] = whole_buffer(found)
        report["cases"][case.name] = found
        told(line(case.name, found))
    report["growth"] = growth(bench) if bench.wants("growth") and not bench.late() else []
    return report


def whole_buffer(found: Mapping[str, Any]) -> float:
    """Minutes that a hundred experts of fifty epochs on CIFAR-10's 50,000 images take at the measured speed, without
    augmentation and the tests between epochs."""
    each = found["seconds"]["median"] / (found["networks"] * found["epochs"] * found["images"])
    return float(100 * 50 * 50_000 * each / 60)


def _cases(bench: Bench) -> Iterator[Case]:
    yield from gradient_cases(bench)
    yield from training_cases(bench)
    yield from portion_cases(bench)
    yield from loading_cases(bench)


def closing_lines(report: Report) -> Iterator[str]:
    """What follows the cases: memory as the student takes more steps, and what was left out."""
    for row in report["growth"]:
        ours, theirs = (row["peak_memory_mib"][side] for side in ("ours", "reference"))
        yield (
            f"{row['student_steps']:3d} student steps of {row['batch']:3d} images: peak memory {_mebibytes(ours)}, "
            f"reference {_mebibytes(theirs)}"
        )
    for what, why in report["left_out"].items():
        yield f"left out: {what}: {why}"


def _mebibytes(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} MiB"


def line(name: str, found: Mapping[str, Any]) -> str:
    """A case in one line."""
    text = f"{titled(name, found):28s}"
    if "ratio" in found:
        ratio = found["ratio"]
        text += f" {ratio['median']:5.2f}x the reference ({ratio['min']:.2f} to {ratio['max']:.2f})"
    if "times_floor" in found:
        text += f"  {found['times_floor']:.1f} times the floor"
    if "relative_error" in found:
        text += f"  error {found['relative_error']:.1e} (reference {found['reference_relative_error']:.1e})"
    return text
