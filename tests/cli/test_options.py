"""Values of options: seeds, places, which run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.schema import Config
from engine.runs.folder import RunFolder
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli.failures import UsageError
from mim4dd_tui.cli.options import chosen_run, data_dir_of, graphics_of, runs_dir_of, several_seeds
from mim4dd_tui.graphics.choice import Graphics
from tests.cli.command import mim4dd


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [3]), ("0-4", [0, 1, 2, 3, 4]), ("0,2,5", [0, 2, 5]), ("7-8, 1", [7, 8, 1])],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert several_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "a", "4-0", "1-", "-1", "0,0", "0-3,2", "1.5", "0-5000", "²", "1,,2", "3000000000"]
)
def test_wrong_seeds_are_refused_with_what_was_given(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        several_seeds(text)
    assert repr(text) in str(caught.value)
    assert caught.value.exit_code == 2


@given(st.text(alphabet="0123456789-, ", max_size=12))
def test_any_text_gives_distinct_seeds_or_a_usage_error(text: str) -> None:
    try:
        seeds = several_seeds(text)
    except UsageError:
        return
    assert seeds
    assert len(set(seeds)) == len(seeds)


def test_runs_dir_is_the_option_then_the_variable_then_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert runs_dir_of(None) == Path("runs")
    monkeypatch.setenv("MIM4DD_RUNS_DIR", str(tmp_path))
    assert runs_dir_of(None) == tmp_path
    assert runs_dir_of(Path("elsewhere")) == Path("elsewhere")


def test_a_data_folder_that_is_named_has_to_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIM4DD_DATA_DIR", str(tmp_path / "usual"))
    assert data_dir_of(None) == data_dir_of(tmp_path / "usual") == tmp_path / "usual", "the usual one is made"
    with pytest.raises(UsageError, match=f"no such folder; .*make it first: `mkdir -p '{tmp_path}/my data'`"):
        data_dir_of(tmp_path / "my data")
    assert data_dir_of(tmp_path / "my data", looks=True) == tmp_path / "my data"
    (tmp_path / "my data").mkdir()
    assert data_dir_of(tmp_path / "my data") == tmp_path / "my data"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        data_dir_of(tmp_path / "file")


@pytest.mark.parametrize(
    "line",
    [
        ["run", "digits-ipc1", "--headless"],
        ["run", "digits-ipc1", "--detach"],
        ["resume", "runs/mine", "--headless"],
        ["evaluate", "mine"],
        ["analyse", "lambda", "digits-ipc1"],
        ["bench"],
    ],
    ids=lambda line: " ".join(line[::2]),
)
def test_no_command_makes_a_data_folder_that_was_mistyped(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    RunFolder.create(tmp_path / "runs", "mine", Config())
    assert main([*line, "--data-dir", "dta"]) == 2
    assert "--data-dir dta: there is no such folder" in capsys.readouterr().err
    assert not (tmp_path / "dta").exists()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def test_a_run_is_named_either_way_but_not_both(tmp_path: Path) -> None:
    assert chosen_run("mine", False, "show", tmp_path) == "mine"
    assert chosen_run(None, True, "show", tmp_path) == "--latest"
    for name, latest in ((None, False), ("mine", True)):
        with pytest.raises(UsageError, match=f"--latest.*`mim4dd runs --runs-dir {tmp_path}`"):
            chosen_run(name, latest, "show", tmp_path)


def test_graphics_are_the_option_then_the_variable_then_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIM4DD_GRAPHICS", raising=False)
    assert graphics_of(None, shown=True) is None
    monkeypatch.setenv("MIM4DD_GRAPHICS", "sixel")
    assert graphics_of(None, shown=True) is Graphics.SIXEL
    assert graphics_of(Graphics.OFF, shown=True) is Graphics.OFF
    assert graphics_of(None, shown=False) is None
    with pytest.raises(UsageError, match="none opens here"):
        graphics_of(Graphics.KITTY, shown=False)
    monkeypatch.setenv("MIM4DD_GRAPHICS", "iterm")
    with pytest.raises(UsageError, match="MIM4DD_GRAPHICS=iterm: use off, kitty, kitty-tmux, sixel"):
        graphics_of(None, shown=True)


@pytest.mark.parametrize(
    "line",
    [["run", "digits-ipc1", "--graphics", "kitty", "--headless"], ["--graphics", "kitty", "runs"]],
)
def test_graphics_without_a_dashboard_are_refused(line: list[str], tmp_path: Path) -> None:
    done = mim4dd(*line, cwd=tmp_path)
    assert done.code == 2
    assert "--graphics" in done.err
    assert not (tmp_path / "runs").exists()
