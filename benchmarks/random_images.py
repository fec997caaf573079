"""The baseline of random real images over many draws, for the table of results.

    python -m benchmarks.random_images [--only WORD] [--data-dir DIR]

A run draws a few times; the spread over so few draws is wider than what it is compared with. Written to
docs/results/random/, a file a preset; ``python -m benchmarks.results table`` puts the numbers into the page.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import execution
from engine.config.load import change, resolve
from engine.config.schema import Config
from engine.data.augment import Augment
from engine.data.prepare import prepare
from engine.data.sources import load
from engine.evaluation.baselines import random_selection
from engine.files import default_cache_dir, read_json_object, write_json
from engine.networks import ConvNet

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "results" / "random"
DRAWS = 20


def decisive(config: Config) -> dict[str, Any]:
    """All settings that decide what random images give."""
    evaluation = config.evaluation
    return {
        "data": config.data.model_dump(),
        "network": config.network.model_dump(),
        "augmentation": config.augmentation.model_dump(),
        "images_per_class": config.synthetic.images_per_class,
        "readout": config.information.readout,
        "seed": config.experts.seed,
        "protocol": evaluation.protocol,
        "networks": evaluation.random_networks,
    }


def kept(preset: str) -> list[list[float]] | None:
    """Accuracies of the networks of every draw; None where they were not measured with the preset's settings."""
    document = read_json_object(FOLDER / f"{preset}.json") or {}
    if document.get("settings") != decisive(resolve(preset).config):
        return None
    draws: list[list[float]] = document["draws"]
    return draws


def measure(preset: str, data_dir: Path | None, draws: int = DRAWS) -> dict[str, Any]:
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
    )
    return {"settings": decisive(config), "draws": by_draw(config, score.accuracies)}


def by_draw(config: Config, accuracies: Sequence[float]) -> list[list[float]]:
    """Accuracies of random images, which stand draw after draw, as a list a draw."""
    each = config.evaluation.random_networks
    return [list(accuracies[first : first + each]) for first in range(0, len(accuracies), each)]


def main() -> int:
    """The command."""
    from benchmarks.tables import SMALL, study_presets  # which make their tables of what is kept here

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only presets whose name contains this")
    parser.add_argument("--data-dir", type=Path, default=None)
    options = parser.parse_args()
    for preset in [*SMALL, *(name for name, _ in study_presets())]:
        if options.only in preset and len(kept(preset) or []) < DRAWS:
            print(preset, file=sys.stderr, flush=True)
            write_json(FOLDER / f"{preset}.json", measure(preset, options.data_dir))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
