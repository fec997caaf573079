"""The log's filter: words, a regular expression, and one that is wrong."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.log import SEARCH_SECONDS, Filter, Line, LogLines, LogPane
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import SIZES, run_screen, text, until, within
from tests.dashboard.shelves import make_run


def matches(one: Filter, text: str) -> bool:
    return bool(one.matching([Line(0.0, "info", text)]))


@pytest.mark.parametrize(
    ("wanted", "regex", "line", "shown"),
    [
        ("expert trained", False, "Trained expert 3", True),
        ("expert Trained", False, "expert 3 trained", False),
        ("expert.*trained", False, "expert 3 trained", False),
        (r"expert \d+", True, "Expert 12 trained", True),
        (r"^expert", True, "an expert", False),
        (r"E[0-9]", True, "e4", False),
        ("", True, "anything", True),
    ],
)
def test_what_is_shown(wanted: str, regex: bool, line: str, shown: bool) -> None:
    one = Filter()
    one.change(wanted, expression=regex)
    assert matches(one, line) is shown
    assert not one.problem


def test_an_expression_too_large_for_the_library_is_named_too() -> None:
    one = Filter()
    one.change("a{4294967296}", expression=True)
    assert one.problem
    assert matches(one, "anything"), "the last right one is nothing yet"


def test_a_wrong_expression_is_named_and_changes_nothing() -> None:
    one = Filter()
    one.change("expert", expression=True)
    one.change("expert (", expression=True)
    assert one.problem == "missing ) at 9"
    assert matches(one, "expert 1")
    assert not matches(one, "accuracy")
    with warnings.catch_warnings(action="error"):
        one.change("[[a]", expression=True)  # Python warns of it, and a warning has no place on the screen
    assert matches(one, "an a")
    one.change("expert (", expression=False)
    assert not one.problem


def test_an_expression_that_would_take_for_ever_is_given_up() -> None:
    one, lines = Filter(), [Line(0.0, "info", "a" * 60 + "b")] * 600
    one.change("(?:a|aa)+$", expression=True)
    begun = time.perf_counter()
    assert one.matching(lines) == lines, "all, as nothing can be said of them"
    assert one.problem == "too slow"
    assert one.matching(lines) == lines
    assert time.perf_counter() - begun < 20 * SEARCH_SECONDS
    one.change("a+b", expression=True)
    assert not one.problem
    assert one.matching(lines) == lines


@pytest.mark.parametrize("size", [(80, 24), (60, 20)])
async def test_what_is_wrapped_goes_on_below_the_message(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("4")
        long = " ".join(f"word{number:02}" for number in range(30)) + " /a/path" + "/of/many/folders" * 6
        pane = app.screen.query_one(LogPane)
        await pilot.pause(0.2)  # until the run's own log has been written
        pane.show([Line(61.0, "warning", long), Line(62.0, "info", "short")])
        await until(pilot, lambda: "1:02 short" in text(app))

        def lines() -> list[str]:
            shown = text(app).splitlines()
            first = next(y for y, line in enumerate(shown) if "word00" in line)
            return shown[first : next(y for y, line in enumerate(shown) if "short" in line)]

        message = lines()[0].index("word00")
        assert len(lines()) > 3
        assert all(len(line) - len(line.lstrip()) == message for line in lines()[1:])
        assert "".join(line[message:].strip() for line in lines()).replace(" ", "") == long.replace(" ", "")
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: lines()[0].endswith("word12") or lines()[0].endswith("word11"))
        assert all(len(line) - len(line.lstrip()) == message for line in lines()[1:])
        pane.show([Line(60.0 + n, "info", long) for n in range(20)])  # with a bar that takes a column

        def indents() -> set[int]:
            goes_on = [line for line in text(app).splitlines() if "word" in line and " word00" not in line]
            return {len(line) - len(line.lstrip()) for line in goes_on}

        await until(pilot, lambda: indents() == {message})
        await pilot.press("1")
        pane.show([Line(61.0, "warning", long)])
        await until(pilot, lambda: "1:01 word00" in text(app))
        assert "word29" not in text(app), "a glance has one line for each"


@pytest.mark.parametrize("size", SIZES)
async def test_words_then_an_expression_then_a_wrong_one(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("4", "slash", *"accuracy")
        await until(pilot, lambda: "expert 1 of 2" not in text(app))
        assert "words (^r)" in text(app)
        box = app.screen.query_one("#log-filter", Input)
        box.value = r"expert [12] of 2"
        await until(pilot, lambda: "no line matches" in text(app))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "expert 2 of 2 trained" in text(app))
        assert "regex (^r)" in text(app)
        assert "^r words" in text(app).splitlines()[-1], "the line of keys says what comes next"
        box.value = "expert [12"
        await until(pilot, lambda: "unterminated character set" in text(app))
        assert "expert 2 of 2 trained" in text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "unterminated" not in text(app))
        assert isinstance(app.screen, RunScreen)
        await pilot.press("end")
        await until(pilot, lambda: "done" in text(app).splitlines()[-2] or size[1] > 30)


@pytest.mark.parametrize("size", SIZES)
async def test_lines_out_of_sight_below_are_counted(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=900, experts=40))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s", "4")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: app.screen.query_one(LogPane).below == 0)
        assert "more below" not in text(app)
        await pilot.press("k", "k", "k")
        await until(pilot, lambda: "more below · G" in text(app))
        await pilot.press("G")
        await until(pilot, lambda: "more below" not in text(app))


@pytest.mark.parametrize("size", SIZES)
async def test_of_a_log_that_fits_nothing_is_below(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=5, experts=1, epochs=1, hold=True))
    app.remembered.view = "log"
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 5)
        await until(pilot, lambda: "distill" in text(app))
        pane = app.screen.query_one(LogPane)
        pane.show([Line(1.0, "info", "the first"), Line(2.0, "info", "the last")])
        await until(pilot, lambda: "the last" in text(app))
        await pilot.pause(0.3)
        assert "more below" not in text(app)


async def at_its_end(app: DashboardApp, pilot: Pilot[Leave]) -> LogPane:
    """A run that is done, its log large and at its end, with more lines than there is room for."""
    await pilot.press("s", "4")
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    await until(pilot, lambda: "done" in within(app, app.screen.query_one("#log-lines")))
    pane = app.screen.query_one(LogPane)
    await until(pilot, lambda: pane.region.bottom == app.size.height - 1)  # the gauges of what went on are gone
    assert pane.query_one(LogLines).max_scroll_y > 0
    return pane


@pytest.mark.parametrize("keys", [["G"], ["G"] * 3, ["down"], ["pagedown"], ["end"], ["k", "G", "G"]], ids="-".join)
async def test_a_key_that_leads_to_the_end_leaves_it_followed(make_app: MakeApp, keys: list[str]) -> None:
    app = make_app(FakeEngine(iterations=300, experts=30))
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await at_its_end(app, pilot)
        for key in keys:
            await pilot.press(key)
            await until(pilot, lambda: not app._animator._animations)
        await until(pilot, lambda: "more below" not in text(app))
        await pilot.press("1")
        await until(pilot, lambda: pane.region.height == 1 and within(app, pane).endswith(" s done"))
        pane.show([*pane._all, Line(200.0, "info", "newer still")])
        await until(pilot, lambda: within(app, pane) == "3:20 newer still")
        await pilot.press("4")
        await until(pilot, lambda: pane.region.height > 1 and within(app, pane).endswith("3:20 newer still"))
        pane.show([*pane._all, Line(201.0, "info", "the newest")])
        await until(pilot, lambda: "3:21 the newest" in text(app))
        assert "more below" not in text(app)


async def test_a_glance_is_of_the_newest_line_and_the_large_log_stays_where_it_was_left(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=300, experts=30))
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await at_its_end(app, pilot)
        await pilot.press("k", "k", "k", "k")
        await until(pilot, lambda: "5 more below · G" in text(app))  # the note lies over one of them
        pane.action_roll(-1)
        pane.action_roll(1)  # before anything was painted
        left = pane.query_one(LogLines).scroll_y
        assert pane.query_one(LogLines).max_scroll_y - left == 5
        for first in "1", "2":  # straight, or by way of a view without a log
            await pilot.press(first)
            await until(pilot, lambda: app.screen.has_class("-view-log") is False)
            await pilot.press("1")
            await until(pilot, lambda: pane.region.height == 1 and within(app, pane).endswith(" s done"))
            await pilot.press("4")
            await until(pilot, lambda: "5 more below · G" in text(app))
            assert pane.query_one(LogLines).scroll_y == left
        await pilot.press("G", "1")
        await until(pilot, lambda: pane.region.height == 1 and within(app, pane).endswith(" s done"))
        await pilot.press("4")
        await until(pilot, lambda: pane.region.height > 1 and within(app, pane).endswith(" s done"))
        assert "more below" not in text(app)


async def test_keys_as_quick_as_the_lines_that_come_leave_the_log_at_its_end(make_app: MakeApp) -> None:
    """The large log is left before the move to its end was painted."""
    app = make_app(FakeEngine(iterations=300, experts=30))
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await at_its_end(app, pilot)
        pane.action_roll(-3)
        pane.action_roll(1_000_000)
        pane.enlarge(False)
        pane.show([*pane._all, Line(201.0, "info", "one more"), Line(202.0, "info", "the newest")])
        pane.enlarge(True)
        await until(pilot, lambda: "3:22 the newest" in text(app))
        assert "more below" not in text(app)


async def test_one_line_of_the_log_is_the_newest_also_where_a_filter_leaves_it_out(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await at_its_end(app, pilot)
        await pilot.press("slash", *"expert", "enter")
        await until(pilot, lambda: "done" not in within(app, pane))
        await pilot.press("1")
        await until(pilot, lambda: pane.region.height == 1 and within(app, pane).endswith(" s done"))
        app.screen.set_focus(pane.query_one(LogLines))
        await pilot.press("slash", "s")
        await until(pilot, lambda: app.screen.has_class("-view-log") and "experts" in within(app, pane))
        assert app.focused is pane.query_one("#log-filter"), "where there is room for what is typed"


async def test_the_keys_are_those_of_the_view_that_was_asked_for_at_once(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view remembered takes the keys once it is painted; another one may have been asked for by then."""
    make_run(tmp_path / "runs", "quick-s0-20260101-120000")
    listen = RunScreen.listen

    def asked_at_once(screen: RunScreen) -> None:
        assert screen.has_class("-view-log")
        listen(screen)
        screen.action_view("overview")

    monkeypatch.setattr(RunScreen, "listen", asked_at_once)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.remember(view="log")
        await until(pilot, lambda: "quick-s0" in text(app))
        await pilot.press("r", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and "accuracy" in text(app))
        await pilot.pause(0.2)
        assert not app.screen.has_class("-view-log")
        assert not isinstance(app.focused, LogLines)
