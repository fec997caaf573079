"""What was changed for a run that diverged is named where it can have done it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.load import resolve, save_user_preset
from engine.runs.folder import RunFolder
from engine.runs.suspects import MOST, accused

WHY = "the objective diverges: lower objective.pixel_rate"


def made(runs_dir: Path, *overrides: str, preset: str = "digits-ipc1") -> RunFolder:
    found = resolve(preset, overrides)
    return RunFolder.create(runs_dir, "fast", found.config, preset=found.preset, origins=found.origins)


def test_it_stands_after_the_first_sentence_what_the_message_names_first(tmp_path: Path) -> None:
    run = made(tmp_path, "network.norm=group", "objective.pixel_rate=1e7")
    told = "Changed: objective.pixel_rate 1e+07 (preset: 100.0), network.norm group (preset: instance)"
    assert accused(f"{WHY}. It went back. Begin anew", run, "distill") == f"{WHY}. {told}. It went back. Begin anew"
    assert accused(WHY, run, "distill") == f"{WHY}. {told}"


@pytest.mark.parametrize(
    ("changed", "phase"),
    [
        ("evaluation.networks=3", "distill"),
        ("objective.iterations=60", "distill"),
        ("execution.checkpoint_every=3", "distill"),
        ("experts.count=7", "experts"),
        ("objective.pixel_rate=1e7", "experts"),
    ],
)
def test_what_cannot_have_done_it_is_not_named(tmp_path: Path, changed: str, phase: str) -> None:
    assert accused(WHY, made(tmp_path, changed), phase) == WHY


def test_a_term_that_is_switched_off_has_done_nothing(tmp_path: Path) -> None:
    assert accused(WHY, made(tmp_path, "information.weight=0", "information.critic_rate=9"), "distill") == WHY


def test_of_an_experts_training_its_own_settings_are_named(tmp_path: Path) -> None:
    run = made(tmp_path, "experts.learning_rate=1e4", "execution.precision=mixed")
    assert "Changed: experts.learning_rate 10000.0 (preset: 0.0" in accused("it diverges", run, "experts")
    assert "execution.precision mixed (preset: float32)" in accused("it diverges", run, "experts")


def test_many_are_counted_not_listed(tmp_path: Path) -> None:
    values = ("network.width=8", "network.depth=1", "network.norm=none", "network.pooling=max", "data.zca=true")
    run = made(tmp_path, *values, "objective.pixel_rate=1e7", "objective.pixel_momentum=0.9")
    told = accused(WHY, run, "distill")
    assert told.count("(preset: ") == MOST
    assert told.endswith(" and 1 more")


def test_of_a_file_or_a_preset_that_is_gone_the_value_alone_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    mine = save_user_preset("mine", resolve("digits-ipc1", ["objective.iterations=60"]).config, "digits-ipc1")
    own = made(tmp_path / "own", "objective.pixel_rate=1e7", preset="mine")
    file = made(tmp_path / "file", "objective.pixel_rate=1e7", preset=str(mine))
    assert accused(WHY, own, "distill").endswith("objective.pixel_rate 1e+07 (preset: 100.0)")
    assert accused(WHY, file, "distill") == f"{WHY}. Changed: objective.pixel_rate 1e+07"
    mine.unlink()
    assert accused(WHY, own, "distill") == f"{WHY}. Changed: objective.pixel_rate 1e+07"
