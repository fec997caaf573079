"""How one process computes a run: what was resolved, tried out before it is needed, and changed aloud where it fails.

Compilation is tried aside and before its first use; where the compiler gives up, that part of the run is eager. Where a
device's memory runs out, a student step is computed in parts. Both are written to ``execution.json``, so that a resumed
run computes as this one does from then on, and said in the journal, since the run's last bits may no longer be those of
another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine import execution
from engine.compilation import CompilationFailed, aside, makes_graphs
from engine.config.schema import Config
from engine.data.prepare import RealSet
from engine.evaluation.shapes import compile_shapes, judging_shapes
from engine.events import Notice, Phase
from engine.kernels import Kernels
from engine.networks import ConvNet
from engine.objectives.batches import batch_sizes
from engine.portions import portion
from engine.record import Recorder
from engine.runs.folder import RunFolder
from engine.splitting import Splitting
from engine.stacked import emulates

PARTS = "parts"
"""Entry of execution.json: in how many parts a student step is computed since memory ran out."""


class Arithmetic:
    """A run's arithmetic in this process.

    Attributes:
        resolved: as it is now; changes where the compiler fails.
        parts: in how many parts a student step is computed; grows where memory runs out.
    """

    def __init__(self, folder: RunFolder, config: Config, resolved: execution.Resolved, record: Recorder) -> None:
        self.folder = folder
        self.config = config
        self.resolved = resolved
        self.record = record
        self.device = torch.device(resolved.device)
        self.parts = parts_of(folder)

    def recorded(self) -> dict[str, Any]:
        """How the run computes, as it is recorded."""
        split = {PARTS: self.parts} if self.parts > 1 else {}
        return self.resolved.to_dict() | split

    def warn(self) -> None:
        """Say what was asked for and cannot be had, or does not pay, here."""
        for difference in execution.differences(self.resolved):
            self.record.warn(
                f"since this run was started, {difference}: it goes on, but its bits may no longer be those of an "
                "uninterrupted run"
            )
        if emulates(self.resolved.precision, self.device):
            self.record.warn(
                "execution.precision is mixed, but this processor has no bfloat16 arithmetic: its rounding is "
                "emulated, and float32 is faster here"
            )
        if self.device.type == "cuda" and self.resolved.compile and not makes_graphs():
            self.record.warn(
                f"torch {torch.__version__} makes CUDA graphs in the main thread alone, and this run has another: its "
                "kernels are compiled without them, and slower; torch 2.14 makes them anywhere"
            )
        if self.config.execution.compile == "on" and not self.resolved.compile:
            self.record.warn(f"the run is not compiled: {self.resolved.why_eager}")

    def kernels(self, net: ConvNet) -> Kernels:
        """The student's step and its adjoint as resolved, in parts where memory ran out."""
        whole = execution.kernels(net, self.resolved)

        def portions(images: int) -> int:
            return math.ceil(images / portion(net, images, self.device))

        norm = self.config.network.norm
        return Splitting(whole, norm, self.parts, self._split, self._forgo, portions).kernels()

    def compiled_kernels(self, net: ConvNet, pixels: Tensor, labels: Tensor) -> Kernels:
        """The same, compiled for the run's batches where that was resolved.

        Args:
            pixels: synthetic images [n, c, h, w] as a student sees them; ``labels`` theirs.
        """
        kernels = self.kernels(net)
        if not self.resolved.compile:
            return kernels
        settings = self.config.objective
        sizes, steps = batch_sizes(settings, len(labels)), settings.window or settings.student_steps
        end, cotangent = (torch.zeros(net.size, device=self.device) for _ in range(2))  # two: compilers tell them apart
        size = torch.tensor(settings.step_size, device=self.device)
        keeping = kernels.keeping
        all_kept = keeping is not None and keeping.fits([max(sizes)] * steps) == steps

        def work() -> None:
            for batch in sizes:
                given = (end, pixels[:batch], labels[:batch], size)
                if keeping is not None and keeping.fits([batch]):
                    keeping.adjoint(*given, cotangent, keeping.step(*given)[1])
                if not all_kept:
                    kernels.step(*given)
                    kernels.adjoint(*given, cotangent)

        try:
            self._compile("student step and its adjoint", work)
        except CompilationFailed as error:
            self.go_eager("students", error)
            return self.kernels(net)
        return kernels

    def compile_evaluation(self, real: RealSet, net: ConvNet) -> None:
        """Compile the training step of the judging networks, where that was resolved."""
        if not self.resolved.compile_evaluation:
            return
        numerics = self.resolved.numerics("evaluation")
        shapes = judging_shapes(self.config, real.classes, net, self.device)

        def work() -> None:
            compile_shapes(shapes, real.train_images, net, numerics)

        try:
            self._compile("training step of the judging networks", work)
        except CompilationFailed as error:
            self.go_eager("evaluation", error)

    def go_eager(self, what: execution.Part, error: CompilationFailed) -> None:
        """The compiler failed: from here on this part is computed eagerly, aloud and on record."""
        bits = ""
        if self.record.resuming:
            bits = (
                ". It was compiled before: from here on its bits may no longer be those of a run that was never "
                "interrupted"
            )
        self.record.warn(f"compilation failed ({error}); the run goes on uncompiled, and slower{bits}")
        self.resolved = execution.eager(self.resolved, what, f"compilation failed: {error}")
        self.folder.write_execution(self.recorded())

    def _compile(self, what: str, work: Callable[[], object]) -> None:
        """As a phase with its time."""
        self.record.phase(Phase("compile", detail=what))
        seconds = 0.0

        def timed() -> None:
            nonlocal seconds
            began = time.perf_counter()
            work()
            seconds = time.perf_counter() - began

        aside(timed, self.record.tick, self.resolved.threads)  # a pause meanwhile is none of its time
        self.record(Notice("info", f"compiled in {seconds:.0f} s"))

    def _forgo(self) -> None:
        """Memory ran out: from here on no activations are kept."""
        self.resolved = replace(self.resolved, keep_activations=0)
        self.folder.write_execution(self.recorded())
        self.record.warn(
            "the device ran out of memory: from here on no activations of student steps are kept "
            "(execution.keep_activations), and iterations take longer. The mathematics is exact, but the run's bits "
            "may no longer be those of a run with enough memory"
        )

    def _split(self, parts: int) -> None:
        """Memory ran out: from here on a student step is computed in more parts."""
        self.parts = parts
        self.folder.write_execution(self.recorded())
        self.record.warn(
            f"the device ran out of memory: from here on the batch of a student step is computed in {parts} parts. The "
            "mathematics is exact, but its additions come in another order: from this iteration on the run's bits may "
            "no longer be those of a run with enough memory. A smaller objective.batch_size or network.width needs less"
        )


def parts_of(folder: RunFolder) -> int:
    """In how many parts a run's student steps are computed: 1 unless memory ran out before."""
    parts = folder.execution().get(PARTS, 1)
    return parts if isinstance(parts, int) and parts >= 1 else 1
