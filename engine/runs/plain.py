"""Whether a value read from JSON has the type a field asks for."""

from __future__ import annotations

import types
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value fits an annotation of str, int, float, bool, None, list, dict, Any and unions.

    An int fits a float. null fits inside a list of floats: it is how a number that is not finite is written.
    """
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if origin is list:
        (inner,) = get_args(hint)
        return isinstance(value, list) and all((item is None) or fits(item, inner) for item in value)
    if origin is dict:
        return isinstance(value, dict)
    if hint in (int, float):
        allowed: tuple[type, ...] = (int, float) if hint is float else (int,)
        return isinstance(value, allowed) and not isinstance(value, bool)
    return isinstance(value, hint)


def hints(cls: Any) -> list[tuple[str, Any]]:
    """Name and resolved annotation of every field of a dataclass, in order."""
    resolved = get_type_hints(cls)
    return [(f.name, resolved[f.name]) for f in fields(cls)]
