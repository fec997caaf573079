"""The expert cache: trajectories on disk, shared by all runs that need the same ones.

``<cache>/experts/<key>/`` holds ``provenance.json`` (all that decides an expert), ``settings.json`` (of the run that
asked for them last: ``trained.py``), for every expert one
safetensors file with its path [epochs + 1, size] and its figures, sealed by a checksum in
``expert-NNNN.json``, and while an expert is being trained a partial file to take it up from. The key is a
hash of the provenance; the number of experts is not part of it, so that asking for more adds to what is
there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.config.schema import Config
from engine.data.prepare import RealSet
from engine.errors import DataError
from engine.experts.rows import read_row
from engine.experts.train import Expert
from engine.files import private_folder, read_json_object, replacing, write_json
from engine.networks import ConvNet

FORMAT = 4
"""Part of every key: raised when the same settings come to give other bits."""


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
