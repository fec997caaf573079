"""What a person takes out of the dashboard: plots as SVG and PNG, numbers as CSV.

Of one run into its folder's ``exports/``; of compared runs into a new folder of the runs folder's ``exports/``.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from engine.events import Evaluation
from engine.files import explained, private_folder, write_bytes
from engine.runs.history import RunHistory
from engine.runs.naming import EXPORTS
from engine.runs.readings import Readings
from engine.wording import counted
from mim4dd_tui.dashboard import together
from mim4dd_tui.dashboard.contenders import Contender
from mim4dd_tui.dashboard.themes import LIGHT, SERIES
from mim4dd_tui.plots.figure import Figure, Viewport
from mim4dd_tui.plots.page import to_png, to_svg
from mim4dd_tui.plots.paper import lay_out, noted
from mim4dd_tui.spelling import every_setting, value_of, written

COLOURS: Mapping[int, str] = {ink: LIGHT.variables[f"series-{ink}"] for ink in range(1, SERIES + 1)}
"""Curves on paper have the light theme's colours."""


Columns = Mapping[str, tuple[list[int], Sequence[float | str]]]
"""Iterations and values by the name of the series; words where it has no numbers."""
Tables = Callable[[], Mapping[str, str]]
"""Makes the text of tables, by file name."""


@dataclass(frozen=True, eq=False)
class Plot:
    """A plot as it is looked at. ``name`` is the stem of its files, ``title`` the heading on the page; ``notes``, each
    with the ink of its curve, stand below."""

    name: str
    title: str
    figure: Figure
    view: Viewport
    notes: Sequence[tuple[int, str]] = ()


def export(folder: Path, plots: Sequence[Plot], tables: Tables) -> str:
    """Write plots (each as SVG and PNG) that show anything, and tables, into a folder.

    Returns:
        How much was written, and where: a path that holds in whatever folder it is pasted.

    Raises:
        RunFailed: the disk refuses.
    """
    drawn = [plot for plot in plots if plot.figure.bounds_x() is not None]
    for plot in drawn:
        notes = [(COLOURS[ink], note) for ink, note in plot.notes]
        page = noted(lay_out(plot.figure, plot.view, COLOURS, plot.title), notes)
        _write(folder, f"{plot.name}.svg", to_svg(page).encode())
        _write(folder, f"{plot.name}.png", to_png(page))
    texts = tables()
    for name, text in texts.items():
        _write(folder, name, text.encode())
    told = f"{counted(len(drawn), 'plot')} (SVG, PNG)"
    return f"{told} and {len(texts)} tables in {folder.absolute()}"


def tables_of(history: RunHistory) -> Tables:
    """Every series, one row an iteration, and every evaluation, as they are now; the text is made when it is called."""
    columns, evaluations = _columns(history), list(history.evaluations)
    return lambda: {"metrics.csv": metrics_csv(columns), "evaluations.csv": evaluations_csv(evaluations)}


def tables_of_compared(names: Sequence[str], contenders: Sequence[Contender]) -> Tables:
    """A row a run of what came out and of every setting, in the order of the table on the screen; every series, one
    row a run's iteration; and where several runs differ in their seed alone, what these come to. As they are now.

    Args:
        names: the runs' names, in the order of ``contenders``.
    """
    pairs = list(zip(names, contenders, strict=True))
    rows = [_outcome(name, one) for name, one in pairs]
    columns = {name: _columns(one.history) for name, one in pairs}
    over_seeds = list(together.rows(contenders))
    return lambda: {
        "runs.csv": _sheet(rows),
        "curves.csv": _csv(_series_rows(columns, named=True)),
        **({"seeds.csv": _sheet(over_seeds)} if over_seeds else {}),
    }


def _sheet(rows: Sequence[dict[str, str]]) -> str:
    return _csv([list(rows[0]), *(list(row.values()) for row in rows)])


def _columns(history: RunHistory) -> Columns:
    """A copy of its series, whose text may be made on another thread; and by what its live accuracies were measured."""
    columns: dict[str, tuple[list[int], Sequence[float | str]]] = {
        name: (list(series.iterations), list(series.values)) for name, series in history.series.items()
    }
    live = {event.iteration: event for event in history.evaluations if event.live}
    if live:
        iterations = sorted(live)
        columns["accuracy_measured_on"] = (iterations, [live[i].measured_on for i in iterations])
        columns["accuracy_protocol"] = (iterations, [live[i].protocol for i in iterations])
    return columns


def _outcome(name: str, one: Contender) -> dict[str, str]:
    """A row of ``runs.csv``."""
    history = one.history
    row = {"mark": one.mark, "run": name, "preset": one.preset, "state": one.state}
    row |= _score("best", history.best, chosen=True) | _score("last", history.last, chosen=True)
    for field in every_setting():
        row[field.key] = "" if one.config is None else written(value_of(one.config, field.key))
    row["iteration"] = str(history.iteration)
    for metric in ("objective", "bound", "step_size"):
        series = history.series.get(metric)
        row[metric] = _number(None if series is None else series.last)
    readings = Readings.of(history, one.config)
    row["bound_mean_at_end"] = _number(None if readings is None else readings.mean)
    row |= _score("random_selection", history.random_selection)
    row["random_selection_labelled"] = _yes(history.random_selection)
    row |= _score("full_set", history.full_set)
    row["seconds_worked"] = "" if history.started_at is None else _number(history.worked)
    return row


def _yes(event: Evaluation | None) -> str:
    """``true`` where an expert labelled random real images; empty where there are none."""
    return "" if event is None else "true" if event.labelled else "false"


def _score(which: str, event: Evaluation | None, *, chosen: bool = False) -> dict[str, str]:
    """The columns of an accuracy; ``chosen``: also of which iterate it is, and on which images that was chosen."""
    values = {
        "mean": _number(event.mean) if event else "",
        "std": _number(event.std) if event else "",
        "subject": event.subject if event else "",
        "protocol": event.protocol if event else "",
        "measured_on": event.measured_on if event else "",
    }
    if chosen:
        values |= {
            "iteration": str(event.iteration) if event else "",
            # a live one, which stands for the last until that is measured, was chosen as the best, not as the last
            "selected_on": "" if event is None else "none" if which == "last" else event.selected_on,
        }
    return {f"{which}_{part}": value for part, value in values.items()}


def of_run(folder: Path) -> Path:
    """Where the exports of a run go."""
    return folder / EXPORTS


def of_comparison(runs_dir: Path) -> Path:
    """Makes the folder of a comparison's exports, which is named by the time.

    Raises:
        RunFailed: the disk refuses.
    """
    stem = f"compare-{time.strftime('%Y%m%d-%H%M%S')}"
    parent = private_folder(runs_dir / EXPORTS)
    for number in count(1):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        with explained(folder), suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            return folder
    raise AssertionError("unreachable")


def metrics_csv(columns: Columns) -> str:
    """The series as a table: ``iteration`` and one column a metric, in full precision; beside the accuracies on which
    images and by which protocol they were measured.

    A value that is not a number is written nan; where none was read the cell is empty.
    """
    return _csv(_series_rows({"": columns}, named=False))


def _series_rows(runs: Mapping[str, Columns], *, named: bool) -> list[list[str]]:
    """The heading, then a row an iteration of every run; ``named``: the run's name is the first column."""
    names = sorted({name for columns in runs.values() for name in columns})
    rows = [[*(["run"] if named else []), "iteration", *names]]
    for run, columns in runs.items():
        known = {name: dict(zip(*columns[name], strict=True)) for name in columns}
        head = [run] if named else []
        for iteration in sorted({i for column in known.values() for i in column}):
            values = (_cell(known.get(name, {}).get(iteration)) for name in names)
            rows.append([*head, str(iteration), *values])
    return rows


def evaluations_csv(evaluations: Sequence[Evaluation]) -> str:
    """The evaluations as a table; accuracies in 0..1."""
    head = ["iteration", "subject", "protocol", "mean", "std", "networks", "selected_on", "measured_on", "seconds",
            "labelled", "train_images"]  # fmt: skip
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
            _yes(e) if e.subject == "random_selection" else "",
            "" if e.train_images is None else str(e.train_images),
        ]
        for e in evaluations
    ]
    return _csv([head, *rows])


def _cell(value: float | str | None) -> str:
    return value if isinstance(value, str) else _number(value)


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
