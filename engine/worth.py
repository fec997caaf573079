"""The arithmetic of a run's student steps, counted, and whether compiling them is worth its time. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.config.consistency import TRAIN_STUDENTS
from engine.config.datasets import CLASSES

if TYPE_CHECKING:
    from engine.config.schema import Config

COMPILE_PAYS = 1.5e13
"""Student FLOPs of a whole run above which compiling pays on a CPU: the first time it takes half a minute on two
cores, and it saves two fifths of a time that is a minute for each 5e12 (``python -m benchmarks``)."""


def decoded_images(config: Config) -> int:
    """Images that networks are trained on."""
    return config.synthetic.images_per_class * CLASSES[config.data.name] * config.synthetic.formation**2


def student_flops(config: Config) -> float:
    """FLOPs of all student steps and their adjoints: 12 forward passes a step."""
    images = config.objective.batch_size or decoded_images(config)
    return 12 * forward_flops(config) * images * config.objective.student_steps * config.objective.iterations


def forward_flops(config: Config) -> float:
    """FLOPs of the convolutions of one image's forward pass, two operations a multiplication."""
    side, channels, total = (8, 1, 0.0) if config.data.name == "digits" else (32, 3, 0.0)
    for _ in range(config.network.depth):
        total += 2.0 * 9 * channels * config.network.width * side * side
        channels = config.network.width
        side = side // 2 if config.network.pooling != "none" else side
    return total


def not_worth_compiling(config: Config) -> str:
    """Why the student's steps are not compiled though they could be; empty where they are."""
    if config.objective.name not in TRAIN_STUDENTS:
        return f"objective {config.objective.name} takes no student steps"
    if config.execution.compile == "on" or student_flops(config) >= COMPILE_PAYS:
        return ""
    return "the run is too short for compilation to pay"
