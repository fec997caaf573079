"""From a tree of plain values to a :class:`Config`, or to sentences that say what is wrong where."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from engine.config.fields import by_key, nearest, nearest_key, sections
from engine.config.schema import CONFLICT, Config
from engine.errors import ConfigError

MOST_LINES = 20
"""Errors listed at once; of more, the number is given."""

LONGEST = 60
"""Characters of a wrong value that are shown."""


class Places(Protocol):
    """Knows where values came from."""

    def where(self, key: str) -> str:
        """The file or option that set a key (or a part of its section)."""

    def latest(self, keys: Iterable[str]) -> str:
        """Of some keys, the one that was set last."""


def validated(tree: Mapping[str, Any], places: Places, already: Iterable[str] = ()) -> Config:
    """The configuration of a tree of sections.

    Args:
        tree: sections, keys and values.
        places: for the messages.
        already: errors found before; they are listed with the others.

    Raises:
        ConfigError: one line for every wrong key or value: its origin, its key, what is wrong, what is allowed.
    """
    lines = list(already)
    known = _structure(tree, places, lines)
    try:
        config = Config.model_validate(known)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] != CONFLICT:
                lines.append(_line(details, places))
            elif not lines:  # else it may only follow from what is wrong already
                lines += _conflicts(details["ctx"]["conflicts"], places)
    else:
        if not lines:
            return config
    lines = list(dict.fromkeys(lines))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES} more"]
    raise ConfigError("\n".join(lines))


def _structure(tree: Mapping[str, Any], places: Places, lines: list[str]) -> dict[str, Any]:
    """The known part of the tree; unknown keys and sections that are no tables go into ``lines``."""
    known: dict[str, Any] = {}
    for name, value in tree.items():
        model = sections().get(name)
        if model is None:
            if name in Config.model_fields:
                known[name] = value
            else:
                lines.append(f"{places.where(name)}: {unknown_key(name)}")
        elif not isinstance(value, Mapping):
            lines.append(f"{places.where(name)}: {name}: must be a section, [{name}], and not {shown(value)}")
        else:
            known[name] = {key: leaf for key, leaf in value.items() if key in model.model_fields}
            wrong = [f"{name}.{key}" for key in value if key not in model.model_fields]
            lines += [f"{places.where(key)}: {unknown_key(key)}" for key in wrong]
    return known


def unknown_key(key: str) -> str:
    """The sentence for a key that does not exist: the nearest one, or those there are."""
    section, dot, name = key.partition(".")
    if not dot:
        close = nearest(key, sections()) or nearest_key(key)
    elif section not in sections():
        close = nearest_key(f"{nearest(section, sections()) or section}.{name}")
    else:
        close = nearest_key(key)
    if close:
        hint = f"did you mean {close}?"
    elif section in sections():
        hint = f"[{section}] has {', '.join(sections()[section].model_fields)}"
    else:
        hint = f"there are the sections {', '.join(sections())}, and the keys seed and summary"
    return f"{printable(key)}: unknown key; {hint}"


def _line(details: Any, places: Places) -> str:
    key = ".".join(str(part) for part in details["loc"])
    message = str(details["msg"]).removeprefix("Value error, ")
    field = by_key().get(key)
    if field is None:  # a section's own check: its message begins with the field
        name, _, sentence = message.partition(": ")
        key, message = f"{key}.{name}", sentence
        return f"{places.where(key)}: {key}: {message}"
    value = details["input"]
    close = nearest(value, [c for c in field.choices if isinstance(c, str)]) if isinstance(value, str) else None
    hint = f" (did you mean {close}?)" if close else ""
    return f"{places.where(key)}: {key}: {shown(value)} is not allowed; it must be {field.allowed}{hint}"


def _conflicts(conflicts: Iterable[tuple[tuple[str, ...], str]], places: Places) -> list[str]:
    """Values that do not go together, at the one that was set last: that is the one to look at."""
    lines = []
    for keys, sentence in conflicts:
        key = places.latest(keys)
        lines.append(f"{places.where(key)}: {key}: {sentence}")
    return lines


def shown(value: object) -> str:
    """A wrong value as TOML would have it, nearly; shortened, and never a control character."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 256:
        return "an integer of hundreds of digits"
    if isinstance(value, str | int | float):
        text = repr(value)
    elif hasattr(value, "isoformat"):
        text = value.isoformat()
    else:
        text = reprlib.repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def printable(text: str, most: int = 80) -> str:
    """The text in one line and at most ``most`` characters, what cannot be printed escaped."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 3] + "..."
