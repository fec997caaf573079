"""Settings as a person reads and types them."""

from __future__ import annotations

from typing import Any

from engine.config.schema import Config


def value_of(config: Config, key: str) -> Any:
    """The value of ``section.field`` (or of a field of the run itself)."""
    section, _, name = key.rpartition(".")
    return getattr(getattr(config, section) if section else config, name)


def written(value: object) -> str:
    """A value as a person types it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def brief(origin: str) -> str:
    """An origin in a word: preset names lose their prefix, paths all but the file."""
    if origin.startswith("preset "):
        return "preset"
    return origin.rsplit("/", 1)[-1]


def reason(message: str, key: str) -> str:
    """An error without the key's name, which stands beside it anyway."""
    return message.partition(f"{key}: ")[2].strip() or message.strip()
