"""Which images live evaluations measure on, and which of them choose a run's best iterate."""

from __future__ import annotations

from typing import Literal

from engine.config.schema import Config


def measured_live(config: Config) -> Literal["validation", "test"]:
    """The images that a live evaluation is told by."""
    return "validation" if config.data.validation > 0 else "test"


def selected_on(config: Config) -> Literal["validation", "test", "none"]:
    """The images that choose the best iterate; "none" where no live evaluation is made, and it is the last one."""
    return measured_live(config) if config.evaluation.every > 0 else "none"
