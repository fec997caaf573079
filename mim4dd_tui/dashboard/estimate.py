"""What a run will take here: time and memory, measured on earlier runs of this machine wherever one is alike, and disk,
which is calculated.

A run is alike where everything that decides the cost of an iteration (or of an expert's epoch, or of an
evaluated network) is the same. Counts may differ: they are what the measured seconds are multiplied by. What
has no like on this machine is left out and named, not guessed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from engine import memory, resident
from engine.budget import iteration_cost, live_evaluations
from engine.config.datasets import CLASSES, image_side
from engine.config.schema import Config
from engine.config.selection import selected_on
from mim4dd_tui.dashboard import written
from mim4dd_tui.dashboard.measured import ENOUGH, Measured
from mim4dd_tui.dashboard.written import CHANNELS
from mim4dd_tui.plain import duration

MIB = 2**20

OWN = 35
"""MiB that the dashboard itself takes: the engine's calculation is of a run alone, and both are one process."""


CLOSE = 0.02
"""Share of its memory by which a run may need more or less than one that it is measured by."""


@dataclass(frozen=True)
class Estimate:
    """``seconds`` of what is known, by part; ``unknown`` names the parts that were never measured here. Memory that is
    ``shared`` was measured where earlier runs had left some: it is the most that a run alike took."""

    parts: dict[str, float]
    unknown: tuple[str, ...]
    source: str
    memory: float | None  # MiB
    memory_measured: bool
    disk: int  # bytes of the run folder, calculated
    cache: int  # bytes of experts that are not there yet
    shared: bool = False

    @property
    def seconds(self) -> float | None:
        """All that is known, together; None where the iterations are not."""
        return None if "iterations" in self.unknown else sum(self.parts.values())


# ---- likeness

FREE = {
    "network": set[str](),
    "augmentation": {"flip", "scale", "rotate", "crop", "cutout", "brightness", "saturation", "contrast"},
    "synthetic": {"init"},
    "objective": {
        "iterations", "student_steps", "expert_epochs", "max_start_epoch", "pixel_rate", "pixel_momentum", "pixel_clip",
        "label_rate", "label_momentum", "step_size", "step_size_rate", "step_size_momentum", "student_momentum",
    },
    "information": {"weight", "temperature", "layer_growth", "critic_rate", "warmup"},
}  # fmt: skip
"""Settings of an iteration that change nothing of what is computed, but numbers in it, or how often."""


DECODED = ("images_per_class", "formation", "labels")
"""Settings of a synthetic set that decide what an evaluated network is trained on."""


def same_iteration(a: Config, b: Config) -> bool:
    """Whether an iteration costs the same, but for the number of student steps."""
    left, right = ({part: getattr(x, part).model_dump(exclude=free) for part, free in FREE.items()} for x in (a, b))
    both_or_neither = (a.information.weight > 0) == (b.information.weight > 0)
    kept = a.execution.keep_activations == b.execution.keep_activations
    return a.data.name == b.data.name and both_or_neither and left == right and kept and _same_machine(a, b)


def same_experts(a: Config, b: Config) -> bool:
    """Whether both take the same experts (their number aside)."""
    left, right = (x.experts.model_dump(exclude={"count"}) for x in (a, b))
    return (
        a.data == b.data
        and a.network == b.network
        and (a.augmentation == b.augmentation or not a.experts.augment)
        and left == right
        and a.execution.precision == b.execution.precision
    )


def same_epoch(a: Config, b: Config) -> bool:
    """Whether an epoch of an expert costs the same."""
    data = all(getattr(a.data, name) == getattr(b.data, name) for name in ("name", "train_limit", "validation"))
    return (
        data
        and a.network == b.network
        and a.experts.batch_size == b.experts.batch_size
        and a.experts.augment == b.experts.augment
        and _same_machine(a, b)
    )


def same_evaluation(a: Config, b: Config) -> bool:
    """Whether an evaluated network costs the same under one protocol."""
    return (
        a.data.name == b.data.name
        and a.data.test_limit == b.data.test_limit
        and a.network == b.network
        and a.data.validation == b.data.validation
        and all(getattr(a.synthetic, name) == getattr(b.synthetic, name) for name in DECODED)
        and _same_machine(a, b)
    )


def _same_machine(a: Config, b: Config) -> bool:
    decisive = ("device", "precision", "compile", "threads")
    return all(getattr(a.execution, name) == getattr(b.execution, name) for name in decisive)


# ---- estimating


def estimate(config: Config, runs: Sequence[Measured]) -> Estimate:
    """What a run of ``config`` takes, from measurements of earlier ones (the newest first).

    An iteration takes what it took in the newest run alike that was no trial of a few, else in the longest trial.
    Memory is, trials last again, that of the newest run alike that is done and was the first of its process, else of
    one that is done, else of the newest, of those that need as much by the engine's own calculation (``CLOSE``). Where
    none was measured it is that calculation, which holds for the CPU alone.
    """
    parts: dict[str, float] = {}
    unknown: list[str] = []
    missing = max(0, config.experts.count - _there(config, runs))
    epoch = next((run.epoch for run in runs if run.epoch is not None and same_epoch(config, run.config)), None)
    if missing and epoch is None:
        unknown.append("experts")
    else:
        parts["experts"] = missing * config.experts.epochs * (epoch or 0.0)
    alike = [run for run in runs if run.iteration is not None and same_iteration(config, run.config)]
    like = max(alike, key=lambda run: min(run.over, ENOUGH), default=None)  # the first of the longest
    each: float | None = None
    if like is None or like.iteration is None:
        unknown.append("iterations")
    else:
        each = like.iteration * iteration_cost(config) / iteration_cost(like.config)
        parts["iterations"] = config.objective.iterations * each
    evaluations = _evaluations(config, runs)
    if evaluations is None:
        unknown.append("evaluations")
    else:
        parts["evaluations"] = evaluations
    needed, taken = _memory(config, alike)
    return Estimate(
        parts=parts,
        unknown=tuple(unknown),
        source=like.name if like is not None else "",
        memory=needed,
        memory_measured=taken is not None,
        disk=written.folder(config, each),
        cache=missing * (config.experts.epochs + 1) * parameters(config) * 4,
        shared=taken is not None and taken.shared,
    )


def _memory(config: Config, alike: Sequence[Measured]) -> tuple[float | None, Measured | None]:
    """MiB that a run takes, None where it is not known, and the run it was measured in, None where it is calculated.

    Numbers that an iteration's time is multiplied by may differ among runs alike: what they keep has to be the same.
    """
    on_processor = config.execution.device in ("auto", "cpu")

    def needs(one: Config) -> int:
        found = memory.estimate(one)
        return found.total if on_processor else found.total - found.program

    wanted = needs(config)
    sampled = [run for run in alike if run.peak is not None and abs(needs(run.config) - wanted) <= CLOSE * wanted]
    taken = min(sampled, key=lambda run: (run.brief, not run.whole, run.shared), default=None)  # the first of the best
    if taken is not None:
        return taken.peak, taken
    return memory.estimate(config).total / MIB + OWN if on_processor else None, None


def _there(config: Config, runs: Sequence[Measured]) -> int:
    """How many of the experts earlier runs have left in the cache."""
    return max((run.experts for run in runs if same_experts(config, run.config)), default=0)


def _evaluations(config: Config, runs: Sequence[Measured]) -> float | None:
    settings = config.evaluation
    sets = {"none": 1, "test": 2, "validation": 3}[selected_on(config)]  # the last, the best, the best on test images
    wanted = {settings.live_protocol: live_evaluations(config) * settings.live_networks}
    wanted[settings.protocol] = wanted.get(settings.protocol, 0) + sets * settings.networks
    wanted[settings.protocol] += settings.random_draws * settings.random_networks
    total = 0.0
    for protocol, networks in wanted.items():
        found = (run.networks.get(protocol) for run in runs if same_evaluation(config, run.config))
        seconds = next((value for value in found if value is not None), None)
        if networks and seconds is None:
            return None
        total += networks * (seconds or 0.0)
    return total


def parameters(config: Config) -> int:
    """Numbers in one network of the run."""
    network, channels, side = config.network, CHANNELS.get(config.data.name, 3), image_side(config.data.name)
    total = 0
    for _ in range(network.depth):
        total += network.width * channels * 9 + network.width * (1 if network.norm == "none" else 3)
        channels, side = network.width, side // 2 if network.pooling != "none" else side
    return total + CLASSES[config.data.name] * (channels * side * side + 1)


# ---- in words


def size(count: float) -> str:
    """Bytes in a unit people read."""
    for unit, name in ((2**30, "GiB"), (MIB, "MiB"), (2**10, "KiB")):
        if count >= unit:
            value = count / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"
    return f"{count:.0f} bytes"


class Room(TypedDict):
    """What there is: MiB of memory, bytes of disk."""

    memory_free: float
    disk_free: int | None


def room(runs_dir: Path) -> Room:
    """What a run in this process could have, and the disk under the runs folder."""
    try:
        place = next(each for each in (runs_dir.absolute(), *runs_dir.absolute().parents) if each.exists())
        disk: int | None = shutil.disk_usage(place).free
    except OSError:
        disk = None
    return Room(memory_free=resident.there() / MIB, disk_free=disk)


def waiting() -> list[str]:
    """What stands in the place of the lines of :func:`in_words` until earlier runs have been looked through."""
    return ["looking through earlier runs ...", ""]


def in_words(
    found: Estimate, *, width: int = 0, memory_free: float | None = None, disk_free: int | None = None
) -> list[str]:
    """Two short lines: time, then memory and disk (experts included); a warning where there is not enough. What takes
    the disk is said as far as there is room for it in ``width`` columns."""
    lines = [_time(found, "here") if found.seconds is not None else "time not known until it has run here"]
    needs = []
    if found.memory is not None:
        most = "at most " if found.shared else ""
        needs.append(f"memory {most}{size(found.memory * MIB)}" + ("" if found.memory_measured else " (calculated)"))
    told = [" · ".join([*needs, disk]) for disk in _disk_told(found)]
    needed = next((line for line in told if len(line) <= width), told[-1])
    return [*lines, needed, *_lacking(found, memory_free, disk_free)]


def _disk_told(found: Estimate) -> list[str]:
    """Ever shorter ways of saying what the disk is taken by, all of which is calculated."""
    taken, experts = size(found.disk + found.cache), size(found.cache)
    total, least = f"disk {taken} (calculated)", f"disk ~{taken}"
    whole = f"{total}: checkpoints, snapshots, journal, distilled sets"
    if not found.cache:
        return [whole, total, least]
    return [f"{whole}, {experts} of experts", f"{total}, {experts} of it experts", total, least]


def in_a_line(found: Estimate, *, memory_free: float | None = None, disk_free: int | None = None) -> str:
    """The same where there is a line for it: what there is not enough of, else time and memory."""
    lacking = _lacking(found, memory_free, disk_free)
    if lacking:
        return lacking[0]
    time = _time(found) if found.seconds is not None else "time not known"
    if found.memory is None:
        return time
    mark = "at most " if found.shared else "" if found.memory_measured else "~"
    return f"{time} · {mark}{size(found.memory * MIB)}"


def _time(found: Estimate, where: str = "") -> str:
    rest = f", not counting {' and '.join(found.unknown)}" if found.unknown else ""
    return f"about {duration(found.seconds or 0.0)} {where}".rstrip() + rest


def _lacking(found: Estimate, memory_free: float | None, disk_free: int | None) -> list[str]:
    """Warnings, each with a mark of exclamation."""
    lines = []
    if memory_free is not None and found.memory is not None and found.memory > memory_free:
        lines.append(f"! only {size(memory_free * MIB)} of memory are free")
    if disk_free is not None and found.disk + found.cache > disk_free:
        lines.append(f"! only {size(disk_free)} of disk are free")
    return lines
