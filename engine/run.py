"""A run from configuration to result: the phases in their order, around the distillation loop.

    data -> experts -> baselines -> compile -> distill (live evaluations, checkpoints) -> evaluate -> done

Every phase can be stopped and continued: what is finished is found again (experts and baselines in the
cache, iterations in the checkpoint), what is not is done anew from the same seeds, so that a resumed run
gives the bits of one never interrupted (on the CPU, with the same versions and threads).
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import execution, memory
from engine import labels as learned_labels
from engine.arithmetic import Arithmetic
from engine.compilation import CompilationFailed, in_precision
from engine.config.consistency import MATCH_EXPERTS
from engine.config.load import Resolved as Chosen
from engine.config.schema import CLASSES, Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.distill import Loop, State, initial_pixels, initial_state, root_mean_square
from engine.errors import DataError, MimError, RunDiverged
from engine.evaluation.baselines import full_set, random_selection
from engine.events import Evaluation, ExpertEpoch, Observer, Phase, Progress, RunStarted
from engine.experts.store import Trajectories, ensure
from engine.files import default_cache_dir
from engine.formation import decode, decode_labels
from engine.information.term import InformationTerm
from engine.judge import Judge
from engine.networks import ConvNet
from engine.objectives import OBJECTIVES, Context
from engine.record import Recorder
from engine.runs.changes import changes
from engine.runs.checkpoint import Checkpoint, latest
from engine.runs.control import Control, StopRequested
from engine.runs.epochs import Epochs
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.plain import fits, hints

_BEGUN = count()
"""Runs that this process has begun to compute."""


def start(
    config: Config | Chosen,
    *,
    runs_dir: Path,
    name: str | None = None,
    preset: str | None = None,
    origins: Mapping[str, str] | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    observer: Observer | None = None,
    control: Control | None = None,
) -> dict[str, Any]:
    """Run a configuration in a new run folder and return its result document (``engine.runs.result``).

    Args:
        config: the whole run; what ``resolve`` gave knows preset and origins too.
        runs_dir: where the run folder is made, named ``name`` or after preset and time.
        preset: what the configuration came from, for the record: a preset, or a file as ``resolve`` says it.
        origins: where each value came from, for the record.
        data_dir: where data sets are found and downloaded to; MIM4DD_DATA_DIR or the user's cache.
        cache_dir: experts, baselines and whitening shared by runs; MIM4DD_CACHE_DIR or the user's cache.
        observer: hears every event on this thread.
        control: pause, resume, stop, checkpoint and evaluate requests.

    Raises:
        MimError: a subclass says what kind; the run folder is left resumable where it exists.
    """
    if isinstance(config, Chosen):
        preset, origins, config = preset or config.preset, origins or config.origins, config.config
    resolved = execution.resolve(config)
    if resolved.device == "cpu":
        memory.require(config)
    folder = RunFolder.create(
        runs_dir, name, config, preset=preset, origins=dict(origins or {}), execution=resolved.to_dict()
    )
    return _run(folder, resolved, data_dir, cache_dir, observer, control, resuming=False)


def resume(
    path: Path,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    observer: Observer | None = None,
    control: Control | None = None,
) -> dict[str, Any]:
    """Continue a run from its last checkpoint (or from its beginning where there is none).

    A run that is done gives its result at once. Arguments and errors as :func:`start`.
    """
    folder = RunFolder.open(path)
    finished = folder.result()
    if finished is not None and finished.get("state") == "done":
        return finished
    if not (folder.execution_path.exists() or folder.journal_path.exists()):  # it waited in a queue and never began
        folder.write_execution(execution.resolve(folder.config()).to_dict())
    resolved = _recorded(folder)
    execution.require_device(resolved)
    return _run(folder, resolved, data_dir, cache_dir, observer, control, resuming=True)


def _recorded(folder: RunFolder) -> execution.Resolved:
    """How a run computes, as it was recorded when it began.

    Raises:
        DataError: the record is missing, damaged or incomplete.
    """
    values = folder.execution()
    for name, hint in hints(execution.Resolved):
        if name in values and not fits(values[name], hint):
            raise DataError(f"{folder.execution_path}: {name} is {values[name]!r}: the file is damaged; {folder.anew}")
    try:
        return execution.Resolved.from_dict(values)
    except TypeError as error:
        raise DataError(f"{folder.execution_path}: incomplete ({error}); {folder.anew}") from None


def _run(
    folder: RunFolder,
    resolved: execution.Resolved,
    data_dir: Path | None,
    cache_dir: Path | None,
    observer: Observer | None,
    control: Control | None,
    *,
    resuming: bool,
) -> dict[str, Any]:
    """Hold the run, go through its phases, and end it in words whatever happens."""
    control = control or Control()
    with Recorder(folder, observer, control, resuming=resuming) as record:
        try:
            # Read while the run is held: before, another process may still be writing a newer one.
            checkpoint = latest(folder.path) if resuming else None
            return _Session(folder, resolved, record, data_dir, cache_dir).go(checkpoint)
        except StopRequested:
            return record.end("stopped", "stopped on request")
        except MimError as error:
            record.failed(str(error), diverged=isinstance(error, RunDiverged))
            raise
        except torch.OutOfMemoryError as error:
            message = (
                "the device ran out of memory: lower execution.keep_activations, objective.batch_size, "
                "information.real_batch or network.width, or choose another execution.device"
            )
            record.failed(message)
            raise MimError(message) from error
        except BaseException as error:
            if isinstance(error, RuntimeError) and "alloc" in str(error):  # how torch says it on the CPU
                message = f"this machine has not enough memory: lower {memory.estimate(folder.config()).advice}"
                record.failed(message)
                raise MimError(message) from error
            record.failed(f"{type(error).__name__}: {error}")
            raise


class _Session:
    """One process's work on a run."""

    def __init__(
        self,
        folder: RunFolder,
        resolved: execution.Resolved,
        record: Recorder,
        data_dir: Path | None,
        cache_dir: Path | None,
    ) -> None:
        self.folder = folder
        self.config = folder.config()
        self.record = record
        self.arithmetic = Arithmetic(folder, self.config, resolved, record)
        self.data_dir = data_dir
        self.cache_dir = cache_dir or default_cache_dir()
        self.device = torch.device(resolved.device)
        self.resuming = record.resuming
        self._epochs = Epochs()
        self.earlier = next(_BEGUN)

    def go(self, checkpoint: Checkpoint | None) -> dict[str, Any]:
        """All phases."""
        execution.settle(self.arithmetic.resolved)
        self._clear()
        self._announce(checkpoint)
        real = self._data()
        net = ConvNet(self.config.network, real.shape, real.classes)
        augment = Augment(self.config.augmentation, real.shape)
        trajectories = self._experts(real, net)
        self.arithmetic.compile_evaluation(real, net)
        numerics = self.arithmetic.resolved.numerics("evaluation")
        judge = Judge(self.config, real, net, augment, self.folder, self.record, self.cache_dir, numerics)
        self._baselines(real, net, augment, trajectories)
        loop, state = self._prepared(checkpoint, real, net, augment, trajectories, judge)
        judge.attach(
            loop,
            resumed=checkpoint.iteration if checkpoint is not None else None,
            examine=lambda: self._examine(trajectories),
        )
        self.record.phase(Phase("distill", total=self.config.objective.iterations))
        try:
            loop.run(state)
        except StopRequested:
            judge.stopped(state)
            raise
        self.record.phase(Phase("evaluate", total=judge.final_networks(state)))
        judge.conclude(state)
        return self.record.end("done", "")

    def _clear(self) -> None:
        """Earlier runs of this process take no more memory than must be, and none of the peak read on a card."""
        if self.earlier:
            gc.collect()
            memory.give_back()
        if self.device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(self.device)

    def _announce(self, checkpoint: Checkpoint | None) -> None:
        from engine import __version__

        state = checkpoint.state if checkpoint is not None else {}
        self.record.started(
            RunStarted(
                run=self.folder.name,
                preset=self.folder.preset(),
                seed=self.config.seed,
                classes=CLASSES[self.config.data.name],
                iterations=self.config.objective.iterations,
                host=self.record.host,
                pid=self.record.pid,
                version=__version__,
                execution=self.arithmetic.recorded(),
                resumed_from=checkpoint.iteration if checkpoint is not None else None,
                after_sequence=state.get("journal") if checkpoint is not None else None,
                changes=changes(self.folder),
                earlier=self.earlier,
                again=self.record.journal.sequence > 0,
            )
        )
        self.arithmetic.warn()
        if checkpoint is not None:
            self.record.passed_over(checkpoint)
        if self.device.type == "cpu" and (caution := memory.caution(self.config)):
            self.record.warn(caution)

    def _data(self) -> RealSet:
        self.record.phase(Phase("data", detail=self.config.data.name))

        def progress(what: str, done: int, total: int | None) -> None:
            self.record.progress(Progress("data", done, total, what))

        raw = load(self.config.data.name, self.data_dir, progress=progress, tick=self.record.tick)
        real = prepare(
            raw,
            self.config.data,
            seed=self.config.experts.seed,
            # Set apart with the term switched off too: a run at weight 0 starts from the same images as its pair.
            readout=self.config.information.readout,
            device=self.device,
            cache_dir=self.cache_dir,
        )
        for note in real.notes:
            self.record.warn(note)
        return real

    def _experts(self, real: RealSet, net: ConvNet) -> Trajectories:
        settings = self.config.experts
        self.record.phase(Phase("experts", total=settings.count * settings.epochs))

        def work() -> Trajectories:
            return ensure(
                self.config,
                real,
                net,
                cache_dir=self.cache_dir,
                execution=self.arithmetic.resolved.numerics("experts"),
                observer=self._expert_event,
                tick=self.record.tick,
            )

        try:
            return work()
        except CompilationFailed as error:
            self.arithmetic.go_eager("experts", error)
            return work()

    def _expert_event(self, event: Any) -> None:
        self.record(event)
        if isinstance(event, ExpertEpoch):
            self.record.progress(self._epochs.after(event))

    def _baselines(self, real: RealSet, net: ConvNet, augment: Augment, trajectories: Trajectories) -> None:
        settings = self.config.evaluation
        # A run that is taken up has said them before: they stand in its journal once.
        said = RunHistory.load(self.folder.journal_path) if self.resuming else RunHistory()
        if said.full_set is None:
            self.record(_evaluated("full_set", 0, full_set(trajectories), "none"))
        if settings.random_draws == 0 or said.random_selection is not None:
            return
        total = settings.random_draws * settings.random_networks
        teacher, detail = None, "random real images"
        if self.config.synthetic.labels == learned_labels.SOFTMAX:
            teacher, detail = _teacher(self.config, trajectories), f"{detail}, labelled by an expert"
        self.record.phase(Phase("baselines", total=total, detail=detail))
        score = random_selection(
            self.config,
            real,
            net,
            augment=augment,
            cache_dir=self.cache_dir,
            execution=self.arithmetic.resolved.numerics("evaluation"),
            teacher=teacher,
            tick=self.record.tick,
            progress=lambda done, of: self.record.progress(Progress("baselines", done, of)),
        )
        self.record(_evaluated("random_selection", 0, score, "none"))

    def _prepared(
        self,
        checkpoint: Checkpoint | None,
        real: RealSet,
        net: ConvNet,
        augment: Augment,
        trajectories: Trajectories,
        judge: Judge,
    ) -> tuple[Loop, State]:
        """The loop and its state, new or restored; compiled where that was resolved."""
        config = self.config
        pixels, labels = initial_pixels(config, real)
        term = None
        if config.information.weight > 0:
            shown = decode_labels(labels, config.synthetic.formation)
            term = InformationTerm(
                config.information, net, real, shown, augment, config.seed, self.device, self.record.tick
            )
        factor, kind = config.synthetic.formation, config.synthetic.labels

        def seen() -> Tensor:
            with torch.no_grad():
                return net(_teacher(config, trajectories), decode(pixels, factor))

        learned = learned_labels.initial(kind, labels, real.classes, seen)
        state = initial_state(config, pixels, learned)
        if checkpoint is not None:
            state = State.restore(checkpoint.tensors, checkpoint.state, self.device)
            if state.pixels.shape != pixels.shape or (state.labels is None) != (kind == learned_labels.HARD):
                raise DataError(f"{checkpoint.path}: the synthetic set does not fit the run's configuration")
            if term is not None:
                term.restore(checkpoint.tensors)
        targets = labels if learned is None else learned_labels.targets(kind, learned)
        kernels = self.arithmetic.compiled_kernels(net, decode(pixels, factor), decode_labels(targets, factor))
        if learned is not None:
            resolved = self.arithmetic.resolved
            exact = in_precision(net, resolved.precision, resolved.device)
            kernels = replace(kernels, turned=learned_labels.turning(exact))
        # Of batches of other sizes than the student's, so never worth compiling for each.
        slopes = execution.derivatives(net, self.arithmetic.resolved, compiled=False)
        context = Context(config, real, net, trajectories, augment, kernels, self.device, self.record.tick, slopes)
        return Loop(
            config=config,
            objective=OBJECTIVES[config.objective.name](context),
            term=term,
            labels=labels,
            classes=real.classes,
            hooks=judge,
            memory=self.record.memory_of(self.device),
            start=root_mean_square(pixels),
            clock=self.record.control.working_time,
        ), state

    def _examine(self, trajectories: Trajectories) -> None:
        """Refuse experts that cannot be matched: no smaller rate would help.

        Raises:
            RunDiverged: an expert did not move over a stretch the objective draws.
        """
        settings = self.config.objective
        if settings.name not in MATCH_EXPERTS:
            return
        still = trajectories.still(settings.max_start_epoch, settings.expert_epochs)
        if still is not None:
            expert, epoch = still
            raise RunDiverged(
                f"expert {expert + 1} did not move from epoch {epoch} to {epoch + settings.expert_epochs}, so that the "
                "distance to be matched is zero and the objective divides by it: raise experts.learning_rate, choose "
                "another network.norm if its training is stuck, or leave such epochs out by objective.max_start_epoch"
            )


def _teacher(config: Config, trajectories: Trajectories) -> Tensor:
    """The expert that soft labels start from, parameters [size]."""
    return trajectories.parameters(0, config.experts.epochs)


def _evaluated(subject: str, iteration: int, score: Any, selected_on: str) -> Evaluation:
    """An evaluation event of a score."""
    return Evaluation(
        iteration=iteration,
        subject=subject,
        protocol=score.protocol,
        mean=score.mean,
        std=score.std,
        accuracies=list(score.accuracies),
        selected_on=selected_on,
        measured_on=score.measured_on,
        seconds=score.seconds,
    )
