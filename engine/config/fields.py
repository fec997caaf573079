"""What can be set: every field of the schema with its type, range and meaning in words.

Made from the schema alone; the settings form, error messages and documentation read it.
"""

from __future__ import annotations

import difflib
import functools
import re
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo as PydanticField

from engine.config.schema import Config

LONGEST = 80
"""Characters of a wrong word that are compared: comparing takes the product of both lengths."""


@dataclass(frozen=True)
class FieldInfo:
    """One setting.

    Attributes:
        key: "section.key", or "key" for the two that belong to no section.
        section: the section's name, "" for none.
        type: "integer", "number", "text", "true or false" or "choice".
        default: the schema's default.
        allowed: what is allowed, in words.
        description: what it does.
        choices: the allowed values where they are few, else ().
    """

    key: str
    section: str
    type: str
    default: Any
    allowed: str
    description: str
    choices: tuple[Any, ...] = ()


_ONLY = re.compile(r"((?:[a-z]+, )*[a-z]+(?: and [a-z]+)?) only\.$")


def users(field: FieldInfo) -> tuple[str, ...]:
    """The objectives that read a setting, or of the term's settings the losses; () where all do.

    Its description ends with them: "trajectory and bptt only."
    """
    found = _ONLY.search(field.description)
    known = {*by_key()["objective.name"].choices, *by_key()["information.loss"].choices}
    return tuple(name for name in re.findall("[a-z]+", found[1]) if name in known) if found else ()


def unused(field: FieldInfo, config: Config) -> str:
    """``not used by trajectory``, where a setting does nothing in this configuration; else nothing."""
    user = config.information.loss if field.section == "information" else config.objective.name
    return f"not used by {user}" if users(field) and user not in users(field) else ""


def in_vain(keys: Iterable[str], config: Config) -> Iterator[str]:
    """``objective.window is not used by distribution``: of some settings, those that do nothing in a configuration."""
    found: dict[str, list[str]] = {}
    for key in keys:
        # Labels that are not learned are what such an objective asks for.
        if key in by_key() and key != "synthetic.labels" and (why := unused(by_key()[key], config)):
            found.setdefault(why, []).append(key)
    for why, (*others, last) in found.items():
        yield f"{', '.join(others)} and {last} are {why}" if others else f"{last} is {why}"


@functools.cache
def sections() -> dict[str, type[BaseModel]]:
    """The models of the sections, by name, in their order."""
    found = {}
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found[name] = field.annotation
    return found


@functools.cache
def fields() -> tuple[FieldInfo, ...]:
    """Every setting, section by section."""
    loose = [_info(name, "", Config.model_fields[name]) for name in Config.model_fields if name not in sections()]
    inner = [
        _info(f"{section}.{name}", section, field)
        for section, model in sections().items()
        for name, field in model.model_fields.items()
    ]
    return (*loose, *inner)


@functools.cache
def by_key() -> dict[str, FieldInfo]:
    """Every setting by its key."""
    return {field.key: field for field in fields()}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like a wrong one, if one is like it or is abbreviated by it (lr, ipc)."""
    words = list(known)
    short = [name for name in words if len(word) > 1 and word.lower() == "".join(p[:1] for p in name.split("_"))]
    found = short or difflib.get_close_matches(word[:LONGEST], words, n=1, cutoff=0.6)
    return found[0] if found else None


def nearest_key(key: str) -> str | None:
    """The setting most like a wrong key: like it in its own section, else like it in another."""
    section, dot, name = key.partition(".")
    if not dot:
        section, name = "", key
    own = [field.key for field in fields() if field.section == section]
    for keys in (own, list(by_key())):
        names: dict[str, list[str]] = {}
        for known in keys:
            names.setdefault(known.rpartition(".")[2], []).append(known)
        close = name if name in names else nearest(name, names)
        if close:
            return nearest(key, names[close]) or names[close][0]
    return None


def _info(key: str, section: str, field: PydanticField) -> FieldInfo:
    annotation, constraints = _unwrapped(field.annotation, list(field.metadata))
    choices: tuple[Any, ...] = ()
    if typing.get_origin(annotation) is Literal:
        choices = typing.get_args(annotation)
        kind, allowed = "choice", "one of " + ", ".join(str(choice) for choice in choices)
    elif annotation is bool:
        choices = (True, False)
        kind, allowed = "true or false", "true or false"
    else:
        kind = {int: "integer", float: "number", str: "text"}[typing.cast(type, annotation)]
        article = "an integer" if kind == "integer" else f"a {kind}" if kind == "number" else "text"
        allowed = " ".join(part for part in (article, _range(constraints)) if part)
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "allowed" in extra:
        allowed = str(extra["allowed"])
    default = field.get_default(call_default_factory=True)
    return FieldInfo(key, section, kind, default, allowed, field.description or "", choices)


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """The plain type behind Annotated and Optional, with all constraints met on the way."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation, *more = typing.get_args(annotation)
            for extra in more:
                metadata += list(extra.metadata) if isinstance(extra, PydanticField) else [extra]
        elif origin in (typing.Union, types.UnionType):
            annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
        else:
            return annotation, metadata


def _range(constraints: list[Any]) -> str:
    low = high = ""
    for constraint in constraints:
        match constraint:
            case annotated_types.Ge(ge=bound):
                low = f"at least {_number(bound)}"
            case annotated_types.Gt(gt=bound):
                low = f"above {_number(bound)}"
            case annotated_types.Le(le=bound):
                high = f"at most {_number(bound)}"
            case annotated_types.Lt(lt=bound):
                high = f"below {_number(bound)}"
    return " and ".join(part for part in (low, high) if part)


def _number(bound: Any) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
