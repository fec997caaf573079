"""Palette, vim keys, what is remembered, what is copied and written, and who is told of a run's end."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.widgets import Input, OptionList

from engine.events import Iteration
from engine.runs.finding import list_runs
from engine.runs.history import RunHistory
from mim4dd_tui.characters import plain
from mim4dd_tui.dashboard.attention import Voice, one_line
from mim4dd_tui.dashboard.commands import commands, place_of
from mim4dd_tui.dashboard.exports import COLOURS, Plot, export, tables_of
from mim4dd_tui.dashboard.keys import KEYS
from mim4dd_tui.dashboard.remembered import Remembered, state_file
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.keyline import idle_actions
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from mim4dd_tui.plots import Figure, Series, Viewport
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until, words
from tests.dashboard.shelves import make_run

# ---- remembered


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "dashboard.json"
    kept = Remembered(theme="mim4dd-light", ascii=True, view="log", sort="name", changes={"seed": 3, "data.zca": True})
    kept.plots = {"losses": {"log_x": False, "log_y": True, "smoothing": 0.9}}
    assert not kept.save(path)
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
    for name in ("theme", "preset", "metric", "view", "sort", "which", "attention"):
        assert isinstance(getattr(kept, name), type(getattr(plain, name)))
    for looks in kept.plots.values():
        Viewport().changed(**looks)
    for value in kept.changes.values():
        assert isinstance(value, (str, int, float, bool))


def test_a_state_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in Remembered().save(tmp_path / "file" / "dashboard.json")


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


async def test_settings_that_no_longer_exist_are_not_taken_over(make_app: MakeApp) -> None:
    Remembered(preset="digits-ipc1", changes={"network.gone": 3}).save()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "digits-ipc1" in text(app))
        assert app.screen.query_one(SettingsForm).changed() == {}


# ---- palette and keys


@pytest.mark.parametrize("size", SIZES)
async def test_every_key_of_a_screen_is_a_command_and_commands_do_what_the_key_does(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app(FakeEngine(iterations=20))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: run_screen(app).over)
        assert {"pause", "stop", "checkpoint", "resume"} <= run_screen(app).idle
        for view, scopes in (("2", ("run", "plot", "pictures", "app")), ("3", ("gallery",)), ("4", ("log",))):
            await pilot.press(view)
            await pilot.pause()
            titles, idle = [command.title for command in commands(app.screen)], idle_actions(app.screen)
            assert len(titles) == len(set(titles)), "two commands of one name"
            for key in KEYS:
                if key.scope in scopes and key.action != "command_palette":
                    assert place_of(app.screen, key) is not None, key
                    assert (f"{key.label} ({key.shown()})" in titles) is (key.action not in idle), key
        assert not any("larger image" in title for title in titles), "of pictures, which this view does not show"
        await pilot.press("1")
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        app.screen.query_one(Input).value = "newest snapshot"
        await until(pilot, lambda: "what follows" in text(app))  # words of the sentence alone
        app.screen.query_one(Input).value = "log y"
        await until(pilot, lambda: "Logarithmic y axis" in text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until(pilot, lambda: app.screen.query_one("#losses", PlotPane).viewport.log_y)


async def test_what_is_seen_is_found_once_for_the_whole_palette(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=20))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        asked: list[DOMNode] = []
        display: property = vars(DOMNode)["display"]

        def counted(node: DOMNode) -> bool:
            asked.append(node)
            return bool(display.__get__(node))

        monkeypatch.setattr(DOMNode, "display", property(counted, display.__set__))
        assert len(list(commands(app.screen))) > 40
        monkeypatch.undo()
        assert asked
        assert len(asked) == len(set(asked)), "each widget once, and not once for each of its children or for each key"


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


@pytest.mark.parametrize("size", SIZES)
async def test_vim_keys_move_in_lists(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        presets = app.screen.query_one("#presets", OptionList)
        await pilot.press("g", "j", "j", "k")
        await pilot.pause()
        assert presets.highlighted == 1
        await pilot.press("G")
        await pilot.pause()
        assert presets.highlighted == presets.option_count - 1


@pytest.mark.parametrize("field", ["presets", "runs", "settings-list"])
async def test_at_the_end_of_a_list_its_cursor_stays(make_app: MakeApp, tmp_path: Path, field: str) -> None:
    for name in "lion", "tapir", "zebra":
        make_run(tmp_path / "runs", name)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = app.screen.query_one(f"#{field}", OptionList)
        await until(pilot, lambda: app.screen.query_one("#runs", OptionList).option_count >= 3)
        await pilot.press({"presets": "p", "runs": "r", "settings-list": "e"}[field])
        await until(pilot, lambda: shown.has_focus and shown.highlighted is not None)
        lines = [place for place, option in enumerate(shown.options) if not option.disabled]
        for keys, end in (("g", "k", "up"), lines[0]), (("G", "j", "down"), lines[-1]):
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
                assert shown.highlighted == end, key
        await pilot.press("k")
        await pilot.pause()
        assert shown.highlighted == lines[-2]


def test_no_screen_has_one_key_for_two_things() -> None:
    together = [
        ("app", "home", "settings"),
        ("app", "runs", "table"),
        ("app", "compare", "plot", "table"),
        ("app", "run", "plot", "pictures"),
    ]
    nearer_wins = {
        ("plot", "h,left"),
        ("plot", "l,right"),
        ("settings", "slash"),
        ("table", "left"),
        ("table", "right"),
    }
    for scopes in together:
        seen: dict[str, str] = {}
        for key in KEYS:
            if key.scope in scopes and (key.scope, key.keys) not in nearer_wins:
                for one in key.keys.split(","):
                    assert one not in seen, f"{one}: {seen.get(one)} and {key.scope}.{key.action} in {scopes}"
                    seen[one] = f"{key.scope}.{key.action}"


# ---- copying and telling


@pytest.mark.parametrize(
    ("environ", "speaks"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "tmux-256color"}, True),
        ({"TERM": "screen-256color"}, True),
        ({"TERM": "linux"}, False),
        ({"TERM": "vt100"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_sequences_go_only_to_terminals_that_take_them(environ: dict[str, str], speaks: bool) -> None:
    voice = Voice.of(environ)
    assert bool(voice.title("x")) is speaks
    assert bool(voice.copy("x")) is speaks
    if not speaks:
        assert voice.notification("a", "b") + voice.keep_title() + voice.restore_title() == ""


def test_a_copy_is_whole_and_a_large_one_is_refused() -> None:
    voice = Voice.of({"TERM": "xterm"})
    sequence = voice.copy("größe\t3")
    assert sequence.startswith("\x1b]52;c;")
    assert base64.b64decode(sequence[7:-1]).decode() == "größe\t3"
    assert voice.copy("x" * 100_000) == ""
    tmux = Voice.of({"TERM": "tmux-256color", "TMUX": "/nowhere"}).copy("größe\t3")
    assert tmux == sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    pieces = Voice.of({"TERM": "screen-256color"}).copy("größe" * 100).split("\x1b\\")[:-1]
    assert all(piece.startswith("\x1bP") and len(piece) < 768 for piece in pieces)
    assert "".join(piece[2:] for piece in pieces) == voice.copy("größe" * 100)


@given(st.text())
def test_no_name_can_end_a_sequence_or_begin_another(name: str) -> None:
    for environ in ({"TERM": "xterm"}, {"TERM": "screen"}, {"TERM": "screen", "TMUX": "1"}):
        voice = Voice.of(environ)
        for sequence in (voice.title(name), voice.notification(name, name)):
            inner = sequence.replace("\x1b\\", "").replace("\x1b]", "").replace("\x1bk", "").replace("\x1bPtmux;", "")
            assert not any(not c.isprintable() and c != "\x1b" for c in inner)
    assert one_line(name).isprintable()


def test_tmux_gets_notifications_in_its_envelope() -> None:
    sequence = Voice.of({"TERM": "screen-256color", "TMUX": "/tmp/x"}).notification("t", "b")
    assert sequence.startswith("\x1bPtmux;\x1b\x1b]9;t: b")
    assert Voice.of({"TERM": "screen-256color"}).notification("t", "b") == "", "screen would show it"


@pytest.mark.parametrize(("attention", "sequences", "bells"), [("all", True, 1), ("bell", False, 1), ("off", False, 0)])
async def test_the_end_of_a_run_is_told_as_far_as_is_wanted(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, attention: str, sequences: bool, bells: int
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app(FakeEngine(iterations=12))
    app.remembered.attention = attention  # type: ignore[assignment]
    sent: list[str] = []
    rung: list[int] = []
    monkeypatch.setattr(app, "emit", sent.append)
    monkeypatch.setattr(app, "bell", lambda: rung.append(1))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: app.session is not None and not app.session.running)
        await until(pilot, lambda: len(rung) >= bells)
        await pilot.pause(0.4)  # as long as it takes until the end of a run is noticed: nothing more may come
    told = "".join(sent)
    assert ("]777;notify;mim4dd;" in told and "done, 87.2 %" in told) is sequences
    assert len(rung) == bells


@pytest.mark.parametrize("size", SIZES)
async def test_values_and_paths_are_copied(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app(FakeEngine(iterations=50))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "87.2 ± 1.2 %" in text(app))  # numbers are painted less often than they come
        await pilot.press("c")
        await pilot.pause()
        assert "best final\t87.2 ± 1.2 %" in app.clipboard
        await pilot.press("2")
        pane = app.screen.query_one("#step_size", PlotPane)
        await until(pilot, lambda: [x for _, x, _ in pane.reading()] == [50.0])
        pane.focus()
        await pilot.press("c")
        await pilot.pause()
        name, x, y = app.clipboard.split("\t")
        assert (name, float(x)) == ("step size", 50.0)
        assert float(y) == run_screen(app).history.series["step_size"].values[-1], "not the exact value"
        await pilot.press("C")
        await pilot.pause()
        assert app.clipboard == str(run_screen(app).path)
        monkeypatch.setattr(RunScreen, "path", Path("runs/one"))
        await pilot.press("C")
        await pilot.pause()
        assert app.clipboard == str(Path.cwd() / "runs/one"), "the path holds in this folder alone"


# ---- plain characters


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


def test_metrics_are_written_in_full_precision() -> None:
    history = RunHistory()
    value = 0.1 + 0.2
    history.apply(Iteration(1, value, None, None, None, None, 0.1, None, 0.05, 0.1), time=1.0)
    history.apply(Iteration(2, math.nan, 3.0, None, None, None, 0.1, None, 0.05, 0.1), time=2.0)
    rows = list(csv.DictReader(io.StringIO(tables_of(history)()["metrics.csv"])))
    assert float(rows[0]["objective"]) == value
    assert rows[0]["nce"] == ""
    assert rows[1]["objective"] == "nan"


def test_what_was_exported_is_named_by_a_path_that_holds_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.array([1.0, 2.0])
    plots = [Plot("a", "A", Figure((Series("a", x, x),)), Viewport()), Plot("b", "nothing yet", Figure(), Viewport())]
    told = export(Path("runs/one"), plots, lambda: {"m.csv": "x\n", "e.csv": "y\n"})
    assert told == f"1 plot (SVG, PNG) and 2 tables in {tmp_path / 'runs/one'}"
    assert {path.name for path in (tmp_path / "runs/one").iterdir()} == {"a.svg", "a.png", "m.csv", "e.csv"}


@pytest.mark.parametrize("size", SIZES)
async def test_plots_and_metrics_go_into_the_run_folder(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        app.screen.query_one("#accuracy", PlotPane).focus()
        await pilot.press("E")
        (folder,) = list_runs(app.runs_dir)
        exports = folder.path / "exports"
        await until(pilot, (exports / "evaluations.csv").exists)
        assert sorted(p.name for p in exports.iterdir()) == [
            "accuracy.png",
            "accuracy.svg",
            "evaluations.csv",
            "metrics.csv",
        ]
        assert len((exports / "metrics.csv").read_text().splitlines()) == 31


@pytest.mark.parametrize("size", SIZES)
async def test_a_comparison_is_exported_and_copied(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    make_run(tmp_path / "runs", "one", age=10)
    make_run(tmp_path / "runs", "two", seed=1)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: "two" in text(app))
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: "A 80.0" in text(app))
        await pilot.press("c", "E")
        exports = tmp_path / "runs" / "exports"
        await until(pilot, lambda: len(list(exports.glob("compare-*/*.csv"))) == 2)
        (folder,) = exports.iterdir()
        assert {path.name for path in folder.iterdir()} == {"accuracy.png", "accuracy.svg", "curves.csv", "runs.csv"}
        rows = list(csv.DictReader(io.StringIO((folder / "runs.csv").read_text())))
        columns = [
            "run", "preset", "state", "best_mean", "best_iteration", "best_selected_on", "last_mean", "seed",
            "iteration", "objective", "bound", "step_size", "bound_mean_of_last_tenth", "full_set_mean",
            "seconds_worked",
        ]  # fmt: skip
        assert [name for name in rows[0] if name in columns] == columns
        assert [(row["preset"], row["best_iteration"], row["best_selected_on"]) for row in rows] == [
            ("digits-ipc1", "50", "test"),
            ("digits-ipc1", "50", "test"),
        ]
        ends = [float(rows[0][metric]) for metric in ("objective", "bound", "step_size")]
        assert ends == pytest.approx([math.exp(-1) + 0.1, 1.0, 0.05])
        assert [(row["mark"], row["run"], row["seed"], row["state"]) for row in rows] == [
            ("A", "two", "1", "done"),
            ("B", "one", "0", "done"),
        ]
        assert float(rows[0]["best_mean"]) == pytest.approx(0.8)
        curves = list(csv.DictReader(io.StringIO((folder / "curves.csv").read_text())))
        assert {row["run"] for row in curves} == {"one", "two"}
        assert all(math.isfinite(float(row["objective"])) for row in curves if row["objective"])
        assert not list(tmp_path.glob("runs/*/exports")), "nothing in the folders of the runs"
        assert "seed\t1\t0" in app.clipboard


@pytest.mark.parametrize("view", ["3", "4"])
async def test_curves_that_were_never_seen_are_exported_whole(make_app: MakeApp, view: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", "old")
    make_app().remember(view={"3": "pictures", "4": "log"}[view])
    app = make_app(attach=run.path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("E")
        exports = run.path / "exports"
        await until(pilot, (exports / "evaluations.csv").exists)
    drawn = {path.stem: path.read_text() for path in exports.glob("*.svg")}
    assert {"losses", "step_size", "speed"} <= drawn.keys()
    for name in ("losses", "step_size", "speed", "accuracy"):
        assert "no data yet" not in drawn[name]
        assert any(colour in drawn[name] for colour in COLOURS.values()), name


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
