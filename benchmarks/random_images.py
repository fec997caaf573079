"""The baseline of random real images over many draws, for the table of results.

    python -m benchmarks.random_images [--only WORD] [--data-dir DIR]

A run draws a few times; the spread over so few draws is wider than what it is compared with. Written to
docs/results/random/, a file a preset; ``python -m benchmarks.results table`` puts the numbers into the page.

Some protocols train a distilled set at its own step size, and random images, which have none, at a rate of the
protocol's. For presets judged by such a one the same draws are measured at the step size of the finished sets too
(docs/results/random/step-size/), so that images are compared with images.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import execution
from engine.analysis.cells import Document
from engine.config.load import change, resolve
from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import prepare
from engine.data.sources import load
from engine.evaluation.baselines import random_selection
from engine.evaluation.protocols import PROTOCOLS
from engine.files import default_cache_dir, read_json_object, write_json
from engine.networks import ConvNet

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "results" / "random"
DRAWS = 20


def decisive(config: Config, step_size: float | None = None) -> dict[str, Any]:
    """All settings that decide what random images give."""
    evaluation = config.evaluation
    found = {
        "data": config.data.model_dump(),
        "network": config.network.model_dump(),
        "augmentation": config.augmentation.model_dump(),
        "images_per_class": config.synthetic.images_per_class,
        "readout": config.information.readout,
        "seed": config.experts.seed,
        "protocol": evaluation.protocol,
        "networks": evaluation.random_networks,
    }
    return found if step_size is None else {**found, "step_size": step_size}


def trained_at_own(preset: str) -> bool:
    """Whether distilled sets of a preset are judged at their own step size, and not at the protocol's rate."""
    return PROTOCOLS[resolve(preset).config.evaluation.protocol].uses_step_size


def step_size_of(preset: str, documents: Sequence[Document]) -> float | None:
    """The step size that the best iterates of finished cells are judged at: their mean, to three digits.

    Returns:
        None where they are judged at the protocol's rate, or no cell has kept what was learned.
    """
    if not trained_at_own(preset):
        return None
    settings = resolve(preset).config.objective
    if settings.step_size_rate == 0:
        return settings.step_size
    found = [document["step_sizes"]["accuracy"] for document in documents if document.get("step_sizes")]
    return float(f"{statistics.fmean(found):.3g}") if found else None


def path_of(preset: str, step_size: float | None) -> Path:
    """Where the draws of a preset are kept."""
    return FOLDER / ("" if step_size is None else "step-size") / f"{preset}.json"


def kept(preset: str, step_size: float | None = None) -> list[list[float]] | None:
    """Accuracies of the networks of every draw, at the protocol's rate or at a step size; None where they were not
    measured so with the preset's settings."""
    document = read_json_object(path_of(preset, step_size)) or {}
    if document.get("settings") != decisive(resolve(preset).config, step_size):
        return None
    draws: list[list[float]] = document["draws"]
    return draws


def measure(
    preset: str, data_dir: Path | None, draws: int = DRAWS, *, step_size: float | None = None
) -> dict[str, Any]:
    """Draw and train, as far as the cache has it not, and give what is kept."""
    config = change(resolve(preset).config, "evaluation.random_draws", str(draws))
    raw = load(config.data.name, data_dir)
    real = prepare(
        raw, config.data, seed=config.experts.seed, readout=config.information.readout, cache_dir=default_cache_dir()
    )
    score = random_selection(
        config,
        real,
        ConvNet(config.network, real.shape, real.classes),
        augment=Augment(config.augmentation, real.shape),
        cache_dir=default_cache_dir(),
        execution=execution.resolve(config).numerics("evaluation"),
        step_size=step_size,
    )
    return {"settings": decisive(config, step_size), "draws": by_draw(config, score.accuracies)}


def by_draw(config: Config, accuracies: Sequence[float]) -> list[list[float]]:
    """Accuracies of random images, which stand draw after draw, as a list a draw."""
    each = config.evaluation.random_networks
    return [list(accuracies[first : first + each]) for first in range(0, len(accuracies), each)]


def rates_of(preset: str, documents: Sequence[Document]) -> list[float | None]:
    """What a preset's draws are measured at: the protocol's own rate (None), and the step size of its sets where they
    are judged at that; says so where it is not known."""
    size = step_size_of(preset, documents)
    if size is not None:
        return [None, size]
    if documents and trained_at_own(preset):
        print(
            f"{preset}: no finished cell has kept the step size that was learned with its set, so random images are "
            f"not measured at it: remove docs/results/{preset}-seed-0.json and run that cell anew "
            f"(python -m benchmarks.results run small --only {preset}-seed-0)",
            file=sys.stderr,
        )
    return [None]


def main() -> int:
    """The command."""
    from benchmarks.tables import SMALL, finished, study_presets  # which make their tables of what is kept here

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only presets whose name contains this")
    parser.add_argument("--data-dir", type=Path, default=None)
    options = parser.parse_args()
    for preset, seeds in [*SMALL.items(), *study_presets()]:
        if options.only not in preset:
            continue
        for step_size in rates_of(preset, finished(preset, seeds)):
            if len(kept(preset, step_size) or []) < DRAWS:
                at = "" if step_size is None else f" at step size {step_size:g}"
                print(f"{preset}{at}", file=sys.stderr, flush=True)
                path = path_of(preset, step_size)
                path.parent.mkdir(exist_ok=True)
                write_json(path, measure(preset, options.data_dir, step_size=step_size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
