"""Cells: finished runs of one configuration and seed, kept as small JSON files that all analyses share.

A cell is named after its preset, the settings in which it differs from it, and its seed. Its run lies in a run folder
of a shorter name and is taken up where it was interrupted; what is kept of it is enough for every table and curve.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.config.fields import by_key
from engine.config.load import Resolved, resolve
from engine.config.schema import Config
from engine.errors import ConfigError
from engine.events import Observer
from engine.files import private_folder, read_json_object, write_json
from engine.runs.control import Control, StopRequested
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory

Document = dict[str, Any]

CURVES = ("objective", "nce", "bound")
POINTS = 60
"""Most points kept of a curve: each the mean of a stretch of iterations."""
KEPT = ("accuracy", "accuracy_by_test", "last", "random_selection", "full_set", "mutual_information", "fingerprint")
"""Of a run's result document; null where the run is older than the key."""
MEASURED = ("accuracy", "accuracy_by_test", "last")
"""Of ``KEPT``: what was measured of the synthetic set itself."""
LONGEST = 80
"""Characters of a cell's name before its seed; of a longer one a digest stands for the rest."""
SHORT = 48
"""Characters of a run's name before digest and seed."""
MATTERS = ("precision", "recoveries", "recovery_factor", "checkpoint_every")
"""Settings of ``execution`` that decide what a run gives (``checkpoint_every``: where one that goes back begins)."""


@dataclass(frozen=True)
class Places:
    """Where the cells of an analysis are kept, and where their runs take place.

    Attributes:
        cells: folder of the JSON files.
        runs: folder of the runs.
        data: where data sets are found; None for the user's own place.
        cache: experts and baselines shared by runs; None for the user's own place.
    """

    cells: Path
    runs: Path
    data: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Cell:
    """One configuration, to be run with one seed.

    Args:
        target: name of a preset, or path of a TOML file.
        changes: settings on top of it, by key, as a person types them.
        seed: of the run.
        swept: keys of the changes that tell it from the other cells of its analysis; a long name begins with them.
    """

    target: str
    changes: tuple[tuple[str, str], ...]
    seed: int
    swept: tuple[str, ...] = ()

    @cached_property
    def resolved(self) -> Resolved:
        """Its configuration. Raises ConfigError."""
        return resolve(self.target, [f"{key}={value}" for key, value in self.changes], seed=self.seed)

    @property
    def config(self) -> Config:
        """Its configuration. Raises ConfigError."""
        return self.resolved.config

    @cached_property
    def name(self) -> str:
        """Preset, settings that differ from it, seed: safe as the name of a file and of a run."""
        text = self._words(self._differing)
        if len(text) > LONGEST:
            digest = sha256(text.encode()).hexdigest()[:8]  # of the sorted words, whatever is shown of them
            shown = self._words(sorted(self._differing, key=lambda key: key not in self.swept))
            text = f"{shown[: LONGEST - 9]}-{digest}"
        return f"{text}-seed-{self.seed}"

    @cached_property
    def run_name(self) -> str:
        """Of its run, short enough for lists: preset, what is swept, a digest where more differs, seed."""
        swept = [key for key in self._differing if key in self.swept]
        begin = _safe("-".join([label(self.target), *(f"{_end(key)}-{_said(self.config, key)}" for key in swept)]))
        whole = len(begin) <= SHORT
        hidden = [key for key in self._differing if not whole or key not in swept or _shared_end(key)]
        if hidden or not whole:
            begin = f"{begin[:SHORT]}-{sha256(self._words(hidden).encode()).hexdigest()[:6]}"
        return f"{begin}-s{self.seed}"

    @cached_property
    def _differing(self) -> list[str]:
        """The keys of the changes that make another configuration of the preset's, sorted."""
        own, base = settings_of(self.config), settings_of(resolve(self.target, seed=self.seed).config)
        return list(dict.fromkeys(key for key, _ in sorted(self.changes) if own.get(key) != base.get(key)))

    def _words(self, keys: Sequence[str]) -> str:
        return _safe("-".join([label(self.target), *(f"{key}-{_said(self.config, key)}" for key in keys)]))

    def kept(self, places: Places) -> Document | None:
        """What is kept of it, where it was finished with these very settings."""
        document = read_json_object(places.cells / f"{self.name}.json")
        return document if document is not None and document.get("settings") == settings_of(self.config) else None

    def measure(self, places: Places, observer: Observer | None = None, control: Control | None = None) -> Document:
        """What is kept of it; where that is missing, after running it or taking up its run.

        Raises:
            ConfigError: a run of this name was made with other settings.
            StopRequested: it was stopped; the next call goes on from its checkpoint.
            MimError: the run failed; a subclass says how.
        """
        found = self.kept(places)
        if found is not None:
            return found
        return self.keep(self.run(places, observer, control), places)

    def keep(self, folder: RunFolder, places: Places) -> Document:
        """Keep what is needed of a finished run, in place of what was kept of another."""
        document = self._document(folder)
        private_folder(places.cells)
        write_json(places.cells / f"{self.name}.json", document)
        return document

    def run(self, places: Places, observer: Observer | None = None, control: Control | None = None) -> RunFolder:
        """The folder of its finished run, which is made or gone on with. Errors as :meth:`measure`."""
        from engine.run import resume, start  # torch only where a run needs it

        path = self._path(places)
        shared: dict[str, Any] = {"data_dir": places.data, "cache_dir": places.cache}
        if path.exists():
            folder = RunFolder.open(path)
            if settings_of(folder.config()) != settings_of(self.config):
                raise ConfigError(
                    f"{path} was run with other settings than {label(self.target)} has now: remove it, or choose "
                    "another folder for the runs"
                )
            result = resume(path, observer=observer, control=control, **shared)
        else:
            result = start(
                self.config,
                runs_dir=places.runs,
                name=path.name,
                preset=self.resolved.preset,
                origins=self.resolved.origins,
                observer=observer,
                control=control,
                cell=True,
                **shared,
            )
        if result["state"] != "done":
            raise StopRequested
        return RunFolder.open(path)

    def finished_run(self, places: Places) -> RunFolder | None:
        """The folder of its run, where that is done with these very settings."""
        folder = RunFolder(self._path(places))
        if not is_done(folder):
            return None
        return folder if settings_of(folder.config()) == settings_of(self.config) else None

    def _path(self, places: Places) -> Path:
        """The folder of its run, which may be there from before runs had names of their own."""
        whole, path = places.runs / self.name, places.runs / self.run_name
        return whole if whole.exists() and not path.exists() else path

    def _document(self, folder: RunFolder) -> Document:
        result = folder.result()
        assert result is not None
        history = RunHistory.load(folder.journal_path)  # of the work that stands: what was done again counts once
        curves = {name: thinned(history.series[name].points()) for name in CURVES if name in history.series}
        ratios = history.series.get("gradient_ratio")
        return {
            "preset": label(self.target),
            "seed": self.seed,
            "settings": settings_of(self.config),
            **{key: result.get(key) for key in KEPT},
            "recoveries": len(result["recoveries"]),
            "execution": folder.execution(),
            "seconds": round(history.worked, 1),
            "step_sizes": step_sizes(self.config, result, history),
            "gradient_ratio": None if ratios is None else _summary(ratios.values),
            "curves": curves,
        }


def is_done(folder: RunFolder) -> bool:
    """Whether a run has come to its end, with a result."""
    result = folder.result()
    return result is not None and result.get("state") == "done"


def label(target: str) -> str:
    """What a preset or file is called: a file by its stem."""
    return Path(target).stem if target.endswith(".toml") else target


def settings_of(config: Config) -> dict[str, Any]:
    """Settings that differ from the schema's defaults, by key; only those that decide what a run gives.

    A setting that came after a cell was made, left at its default, does not make the cell another one's.
    """
    own, defaults = flat(config), flat(Config())
    return {key: value for key, value in own.items() if value != defaults[key] and key != "summary" and _decides(key)}


def _decides(key: str) -> bool:
    section, _, name = key.partition(".")
    return section != "execution" or name in MATTERS


def flat(config: Config) -> dict[str, Any]:
    """Every setting by its key."""
    found: dict[str, Any] = {}
    for name, value in config.model_dump().items():
        found |= {f"{name}.{key}": leaf for key, leaf in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def _end(key: str) -> str:
    return key.rpartition(".")[2]


def _shared_end(key: str) -> bool:
    """Whether the last part of a key, as ``count``, is that of another too."""
    return sum(_end(other) == _end(key) for other in by_key()) > 1


def _said(config: Config, key: str) -> str:
    value = flat(config)[key]
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def thinned(points: Sequence[tuple[int, float]], most: int = POINTS) -> Mapping[str, list[float]]:
    """A curve in at most ``most`` points: "iterations" (last of a stretch) and "values" (means of what is finite in it,
    None where nothing is)."""
    stride = max(1, math.ceil(len(points) / most))
    stretches = [points[begin : begin + stride] for begin in range(0, len(points), stride)]
    means = [[value for _, value in stretch if math.isfinite(value)] for stretch in stretches]
    return {
        "iterations": [stretch[-1][0] for stretch in stretches],
        "values": [float(f"{statistics.fmean(part):.6g}") if part else None for part in means],  # type: ignore[misc]
    }


def step_sizes(config: Config, result: Document, history: RunHistory) -> dict[str, float]:
    """The step size that each measured iterate had, by the key of its accuracy."""
    found = {0: config.objective.step_size}
    if "step_size" in history.series:
        found |= dict(history.series["step_size"].points())
    return {key: found[result[key]["iteration"]] for key in MEASURED if result.get(key) is not None}


def _summary(values: Sequence[float]) -> dict[str, float] | None:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    found = {"first": finite[0], "median": statistics.median(finite), "least": min(finite), "most": max(finite)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}
