"""What an analysis is asked for, and the cells it gathers: variants of one preset, each with the same seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.analysis.cells import Cell, Document, Places, flat, is_done, label, settings_of
from engine.config.load import resolve
from engine.config.schema import Config
from engine.errors import ConfigError, MimError, RunFailed
from engine.events import Observer
from engine.runs.control import Control
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder

WEIGHT = "information.weight"


class NotFinishedError(RunFailed):
    """A run is not done, and nothing is to be run."""


@dataclass(frozen=True)
class Variant:
    """One row of a table: what it is called, and the settings that make it."""

    label: str
    changes: tuple[tuple[str, str], ...] = ()


WITH, WITHOUT = Variant("with the term"), Variant("without", ((WEIGHT, "0"),))


def _spelled(config: Config) -> str:
    """What decides what a run gives, as one text."""
    return json.dumps(settings_of(config), sort_keys=True)


@dataclass
class Plan:
    """An analysis of one preset.

    Args:
        target: name of a preset, or path of a TOML file.
        seeds: of the runs; every variant is run with each, so that they are paired.
        places: where cells are kept and runs take place.
        changes: settings on top of the preset, of all variants.
        observer: hears the events of every run.
        control: asked between steps; a stop ends the analysis, to be gone on with later.
        tell: hears which cell is worked on, and what failed.
        finished: take what is finished, and run nothing.
    """

    target: str
    seeds: Sequence[int]
    places: Places
    changes: Sequence[tuple[str, str]] = ()
    observer: Observer | None = None
    control: Control = field(default_factory=Control)
    tell: Callable[[str], None] = lambda _: None
    finished: bool = False
    missing: list[dict[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    @property
    def config(self) -> Config:
        """The configuration that all variants start from. Raises ConfigError."""
        return resolve(self.target, [f"{key}={value}" for key, value in self.changes]).config

    def value(self, key: str) -> Any:
        """A setting of that configuration. Raises ConfigError."""
        return flat(self.config)[key]

    def cell(self, variant: Variant, seed: int) -> Cell:
        """The run of a variant with a seed."""
        swept = tuple(key for key, _ in variant.changes)
        return Cell(self.target, (*self.changes, *variant.changes), seed, swept)

    def folder(self, cell: Cell) -> RunFolder:
        """The folder of a cell's finished run, or of another with the same settings; where there is none it is run.

        Errors as ``Cell.run``; NotFinishedError where nothing is to be run.
        """
        own = cell.finished_run(self.places)
        if own is not None:
            return own
        other = self._done.get(_spelled(cell.config))
        if other is not None:
            self.tell(f"{cell.name}: the run {other.name} is finished and has the same settings")
            return other
        if self.finished:
            raise NotFinishedError("its run is not finished")
        return cell.run(self.places, self.observer, self.control)

    @cached_property
    def _done(self) -> dict[str, RunFolder]:
        """Finished runs with one of the seeds by their settings, whoever began them; of several the newest."""
        found = {}
        for folder in list_runs(self.places.runs):
            with suppress(MimError):  # a damaged one is nobody's
                if folder.about().seed in self.seeds and is_done(folder):
                    found[_spelled(folder.config())] = folder
        return found

    def measure(self, cell: Cell) -> Document:
        """What is kept of a cell; where that is missing, after its run. Errors as :meth:`folder`."""
        document = cell.kept(self.places) or cell.keep(self.folder(cell), self.places)
        self._tell_of_code(cell, document)
        return document

    def _tell_of_code(self, cell: Cell, document: Document) -> None:
        """Say of numbers that another code gave, with which they would be told apart from the others by nothing."""
        from engine.objectives import edited  # torch, which a plan has loaded by now

        said = edited(cell.config.objective.name, (document.get("execution") or {}).get("code", ""))
        if said:
            kept = self.places.cells / f"{cell.name}.json"
            self.tell(
                f"warning: {cell.name} is from before {said}: to run it anew, remove {kept} and "
                f"{self.places.runs / cell.name}"
            )

    def gather(
        self, variants: Sequence[Variant], work: Callable[[Cell], Document] | None = None
    ) -> dict[str, list[Document | None]]:
        """What is kept of every variant's cells, by label, in the seeds' order; None where a run failed.

        Seed by seed, so that an analysis that is stopped has whole pairs. All configurations are checked before
        the first run. Failed runs are noted in ``missing``, those that are not finished and are not to be run in
        ``waiting``.

        Args:
            work: measures a cell; :meth:`measure` by default.

        Raises:
            ConfigError: a configuration is wrong.
            NotFinishedError: nothing is to be run, and no cell is finished.
            StopRequested: a stop was asked for; what is finished is kept.
            MimError: data or experts cannot be had.
        """
        cells = {(v.label, seed): self.cell(v, seed) for seed in self.seeds for v in variants}
        for cell in cells.values():
            _ = cell.config
        found: dict[str, list[Document | None]] = {variant.label: [] for variant in variants}
        for number, ((row, _), cell) in enumerate(cells.items(), 1):
            self.control.tick()
            try:
                if not self.finished and cell.kept(self.places) is None:
                    self.tell(f"cell {number} of {len(cells)}: {cell.name}")
                document = work(cell) if work else self.measure(cell)
            except NotFinishedError:
                self.waiting.append(cell.run_name)
                found[row].append(None)
            except RunFailed as error:
                self.tell(f"{cell.name} failed: {error}")
                self.missing.append({"cell": cell.name, "reason": str(error)})
                found[row].append(None)
            else:
                found[row].append(document)
        if len(self.waiting) == len(cells):
            first = next(iter(cells.values())).run_name
            raise NotFinishedError(
                f"none of the {len(cells)} runs of this analysis is finished in {self.places.runs}, under its own name "
                f"({first} is the first) or any other with the same settings, and nothing is to be run: let one "
                "finish, or ask without --finished"
            )
        return found

    def left_out(self) -> Document:
        """What every document ends with: the runs that failed, and those that are not finished."""
        return {"missing": self.missing, "waiting": self.waiting}

    def heading(self, analysis: str) -> Document:
        """What every document begins with."""
        config = self.config
        return {
            "analysis": analysis,
            "preset": label(self.target),
            "set": dict(self.changes),
            "seeds": list(self.seeds),
            "weight": config.information.weight,
            "protocol": config.evaluation.protocol,
        }

    def require_term(self, analysis: str) -> None:
        """Refuse a preset without the term, where it is the subject.

        Raises:
            ConfigError: its weight is 0.
        """
        if self.config.information.weight == 0:
            raise ConfigError(
                f"{label(self.target)}: {WEIGHT} is 0, so that there is no term for the analysis {analysis!r} to look "
                f"at: give it one, e.g. --set {WEIGHT}=0.1"
            )
