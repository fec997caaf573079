"""The settings form: the difference to the preset, where values come from, presets of one's own, the estimate."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Static

from engine.config.load import resolve
from mim4dd_tui.dashboard.screens.dialogs import NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text, until, words
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")


async def test_a_changed_value_stands_beside_the_presets(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right")
        await pilot.pause()
        assert "instance > group" in text(app)
        verdict = str(app.screen.query_one("#settings-verdict", Static).render())
        assert "one of instance" in verdict
        assert ": instance" in verdict, "the verdict does not say what the preset has"


@pytest.mark.parametrize("size", SIZES)
async def test_settings_are_kept_as_a_preset_of_ones_own(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right", "S")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press(*"digits-ipc1")
        await until(pilot, lambda: "is a preset that comes" in text(app))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, NameScreen), "a preset of the program was overwritten"
        app.screen.query_one(Input).value = "mine"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        form = app.screen.query_one(SettingsForm)
        assert app.screen.query_one("#presets", OptionList).highlighted == 0
        assert form.config.network.norm == "group"
        assert form.changed() == {}
    assert resolve("mine").config.network.norm == "group"


async def test_leaving_the_name_saves_nothing(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "S", *"mine", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
    assert not list((tmp_path / "config").rglob("*.toml"))


async def test_the_estimate_is_measured_once_such_a_run_was_here(make_app: MakeApp, tmp_path: Path) -> None:
    first = make_app()
    async with first.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "not known until it has run" in words(first))
        assert "disk" in text(first)
    from engine.runs.status import host_name

    folder = make_run(tmp_path / "runs", "earlier", journal=True)
    journal = folder.journal_path.read_text().replace('"host":"here"', f'"host":"{host_name()}"')
    folder.journal_path.write_text(journal)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "here, not counting experts" in words(app))
        assert "about 58 s here" in words(app), "300 iterations of 0.1 s and 28 networks of 1 s"
