"""A run as a row of the list of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mim4dd_tui.dashboard.catalog import RunInfo, told_apart_by_changes
from mim4dd_tui.dashboard.glance import PLACES, sparkline
from mim4dd_tui.dashboard.shelf import Sort
from mim4dd_tui.dashboard.sittings import Sittings
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.dashboard.widgets.table import MUTED, Cell, Column, reserved
from mim4dd_tui.plain import ago, duration

COLUMNS = (
    Column("", 1),
    Column("run", 0, least=18, grows=4, most=40, middle=True),
    Column("state", 8, rank=1, fits=True),
    Column("queue", 11, rank=4, fits=True, optional=True),
    Column("accuracy", 8, right=True, rank=2),
    Column("progress", 15, right=True, rank=3, fits=True, grows=3),
    Column("begun", 11, right=True, rank=6, fits=True),
    Column("worked", 8, right=True, rank=8),
    Column("preset", 20, rank=7, fits=True, grows=11),
    Column("seed", 5, right=True, rank=3, optional=True),
    Column("changed", 16, rank=5, fits=True, grows=10, optional=True),
    Column("loss", PLACES, rank=12),
)
CHANGES_FIRST = tuple(
    replace(each, grows=5) if each.title == "run" else replace(each, rank=4) if each.title == "changed" else each
    for each in COLUMNS
)
"""Where changes tell runs apart: they have room before long names."""
HEADINGS: dict[str, Sort] = {
    "run": "name",
    "state": "state",
    "accuracy": "accuracy",
    "progress": "progress",
    "begun": "newest",
    "preset": "preset",
    "seed": "preset",
}
"""What a click on a heading sorts by."""
Glance = tuple[int, tuple[float, ...], Sittings]
"""The size of a run's journal, and its losses and sittings when it had that size."""
NOTHING: Glance = (0, (), Sittings())


def columns_of(runs: Sequence[RunInfo]) -> tuple[Column, ...]:
    """The columns of these runs: what tells them apart has room first, and what changes keeps its width."""
    columns = CHANGES_FIRST if told_apart_by_changes(runs) else COLUMNS
    return reserved(columns, "state", "progress") if any(run.alive for run in runs) else columns


def cells(
    run: RunInfo, glance: Glance, ink: int | None, now: float, *, seeded: bool, unicode: bool
) -> tuple[Cell, ...]:
    """A run in the columns of :data:`COLUMNS`.

    Args:
        glance: what its journal says.
        ink: the colour of its curve where it is marked.
        now: seconds since the epoch.
        seeded: its seed is told.
        unicode: its state has a mark, not a letter.
    """
    mark, colour = STATES.get(run.state, ("?", "secondary"))
    if not unicode:
        mark = run.state[0]
    marked = ink is not None
    _, curve, sittings = glance
    taken = sittings.worked(run.heartbeat if run.alive else None)
    return (
        Cell("*" if marked else mark, f"series-{ink}" if marked else colour, bold=marked),
        Cell(run.name, f"series-{ink}" if marked else "", bold=marked),
        Cell(run.state, colour),
        Cell("" if run.waits is None or run.waits.state == run.state else run.waits.told, MUTED),
        Cell(run.score, bold=run.state == "done"),
        Cell(run.progress, MUTED),
        Cell(ago(now - run.started) if run.started else "", MUTED),
        Cell("" if taken is None else duration(taken), MUTED),
        Cell(run.preset, MUTED),
        Cell("" if run.seed is None or not seeded else str(run.seed), MUTED),
        Cell(run.changed, MUTED),
        Cell(sparkline(curve, unicode=unicode), "primary"),
    )
