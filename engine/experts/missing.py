"""The experts of a configuration: those that the cache lacks are trained and put there.

On a GPU experts are trained side by side; where they are not compiled, their last bits depend on their company too.
One process at a time works on a key; others wait.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from engine import trained
from engine.compilation import aside
from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.errors import RunDiverged, RunFailed
from engine.events import ExpertEpoch, Notice, Observer
from engine.experts.store import Store, Trajectories, key_of, provenance
from engine.experts.train import Expert, train_experts
from engine.files import disk_error, read_json_object, remove_abandoned, write_json
from engine.networks import ConvNet
from engine.stacked import gradient_function, together
from engine.training import accuracy, warm_batch

PARTIAL_SECONDS = 15.0
"""A partial file is written at most this often: a kill costs no more work than that, and an epoch."""


def ensure(
    config: Config,
    real: RealSet,
    net: ConvNet,
    *,
    cache_dir: Path,
    execution: Mapping[str, Any],
    observer: Observer,
    tick: Callable[[], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Trajectories:
    """The experts a configuration asks for: found in the cache, or trained and put there.

    A missing, truncated or changed trajectory is trained again, with a notice. Test accuracy is measured
    once, after the last epoch. What a killed process left half-written anywhere in the cache is removed.

    Args:
        clock: seconds, for what an epoch took: a pause is none of it.

    Raises:
        RunFailed: an expert's loss is not a number; the message says which rate to lower.
        StopRequested: through ``tick``; finished epochs are kept and taken up again.
    """
    document = provenance(config, real, net, execution)
    store = Store(cache_dir / "experts" / key_of(document))
    work = _Work(config, real, net, store, execution, observer, tick, clock)
    for shared in (cache_dir, *cache_dir.glob("*"), *cache_dir.glob("*/*")):
        remove_abandoned(shared)
    with _held(store.folder / "lock", observer, tick):
        if read_json_object(store.folder / "provenance.json") != document:
            write_json(store.folder / "provenance.json", document)
        with suppress(RunFailed):  # only estimates read it: experts that are all there need no room on the disk
            trained.note(store.folder, config)
        seals = work.experts()
    files = [store.path(number) for number in range(config.experts.count)]
    accuracies = [float(seal["test_accuracy"]) for seal in seals]
    return Trajectories(files, config.experts.epochs, accuracies, real.train_images.device)


@contextmanager
def _held(path: Path, observer: Observer, tick: Callable[[], None]) -> Iterator[None]:
    """Holds a key's lock; waits for another process with a notice and a live ``tick``."""
    lock = FileLock(path)
    waiting = False
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:  # an OSError too, so it comes first
            if not waiting:
                observer(Notice("info", "another run is training the same experts; waiting for it"))
            waiting = True
            tick()
        except OSError as error:
            raise disk_error(error, path) from error
    try:
        yield
    finally:
        lock.release()


def at_once(net: ConvNet, batch: int, device: torch.device) -> int:
    """How many experts are trained side by side: on a CPU one, whose bits are the same in a buffer of any number."""
    return 1 if device.type == "cpu" else together(net, batch, device)


class _Work:
    """Training what the cache lacks."""

    def __init__(
        self,
        config: Config,
        real: RealSet,
        net: ConvNet,
        store: Store,
        execution: Mapping[str, Any],
        observer: Observer,
        tick: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.settings = config.experts
        self.real = real
        self.net = net
        self.augment = Augment(config.augmentation, real.shape)
        self.store = store
        self.execution = execution
        self.batch = min(config.experts.batch_size, len(real.train_labels))
        self.gradient = gradient_function(net, execution, self.batch)
        self.at_once = at_once(net, self.batch, real.train_images.device)
        self.observer = observer
        self.tick = tick
        self.clock = clock
        self._compiled = False
        self._company: list[Expert] = []
        self._began, self._seconds = clock(), 0.0
        self._since = time.monotonic()
        self._kept: dict[int, float] = {}

    def experts(self) -> list[dict[str, Any]]:
        """The seals of all experts; those that are missing are trained, on a GPU several at once."""
        seals: dict[int, dict[str, Any]] = {}
        waiting: list[Expert] = []
        for number in range(self.settings.count):
            self.tick()
            seal, why = self.store.finished(number)
            if seal is not None:
                self._say(
                    number, self.settings.epochs, seal["loss"], seal["train_accuracy"], seal["test_accuracy"],
                    reused=True,
                )  # fmt: skip
                seals[number] = seal
                continue
            expert = self._begun(number, why)
            if waiting and waiting[0].epoch != expert.epoch:
                seals |= self._trained(waiting)
                waiting = []
            waiting.append(expert)
            if len(waiting) == self.at_once:
                seals |= self._trained(waiting)
                waiting = []
        seals |= self._trained(waiting) if waiting else {}
        return [seals[number] for number in range(self.settings.count)]

    def _begun(self, number: int, why: str) -> Expert:
        """An expert that is not finished (``why``, if there was something), as far as it is known."""
        if why:
            self._warn(number, self.store.path(number), why)
        expert, why = self.store.take_up(Expert.fresh(number, self.net, self.settings))
        if why:
            self._warn(number, self.store.partial(number), why)
        return expert

    def _trained(self, experts: list[Expert]) -> dict[int, dict[str, Any]]:
        """Train experts that are after the same epoch; their seals."""
        self._compile()
        self._company, self._began = experts, self.clock()
        seals: dict[int, dict[str, Any]] = {}
        try:
            train_experts(
                experts, self.gradient, self.real, self.augment, self.settings, tick=self.tick, after_epoch=self._after
            )
            for expert in experts:
                test = self._test_accuracy(expert)
                seals[expert.number] = self.store.finish(expert, test)
                self._say(expert.number, expert.epoch, expert.loss, expert.train_accuracy, test)
        except RunFailed:
            raise  # it diverged: nothing worth taking up again
        except BaseException:
            for expert in experts:
                if expert.epoch > 0 and expert.number not in seals:
                    self.store.keep(expert)
            raise
        return seals

    def _compile(self) -> None:
        """Before the first training, aside: a stop is heard meanwhile.

        Raises:
            CompilationFailed: nothing was trained yet.
        """
        if not self.execution.get("compile") or self._compiled:
            return
        self.observer(Notice("info", "compiling the training step of the experts"))
        images, labels = warm_batch(self.real.train_images, self.batch)
        starts = torch.zeros(1, self.net.size, device=images.device)
        aside(lambda: self.gradient(starts, images, labels), self.tick, int(self.execution["threads"]))
        self._compiled = True

    def _test_accuracy(self, expert: Expert) -> float:
        last = expert.path[-1].to(self.real.test_images.device)
        return accuracy(self.net, last, self.real.test_images, self.real.test_labels, self.tick, self.execution)

    def _after(self, expert: Expert) -> None:
        if expert is self._company[0]:  # what an epoch took is shared alike by those who trained side by side
            now = self.clock()
            self._seconds, self._began = (now - self._began) / len(self._company), now
        if not math.isfinite(expert.loss) or not bool(expert.path[expert.epoch].isfinite().all()):
            raise RunDiverged(
                f"expert {expert.number + 1} diverges in epoch {expert.epoch} (its loss is not a number): "
                "lower experts.learning_rate"
            )
        if expert.epoch == self.settings.epochs:
            return  # said once its test accuracy is known
        self._say(expert.number, expert.epoch, expert.loss, expert.train_accuracy, None)
        if time.monotonic() - self._kept.get(expert.number, self._since) > PARTIAL_SECONDS:
            self.store.keep(expert)
            self._kept[expert.number] = time.monotonic()

    def _warn(self, number: int, path: Path, why: str) -> None:
        self.observer(Notice("warning", f"expert {number + 1} is trained again: {path.name}: {why}"))

    def _say(
        self, number: int, epoch: int, loss: float, train: float, test: float | None, *, reused: bool = False
    ) -> None:
        self.observer(
            ExpertEpoch(
                expert=number,
                experts=self.settings.count,
                epoch=epoch,
                epochs=self.settings.epochs,
                loss=loss,
                train_accuracy=train,
                test_accuracy=test,
                seconds=0.0 if reused else self._seconds,
                reused=reused,
            )
        )
