"""Derivatives as compiled functions, and compiling without keeping anybody waiting.

A compiled function is made once for a layout, a precision and a kind of device, and compiles itself for each shape it
meets; ``torch.compile`` keeps its products on disk, so that the next run starts in seconds. Kernels of other make
give other last bits: whoever caches results keeps in the key that they were compiled.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from engine.config.schema import Network
from engine.errors import MimError
from engine.kernels import FirstDerivative, KeepingFirst, KeptSecond, SecondDerivative
from engine.networks import ConvNet
from engine.networks.derivatives import Derivatives

T = TypeVar("T")
POLL_SECONDS = 0.2
SHAPES = 64
"""Shapes that one function may be compiled for in a process; beyond torch's own 8 it would fail. Batches and kinds of
labels make some ten in a run."""


GRAPHS_IN_THREADS = (2, 14)
"""The torch whose CUDA graphs are made in any thread: before, only in the main one, which first imported them."""


class CompilationFailed(MimError):
    """The compiler gave up; whoever asked computes eagerly instead, and says so."""


def narrow_arithmetic() -> str:
    """The processor's bfloat16 instructions in use by torch, "amx" or "avx512_bf16"; empty where it has none, so that
    float32 is faster."""
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return ""
    except AttributeError:  # a torch without oneDNN, as on Apple's processors
        return ""
    if torch.cpu._is_amx_tile_supported():
        return "amx"
    return "avx512_bf16" if getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)() else ""


def in_precision(net: ConvNet, precision: str, device: str | torch.device) -> Derivatives:
    """A network's derivatives in a run's precision: bfloat16 is emulated on a processor that has none."""
    emulated = torch.device(device).type == "cpu" and not narrow_arithmetic()
    return Derivatives(net, operand_type(precision), emulated=emulated)


def operand_type(precision: str) -> torch.dtype | None:
    """Type of the convolutions' operands: bfloat16 in mixed precision, None for that of the parameters."""
    return torch.bfloat16 if precision == "mixed" else None


def first(net: ConvNet, precision: str, device: str) -> FirstDerivative:
    """The compiled first derivative; the same object for the same layout, so that each shape is compiled once."""
    return _first(net.network, net.shape, net.classes, precision, device)


def second(net: ConvNet, precision: str, device: str) -> SecondDerivative:
    """The compiled second derivative, likewise."""
    return _second(net.network, net.shape, net.classes, precision, device)


def first_keeping(net: ConvNet, precision: str, device: str) -> KeepingFirst:
    """The compiled first derivative that gives its activations, likewise."""
    return _first_keeping(net.network, net.shape, net.classes, precision, device)


def second_of_kept(net: ConvNet, precision: str, device: str) -> KeptSecond:
    """The compiled second derivative that takes them, likewise."""
    return _second_of_kept(net.network, net.shape, net.classes, precision, device)


@lru_cache(maxsize=8)
def _first(network: Network, shape: tuple[int, int, int], classes: int, precision: str, device: str) -> FirstDerivative:
    return compiled(in_precision(ConvNet(network, shape, classes), precision, device).first, device)


@lru_cache(maxsize=8)
def _second(
    network: Network, shape: tuple[int, int, int], classes: int, precision: str, device: str
) -> SecondDerivative:
    return compiled(in_precision(ConvNet(network, shape, classes), precision, device).second, device)


@lru_cache(maxsize=8)
def _first_keeping(
    network: Network, shape: tuple[int, int, int], classes: int, precision: str, device: str
) -> KeepingFirst:
    return compiled(in_precision(ConvNet(network, shape, classes), precision, device).first_keeping, device)


@lru_cache(maxsize=8)
def _second_of_kept(
    network: Network, shape: tuple[int, int, int], classes: int, precision: str, device: str
) -> KeptSecond:
    return compiled(in_precision(ConvNet(network, shape, classes), precision, device).second_of_kept, device)


def makes_graphs() -> bool:
    """Whether CUDA graphs can be made in this thread by this torch."""
    return _graphs_anywhere() or threading.current_thread() is threading.main_thread()


def _graphs_anywhere() -> bool:
    release = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    return release >= GRAPHS_IN_THREADS


def loaded() -> bool:
    """Whether torch's compiler is there, which takes seconds to load: what computes eagerly has no need of it."""
    return "torch._dynamo" in sys.modules


def allow_shapes() -> None:
    """Let a function be compiled for ``SHAPES`` shapes in this thread: torch's settings are a thread's own."""
    torch._dynamo.config.recompile_limit = SHAPES


def compiled(function: Callable[..., Any], device: str) -> Callable[..., Any]:
    """A function of tensors compiled whole for each shape it meets, without a graph for differentiation; for CUDA as
    CUDA graphs, where this thread can make them."""
    allow_shapes()
    options: dict[str, Any] = {"fullgraph": True, "dynamic": False}
    if device.startswith("cuda"):  # TF32 is left out on purpose: float32 is float32
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
    else:  # with CUDA_HOME set, compiling would warn of a card that nothing here looks for
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if not device.startswith("cuda") or not makes_graphs():
        return torch.no_grad()(torch.compile(function, **options))
    fast = torch.compile(function, mode="reduce-overhead", **options)

    @torch.no_grad()
    def copied(*arguments: Any) -> Any:
        return _cloned(fast(*arguments))  # the next replay overwrites what this one gives

    return copied


def _cloned(found: Any) -> Any:
    """Tensors, or tuples and lists of them, copied."""
    if isinstance(found, Tensor):
        return found.clone()
    return type(found)(_cloned(each) for each in found)


def aside(work: Callable[[], T], tick: Callable[[], None], threads: int) -> T:
    """Do ``work`` in a thread of its own and return its result, calling ``tick`` five times a second: a stop that
    ``tick`` raises leaves the compiler to end by itself. CUDA graphs that only this thread can make are made in it; a
    stop waits for them.

    Args:
        threads: torch's threads, which are a thread's own setting and decide what is compiled.

    Raises:
        CompilationFailed: ``work`` raised anything.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            torch.set_num_threads(threads)
            allow_shapes()
            results.append(work())
        except BaseException as error:
            failures.append(error)

    if torch.cuda.is_initialized() and not _graphs_anywhere():  # type: ignore[no-untyped-call]
        body()
    else:
        thread = threading.Thread(target=body, name="compile", daemon=True)
        thread.start()
        while thread.is_alive():
            tick()
            thread.join(POLL_SECONDS)
    if failures:
        told = str(failures[0]).strip().splitlines() or [type(failures[0]).__name__]
        raise CompilationFailed(told[0]) from failures[0]
    return results[0]
