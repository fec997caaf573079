"""No option crashes, and none does nothing: whole runs on a few digits, compared by their fingerprints."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.config.fields import by_key, fields
from engine.config.load import changed
from engine.config.schema import Config
from engine.evaluation.protocols import PROTOCOLS
from engine.events import CheckpointWritten, Evaluation, Event, Iteration, Snapshot
from engine.run import start

Values = Mapping[str, Any]

TINY: Values = {
    "data.train_limit": 200,
    "data.test_limit": 30,
    "network.depth": 2,
    "network.width": 8,
    "experts.count": 2,
    "experts.epochs": 2,
    "experts.batch_size": 50,
    "experts.learning_rate": 0.05,
    "objective.iterations": 2,
    "objective.student_steps": 3,
    "objective.expert_epochs": 1,
    "objective.step_size": 0.05,
    "objective.step_size_rate": 1e-3,
    "information.readout": 50,
    "information.real_batch": 40,
    "information.grid": 2,
    "information.warmup": 2,
    "information.embedding_dim": 16,
    "evaluation.protocol": "quick-100",
    "evaluation.networks": 1,
    "evaluation.live_networks": 1,
    "evaluation.every": 0,
    "evaluation.share": 1.0,
    "evaluation.random_draws": 0,
    "execution.device": "cpu",
    "execution.threads": 1,
    "execution.compile": "off",
    "execution.checkpoint_every": 1000,
    "execution.snapshot_every": 1000,
}

NCE: Values = {"information.loss": "nce"}
BPTT: Values = {"objective.name": "bptt"}
FREE: Values = {"synthetic.labels": "free"}
DREAM: Values = {
    "objective.name": "dream",
    "objective.pixel_rate": 0.1,
    "objective.network_life": 2,
    "objective.network_images": 100,
    "objective.iterations": 3,
}
CUTMIX: Values = {
    **DREAM,
    "objective.network_life": 4,
    "objective.network_images": 150,
    "objective.iterations": 4,
}

# What every option is changed to, and what has to hold for it to matter.
CHANGES: dict[str, tuple[list[Any], Values]] = {
    "seed": ([1], {}),
    "data.train_limit": ([150], {}),
    "data.validation": ([0.2], {}),
    "data.zca": ([True], {}),
    "data.zca_epsilon": ([0.01], {"data.zca": True}),
    "augmentation.strategy": (["none", "color", "crop", "cutout", "flip", "scale", "rotate", "crop_flip"], {}),
    "augmentation.flip": ([1.0], {"augmentation.strategy": "flip"}),
    "augmentation.scale": ([2.0], {"augmentation.strategy": "scale"}),
    "augmentation.rotate": ([90.0], {"augmentation.strategy": "rotate"}),
    "augmentation.crop": ([0.5], {"augmentation.strategy": "crop"}),
    "augmentation.cutout": ([0.25], {"augmentation.strategy": "cutout"}),
    "augmentation.brightness": ([2.0], {"augmentation.strategy": "color"}),
    "augmentation.saturation": ([], {}),  # a grey image has no colour to saturate: see below
    "augmentation.contrast": ([1.0], {"augmentation.strategy": "color"}),
    "network.depth": ([1, 3], {}),
    "network.width": ([12], {}),
    "network.norm": (["group", "layer", "none"], {}),
    "network.pooling": (["max", "none"], {}),
    "synthetic.images_per_class": ([2], {}),
    "synthetic.init": (["noise"], {}),
    "synthetic.formation": ([2, 4], {"synthetic.init": "noise"}),
    "synthetic.labels": (["free", "softmax"], {}),
    "experts.count": ([3], {}),
    "experts.epochs": ([3], {"information.real_network": "last"}),
    "experts.learning_rate": ([0.1], {}),
    "experts.momentum": ([0.5], {}),
    "experts.weight_decay": ([0.1], {}),
    "experts.batch_size": ([40], {}),
    "experts.augment": ([False], {}),
    "experts.seed": ([1], {}),
    "objective.name": (["tesla", "bptt", "dream", "distribution"], {}),
    "objective.iterations": ([3], {}),
    "objective.student_steps": ([4], {}),
    "objective.expert_epochs": ([2], {"objective.max_start_epoch": 1}),
    "objective.max_start_epoch": ([1], {}),
    "objective.batch_size": ([5], {}),
    "objective.pixel_rate": ([50.0], {}),
    "objective.pixel_momentum": ([0.9], {}),
    "objective.step_size": ([0.1], {}),
    "objective.step_size_rate": ([1e-4, 0.0], {}),
    "objective.step_size_momentum": ([0.9], {}),
    "objective.student_momentum": ([0.5], BPTT),
    "objective.window": ([1, 2], BPTT),
    "objective.real_batch": ([5], BPTT),
    "objective.selection": (["random"], DREAM),
    "objective.select_every": ([1], {**DREAM, "objective.network_life": 3, "objective.real_batch": 4}),
    "objective.distance": (["l1"], DREAM),
    "objective.network_life": ([1], DREAM),
    "objective.network_images": ([0, 50], DREAM),
    "objective.cutmix": ([0.0, 1.0], CUTMIX),
    "objective.pixel_clip": ([1e-3], {}),
    "objective.label_rate": ([0.1, 0.0], FREE),
    "objective.label_momentum": ([0.0], FREE),
    "information.weight": ([0.0, 0.1], {}),
    "information.scaling": (["raw"], {}),
    "information.loss": (["nce"], {}),
    "information.bias": (["fixed", "batch"], NCE),
    "information.real_network": (["start", "last", "fresh"], {"objective.max_start_epoch": 1}),
    "information.synthetic_network": (["attached", "same"], {}),
    "information.layers": (["blocks+logits", "last"], {}),
    "information.pooling": (["average", "flatten"], {}),
    "information.grid": ([1], {}),
    "information.embedding_layers": ([0, 2], {}),
    "information.embedding_dim": ([8], {}),
    "information.embedding_shared": ([False], {}),
    "information.temperature": ([0.5], {}),
    "information.layer_growth": ([4.0], {}),
    "information.real_batch": ([50], {}),
    "information.synthetic_batch": ([10], {"synthetic.images_per_class": 2}),
    "information.augment": (["shared", "independent"], {"augmentation.strategy": "crop"}),
    "information.negatives": (["all"], {"synthetic.images_per_class": 2}),
    "information.critic_optimizer": (["sgd"], {}),
    "information.critic_rate": ([1e-2], {}),
    "information.critic_steps": ([0, 3], {}),
    "information.warmup": ([0, 5], {}),
    "information.readout": ([20], {}),
    "execution.precision": (["mixed"], {}),
}

ELSEWHERE = {
    "summary": "words only",
    "data.name": "the other sets need files: tests/data",
    "network.name": "one choice",
    "execution.device": "other hardware",
    "execution.compile": "the same mathematics, and a minute of compiling",
    "execution.threads": "the same mathematics",
    "execution.keep_activations": "the same mathematics: tests/gradient/test_keeping.py",
    "execution.checkpoint_seconds": "a matter of time: tests/distill",
    "data.test_limit": "measures: below",
    "information.readout_every": "measures: below",
    "evaluation.protocol": "measures: below",
    "evaluation.networks": "measures: below",
    "evaluation.live_protocol": "measures: below",
    "evaluation.live_networks": "measures: below",
    "evaluation.every": "measures: below",
    "evaluation.share": "measures: tests/evaluation/test_budget.py",
    "evaluation.random_draws": "measures: below",
    "evaluation.random_networks": "measures: below",
    "execution.checkpoint_every": "keeps: below",
    "execution.snapshot_every": "keeps: below",
    "execution.on_hangup": "signals: tests/reach/test_signals.py",
    "execution.recoveries": "numbers that are no longer finite: tests/reliability/test_numbers.py",
    "execution.recovery_factor": "numbers that are no longer finite: tests/reliability/test_numbers.py",
}

PAIRED = {
    f.key: list(f.choices)
    for f in fields()
    if f.section == "information" and f.choices and f.key != "information.embedding_shared"
} | {
    "information.embedding_shared": [True, False],
    "information.weight": [0.5, 0.01],
    "information.critic_steps": [1, 0],
    "information.warmup": [2, 0],
    "synthetic.images_per_class": [1, 2],
    "augmentation.strategy": ["color_crop_cutout_flip_scale_rotate", "none"],
}


class Session:
    """Runs of this module: experts are trained once, and the same configuration runs once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[str, dict[str, Any]] = {}
        self.heard: list[Event] = []

    def __call__(self, values: Values) -> dict[str, Any]:
        config = changed(Config(), {**TINY, **values})
        key = config.model_dump_json()
        if key not in self.done:
            self.heard = []
            self.done[key] = start(
                config,
                runs_dir=self.folder / "runs",
                name=f"run-{len(self.done)}",
                cache_dir=self.folder / "cache",
                observer=self.heard.append,
            )
        return self.done[key]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Runs a tiny configuration with changes. Protocols keep their names, but last two epochs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, protocol in PROTOCOLS.items():
            patch.setitem(PROTOCOLS, name, dataclasses.replace(protocol, epochs=2))
        yield Session(tmp_path_factory.mktemp("options"))


def test_every_option_is_here() -> None:
    assert set(CHANGES) | set(ELSEWHERE) == set(by_key())
    assert not set(CHANGES) & set(ELSEWHERE)


def test_every_choice_is_here() -> None:
    for key, (values, _) in CHANGES.items():
        field = by_key()[key]
        if field.choices:
            assert {*values, TINY.get(key, field.default)} == set(field.choices), key


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, (values, _) in CHANGES.items() for value in values],
    ids=str,
)
def test_an_option_changes_the_result(run: Session, key: str, value: Any) -> None:
    needed = CHANGES[key][1]
    before, after = run(needed), run({**needed, key: value})
    assert before["state"] == after["state"] == "done"
    assert before["fingerprint"] != after["fingerprint"]


def test_choices_differ_from_each_other(run: Session) -> None:
    for key, (values, needed) in CHANGES.items():
        prints = [run({**needed, key: value})["fingerprint"] for value in values]
        assert len(set(prints)) == len(prints), key


def test_saturation_needs_colours() -> None:
    """On grey images the factor multiplies nothing, which is why no digits run can show it."""
    import torch

    from engine.data.augment import Augment, Draw

    settings = changed(Config(), {"augmentation.strategy": "color"}).augmentation
    draws = [Draw("color", torch.tensor([[0.0, factor, 1.0]])) for factor in (0.5, 2.0)]
    for channels, same in ((1, True), (3, False)):
        image = torch.arange(channels * 16.0).view(1, channels, 4, 4)
        augment = Augment(settings, (channels, 4, 4))
        assert torch.equal(augment(image, draws[0]), augment(image, draws[1])) is same
    wide = changed(Config(), {"augmentation.strategy": "color", "augmentation.saturation": 4.0}).augmentation
    values = [
        Augment(chosen, (3, 4, 4)).draw(8, torch.Generator().manual_seed(0)).values[:, 1] for chosen in (settings, wide)
    ]
    assert torch.allclose(2 * values[0], values[1])


def pairwise(options: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Rows in which every pair of values of two options occurs, found greedily and always the same."""
    names = list(options)
    waiting = {
        frozenset({(a, x), (b, y)}) for a, b in itertools.combinations(names, 2) for x in options[a] for y in options[b]
    }
    rows = []
    while waiting:
        row = dict(min(waiting, key=lambda pair: sorted(map(repr, pair))))
        for name in [name for name in names if name not in row]:
            gains = [
                sum(frozenset({(name, value), other}) in waiting for other in row.items()) for value in options[name]
            ]
            row[name] = options[name][gains.index(max(gains))]
        waiting -= {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
        rows.append(row)
    return rows


def test_every_pair_of_information_choices_runs(run: Session) -> None:
    rows = pairwise(PAIRED)
    assert len(rows) < 40
    for row in rows:
        document = run(row)
        assert document["state"] == "done", row
        assert document["mutual_information"]["nats"] is not None, row
        assert document["mutual_information"]["nats"] < document["mutual_information"]["ceiling"] + 1e-3, row


def test_what_measures_changes_what_is_measured(run: Session) -> None:
    base = run({})
    assert len(run({"evaluation.networks": 3})["accuracy"]["accuracies"]) == 3
    for protocol in ("paper-300", "dream-1000"):
        assert run({"evaluation.protocol": protocol})["accuracy"]["protocol"] == protocol
    assert run({"data.test_limit": 7})["accuracy"]["accuracies"] != base["accuracy"]["accuracies"]
    drawn = run({"evaluation.random_draws": 2, "evaluation.random_networks": 3})
    assert len(drawn["random_selection"]["accuracies"]) == 6
    for document in (drawn, run({"evaluation.networks": 3}), run({"data.test_limit": 7})):
        assert document["fingerprint"] == base["fingerprint"]  # measuring never changes the set


def test_live_evaluations(run: Session) -> None:
    values = {
        "evaluation.every": 1,
        "evaluation.share": 1.0,
        "evaluation.live_protocol": "paper-300",
        "evaluation.live_networks": 2,
    }
    run(values)
    live = [event for event in run.heard if isinstance(event, Evaluation) and event.subject == "live"]
    assert [event.iteration for event in live] == [0, 1, 2]
    assert all(event.protocol == "paper-300" and len(event.accuracies) == 2 for event in live)


def test_readings_pictures_and_checkpoints(run: Session) -> None:
    document = run(
        {
            "objective.iterations": 4,
            "information.readout_every": 2,
            "execution.snapshot_every": 2,
            "execution.checkpoint_every": 3,
        }
    )
    read = [e.iteration for e in run.heard if isinstance(e, Iteration) and e.bounds]
    assert read == [1, 3, 4]
    assert [e.iteration for e in run.heard if isinstance(e, Snapshot)] == [0, 2, 4]
    kept = [e.iteration for e in run.heard if isinstance(e, CheckpointWritten)]
    assert kept == [0, 3, 4], document
