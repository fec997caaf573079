"""Presets of one's own: kept, found, changed and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from engine.config.load import changed, delete_user_preset, resolve, save_user_preset
from engine.config.presets import names, user_dir
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen, NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.widgets import presets
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, listed, text, told, until, within, words
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")


@pytest.mark.parametrize("size", SIZES)
async def test_a_preset_of_ones_own_is_deleted_after_a_question(make_app: MakeApp, size: tuple[int, int]) -> None:
    save_user_preset("mine", resolve("digits-ipc1", ["network.norm=group"]).config, "digits-ipc1")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        assert "delete" in home.idle, "of a preset that comes with the program"
        await pilot.press("X")
        await until(pilot, lambda: "only your own can be deleted" in told(app))
        await pilot.press("slash", *"mine", "enter")
        await until(pilot, lambda: "yours: digits-ipc1 with network.norm group" in words(app))
        assert "delete" not in home.idle
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "stay as they are" in words(app)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is home)
        assert "mine" in names()
        await pilot.press("X", "y")
        await until(pilot, lambda: "deleted the preset mine" in told(app))
        assert "mine" not in names()
        field = home.query_one("#presets", OptionList)
        assert "mine" not in listed(field)
        assert field.highlighted == listed(field).index("digits-ipc1")
        assert home.query_one(SettingsForm).config == resolve("digits-ipc1").config


async def test_presets_that_another_program_makes_changes_or_deletes_are_found(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "LOOK_SECONDS", 0.05)
    base = resolve("digits-ipc1")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        field, form = app.screen.query_one("#presets", OptionList), app.screen.query_one(SettingsForm)
        summary = app.screen.query_one("#summary")
        await until(pilot, lambda: "digits-ipc1" in listed(field))
        save_user_preset("mine", changed(base.config, {"network.norm": "group"}), "digits-ipc1")
        await until(pilot, lambda: "mine" in listed(field))
        assert field.highlighted == listed(field).index("digits-ipc1"), "what was chosen stays so"
        await pilot.press("slash", *"mine", "enter")
        await until(pilot, lambda: form.config.network.norm == "group")
        await pilot.press("e", "slash", *"seed", "enter", "enter", "ctrl+u", "7", "enter", "escape")
        await until(pilot, lambda: form.changed() == {"seed": 7})
        save_user_preset("mine", changed(base.config, {"network.norm": "none"}), "digits-ipc1")
        await until(pilot, lambda: form.config.network.norm == "none")
        assert form.changed() == {"seed": 7}, "changes are changes to what the preset is now"
        path = names()["mine"]
        good = path.read_text()
        path.write_text(good.replace("none", "layer"))  # in place, as some editors do
        await until(pilot, lambda: form.config.network.norm == "layer")
        path.write_text("[network]\nnorm = 3\n")
        await until(pilot, lambda: "norm" in told(app) and "the settings shown are those from before" in told(app))
        assert form.config.network.norm == "layer"
        await until(pilot, lambda: "mine ! cannot be used as it is now" in words(app))
        await pilot.press("escape")
        await until(pilot, lambda: "as it is now: these are its settings from before" in within(app, summary))
        path.write_text(good)
        await until(pilot, lambda: "from before" not in words(app) + told(app))
        delete_user_preset("mine")
        await until(pilot, lambda: "mine" not in listed(field) and "the preset mine is gone" in told(app))
        await until(pilot, lambda: "! is gone: these are its settings from before" in within(app, summary))
        assert form.config.network.norm.startswith("none")


async def test_a_preset_that_others_extend_is_not_asked_about(make_app: MakeApp) -> None:
    save_user_preset("mine", resolve("digits-ipc1", ["network.norm=group"]).config, "digits-ipc1")
    save_user_preset("more", resolve("mine", ["seed=3"]).config, "mine")
    app = make_app(preset="mine")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("X")
        await until(pilot, lambda: "mine is extended by your more" in told(app))
        assert isinstance(app.screen, HomeScreen)


async def test_no_preset_is_deleted_from_the_list_of_runs(make_app: MakeApp, tmp_path: Path) -> None:
    save_user_preset("mine", resolve("digits-ipc1", ["network.norm=group"]).config, "digits-ipc1")
    make_run(tmp_path / "runs", "lion")
    app = make_app(preset="mine")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "lion" in text(app))
        await pilot.press("r", "X")
        await until(pilot, lambda: "runs are deleted in the list of all runs" in told(app))
        assert isinstance(app.screen, HomeScreen)


async def test_a_changed_preset_of_ones_own_keeps_its_name_where_nothing_else_is_typed(make_app: MakeApp) -> None:
    save_user_preset("mine", resolve("digits-ipc1", ["network.norm=group"]).config, "digits-ipc1")
    app = make_app(preset="mine")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "slash", *"seed", "enter", "enter", "ctrl+u", "7", "enter", "escape", "S")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        field = app.screen.query_one(Input)
        assert field.value == "mine"
        field.value = ""
        await pilot.press("enter")
        await until(pilot, lambda: "nothing is typed yet" in text(app))
        field.value = "mine"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "saved as" in told(app))
    assert resolve("mine").config.network.norm == "group"
    assert resolve("mine").config.seed == 7


@pytest.mark.parametrize("size", SIZES)
async def test_a_preset_is_saved_while_others_are_searched_for(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("slash", *"mnist-ipc1-small", "enter")
        await pilot.press("e", "slash", *"network.norm", "enter", "right", "S")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: "mine" in names() and isinstance(app.screen, HomeScreen))
        form = app.screen.query_one(SettingsForm)
        await until(pilot, lambda: form.changed() == {})
        assert (form.config.data.name, form.config.network.norm) == ("mnist", "group")
        assert form.changed() == {}
        await pilot.press("e", "slash", *"network.norm", "enter", "right", "S")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: "Replace your preset mine?" in text(app))
        await pilot.press("n")
        await pilot.pause()
        assert resolve("mine").config.network.norm == "group"
        await pilot.press("S")
        await until(pilot, lambda: isinstance(app.screen, NameScreen))
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: form.changed() == {})
        assert resolve("mine").config.network.norm == form.config.network.norm != "group"


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_a_preset_of_ones_own_says_what_it_changes_on_its_base(make_app: MakeApp, size: tuple[int, int]) -> None:
    base = resolve("digits-ipc1").config
    save_user_preset("mine", changed(base, {"objective.student_steps": 9, "network.norm": "group"}), "digits-ipc1")
    save_user_preset("same", base, "digits-ipc1")
    user_dir().joinpath("worded.toml").write_text('extends = "mine"\nsummary = "My own words."\n')
    app = make_app(preset="mine")
    async with app.run_test(size=size) as pilot:
        shown = app.screen.query_one("#summary")
        await until(pilot, lambda: "yours: digits-ipc1 with" in within(app, shown))
        assert all(said in within(app, shown) for said in ("network.norm group,", "objective.student_steps 9"))
        assert "emerge from noise" not in words(app), "the words of its base"
        await pilot.press("j")
        await until(pilot, lambda: "yours: the same as digits-ipc1" in within(app, shown))
        await pilot.press("j")
        await until(pilot, lambda: "yours: the same as mine My own words." in within(app, shown))
        await pilot.press("j")
        await until(pilot, lambda: "emerge from noise" in within(app, shown))
        assert "yours" not in words(app)
