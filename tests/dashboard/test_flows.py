"""What a person does: choose, change, start, watch, open, duplicate, ask for help."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from engine.runs.finding import list_runs
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.keys import KEYS
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import HelpScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.widgets.facts import FactsPane
from mim4dd_tui.dashboard.widgets.log import LogPane
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.dashboard.widgets.table import Table
from mim4dd_tui.pictures import Mode
from mim4dd_tui.plots.figure import Viewport
from mim4dd_tui.spelling import value_of
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, within, words
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), pytest.param((100, 30), marks=pytest.mark.long), (160, 48)])
async def test_from_preset_to_the_end(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app(FakeEngine(iterations=60))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app) and "settings" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        screen = run_screen(app)
        await until(pilot, lambda: "87.2 ± 1.2 %" in text(app))  # numbers are painted less often than they come
        shown = text(app)
        for word in ("done", "60/60", "87.2 ± 1.2 %", "loss", "images", "information", "acc", "MI bound"):
            assert word in shown, shown
        assert any("⠀" < character <= "⣿" for character in shown), "no braille dots"
        await until(pilot, lambda: "▀" in text(app))
        assert screen.history.iteration == 60
        assert [folder.name for folder in list_runs(tmp_path / "runs")] == [screen.session.path.name]  # type: ignore[union-attr]
    assert app.exit_status == 0


@pytest.mark.parametrize("size", SIZES)
async def test_every_view_shows_its_panes(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=40))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("2")
        await pilot.pause()
        seen = [pane.id for pane in app.screen.query(PlotPane) if pane.size.height >= 3]
        assert set(seen) == {"losses", "information", "accuracy", "ratio", "step_size", "speed"}
        await pilot.press("3")
        await pilot.pause()
        assert app.screen.query_one(PicturesPane).size.height >= size[1] - 4
        await pilot.press("4")
        await pilot.pause()
        assert app.screen.query_one(LogPane).size.height >= size[1] - 10
        await pilot.press("home")
        await until(pilot, lambda: "expert 2 of 2 trained" in text(app))
        await pilot.press("1", "tab", "z")
        await pilot.pause()
        screen = app.screen

        def alone(name: str) -> bool:
            shown = [pane.id for pane in screen.query(PlotPane) if pane.display]
            return shown == [name] and screen.query_one(f"#{name}").has_focus

        assert alone("losses")
        for key, name in (("tab", "information"), ("shift+tab", "losses"), ("shift+tab", "speed"), ("tab", "losses")):
            await pilot.press(key)
            await until(pilot, partial(alone, name))
        await pilot.press("shift+tab", "z")
        await until(pilot, lambda: not alone("speed") and screen.query_one("#losses").display)


@pytest.mark.parametrize("size", SIZES)
async def test_settings_are_validated_as_typed(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"student_steps", "enter")
        await pilot.pause()
        form = app.screen.query_one(SettingsForm)
        assert form.chosen == "objective.student_steps"
        verdict = app.screen.query_one("#settings-verdict", Static)
        await pilot.press("enter")
        box = app.screen.query_one("#settings-value", Input)
        box.value = ""
        await pilot.press(*"-3")
        await pilot.pause()
        assert form.has_class("-invalid")
        assert "at least 1" in str(verdict.render())
        await pilot.press("enter")
        assert form.config.objective.student_steps != -3
        box.value = ""
        await pilot.press(*"7")
        await pilot.pause()
        assert not form.has_class("-invalid")
        await pilot.press("enter")
        await pilot.pause()
        assert form.config.objective.student_steps == 7
        assert form.origin("objective.student_steps") == "edited"
        assert "1 changed" in text(app)
        await pilot.press("u")
        await pilot.pause()
        assert form.changed() == {}


@pytest.mark.parametrize("size", SIZES)
async def test_a_choice_that_is_not_allowed_here_is_passed_over(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(preset="digits-ipc1-distribution")
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("e", "slash", *"synthetic_network", "enter")
        form = app.screen.query_one(SettingsForm)
        assert value_of(form.config, "information.synthetic_network") == "student"
        for key in ("right", "left", "left"):  # over what it has no student for
            before = value_of(form.config, "information.synthetic_network")
            await pilot.press(key)
            await until(
                pilot,
                lambda before=before: value_of(form.config, "information.synthetic_network") != before,  # type: ignore[misc]
            )
        assert value_of(form.config, "information.synthetic_network") == "same"
        assert "passed over, as not allowed here: attached" in told(app)


async def test_where_no_other_choice_is_allowed_it_is_said_why(make_app: MakeApp) -> None:
    app = make_app(preset="digits-ipc1-tesla")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("e", "slash", *"synthetic.labels", "enter")
        form = app.screen.query_one(SettingsForm)
        for key in ("left", "right"):
            await pilot.press(key)
            await until(pilot, lambda: "is for trajectory and bptt" in words(app))
            assert value_of(form.config, "synthetic.labels") == "hard"
            assert "or labels = free" not in words(app), "which is not allowed either"


@pytest.mark.parametrize("size", SIZES)
async def test_choices_go_around_with_the_arrow_keys(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter")
        form = app.screen.query_one(SettingsForm)
        await pilot.press("right")
        await pilot.pause()
        assert value_of(form.config, "network.norm") == "group"
        await pilot.press("left", "left")
        await pilot.pause()
        assert value_of(form.config, "network.norm") == "none"


@pytest.mark.parametrize("size", SIZES)
async def test_changed_settings_reach_the_run(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        await pilot.press("e", "slash", *"data seed", "escape")
        await pilot.press("slash", *"network.width", "enter", "enter")
        box = app.screen.query_one("#settings-value", Input)
        box.value = "48"
        await pilot.press("enter", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    folder = list_runs(app.runs_dir)[0]
    assert folder.config().network.width == 48
    assert folder.about().origins["network.width"] == "edited"


@pytest.mark.parametrize("size", SIZES)
async def test_past_runs_open_in_the_same_screen(make_app: MakeApp, size: tuple[int, int]) -> None:
    first = make_app(FakeEngine(iterations=30))
    async with first.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(first.screen, RunScreen) and run_screen(first).state == "done")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query_one("#runs", OptionList).option_count == 1)
        await pilot.press("r")
        await until(pilot, lambda: "iteration" in text(app) and "30 of 30" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "▀" in text(app) and "87.2" in text(app))
        assert not run_screen(app).session.owned
        await pilot.press("space")
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


@pytest.mark.parametrize("size", SIZES)
async def test_one_key_switches_pictures_anywhere(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("a", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one(PicturesPane)
        await until(pilot, lambda: pane.mode is Mode.ASCII and bool(set("=*@") & set(within(app, pane))))
        assert "▀" not in text(app)
        await pilot.press("a")
        await until(pilot, lambda: "▀" in text(app) and pane.mode is Mode.TRUE)


@pytest.mark.parametrize(
    ("colours", "no_color", "expected"),
    [
        (Colours.TRUE, False, Mode.TRUE),
        (Colours.PALETTE, False, Mode.PALETTE),
        (Colours.BASIC, False, Mode.ASCII),
        (Colours.TRUE, True, Mode.ASCII),
    ],
)
async def test_pictures_fit_the_terminal_by_themselves(
    make_app: MakeApp, colours: Colours, no_color: bool, expected: Mode
) -> None:
    able = Abilities("xterm", colours, no_color, True, True, False, "")
    assert make_app(abilities=able).picture_mode is expected


@pytest.mark.parametrize("size", SIZES)
async def test_scrubbing_goes_back_in_time_and_follows_again(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one(PicturesPane)

        def shows(iteration: int) -> bool:
            return f"images iteration {iteration} " in f"{within(app, pane)} "

        await until(pilot, lambda: shows(50))
        await pilot.press("comma")
        await until(pilot, lambda: shows(40))
        await pilot.press("less_than_sign")
        await until(pilot, lambda: shows(0))
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: shows(50))


@pytest.mark.parametrize("size", SIZES)
async def test_the_cursor_reads_exact_values(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one("#losses", PlotPane)
        await until(pilot, lambda: "objective" in within(app, pane))  # painted
        pane.focus()
        await pilot.press("h", "H")
        await pilot.pause()
        assert pane.viewport.cursor is not None
        assert pane.viewport.cursor < 50
        assert f"at {pane.viewport.cursor:g}" in within(app, pane)
        await pilot.press("y", "w", "plus")
        await pilot.pause()
        assert pane.viewport.log_y
        assert pane.viewport.smoothing == 0.5
        assert pane.viewport.x is not None
        other = app.screen.query_one("#accuracy", PlotPane)
        assert not other.viewport.log_y, "a key for the pane in focus changed another"
        await pilot.press("0")
        await pilot.pause()
        assert pane.viewport == Viewport(log_y=True, smoothing=0.5)


async def turn(pilot: Pilot[Leave], page: VerticalScroll) -> None:
    """A page down, and wait until it has come to rest."""
    before = page.scroll_y
    await pilot.press("pagedown")
    await until(pilot, lambda: before < page.scroll_y == page.scroll_target_y)


@pytest.mark.parametrize("size", SIZES)
async def test_the_help_lists_every_key_of_the_screen(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "Presets and runs" in text(app))
        page = app.screen.query_one(VerticalScroll)
        shown = within(app, page)
        while page.scroll_y < page.max_scroll_y:
            await turn(pilot, page)
            shown += within(app, page)
        for key in KEYS:
            if key.scope in ("home", "settings", "app"):
                assert " ".join([key.shown(), *key.help.split()[:3]]) in shown
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


def test_every_key_of_the_table_has_its_action() -> None:
    places: dict[str, list[type]] = {
        "app": [DashboardApp],
        "home": [HomeScreen],
        "runs": [RunsScreen],
        "compare": [CompareScreen],
        "queue": [QueueScreen],
        "table": [Table],
        "settings": [SettingsForm],
        "run": [RunScreen],
        "plot": [RunScreen, CompareScreen],
        "panes": [RunScreen, CompareScreen],
        "pictures": [RunScreen],
        "gallery": [PicturesPane],
        "log": [LogPane],
    }
    for key in KEYS:
        name = "action_" + key.action.partition("(")[0]
        assert all(hasattr(place, name) for place in places[key.scope]), f"{key.keys}: no {name}"


async def test_the_engine_never_waits_for_the_interface(make_app: MakeApp) -> None:
    """The queue takes everything although nobody drains it."""
    app = make_app(FakeEngine(iterations=2000))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: app.session is not None)
        assert app.session is not None
        assert app.session.join(20), "the engine waited for a blocked interface"  # this blocks the interface
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 2000)


@pytest.mark.parametrize("size", SIZES)
async def test_the_facts_name_device_and_memory(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        names = {name: value for name, value, _ in app.screen.query_one(FactsPane).facts}
        assert names["device"] == "cpu, 2 threads"
        assert names["memory"] == "612 MiB"
        assert names["random"] == "55.3 ± 1.2 %"
        assert names["full set"] == "97.1 ± 1.2 %"
        assert "612 MiB" in text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_autostart_starts_what_the_command_line_named(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=12), preset="digits-ipc1", overrides=("seed=7",), name="mine", autostart=True)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    folder = list_runs(app.runs_dir)[0]
    assert folder.name == "mine"
    assert folder.config().seed == 7
    assert folder.about().origins["seed"] == "--set"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.long
async def test_duplicate_takes_over_a_runs_settings(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=12), preset="digits-ipc1", overrides=("network.width=16",), autostart=True)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await until(pilot, lambda: app.screen.query_one("#runs", OptionList).option_count == 1)
        await pilot.press("r", "D")
        await until(pilot, lambda: isinstance(app.focused, FieldList))
        assert app.screen.query_one(SettingsForm).changed() == {"network.width": 16}


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_screen_keeps_up_with_runs_of_other_processes(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mim4dd_tui.dashboard.screens.keeping_up.RUNS_SECONDS", 0.1)
    make_run(tmp_path / "runs", "lion")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "✓ 80.0 lion" in text(app))
        make_run(tmp_path / "runs", "tapir", accuracy=0.7)
        await until(pilot, lambda: "✓ 70.0 tapir" in text(app) and "runs  2" in text(app))
        folder = make_run(tmp_path / "other", "lion", accuracy=0.6)
        folder.status_path.replace(tmp_path / "runs" / "lion" / "status.json")
        await pilot.press("r")
        await until(pilot, lambda: "✓ 60.0 lion" in text(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_click_looks_and_a_second_one_there_acts(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    make_run(tmp_path / "runs", "a-run")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "a-run" in text(app))
        presets, runs = app.screen.query_one("#presets"), app.screen.query_one("#runs")
        await pilot.click("#presets", offset=(4, 2))
        await until(pilot, lambda: app.focused is presets and "digits-ipc1-bptt-soft" in summary(app))
        await pilot.click("#presets", offset=(4, 2))
        await until(pilot, lambda: app.focused is not None and app.focused.id == "settings-list")
        await pilot.click("#runs", offset=(4, 0))
        await until(pilot, lambda: app.focused is runs and "a-run" in summary(app))
        await pilot.click("#runs", offset=(4, 0))
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


def summary(app: DashboardApp) -> str:
    return within(app, app.screen.query_one("#summary"))
