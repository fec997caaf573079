"""Cells: single runs to be measured, each kept as a small JSON file once it is finished.

A cell is a preset with some settings changed, and a seed. Its run folder lives in a folder of its own until it is
finished, so that a cell that was interrupted goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config.load import resolve
from engine.config.schema import Config, Execution
from engine.files import default_cache_dir, private_folder, write_json
from engine.runs.control import Control

KEPT = ("accuracy", "accuracy_by_test", "last", "random_selection", "full_set", "mutual_information")
"""Of a run's result document."""

COUNTS = ("precision", "recoveries", "recovery_factor")
"""Settings of the execution that belong to what a cell measures; where and by how many threads it ran does not."""


@dataclass(frozen=True)
class Cell:
    """One run to be measured.

    Attributes:
        preset: its settings' name.
        variant: a word for the changes, part of the file's name.
        changes: as ``--set`` takes them.
    """

    preset: str
    variant: str
    changes: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """Preset, variant and seed."""
        return f"{self.preset}/{self.variant}-seed-{self.seed}"

    def path(self, folder: Path) -> Path:
        """Where its result is kept."""
        return folder / f"{self.name}.json"

    def config(self, more: tuple[str, ...] = ()) -> Config:
        """Its whole configuration, with where and how to compute in ``more``."""
        return resolve(self.preset, [*self.changes, *more], seed=self.seed).config

    def read(self, folder: Path) -> dict[str, Any] | None:
        """The finished cell, if there is one of this very configuration."""
        try:
            document: dict[str, Any] = json.loads(self.path(folder).read_text())
        except (OSError, ValueError):
            return None
        return document if same_run(document.get("config", {}), self.config().model_dump()) else None

    def workplace(self) -> Path:
        """Where its run folder is while it is not finished."""
        words = json.dumps(self.config().model_dump(exclude={"execution"}), sort_keys=True)
        key = hashlib.sha256(f"{self.name} {words}".encode()).hexdigest()[:16]
        return private_folder(default_cache_dir() / "cells" / key)

    def run(
        self,
        folder: Path,
        more: tuple[str, ...] = (),
        data_dir: Path | None = None,
        control: Control | None = None,
    ) -> None:
        """Run it, or go on with it, and keep its result.

        Args:
            folder: of the finished cells.
            more: settings of the execution; used where the run is new.
            control: may stop it, with a checkpoint.
        """
        from engine.run import resume, start

        config, place = self.config(more), self.workplace()
        began = time.perf_counter()
        if (place / "run" / "config.toml").exists():
            result = resume(place / "run", data_dir=data_dir, control=control)
        else:
            shutil.rmtree(place / "run", ignore_errors=True)
            result = start(config, runs_dir=place, name="run", preset=self.preset, data_dir=data_dir, control=control)
        if result["state"] != "done":
            return
        self.path(folder).parent.mkdir(parents=True, exist_ok=True)
        write_json(
            self.path(folder),
            {
                "preset": self.preset,
                "set": list(self.changes),
                "seed": self.seed,
                "config": config.model_dump(exclude={"summary"}),
                "seconds": round(time.perf_counter() - began, 1),
                "fingerprint": result["fingerprint"],
                "execution": json.loads((place / "run" / "execution.json").read_text()),
                **{key: result[key] for key in KEPT},
            },
        )
        shutil.rmtree(place)


def same_run(kept: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a cell's configuration is today's: a setting it does not know yet has to be at its default, which
    leaves a run as it was before there was the setting."""
    sections = {name for name, value in now.items() if isinstance(value, dict)}
    if any(kept[name] != now.get(name) for name in set(kept) - sections):
        return False
    for section in sections:
        values, old = _counted(section, now[section]), _counted(section, kept.get(section, {}))
        defaults = Config.model_fields[section].default.model_dump()
        if not set(old) <= set(values) or any(value != old.get(key, defaults[key]) for key, value in values.items()):
            return False
    return set(kept) <= set(now)


def _counted(section: str, values: dict[str, Any]) -> dict[str, Any]:
    if section != "execution":
        return values
    assert set(COUNTS) <= set(Execution.model_fields)
    return {name: value for name, value in values.items() if name in COUNTS}
