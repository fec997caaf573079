"""The baseline of random real images over many draws."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_what_is_kept_belongs_to_the_presets() -> None:
    files = list(random_images.FOLDER.glob("*.json"))
    assert files
    for path in files:
        draws = random_images.kept(path.stem)
        assert draws is not None, f"{path.name} was measured with other settings"
        assert len(draws) == random_images.DRAWS
        each = resolve(path.stem).config.evaluation.random_networks
        assert {len(draw) for draw in draws} == {each}
