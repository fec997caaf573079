"""The expert cache: trajectories on disk, shared by all runs that need the same ones.

``<cache>/experts/<key>/`` holds ``provenance.json`` (all that decides an expert), for every expert one
safetensors file with its path [epochs + 1, size] and its figures, sealed by a checksum in
``expert-NNNN.json``, and while an expert is being trained a partial file to take it up from. The key is a
hash of the provenance; the number of experts is not part of it, so that asking for more adds to what is
there. (On a GPU experts are trained side by side; where they are not compiled, their last bits depend on their company
too.) One process at a time works on a key; others wait.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.compilation import aside
from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import RealSet
from engine.errors import DataError, RunDiverged, RunFailed
from engine.events import ExpertEpoch, Notice, Observer
from engine.experts.rows import read_row
from engine.experts.train import Expert, train_experts
from engine.files import disk_error, private_folder, read_json_object, remove_abandoned, replacing, write_json
from engine.networks import ConvNet
from engine.stacked import gradient_function, together
from engine.training import accuracy, warm_batch

FORMAT = 4
"""Part of every key: raised when the same settings come to give other bits."""

PARTIAL_SECONDS = 15.0
"""A partial file is written at most this often: a kill costs no more work than that, and an epoch."""

FIGURES = ("loss", "train_accuracy", "test_accuracy")
"""What is known of a finished expert: after its last epoch, accuracies 0..1."""


class Trajectories:
    """The experts of a run.

    Attributes:
        epochs: of every expert.
        test_accuracies: of every expert after its last epoch, 0..1.
    """

    def __init__(self, files: list[Path], epochs: int, test_accuracies: list[float], device: torch.device) -> None:
        self._files = files
        self._device = device
        self.epochs = epochs
        self.test_accuracies = test_accuracies

    @property
    def count(self) -> int:
        """How many experts there are."""
        return len(self._files)

    def parameters(self, expert: int, epoch: int) -> Tensor:
        """Flat parameters [size] of an expert after an epoch (0: its start), a copy on the run's device.

        Raises:
            DataError: the file has gone or changed since the run began.
        """
        try:
            row = read_row(self._files[expert], epoch)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self._files[expert]}: the expert cannot be read ({error}); resume the run to train it again"
            ) from None
        return row.to(self._device)

    def still(self, starts: int, apart: int) -> tuple[int, int] | None:
        """The first expert and epoch from which ``apart`` epochs lead nowhere: their squared distance is zero.

        Args:
            starts: epochs 0 .. this-1 are looked at, of every expert.
            apart: epochs; beyond an expert's last one nothing is looked at.
        """
        for expert in range(self.count):
            for epoch in range(min(starts, self.epochs - apart + 1)):
                moved = self.parameters(expert, epoch) - self.parameters(expert, epoch + apart)
                if not float(moved.square().sum()) > 0:
                    return expert, epoch
        return None


def provenance(config: Config, real: RealSet, net: ConvNet, execution: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides an expert's bits."""
    experts = config.experts.model_dump()
    del experts["count"]
    return {
        "format": FORMAT,
        "data": real.fingerprint,
        "transform": real.transform.digest(),
        "network": {**config.network.model_dump(), "size": net.size},
        "augmentation": config.augmentation.model_dump() if config.experts.augment else None,
        "experts": experts,
        "execution": dict(execution),
    }


def key_of(document: Mapping[str, Any]) -> str:
    """The cache key of a provenance."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


class Store:
    """One key's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = private_folder(folder)

    def path(self, expert: int) -> Path:
        """An expert's trajectory."""
        return self.folder / f"expert-{expert:04d}.safetensors"

    def seal(self, expert: int) -> Path:
        """An expert's checksum and figures."""
        return self.folder / f"expert-{expert:04d}.json"

    def partial(self, expert: int) -> Path:
        """An unfinished expert."""
        return self.folder / f"expert-{expert:04d}.partial.safetensors"

    def finished(self, expert: int) -> tuple[dict[str, Any] | None, str]:
        """An expert's figures if its file is whole; else None, and why if there was something."""
        path, seal = self.path(expert), read_json_object(self.seal(expert))
        if seal is None:
            return None, "its checksum is missing or unreadable" if path.exists() else ""
        if any(not isinstance(seal.get(figure), float) for figure in FIGURES):
            return None, f"{self.seal(expert).name} lacks its figures"
        try:
            size = path.stat().st_size
            if size != seal.get("bytes"):
                return None, f"it has {size} bytes instead of {seal.get('bytes')}"
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return None, f"it cannot be read ({error.strerror})"
        if digest != seal.get("sha256"):
            return None, "its checksum does not fit"
        return seal, ""

    def finish(self, expert: Expert, test_accuracy: float) -> dict[str, Any]:
        """Store a trained expert: the trajectory first, then the seal that makes it count."""
        path = self.path(expert.number)
        with replacing(path) as aside:
            save_file({"path": expert.path}, aside)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        seal = {
            "sha256": digest,
            "bytes": path.stat().st_size,
            "loss": expert.loss,
            "train_accuracy": expert.train_accuracy,
            "test_accuracy": test_accuracy,
            "torch": torch.__version__,
        }
        write_json(self.seal(expert.number), seal)
        with suppress(OSError):  # the seal counts: a partial file that stays is never looked at again
            self.partial(expert.number).unlink()
        return seal

    def keep(self, expert: Expert) -> None:
        """Store an unfinished expert."""
        tensors = {"path": expert.path[: expert.epoch + 1].clone(), "velocity": expert.velocity}
        digest = _digest(tensors)
        figures = {"loss": expert.loss, "train_accuracy": expert.train_accuracy, "sha256": digest}
        with replacing(self.partial(expert.number), durable=False) as aside:
            save_file(tensors, aside, metadata={"figures": json.dumps(figures)})

    def take_up(self, fresh: Expert) -> tuple[Expert, str]:
        """The unfinished expert of a partial file, or the fresh one where there is none; and why a file that is
        there was not used."""
        path = self.partial(fresh.number)
        if not path.exists():
            return fresh, ""
        try:
            tensors = load_file(path)
            with safe_open(path, framework="pt") as file:
                figures = json.loads((file.metadata() or {})["figures"])
            rows, velocity = tensors["path"], tensors["velocity"]
            loss, accurate = float(figures["loss"]), float(figures["train_accuracy"])
            if _digest(tensors) != figures["sha256"]:
                return fresh, "its checksum does not fit"
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            return fresh, f"it cannot be read ({error})"
        whole = tuple(fresh.path.shape)
        if rows.shape[1:] != whole[1:] or not 1 < len(rows) <= whole[0] or velocity.shape != fresh.velocity.shape:
            return fresh, "it is of another network or number of epochs"
        fresh.path[: len(rows)] = rows
        return Expert(fresh.number, fresh.path, velocity, len(rows) - 1, loss, accurate), ""


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].contiguous().numpy().data)
    return digest.hexdigest()


def ensure(
    config: Config,
    real: RealSet,
    net: ConvNet,
    *,
    cache_dir: Path,
    execution: Mapping[str, Any],
    observer: Observer,
    tick: Callable[[], None],
) -> Trajectories:
    """The experts a configuration asks for: found in the cache, or trained and put there.

    A missing, truncated or changed trajectory is trained again, with a notice. Test accuracy is measured
    once, after the last epoch. What a killed process left half-written anywhere in the cache is removed.

    Raises:
        RunFailed: an expert's loss is not a number; the message says which rate to lower.
        StopRequested: through ``tick``; finished epochs are kept and taken up again.
    """
    document = provenance(config, real, net, execution)
    store = Store(cache_dir / "experts" / key_of(document))
    work = _Work(config, real, net, store, execution, observer, tick)
    for shared in (cache_dir, *cache_dir.glob("*"), *cache_dir.glob("*/*")):
        remove_abandoned(shared)
    with _held(store.folder / "lock", observer, tick):
        if read_json_object(store.folder / "provenance.json") != document:
            write_json(store.folder / "provenance.json", document)
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
        self._compiled = False
        self._company: list[Expert] = []
        self._began, self._seconds = time.perf_counter(), 0.0
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
        self._company, self._began = experts, time.perf_counter()
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
            now = time.perf_counter()
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
