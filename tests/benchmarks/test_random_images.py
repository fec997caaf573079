"""The baseline of random real images over many draws."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import random_images, tables
from engine.config.load import resolve

PRESET = "digits-ipc1"
OWN = {"random_selection": {"accuracies": [0.5, 0.6, 0.7, 0.8]}}


def test_many_draws_stand_in_for_a_runs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_images, "FOLDER", tmp_path)
    assert random_images.kept(PRESET) is None
    assert tables.drawn(PRESET, OWN) == [[0.5, 0.6], [0.7, 0.8]], "two networks a draw"
    document = random_images.measure(PRESET, None, draws=3)
    assert [len(draw) for draw in document["draws"]] == [2, 2, 2]
    assert all(0.2 < value < 0.95 for draw in document["draws"] for value in draw)
    assert len({tuple(draw) for draw in document["draws"]}) == 3
    (tmp_path / f"{PRESET}.json").write_text(json.dumps(document))
    assert tables.drawn(PRESET, OWN) == document["draws"]
    document["settings"]["network"]["width"] += 1
    (tmp_path / f"{PRESET}.json").write_text(json.dumps(document))
    assert random_images.kept(PRESET) is None, "of other settings"


def test_the_sets_step_size_is_the_presets_or_what_was_learned() -> None:
    """Where the protocol trains distilled sets at theirs."""
    learned = [{"step_sizes": {"accuracy": size, "last": 1.0}} for size in (0.05, 0.0611)]
    assert random_images.step_size_of("digits-ipc1", learned) == 0.0556
    assert random_images.step_size_of("digits-ipc1", [{}, *learned[:1]]) == 0.05, "cells from before it was kept"
    assert random_images.step_size_of("digits-ipc1", [{}]) is None
    assert random_images.step_size_of("digits-ipc1-dream", [{}]) == 0.02, "not learned"
    assert random_images.step_size_of("mnist-ipc1-small", learned) is None, "judged at the protocol's rate"


def test_draws_at_a_step_size_are_kept_beside_those_at_the_protocols_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(random_images, "FOLDER", tmp_path)
    monkeypatch.setattr(random_images, "DRAWS", 2)
    monkeypatch.setattr("sys.argv", ["random_images", "--only", PRESET])
    measured: list[tuple[str, float | None]] = []

    def measure(preset: str, _: Any, *, step_size: float | None) -> dict[str, Any]:
        measured.append((preset, step_size))
        config = resolve(preset).config
        return {"settings": random_images.decisive(config, step_size), "draws": [[0.5, 0.6], [0.7, 0.8]]}

    def run(*sizes: float) -> list[tuple[str, float | None]]:
        cells = [{"step_sizes": {"accuracy": size}} for size in sizes] or [{}]
        monkeypatch.setattr(tables, "finished", lambda preset, _: cells if preset == PRESET else [])
        measured.clear()
        assert random_images.main() == 0
        return [one for one in measured if one[0] == PRESET]

    monkeypatch.setattr(random_images, "measure", measure)
    assert run(0.05, 0.06) == [(PRESET, None), (PRESET, 0.055)]
    assert random_images.kept(PRESET) == random_images.kept(PRESET, 0.055) == [[0.5, 0.6], [0.7, 0.8]]
    assert run(0.05, 0.06) == []
    assert run(0.05, 0.05) == [(PRESET, 0.05)], "cells were added: those at the earlier mean are stale"
    assert random_images.kept(PRESET, 0.055) is None
    assert "no finished cell" not in capsys.readouterr().err
    assert run() == []
    assert f"{PRESET}: no finished cell has kept the step size" in capsys.readouterr().err


def test_random_images_are_trained_at_the_step_size_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def selected(*_: Any, step_size: float | None, **__: Any) -> SimpleNamespace:
        asked.append(step_size)
        return SimpleNamespace(accuracies=[0.5, 0.6])

    monkeypatch.setattr(random_images, "random_selection", selected)
    own, other = (random_images.measure(PRESET, None, 1, step_size=size) for size in (None, 0.05))
    assert asked == [None, 0.05]
    assert other["settings"] == {**own["settings"], "step_size": 0.05}


def test_what_is_kept_at_step_sizes_is_of_the_finished_sets() -> None:
    seeds = {**tables.SMALL, **dict(tables.study_presets())}
    files = {path.stem for path in random_images.FOLDER.glob("step-size/*.json")}
    assert files == {preset for preset in seeds if random_images.trained_at_own(preset)}
    for preset in files:
        size = random_images.step_size_of(preset, tables.finished(preset, seeds[preset]))
        draws = random_images.kept(preset, size)
        assert draws is not None, f"{preset} was measured at another step size, or with other settings"
        assert len(draws) == random_images.DRAWS


def test_what_is_kept_belongs_to_the_presets() -> None:
    files = list(random_images.FOLDER.glob("*.json"))
    assert files
    for path in files:
        draws = random_images.kept(path.stem)
        assert draws is not None, f"{path.name} was measured with other settings"
        assert len(draws) == random_images.DRAWS
        each = resolve(path.stem).config.evaluation.random_networks
        assert {len(draw) for draw in draws} == {each}


def test_every_preset_of_the_table_has_its_many_draws() -> None:
    """As the page says: a run's own few are not what it is compared with."""
    for preset, seeds in [*tables.SMALL.items(), *tables.study_presets()]:
        if tables.finished(preset, seeds):
            assert len(random_images.kept(preset) or []) == random_images.DRAWS, preset
