"""Themes of one's own: read from files, named when they are wrong, taken by the dashboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from mim4dd_tui.dashboard.own_themes import ThemeError, folder, read, read_all
from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.themes import DARK, LIGHT, SERIES
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, until, words


def write(text: str, name: str = "mine") -> Path:
    path = folder() / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_what_is_not_named_is_as_in_the_base() -> None:
    theme = read(write('base = "light"\nprimary = "#ff0000"\n'))
    assert (theme.name, theme.primary, theme.background, theme.dark) == ("mine", "#FF0000", "#FBFAF7", False)
    assert theme.variables["series-3"] == LIGHT.variables["series-3"].upper()
    assert theme.variables["footer-key-foreground"] == "#FF0000", "what follows from a colour does not follow"
    assert read(write("")).background == str(DARK.background).upper()


def test_curves_and_darkness_follow_the_file() -> None:
    series = [f"#0000{index}0" for index in range(1, SERIES + 1)]
    theme = read(write(f'background = "white"\nforeground = "rgb(1,2,3)"\nseries = {series!r}\n'))
    assert [theme.variables[f"series-{index}"] for index in range(1, SERIES + 1)] == series
    assert not theme.dark
    assert theme.foreground == "#010203"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('primary = "blu"', "primary = 'blu' is no colour"),
        ("primary = 7", "primary = 7 is no colour"),
        ('primary = "ansi_red"', "not of the terminal's palette"),
        ('background = "#11223380"', "opaque"),
        ('colour = "red"', "'colour' is not known"),
        ('base = "neon"', "use dark, light, safe"),
        ('series = ["red"]', "give 8 colours"),
        ("series = " + str(["red"] * 7 + ["blu"]), "series 8 = 'blu' is no colour"),
        ("primary = ", "no TOML"),
        ("x" * 70_000, "larger than"),
    ],
)
def test_what_is_wrong_is_named(content: str, words: str) -> None:
    with pytest.raises(ThemeError, match=words):
        read(write(content))


def test_names_of_the_program_are_not_taken() -> None:
    with pytest.raises(ThemeError, match="is taken"):
        read(write("", "mim4dd-dark"))


def test_a_wrong_file_does_not_keep_the_others_away() -> None:
    write('primary = "blu"', "a")
    write("", "b")
    (folder() / "c.toml").write_bytes(b"\xff\xfe")
    (folder() / "d.toml").mkdir()
    themes, problems = read_all()
    assert [theme.name for theme in themes] == ["b"]
    assert [problem.partition(":")[0] for problem in problems] == ["themes/a.toml", "themes/c.toml", "themes/d.toml"]
    assert read_all(folder() / "nowhere") == ([], [])


@pytest.mark.parametrize("size", SIZES)
async def test_the_key_reaches_it_and_it_is_there_the_next_time(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write('background = "#102030"')
    write('primary = "blu"', "other")
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: "no theme: themes/other.toml" in words(app))
        await pilot.press("t", "t", "t", "t")
        assert app.theme == "mine"
        await until(pilot, lambda: "theme: mine" in words(app))
        assert "theme: terminal" not in words(app), "of the presses before"
        assert app.theme_variables["background"] == "#102030"
        await pilot.press("t")
        assert app.theme == "mim4dd-dark"
        await until(pilot, lambda: "theme: dark" in words(app))
        app.remember(theme="mine")
    assert Remembered.load().theme == "mine"
    again = make_app()
    async with again.run_test(size=size):
        assert again.theme == "mine"
