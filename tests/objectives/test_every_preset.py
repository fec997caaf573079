"""Every preset that comes with the program, run: its own settings but for sizes, on files in the published formats."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config.load import list_presets, resolve
from engine.config.schema import Config
from engine.data.sources import UNOFFICIAL
from engine.evaluation.protocols import PROTOCOLS
from engine.objectives import OBJECTIVES
from engine.run import start
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from tests.data.formats import CLASSES, write

NAMES = [info.name for info in list_presets() if info.builtin]
CORE = [
    f"{data}-ipc1{'' if base == 'trajectory' else f'-{base}'}" for data in ("svhn", "cifar100") for base in OBJECTIVES
]
"""Presets of data sets that have no small ones, in every base."""


def reduced(name: str, *, whitened: bool = True) -> Config:
    """A preset at a size of a second or two: fewer, narrower, shorter; what is not a size stays as it is.

    From noise, as the files hold two or three images a class, one of which is set apart for the readout: of the one
    that is left, distribution matching has nothing to tell a start from.
    """
    own = resolve(name).config
    classes = {**CLASSES, "digits": 10}[own.data.name]
    real = own.synthetic.labels == "softmax"  # whose labels start from what an expert sees
    images = min(own.synthetic.images_per_class, 1 if real else 2)
    steps = min(own.objective.student_steps, 3)
    values = {
        "data.train_limit": 0,
        "data.test_limit": 0,
        "data.zca": str(own.data.zca and whitened).lower(),
        "network.width": 4,
        "synthetic.images_per_class": images,
        "synthetic.init": "real" if real else "noise",
        "experts.count": 1,
        "experts.epochs": 2,
        "experts.batch_size": 50,
        "objective.iterations": 2,
        "objective.student_steps": steps,
        "objective.window": min(own.objective.window, steps - 1),
        "objective.expert_epochs": 1,
        "objective.max_start_epoch": 1,
        "objective.batch_size": min(own.objective.batch_size, classes * images - 1),
        "objective.real_batch": 2,
        # A rate in the units of a loss in which a few small steps now move everything.
        "objective.step_size_rate": min(own.objective.step_size_rate, 1e-9),
        "objective.network_life": 2,
        "objective.network_images": 20,
        "information.readout": classes,
        "information.real_batch": classes,
        "information.warmup": 1,
        "evaluation.networks": 1,
        "evaluation.live_networks": 1,
        "evaluation.every": 2,
        "evaluation.share": 1.0,
        "evaluation.random_draws": 0,
        "execution.threads": 1,
        "execution.device": "cpu",
        "execution.compile": "off",
    }
    return resolve(name, [f"{key}={value}" for key, value in values.items()]).config


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Small files of all sets, a cache whose experts and whitening presets share, and protocols of two epochs."""
    path = tmp_path_factory.mktemp("presets")
    for name in CLASSES:
        write(name, path / "data")
    with pytest.MonkeyPatch.context() as patch:
        for name, protocol in PROTOCOLS.items():
            patch.setitem(PROTOCOLS, name, dataclasses.replace(protocol, epochs=2, falls=()))
        yield path


@pytest.fixture(autouse=True)
def taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their checksums are not the published ones."""
    monkeypatch.setenv(UNOFFICIAL, ",".join(CLASSES))


def run(place: Path, name: str, *, whitened: bool = True) -> None:
    config = reduced(name, whitened=whitened)
    done = start(config, runs_dir=place / "runs", preset=name, data_dir=place / "data", cache_dir=place / "cache")
    assert done["state"] == "done", done
    assert done["recoveries"] == [], "its rates are no larger than the numbers bear"
    assert done["accuracy"]["protocol"] == config.evaluation.protocol
    history = RunHistory.load(RunFolder.open(Path(done["path"])).journal_path)
    norms = history.series["gradient_norm"].values
    assert len(norms) == 2
    assert all(math.isfinite(norm) and norm > 0 for norm in norms)
    if config.information.weight > 0:
        assert all(ratio > 0 for ratio in history.series["gradient_ratio"].values), "the term has a gradient too"
        assert math.isfinite(done["mutual_information"]["nats"])


@pytest.mark.parametrize("name", CORE)
def test_svhn_and_cifar100_run_in_every_base(place: Path, name: str) -> None:
    run(place, name, whitened=False)  # to fit the whitening takes longer than all of these together


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if name not in CORE or resolve(name).config.data.zca])
def test_every_other_preset_runs(place: Path, name: str) -> None:
    run(place, name)


def test_no_data_set_lacks_a_base() -> None:
    bases = {(resolve(name).config.data.name, resolve(name).config.objective.name) for name in NAMES}
    assert bases == {(data, base) for data in ("digits", *CLASSES) for base in OBJECTIVES}
