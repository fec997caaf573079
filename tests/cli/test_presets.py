"""The list of presets on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.config.load import resolve, save_user_preset
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli.options import complete_preset


def test_a_preset_of_ones_own_is_told_by_what_it_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    save_user_preset("mine1", resolve("digits-ipc1", ["objective.iterations=120"]).config, "digits-ipc1")
    save_user_preset("mine2", resolve("mine1", ["network.norm=group"]).config, "mine1")
    (tmp_path / "presets" / "told.toml").write_text('extends = "mine1"\nsummary = "For the night. Long."\n')
    assert main(["presets"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["mine1"].endswith("yours: digits-ipc1 with objective.iterations 120")
    assert lines["mine2"].endswith("yours: mine1 with network.norm group")
    assert lines["told"].endswith("For the night")
    assert "Ten 8x8 digits emerge from noise" in lines["digits-ipc1"]
    assert main(["presets", "--json"]) == 0
    summaries = {each["name"]: each["summary"] for each in json.loads(capsys.readouterr().out)}
    assert summaries["mine1"] == "yours: digits-ipc1 with objective.iterations 120"
    assert summaries["told"] == "For the night. Long."


def test_of_a_preset_that_holds_all_settings_those_are_told_that_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    whole = '[data]\nname = "digits"\nvalidation = 0.2\ntrain_limit = 0\nzca = false\n'
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "whole.toml").write_text(whole)
    (tmp_path / "presets" / "again.toml").write_text('extends = "whole"\n[data]\nvalidation = 0.2\nzca = true\n')
    (tmp_path / "presets" / "plain.toml").write_text("seed = 0\n")
    assert main(["presets"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["whole"].endswith("yours, on the defaults: data.validation 0.2")
    assert lines["again"].endswith("yours: whole with data.zca true")
    assert lines["plain"].endswith("yours, the defaults")


def test_one_that_cannot_be_used_has_no_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "bad.toml").write_text("seed = 'x'\n")
    assert main(["presets"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("bad"))
    assert line.removeprefix("bad").lstrip().startswith("cannot be used: ")
    assert main(["presets", "--json"]) == 0
    (listed,) = (each for each in json.loads(capsys.readouterr().out) if each["name"] == "bad")
    assert (listed["images_per_class"], listed["dataset"], listed["objective"]) == (None, None, None)


def test_one_that_is_called_as_none_may_be_is_listed_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    save_user_preset("mine", resolve("digits-ipc1").config, "digits-ipc1")
    for name in ("größe", "my own", "two.toml", ".#mine", "_my base", "li\nes"):
        (tmp_path / "presets" / f"{name}.toml").write_text('extends = "digits-ipc1"\n')
    assert main(["presets", "--json"]) == 0
    own = {each["name"]: each for each in json.loads(capsys.readouterr().out) if str(tmp_path) in each["path"]}
    assert {*own} == {"mine", "größe", "my own", "two.toml", "li\\nes"}, "no lock of an editor, no base"
    assert own["my own"]["summary"].startswith("cannot be used: my own is no name for a preset: use letters A to Z")
    assert own["two.toml"]["summary"] == "cannot be used: two.toml would be read as a file: leave out the .toml"
    assert own["größe"]["images_per_class"] is None
    assert main(["presets"]) == 0
    assert "cannot be used: größe is no name" in capsys.readouterr().out
    assert complete_preset("mine") == ["mine"]
    assert complete_preset("my") == [], "it cannot be run"


def test_one_of_ones_own_is_shown_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary of its base is not said of it."""
    monkeypatch.setenv("MIM4DD_CONFIG_DIR", str(tmp_path))
    save_user_preset("mine", resolve("digits-ipc1", ["objective.iterations=120"]).config, "digits-ipc1")
    (tmp_path / "presets" / "told.toml").write_text('extends = "mine"\nsummary = "For the night."\n')

    def shown(name: str) -> tuple[str, str]:
        assert main(["presets", name]) == 0
        out = capsys.readouterr().out
        assert main(["presets", name, "--json"]) == 0
        return out, json.loads(capsys.readouterr().out)["summary"]

    out, summary = shown("mine")
    assert out.splitlines()[1] == "# yours: digits-ipc1 with objective.iterations 120"
    assert summary == "yours: digits-ipc1 with objective.iterations 120"
    assert "Ten 8x8 digits" not in out
    assert "iterations = 120  # preset mine" in out
    out, summary = shown("told")
    assert out.splitlines()[1] == "# yours: the same as mine"
    assert summary == "For the night."
    assert 'summary = "For the night."  # preset told' in out
    out, summary = shown("digits-ipc1")
    assert "yours" not in out
    assert "Ten 8x8 digits" in out
    assert "Ten 8x8 digits" in summary


def test_where_labels_are_learned_80_columns_say_so_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mim4dd_tui.cli.presets.columns", lambda _stream: 80)
    monkeypatch.setattr("mim4dd_tui.cli.output.columns", lambda _stream: 80)
    assert main(["presets"]) == 0
    soft = [line for line in capsys.readouterr().out.splitlines() if line.split()[0].endswith("-soft")]
    assert len(soft) == 6
    for line in soft:
        assert len(line) <= 80
        assert "  labels " in line, line
        assert "learned" in line, line
        assert "…" not in line, line
