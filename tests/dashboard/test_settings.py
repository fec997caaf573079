"""The settings form: the difference to the preset, where values come from, presets of one's own, the estimate."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Static

from engine.config.load import resolve
from engine.runs.finding import list_runs
from mim4dd_tui.dashboard.screens.dialogs import NameScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.spelling import NAME, every_setting, setting_row, value_of
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, within, words
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")


@pytest.mark.parametrize("size", SIZES)
async def test_a_changed_value_stands_beside_the_presets(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right")
        await pilot.pause()
        line = next(line for line in text(app).splitlines() if " norm " in line)
        assert " group" in line, "the new value is not seen"
        assert ("instance > group" in line) is (size[0] >= 100)
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


async def test_a_setting_named_so_is_chosen_before_one_described_so(make_app: MakeApp) -> None:
    """data.validation stands above and speaks of iterates."""
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "slash", *"iter", "enter")
        await pilot.pause()
        form = app.screen.query_one(SettingsForm)
        assert form.chosen == "objective.iterations"
        await pilot.press("slash", *"ate ", "enter")
        await pilot.pause()
        assert form.chosen is not None, "no name has it, but descriptions do"


@pytest.mark.parametrize("size", SIZES)
async def test_leaving_the_name_saves_nothing(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "S", *"mine", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
    assert not list((tmp_path / "config").rglob("*.toml"))


@pytest.mark.parametrize("size", SIZES)
async def test_the_estimate_is_measured_once_such_a_run_was_here(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    first = make_app()
    async with first.run_test(size=size) as pilot:
        summary = first.screen.query_one("#summary", Static)
        await until(pilot, lambda: "not known until it has run" in within(first, summary))
        assert "disk" in within(first, summary)
    from engine.runs.status import host_name

    folder = make_run(tmp_path / "runs", "earlier", journal=True)
    journal = folder.journal_path.read_text().replace('"host":"here"', f'"host":"{host_name()}"')
    folder.journal_path.write_text(journal)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        summary = app.screen.query_one("#summary", Static)
        await until(pilot, lambda: "here, not counting experts" in within(app, summary))
        assert "about 1:00 here" in within(app, summary), "300 iterations of 0.1 s and 30 networks of 1 s"


@pytest.mark.parametrize("size", SIZES)
async def test_where_no_setting_is_listed_none_is_edited(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "down")
        form = app.screen.query_one(SettingsForm)
        box = form.query_one("#settings-value", Input)
        verdict = form.query_one("#settings-verdict", Static)
        await until(pilot, lambda: box.value != "")
        form.action_only_changed()
        await until(pilot, lambda: "nothing differs from the preset" in words(app))
        assert box.value == ""
        assert box.disabled
        assert str(verdict.render()) == ""
        form.load(form.config, form.given)
        await until(pilot, lambda: box.value != "" and not box.disabled)
        await pilot.press("slash", *"nosuchsetting")
        await until(pilot, lambda: "no setting matches" in words(app))
        assert box.value == ""
        assert box.disabled
        form.load(form.config, form.given)
        await until(pilot, lambda: box.value != "" and not box.disabled)
        assert "nosuchsetting" not in text(app), "other settings are listed by the words of the search before"


async def test_a_late_message_of_the_list_shows_no_setting_that_has_left_it(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "down")
        form = app.screen.query_one(SettingsForm)
        field_list = form.query_one(OptionList)
        assert field_list.highlighted is not None
        late = OptionList.OptionHighlighted(field_list, field_list.options[1], 1)
        form.action_only_changed()
        form._highlighted(late)
        assert form.query_one("#settings-value", Input).value == ""


@pytest.mark.parametrize("size", SIZES)
async def test_a_value_taken_in_a_search_leaves_the_cursor_where_it_is(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"iterations", "enter")
        form = app.screen.query_one(SettingsForm)
        await until(pilot, lambda: form.chosen == "objective.iterations")
        await pilot.press("G")
        await until(pilot, lambda: form.chosen not in (None, "objective.iterations"))
        other = form.chosen
        await pilot.press("enter", "ctrl+u", *"21", "enter")
        await until(pilot, lambda: list(form.changed()) == [other])
        assert form.chosen == other
        await pilot.press("u")
        await until(pilot, lambda: not form.changed())


@pytest.mark.parametrize("size", SIZES)
async def test_the_line_of_keys_names_what_does_something_in_a_setting(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        form = app.screen.query_one(SettingsForm)

        def keys() -> str:
            return text(app).splitlines()[-1].strip()

        await pilot.press("e", "slash", *"network.width", "enter")
        await until(pilot, lambda: form.chosen == "network.width" and keys().startswith("enter edit c changed"))
        await pilot.press("slash", *["backspace"] * 5, *"norm", "enter")
        await until(pilot, lambda: form.chosen == "network.norm" and keys().startswith("enter edit → next c changed"))
        await pilot.press("right")
        await until(pilot, lambda: keys().startswith("enter edit → next u undo c changed"))
        await pilot.press("c", "u")
        await until(pilot, lambda: "nothing differs from the preset · c shows all" in words(app))
        assert keys().startswith("c all")
        await pilot.press("c", "slash", *["backspace"] * 12, *"width", "enter", "enter", "ctrl+u", *"24", "enter", "c")
        await until(pilot, lambda: form.chosen == "network.width")
        await pilot.press("slash", "x")
        await until(pilot, lambda: "no changed setting matches · esc ends the search" in words(app))


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_typed_stays_when_the_theme_or_the_size_changes(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "enter", "ctrl+u", *"77")
        box = app.screen.query_one("#settings-value", Input)
        await until(pilot, lambda: box.value == "77")
        before = app.theme_variables["accent"]
        app.action_next_theme()
        await until(pilot, lambda: app.theme_variables["accent"] != before)
        await pilot.pause(0.2)
        await pilot.resize_terminal(size[0] + 3, size[1])
        await pilot.pause(0.2)
        assert (box.has_focus, box.value) == (True, "77")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(SettingsForm).config.seed == 77)


async def test_undoing_all_can_be_undone(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        form = app.screen.query_one(SettingsForm)
        await pilot.press("e", "U")
        await until(pilot, lambda: "nothing differs from the preset" in text(app))
        await pilot.press("slash", *"network.norm", "enter", "right", "escape", "slash", *"seed", "enter", "enter")
        await pilot.press("backspace", "7", "enter", "escape")
        changes = form.changed()
        assert len(changes) == 2
        await pilot.press("U")
        assert form.changed() == {}
        await until(pilot, lambda: "2 changes undone; U brings them back" in text(app))
        await pilot.press("U")
        assert form.changed() == changes
        await until(pilot, lambda: "2 changes brought back" in text(app) and "undone" not in text(app))
        await pilot.press("U", "slash", *"network.norm", "enter", "right", "u", "U")
        assert form.changed() == {}, "what was dropped before another change came back"


async def test_a_preset_saved_again_says_what_it_extends(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right", "S")
        await until(pilot, lambda: "extends digits-ipc1 by 1 setting" in text(app))
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and "mine" in text(app))
        await pilot.press("e", "slash", *"seed", "enter", "enter", "backspace", "7", "enter", "S")
        await until(pilot, lambda: isinstance(app.screen, NameScreen) and app.screen.query_one(Input).value == "mine")
        await until(pilot, lambda: "extends digits-ipc1 by 2 settings" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "then it extends digits-ipc1 by 2 settings" in words(app))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and resolve("mine").config.seed == 7)
        await pilot.press("escape")
        await until(pilot, lambda: "yours: digits-ipc1 with" in words(app))


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("objective.iterations", "300"),
        ("network.norm", "instance"),
        ("execution.device", "auto"),
        ("experts.learning_rate", "0.05"),
    ],
)
async def test_the_first_character_typed_replaces_a_value_and_an_arrow_keeps_it(
    make_app: MakeApp, key: str, kept: str
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "slash", *key, "enter", "enter")
        box = app.screen.query_one("#settings-value", Input)
        await until(pilot, lambda: box.has_focus and box.value == kept)
        assert box.selected_text == kept
        await pilot.press("5")
        assert box.value == "5"
        await pilot.press("escape", "enter", "right", "5")
        await until(pilot, lambda: box.value == f"{kept}5")


@pytest.mark.parametrize("way", ["row", "list", "tab"])
async def test_a_value_is_taken_where_the_mouse_or_tab_leaves_it(make_app: MakeApp, way: str) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("e", "slash", *"objective", "enter", "home", "down", "enter")
        form = app.screen.query_one(SettingsForm)
        box, rows, key = form.query_one("#settings-value", Input), form.query_one(FieldList), str(form.chosen)
        assert key == "objective.iterations"

        async def leave(text: str) -> None:
            await until(pilot, lambda: box.has_focus)
            await pilot.press("ctrl+u", *text)
            if way == "tab":
                await pilot.press("tab")
            else:
                await pilot.click(rows, offset=(5, rows.highlighted or 0) if way == "row" else (5, 4))

        await leave("123")
        await until(pilot, lambda: value_of(form.config, key) == 123)
        assert form.changed() == {key: 123}
        rows.focus()
        rows.action_first()
        await pilot.press("down", "enter")
        await leave("none")
        await until(pilot, lambda: f"{key} stays 123: " in told(app))
        assert form.changed() == {key: 123}


@pytest.mark.parametrize("size", SIZES)
async def test_commands_take_what_is_being_typed_or_say_why_not(make_app: MakeApp, size: tuple[int, int]) -> None:
    """The palette opens over the field: what is read there is what a run is made of."""
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        await pilot.press("e", "slash", *"seed", "enter", "enter", "ctrl+u", *"12x")
        await until(pilot, lambda: "must be an integer" in words(app))
        for act in (home.action_start, home.action_enqueue, home.query_one(SettingsForm).action_save):
            app.clear_notifications()
            act()
            await until(pilot, lambda: "seed: '12x' is not allowed" in told(app))
            assert app.screen is home
        await pilot.press("backspace")
        await pilot.press("ctrl+p", *"start", "enter")
        await until(pilot, lambda: "start (s)" in text(app) or isinstance(app.screen, RunScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    assert list_runs(app.runs_dir)[0].config().seed == 12


def test_every_setting_has_room_for_its_name_in_the_narrowest_form() -> None:
    assert max(len(field.key.rpartition(".")[2]) for field in every_setting()) == NAME
    for field in every_setting():
        name = field.key.rpartition(".")[2]
        assert f"  {name} " in setting_row(name, "1", None, "default", 30, "red").plain


async def test_a_setting_that_does_nothing_with_this_objective_says_so(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app))
        await pilot.press("e", "slash", *"objective.window", "enter", "enter", "ctrl+u", "7", "enter")
        await until(pilot, lambda: "not used by trajectory" in words(app))
        await pilot.press("p")
        await until(pilot, lambda: "300 x 15 student steps" in words(app))
