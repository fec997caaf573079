"""The lists of presets and runs on the first screen: their order, their search, and what they choose."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from engine.config.load import changed, delete_user_preset, list_presets, resolve, save_user_preset
from engine.runs.changes import changes
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.catalog import describe_work
from mim4dd_tui.dashboard.measured import Measured, Measurements
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.presets import PresetList
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, listed, run_screen, text, told, until, within, words
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")


async def test_the_list_has_the_order_of_the_command(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert listed(app.screen.query_one("#presets", OptionList)) == [info.name for info in list_presets()]


async def test_a_whole_name_chooses_its_preset_before_others_that_match(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"cifar10-ipc1")
        await pilot.pause()
        field = app.screen.query_one("#presets", OptionList)
        assert len(listed(field)) > 1
        await pilot.press("enter")
        await pilot.pause()
        assert field.highlighted is not None
        assert listed(field)[field.highlighted] == "cifar10-ipc1"
        assert app.screen.query_one(SettingsForm).config == resolve("cifar10-ipc1").config


@pytest.mark.parametrize("gone", [False, True])
async def test_a_run_s_settings_are_taken_over_and_the_list_points_to_its_preset(
    make_app: MakeApp, tmp_path: Path, gone: bool
) -> None:
    save_user_preset("mine", resolve("digits-ipc1", ["network.norm=group"]).config, "digits-ipc1")
    run = make_run(tmp_path / "runs", "lion", preset="mine")
    if gone:
        delete_user_preset("mine")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "lion" in text(app))
        await pilot.press("r", "D")
        form, field = app.screen.query_one(SettingsForm), app.screen.query_one("#presets", OptionList)
        await until(pilot, lambda: form.config == run.config())
        assert field.highlighted == (None if gone else listed(field).index("mine"))
        assert ("its preset mine cannot be used any more" in told(app)) is gone


@pytest.mark.parametrize("size", SIZES)
async def test_words_narrow_the_list_and_escape_widens_it(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("slash", *"svhn dream")
        await pilot.pause()
        field = app.screen.query_one("#presets", OptionList)
        names = listed(field)
        assert names
        assert all("svhn" in name and "dream" in name for name in names)
        assert f"{len(names)} of {len(list_presets())}" in text(app)
        await pilot.press("enter", "j")
        await pilot.pause()
        assert field.has_focus
        assert field.highlighted == min(1, len(names) - 1)
        form = app.screen.query_one(SettingsForm)
        assert (form.config.data.name, form.config.objective.name) == ("svhn", "dream")
        chosen = names[field.highlighted]
        await pilot.press("escape")
        await pilot.pause()
        assert listed(field) == [info.name for info in list_presets()]
        assert field.highlighted is not None
        assert listed(field)[field.highlighted] == chosen, "what was chosen is lost with the search"
        assert not app.screen.query_one(PresetList).query_one(Input).display


async def test_a_word_in_a_name_comes_before_one_in_a_summary(make_app: MakeApp) -> None:
    """The summaries of MNIST's presets speak of CIFAR-10, whose settings they follow."""
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"cifar")
        await pilot.pause()
        found = listed(app.screen.query_one("#presets", OptionList))
        named = ["cifar" in name for name in found]
        assert named == sorted(named, reverse=True)
        assert any(named)
        assert not all(named)


def test_a_method_that_trains_no_student_promises_no_student_steps() -> None:
    said = {
        base: describe_work(resolve(f"cifar10-ipc1{base}").config) for base in ("", "-bptt", "-dream", "-distribution")
    }
    assert said[""] == "100 experts x 50 epochs; 5,000 x 50 student steps"
    assert said["-bptt"].endswith("5,000 x up to 200 student steps")
    one = {"objective.iterations": 1, "objective.student_steps": 1}
    assert describe_work(changed(resolve("digits-ipc1").config, one)).endswith("; 1 x 1 student step")
    assert describe_work(changed(resolve("digits-ipc1-dream").config, one)).endswith("; 1 iteration")
    assert said["-dream"].endswith("; 25,000 iterations")
    assert said["-distribution"].endswith("; 20,000 iterations")


@pytest.mark.parametrize("size", SIZES)
async def test_a_search_alone_changes_nothing(make_app: MakeApp, size: tuple[int, int]) -> None:
    """What was edited is still there after a search that found other presets, or none."""
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter", "right", "escape", "escape")
        await pilot.pause()
        form = app.screen.query_one(SettingsForm)
        edited = form.config
        assert form.changed()
        await pilot.press("slash", *"svhn", *["backspace"] * 4, *"nonesuch")
        await pilot.pause()
        assert "none matches" in text(app)
        assert form.config == edited
        await pilot.press("down", "enter", "escape")
        await pilot.pause()
        field = app.screen.query_one("#presets", OptionList)
        assert field.highlighted is not None
        assert listed(field)[field.highlighted] == "digits-ipc1"
        assert form.config == edited
        assert form.changed()


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_from_the_command_line_is_what_runs(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    file = tmp_path / "my.toml"
    file.write_text('extends = "digits-ipc1"\nseed = 7\n')
    app = make_app(
        FakeEngine(iterations=10), preset=str(file), overrides=("objective.student_steps=9",), autostart=True
    )
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    (folder,) = list_runs(tmp_path / "runs")
    assert (folder.config().seed, folder.config().objective.student_steps) == (7, 9)


@pytest.mark.parametrize("size", SIZES)
async def test_keys_act_on_the_run_under_the_bar(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    """Also after a new run has come above it."""
    make_run(tmp_path / "runs", "older", state="stopped", age=3600)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "older" in text(app))
        await pilot.press("r", "p")
        make_run(tmp_path / "runs", "newer")
        home = app.screen
        assert isinstance(home, HomeScreen)
        home.refresh_runs()
        await until(pilot, lambda: "newer" in text(app))
        await pilot.press("r")
        field = home.query_one("#runs", OptionList)
        assert field.highlighted is not None
        assert listed(field)[field.highlighted] == "older"
        assert "stopped" in words(app)
        await pilot.press("k")
        await pilot.pause()
        assert listed(field)[field.highlighted] == "newer"
        assert "done" in words(app)


@pytest.mark.parametrize("size", SIZES)
async def test_copied_settings_keep_their_origins_and_name_no_false_preset(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "from-preset", objective__student_steps=7)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: listed(app.screen.query_one("#runs", OptionList)) == ["from-preset"])
        await pilot.press("r", "D")
        await pilot.pause()
        origins = app.screen.query_one(SettingsForm).origins()
        assert origins["objective.student_steps"] == "edited"
        assert origins["experts.count"] == "preset digits-ipc1"
        assert origins["network.norm"] == "default"
    folder = make_run(tmp_path / "runs", "from-python")
    about = json.loads(folder.about_path.read_text())
    folder.about_path.write_text(json.dumps({**about, "preset": None}))
    status = json.loads(folder.status_path.read_text())
    folder.status_path.write_text(json.dumps({**status, "preset": None}))
    again = make_app(FakeEngine(iterations=5))
    async with again.run_test(size=size) as pilot:
        await until(pilot, lambda: "from-python" in listed(again.screen.query_one("#runs", OptionList)))
        await pilot.press("r", "g", "D", "s")
        await until(pilot, lambda: isinstance(again.screen, RunScreen) and run_screen(again).state == "done")
    started = next(one for one in list_runs(tmp_path / "runs") if one.name not in ("from-preset", "from-python"))
    assert started.about().preset == "run from-python"
    assert changes(started) == {}, "what was changed for the other run alone is none of its changes"


@pytest.mark.parametrize("size", SIZES)
async def test_words_of_no_preset_say_so_and_choose_nothing(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        before = app.screen.query_one(SettingsForm).config
        await pilot.press("slash", *"nonesuch", "down", "enter")
        await pilot.pause()
        assert "none matches" in text(app)
        assert app.screen.query_one(SettingsForm).config == before


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_rows_of_runs_are_aligned_and_tell_the_runs_apart(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    long = "cifar10-ipc10-dream-study-lambda-{}-20260101-120000"
    make_run(tmp_path / "runs", "none-yet", state="stopped", accuracy=None)
    make_run(tmp_path / "runs", "all", accuracy=1.0)
    for number in (1, 2):
        make_run(tmp_path / "runs", long.format(number), accuracy=0.05 * number)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        field = app.screen.query_one("#runs", OptionList)

        def rows() -> list[str]:
            place = field.region
            return [line[place.x : place.right] for line in text(app).splitlines()[place.y : place.bottom]]

        await until(pilot, lambda: "none-yet" in text(app))
        shown = {label: row for row in rows() for label in ("all", "none-yet", "…1…", "…2…") if label in row}
        assert set(shown) == {"all", "none-yet", "…1…", "…2…"}, rows()
        assert shown["all"].index("all") == shown["none-yet"].index("none-yet") == len(" ✓ 100.0 ")
        assert shown["…1…"].startswith(" ✓   5.0 ci")
        await pilot.resize_terminal(140, 40)
        await until(pilot, lambda: any("all  just now" in row for row in rows()))


async def test_no_estimate_is_shown_before_earlier_runs_were_looked_through(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    look = Measurements.of

    def slow(self: Measurements, folders: Sequence[RunFolder]) -> list[Measured]:
        gate.wait(60)
        return look(self, folders)

    monkeypatch.setattr(Measurements, "of", slow)
    make_run(tmp_path / "runs", "before")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        try:
            await until(pilot, lambda: "before" in text(app))
            assert "looking through earlier runs" in words(app)
            assert "memory" not in words(app)
        finally:
            gate.set()
        await until(pilot, lambda: "looking through" not in words(app) and "memory" in words(app))


async def test_at_60x20_presets_are_told_apart_and_what_they_are_is_read_whole(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(60, 20)) as pilot:
        field = app.screen.query_one("#presets", OptionList)
        await until(pilot, lambda: "looking through" not in words(app))
        listed_as = [str(option.prompt) for option in field.options]
        room = field.scrollable_content_region.width - 2
        assert len(set(listed_as)) == len(listed_as), "two presets look the same"
        assert all(len(name) <= room for name in listed_as)
        await pilot.press("slash", *"cifar10-ipc10-dream-study", "enter")  # one of the longest
        await pilot.pause()
        await until(pilot, lambda: "cifar10-ipc10-dream-study" in words(app))
        config = resolve("cifar10-ipc10-dream-study").config
        shown = within(app, app.screen.query_one("#summary"))
        assert config.summary in shown
        assert f"{config.objective.iterations:,} iterations" in shown
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_names_have_their_whole_length_again_when_there_is_room(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(60, 20)) as pilot:
        field = app.screen.query_one("#presets", OptionList)
        await until(pilot, lambda: any("…" in str(option.prompt) for option in field.options))
        before = field.highlighted
        await pilot.resize_terminal(160, 48)
        await until(pilot, lambda: [str(option.prompt) for option in field.options] == listed(field))
        assert field.highlighted == before


@pytest.mark.parametrize("size", SIZES)
async def test_what_a_search_would_choose_is_shown_before_it_is_chosen(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        field, form = app.screen.query_one("#presets", OptionList), app.screen.query_one(SettingsForm)
        await pilot.press("slash", *"cifar100-ipc1 dream")
        await until(pilot, lambda: "cifar100: 100 classes" in words(app))
        first = listed(field)[field.highlighted or 0]
        assert first in words(app)
        assert form.config == resolve("digits-ipc1").config, "nothing is chosen by typing"
        assert not form.display, "the settings are those of another preset"
        await pilot.press("escape")
        await until(pilot, lambda: "digits: 10 classes" in words(app) and form.display)
        await pilot.press("slash", *"cifar100-ipc1 dream", "enter")
        await until(pilot, lambda: form.config == resolve(first).config and form.display)
        assert first in words(app)


async def test_a_search_left_by_another_way_leaves_what_was_chosen(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        field = app.screen.query_one("#presets", OptionList)
        await pilot.press("slash", *"digits-ipc1 bptt")
        await until(pilot, lambda: field.highlighted == 0 and listed(field)[0] != "digits-ipc1")
        app.screen.set_focus(app.screen.query_one("#runs"))
        await until(pilot, lambda: field.highlighted is None)
        assert app.screen.query_one(SettingsForm).config == resolve("digits-ipc1").config
