"""How much memory a run on the CPU needs at its peak, calculated from its configuration before it begins.

A pure function of the settings; imports no torch. What is there of data sets, paths of experts, parameter vectors,
critic and stacked networks is counted as the code allocates it, what the passes of a network hold as
``engine.activations`` counts it; the libraries alone are measured. ``tests/reliability/test_memory.py`` holds it to
real runs, where it is right to within a tenth. Elsewhere it is to within a factor of ``CERTAIN``: a run is refused only
where even its estimate divided by that does not fit. Experts' trajectories are read from mapped files, which count for
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.activations import FLOAT, Shape
from engine.config.consistency import DRAW_REAL, TRAIN_STUDENTS
from engine.config.datasets import TEST_IMAGES, TRAIN_IMAGES, image_side
from engine.errors import ConfigError
from engine.resident import there
from engine.worth import not_worth_compiling

if TYPE_CHECKING:
    from engine.config.schema import Config

MIB = 2**20

CERTAIN = 1.5
"""Estimates are right within this factor."""

PROGRAM = 705 * MIB
"""Python, torch (2.14 for CUDA on Linux) with its compiler, which every run loads, the other libraries, and what these
make of their own for the first operations."""

READERS = {"digits": 79 * MIB, "svhn": 22 * MIB}
"""What reads a data set: scikit-learn; torchvision and scipy."""

COMPILER = 100 * MIB
"""What compiling adds to the process, which other processes do most of."""

# Matrices of d x d float64 while a whitening is fitted.
MATRICES = 12

SMALL = 32 * MIB
"""Bytes of the largest block that a C library (glibc) keeps for itself when it is freed, so that others of its size are
made of it; a larger one is taken from the machine and given back."""

KEPT = 512 * MIB
"""Bytes of parameter vectors that a sweep keeps before it computes some again (``engine.gradient``)."""
BLOCK = 2048
"""Images converted at once (``engine.data.transform``)."""
CHUNK = 500
"""Images measured at once where no portion is smaller (``engine.training``)."""
FEATURES = 1000
"""Real images whose features are computed at once for their clusters (``engine.objectives.dream``)."""
MATCHED = 64
"""Real images of a batch of a matched network (``engine.objectives.matched``)."""
TOGETHER = 600_000
"""First-block activations of networks that are trained at once (``engine.stacked``)."""
EVALUATION_BATCH = 256

PHASES = {
    "loading": ("reading the data set", ("data.name (a smaller data set)",)),
    "whitening": ("fitting the ZCA whitening", ("data.zca = false", "data.train_limit")),
    "experts": ("training an expert", ("experts.batch_size", "experts.epochs", "network.width")),
    "student": (
        "the student's training and its reverse sweep",
        ("execution.keep_activations", "objective.batch_size", "objective.student_steps", "objective.real_batch",
         "network.width"),
    ),
    "information": (
        "the mutual-information term",
        ("execution.keep_activations", "information.real_batch", "information.readout", "information.embedding_dim",
         "network.width"),
    ),
    "evaluation": ("training and measuring networks on the synthetic set", ("network.width",)),
}  # fmt: skip
"""Phases of a run: what they are, and the settings that make each smaller."""

ON_DEVICE = ("execution.keep_activations", "objective.batch_size", "objective.real_batch", "information.real_batch",
             "network.width")  # fmt: skip
"""Settings that make a run's peak on a card smaller."""


def unused(config: Config) -> set[str]:
    """Which of these settings take no memory in a run."""
    name, found = config.objective.name, set[str]()
    if name not in TRAIN_STUDENTS:
        found |= {"execution.keep_activations", "objective.batch_size", "objective.student_steps"}
    if config.execution.keep_activations == 0:
        found.add("execution.keep_activations")
    if name not in DRAW_REAL:
        found.add("objective.real_batch")
    if config.information.weight == 0:
        found |= {"information.real_batch", "information.embedding_dim"}
    return found


def _either(keys: Sequence[str]) -> str:
    return " or ".join([", ".join(keys[:-1]), keys[-1]] if len(keys) > 1 else keys)


def advice_on_device(config: Config) -> str:
    """The settings that make a run smaller on a card, of those that it has."""
    return _either([key for key in ON_DEVICE if key not in unused(config)])


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of memory.

    Attributes:
        program: before any data.
        data: lasting through the run: images, whitening, synthetic set.
        phases: what each phase needs besides, at its own peak.
        unused: settings that the run does not have.
    """

    program: int
    data: int
    phases: Mapping[str, int]
    unused: Set[str] = frozenset()

    @property
    def phase(self) -> str:
        """The phase with the peak."""
        return max(self.phases, key=lambda name: self.phases[name])

    @property
    def total(self) -> int:
        """The peak of the whole process."""
        return self.program + self.data + self.phases[self.phase]

    @property
    def advice(self) -> str:
        """The settings that make the peak smaller."""
        if self.data > self.phases[self.phase]:
            return "data.train_limit or data.test_limit"
        return _either([key for key in PHASES[self.phase][1] if key not in self.unused])

    def describe(self) -> str:
        """For example "about 3.1 GiB, most of it for training an expert"."""
        what = "the images" if self.data > self.phases[self.phase] else PHASES[self.phase][0]
        return f"about {gib(self.total)}, most of it for {what}"


def gib(size: float) -> str:
    """Bytes as GiB, in words."""
    return f"{size / 2**30:.1f} GiB"


def estimate(config: Config) -> Estimate:
    """What a run on the CPU needs."""
    shape = Shape.of(config)
    counts = TRAIN_IMAGES[config.data.name]
    published, tests = sum(counts), TEST_IMAGES[config.data.name]
    held_out = round(config.data.validation * published)
    used = min(config.data.train_limit or published, published - held_out)
    measured = min(config.data.test_limit or tests, tests)
    stored = config.synthetic.images_per_class * len(counts)
    images = stored * config.synthetic.formation**2
    converted = (used + measured + held_out + min(config.information.readout, used)) * shape.image * FLOAT
    sets = 7 if held_out else 6  # pixels, momentum, gradient, the best (two where both sets choose), an update's
    lasting = converted + sets * stored * shape.image * FLOAT
    if config.synthetic.labels != "hard":
        lasting += 6 * stored * len(counts) * FLOAT
    matrix = shape.image**2
    if config.data.zca:
        lasting += 2 * matrix * FLOAT
    program = PROGRAM + (COMPILER if config.execution.compile == "on" or _compiled(config) else 0)
    program += READERS.get(config.data.name, 0)
    raw = (published + tests) * shape.image
    blocks = 3 * min(BLOCK, used) * shape.image * FLOAT  # as they are, less their mean, by their deviation
    expert, evaluation = _expert(config, shape, used), _evaluation(config, shape, images, measured)
    path = (config.experts.epochs + 1) * shape.parameters * FLOAT
    kept = max(blocks, expert, evaluation, FLOAT * _portioned(config, shape, images))
    phases = {
        # The bytes of the training files and the array made of them; then, of all, those used beside what is converted.
        "loading": max(2 * published * shape.image - converted, raw + used * shape.image, blocks),
        # Before the images are converted, so that theirs is still free.
        "whitening": raw + used * shape.image + MATRICES * matrix * 8 - converted if config.data.zca else 0,
        "experts": expert + 2 * path,  # its file is written from a second copy
        "student": _student(config, shape, images, kept),
        "information": _information(config, shape, images, kept),
        "evaluation": evaluation,
    }
    return Estimate(program, int(lasting), {name: max(0, int(size)) for name, size in phases.items()}, unused(config))


def _expert(config: Config, shape: Shape, used: int) -> float:
    """Training an expert, its path apart."""
    batch = min(config.experts.batch_size, used)
    augmented = shape.augmentation() if config.experts.augment else 0.0
    working = max(batch * augmented, shape.portion(batch) * shape.slope())
    return (working + 2 * batch * shape.image + 6 * shape.parameters) * FLOAT


def _portioned(config: Config, shape: Shape, images: int) -> float:
    """Floats of what the objective computes in portions: student steps with their adjoints, and real images."""
    settings, classes = config.objective, len(TRAIN_IMAGES[config.data.name])
    trains = settings.name in TRAIN_STUDENTS
    real = settings.real_batch if settings.name in DRAW_REAL else 0
    batch, real = (min(settings.batch_size or images, images), real * classes) if trains else (images // classes, real)
    if settings.name == "dream":
        real = max(real, MATCHED)
    maps = max(shape.portion(batch) * shape.second(), shape.portion(real) * shape.slope())
    return maps + 4 * images * shape.image + max(batch, real) * (2 * shape.image + shape.augmentation())


def _student(config: Config, shape: Shape, images: int, kept: float) -> float:
    """The objective's part of an iteration; ``kept`` as in :func:`_at_once`."""
    settings, floats = config.objective, 8 * shape.parameters + _portioned(config, shape, images)
    if settings.name not in TRAIN_STUDENTS:
        return max(FLOAT * floats, _matching(config, shape, images, kept))
    steps = differentiated(config)
    return (floats + _kept(steps, shape) * shape.parameters) * FLOAT + _activations(config, shape, images)


def _matching(config: Config, shape: Shape, images: int, kept: float) -> float:
    """Features that are computed whole: of a class's real images, for their mean or their clusters."""
    settings, counts = config.objective, TRAIN_IMAGES[config.data.name]
    if settings.name == "dream" and settings.selection == "random":
        return 0.0
    limit = config.data.train_limit
    pool = min(max(counts), math.ceil(limit / len(counts))) if limit else max(counts)
    real = min(settings.real_batch, pool)
    if settings.name == "dream":
        # The features in chunks and in one piece; distances, and memberships of eight bytes, then four.
        points = pool * (2 * shape.pooled[-1] + 5 * real)
        return points * FLOAT + _at_once(shape, min(FEATURES, pool), kept)
    synthetic = images // len(counts) * shape.differentiated()
    return max(_at_once(shape, real, kept), synthetic * FLOAT)


def _at_once(shape: Shape, images: int, kept: float) -> float:
    """Bytes of features of ``images`` images, all at once: where their blocks are large, beside the ``kept`` ones of
    smaller blocks and those of the network's own later blocks, none of which they are made of."""
    size = images * FLOAT
    if size * shape.first <= SMALL:
        return size * shape.features()
    return size * shape.features() + max(kept, size * shape.later_features(SMALL / size))


def _activations(config: Config, shape: Shape, images: int) -> float:
    """Bytes of activations kept for the reverse sweep (``engine.keeping``), supposing that there is a compiler."""
    settings = config.objective
    if not _compiled(config):
        return 0
    each = min(settings.batch_size or images, images) * shape.kept * FLOAT
    bound = config.execution.keep_activations * MIB
    return each * min(differentiated(config), bound // max(1.0, each))


def differentiated(config: Config) -> int:
    """Student steps that an iteration's reverse sweep goes through: no other objective than bptt has a window."""
    settings = config.objective
    window = settings.window if settings.name == "bptt" else 0
    return min(window or settings.student_steps, settings.student_steps)


def _compiled(config: Config) -> bool:
    """Whether student steps are compiled where there is a compiler."""
    return config.execution.compile != "off" and not not_worth_compiling(config)


def _kept(steps: int, shape: Shape) -> int:
    """Parameter vectors that a sweep over so many steps holds (``engine.gradient``)."""
    if steps * shape.parameters * FLOAT <= KEPT:
        return steps + 1
    return 3 * (math.isqrt(steps) + 1)  # two at every stride, and those of the stretch in hand


def _information(config: Config, shape: Shape, images: int, kept: float) -> float:
    """The term's part, while what the objective's forward sweep left is still there; ``kept`` as in
    :func:`_at_once`."""
    settings, objective = config.information, config.objective
    if settings.weight == 0:
        return 0
    synthetic = min(settings.synthetic_batch, images)
    apart = max(settings.real_batch, settings.readout)
    steps = differentiated(config)
    vectors = 8 + (_kept(steps, shape) if objective.name in TRAIN_STUDENTS else 0)
    attached = settings.synthetic_network == "attached" and objective.name == "bptt"
    held = settings.real_batch * shape.graph() if attached and settings.real_network == "target" else 0.0
    maps = max(_at_once(shape, apart, kept), (held + synthetic * shape.differentiated()) * FLOAT)
    augmented = shape.augmentation() if settings.augment != "none" else 0.0
    seen = (synthetic + apart) * shape.image + max(synthetic, settings.real_batch) * augmented
    floats = vectors * shape.parameters + seen + _critic(config, synthetic, apart)
    return maps + floats * FLOAT + _activations(config, shape, images)


def _critic(config: Config, synthetic: int, real: int) -> float:
    """Floats of the critic: its parameters with gradient and Adam's two means, pooled features of both sides, what they
    are embedded as, and the scores of all pairs with their weights and the way back."""
    settings, sizes = config.information, critic_sizes(config)
    pairs = (6 * len(sizes) + 4) * synthetic * real
    pooled = float((synthetic + real) * sum(sizes))
    if settings.embedding_layers == 0:
        return pairs + 2 * pooled
    embedding = settings.embedding_dim
    parameters = sum(size * embedding for size in sizes) + (settings.embedding_layers - 1) * len(sizes) * embedding**2
    embedded = 4.0 * (synthetic + real) * embedding * len(sizes)
    return (1 if settings.embedding_shared else 2) * 4.0 * parameters + pooled + embedded + pairs


def critic_sizes(config: Config) -> list[int]:
    """Numbers in the pooled features of one image, of every layer that the critic embeds."""
    settings, network = config.information, config.network
    side, sizes = image_side(config.data.name), []
    for _ in range(network.depth):
        side = side // 2 if network.pooling != "none" else side
        grid = {"grid": min(settings.grid, side), "average": 1, "flatten": side}[settings.pooling]
        sizes.append(network.width * grid**2)
    if settings.layers == "blocks":
        return sizes
    return sizes[-1:] if settings.layers == "last" else [*sizes, len(TRAIN_IMAGES[config.data.name])]


def _evaluation(config: Config, shape: Shape, images: int, measured: int) -> float:
    """Networks of a company, one or an even number: their activations are at most ``TOGETHER``; of their parameters as
    many count as there are for the smallest set, so that a larger one never counts for less."""
    settings, classes = config.evaluation, len(TRAIN_IMAGES[config.data.name])
    judged = max(settings.networks, settings.live_networks, settings.random_draws * settings.random_networks)
    company = judged + judged % 2
    batch = min(EVALUATION_BATCH, images)
    together = min(company * batch, TOGETHER / shape.first)
    most = math.floor(TOGETHER / (classes * shape.first))
    networks = max(1, min(company, most - most % 2))
    vectors = (8 * networks + 2 * judged) * shape.parameters
    seen = max(batch, together)
    training = max(seen * shape.augmentation(), max(shape.portion(batch), together) * shape.slope())
    tested = shape.portion(min(CHUNK, measured)) * shape.measured()
    return (vectors + max(training + 2 * seen * shape.image, tested)) * FLOAT


def require(config: Config, *, free: int | None = None) -> None:
    """Refuses a run on the CPU that cannot fit.

    Args:
        config: of the run.
        free: bytes there are, by default :func:`engine.resident.there`.

    Raises:
        ConfigError: it cannot fit; names the setting to change, the estimate and what there is.
    """
    wanted, found = estimate(config), there() if free is None else free
    if wanted.total / CERTAIN > found:
        raise ConfigError(
            f"this run needs {wanted.describe()}, and there are {gib(found)}: lower {wanted.advice}, or run it where "
            "there is more memory"
        )


def caution(config: Config, *, free: int | None = None) -> str:
    """A warning for a run on the CPU that may not fit; "" where it does. Arguments as :func:`require`."""
    wanted, found = estimate(config), there() if free is None else free
    if wanted.total <= found:
        return ""
    return (
        f"this run needs {wanted.describe()}, and there are {gib(found)}: should it end for want of memory, lower "
        f"{wanted.advice}"
    )
