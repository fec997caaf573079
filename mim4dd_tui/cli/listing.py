"""``runs`` and ``show``: what is in the run folders, without torch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.runs.called import called, option
from engine.runs.log import told_changes
from mim4dd_tui.cli.options import Json, Latest, RunName, RunsDir, chosen_run, complete_run, locate, runs_dir_of
from mim4dd_tui.cli.output import GAP, needed, say, table, write_json
from mim4dd_tui.cli.sequence import Later
from mim4dd_tui.cli.summary import print_result
from mim4dd_tui.fitting import shortened
from mim4dd_tui.plain import age, ago, score, tell
from mim4dd_tui.spelling import briefly, telling_first
from mim4dd_tui.terminal import columns

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder


def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Only these runs. Default: all.", autocompletion=complete_run),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """List the runs, the newest last, or those that are named."""
    from engine.runs.finding import list_runs

    place = runs_dir_of(runs_dir)
    rows = [_row(folder) for folder in ([locate(place, name) for name in names] if names else list_runs(place))]
    if as_json:
        write_json(rows)
    elif not rows:
        tell(f"There are no runs in {place}; start one with `mim4dd run digits-ipc1{option(place)}`.")
    else:
        headers, *lines = _lines(rows)
        table(headers, lines, right=(2, 3, 4), names=0)


HEADERS = ("run", "state", "progress", "accuracy", "begun")
LEAST = 12
"""Cells of what was changed at least, where it is cut."""
NAME = 24
"""Cells of a shortened name at least, where it has columns beside it that are not needed."""


def _lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The table of the runs, headers first.

    Names are what other commands are given: what was changed, that it distils and long ages give way to them; and the
    age, which most names tell, to what was changed, which tells apart runs that are named nearly the same. Where names
    have no room even so they are shortened.
    """
    room = columns(sys.stdout)
    lines = [HEADERS, *(_cells(row, ago, phase=True) for row in rows)]
    shorter = [[HEADERS, *(_cells(row, aged, phase=False) for row in rows)] for aged in (ago, age)]
    wide, narrow = [lines, *shorter], [shorter[-1], [line[:-1] for line in shorter[-1]]]
    changes = telling_first([row.get("changes", {}) for row in rows], [row.get("preset") for row in rows])
    if any(changes):
        full, brief = (["changed", *map(told, changes)] for told in (told_changes, briefly))
        wide[:0] = [
            *([(*line, text) for line, text in zip(lines, own, strict=True)] for own in (full, brief)),
            *_cut([lines, *shorter, [line[:-1] for line in shorter[-1]]], brief, room),
        ]
        narrow.insert(0, [(*line, text) for line, text in zip(narrow[0], brief, strict=True)])
    tries = [*((each, needed(each)) for each in wide), *((each, needed(each, shortest=(0, NAME))) for each in narrow)]
    return next((each for each, width in tries if room is None or width <= room), narrow[-1])


def _cut(
    tables: Sequence[list[tuple[str, ...]]], last: Sequence[str], room: int | None
) -> Iterator[list[tuple[str, ...]]]:
    """The tables with a last column that has the rest of the room, where that is enough to tell runs apart by."""
    for lines in tables:
        left = (room or 0) - needed(lines) - GAP
        if left >= LEAST:
            yield [(*line, shortened(text, left, middle=False)) for line, text in zip(lines, last, strict=True)]


def _row(folder: RunFolder) -> dict[str, Any]:
    """One run as ``runs --json`` lists it; a damaged folder is listed too, and says what it lacks."""
    from engine.errors import MimError
    from engine.runs.changes import changes
    from engine.runs.reached import standing

    row: dict[str, Any] = {"run": folder.name, "path": folder.path, "state": "failed", "message": ""}
    try:
        about, status = folder.about(), standing(folder)
    except MimError as error:
        return row | {"message": str(error)}
    row |= {"preset": about.preset, "seed": about.seed, "changes": changes(folder), "created": about.created}
    if status is None:
        return row | {"message": "its status file is missing or damaged"}
    crashed = status.liveness() == "crashed"
    gone = f"its process is gone; `mim4dd resume {called(folder.path)}` continues it"
    return row | {
        "state": status.effective_state(),
        "message": status.message or (gone if crashed else ""),
        "phase": status.phase,
        "done": status.done,
        "total": status.total,
        "iteration": status.iteration,
        "iterations": status.iterations,
        "accuracy": status.accuracy,
        "accuracy_final": None if status.accuracy is None else not status.live,
        "accuracy_measured_on": status.measured_on or None,
        "started": status.started,
        "heartbeat": status.heartbeat,
    }


def _cells(row: dict[str, Any], aged: Callable[[float], str], *, phase: bool) -> tuple[str, ...]:
    from engine.runs.status import doing

    accuracy, created = row.get("accuracy"), row.get("created")
    state, iterations = row["state"], f"{row['iteration']}/{row['iterations']}" if row.get("iterations") else "-"
    at = (row.get("phase", ""), row.get("done", 0), row.get("total"), row.get("iteration", 0))
    progress = doing(state, *at) or iterations
    if phase and progress == iterations and state in ("running", "paused") and row.get("phase"):
        progress = f"{row['phase']} {progress}"
    return (
        str(row["run"]),
        str(row["state"]),
        progress,
        score(accuracy, live=not row["accuracy_final"], on=row["accuracy_measured_on"])
        if accuracy is not None
        else "-",
        aged(time.time() - created) if created else "-",
    )


def show(
    name: RunName = None,
    latest: Latest = False,
    config: Annotated[
        bool, typer.Option("--config", help="The run's settings instead, and where each came from.")
    ] = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show a run: its state, its numbers, where the distilled set is."""
    place = runs_dir_of(runs_dir)
    folder = locate(place, chosen_run(name, latest, "show", place))
    if config:
        _show_config(folder, as_json)
        return
    from engine.runs.result import document

    result = document(folder.path)
    if as_json:
        write_json(result)
        return
    status = folder.status()
    if status is None:
        print_result(result, folder.path)
    else:
        print_result(result, folder.path, doing=status.doing, after=Later.read(folder.path, status))


def _show_config(folder: RunFolder, as_json: bool) -> None:
    settings, origins = folder.config().model_dump(mode="json"), folder.about().origins
    if as_json:
        write_json({"run": folder.name, "config": settings, "origins": origins})
        return
    print_settings(settings, origins)


def print_settings(settings: dict[str, Any], origins: dict[str, str]) -> None:
    """Settings as TOML, each with where it came from."""
    import tomli_w

    def line(key: str, value: Any, full: str) -> str:
        text = tomli_w.dumps({key: value}).strip()
        origin = origins.get(full, "default")
        return text if origin == "default" else f"{text}  # {origin}"

    for key, value in settings.items():
        if not isinstance(value, dict):
            say(line(key, value, key))
    for section, values in settings.items():
        if isinstance(values, dict):
            say(f"\n[{section}]")
            for key, value in values.items():
                say(line(key, value, f"{section}.{key}"))
