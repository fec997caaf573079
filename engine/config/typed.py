"""Values as a person types them: ``section.key=value`` on the command line, a text in the settings form."""

from __future__ import annotations

from typing import Any

import tomli

from engine.config.fields import by_key, sections
from engine.config.validate import printable, unknown_key
from engine.errors import ConfigError


def parse_override(text: str) -> tuple[str, Any]:
    """Key and value of ``section.key=value``.

    Raises:
        ConfigError: it has another form, or the key does not exist.
    """
    key, separator, value = text.partition("=")
    key = key.strip()
    if not separator or not key:
        raise ConfigError(f"--set: {printable(text)}: write section.key=value, for example objective.iterations=500")
    if key in sections():
        example = next(iter(sections()[key].model_fields))
        raise ConfigError(f"--set: {key}: is a section; set one of its keys, for example {key}.{example}=...")
    if key == "extends":
        raise ConfigError("--set: extends: belongs in a file; name the preset or file to start from instead")
    if key not in by_key():
        raise ConfigError(f"--set: {unknown_key(key)}")
    return key, parse_value(key, value)


def parse_value(key: str, text: str) -> Any:
    """A typed value: TOML where it is TOML, else the text itself. Text and choices are taken as written."""
    text = text.strip()
    field = by_key().get(key)
    quoted = text.startswith(('"', "'"))
    if field is not None and (field.type == "text" or text in field.choices) and not quoted:
        return text
    try:
        document = tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):  # a TOMLDecodeError is a ValueError
        return text
    value = document["value"] if set(document) == {"value"} else text
    if isinstance(value, float) and value.is_integer() and field is not None and field.type == "integer":
        return int(value)  # 1e3 is how a thousand is typed
    return value
