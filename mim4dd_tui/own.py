"""What presets of a person's own are made of."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config.layers import content
from engine.config.load import resolve
from engine.config.presets import is_builtin, names
from engine.config.schema import Config
from engine.errors import MimError
from mim4dd_tui.spelling import value_of, written

SETTINGS = 6
"""Settings of one's own preset that are named beside its base."""


@dataclass(frozen=True)
class Own:
    """A preset of a person's own: the presets it extends, and what it changes on them, as ``key value``."""

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


def is_own(name: str) -> bool:
    """Whether there is a preset of a person's own of this name, usable or not."""
    path = names().get(name)
    return path is not None and not is_builtin(path)


def own_preset(name: str) -> Own | None:
    """What a preset of a person's own is made of; None for another, or one that cannot be read."""
    path = names().get(name)
    if path is None or is_builtin(path):
        return None
    try:
        (bases, keys), config = content(path), resolve(name).config
        base = _base(bases)
    except MimError:
        return None
    values = tuple(
        f"{key} {written(value_of(config, key))}"
        for key in keys
        if key != "summary" and (base is None or value_of(config, key) != value_of(base, key))
    )
    return Own(bases, values, "summary" in keys)


def _base(bases: tuple[str, ...]) -> Config | None:
    """What a preset begins from; None where that is more than one, or a file."""
    if not bases:
        return Config()
    return resolve(bases[0]).config if len(bases) == 1 and bases[0] in names() else None
