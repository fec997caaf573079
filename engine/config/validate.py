"""From a tree of plain values to a :class:`Config`, or to sentences that say what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from pydantic import ValidationError

from engine.config.consistency import Problem
from engine.config.fields import by_key, nearest, nearest_key, sections
from engine.config.schema import INCONSISTENT, Config
from engine.errors import ConfigError

MOST = 20
"""Problems told at once."""


class Where(Protocol):
    """Where values come from."""

    def shown(self, key: str) -> str:
        """File or option that set a key, for a message."""
        ...

    def latest(self, keys: Sequence[str]) -> str:
        """Of some keys, the one that was set last: most likely the one at fault."""
        ...


def validated(tree: Mapping[str, Any], where: Where, wrong: Sequence[str] = ()) -> Config:
    """The configuration of a tree of known sections and keys.

    Args:
        wrong: what was found wrong with the tree's structure.

    Raises:
        ConfigError: one line for every problem: origin, key, what is wrong, what is allowed.
    """
    lines = list(wrong)
    try:
        config = Config.model_validate(dict(tree))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] != INCONSISTENT:
                lines.append(_value(details, where))
            elif not wrong:  # else it may only seem so, because a misspelt setting was left out
                lines += [_clash(problem, where) for problem in details["ctx"]["problems"]]
        raise _problems(lines) from None
    if lines:
        raise _problems(lines)
    return config


def _problems(lines: Sequence[str]) -> ConfigError:
    """The error of several problems, a line each; the first are told."""
    told = list(dict.fromkeys(lines))
    more = [f"... and {len(told) - MOST} more"] if len(told) > MOST else []
    return ConfigError("\n".join(told[:MOST] + more))


def structure(tree: Mapping[str, Any], shown: str) -> tuple[dict[str, Any], list[str]]:
    """The known part of a tree, and what is wrong with the rest: unknown keys, sections that are no tables."""
    known: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in tree.items():
        if name not in Config.model_fields:
            wrong.append(name)
        elif name not in sections():
            known[name] = value
        elif not isinstance(value, Mapping):
            wrong.append(name)
        else:
            inside = sections()[name].model_fields
            known[name] = {key: leaf for key, leaf in value.items() if key in inside}
            wrong += [f"{name}.{key}" for key in value if key not in inside]
    return known, list(islice(_explained(tree, wrong, shown), MOST + 1))


def _explained(tree: Mapping[str, Any], wrong: Sequence[str], shown: str) -> Iterator[str]:
    for key in wrong:
        if key in sections():
            yield f"{shown}: {key}: must be a section [{key}], not {written(tree[key])}"
        else:
            yield f"{shown}: {unknown_key(key)}"


def unknown_key(key: str) -> str:
    """The sentence for a key that does not exist: the nearest one, or those there are."""
    section, dot, name = key.partition(".")
    close: str | None
    if not dot:
        # A setting's own name without its section is meant more often than a section of a like name.
        bare = next((known for known in by_key() if known.endswith(f".{key}")), None)
        close = bare or nearest(key, [*sections(), "summary", "seed"]) or nearest_key(key)
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


def _value(details: Any, where: Where) -> str:
    """The sentence for one wrong value."""
    key = ".".join(str(part) for part in details["loc"][:2])
    field = by_key().get(key)
    if field is None:
        return f"{where.shown(key)}: {printable(key)}: {printable(str(details['msg']))}"
    value = details["input"]
    choices = [written(choice) if isinstance(choice, bool) else str(choice) for choice in field.choices]
    close = nearest(value, choices) if isinstance(value, str) else None
    hint = f"; did you mean {close}?" if close else ""
    return f"{where.shown(key)}: {key}: {written(value)} is not allowed; it must be {field.allowed}{hint}"


def _clash(problem: Problem, where: Where) -> str:
    """The sentence for settings that do not go together, told of the one set last."""
    key = where.latest(problem.keys)
    return f"{where.shown(key)}: {key}: {problem.message}"


def written(value: Any) -> str:
    """A wrong value in a message: short, in one line, whatever it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if "e" in short and float(short) == value else repr(value)
    if isinstance(value, str | int):
        return printable(repr(value))
    return printable(str(value))  # TOML's dates and times


def printable(text: str, most: int = 80) -> str:
    """The text in one line and at most ``most`` characters, what cannot be printed escaped."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 3] + "..."
