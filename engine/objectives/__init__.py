"""Base distillation objectives, registered by name. A method costs one file and one line here."""

from collections.abc import Callable

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


__all__ = ["OBJECTIVES", "Context", "Episode", "Objective", "RealNetworks", "SyntheticSet", "Trajectory", "registered"]
