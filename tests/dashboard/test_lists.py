"""Lists by keys and by mouse: half pages, questions, double clicks, other buttons."""

from __future__ import annotations

from pathlib import Path

from textual.containers import VerticalScroll
from textual.widgets import Input, OptionList

from mim4dd_tui.dashboard.screens.dialogs import QuitScreen
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.runs import RunList
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, until
from tests.dashboard.shelves import make_run


async def test_keys_of_lists_work_in_questions(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=12, hold=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 12)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        answers = app.screen.query_one(OptionList)
        assert answers.highlighted == 0
        await pilot.press("j")
        assert answers.highlighted == 1, "enter would stop the run"
        await pilot.press("j", "k", "k")
        assert answers.highlighted == 0
        await pilot.press("escape", "x")
        await until(pilot, lambda: run_screen(app).state == "stopped")


async def test_half_a_page_and_only_the_left_button_choose(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        presets = app.screen.query_one("#presets", OptionList)
        await pilot.press("ctrl+d")
        assert presets.highlighted == presets.size.height // 2
        await pilot.press("ctrl+d", "ctrl+u", "ctrl+u")
        assert presets.highlighted == 0
        for button in (2, 3):
            await pilot.click("#presets", offset=(4, 3), button=button)
            await pilot.pause()
            assert presets.highlighted == 0, f"button {button}"
        await pilot.click("#presets", offset=(4, 3))
        await pilot.pause()
        assert presets.highlighted == 3
        await pilot.press("question_mark", "ctrl+d")
        await pilot.pause()
        page = app.screen.query_one(VerticalScroll)
        assert page.scroll_offset.y == page.size.height // 2


async def test_a_double_click_means_the_line_that_was_clicked_first(make_app: MakeApp) -> None:
    """What is said of a line below the list may take a line more, and the list scrolls under the mouse."""
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e", "G")
        await pilot.pause()
        fields = app.screen.query_one(FieldList)
        lines = text(app).splitlines()
        row = next(y for y, line in enumerate(lines) if " compile " in line)
        await pilot.click(offset=(fields.region.x + 6, row), times=2)
        await pilot.pause()
        form = app.screen.query_one(SettingsForm)
        assert form.chosen == "execution.compile"
        assert isinstance(app.focused, Input), "the second click did nothing"


async def test_runs_that_are_given_the_keys_have_one_under_the_cursor(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "quick-s0-20260101-120000")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "quick-s0" in text(app))
        await pilot.press("tab")
        await until(pilot, lambda: "enter" in text(app).splitlines()[-1])
        assert isinstance(app.focused, RunList)
        assert app.focused.highlighted == 0
