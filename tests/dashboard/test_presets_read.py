"""Presets and runs are read while the first screen is used: no key waits, and what cannot be used is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from textual.widgets import OptionList

from engine.config.load import list_presets, resolve
from engine.config.presets import PresetInfo, names, user_dir
from engine.runs.changes import changes
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from mim4dd_tui.dashboard.catalog import labels, read_run
from mim4dd_tui.dashboard.measured import Measured, Measurements
from mim4dd_tui.dashboard.screens import keeping_up
from mim4dd_tui.dashboard.screens.dialogs import ConfirmScreen
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets import presets
from mim4dd_tui.dashboard.widgets.presets import PresetList
from mim4dd_tui.dashboard.widgets.settings import SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, told, until, within, words
from tests.dashboard.presets import BASE, SIZE, form_of, found, listed, write
from tests.dashboard.shelves import make_run


@pytest.fixture(autouse=True)
def _often(_own_config: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of presets is looked at often."""
    monkeypatch.setattr(presets, "LOOK_SECONDS", 0.05)


async def test_where_a_preset_lies_that_cannot_be_used_is_spelled_as_everywhere(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(user_dir().parent))
    user_dir().mkdir(parents=True)
    (user_dir() / "wrong.toml").write_text("[network]\nnorm = 3\n")
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", *"wrong", "enter")
        await until(pilot, lambda: "network.norm" in within(app, app.screen.query_one("#summary")))
        assert f"~/{user_dir().name}/wrong.toml" in within(app, app.screen.query_one("#summary"))


async def test_a_preset_that_cannot_be_used_is_deleted(make_app: MakeApp) -> None:
    user_dir().mkdir(parents=True)
    (user_dir() / "wrong.toml").write_text("[network]\nnorm = 3\n")
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        assert "delete" in home.idle
        await pilot.press("slash", *"wrong", "enter")
        await until(pilot, lambda: "network.norm" in within(app, home.query_one("#summary")))
        assert "delete" not in home.idle
        assert not home.query_one(SettingsForm).display, "they would be another preset's"
        await pilot.press("s")
        await until(pilot, lambda: "network.norm" in told(app))
        await pilot.press("r", "p")
        await until(pilot, lambda: "network.norm" in within(app, home.query_one("#summary")))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen) and "Delete your preset wrong?" in text(app))
        await pilot.press("y")
        await until(pilot, lambda: "deleted the preset wrong" in told(app))
        assert not names().keys() & {"wrong"}
        assert form_of(app).config == BASE


async def test_a_file_called_as_no_preset_may_be_is_listed_and_says_so(make_app: MakeApp) -> None:
    user_dir().mkdir(parents=True)
    (user_dir() / "my own.toml").write_text('extends = "digits-ipc1"\n')
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        summary = app.screen.query_one("#summary")
        await pilot.press("slash", *"my", "space", *"own", "enter")
        await until(pilot, lambda: "my own is no name for a preset" in within(app, summary))
        await pilot.press("X")
        await until(pilot, lambda: "is no preset under this name" in told(app))
    assert (user_dir() / "my own.toml").exists()


async def test_a_preset_that_can_be_used_again_is_chosen(make_app: MakeApp) -> None:
    user_dir().mkdir(parents=True)
    path = user_dir() / "wrong.toml"
    path.write_text("[network]\nnorm = 3\n")
    app = make_app(preset="wrong")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "network.norm" in within(app, app.screen.query_one("#summary")))
        path.write_text('extends = "digits-ipc1"\nseed = "x"\n')
        await until(pilot, lambda: "seed" in within(app, app.screen.query_one("#summary")))
        path.write_text('extends = "digits-ipc1"\nseed = 12\n')
        await until(pilot, lambda: form_of(app).config.seed == 12)
        assert "yours: digits-ipc1 with seed 12" in words(app)


async def test_of_a_preset_that_could_not_be_used_and_is_gone_that_is_said(make_app: MakeApp) -> None:
    user_dir().mkdir(parents=True)
    path = user_dir() / "wrong.toml"
    path.write_text("[network]\nnorm = 3\n")
    app = make_app(preset="wrong")
    async with app.run_test(size=SIZE) as pilot:
        summary = app.screen.query_one("#summary")
        await until(pilot, lambda: "network.norm" in within(app, summary))
        path.unlink()
        await until(pilot, lambda: "the preset wrong is gone" in within(app, summary))
        assert "network.norm" not in within(app, summary)
        await pilot.press("s")
        await until(pilot, lambda: "the preset wrong is gone" in told(app))
        path.write_text('extends = "digits-ipc1"\nseed = 12\n')
        await until(pilot, lambda: form_of(app).display and form_of(app).config.seed == 12)


async def test_a_file_that_cannot_be_used_is_not_called_gone(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[network]\nnorm = 3\n")
    app = make_app(preset=str(path))
    async with app.run_test(size=SIZE) as pilot:
        summary = app.screen.query_one("#summary")
        await until(pilot, lambda: "network.norm" in within(app, summary))
        write("other")
        await found(pilot, app, "other")
        assert "network.norm" in within(app, summary)


class Held:
    """Lists presets, and on any thread but the interface's gives the list away only once it is let go."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.let_go = threading.Event()
        self.inside = False

    def __call__(self) -> list[PresetInfo]:
        found = list_presets()
        self.threads.append(threading.current_thread())
        if threading.current_thread() is not threading.main_thread():
            self.inside = True
            assert self.let_go.wait(120)
        return found


async def test_keys_do_not_wait_for_presets_that_are_read(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    held, app = Held(), make_app()
    async with app.run_test(size=SIZE) as pilot:
        await found(pilot, app, "digits-ipc1")
        monkeypatch.setattr(presets, "list_presets", held)
        write()
        try:
            await until(pilot, lambda: bool(held.threads))
            assert held.threads != [threading.main_thread()]
            await pilot.press("j")
            await until(pilot, lambda: form_of(app).config == resolve(listed(app)[1]).config)
            assert "mine" not in listed(app)
        finally:
            held.let_go.set()
        await found(pilot, app, "mine")
        assert threading.main_thread() not in held.threads


async def test_keys_do_not_wait_for_all_presets_when_one_is_kept_or_deleted(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("later")
    held, app = Held(), make_app()
    async with app.run_test(size=SIZE) as pilot:
        await found(pilot, app, "later")
        monkeypatch.setattr(presets, "list_presets", held)
        field = app.screen.query_one("#presets", OptionList)
        try:
            await pilot.press("e", "S", *"kept", "enter")
            await until(pilot, lambda: "saved as" in told(app))
            assert listed(app)[:2] == ["kept", "later"]
            assert field.highlighted == 0
            assert app.screen.query_one(PresetList).own == {"kept", "later"}
            await pilot.press("p", "X")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press("y")
            await until(pilot, lambda: "deleted the preset kept" in told(app))
            assert listed(app)[0] == "later"
            assert field.highlighted == listed(app).index("digits-ipc1")
            await until(pilot, lambda: held.inside)
        finally:
            held.let_go.set()
        write("most")
        await found(pilot, app, "most")
        assert field.highlighted == listed(app).index("digits-ipc1")
        assert "kept" not in listed(app)
        assert threading.main_thread() not in held.threads


async def test_what_was_read_before_a_preset_was_deleted_here_does_not_bring_it_back(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(network__norm="group")
    held, app, taken = Held(), make_app(preset="mine"), list[Collection[str]]()
    async with app.run_test(size=SIZE) as pilot:
        await found(pilot, app, "mine")
        monkeypatch.setattr(presets, "list_presets", held)
        write("other")
        try:
            await until(pilot, lambda: held.inside)
            await pilot.press("X")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press("y")
            await until(pilot, lambda: "deleted the preset mine" in told(app) and "mine" not in listed(app))
            take = PresetList._take

            def noted(self: PresetList, mark: presets.Mark, infos: Sequence[PresetInfo]) -> None:
                taken.append({info.name for info in infos})
                take(self, mark, infos)

            monkeypatch.setattr(PresetList, "_take", noted)
        finally:
            held.let_go.set()
        write("third")
        await found(pilot, app, "third")
        assert not [names for names in taken if "mine" in names]
        assert "is gone" not in told(app)


@pytest.mark.parametrize("asked", [False, True])
async def test_the_list_of_runs_keeps_up_while_runs_are_measured(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    let_go, measuring, of = threading.Event(), threading.Event(), Measurements.of

    def slow(self: Measurements, folders: Sequence[RunFolder]) -> list[Measured]:
        measuring.set()
        assert let_go.wait(120)
        return of(self, folders)

    monkeypatch.setattr(keeping_up, "RUNS_SECONDS", 600.0 if asked else 0.1)
    monkeypatch.setattr(Measurements, "of", slow)
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        try:
            await until(pilot, lambda: "none yet" in text(app) and measuring.is_set())
            make_run(tmp_path / "runs", "lion")
            if asked:
                home.refresh_runs()
            await until(pilot, lambda: "lion" in text(app))
            assert "looking through earlier runs" in words(app)
        finally:
            let_go.set()
        await until(pilot, lambda: "looking through" not in words(app))


async def test_a_run_of_a_file_says_which_and_is_never_taken_for_a_preset(make_app: MakeApp, tmp_path: Path) -> None:
    """Its settings taken into a new run are as they were: a file of that name may hold others by now."""
    file = tmp_path / "c10.toml"
    file.write_text('extends = "digits-ipc1"\n[network]\nwidth = 8\n')
    app = make_app(FakeEngine(iterations=5), preset=str(file))
    async with app.run_test(size=SIZE) as pilot:
        await found(pilot, app, "digits-ipc1")
        write()
        await found(pilot, app, "mine")
        assert "gone" not in told(app)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    (folder,) = list_runs(app.runs_dir)
    assert folder.about().preset == "c10.toml on digits-ipc1"
    assert folder.name.startswith("c10-s0-")
    assert labels([read_run(folder)]) == ["c10.toml"]
    again = make_app(FakeEngine(iterations=5))
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: again.screen.query_one("#runs", OptionList).option_count == 1)
        await pilot.press("r", "g", "D")
        await until(pilot, lambda: again.screen.query_one(SettingsForm).config.network.width == 8)
        assert not told(again)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(again.screen, RunScreen) and run_screen(again).state == "done")
    assert {run.about().preset for run in list_runs(again.runs_dir)} == {"c10.toml on digits-ipc1"}


@pytest.mark.parametrize(
    ("origin", "source"), [("--set", "run lion"), ("edited", "run lion"), ("c10.toml", "c10.toml on digits-ipc1")]
)
async def test_settings_of_a_run_that_are_not_its_files_are_not_called_so(
    make_app: MakeApp, origin: str, source: str, tmp_path: Path
) -> None:
    """What was changed for that run would be told of neither: what differs from the file is not recorded twice."""
    folder = make_run(tmp_path / "runs", "lion", network__width=8)
    file = {"preset": "c10.toml on digits-ipc1"}
    about = json.loads(folder.about_path.read_text()) | file | {"origins": {"network.width": origin}}
    folder.about_path.write_text(json.dumps(about))
    folder.status_path.write_text(json.dumps(json.loads(folder.status_path.read_text()) | file))
    app = make_app(FakeEngine(iterations=5))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.screen.query_one("#runs", OptionList).option_count == 1)
        await pilot.press("r", "g", "D")
        await until(pilot, lambda: app.screen.query_one(SettingsForm).config.network.width == 8)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    (made,) = (run for run in list_runs(app.runs_dir) if run.name != "lion")
    assert made.about().preset == source
    assert changes(made) == {}
