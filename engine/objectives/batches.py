"""What objectives draw: experts, the batches and augmentations of a student's steps, and real images of every class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from engine.config.schema import Objective
from engine.data.augment import Draw
from engine.data.prepare import RealSet
from engine.gradient import StepInput
from engine.objectives.base import Context
from engine.seeds import generator


def step_inputs(context: Context, images: int, steps: int, draws: torch.Generator) -> list[StepInput]:
    """Batches and augmentations of ``steps`` student steps on a synthetic set of ``images`` images.

    Batches are chunks of ``objective.batch_size`` of a random permutation, a new one when it is used up.
    """
    augment = context.augment
    size = context.config.objective.batch_size or images
    waiting: list[Tensor] = []
    inputs = []
    for _ in range(steps):
        batch = None
        if size < images:
            if not waiting:
                waiting = list(torch.split(torch.randperm(images, generator=draws), size))
            batch = waiting.pop(0).to(context.device, non_blocking=True)
        augmentation = None
        if augment.enabled:
            drawn = augment.draw(images if batch is None else len(batch), draws)
            augmentation = partial(augment, draw=drawn.to(context.device))
        inputs.append(StepInput(batch, augmentation))
    return inputs


def batch_sizes(settings: Objective, images: int) -> list[int]:
    """The sizes of all batches that :func:`step_inputs` gives: the last one of a permutation may be smaller."""
    size = settings.batch_size or images
    rest, whole = images % size, images // size
    return [size, rest] if rest and settings.student_steps > whole else [size]


def visited_expert(context: Context, iteration: int) -> int:
    """The expert of an iteration: all in a new random order each round, as in MTT's code."""
    count = context.trajectories.count
    turn, place = divmod(iteration, count)
    order = torch.randperm(count, generator=generator(context.config.seed, "experts", turn))
    return int(order[place])


def real_batch(real: RealSet, each: int, draws: torch.Generator) -> Tensor:
    """Positions int64 [classes * each] of random real images, ``each`` of every class, ordered by class.

    Without repetition within a class; a class with fewer images gives them all, so that counts may differ.
    """
    parts = [pool[torch.randperm(len(pool), generator=draws)[:each].to(pool.device)] for pool in real.class_indices]
    return torch.cat(parts)


def shared_view(context: Context, draws: torch.Generator) -> Callable[[Tensor], Tensor]:
    """One augmentation with the same parameters for every image, of however many (DSA, Siamese): for both sides."""
    augment = context.augment
    drawn = augment.draw_shared(1, draws)

    def view(images: Tensor) -> Tensor:
        values = drawn.values.expand(len(images), -1).contiguous()
        return augment(images, Draw(drawn.op, values).to(context.device))

    return view
