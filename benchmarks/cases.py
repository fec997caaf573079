"""The cases of the benchmark: the meta-gradient, the training of experts and judging networks, portions, loading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks import machine, reference
from benchmarks.bench import Bench, Case, Report, convolving
from engine import compilation, execution, keeping, portions
from engine.config.schema import Execution, Network
from engine.experts.missing import at_once
from engine.gradient import StepInput, meta_gradient
from engine.kernels import Kernels, eager
from engine.networks import ConvNet
from engine.seeds import generator
from engine.stacked import apart, company_sizes, gradient_function, together
from engine.training import Sets, Trainee, train_epoch

NET = ConvNet(Network(width=128, depth=3), (3, 32, 32), 10)
STEP_SIZE = 0.01
GRADIENTS = {"50x10": (50, 10, 10), "30x100": (30, 100, 100), "20x100": (20, 100, 100), "30x500": (30, 500, 500)}
"""Student steps, images of a step, images of the set."""

KINDS = {
    "50x10": ("exact", "exact-nothing-kept", "mixed", "eager"),
    "30x100": ("exact", "exact-nothing-kept", "mixed", "eager"),
    "20x100": ("exact", "mixed"),
    "30x500": ("exact", "mixed"),
}
"""How the engine computes each: compiled with activations kept as a run keeps them by default ("exact" in float32,
"mixed"), with none of them kept, and not compiled."""


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


def kernels(kind: str, device: str = "cpu", share: float = 1.0) -> Kernels:
    """The engine's kernels of a kind of ``KINDS``; "float64" is plain and exact.

    Args:
        share: of a training's steps that are taken: as much is kept of what would be of them all.
    """
    if kind == "float64":
        return eager(NET)
    compiled = kind != "eager"
    kept = int(share * Execution().keep_activations) if kind in ("exact", "mixed") else 0
    return execution.kernels(NET, resolved(precision_of(kind), device, compiled=compiled, kept=kept))


def warm(own: Kernels, setting: Setting) -> None:
    """Take one step and its adjoints, with activations kept and without, so that all is compiled."""
    given = (setting.start, setting.pixels, setting.labels, torch.tensor(STEP_SIZE, device=setting.start.device))
    cotangent = torch.zeros_like(setting.start)
    own.step(*given)
    own.adjoint(*given, cotangent)
    if own.keeping is not None:
        own.keeping.adjoint(*given, cotangent, own.keeping.step(*given)[1])


def precision_of(kind: str) -> str:
    """A run's precision with kernels of a kind."""
    return "mixed" if kind == "mixed" else "float32"


def resolved(precision: str, device: str, *, compiled: bool, kept: int = 0) -> execution.Resolved:
    """How a run would compute."""
    threads = torch.get_num_threads()
    return execution.Resolved(device, precision, compiled, threads, torch.__version__, "", keep_activations=kept)


def steps_that_fit(steps: int, batch: int, bench: Bench) -> int:
    """As many of a case's student steps as a turn has time for (time grows in proportion to them, see "growth"), and
    the reference's graph memory (it was measured to keep 3.5 MB an image and step)."""
    in_time = max(2, (40 if bench.quick else 500) // batch)
    in_memory = int(0.6 * bench.free() / (batch * 3.5e6))
    return max(1, min(steps, in_time if bench.device == "cpu" else steps, in_memory))


def gradient_cases(bench: Bench, sizes: Sequence[str] = tuple(GRADIENTS)) -> Iterator[Case]:
    """The meta-gradient at the sizes of CIFAR-10 with 1, 10 and 50 images per class."""
    for name in sizes:
        for kind in KINDS[name]:
            title = f"meta_gradient/{name}/{kind}"
            if not bench.wants(title) or (kind == "mixed" and not bench.narrow):
                continue
            if bench.quick and (kind not in ("exact", "mixed") or name not in ("50x10", "30x100")):
                continue
            yield gradient_case(title, name, kind, bench)


def gradient_case(title: str, name: str, kind: str, bench: Bench) -> Case:
    """One size and kind, over as many of its steps as there is time for."""
    steps, batch, images = GRADIENTS[name]
    fitting = steps_that_fit(steps, batch, bench)
    setting, own = (
        Setting.made(fitting, batch, images, device=bench.device),
        kernels(kind, bench.device, fitting / steps),
    )
    kept = 0 if own.keeping is None else own.keeping.fits([batch] * fitting)
    facts = {
        "student_steps": fitting,
        "steps_kept": kept,
        "activations_mib": kept * keeping.activation_bytes(NET, batch) / 2**20,
        **accuracy(own, batch, images, bench, precision_of(kind)),
    }
    ceilings = bench.ceilings_of(precision_of(kind))
    floor = sum(
        machine.student_step(NET, kept=is_kept).floor(batch * count, ceilings)
        for is_kept, count in ((True, kept), (False, fitting - kept))
    )
    return Case(title, partial(setting.ours, own), setting.theirs, floor, facts, precision_of(kind))


def accuracy(own: Kernels, batch: int, images: int, bench: Bench, precision: str) -> Report:
    """Cosine and relative error of the pixels' gradient against float64, of both sides, at random and trained weights,
    over one student step and over three. A ReLU that opens in one arithmetic and not in the other shows in both."""
    errors: Report = {}
    cosine = 1.0
    for trained in (False, True):
        for steps in (1,) if bench.quick or batch > 100 else (1, 3):
            setting = Setting.made(steps, batch, images, trained=trained, device=bench.device)
            exact = setting.ours(kernels("float64"), torch.float64)[0]
            with convolving(precision, as_a_run=bench.device != "cpu"):
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
        for turn, count in enumerate(company_sizes(networks, most, twins=not apart(settings))):
            first = turn * most
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
    floor = machine.training_step(NET).floor(networks * epochs * count, bench.ceilings_of(bench.precision))
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


def all_cases(bench: Bench) -> Iterator[Case]:
    """All that are wanted, in an order whose beginning tells most where the time is short."""
    yield from gradient_cases(bench, ("50x10", "30x100"))
    yield from training_cases(bench)
    yield from gradient_cases(bench, ("20x100", "30x500"))
    yield from portion_cases(bench)
    yield from loading_cases(bench)
