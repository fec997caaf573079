"""What a person takes out of the dashboard: plots as SVG and PNG, metrics as CSV, into the run folder's exports/."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from engine.files import private_folder, write_bytes
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard.themes import LIGHT, SERIES
from mim4dd_tui.plots.figure import Figure, Viewport
from mim4dd_tui.plots.paper import lay_out, to_png, to_svg

FOLDER = "exports"
COLOURS: Mapping[int, str] = {ink: LIGHT.variables[f"series-{ink}"] for ink in range(1, SERIES + 1)}
"""Curves on paper have the light theme's colours."""


def export_plot(folder: Path, name: str, title: str, figure: Figure, view: Viewport) -> list[Path]:
    """Write a plot as it is looked at.

    Args:
        folder: of the run; the files go into its ``exports``.
        name: stem of the files, e.g. "losses".
        title: heading on the page.
        figure: what is shown.
        view: how.

    Returns:
        The SVG's and the PNG's path.

    Raises:
        RunFailed: the disk refuses.
    """
    page = lay_out(figure, view, COLOURS, title)
    return [
        _write(folder, f"{name}.svg", to_svg(page).encode()),
        _write(folder, f"{name}.png", to_png(page)),
    ]


def tables_of(history: RunHistory) -> dict[str, str]:
    """By file name: every series, one row an iteration, and every evaluation."""
    return {"metrics.csv": metrics_csv(history), "evaluations.csv": evaluations_csv(history)}


def export_tables(folder: Path, tables: Mapping[str, str]) -> list[Path]:
    """Write tables. Raises RunFailed where the disk refuses."""
    return [_write(folder, name, text.encode()) for name, text in tables.items()]


def written(folder: Path, plots: int, tables: int = 0) -> str:
    """How much was written, and where: a path that holds in whatever folder it is pasted."""
    parts = [f"{plots} plot{'s' if plots != 1 else ''} (SVG, PNG)"] + ([f"{tables} tables"] if tables else [])
    return f"{' and '.join(parts)} in {folder.absolute() / FOLDER}"


def metrics_csv(history: RunHistory) -> str:
    """The series as a table: ``iteration`` and one column a metric, in full precision.

    A value that is not a number is written nan; where none was read the cell is empty.
    """
    names = sorted(history.series)
    columns = {name: dict(history.series[name].points()) for name in names}
    iterations = sorted({i for column in columns.values() for i in column})
    rows = [[str(i), *(_number(columns[name].get(i)) for name in names)] for i in iterations]
    return _csv([["iteration", *names], *rows])


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


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = private_folder(folder / FOLDER) / name
    write_bytes(path, data, durable=False)
    return path
