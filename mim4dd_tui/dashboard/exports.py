"""What a person takes out of the dashboard: plots as SVG and PNG, numbers as CSV.

Of one run into its folder's ``exports/``; of compared runs into a new folder of the runs folder's ``exports/``.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.fields import fields
from engine.events import Evaluation
from engine.files import private_folder, write_bytes
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.comparison import Contender
from mim4dd_tui.dashboard.spelling import value_of
from mim4dd_tui.dashboard.themes import LIGHT, SERIES
from mim4dd_tui.plots.figure import Figure, Viewport
from mim4dd_tui.plots.paper import lay_out, to_png, to_svg

FOLDER = "exports"
COLOURS: Mapping[int, str] = {ink: LIGHT.variables[f"series-{ink}"] for ink in range(1, SERIES + 1)}
"""Curves on paper have the light theme's colours."""


@dataclass(frozen=True, eq=False)
class Plot:
    """A plot as it is looked at. ``name`` is the stem of its files, ``title`` the heading on the page."""

    name: str
    title: str
    figure: Figure
    view: Viewport


def export(folder: Path, plots: Sequence[Plot], tables: Mapping[str, str]) -> str:
    """Write plots (each as SVG and PNG) and tables (text by file name) into a folder.

    Returns:
        How much was written, and where: a path that holds in whatever folder it is pasted.

    Raises:
        RunFailed: the disk refuses.
    """
    for plot in plots:
        page = lay_out(plot.figure, plot.view, COLOURS, plot.title)
        _write(folder, f"{plot.name}.svg", to_svg(page).encode())
        _write(folder, f"{plot.name}.png", to_png(page))
    for name, text in tables.items():
        _write(folder, name, text.encode())
    told = f"{len(plots)} plot{'s' if len(plots) != 1 else ''} (SVG, PNG)"
    return f"{told} and {len(tables)} tables in {folder.absolute()}"


def tables_of(history: RunHistory) -> dict[str, str]:
    """By file name: every series, one row an iteration, and every evaluation."""
    return {"metrics.csv": metrics_csv(history), "evaluations.csv": evaluations_csv(history)}


def tables_of_compared(names: Sequence[str], contenders: Sequence[Contender]) -> dict[str, str]:
    """By file name: a row a run of what came out and of every setting; and every series, one row a run's iteration.

    Args:
        names: the runs' names, in the order of ``contenders``.
    """
    rows = [_outcome(name, one) for name, one in zip(names, contenders, strict=True)]
    histories = {name: one.history for name, one in zip(names, contenders, strict=True)}
    curves = _series_rows(histories, named=True)
    return {"runs.csv": _csv([list(rows[0]), *(list(row.values()) for row in rows)]), "curves.csv": _csv(curves)}


def _outcome(name: str, one: Contender) -> dict[str, str]:
    history = one.history

    def score(which: str, event: Evaluation | None) -> dict[str, str]:
        if event is None:
            return {f"{which}_{part}": "" for part in ("mean", "std", "subject", "protocol")}
        return {
            f"{which}_mean": _number(event.mean),
            f"{which}_std": _number(event.std),
            f"{which}_subject": event.subject,
            f"{which}_protocol": event.protocol,
        }

    row = {"mark": one.mark, "run": name, "state": one.state, "iteration": str(history.iteration)}
    row |= score("best", history.best) | score("newest", history.last)
    row |= score("random_selection", history.random_selection) | score("full_set", history.full_set)
    row["seconds_worked"] = "" if history.started_at is None else _number(history.worked)
    for field in fields():
        if field.key != "summary":
            row[field.key] = "" if one.config is None else str(value_of(one.config, field.key))
    return row


def of_run(folder: Path) -> Path:
    """Where the exports of a run go."""
    return folder / FOLDER


def of_comparison(runs_dir: Path) -> Path:
    """Where a comparison's go: a folder of its own, named by the time, so that none replaces another."""
    return runs_dir / FOLDER / f"compare-{time.strftime('%Y%m%d-%H%M%S')}"


def metrics_csv(history: RunHistory) -> str:
    """The series as a table: ``iteration`` and one column a metric, in full precision.

    A value that is not a number is written nan; where none was read the cell is empty.
    """
    return _csv(_series_rows({"": history}, named=False))


def _series_rows(histories: Mapping[str, RunHistory], *, named: bool) -> list[list[str]]:
    """The heading, then a row an iteration of every run; ``named``: the run's name is the first column."""
    names = sorted({name for history in histories.values() for name in history.series})
    rows = [[*(["run"] if named else []), "iteration", *names]]
    for run, history in histories.items():
        columns = {name: dict(series.points()) for name, series in history.series.items()}
        head = [run] if named else []
        for iteration in sorted({i for column in columns.values() for i in column}):
            values = (_number(columns.get(name, {}).get(iteration)) for name in names)
            rows.append([*head, str(iteration), *values])
    return rows


def evaluations_csv(history: RunHistory) -> str:
    """The evaluations as a table; accuracies in 0..1."""
    head = ["iteration", "subject", "protocol", "mean", "std", "networks", "selected_on", "measured_on", "seconds"]
    rows = [
        [
            str(e.iteration),
            e.subject,
            e.protocol,
            _number(e.mean),
            _number(e.std),
            str(len(e.accuracies)),
            e.selected_on,
            e.measured_on,
            _number(e.seconds),
        ]
        for e in history.evaluations
    ]
    return _csv([head, *rows])


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _write(folder: Path, name: str, data: bytes) -> None:
    write_bytes(private_folder(folder) / name, data, durable=False)
