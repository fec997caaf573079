"""One process's work on a run: its phases in their order, around the distillation loop.

    data -> experts -> baselines -> compile -> distill (live evaluations, checkpoints) -> evaluate -> done

Every phase can be stopped and continued: what is finished is found again (experts and baselines in the
cache, iterations in the checkpoint), what is not is done anew from the same seeds, so that a resumed run
gives the bits of one never interrupted (on the CPU, with the same versions and threads).
"""

from __future__ import annotations

import gc
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import execution, memory, resident
from engine import labels as learned_labels
from engine.arithmetic import Arithmetic
from engine.compilation import CompilationFailed, in_precision
from engine.config.consistency import MATCH_EXPERTS
from engine.config.fields import in_vain
from engine.config.schema import CLASSES, Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet, prepare
from engine.data.sources import load
from engine.distill import Loop, root_mean_square
from engine.errors import DataError, RunDiverged
from engine.evaluation.baselines import full_set, random_selection
from engine.events import ExpertEpoch, Phase, Progress, RunStarted
from engine.experts import Trajectories, ensure
from engine.files import default_cache_dir
from engine.formation import decode, decode_labels
from engine.information.term import InformationTerm
from engine.judge import Judge
from engine.networks import ConvNet
from engine.objectives import Context, edited, registered
from engine.record import Recorder
from engine.runs import lengthening
from engine.runs.changes import changes
from engine.runs.checkpoint import Checkpoint
from engine.runs.control import StopRequested
from engine.runs.epochs import Epochs
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.state import State, initial_pixels, initial_state

_BEGUN = count()
"""Runs that this process has begun to compute."""


class Session:
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
        said = RunHistory.load(self.folder.journal_path) if self.resuming else RunHistory()
        self._announce(checkpoint, said)
        real = self._data()
        net = ConvNet(self.config.network, real.shape, real.classes)
        augment = Augment(self.config.augmentation, real.shape)
        trajectories = self._experts(real, net)
        self.arithmetic.compile_evaluation(real, net)
        numerics = self.arithmetic.resolved.numerics("evaluation")
        judge = Judge(self.config, real, net, augment, self.folder, self.record, self.cache_dir, numerics)
        self._baselines(real, net, augment, trajectories, said)
        del said  # it is as long as the run
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
        """Earlier runs of this process take no more memory than must be, and their peaks are none of this run's."""
        if self.earlier:
            gc.collect()
            resident.give_back()
        resident.reset_peak()
        if self.device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(self.device)
        self.record.status.memory = self.record.memory_of(self.device)

    def _announce(self, checkpoint: Checkpoint | None, before: RunHistory) -> None:
        from engine import __version__

        state = checkpoint.state if checkpoint is not None else {}
        if (longer := lengthening.untold(self.folder, self.config, before)) is not None:
            lengthening.mark(self.folder)
            self.record(longer)
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
        if before.started is None:  # once, however often it is taken up
            for line in in_vain(changes(self.folder), self.config):
                self.record.warn(line)
        self.arithmetic.warn()
        if said := edited(self.config.objective.name, self.arithmetic.resolved.code):
            self.record.warn(f"since this run was started, {said}: it goes on, and is no longer what either code gives")
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
                clock=self.record.control.working_time,
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

    def _baselines(
        self, real: RealSet, net: ConvNet, augment: Augment, trajectories: Trajectories, said: RunHistory
    ) -> None:
        """Those that the run's journal has not said: of a run that is taken up they stand in it once."""
        settings = self.config.evaluation
        if said.full_set is None:
            whole = full_set(trajectories).event("full_set", 0, "none")
            less = self.config.data.train_limit or self.config.data.validation
            used = len(real.train_images) if less else None
            self.record(replace(whole, train_images=used))
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
            clock=self.record.control.working_time,
        )
        self.record(replace(score.event("random_selection", 0, "none"), labelled=teacher is not None))

    def _warming_up(self) -> None:
        """Before each step of the critic's training that the first iteration waits for."""
        self.record.tick()
        self.record.progress(Progress("distill", 0, self.config.objective.iterations, "warming up the critic"))

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
                config.information, net, real, shown, augment, config.seed, self.device, self._warming_up
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
            objective=registered(config.objective.name)(context),
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
