"""How a run computes: device, precision, compilation and threads, resolved once and recorded.

The choice depends on the configuration and the machine alone, never on a timing, so that the same
configuration and seed give the same bits on the same machine. A resumed run reuses what was recorded.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine import gradient
from engine.config.schema import CLASSES, Config
from engine.errors import ConfigError
from engine.gradient import Kernels
from engine.networks import ConvNet

COMPILE_PAYS = 5e13
"""Student FLOPs of a whole run above which compiling pays on a CPU: it takes a minute on two cores, and saves
about a third of a time that is a minute for each 2e12 (measured eager on two AVX-512 cores)."""


THREADS_PAY = 2e6
"""FLOPs of an image's forward pass below which more threads only wait for each other. Of an image, not of a step:
threads change the bits of experts, which are to be shared by runs of any number of images per class."""


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

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the journal and the expert cache's key."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Resolved:
        """What :meth:`to_dict` gave."""
        return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values})

    def numerics(self) -> dict[str, Any]:
        """The part that can change the bits of an expert: it belongs to the expert cache's key."""
        return {"device": self.device.partition(":")[0], "precision": self.precision, "threads": self.threads}


def resolve(config: Config) -> Resolved:
    """Decide device, precision, compilation and threads.

    Raises:
        ConfigError: the device asked for does not exist here.
    """
    device = _device(config.execution.device)
    compiles, why = _compile(config, device)
    return Resolved(
        device=device,
        precision=config.execution.precision,
        compile=compiles,
        threads=config.execution.threads or _threads(config),
        torch=torch.__version__,
        processor=_processor(device),
        why_eager=why,
    )


def _processor(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return platform.processor() or platform.machine()


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
    )
    return [f"{what} was {then} and is {now}" for what, then, now in pairs if then != now]


def settle(resolved: Resolved) -> None:
    """Set what belongs to the process: threads; and that convolutions in float32 are float32, where torch's
    default on NVIDIA cards is TF32 with ten bits of mantissa. Mixed precision takes it."""
    torch.set_num_threads(resolved.threads)
    torch.backends.cudnn.allow_tf32 = resolved.precision == "mixed"


def emptiest_gpu() -> int:
    """Index of the CUDA device with the most free memory."""
    free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
    return max(range(len(free)), key=free.__getitem__)


def eager(resolved: Resolved, why: str) -> Resolved:
    """The same without compilation."""
    return dataclasses.replace(resolved, compile=False, why_eager=why)


def student_flops(config: Config) -> float:
    """FLOPs of all student steps and their adjoints: 12 forward passes a step."""
    images = config.objective.batch_size or config.synthetic.images_per_class * CLASSES[config.data.name]
    return 12 * forward_flops(config) * images * config.objective.student_steps * config.objective.iterations


def forward_flops(config: Config) -> float:
    """FLOPs of the convolutions of one image's forward pass, two operations a multiplication."""
    side, channels, total = (8, 1, 0.0) if config.data.name == "digits" else (32, 3, 0.0)
    for _ in range(config.network.depth):
        total += 2.0 * 9 * channels * config.network.width * side * side
        channels = config.network.width
        side = side // 2 if config.network.pooling != "none" else side
    return total


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads(config: Config) -> int:
    return 1 if forward_flops(config) < THREADS_PAY else _cores()


def _compile(config: Config, device: str) -> tuple[bool, str]:
    wanted = config.execution.compile
    if wanted == "off":
        return False, "execution.compile is off"
    if device == "mps":
        return False, "compilation is not offered on mps"
    if device == "cpu" and not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++")):
        return False, "no C++ compiler was found (g++ or clang++)"
    if wanted == "auto" and student_flops(config) < COMPILE_PAYS:
        return False, "the run is too short for compilation to pay"
    return True, ""


def kernels(net: ConvNet, resolved: Resolved) -> Kernels:
    """``step`` and ``adjoint`` of a network as resolved. Compilation itself happens at the first call."""
    function = forward(net, resolved)
    if not resolved.compile:
        return gradient.eager(function)
    step, adjoint = _functional(function)
    options: dict[str, Any] = {"fullgraph": True, "dynamic": False}
    if resolved.device.startswith("cuda"):
        options["mode"] = "reduce-overhead"  # CUDA graphs; results are cloned, for the next replay overwrites them
        step, adjoint = torch.compile(step, **options), torch.compile(adjoint, **options)
        return Kernels(
            step=lambda *arguments: step(*arguments).clone(),
            adjoint=lambda *arguments: tuple(t.clone() for t in adjoint(*arguments)),
        )
    return Kernels(torch.compile(step, **options), torch.compile(adjoint, **options))


def forward(net: ConvNet, resolved: Resolved) -> gradient.NetworkFunction:
    """Logits of the network, its convolutions and products in bfloat16 where precision is mixed."""
    if resolved.precision == "float32":
        return net
    kind = resolved.device.partition(":")[0]

    def mixed(parameters: Tensor, images: Tensor) -> Tensor:
        with torch.autocast(kind, dtype=torch.bfloat16):
            return net(parameters, images).float()

    return mixed


def _functional(net: gradient.NetworkFunction) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The kernels of :mod:`engine.gradient` in torch.func form, which compiles as one graph."""

    def loss(parameters: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(net(parameters, images), labels)

    slope_of = torch.func.grad(loss)

    def step(parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor) -> Tensor:
        slope: Tensor = slope_of(parameters, images, labels)
        return parameters - step_size * slope

    def adjoint(
        parameters: Tensor, images: Tensor, labels: Tensor, step_size: Tensor, cotangent: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        def slope(p: Tensor, x: Tensor) -> Tensor:
            return torch.dot(cotangent, slope_of(p, x, labels))

        (by_parameters, by_images), value = torch.func.grad_and_value(slope, argnums=(0, 1))(parameters, images)
        return -step_size * by_images, -value, cotangent - step_size * by_parameters

    return step, adjoint
