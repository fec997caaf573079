"""What happens between iterations: live evaluations, the choice of the best iterate, pictures, distilled sets, and when
checkpoints are written (``saving.py``); and at the end the numbers a run is known by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.artifact import DistilledSet
from engine.budget import live_every, live_share
from engine.config.schema import Config
from engine.config.selection import measured_live, selected_on
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.distill import Loop
from engine.errors import RunDiverged, RunFailed
from engine.evaluation.evaluate import Score, evaluate_on
from engine.events import Iteration, Notice, Progress, Recovered, Snapshot
from engine.export import write_grid
from engine.files import write_npy
from engine.networks import ConvNet
from engine.record import Recorder
from engine.recovery import Diverged, Failures, exhausted
from engine.runs.folder import RunFolder
from engine.saving import Saves
from engine.state import Best, State


def _nothing() -> None:
    return None


class Judge:
    """The hooks of a run's loop, and its conclusion."""

    def __init__(
        self,
        config: Config,
        real: RealSet,
        net: ConvNet,
        augment: Augment,
        folder: RunFolder,
        record: Recorder,
        cache_dir: Path,
        execution: Mapping[str, Any],
    ) -> None:
        self.config = config
        self.real = real
        self.net = net
        self.augment = augment
        self.folder = folder
        self.execution = execution
        self.record = record
        self.cache_dir = cache_dir
        self.loop: Loop | None = None
        self.saves = Saves(config, folder, record)
        self._pictured = -1
        self._every = live_every(config)
        self._measured = self._networks = 0  # of the final evaluation: iterates that are done, networks in all
        self._asked = False  # for an evaluation that is being made
        self._failures = Failures()
        self._behind = False  # the sets on the disk are not those of the newest checkpoint: a kill, or the disk refused
        self._examine: Callable[[], None] = _nothing

    def attach(self, loop: Loop, *, resumed: int | None = None, examine: Callable[[], None] | None = None) -> None:
        """Give the judge the loop whose state it saves.

        Args:
            loop: of the run.
            resumed: iteration of the checkpoint the run continues from: what was said and kept of it stands.
            examine: called before the run goes back; raises where the fault cannot be cured by smaller rates.
        """
        self.loop = loop
        self._examine = examine or _nothing
        if self._every > self.config.evaluation.every and resumed is None:
            self.record(Notice("info", self._rarer()))
        self.saves.attach(loop, resumed)
        if resumed is not None:
            if self.folder.snapshot_path(resumed).exists():
                self._pictured = resumed
            self._behind = self.folder.held("last") != resumed

    def _rarer(self) -> str:
        """What is said where live evaluations are fewer than asked for."""
        asked, share, taken = self.config.evaluation.every, self.config.evaluation.share, live_share(self.config)
        text = (
            f"live evaluations come every {self._every} iterations, not every {asked}, "
            f"to take at most {100 * share:g} % of what the run computes (evaluation.share)"
        )
        if taken > share:
            text += f"; those of the first and the last iterate, which are always made, take {100 * taken:.0f} %"
        return text

    # -- hooks of the loop ------------------------------------------------------------------------

    def before(self, state: State) -> None:
        """Between iterations: picture, evaluation, checkpoint, each where due or asked for; then listen."""
        if self._due(self.config.execution.snapshot_every, state) and self._pictured != state.iteration:
            self._picture(state)
        if self._due(self._every, state) and state.evaluated < state.iteration:
            self._stands(state, "evaluating")
            self._evaluate_live(state)
            self._stands(state)
        if self.record.control.take("evaluate"):
            self._asked = True
            self._stands(state, "evaluating")
            self._evaluate_on_request(state)
            self._stands(state)
            self._asked = False
        if self.saves.if_due(state) or (self._behind and state.iteration == self.saves.at):
            self._attempt_sets(state)
        self.record.tick()

    def _stands(self, state: State, busy: str = "") -> None:
        """Tell that no iteration is made for a while, and what is done instead; or that it is over."""
        self.record.progress(Progress("distill", state.iteration, self.config.objective.iterations, busy))

    def metrics(self, event: Iteration) -> None:
        """Tell of an iteration."""
        self.record(event)
        self.record.progress(Progress("distill", event.iteration, self.config.objective.iterations))

    def warn(self, message: str) -> None:
        """A warning for the log."""
        self.record.warn(message)

    def recover(self, state: State, fault: Diverged) -> None:
        """Go back to the last checkpoint that was due, to go on from there with smaller rates.

        Raises:
            RunDiverged: it cannot be cured so, or the run went back as often as it may or as can help.
            DataError: no checkpoint is whole.
        """
        settings = self.config.execution
        self._examine()
        assert self.loop is not None
        futile = self._failures.add(fault, state)
        if futile or state.recoveries >= settings.recoveries:
            raise exhausted(fault, state.recoveries, self.loop.levers, self._failures, futile=futile) from fault
        failed, recoveries = state.iteration + 1, state.recoveries + 1
        found = self.saves.back()
        if found is None:
            raise RunDiverged(f"{fault}; there is no checkpoint to go back to: begin the run anew") from fault
        tensors, document = found
        vars(state).update(vars(State.restore(tensors, document, state.pixels.device)))
        state.recoveries = recoveries
        if self.loop.term is not None:
            self.loop.term.restore(tensors)
        rates = settings.recovery_factor**recoveries
        self.record(Recovered(state.iteration, failed, recoveries, settings.recoveries, rates, str(fault)))
        if self.saves.attempt(state, due=True):  # so that a run taken up from here knows of the smaller rates
            self._attempt_sets(state)

    def _due(self, every: int, state: State) -> bool:
        last = state.iteration == self.config.objective.iterations
        return every > 0 and (state.iteration % every == 0 or last)

    # -- evaluation -------------------------------------------------------------------------------

    def _evaluate_live(self, state: State) -> None:
        chosen_on = selected_on(self.config)
        places = ("validation", "test") if chosen_on == "validation" else ("test",)
        score, *tested = self._scores(state, ("live", state.iteration), places, live=True)
        best = self._better(state.best, state, score)
        # Of a run begun before test images were measured too, the earlier ones are not known: then nothing is claimed.
        known = state.best is None or state.tested is not None
        test_best = self._better(state.tested, state, tested[0]) if tested and known else None
        better = best is not state.best
        state.best, state.tested, state.evaluated = best, test_best, state.iteration
        self._say("live", state.iteration, score, chosen_on, best=better)
        for each in tested:
            self._say("live_on_test", state.iteration, each, "none")

    @staticmethod
    def _better(best: Best | None, state: State, score: Score) -> Best:
        """The better of the best iterate so far and the present one, of equals the earlier."""
        if best is not None and score.mean <= best.accuracy:
            return best
        return Best.of(state, score.mean)

    def _evaluate_on_request(self, state: State) -> None:
        """Does not take part in choosing the best iterate, so that watching a run never changes its result."""
        score = self._score(state, ("request", state.iteration), measured_live(self.config), live=True)
        self._say("request", state.iteration, score, "none")

    def _score(self, iterate: State | Best, purpose: tuple[str | int, ...], on: str, *, live: bool) -> Score:
        return self._scores(iterate, purpose, (on,), live=live)[0]

    def _scores(
        self, iterate: State | Best, purpose: tuple[str | int, ...], places: Sequence[str], *, live: bool
    ) -> list[Score]:
        settings = self.config.evaluation
        assert self.loop is not None
        return evaluate_on(
            places,
            *self.loop.decoded(iterate.pixels, iterate.labels),
            iterate.step_size,
            net=self.net,
            real=self.real,
            protocol=settings.live_protocol if live else settings.protocol,
            networks=settings.live_networks if live else settings.networks,
            augment=self.augment,
            seed=self.config.seed,
            purpose=purpose,
            tick=self.record.tick,
            progress=None if live else self._final_progress,
            clock=self.record.control.working_time,
            execution=self.execution,
        )

    def _final_progress(self, done: int, total: int) -> None:
        """Of the iterates measured so far and this one."""
        before = self._measured * total
        self.record.progress(Progress("evaluate", before + done, max(self._networks, before + total)))

    def _say(self, subject: str, iteration: int, score: Score, chosen_on: str, *, best: bool = False) -> None:
        self.record(score.event(subject, iteration, chosen_on, best=best))

    # -- pictures and checkpoints -----------------------------------------------------------------

    def _picture(self, state: State) -> None:
        made = self._set(state)
        path, labels = self.folder.snapshot_path(state.iteration), self.folder.labels_path(state.iteration)
        self._pictured = state.iteration
        try:
            if made.soft:
                write_npy(labels, made.labels.numpy(), durable=False)
            write_npy(path, made.preview(), durable=False)
        except RunFailed as error:
            self.record.warn(f"no picture of iteration {state.iteration} was written: {error}; the run goes on")
            return
        self.record(
            Snapshot(
                iteration=state.iteration,
                pixels=str(path.relative_to(self.folder.path)),
                classes=self.real.classes,
                images_per_class=self.config.synthetic.images_per_class,
                contrast="clipped to 0..1",
                labels=self.folder.relative(labels) if made.soft else "",
            )
        )

    def stopped(self, state: State) -> None:
        """Save the state, unless it is saved already, and the sets that stand in it.

        A stop in the middle of an iteration finds the state as it was before it.
        """
        if self._asked:
            self.record.control.request("evaluate")  # it was taken, and not made
        self.record.control.take("checkpoint")  # the state that a stop leaves answers it
        if state.iteration != self.saves.at:
            self._behind = True
            self.saves.at_a_stop(state)
        if self._behind:
            self._write_sets(state)

    def _set(self, iterate: State | Best) -> DistilledSet:
        assert self.loop is not None
        return DistilledSet(
            pixels=iterate.pixels.detach().cpu(),
            labels=self.loop.targets(iterate.labels).cpu(),
            step_size=iterate.step_size,
            transform=self.real.transform.to("cpu"),
            formation=self.config.synthetic.formation,
            classes=self.real.classes,
            class_names=self.real.class_names,
            network=self.config.network.model_dump(),
            protocol=self.config.evaluation.protocol,
            provenance={
                "run": self.folder.name,
                "iteration": iterate.iteration,
                "seed": self.config.seed,
                "data": self.real.fingerprint,
                "config": self.config.model_dump(),
                "torch": str(torch.__version__),
            },
        )

    def _attempt_sets(self, state: State) -> None:
        """The sets that go with a checkpoint; the next one brings others where the disk refuses them."""
        try:
            self._write_sets(state)
        except RunFailed as error:
            self.record.warn(
                f"the distilled sets of iteration {state.iteration} were not written: {error}; the run goes on and "
                "writes them with the next checkpoint"
            )

    def _write_sets(self, state: State) -> None:
        """The best and the last iterate as artifacts with their pictures."""
        self._behind = True
        for name, chosen in (("best", self._set(self._best(state))), ("last", self._set(state))):
            chosen.save(self.folder.distilled_path(name), cache_dir=self.cache_dir)
            write_grid(chosen, self.folder.distilled_path(name).with_suffix(".png"))
        self._behind = False

    def _best(self, state: State) -> Best:
        if selected_on(self.config) != "none" and state.best is not None:
            return state.best
        return Best.of(state, math.nan)

    # -- the end ----------------------------------------------------------------------------------

    def _final(self, state: State) -> dict[str, tuple[Best, str]]:
        """What is measured at the end: by its subject an iterate, and which images chose it."""
        found: dict[str, tuple[Best, str]] = {
            "best": (self._best(state), selected_on(self.config)),
            "last": (Best.of(state, math.nan), "none"),
        }
        return found | ({} if state.tested is None else {"best_on_test": (state.tested, "test")})

    def final_networks(self, state: State) -> int:
        """Networks the final evaluation trains."""
        return self.config.evaluation.networks * len({best.iteration for best, _ in self._final(state).values()})

    def conclude(self, state: State) -> None:
        """Measure the chosen iterates and the last one by the final protocol on the test images, each once."""
        self._write_sets(state)
        scores: dict[int, Score] = {}
        self._measured, self._networks = 0, self.final_networks(state)
        for subject, (chosen, chosen_on) in self._final(state).items():
            if chosen.iteration not in scores:
                scores[chosen.iteration] = self._score(chosen, ("final",), "test", live=False)
                self._measured = len(scores)
            self._say(subject, chosen.iteration, scores[chosen.iteration], chosen_on)
        if selected_on(self.config) == "test":
            text = (
                "the best iterate was chosen on the test images (data.validation is 0), as most published numbers are"
            )
            apart = "; its accuracy is optimistic, the last iterate's is not" if len(scores) > 1 else ""
            self.record(Notice("info", text + apart))
