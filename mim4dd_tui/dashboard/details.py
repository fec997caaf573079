"""The home screen's right side in words: a preset with what it will take, a run with how it stands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from engine.config.layers import content
from engine.config.load import beneath, resolve
from engine.config.presets import builtin_dir, checked_name, is_builtin, names
from engine.config.schema import Config
from engine.errors import MimError
from mim4dd_tui.dashboard import catalog
from mim4dd_tui.dashboard.catalog import RunInfo
from mim4dd_tui.dashboard.run_queue import seeds_of
from mim4dd_tui.dashboard.spelling import differing, value_of, written
from mim4dd_tui.dashboard.widgets.status import STATES
from mim4dd_tui.fitting import SHORTEST, shortened
from mim4dd_tui.plain import ago, percent

SETTINGS = 6
"""Settings of one's own preset that are named beside its base."""


@dataclass(frozen=True)
class Own:
    """A preset of a person's own: the presets it extends, and what it sets itself, as ``key value``."""

    bases: tuple[str, ...]
    values: tuple[str, ...]
    summary: bool  # it has one of its own

    def __str__(self) -> str:
        count = len(self.values)
        listed = ", ".join(self.values[:SETTINGS]) + (f", and {count - SETTINGS} more" if count > SETTINGS else "")
        if not self.bases:
            return f"yours, on the defaults: {listed}" if listed else "yours, the defaults"
        bases = " and ".join(self.bases)
        return f"yours: {bases} with {listed}" if listed else f"yours: the same as {bases}"


def own_preset(name: str) -> Own | None:
    """What a preset of a person's own is made of; None for another, or one that cannot be read."""
    path = names().get(name)
    if path is None or is_builtin(path):
        return None
    try:
        (bases, keys), config = content(path), resolve(name).config
    except MimError:
        return None
    values = tuple(f"{key} {written(value_of(config, key))}" for key in keys if key != "summary")
    return Own(bases, values, "summary" in keys)


def kept_as(name: str, config: Config, base: str | None) -> str:
    """What a preset of a person's own will hold: ``extends digits-ipc1 by 2 settings``."""
    try:
        bases, below = beneath(name, base)
    except MimError:  # said when it is saved
        bases, below = (), config
    if not bases:
        return "holds all settings"
    count = len(differing(config, below))
    return f"extends {' and '.join(bases)} by {count} setting{'' if count == 1 else 's'}"


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
    beside = max(0, room - cell_len(cost) - 2)
    text = Text(no_wrap=True, overflow="ellipsis")
    if beside >= SHORTEST:
        text.append(shortened(name, beside) + "  ", style="bold")
    text.append(cost, style=warning if cost.startswith("!") else "")
    return text


def run_text(info: RunInfo, style: str, *, unicode: bool) -> Text:
    """A run of the list; its state in ``style``."""
    mark = STATES.get(info.state, ("?", ""))[0] if unicode else "*"
    text = Text()
    text.append(info.name + "\n", style="bold")
    text.append(f"{mark} {info.state}", style=f"bold {style}")
    if info.elsewhere:
        text.append("  in another process", style="dim")
    text.append("\n")
    rows = [("iteration", f"{info.iteration} of {info.iterations}")]
    if info.accuracy is not None:
        live = "" if info.state == "done" else " live, of a few networks"
        rows.append(("accuracy", percent(info.accuracy) + live))
    if info.preset:
        rows.append(("preset", info.preset))
    if info.seed is not None:
        rows.append(("seed", str(info.seed)))
    if info.heartbeat:
        rows.append(("last sign", ago(time.time() - info.heartbeat)))
    for label, value in rows:
        text.append(f"{label:<12}", style="dim")
        text.append(value + "\n")
    if info.message:
        text.append("\n" + info.message + "\n", style=style if info.state == "failed" else "")
    text.append("\n")
    hints = ["enter opens it"]
    if info.resumable:
        hints.append("R resumes it")
    hints.append("D takes its settings into a new run")
    text.append(" · ".join(hints), style="dim")
    return text


def wrong_preset_name(name: str) -> str:
    """Why a preset cannot be called so; empty where it can."""
    if not name:
        return ""
    try:
        checked_name(name, "preset")
    except MimError as error:
        return str(error)
    taken = (builtin_dir() / f"{name}.toml").exists()
    return f"{name} is a preset that comes with the program" if taken else ""


def wrong_seeds(text: str) -> str:
    """Why these are no seeds; empty where they are."""
    try:
        seeds_of(text) if text else None
    except MimError as error:
        return str(error)
    return ""
