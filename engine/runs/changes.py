"""What was changed for one run alone, on top of its preset or file."""

from __future__ import annotations

from typing import Any

from engine.config.load import CHANGED
from engine.errors import MimError
from engine.runs.folder import RunFolder


def changes(folder: RunFolder) -> dict[str, Any]:
    """The settings that were changed for a run, by ``section.field``; not its seed, which is told beside it anyway.

    What a preset or file sets is none of them; nor is anything known of a run whose origins were not recorded.
    """
    try:
        keys = [key for key, origin in folder.about().origins.items() if origin in CHANGED and key != "seed"]
        if not keys:
            return {}
        settings = folder.settings().model_dump(mode="json")
    except MimError:
        return {}
    found = {}
    for key in keys:
        section, _, name = key.rpartition(".")
        values = settings.get(section, {}) if section else settings
        if name in values:
            found[key] = values[name]
    return found
