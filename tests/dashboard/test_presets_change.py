"""Presets that other programs write, take away and bring back while the first screen is used."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import AppBlur, AppFocus
from textual.widgets import Input, OptionList

from engine.config.load import delete_user_preset
from engine.config.presets import names, user_dir
from engine.runs.finding import list_runs
from mim4dd_tui.dashboard.screens.dialogs import NameScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets import presets
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within, words
from tests.dashboard.presets import BASE, SIZE, form_of, found, listed, write
from tests.dashboard.shelves import make_run

SEED = ("e", "slash", *"seed", "enter", "enter", "ctrl+u")
"""Keys to where the seed is typed, found by a search."""


@pytest.fixture(autouse=True)
def _often(_own_config: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of presets is looked at often."""
    monkeypatch.setattr(presets, "LOOK_SECONDS", 0.05)


async def test_what_the_command_line_changes_stays_when_presets_are_read_again(make_app: MakeApp) -> None:
    write(network__norm="group")
    app = make_app(preset="mine", overrides=("objective.iterations=7", "seed=5"))
    async with app.run_test(size=SIZE) as pilot:
        form = form_of(app)
        write("other")
        await found(pilot, app, "other")
        write(network__norm="none")
        await until(pilot, lambda: form.config.network.norm == "none")
        assert (form.config.objective.iterations, form.config.seed, form.changed()) == (7, 5, {})
        assert form.origins()["objective.iterations"] == "--set"
        await pilot.press("slash", *"digits-ipc1", "enter")
        await until(pilot, lambda: form.config == BASE)
        await pilot.press("slash", *["backspace"] * 11, *"mine")
        await until(pilot, lambda: f"; 7 x {BASE.objective.student_steps} student steps" in words(app))


async def test_a_run_s_settings_that_were_taken_over_do_not_become_the_command_line_s(
    make_app: MakeApp, tmp_path: Path
) -> None:
    write(network__norm="group")
    run = make_run(tmp_path / "runs", "lion", preset="mine")
    app = make_app(preset="mine", overrides=("objective.iterations=7",))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "lion" in text(app))
        await pilot.press("r", "D")
        await until(pilot, lambda: form_of(app).config == run.config())
        write(network__norm="none")
        await until(pilot, lambda: form_of(app).config.network.norm == "none")
        assert form_of(app).config.objective.iterations == BASE.objective.iterations
        assert form_of(app).changed() == {}


async def test_a_base_for_other_presets_that_was_asked_for_by_name_is_not_called_gone(make_app: MakeApp) -> None:
    user_dir().mkdir(parents=True)
    (user_dir() / "_base.toml").write_text('extends = "digits-ipc1"\nseed = 3\n')
    app = make_app(FakeEngine(iterations=5), preset="_base")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: form_of(app).config.seed == 3)
        write("other")
        await found(pilot, app, "other")
        assert not told(app)
        (user_dir() / "_base.toml").write_text('extends = "digits-ipc1"\nseed = 4\n')
        await until(pilot, lambda: form_of(app).config.seed == 4)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    assert [folder.about().preset for folder in list_runs(app.runs_dir)] == ["_base"]


@pytest.mark.parametrize("away", [False, True], ids=["in front", "another window"])
async def test_what_is_typed_and_searched_for_stays_when_the_preset_changes(make_app: MakeApp, away: bool) -> None:
    write(network__norm="group")
    app = make_app(preset="mine")
    async with app.run_test(size=SIZE) as pilot:
        form = form_of(app)
        await pilot.press(*SEED, *"123", "left")
        box = form.query_one("#settings-value", Input)
        await until(pilot, lambda: box.value == "123")
        if away:
            app.post_message(AppBlur())
            await until(pilot, lambda: not box.has_focus)
        write(network__norm="none", seed=9)
        await until(pilot, lambda: form.base.network.norm == "none")
        assert (box.value, form.chosen, form.config.seed) == ("123", "seed", 9)
        assert form.query_one("#settings-search", Input).value == "seed"
        if away:
            app.post_message(AppFocus())
            await until(pilot, lambda: box.has_focus)
        await pilot.press("4", "enter")
        await until(pilot, lambda: form.changed() == {"seed": 1243})
        assert form.config.network.norm == "none"


async def test_a_value_is_typed_on_for_its_setting_when_that_does_not_differ_any_more(make_app: MakeApp) -> None:
    """Only changed settings are listed, and the preset comes to have the changed value too."""
    write(network__norm="group")
    app = make_app(preset="mine")
    async with app.run_test(size=SIZE) as pilot:
        form = form_of(app)
        box, rows = form.query_one("#settings-value", Input), form.query_one("#settings-list", OptionList)
        await pilot.press(*SEED, "7", "enter", "escape", "slash", *"network.width", "enter", "enter", "ctrl+u", *"24")
        await pilot.press("enter", "escape", "c", "g", "enter")
        await until(pilot, lambda: box.has_focus and form.chosen == "seed")
        await pilot.press("end", "8")
        write(network__norm="group", seed=7)
        await until(pilot, lambda: form.base.seed == 7)
        assert (box.value, form.chosen) == ("78", "seed")
        await pilot.press("enter")
        await until(pilot, lambda: form.changed() == {"seed": 78, "network.width": 24})
        await pilot.press("enter", "9")
        write(network__norm="group", seed=78)
        await until(pilot, lambda: form.base.seed == 78)
        await pilot.press("escape")
        await until(pilot, lambda: [one.id for one in rows.options if one.id] == ["network.width"])
        assert form.changed() == {"network.width": 24}


async def test_what_was_undone_is_brought_back_as_changes_to_what_the_preset_is_now(make_app: MakeApp) -> None:
    write(network__norm="group", network__pooling="none")
    app = make_app(preset="mine")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        form = form_of(app)
        await pilot.press(*SEED, "7", "enter", "U")
        await until(pilot, lambda: form.changed() == {} and "U brings" in told(app))
        write(network__norm="none", network__pooling="none")
        await until(pilot, lambda: form.config.network.norm == "none")
        await pilot.press("U")
        await until(pilot, lambda: form.changed() == {"seed": 7} and "1 change brought back" in told(app))
        assert form.config.network.norm == "none"


async def test_what_was_undone_and_fits_the_preset_no_more_stays_away_and_it_is_said_why(make_app: MakeApp) -> None:
    write(network__pooling="none")
    app = make_app(preset="mine")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        form = form_of(app)
        await pilot.press("e", "slash", *"network.depth", "enter", "enter", "ctrl+u", "5", "enter", "U")
        await until(pilot, lambda: form.changed() == {} and "U brings" in told(app))
        write()
        await until(pilot, lambda: form.base == BASE)
        await pilot.press("U")
        await until(pilot, lambda: "network.depth" in told(app))
        assert form.config == BASE
        write(network__pooling="none")
        await until(pilot, lambda: form.base != BASE)
        await pilot.press("U")
        await until(pilot, lambda: form.changed() == {"network.depth": 5})


async def test_a_preset_that_was_away_is_followed_again(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    write(network__norm="group")
    app, said = make_app(preset="mine"), list[str]()
    monkeypatch.setattr(app, "notify", lambda message, **_: said.append(message))
    gone = "the preset mine is gone; the settings shown are those from before"
    async with app.run_test(size=SIZE) as pilot:
        form = form_of(app)
        await pilot.press(*SEED, "7", "enter", "escape")
        delete_user_preset("mine")
        await until(pilot, lambda: said == [gone])
        write("other")
        await found(pilot, app, "other")
        assert said == [gone], "it is said once"
        write(network__norm="layer")
        await until(pilot, lambda: form.config.network.norm == "layer")
        assert form.changed() == {"seed": 7}
        write(network__norm="none")
        await until(pilot, lambda: form.config.network.norm == "none")
        delete_user_preset("mine")
        await until(pilot, lambda: said == [gone, gone])


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("way", ["start", "queue"])
async def test_a_run_is_recorded_to_come_from_its_preset_where_that_is_there(
    make_app: MakeApp, back: bool, way: str
) -> None:
    write(network__norm="group")
    app = make_app(FakeEngine(iterations=5), preset="mine")
    async with app.run_test(size=SIZE) as pilot:
        await found(pilot, app, "mine")
        delete_user_preset("mine")
        await until(pilot, lambda: "the preset mine is gone" in told(app))
        if back:
            write(network__norm="group")
            await found(pilot, app, "mine")
        if way == "start":
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        else:
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, NameScreen))
            await pilot.press("enter")
            await until(pilot, lambda: len(list_runs(app.runs_dir)) == 1)
    (folder,) = list_runs(app.runs_dir)
    assert folder.about().preset == ("mine" if back else "mine (gone)")
    assert folder.name.startswith("mine-s0-")
    assert folder.config().network.norm == "group"


async def test_a_search_shows_no_preset_that_is_gone(make_app: MakeApp) -> None:
    write(network__norm="group")
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        summary = app.screen.query_one("#summary")
        await pilot.press("slash", *"mine")
        await until(pilot, lambda: "yours: digits-ipc1 with network.norm group" in within(app, summary))
        write(network__norm="none")
        await until(pilot, lambda: "yours: digits-ipc1 with network.norm none" in within(app, summary))
        delete_user_preset("mine")
        await until(pilot, lambda: "none matches" in text(app) and "yours" not in within(app, summary))
        assert within(app, summary).startswith("digits-ipc1"), "what is chosen"
        write(network__norm="layer")
        await until(pilot, lambda: "yours: digits-ipc1 with network.norm layer" in within(app, summary))


async def test_where_the_preset_chosen_in_a_search_is_gone_no_other_is_under_the_cursor(make_app: MakeApp) -> None:
    write("mine", network__norm="group")
    write("mine-too", network__norm="layer")
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        field = app.screen.query_one("#presets", OptionList)
        await pilot.press("slash", *"mine", "enter")
        await until(pilot, lambda: form_of(app).config.network.norm == "group" and field.has_focus)
        delete_user_preset("mine")
        await until(pilot, lambda: listed(app) == ["mine-too"])
        assert field.highlighted is None
        assert form_of(app).config.network.norm == "group"
        await pilot.press("X")
        await until(pilot, lambda: "choose a preset first" in told(app))
        assert "mine-too" in names()
