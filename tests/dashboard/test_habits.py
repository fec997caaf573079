"""What is remembered until the next time, and texts in the theme and the characters of the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.widgets import OptionList

from mim4dd_tui.characters import plain
from mim4dd_tui.dashboard.remembered import Remembered, state_file
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.plots import Viewport
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, words
from tests.dashboard.shelves import make_run


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "dashboard.json"
    kept = Remembered(theme="mim4dd-light", ascii=True, view="log", sort="name", changes={"seed": 3, "data.zca": True})
    kept.plots = {"losses": {"log_x": False, "log_y": True, "smoothing": 0.9}}
    assert not kept.save(path=path)
    assert Remembered.load(path) == kept
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"view": "sideways", "plots": 3}'])
def test_garbage_is_as_good_as_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "dashboard.json"
    path.write_bytes(data)
    assert Remembered.load(path) == Remembered()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(Remembered.__dataclass_fields__)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_no_content_of_the_file_is_taken_that_the_dashboard_could_fall_over(values: dict[str, object]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dashboard.json"
        path.write_text(json.dumps(values))
        kept = Remembered.load(path)
    plain = Remembered()
    for name in ("theme", "preset", "metric", "view", "sort", "attention"):
        assert isinstance(getattr(kept, name), type(getattr(plain, name)))
    for looks in kept.plots.values():
        Viewport().changed(**looks)
    for value in kept.changes.values():
        assert isinstance(value, (str, int, float, bool))


def test_a_state_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in Remembered().save(path=tmp_path / "file" / "dashboard.json")


async def test_what_another_dashboard_remembers_is_left_as_it_is(make_app: MakeApp) -> None:
    older, newer = make_app(), make_app()
    newer.remember(preset="digits-ipc1-tesla", changes={}, theme="mim4dd-light")
    older.remember(view="log")
    kept = Remembered.load()
    assert (kept.preset, kept.theme, kept.view) == ("digits-ipc1-tesla", "mim4dd-light", "log")


@pytest.mark.parametrize("size", SIZES)
async def test_layout_and_last_settings_are_there_the_next_time(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right", "t", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("2", "y")
        await pilot.pause()
    assert json.loads(state_file().read_text())["changes"] == {"network.norm": "group"}
    again = make_app(FakeEngine(iterations=12))
    async with again.run_test(size=size) as pilot:
        await until(pilot, lambda: again.screen.query_one(SettingsForm).changed() == {"network.norm": "group"})
        assert again.theme == "mim4dd-light"
        await pilot.press("s")
        await until(pilot, lambda: isinstance(again.screen, RunScreen) and run_screen(again).state == "done")
        assert again.screen.has_class("-view-curves")
        assert again.screen.query_one("#ratio", PlotPane).viewport.log_y


async def test_settings_that_no_longer_exist_are_not_taken_over_and_this_is_said(make_app: MakeApp) -> None:
    Remembered(preset="digits-ipc1", changes={"network.gone": 3}).save()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app))
        assert app.screen.query_one(SettingsForm).changed() == {}
        await until(pilot, lambda: "the last time does not fit it any more: settings: network.gone" in told(app), 10)


@pytest.mark.parametrize("size", SIZES)
async def test_texts_have_the_colours_of_the_theme_that_was_chosen(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "lion")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right")

        def colours() -> set[str]:
            rows = [app.screen.query_one(FieldList), app.screen.query_one("#runs", OptionList)]
            prompts = [option.prompt for row in rows for option in row.options]
            return {str(span.style) for prompt in prompts if isinstance(prompt, Text) for span in prompt.spans}

        await until(pilot, lambda: "lion" in text(app))
        before = app.theme_variables["accent"]
        assert f"bold {before}" in colours()
        await pilot.press("t")
        await until(pilot, lambda: app.theme_variables["accent"] != before)
        await until(pilot, lambda: f"bold {app.theme_variables['accent']}" in colours())
        await until(pilot, lambda: app.theme_variables["success"] in colours())
        assert f"bold {before}" not in colours()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_plain_characters_are_ascii_and_keep_their_width(words: str) -> None:
    assert plain(words).isascii()
    assert cell_len(plain(words)) == cell_len(words)


@pytest.mark.parametrize("size", SIZES)
async def test_a_locale_without_unicode_gets_none_on_any_screen(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "one")
    make_run(tmp_path / "runs", "two")
    app = make_app(abilities=Abilities("xterm-256color", Colours.PALETTE, False, False, False, False, ""))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "two" in text(app))
        for keys in ((), ("question_mark",), ("escape", "b", "space", "space", "c"), ("escape", "enter")):
            await pilot.press(*keys)
            await pilot.pause(0.3)
            assert text(app).isascii(), text(app)


async def test_what_cannot_be_remembered_is_said_once(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "state"))
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("t")
        await until(pilot, lambda: "nothing is kept for the next time" in words(app))
        app.clear_notifications()
        await pilot.press("t")
        await pilot.pause(0.2)
        assert "nothing is kept" not in words(app)
