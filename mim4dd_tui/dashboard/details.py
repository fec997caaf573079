"""The home screen's right side in words: a preset with what it will take, a run with how it stands."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from engine.config.presets import lacking
from engine.config.schema import Config
from engine.errors import MimError
from engine.runs.called import called
from engine.runs.log import told_changes
from mim4dd_tui.dashboard import catalog
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.fitting import SHORTEST, first_lines, shortened, wrapped
from mim4dd_tui.own import Own
from mim4dd_tui.plain import ago, percent
from mim4dd_tui.seeds import seeds_of

UNCOUNTED = re.compile(r"about ([^,]*), not counting [^·]*[^·\s]")
"""A time that leaves something out, as :func:`mim4dd_tui.dashboard.estimate.in_a_line` has it."""


def preset_text(name: str, config: Config, cost: Sequence[str], warning: str, own: Own | None = None) -> Text:
    """A preset: its summary, what it takes here (lines with a mark of exclamation in ``warning``), what it does.

    Of one's own preset what it changes on its base, in place of the base's summary.
    """
    text = Text()
    text.append(name + "\n", style="bold")
    for line in cost:
        text.append(line + "\n", style=warning if line.startswith("!") else "")
    if own is not None:
        text.append(f"{own}\n")
    if config.summary and (own is None or own.summary):
        text.append(config.summary + "\n", style="dim")
    for line in (catalog.describe_data(config), catalog.describe_method(config), catalog.describe_work(config)):
        text.append(line + "\n", style="dim")
    text.rstrip()
    return text


def preset_line(name: str, cost: str, warning: str, room: int) -> Text:
    """A preset in one line, while its settings have the room: its name, and what it takes as they are now."""
    if room - cell_len(cost) - 2 < SHORTEST:  # what is not counted is said where there is room for it
        cost = UNCOUNTED.sub(r"over \1", cost)
    beside = max(0, room - cell_len(cost) - 2)
    text = Text(no_wrap=True, overflow="ellipsis")
    if beside >= SHORTEST:
        text.append(shortened(name, beside) + "  ", style="bold")
    text.append(cost, style=warning if cost.startswith("!") else "")
    return text


def run_text(info: RunInfo, style: str, *, unicode: bool, room: tuple[int, int] | None = None) -> Text:
    """A run of the list; its state in ``style``.

    Args:
        room: columns and lines; where they do not hold it all, the message of its end is cut, and marked.
    """
    mark = f"{STATES.get(info.state, ('?', ''))[0]} " if unicode else ""
    text = Text()
    text.append(info.name + "\n", style="bold")
    text.append(f"{mark}{info.state}", style=f"bold {style}")
    if info.alive and not info.here:
        text.append("  in another process", style="dim")
    text.append("\n")
    rows = [("phase", info.doing)] if info.doing else []
    if info.iterations and (info.iteration or not info.doing):  # of a damaged status neither is known
        rows.append(("iteration", f"{info.iteration} of {info.iterations}"))
    if info.accuracy is not None:
        live = " live, of a few networks" if info.live else ""
        live += ", on validation images" if info.measured_on == "validation" else ""
        rows.append(("accuracy", percent(info.accuracy) + live))
    rows += _made_of(info)
    if info.seed is not None:
        rows.append(("seed", str(info.seed)))
    if info.heartbeat:
        seen = "last sign" if info.alive or info.crashed else "queued" if info.state == "queued" else "ended"
        rows.append((seen, ago(time.time() - info.heartbeat)))
    for label, value in rows:
        text.append(f"{label:<12}", style="dim")
        text.append(value + "\n")
    hints = ["enter opens it"]
    if info.waits:
        hints.append(f"it waits in the queue (Q){info.waits.to_be}")
    elif info.resumable:
        hints.append("R resumes it, w queues it" + (", I lengthens it" if info.lengthenable else ""))
    elif info.lengthenable:
        hints.append("I lengthens it")
    hints.append("D takes its settings into a new run")
    after = Text("\n" + " · ".join(hints), style="dim")
    if info.message:
        text.append(
            "\n" + _message(info.message, text, after, room) + "\n", style=style if info.state == "failed" else ""
        )
    return text + after


def _made_of(info: RunInfo) -> list[tuple[str, str]]:
    """The preset and what was changed on it; where there was none to compare with, where the values are."""
    rows = [("preset", info.preset)] if info.preset else []
    if lack := lacking(info.preset):
        rows.append(("", f"{lack}; `mim4dd show {called(info.folder.path)} --config` has all settings"))
    return [*rows, ("with", told_changes(info.changes))] if info.changes else rows


def _message(message: str, before: Text, after: Text, room: tuple[int, int] | None) -> str:
    """As many of its lines as there is room for between the others, the last with a mark where some are left out."""
    if room is None:
        return message
    width, height = room
    others = sum(len(wrapped(part.plain.removesuffix("\n"), width)) for part in (before, after))
    return "\n".join(first_lines(wrapped(message, width), max(1, height - others - 1), width))


def wrong_seeds(text: str) -> str:
    """Why these are no seeds; empty where they are."""
    try:
        seeds_of(text) if text else None
    except MimError as error:
        return str(error)
    return ""
