"""Base distillation objectives, registered by name. A method costs one file and one line here."""

import inspect
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from engine.errors import ConfigError
from engine.objectives.base import Context, Episode, Objective, RealNetworks, SyntheticSet
from engine.objectives.bptt import Bptt
from engine.objectives.distribution import Distribution
from engine.objectives.dream import Dream
from engine.objectives.tesla import Tesla
from engine.objectives.trajectory import Trajectory

OBJECTIVES: dict[str, Callable[[Context], Objective]] = {
    "trajectory": Trajectory,
    "tesla": Tesla,
    "bptt": Bptt,
    "dream": Dream,
    "distribution": Distribution,
}


def registered(name: str) -> Callable[[Context], Objective]:
    """The objective of this name.

    Raises:
        ConfigError: the schema allows the name, and nothing is registered under it.
    """
    if name not in OBJECTIVES:
        raise ConfigError(
            f"objective.name: {name} is allowed by engine/config/schema.py, but no class is registered under it: add "
            "its line to OBJECTIVES in engine/objectives/__init__.py"
        )
    return OBJECTIVES[name]


def code_of(name: str) -> str:
    """The file of an objective and a digest of it, for example "bptt.py 0f3a...", as this process first used it.

    Raises:
        ConfigError: nothing is registered under the name.
    """
    return _stamp(Path(inspect.getfile(registered(name))))


@cache
def _stamp(path: Path) -> str:
    return f"{path.name} {sha256(path.read_bytes()).hexdigest()[:16]}"


def edited(name: str, recorded: str) -> str:
    """In words, that an objective's file is no longer as it was recorded; "" where it is, or none was recorded."""
    now = code_of(name)
    return "" if recorded in ("", now) else f"the code of objective {name} ({now.split()[0]}) was edited"


__all__ = [
    "OBJECTIVES",
    "Context",
    "Episode",
    "Objective",
    "RealNetworks",
    "SyntheticSet",
    "Trajectory",
    "code_of",
    "edited",
    "registered",
]
