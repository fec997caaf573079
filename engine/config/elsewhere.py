"""Settings of a run or a distilled set that another program may have made: one with a method that this one lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from engine.config.schema import Config, Objective
from engine.config.validate import structure


def readable(tree: Mapping[str, Any]) -> Config:
    """The settings, for reading what a run did and for measuring its set: nothing may be run with them.

    Keys that are not known here are left out; an objective that is not known here stands under the name of one that
    the other settings allow.

    Raises:
        ValidationError: something else is wrong with them.
    """
    try:
        return Config.model_validate(dict(tree))
    except ValidationError as error:
        known, _ = structure(tree, "")
        for name in get_args(Objective.model_fields["name"].annotation):
            try:
                return Config.model_validate({**known, "objective": {**known.get("objective", {}), "name": name}})
            except ValidationError:
                continue
        raise error
