"""From a tree of plain values to a :class:`Config`, or to sentences that say what is wrong where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from engine.config.fields import by_key, nearest, nearest_key, sections
from engine.config.schema import Config
from engine.errors import ConfigError

Where = Callable[[str], str]
"""Where the value of a key came from, for the message: a file's name, or an option."""


def validated(tree: Mapping[str, Any], where: Where) -> Config:
    """The configuration of a tree of sections.

    Raises:
        ConfigError: one line for every wrong key or value: its origin, its key, what is wrong, what is allowed.
    """
    lines = _structure(tree, where)
    if lines:
        raise ConfigError("\n".join(lines))
    try:
        return Config.model_validate(dict(tree))
    except ValidationError as error:
        lines = [_line(details, where) for details in error.errors(include_url=False)]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from None


def _structure(tree: Mapping[str, Any], where: Where) -> list[str]:
    """Unknown sections and keys, and sections that are not tables."""
    lines = []
    known = sections()
    for name, value in tree.items():
        if name in known:
            if not isinstance(value, Mapping):
                lines.append(f"{where(name)}: {name}: must be a section [{name}], not {_shown(value)}")
                continue
            for key in value:
                if key not in known[name].model_fields:
                    lines.append(unknown_key(f"{name}.{key}", where))
        elif name not in Config.model_fields:
            lines.append(unknown_key(name, where))
    return lines


def unknown_key(key: str, where: Where) -> str:
    """The sentence for a key that does not exist."""
    section = key.partition(".")[0]
    if "." not in key:
        close = nearest(key, [*sections(), "summary", "seed"])
        close = close or nearest_key(key)
    elif section not in sections():
        close_section = nearest(section, sections())
        close = nearest_key(f"{close_section}.{key.partition('.')[2]}" if close_section else key)
    else:
        close = nearest_key(key)
    hint = f"; did you mean {close}?" if close else f"; there are {', '.join(sections())} and seed"
    return f"{where(key)}: {key}: unknown key{hint}"


def _line(details: Any, where: Where) -> str:
    key = ".".join(str(part) for part in details["loc"])
    message = str(details["msg"]).removeprefix("Value error, ")
    field = by_key().get(key)
    if field is not None:
        return f"{where(key)}: {key}: {_shown(details['input'])} is not allowed; it must be {field.allowed}"
    mentioned = next((known for known in by_key() if known in message), key)
    if not key:
        return f"{where(mentioned)}: {message}"
    inner = message.partition(":")[0]
    if f"{key}.{inner}" in by_key():
        return f"{where(f'{key}.{inner}')}: {key}.{message}"
    return f"{where(key)}: {key}: {message}"


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "..."
