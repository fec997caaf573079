"""Changes in the settings of a preset, while others are looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.config.load import changed, resolve, save_user_preset
from engine.files import write_json
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.widgets.presets import PresetList
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, listed, text, told, until, words
from tests.dashboard.shelves import make_run

ITERATIONS = ("e", "slash", *"objective.iterations", "enter", "enter", "ctrl+u")


def form_of(app: DashboardApp) -> SettingsForm:
    return app.screen.query_one(SettingsForm)


async def edited(app: DashboardApp, pilot: Pilot[Leave], value: str = "7") -> None:
    """The iterations of the chosen preset are changed, and the list of presets has the keys."""
    await until(pilot, lambda: "digits-ipc1" in text(app))
    await pilot.press(*ITERATIONS, *value, "enter")
    await until(pilot, lambda: form_of(app).changed() == {"objective.iterations": int(value)})
    await pilot.press("p")


@pytest.mark.parametrize("size", SIZES)
async def test_they_are_there_again_when_the_preset_is_chosen_again(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await edited(app, pilot)
        base = form_of(app).base
        await pilot.press("j")
        await until(pilot, lambda: form_of(app).base != base)
        assert form_of(app).changed() == {}, "they are of the other preset alone"
        assert "1 change to digits-ipc1: there again when you come back to it" in told(app)
        await pilot.press("k")
        await until(pilot, lambda: form_of(app).base == base)
        assert form_of(app).changed() == {"objective.iterations": 7}
        assert form_of(app).config.objective.iterations == 7
        assert (
            form_of(app).origin("objective.iterations") == form_of(app).origins()["objective.iterations"] != "default"
        )


async def test_what_was_undone_stays_undone(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await edited(app, pilot)
        await pilot.press("j", "k")
        await until(pilot, lambda: bool(form_of(app).changed()))
        await pilot.press("e", "U", "p", "j", "k")
        await until(pilot, lambda: app.screen.query_one(PresetList).chosen == "digits-ipc1")
        assert form_of(app).changed() == {}


async def test_what_fits_a_preset_no_more_is_dropped_with_a_word(make_app: MakeApp) -> None:
    base = resolve("digits-ipc1").config
    save_user_preset("digits-own", changed(base, {"network.pooling": "none"}), "digits-ipc1")
    app = make_app(preset="digits-own")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.screen.query_one(PresetList).chosen == "digits-own")
        await pilot.press("e", "slash", *"network.depth", "enter", "enter", "ctrl+u", "5", "enter", "p", "j")
        await until(pilot, lambda: app.screen.query_one(PresetList).chosen != "digits-own")
        save_user_preset("digits-own", base, "digits-ipc1")  # whose images are too small for five poolings
        await pilot.press("k")
        await until(pilot, lambda: "what was changed on digits-own does not fit it any more" in told(app))
        assert form_of(app).changed() == {}


@pytest.mark.parametrize("size", SIZES)
async def test_changes_to_a_preset_are_not_given_up_for_a_runs_without_a_question(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "lion", network__width=16)
    make_run(tmp_path / "runs", "tapir", network__width=24)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        runs = app.screen.query_one("#runs", OptionList)
        await until(pilot, lambda: listed(runs) == ["tapir", "lion"])
        form = app.screen.query_one(SettingsForm)
        mine = {"objective.student_steps": 7}
        form.load(changed(form.config, mine), form.given, form.base)
        await pilot.press("r", "g", "D")
        await until(pilot, lambda: "Give up 1 change to digits-ipc1?" in words(app))
        assert "y Take the run's settings student_steps 7 as typed on the preset: gone" in words(app).replace("│ ", "")
        await pilot.press("n", "b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "tapir" in text(app))
        await pilot.press("D")
        await until(pilot, lambda: "Give up 1 change to digits-ipc1?" in words(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert form.changed() == mine
        await pilot.press("escape", "r", "g", "D", "y")
        await until(pilot, lambda: form.changed() == {"network.width": 24})
        await pilot.press("r", "j", "D")  # what comes from a run is not what somebody typed
        await until(pilot, lambda: form.changed() == {"network.width": 16})


@pytest.mark.parametrize("size", SIZES)
async def test_changes_to_a_preset_that_was_left_are_not_given_up_either(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "lion", network__width=16)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: listed(app.screen.query_one("#runs", OptionList)) == ["lion"])
        form = app.screen.query_one(SettingsForm)
        form.load(changed(form.config, {"objective.student_steps": 7}), form.given, form.base)
        await pilot.press("p", "j")
        await until(pilot, lambda: not form.changed())
        await pilot.press("r", "D")
        await until(pilot, lambda: "Give up 1 change to digits-ipc1?" in words(app))
        await pilot.press("y")
        await until(pilot, lambda: form.changed() == {"network.width": 16})


async def test_a_run_of_a_file_is_no_preset_of_its_name_and_keeps_what_is_changed_on_it(
    make_app: MakeApp, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "runs", "digits-ipc1", network__width=16)
    for path in (folder.about_path, folder.status_path):
        write_json(path, json.loads(path.read_text()) | {"preset": "mine.toml on digits-ipc1"})
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: listed(app.screen.query_one("#runs", OptionList)) == ["digits-ipc1"])
        form, presets = form_of(app), app.screen.query_one(PresetList)
        await pilot.press("r", "D")
        await until(pilot, lambda: form.config.network.width == 16 and "run digits-ipc1" in text(app))
        assert presets.chosen is None, "the settings shown are not that preset's"
        mine = {"objective.student_steps": 7}
        form.load(changed(form.config, mine), form.given, form.base)
        await pilot.press("r", "D")
        assert form.changed() == mine
        await pilot.press("p", "g", "j")
        await until(pilot, lambda: presets.chosen is not None and not form.changed())
        assert "1 change to run digits-ipc1: there again when you come back to it" in told(app)
        await pilot.press("r", "D")
        await until(pilot, lambda: form.changed() == mine)
        assert form.config.network.width == 16


@pytest.mark.parametrize("left", [False, True])
async def test_what_the_run_has_as_well_is_not_given_up(make_app: MakeApp, left: bool, tmp_path: Path) -> None:
    """As of a run that was begun from the form a moment ago, with a seed of its own."""
    make_run(tmp_path / "runs", "lion", network__width=16, seed=3)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: listed(app.screen.query_one("#runs", OptionList)) == ["lion"])
        form = app.screen.query_one(SettingsForm)
        form.load(changed(form.config, {"network.width": 16}), form.given, form.base)
        if left:
            await pilot.press("p", "j")
            await until(pilot, lambda: not form.changed())
        await pilot.press("r", "D")
        await until(pilot, lambda: form.changed() == {"network.width": 16, "seed": 3})
