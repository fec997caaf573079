"""How much memory a run on the CPU needs at its peak, estimated from its configuration before it begins.

A pure function of the settings; imports no torch. What lasts is counted exactly (images as bytes and as float32,
whitening matrices, the student's parameters at every step); of what a phase holds for a moment the number of
activation maps alive at once was fitted to peak resident memory of real runs (``tests/reliability/test_memory.py``
measures again). It is right to within a factor of ``CERTAIN``: a run is refused only where even its estimate divided
by that does not fit. Experts' trajectories are read from mapped files, which count for nothing.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config.consistency import DRAW_REAL, TRAIN_STUDENTS
from engine.config.datasets import TEST_IMAGES, TRAIN_IMAGES, image_side
from engine.errors import ConfigError
from engine.worth import not_worth_compiling

if TYPE_CHECKING:
    from engine.config.schema import Config

MIB = 2**20
FLOAT = 4

CERTAIN = 1.5
"""Estimates are right within this factor."""

PROGRAM = 600 * MIB
"""Python, torch and the other libraries, before any data."""

DIGITS = 90 * MIB
"""scikit-learn, which the digits come from."""

COMPILER = 300 * MIB
"""What compilation adds to the process."""

# Activation maps of a batch that are alive at once, in units of all blocks' outputs before pooling.
TRAINING = 6.0
ADJOINT = 22.0
CONTRAST = 8.0
# Likewise without a gradient, where only the first, largest block counts: of the run's own network, and of those that
# are measured.
FORWARD = 6.0
MEASURING = 3.0
# Matrices of d x d float64 while a whitening is fitted.
MATRICES = 12

CACHED = 6 * MIB
"""Bytes of the first block's output that a portion of a batch may have (``engine.portions``)."""
KEPT = 512 * MIB
"""Bytes of parameter vectors that a sweep keeps before it computes some again (``engine.gradient``)."""
CHUNK = 500
"""Images measured at once where no portion is smaller (``engine.training``)."""
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


@dataclass(frozen=True, slots=True)
class _Shape:
    """Sizes of a configuration's network and images, all in floats of one image or one network."""

    image: int  # one image
    maps: float  # outputs of all blocks before pooling
    first: float  # of the first block
    between: float  # inputs of all blocks but the first
    parameters: int

    def portion(self, images: float) -> float:
        """Images whose activations are alive at once."""
        return min(images, max(1.0, CACHED // (FLOAT * self.first)))

    @staticmethod
    def of(config: Config) -> _Shape:
        channels, side = {"digits": (1, 8), "mnist": (1, 28)}.get(config.data.name, (3, 32))
        image = channels * side * side
        side, width, maps, parameters = image_side(config.data.name), config.network.width, 0.0, 0
        first, between = float(width * side * side), 0.0
        for block in range(config.network.depth):
            between += width * side * side if block else 0
            maps += width * side * side
            parameters += width * channels * 9 + width + (2 * width if config.network.norm != "none" else 0)
            channels = width
            side = side // 2 if config.network.pooling != "none" else side
        classes = len(TRAIN_IMAGES[config.data.name])
        return _Shape(image, maps, first, between, parameters + (channels * side * side + 1) * classes)


def estimate(config: Config) -> Estimate:
    """What a run on the CPU needs."""
    shape = _Shape.of(config)
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
    program += DIGITS if config.data.name == "digits" else 0
    raw = (published + tests) * shape.image
    phases = {
        # The bytes of the files and the arrays made of them; the converted images come while both are there.
        "loading": 2 * raw + used * shape.image,
        # Before the images are converted, so that theirs is still free.
        "whitening": raw + used * shape.image + MATRICES * matrix * 8 - converted if config.data.zca else 0,
        "experts": _experts(config, shape, used),
        "student": _student(config, shape, images),
        "information": _information(config, shape, images),
        "evaluation": _evaluation(shape, images, measured),
    }
    return Estimate(program, int(lasting), {name: max(0, int(size)) for name, size in phases.items()}, unused(config))


def _experts(config: Config, shape: _Shape, used: int) -> float:
    batch = min(config.experts.batch_size, used)
    path = (config.experts.epochs + 1) * shape.parameters * FLOAT
    # Its file is written from a second copy of the path.
    activations = TRAINING * shape.portion(batch) * shape.maps + 2 * batch * shape.image
    return 2 * path + activations * FLOAT + 6 * shape.parameters * FLOAT


def _student(config: Config, shape: _Shape, images: int) -> float:
    settings = config.objective
    batch = min(settings.batch_size or images, images)
    classes = len(TRAIN_IMAGES[config.data.name])
    steps = settings.student_steps if settings.name in TRAIN_STUDENTS else 0
    vectors = _kept(settings.window if settings.name == "bptt" and settings.window else steps, shape) + 8
    real = 0
    if settings.name == "bptt":
        real = settings.real_batch * classes
    elif steps == 0:  # class by class, against real images of it
        batch, real = max(1, images // classes), settings.real_batch
    maps = max(ADJOINT * shape.portion(batch), TRAINING * shape.portion(real))
    floats = vectors * shape.parameters + maps * shape.maps + (4 * images + 2 * real) * shape.image
    return floats * FLOAT + _activations(config, shape, images)


def _activations(config: Config, shape: _Shape, images: int) -> float:
    """Bytes of activations kept for the reverse sweep (``engine.keeping``), supposing that there is a compiler."""
    settings = config.objective
    if not _compiled(config):
        return 0
    each = min(settings.batch_size or images, images) * (shape.maps + shape.between) * FLOAT
    bound = config.execution.keep_activations * MIB
    return each * min(settings.window or settings.student_steps, bound // max(1.0, each))


def _compiled(config: Config) -> bool:
    """Whether student steps are compiled where there is a compiler."""
    return config.execution.compile != "off" and not not_worth_compiling(config)


def _kept(steps: int, shape: _Shape) -> int:
    """Parameter vectors that a sweep over so many steps holds (``engine.gradient``)."""
    if steps * shape.parameters * FLOAT <= KEPT:
        return steps + 1
    return 3 * (math.isqrt(steps) + 1)  # two at every stride, and those of the stretch in hand


def _information(config: Config, shape: _Shape, images: int) -> float:
    settings = config.information
    if settings.weight == 0:
        return 0
    apart = max(settings.real_batch, settings.readout)
    synthetic = min(settings.synthetic_batch, images)
    vectors = _kept(config.objective.student_steps, shape) if config.objective.name in TRAIN_STUDENTS else 0
    maps = max(FORWARD * apart * shape.first, CONTRAST * synthetic * shape.maps)
    critic = _critic(config, apart + synthetic)
    return (maps + critic + (vectors + 8) * shape.parameters) * FLOAT + _activations(config, shape, images)


def _critic(config: Config, embedded: float) -> float:
    """Floats of the critic: its parameters with gradient and Adam's two means, and what ``embedded`` images become."""
    settings = config.information
    if settings.embedding_layers == 0:
        return 0.0
    sizes, embedding = critic_sizes(config), settings.embedding_dim
    parameters = sum(size * embedding for size in sizes) + (settings.embedding_layers - 1) * len(sizes) * embedding**2
    return (1 if settings.embedding_shared else 2) * 4.0 * parameters + 4.0 * embedded * embedding


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


def _evaluation(shape: _Shape, images: int, measured: int) -> float:
    batch = min(EVALUATION_BATCH, images)
    most = math.floor(TOGETHER / (batch * shape.first))
    networks = max(1, most - most % 2)
    at_once = shape.portion(batch) if networks == 1 else networks * batch
    training = TRAINING * at_once * shape.maps * FLOAT + 8 * networks * shape.parameters * FLOAT
    return max(training, MEASURING * shape.portion(min(CHUNK, measured)) * shape.first * FLOAT)


# -- what there is ------------------------------------------------------------------------------------------


def available(system: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes this process may still take: free on the machine, and left under the limits of its control groups."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left(system, own)])


def _left(system: Path, own: Path) -> list[int]:
    """Bytes left under each limit on this process (version 2 and version 1), caches counted as free."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            base, names = system, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            base = system / "memory"
        else:
            continue
        group = base / path.strip("/")
        for folder in (group, *group.parents):  # a limit on any of them holds
            if folder.is_relative_to(base):
                found += _room(folder, *names)
    return found


def _room(folder: Path, limit: str, usage: str, cache: str) -> list[int]:
    try:
        most, now = (int((folder / name).read_text(encoding="utf-8")) for name in (limit, usage))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        freed = {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}.get(cache, 0)
    except (OSError, ValueError):  # no such group from here, or no limit ("max")
        return []
    return [max(0, most - now + freed)]


def resident() -> int:
    """Bytes this process has taken already."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Have the C library return to the machine what was freed in this process, where it can (glibc): it keeps much of a
    finished run's memory for itself otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def there() -> int:
    """Bytes a run in this process could have: what can still be taken, and what the process has taken already."""
    return available() + resident()


def require(config: Config, *, free: int | None = None) -> None:
    """Refuses a run on the CPU that cannot fit.

    Args:
        config: of the run.
        free: bytes there are, by default :func:`there`.

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
