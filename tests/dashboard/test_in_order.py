"""Keys and clicks that arrive all at once: they are answered in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Key, MouseDown, MouseUp
from textual.widgets import Input, OptionList

from engine.config.load import list_presets
from mim4dd_tui.dashboard import in_order
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.screens.home import HomeScreen
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import text, until
from tests.dashboard.shelves import make_run

pytestmark = pytest.mark.usefixtures("_own_config")

EDIT = ("e", "slash", *"experts.weight_decay", "enter", "enter")


def burst(app: DashboardApp, *keys: str) -> None:
    """As a terminal's driver sends what it has read, with nothing done in between."""
    assert app._driver is not None
    for key in keys:
        event = Key(key, {"full_stop": ".", "slash": "/"}.get(key, key if len(key) == 1 else None))
        event.set_sender(app)
        app._driver.send_message(event)


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        (("backspace", "backspace", "backspace", *"12.5"), "12.5"),
        (("ctrl+u", "5"), "5"),
        (("home", "1", "end", "7", "left", "3"), "10.037"),
        (("home", "delete", "4"), "4.0"),
        (tuple("1e9"), "1e9"),
        (("end", "5"), "0.05"),
        (("right", "5"), "0.05"),
        (("left", "1"), "10.0"),
    ],
)
async def test_a_value_is_typed_as_its_keys_say(make_app: MakeApp, typed: tuple[str, ...], left: str) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*EDIT)
        box = app.screen.query_one("#settings-value", Input)
        assert (box.has_focus, box.value) == (True, "0.0")
        burst(app, *typed)
        await until(pilot, lambda: box.value == left)


async def test_enter_takes_what_was_typed_before_it(make_app: MakeApp) -> None:
    """And what comes after it moves in the list."""
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*EDIT)
        form = app.screen.query_one(SettingsForm)
        burst(app, "ctrl+u", *"250", "enter", "k", "j")
        await until(pilot, lambda: app.screen.query_one(FieldList).has_focus, 10)
        await pilot.pause(0.5)
        assert dict.fromkeys(form.changed(), form.config.experts.weight_decay) == {"experts.weight_decay": 250.0}
        assert app.screen.query_one("#settings-value", Input).value == "250.0"


async def test_escape_leaves_and_the_next_key_is_the_lists(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*EDIT)
        burst(app, *"99", "escape", "enter", "end", "1")
        await until(pilot, lambda: app.screen.query_one("#settings-value", Input).value == "0.01")


async def test_a_search_ends_where_enter_is(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        burst(app, "slash", *"quick", "enter", "e")
        await until(pilot, lambda: app.screen.query_one(FieldList).has_focus, 10)
        assert app.screen.query_one("#presets-search", Input).value == "quick"
        found = app.screen.query_one("#presets", OptionList).option_count
        assert 0 < found < len(list_presets())


async def test_keys_after_the_one_that_opens_a_screen_are_that_screens(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        burst(app, "b", "slash", *"one", "backspace", "x")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen), 10)
        await pilot.pause(0.5)
        assert app.screen.query_one("#runs-search", Input).value == "onx"
        burst(app, "escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen), 10)


def clicked(app: DashboardApp, x: int, y: int) -> None:
    """A click of the left button, as the driver sends it."""
    assert app._driver is not None
    for kind in (MouseDown, MouseUp):
        event = kind(None, x, y, 0, 0, 1, False, False, False, x, y)
        event.set_sender(app)
        app._driver.send_message(event)


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_a_click_is_taken_by_the_screen_that_the_keys_before_it_open(
    make_app: MakeApp, size: tuple[int, int], tmp_path: Path
) -> None:
    for number in range(4):
        make_run(tmp_path / "runs", f"run{number}", age=100.0 * number)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "state" in text(app), 10)
        line, heading = next((y, line) for y, line in enumerate(text(app).splitlines()) if "state" in line)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen), 10)
        burst(app, "slash", *"bptt", "enter", "b")
        clicked(app, heading.index("state"), line)
        burst(app, "S")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "by state, reversed" in text(app), 10)


async def test_what_is_typed_after_a_click_is_typed_where_it_was(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash")
        box = app.screen.query_one("#presets-search", Input)
        await until(pilot, lambda: box.has_focus, 10)
        place = box.region.offset
        await pilot.press("escape")
        await pilot.press("slash", *"ab", "enter")
        await until(pilot, lambda: not box.has_focus, 10)
        clicked(app, place.x + 1, place.y)
        burst(app, "end", *"xy")
        await pilot.pause(0.5)
        assert box.value.endswith("xy")
        assert box.has_focus


async def test_an_answer_that_never_comes_does_not_hold_the_keys(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        """The widget that had the key is stuck."""

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        monkeypatch.setattr(in_order.InOrder, "_follow", lost)
        burst(app, "j", "b")
        await pilot.pause(0.3)
        assert isinstance(app.screen, HomeScreen), "the second key did not wait"
        monkeypatch.setattr(in_order, "LOST_SECONDS", 0.0)
        burst(app, "j")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen), 10)
