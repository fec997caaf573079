"""How a run computes: device, precision, compilation and threads, resolved once and recorded.

The choice depends on the configuration and the machine alone, never on a timing, so that the same
configuration and seed give the same bits on the same machine. A resumed run reuses what was recorded.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from engine import compilation, keeping, portions
from engine.budget import live_evaluations
from engine.config.datasets import TRAIN_IMAGES
from engine.config.schema import Config
from engine.errors import ConfigError
from engine.evaluation.protocols import PROTOCOLS
from engine.kernels import KeepingDerivatives, Kernels, LossDerivatives, keeping_kernels, kernels_of
from engine.networks import ConvNet
from engine.processor import cores, processor
from engine.stacked import alone
from engine.worth import decoded_images, forward_flops, not_worth_compiling

TRAINING_PAYS = 1e13
"""FLOPs of training the networks that judge a set above which compiling it pays on a CPU (``worth.COMPILE_PAYS``)."""

EXPERT_PAYS = 1e12
"""The same for training one expert. Their number does not decide: an expert's bits are the same in a buffer of any."""

THREADS_PAY = 2e6
"""FLOPs of an image's forward pass below which more threads only wait for each other. Of an image, not of a step:
threads change the bits of experts, which are to be shared by runs of any number of images per class."""


Part = Literal["students", "experts", "evaluation"]
"""What is compiled, each apart from the others."""


@dataclass(frozen=True)
class Resolved:
    """What was decided, and on what."""

    device: str
    precision: str
    compile: bool
    threads: int
    torch: str
    processor: str
    why_eager: str = ""
    compile_experts: bool = False
    compile_evaluation: bool = False
    keep_activations: int = 0
    """MiB of activations kept between a sweep and its reverse; 0 where steps are not compiled."""
    bfloat16: str = ""
    """How a CPU computes mixed precision: "amx", "avx512_bf16" or "emulated"; empty in float32 and on other devices."""
    code: str = ""
    """File of the objective and its digest (``engine.objectives.code_of``); empty in runs of older versions."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the journal and execution.json."""
        return dataclasses.asdict(self)

    @property
    def compiles(self) -> bool:
        """Whether any part is compiled."""
        return self.compile or self.compile_experts or self.compile_evaluation

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Resolved:
        """What :meth:`to_dict` gave."""
        return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values})

    def numerics(self, of: Part) -> dict[str, Any]:
        """The part that can change the bits of an expert or of a judging network: it belongs to their caches' keys."""
        decided = {"device": self.device.partition(":")[0], "precision": self.precision, "threads": self.threads}
        compiles = self.compile_experts if of == "experts" else self.compile_evaluation
        narrow = {"bfloat16": self.bfloat16} if self.bfloat16 else {}
        ordered = {"ordered": True} if decided["device"] == "cuda" else {}  # as repeat_bits has it
        return decided | ({"compile": True} if compiles else {}) | narrow | ordered


def resolve(config: Config) -> Resolved:
    """Decide device, precision, compilation and threads.

    Raises:
        ConfigError: the device asked for does not exist here.
    """
    device = _device(config.execution.device)
    why = _uncompilable(config, device)
    eager_steps = why or not_worth_compiling(config)
    experts, evaluation = _training_pays(config)
    return Resolved(
        device=device,
        precision=config.execution.precision,
        compile=not eager_steps,
        threads=config.execution.threads or _threads(config),
        torch=torch.__version__,
        processor=_processor(device),
        why_eager=eager_steps,
        compile_experts=not why and experts,
        compile_evaluation=not why and evaluation,
        keep_activations=0 if eager_steps else config.execution.keep_activations,
        bfloat16=_bfloat16(config.execution.precision, device),
    )


def _processor(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return processor()


def _bfloat16(precision: str, device: str) -> str:
    return (compilation.narrow_arithmetic() or "emulated") if precision == "mixed" and device == "cpu" else ""


def _device(wanted: str) -> str:
    if wanted == "auto":
        if torch.cuda.is_available():
            return f"cuda:{emptiest_gpu()}"
        return "cpu"
    kind, _, index = wanted.partition(":")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(
                "execution.device: cuda was asked for, but torch sees no CUDA device; "
                "use cpu or auto, or run `mim4dd doctor` to see what is installed"
            )
        count = torch.cuda.device_count()
        if index and int(index) >= count:
            raise ConfigError(f"execution.device: cuda:{index} does not exist; there are cuda:0 to cuda:{count - 1}")
        return wanted if index else f"cuda:{emptiest_gpu()}"
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("execution.device: mps was asked for, but torch sees no Apple GPU; use cpu or auto")
    return wanted


def require_device(resolved: Resolved) -> None:
    """Make sure that what a run was begun on is there when it is taken up again.

    Raises:
        ConfigError: it is not; another kind of device would give other bits.
    """
    kind, _, index = resolved.device.partition(":")
    there = kind == "cpu"
    if kind == "cuda":
        there = torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()
    elif kind == "mps":
        there = torch.backends.mps.is_available()
    if not there:
        raise ConfigError(
            f"this run computes on {resolved.device}, which torch does not see here: resume it where it was begun, or "
            "begin it anew on another device from its config.toml (`mim4dd run FILE --device cpu`)"
        )


def differences(resolved: Resolved) -> list[str]:
    """What differs between this machine and the one a run was begun on, so that its bits may."""
    pairs = (
        ("torch", resolved.torch, torch.__version__),
        ("processor", resolved.processor, _processor(resolved.device)),
        ("bfloat16 arithmetic", resolved.bfloat16, _bfloat16(resolved.precision, resolved.device)),
    )
    return [f"{what} was {then} and is {now}" for what, then, now in pairs if then not in ("", now)]


def settle(resolved: Resolved) -> None:
    """Set what belongs to the process or to the thread that computes: threads; for how many shapes it compiles; on a
    card kernels that sum in the same order every time; and that convolutions in float32 are float32, where torch's
    default on NVIDIA cards is TF32 with ten bits of mantissa. Mixed precision takes it."""
    torch.set_num_threads(resolved.threads)
    torch.backends.cudnn.allow_tf32 = resolved.precision == "mixed"
    repeat_bits(on_card=resolved.device.startswith("cuda"))
    if resolved.compiles or compilation.loaded():
        compilation.allow_shapes()
        torch.compiler.reset()  # what was compiled for an earlier run of this process counts against a limit


_found: list[tuple[bool, bool, bool]] = []
"""The process's own choice, while :func:`repeat_bits` has another."""


def repeat_bits(*, on_card: bool) -> None:
    """Sums on a card in the same order every time, for the whole process; a processor's have theirs anyway, and there
    what the process had chosen itself is put back. Without it libraries on a card add as its threads come, and a
    resumed run drifts from one that was left alone. A library without such a kernel warns."""
    memory: Any = torch.utils.deterministic
    if on_card:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is computed
        if not _found:
            warns = torch.is_deterministic_algorithms_warn_only_enabled()
            _found.append((torch.are_deterministic_algorithms_enabled(), warns, memory.fill_uninitialized_memory))
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False  # else every fresh tensor is written twice
    elif _found:
        chosen, warns, filled = _found.pop()
        torch.use_deterministic_algorithms(chosen, warn_only=warns)
        memory.fill_uninitialized_memory = filled


def emptiest_gpu() -> int:
    """Index of the CUDA device with the most free memory."""
    free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
    return max(range(len(free)), key=free.__getitem__)


def eager(resolved: Resolved, what: Part, why: str) -> Resolved:
    """The same with one part uncompiled."""
    changes = {"compile": False, "keep_activations": 0} if what == "students" else {f"compile_{what}": False}
    return Resolved.from_dict(resolved.to_dict() | changes | {"why_eager": why})


def _threads(config: Config) -> int:
    return 1 if forward_flops(config) < THREADS_PAY else cores()


def _uncompilable(config: Config, device: str) -> str:
    """Why nothing is compiled here; empty where it can be."""
    if config.execution.compile == "off":
        return "execution.compile is off"
    if device == "mps":
        return "compilation is not offered on mps"
    if device == "cpu" and not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++")):
        return "no C++ compiler was found (g++ or clang++)"
    return ""


def _training_pays(config: Config) -> tuple[bool, bool]:
    """Whether compiling pays for the experts, and for the networks that judge a set (decided by sizes alone: experts
    are shared by runs of any number of images, so nothing of the run but their own settings may decide)."""
    images = config.data.train_limit or sum(TRAIN_IMAGES[config.data.name])
    expert = 3 * forward_flops(config) * images * config.experts.epochs
    settings, each = config.evaluation, decoded_images(config)
    final = 2 * settings.networks * PROTOCOLS[settings.protocol].epochs
    epochs = final + live_evaluations(config) * settings.live_networks * PROTOCOLS[settings.live_protocol].epochs
    return expert >= EXPERT_PAYS, 3 * forward_flops(config) * each * epochs >= TRAINING_PAYS


def derivatives(net: ConvNet, resolved: Resolved, *, compiled: bool) -> LossDerivatives:
    """The derivatives of a network's loss in the run's precision, in portions that fit the cache. What is compiled
    compiles itself at the first call of a shape."""
    sized = partial(portions.portion, net, device=resolved.device)
    if compiled:
        first = compilation.first(net, resolved.precision, resolved.device)
        second = compilation.second(net, resolved.precision, resolved.device)
    else:
        first = alone(net, resolved.precision, resolved.device)
        second = torch.no_grad()(compilation.in_precision(net, resolved.precision, resolved.device).second)
    return LossDerivatives(portions.first(first, sized), portions.second(second, sized))


def kernels(net: ConvNet, resolved: Resolved) -> Kernels:
    """``step`` and ``adjoint`` of a network as resolved."""
    plain = derivatives(net, resolved, compiled=resolved.compile)
    if not resolved.keep_activations:
        return kernels_of(plain)
    sized = partial(portions.portion, net, device=resolved.device)
    first = compilation.first_keeping(net, resolved.precision, resolved.device)
    second = compilation.second_of_kept(net, resolved.precision, resolved.device)
    fits = keeping.fitting(net, resolved.keep_activations * 2**20)
    kept = KeepingDerivatives(portions.first_keeping(first, sized), portions.second_of_kept(second, sized), fits)

    def forgetting(parameters: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return first(parameters, images, labels)[:3]

    return keeping_kernels(LossDerivatives(portions.first(forgetting, sized), plain.second), kept)
