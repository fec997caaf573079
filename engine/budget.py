"""How often live evaluations are made: as often as asked for, but never more than their share of the run.

The costs are counted in passes of images through the network, not timed: the same configuration evaluates at the same
iterations on every machine, so that the choice of the best iterate does not depend on the machine's other work.
"""

from __future__ import annotations

import math

from engine.config.consistency import TRAIN_STUDENTS
from engine.config.datasets import CLASSES, TEST_IMAGES, TRAIN_IMAGES
from engine.config.schema import Config
from engine.evaluation.protocols import PROTOCOLS
from engine.worth import decoded_images

STUDENT_STEP = 12
"""Forward passes that a student step and its adjoint are counted as, for each image; an ordinary training step is 3.
The written-out derivatives take eleven. It stays at twelve because runs of mnist-ipc1-small, which results are kept of,
would be evaluated at other iterations."""


def evaluation_cost(config: Config) -> float:
    """Forward passes of single images in one live evaluation."""
    settings, protocol = config.evaluation, PROTOCOLS[config.evaluation.live_protocol]
    trained = 3 * protocol.epochs * decoded_images(config)
    return float(settings.live_networks * (trained + _measured(config)))


def iteration_cost(config: Config) -> float:
    """Forward passes of single images in one iteration of the base objective."""
    settings = config.objective
    if settings.name in TRAIN_STUDENTS:
        steps = settings.student_steps
        forward, back = float(steps), float(steps)
        if settings.name == "bptt" and settings.window:
            forward, back = (settings.window + steps) / 2, float(settings.window)
        return (3 * forward + (STUDENT_STEP - 3) * back) * (settings.batch_size or decoded_images(config))
    real = settings.real_batch * CLASSES[config.data.name]
    if settings.name == "dream":  # gradients of gradients, real gradients, and the network's own training
        return float(STUDENT_STEP * decoded_images(config) + 3 * (real + settings.network_images))
    return float(3 * decoded_images(config) + real)


def live_every(config: Config) -> int:
    """Iterations between two live evaluations, 0 for never: ``evaluation.every``, or as many as keep all evaluations of
    the run within ``evaluation.share`` of what it computes.

    The first and the last iterate are always evaluated: where these two alone take more than the share, which only a
    short run or a small share brings about, the share is exceeded, and nothing is evaluated between them.
    """
    settings, iterations = config.evaluation, config.objective.iterations
    if settings.every == 0 or settings.share >= 1:
        return settings.every
    allowed = settings.share / (1 - settings.share) * iterations * iteration_cost(config)
    after_the_first = max(1, math.floor(allowed / evaluation_cost(config)) - 1)
    return max(settings.every, math.ceil(iterations / after_the_first))


def live_evaluations(config: Config) -> int:
    """How many live evaluations a whole run makes: of the first iterate, of one in every period, and of the last."""
    every = live_every(config)
    return 1 + math.ceil(config.objective.iterations / every) if every else 0


def live_share(config: Config) -> float:
    """The share of a whole run's computing that its live evaluations take, final ones and experts not counted."""
    evaluations = live_evaluations(config) * evaluation_cost(config)
    return evaluations / (evaluations + config.objective.iterations * iteration_cost(config))


def _measured(config: Config) -> float:
    """Images that a live evaluation is measured on."""
    held_out = config.data.validation * sum(TRAIN_IMAGES[config.data.name])  # before train_limit is applied
    return held_out + (config.data.test_limit or TEST_IMAGES[config.data.name])
