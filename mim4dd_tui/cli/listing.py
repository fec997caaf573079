"""``runs`` and ``show``: what is in the run folders, without torch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len

from engine.runs.called import called, option
from engine.runs.log import told_changes
from mim4dd_tui.cli.options import Json, Latest, RunName, RunsDir, chosen_run, complete_run, locate, runs_dir_of
from mim4dd_tui.cli.output import GAP, needed, say, table, write_json
from mim4dd_tui.cli.sequence import Later
from mim4dd_tui.cli.summary import print_result
from mim4dd_tui.cli.waiting import in_queue
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
    found = [locate(place, name) for name in names] if names else list_runs(place)
    rows = [_row(folder, told=not as_json) for folder in found]
    if as_json:
        write_json(rows)
    elif not rows:
        tell(f"There are no runs in {place}; start one with `mim4dd run digits-ipc1{option(place)}`.")
    else:
        headers, *lines = _lines(rows)
        table(headers, lines, right=[place for place, name in enumerate(headers) if name in NUMBERS], names=0)


HEADERS = ("run", "state", "progress", "accuracy", "begun")
NUMBERS = ("progress", "accuracy", "begun")
LEAST = 12
"""Cells of what was changed at least, where it is cut."""
NAME = (0, 24)
"""The column of names, and cells of a shortened one at least."""


def _lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The table of the runs, headers first.

    The phase and long ages give way to names, which other commands are given; the age, which most names tell, and then
    names to what was changed, which tells runs apart. It is cut only where names are short already, and the first of
    what was changed last.
    """
    room = columns(sys.stdout)
    lines = [HEADERS, *(_cells(row, ago, phase=True) for row in rows)]
    shorter = [[HEADERS, *(_cells(row, aged, phase=False) for row in rows)] for aged in (ago, age)]
    ageless = [line[:-1] for line in shorter[-1]]
    changes = telling_first([row.get("changes", {}) for row in rows], [row.get("preset") for row in rows])
    tries = [*_beside([lines, *shorter, ageless], changes, room)] if any(changes) else []
    tries += [(each, needed(each)) for each in (lines, *shorter)]
    tries += [(each, needed(each, shortest=NAME)) for each in (shorter[-1], ageless)]
    return next((each for each, width in tries if room is None or width <= room), ageless)


def _beside(
    tables: Sequence[list[tuple[str, ...]]], changes: Sequence[dict[str, Any]], room: int | None
) -> Iterator[tuple[list[tuple[str, ...]], int]]:
    """The tables with what was changed in a last column, and the columns of a terminal that each needs.

    First come those that tell all of it, then those that cut it; among both, those with whole names first.
    """
    briefly_told = [briefly(own) for own in changes]
    yield (whole := _joined(tables[0], map(told_changes, changes))), needed(whole)
    for names in (None, NAME):
        for lines in tables[-2 if names else 0 :]:
            yield (whole := _joined(lines, briefly_told)), needed(whole, shortest=names)
    first = max(cell_len(briefly(dict([*own.items()][:1]))) + len(", …") * (len(own) > 1) for own in changes)
    for least, names in ((first, None), (first, NAME), (LEAST, NAME)):
        for lines in tables[-2 if names else 0 :]:
            left = (room or 0) - needed(lines, shortest=names) - GAP
            if left >= least:
                yield _joined(lines, [shortened(text, left, middle=False) for text in briefly_told]), room or 0


def _joined(lines: Sequence[tuple[str, ...]], last: Iterable[str]) -> list[tuple[str, ...]]:
    return [(*line, text) for line, text in zip(lines, ["changed", *last], strict=True)]


def _row(folder: RunFolder, *, told: bool) -> dict[str, Any]:
    """One run as ``runs --json`` lists it, its state as people are told it or as it is; a damaged folder is listed too,
    and says what it lacks."""
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
        "state": status.told_state() if told else status.effective_state(),
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
        if result["state"] == "queued":  # its process may have taken it up
            result["state"] = status.told_state()
        after = Later.read(folder.path, status)
        print_result(result, folder.path, doing=status.doing, queued=in_queue(folder), after=after)


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
