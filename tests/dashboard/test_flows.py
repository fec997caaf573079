"""What a person does: choose, change, start, watch, pause, stop, resume, open, leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Static

from engine.runs.folder import list_runs
from mim4dd_tui.dashboard.app import DashboardApp, Leave
from mim4dd_tui.dashboard.keys import KEYS
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.screens.dialogs import HelpScreen, QuitScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.queue import QueueScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.widgets.facts import FactsPane
from mim4dd_tui.dashboard.widgets.log import LogPane
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm, value_of
from mim4dd_tui.dashboard.widgets.table import Table
from mim4dd_tui.pictures import Mode
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until, words

pytestmark = pytest.mark.usefixtures("_own_config")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), pytest.param((100, 30), marks=pytest.mark.long), (160, 48)])
async def test_from_preset_to_the_end(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    app = make_app(FakeEngine(iterations=60))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app) and "settings" in text(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        screen = run_screen(app)
        shown = text(app)
        for word in ("done", "60/60", "87.2 ± 1.2 %", "loss", "images", "information", "accuracy", "MI bound"):
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
        assert {"losses", "information", "accuracy", "ratio"} <= set(seen)
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
        assert [pane.id for pane in app.screen.query(PlotPane) if pane.display] == ["losses"]


@pytest.mark.parametrize("size", SIZES)
async def test_pause_stop_and_resume(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=50, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        await pilot.press("space")
        await until(pilot, lambda: "paused" in text(app))
        await pilot.press("space")
        await until(pilot, lambda: "● running" in text(app))
        await pilot.press("x")
        await until(pilot, lambda: "stopped" in text(app) and run_screen(app).state == "stopped")
        await until(pilot, lambda: not run_screen(app).session.running)
        first = run_screen(app)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app) is not first)
        await until(pilot, lambda: run_screen(app).history.iteration == 50)
        history = run_screen(app).history
        iterations = history.series["objective"].iterations
        assert iterations == list(range(1, 51)), "the resumed run does not show the whole run, each iteration once"
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


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


async def test_choices_go_around_with_the_arrow_keys(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "slash", *"network.norm", "enter")
        form = app.screen.query_one(SettingsForm)
        await pilot.press("right")
        await pilot.pause()
        assert value_of(form.config, "network.norm") == "group"
        await pilot.press("left", "left")
        await pilot.pause()
        assert value_of(form.config, "network.norm") == "none"


async def test_changed_settings_reach_the_run(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=(80, 24)) as pilot:
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


async def test_a_run_of_another_process_is_watched_and_controlled(make_app: MakeApp) -> None:
    """Two apps on one folder: the second knows the run by its files alone."""
    owner = make_app(FakeEngine(iterations=40, hold=True))
    async with owner.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(owner.screen, RunScreen) and run_screen(owner).history.iteration == 40)
        assert owner.session is not None
        path = owner.session.path
    assert owner.session.running, "closing the interface must not end the run"
    app = make_app(attach=path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 40)
        assert run_screen(app).state == "running"
        await pilot.press("space")
        await until(pilot, lambda: run_screen(app).state == "paused")
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")
    assert owner.session.join(5)


@pytest.mark.parametrize("size", SIZES)
async def test_a_failing_engine_is_shown_and_the_app_stays(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=60, fail_at=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "lower objective.pixel_rate" in words(app))
        assert "log: " in words(app)  # and as much of the path as there is room for
        await until(pilot, lambda: app.exit_status == 1)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("q")
    assert app.return_value is Leave.DONE
    assert app.exit_status == 1


async def test_an_unforeseen_error_leaves_its_traceback_in_the_run_folder(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=60, fail_at=30, error=ZeroDivisionError))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "failed")
        await until(pilot, lambda: "ZeroDivisionError" in text(app) and "traceback.txt" in text(app))
    assert app.session is not None
    assert app.session.path is not None
    assert "in distill" in (app.session.path / "traceback.txt").read_text()


@pytest.mark.parametrize("size", SIZES)
async def test_quitting_during_a_run_asks(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        for word in ("Stop it with a checkpoint", "Let it run on", "Cancel"):
            assert word in text(app)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.session is not None
        assert app.session.running
        await pilot.press("q", "s")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DONE
    assert app.session.join(5)
    assert app.session.result is not None
    assert app.session.result["state"] == "stopped"


@pytest.mark.long
async def test_letting_it_run_on_leaves_the_engine_at_work(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("q", "r")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DETACH
    assert app.session is not None
    assert app.session.running


async def test_ctrl_c_asks_first_and_stops_the_second_time(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 20)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is Leave.DONE
    assert app.session is not None
    assert app.session.join(5)


@pytest.mark.long
async def test_checkpoint_and_evaluation_on_request(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=400, delay=0.01))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration > 2)
        await pilot.press("k", "e")
        history = run_screen(app).history
        await until(pilot, lambda: history.checkpoint is not None and history.checkpoint.iteration != 20)
        await until(pilot, lambda: any(e.subject == "request" for e in history.evaluations))
        await pilot.press("x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


async def test_one_key_switches_pictures_anywhere(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a", "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one(PicturesPane)
        await until(pilot, lambda: pane.mode is Mode.ASCII and "==" in text(app))
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


async def test_scrubbing_goes_back_in_time_and_follows_again(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "iteration 50" in text(app))
        await pilot.press("comma")
        await until(pilot, lambda: "images  iteration 40" in text(app))
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "images  iteration 0 " in text(app))
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: "images  iteration 50" in text(app))


async def test_the_cursor_reads_exact_values(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        pane = app.screen.query_one("#losses", PlotPane)
        await until(pilot, lambda: "objective" in text(app).splitlines()[2])  # painted
        pane.focus()
        await pilot.press("h", "H")
        await pilot.pause()
        assert pane.viewport.cursor is not None
        assert pane.viewport.cursor < 50
        assert "at" in text(app).splitlines()[2]
        await pilot.press("y", "w", "plus")
        await pilot.pause()
        assert pane.viewport.log_y
        assert pane.viewport.smoothing == 0.5
        assert pane.viewport.x is not None
        other = app.screen.query_one("#accuracy", PlotPane)
        assert not other.viewport.log_y, "a key for the pane in focus changed another"
        await pilot.press("0")
        await pilot.pause()
        assert pane.viewport == pane.home


async def test_the_help_lists_every_key_of_the_screen(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(100, 60)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        shown = " ".join(text(app).split())
        for key in KEYS:
            if key.scope in ("home", "settings", "app"):
                assert " ".join(key.help.split()[:3]) in shown
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


async def test_the_facts_name_device_and_memory(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=12))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        names = {name: value for name, value, _ in app.screen.query_one(FactsPane).facts}
        assert names["device"] == "cpu, 2 threads"
        assert names["memory"] == "612 MiB"
        assert names["random"] == "55.3 ± 1.2 %"
        assert names["full set"] == "97.1 ± 1.2 %"
        assert "612 MiB" in text(app)


async def test_autostart_starts_what_the_command_line_named(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=12), preset="digits-ipc1", overrides=("seed=7",), name="mine", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    folder = list_runs(app.runs_dir)[0]
    assert folder.name == "mine"
    assert folder.config().seed == 7
    assert folder.about().origins["seed"] == "--set"


@pytest.mark.long
async def test_duplicate_takes_over_a_runs_settings(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=12), preset="digits-ipc1", overrides=("network.width=16",), autostart=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await until(pilot, lambda: app.screen.query_one("#runs", OptionList).option_count == 1)
        await pilot.press("r", "D")
        await until(pilot, lambda: isinstance(app.focused, FieldList))
        assert app.screen.query_one(SettingsForm).changed() == {"network.width": 16}
