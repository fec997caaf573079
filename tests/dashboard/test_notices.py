"""Notices: as they are written, and with paths that can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.geometry import Region
from textual.widgets import Input
from textual.widgets._toast import Toast, ToastRack

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.aside import place
from mim4dd_tui.dashboard.widgets.settings import FieldList, SettingsForm
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import text, until


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (40, 20)])
async def test_a_path_is_broken_after_slashes(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = ["experiments-of-this-year", "the-runs-of-digits", "digits-ipc1-s0-20260101", "exports"]
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        app.screen.notify(f"3 plots (SVG, PNG) in {tmp_path.joinpath(*folders)}", timeout=60)
        await until(pilot, lambda: "3 plots" in text(app))
        lines = text(app).splitlines()
    assert any("~/" in line for line in lines)
    for folder in folders:
        assert any(folder in line for line in lines), "\n".join(lines)


async def test_what_looks_like_markup_is_shown(make_app: MakeApp) -> None:
    app = make_app()
    told = "[Errno 28] no space left: /data/[bold]/x [/y]"
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.notify(told, timeout=60)
        await until(pilot, lambda: told in text(app))
        app.clear_notifications()
        app.screen.notify(told, timeout=60)
        await until(pilot, lambda: told in text(app))


async def test_a_key_pressed_again_does_not_stack_its_notice(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for _ in range(5):
            app.notify("the run is done", severity="warning", timeout=60)
        app.notify("the run is done", timeout=60)  # another kind of notice
        await until(pilot, lambda: text(app).count("the run is done") == 2)
        assert [notice.severity for notice in app._notifications] == ["warning", "information"]


PAGE = [
    "words and words all along",
    "words      and words    x",
    "words",
    "words ⠒⠒⠉⠉⠒⠒⠤⠤⠒⠒⠉⠉⠒⠒⠤⠤",
    "words and words all along",
    "keys",
]
LINES = [line.ljust(30) for line in PAGE]


def test_a_notice_stands_where_it_covers_least() -> None:
    bare = [" " * 30] * 6
    assert place(bare, [20], []) == 1, "above the footer"
    assert place(LINES, [4], []) == 1, "beside what is written"
    assert place(LINES, [20], []) == 3, "where nothing is written"
    assert place([*LINES[:2], *LINES[3:]], [20], []) == 2, "over a curve sooner than over words"
    assert place(LINES, [20, 0, 4], []) == 1, "the line between two notices covers nothing"
    assert place(["a" * 30] * 6, [20], []) == 1


def test_a_notice_leaves_free_what_is_kept() -> None:
    assert place(LINES, [20], [Region(0, 2, 30, 1)]) == 2
    assert place(LINES, [20], [Region(0, 2, 9, 1)]) == 3, "it is beside it"
    assert place(LINES, [20, 20], [Region(0, 2, 30, 3)]) == 4
    assert place(LINES, [20] * 9, [Region(0, 2, 30, 3)]) == 1, "there is no room at all"


def toasts(app: DashboardApp) -> list[Region]:
    return [toast.region for toast in app.screen.query(Toast) if toast.region.area]


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_no_notice_lies_over_the_setting_that_is_typed(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("e", "enter")
        form = app.screen.query_one(SettingsForm)
        await until(pilot, lambda: isinstance(app.focused, Input) and bool(form.kept_free.area))
        app.notify("3 plots (SVG, PNG) and 2 tables in\n~/runs/digits-ipc1-s0-20260101-120000", timeout=60)
        await until(pilot, lambda: bool(toasts(app)))
        for toast in toasts(app):
            assert not toast.overlaps(form.kept_free), text(app)
            assert toast.bottom < size[1], "the footer stays"


@pytest.mark.parametrize("size", [(100, 30), (60, 20)])
async def test_nor_over_its_line_in_the_list(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("e", *(["down"] * 16), "enter")
        await until(pilot, lambda: isinstance(app.focused, Input))
        fields = app.screen.query_one(FieldList)
        app.notify("a notice that takes three whole lines, " * 4, timeout=60)
        await until(pilot, lambda: bool(toasts(app)))
        assert toasts(app)[0].height == 3
        assert fields.kept_free.area
        await until(pilot, lambda: not any(toast.overlaps(fields.kept_free) for toast in toasts(app)), 10)


async def test_a_notice_gives_way_to_the_line_under_the_cursor(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("e", "down")
        await until(pilot, lambda: isinstance(app.focused, FieldList))
        fields = app.screen.query_one(FieldList)
        app.notify("a notice that is as wide as a notice can be, or nearly so", timeout=60)
        await until(pilot, lambda: bool(toasts(app)))
        below = app.size.height - 1 - (fields.kept_free.y + 1)
        app.screen.query_one(ToastRack).styles.margin = (0, 0, below, 0)  # over the next line
        await until(pilot, lambda: toasts(app)[0].y == fields.kept_free.y + 1)
        before = fields.kept_free
        await pilot.press("down")
        await until(pilot, lambda: fields.kept_free.y == before.y + 1)
        await until(pilot, lambda: not toasts(app)[0].overlaps(fields.kept_free), 10)
        assert "a notice that is as wide" in text(app)
        stands = toasts(app)
        app.notify("another", timeout=60)
        await until(pilot, lambda: len(toasts(app)) == 2)
        assert toasts(app)[-1].bottom == stands[0].bottom, "they stay where they are"
        # one more would lie over the line under the cursor
        top, line = min(toast.y for toast in toasts(app)), fields.kept_free.y
        app.screen.query_one(ToastRack).styles.margin = (0, 0, app.size.height - line - 5, 0)
        await until(pilot, lambda: min(toast.y for toast in toasts(app)) != top)
        app.notify("a third one, on top of the others", timeout=60)
        await until(pilot, lambda: len(toasts(app)) == 3)
        await until(pilot, lambda: not any(toast.overlaps(fields.kept_free) for toast in toasts(app)), 10)
