"""Bytes that a run will write into its folder, counted from its configuration: what the engine keeps there."""

from __future__ import annotations

import math

from engine.budget import iteration_cost, live_evaluations
from engine.config.datasets import CLASSES, image_side
from engine.config.schema import Config
from engine.memory import critic_sizes
from engine.worth import forward_flops

CHANNELS = {"digits": 1, "mnist": 1}
FLOAT = 4

ITERATION_BYTES, OF_THE_TERM = 270, 75
"""Bytes of an iteration's line in the journal, and what the term adds to it."""
EPOCH_BYTES, EVALUATION_BYTES, SNAPSHOT_BYTES = 235, 280, 170
"""Likewise of an expert's epoch, of an evaluation, of a snapshot."""
DOCUMENTS_BYTES = 13_000
"""Configuration, origins, execution, status, result, and the lines of the journal that every run has."""
CHECKPOINT_BYTES, CRITIC_BYTES, SET_BYTES, NPY_BYTES = 1700, 1900, 3600, 128
"""What a checkpoint, the critic in it, a distilled set and a snapshot have beside their numbers."""
PNG_FACTOR = 3
"""Bytes of a grid's PNG for each number of a small set, which is enlarged, and of which little can be pressed out."""
ENLARGED = 100
"""Images up to which it is."""
KEPT = 2
"""Checkpoints that are kept of those that were due, and of the newest."""
FLOPS_A_SECOND = 8e10
"""About what two cores do, where no run alike was measured: it decides whether checkpoints come by the clock too."""


def pixels(config: Config) -> int:
    """Numbers in the synthetic set."""
    side = 28 if config.data.name == "mnist" else image_side(config.data.name)
    return _stored(config) * CHANNELS.get(config.data.name, 3) * side * side


def _stored(config: Config) -> int:
    return CLASSES[config.data.name] * config.synthetic.images_per_class


def _soft(config: Config) -> int:
    """Numbers in labels that are learned."""
    return 0 if config.synthetic.labels == "hard" else _stored(config) * CLASSES[config.data.name]


def checkpoint(config: Config) -> int:
    """Bytes of one checkpoint: the set and its momentum, the best sets so far, the critic and its optimiser."""
    best = (1 if config.data.validation == 0 else 2) if config.evaluation.every else 0
    besides = CHECKPOINT_BYTES + (CRITIC_BYTES if config.information.weight else 0)
    return FLOAT * ((2 + best) * (pixels(config) + _soft(config)) + _critic(config)) + besides


def _critic(config: Config) -> int:
    """Numbers of the critic, both sides whether they share an embedding or not, and of its optimiser."""
    settings = config.information
    if settings.weight == 0:
        return 0
    sizes, width, layers = critic_sizes(config), settings.embedding_dim, settings.embedding_layers
    side = sum(size * width + width for size in sizes) + (layers - 1) * len(sizes) * (width**2 + width) if layers else 0
    learned = side if settings.embedding_shared else 2 * side
    moved = settings.critic_optimizer == "adam" and (settings.critic_steps or settings.warmup)
    return 2 * side + len(sizes) + (2 * learned if moved else 0)


def kept(config: Config, seconds: float | None) -> int:
    """Checkpoints that lie there at once, where an iteration takes ``seconds``: those due by the number of iterations,
    and the newest of others, which the clock asks for between them or which is the last iterate's."""
    if seconds is None:
        seconds = iteration_cost(config) * forward_flops(config) / FLOPS_A_SECOND
    every, iterations = config.execution.checkpoint_every, config.objective.iterations
    rest = iterations % every

    def by_the_clock(stretch: int) -> int:
        return math.floor(stretch * seconds / config.execution.checkpoint_seconds)

    others = max(by_the_clock(min(every, iterations)), by_the_clock(rest) + 1 if rest else 0)
    return min(KEPT, iterations // every + 1) + min(KEPT, others)


def folder(config: Config, seconds: float | None = None) -> int:
    """Bytes of a run's whole folder; ``seconds`` are those of an iteration, where they were measured."""
    iterations = config.objective.iterations
    snapshots = math.ceil(iterations / config.execution.snapshot_every) + 1
    line = ITERATION_BYTES + (OF_THE_TERM if config.information.weight else 0)
    journal = (
        line * iterations
        + EPOCH_BYTES * config.experts.count * config.experts.epochs
        + EVALUATION_BYTES * live_evaluations(config)
        + SNAPSHOT_BYTES * snapshots
    )
    labels = FLOAT * _soft(config) or 8 * _stored(config)
    png = pixels(config) * (PNG_FACTOR if _stored(config) <= ENLARGED else 1)
    distilled = 2 * (FLOAT * pixels(config) + labels + SET_BYTES + png)
    soft = FLOAT * _soft(config) + NPY_BYTES if _soft(config) else 0
    pictures = snapshots * (pixels(config) + NPY_BYTES + soft)
    return kept(config, seconds) * checkpoint(config) + journal + distilled + pictures + DOCUMENTS_BYTES
