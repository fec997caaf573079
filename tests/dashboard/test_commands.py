"""The palette has every key, keys move in every list, and none stands for two things."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.widgets import Input, OptionList

from mim4dd_tui.dashboard.commands import commands, place_of
from mim4dd_tui.dashboard.keys import KEYS
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.keyline import idle_actions
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until
from tests.dashboard.shelves import make_run


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
