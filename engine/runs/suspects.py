"""Which of the settings that were changed for a run can have made its numbers lose their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.config.load import resolve
from engine.config.presets import is_file
from engine.errors import MimError
from engine.runs.changes import changes
from engine.runs.folder import RunFolder
from engine.runs.log import told_changes, told_value

MOST = 6
"""Settings that are named."""
OF_EXPERTS = ("data", "augmentation", "network", "experts")
OF_ITERATIONS = (*OF_EXPERTS, "synthetic", "objective", "information")
"""Sections that an epoch of an expert, and an iteration, are computed from ..."""
PRECISION = "execution.precision"
HARMLESS = (
    "data.test_limit",
    "experts.count",
    "experts.seed",
    "objective.iterations",
    "information.readout",
    "information.readout_every",
)
"""... but for these of their settings."""


def accused(message: str, folder: RunFolder, phase: str) -> str:
    """Why a run diverged in a phase, and after the first sentence what was changed for it that can have done it.

    ``lower objective.pixel_rate. Changed: objective.pixel_rate 1e+07 (preset: 100)``: what the message names comes
    first. The message as it is where nothing of the kind was changed.
    """
    found = sorted(_suspects(folder, phase), key=lambda item: item[0] not in message)
    if not found:
        return message
    usual = _of_preset(folder)
    told = [
        told_changes({key: value}) + (f" (preset: {told_value(usual[key])})" if usual.get(key, value) != value else "")
        for key, value in found[:MOST]
    ]
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    first, stop, rest = message.partition(". ")
    return f"{first}. Changed: {', '.join(told)}{more}{stop}{rest}"


def _suspects(folder: RunFolder, phase: str) -> Iterator[tuple[str, Any]]:
    changed = changes(folder)
    sections = set(OF_EXPERTS if phase == "experts" else OF_ITERATIONS)
    if changed and folder.settings().information.weight == 0:
        sections.discard("information")
    for key, value in changed.items():
        if key == PRECISION or (key.partition(".")[0] in sections and key not in HARMLESS):
            yield key, value


def _of_preset(folder: RunFolder) -> Mapping[str, Any]:
    """The settings of the run's preset by ``section.field``; none where it comes from a file, or the preset is gone."""
    preset = folder.about().preset
    if preset is None or is_file(preset):
        return {}
    try:
        tree = resolve(preset).config.model_dump(mode="json")
    except MimError:
        return {}
    return {
        f"{section}.{name}": value
        for section, values in tree.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
