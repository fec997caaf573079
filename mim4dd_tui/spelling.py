"""Settings as a person reads and types them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from engine.config.fields import FieldInfo, fields
from engine.config.schema import Config
from engine.config.validate import written as told
from mim4dd_tui.fitting import shortened


def value_of(config: Config, key: str) -> Any:
    """The value of ``section.field`` (or of a field of the run itself)."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)


def every_setting() -> list[FieldInfo]:
    """The settings of a run: all fields but its summary, in the schema's order."""
    return [field for field in fields() if field.key != "summary"]


def differing(config: Config, base: Config) -> dict[str, Any]:
    """The settings of a configuration that are not those of another, by key."""
    found = {field.key: value_of(config, field.key) for field in every_setting()}
    return {key: value for key, value in found.items() if value != value_of(base, key)}


def written(value: object) -> str:
    """A value as a person types it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return told(value) if isinstance(value, float) else str(value)  # as messages and logs have it


def briefly(changes: Mapping[str, object], room: int | None = None) -> str:
    """``weight 0.3, norm group``: changed settings without their sections, which few need to know what is meant.

    In less ``room`` their first letters alone (``wei… 0.3``, ``we… 0.3``), then of the first; or nothing: a bare
    value could be any setting's.
    """
    named = [(key.rpartition(".")[2], written(value)) for key, value in changes.items()]
    whole = ", ".join(f"{name} {value}" for name, value in named)
    short = [[f"{shortened(name, width, middle=False)} {value}" for name, value in named] for width in (4, 3)]
    every = [whole, *(", ".join(each) for each in short)]
    first = f"{short[0][0]}, …" if len(named) > 1 else ""
    return next((text for text in (*every, first) if room is None or cell_len(text) <= room), "")


def telling_first(changes: Sequence[Mapping[str, Any]], presets: Sequence[str | None]) -> list[dict[str, Any]]:
    """What was changed for each of some runs, in an order for lists, which cut the end.

    Each setting is the one that leaves the fewest of those runs of its preset that no setting before it tells apart;
    last come those that all of them have so.
    """
    having: dict[tuple[str | None, str, str], set[int]] = {}
    of_preset: dict[str | None, set[int]] = {}
    for place, (own, preset) in enumerate(zip(changes, presets, strict=True)):
        of_preset.setdefault(preset, set()).add(place)
        for key, value in own.items():
            having.setdefault((preset, key, written(value)), set()).add(place)

    def ordered(preset: str | None, own: tuple[tuple[str, str], ...]) -> list[str]:
        same = set.intersection(*(having[preset, key, value] for key, value in own))
        left = of_preset[preset] - {place for place in same if len(changes[place]) == len(own)}
        keys, order = dict(own), list[str]()
        while keys:
            chosen = min(keys, key=lambda key: (len(left & having[preset, key, keys[key]]), pairs[preset, key]))
            left &= having[preset, chosen, keys.pop(chosen)]
            order.append(chosen)
        return order

    counts: dict[tuple[str | None, str], list[int]] = {}
    for (preset, key, _), found in having.items():
        counts.setdefault((preset, key), []).append(len(found))
    pairs = {  # of runs that have a setting the same, those that have it from the preset too
        (preset, key): sum(count**2 for count in (*some, len(of_preset[preset]) - sum(some)))
        for (preset, key), some in counts.items()
    }
    known = cache(ordered)
    told = []
    for own, preset in zip(changes, presets, strict=True):
        order = known(preset, tuple((key, written(value)) for key, value in own.items())) if own else []
        told.append({key: own[key] for key in order})
    return told


def brief(origin: str) -> str:
    """An origin in a word: preset names lose their prefix, paths all but the file."""
    if origin.startswith("preset "):
        return "preset"
    return origin.rsplit("/", 1)[-1]


def reason(message: str, key: str) -> str:
    """An error, or one a line, without the key's name, which stands beside it anyway."""
    return "\n".join(line.partition(f"{key}: ")[2].strip() or line.strip() for line in message.strip().splitlines())


NAME = 18
"""Columns of the longest name of a setting."""


def setting_row(name: str, value: str, before: str | None, origin: str, width: int, accent: str) -> Text:
    """A line of the settings: name, value and, from 44 columns up, origin.

    Args:
        before: the base's value, where this one differs from it; it stands before the new one where both have room.
        width: columns of the line.
        accent: colour of what was changed.
    """
    name_width, wide, edited = min(26, max(NAME + 1, width // 2)), width >= 44, before is not None
    value_width = min(width - name_width - (10 if wide else 0), 34)
    beside = f"{before} > {value}"
    if edited and wide and len(beside) < value_width:
        value = beside
    row = Text("  " + name[: name_width - 1].ljust(name_width), no_wrap=True)
    value = shortened(value, value_width - 1, middle=False)
    row.append(value.ljust(value_width) if wide else value, style=f"bold {accent}" if edited else "")
    if wide:
        row.append(origin[:9], style=accent if edited else "dim")
    return row
