"""Base distillation objectives, registered by name. A method costs one file and one line here."""

from collections.abc import Callable

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

__all__ = ["OBJECTIVES", "Context", "Episode", "Objective", "RealNetworks", "SyntheticSet", "Trajectory"]
