"""Pictures by kitty graphics and sixel: what is written decodes to the pixels, stands where it should, and goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from mim4dd_tui.dashboard import pixels
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.graphics import GraphicsPane
from mim4dd_tui.graphics import kitty
from mim4dd_tui.graphics.choice import Graphics
from mim4dd_tui.graphics.sheet import paint
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.drawn import SIXEL, Kitty, Pixels, sixel
from tests.dashboard.fake import FakeEngine, digits
from tests.dashboard.helpers import SIZES, run_screen, text, told, until, words


class Wire:
    """All that an app sent past the frames, in order."""

    def __init__(self, app: DashboardApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        monkeypatch.setattr(app, "emit", self.sent.append)

    @property
    def kitty(self) -> Kitty:
        terminal = Kitty()
        terminal.feed("".join(self.sent))
        return terminal

    @property
    def sixels(self) -> list[tuple[int, int, Pixels]]:
        """Row and column (from 0) and pixels of every picture painted."""
        return [(int(f[1]) - 1, int(f[2]) - 1, sixel(f[3])) for f in SIXEL.finditer("".join(self.sent))]


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def watching(app: DashboardApp, pilot: Pilot[Leave], view: str = "3") -> GraphicsPane:
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    await pilot.press(view)
    await until(pilot, lambda: "iteration 30" in text(app))
    return app.screen.query_one(GraphicsPane)


def named_cells(app: DashboardApp) -> dict[int, set[tuple[int, int]]]:
    """Rows and columns of every picture that the screen's cells name, by the picture's number."""
    out: dict[int, set[tuple[int, int]]] = {}
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if kitty.PLACEHOLDER in segment.text:
                assert segment.style is not None
                assert segment.style.color is not None
                triplet = segment.style.color.triplet
                assert triplet is not None
                row, column = segment.text[1], segment.text[2]
                number = triplet.red << 16 | triplet.green << 8 | triplet.blue
                out.setdefault(number, set()).add((kitty.MARKS.index(row), kitty.MARKS.index(column)))
    return out


def whole(terminal: Kitty, cells: dict[int, set[tuple[int, int]]]) -> bool:
    """Whether the cells show one whole picture that the terminal holds."""
    if len(cells) != 1:
        return False
    ((number, shown),) = cells.items()
    if number not in terminal.places:
        return False
    columns, rows = terminal.places[number]
    return shown == {(row, column) for row in range(rows) for column in range(columns)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", ["1", "3"])
async def test_kitty_pictures_stand_whole_and_are_what_the_snapshot_holds(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], view: str
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    app.cell = (10, 20)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=size) as pilot:
        pane = await watching(app, pilot, view)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        assert pane._plan is not None
        layout = pane._plan.layout
        (number,) = named_cells(app)
        shown = wire.kitty.images[number]
        expected = paint(digits(1.0), layout, app_background(app), pane._plan.frame)
        assert (shown == expected).all()
        assert shown.shape == (layout.rows * 20, layout.columns * 10, 3)
        assert len(wire.kitty.images) <= 2
        assert "▀" not in text(app)


def app_background(app: DashboardApp) -> tuple[int, int, int]:
    return app.screen.query_one(GraphicsPane)._colour("background")


@pytest.mark.parametrize("size", SIZES)
async def test_kitty_pictures_go_with_what_showed_them(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=size) as pilot:
        await watching(app, pilot)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        first = set(named_cells(app))
        await pilot.press("comma")
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)) and set(named_cells(app)) != first)
        await pilot.press("comma")
        await until(pilot, lambda: "iteration 10" in text(app) and first.isdisjoint(wire.kitty.images))
        await pilot.press("2")
        await until(pilot, lambda: "step size" in text(app))
        assert named_cells(app) == {}
        await pilot.press("3", "question_mark")
        await until(pilot, lambda: "The image to the left" in text(app))
        # what shines through a dialog is recoloured, and would name no picture
        await until(pilot, lambda: kitty.PLACEHOLDER not in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        await pilot.press("P")
        await until(pilot, lambda: "▀" in text(app) and not wire.kitty.images)
        assert named_cells(app) == {}


async def test_a_resize_sends_the_picture_anew(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await watching(app, pilot)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        before = wire.kitty.places[next(iter(named_cells(app)))]
        await pilot.resize_terminal(120, 40)
        await until(
            pilot,
            lambda: whole(wire.kitty, named_cells(app)) and wire.kitty.places[next(iter(named_cells(app)))] > before,
        )


async def test_another_run_leaves_nothing_behind(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await watching(app, pilot)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        path = run_screen(app).path
        assert path is not None
        app.session = None  # so that it is opened from its folder
        await pilot.press("escape")
        await until(pilot, lambda: named_cells(app) == {})
        from engine.runs.folder import RunFolder

        for _ in range(3):
            app.open_run(RunFolder(path))
            await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, RunScreen))
        assert len(wire.kitty.images) <= 2, "only the run of this process keeps its screen"
    farewell = app.easel.farewell()
    left = wire.kitty
    left.feed(farewell)
    assert not left.images


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [(8, 16), pytest.param((40, 80), id="in parts")])
async def test_sixel_pictures_are_painted_over_blank_cells(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], cell: tuple[int, int]
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = cell
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=size) as pilot:
        pane = await watching(app, pilot)
        await until(pilot, lambda: bool(wire.sixels) and pane._made is not None and pane._made.plan is pane._plan)
        assert pane._plan is not None
        assert pane._made is not None
        layout, parts = pane._plan.layout, wire.sixels[-len(pane._made.parts) :]
        row, column, _ = parts[0]
        assert (row, column) == (pane._place.y, pane._place.x)
        assert (len(parts) > 1) is (max(layout.size) > 1000)
        pixels = np.zeros((layout.rows * cell[1], layout.columns * cell[0], 3), np.uint8)
        for down, across, part in parts:
            y, x = (down - row) * cell[1], (across - column) * cell[0]
            pixels[y : y + part.shape[0], x : x + part.shape[1]] = part
        assert row + layout.rows < size[1], "the last line would make the terminal scroll"
        expected = paint(digits(1.0), layout, app_background(app), pane._plan.frame)
        assert np.abs(pixels.astype(int) - expected).mean() < 8
        lines = text(app).splitlines()[row : row + layout.rows]
        assert all(not line[column : column + layout.columns].strip() for line in lines)


async def test_sixel_pictures_wait_while_something_lies_over_them(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = (8, 16)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        pane = await watching(app, pilot)
        await until(pilot, lambda: bool(wire.sixels) and pane._made is not None and pane._made.plan is pane._plan)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Evaluate the synthetic set now" in text(app))
        count = len(wire.sixels)
        app.screen.refresh()
        await pilot.pause(0.2)
        assert len(wire.sixels) == count, "painted over a dialog"
        await pilot.press("escape")
        await until(pilot, lambda: len(wire.sixels) > count)
        app.notify("something to be told\n" + "on and on\n" * 9, timeout=60)
        await until(pilot, lambda: "to be told" in text(app))
        count = len(wire.sixels)
        await pilot.press("comma")
        await until(pilot, lambda: "iteration 20" in text(app) and pane._made is not None)
        await until(pilot, lambda: pane._made is not None and pane._made.plan is pane._plan)
        assert len(wire.sixels) == count, "painted over a notice"
        app.clear_notifications()
        await until(pilot, lambda: len(wire.sixels) > count)
        count = len(wire.sixels)
        await pilot.press("2")
        await until(pilot, lambda: "iterations a minute" in text(app))
        await pilot.pause(0.2)
        assert len(wire.sixels) == count, "painted over another view"


async def test_a_sixel_picture_is_not_sent_for_frames_that_do_not_touch_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = (8, 16)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await watching(app, pilot, "1")
        await until(pilot, lambda: bool(wire.sixels) and pane._made is not None and pane._made.plan is pane._plan)
        await pilot.pause(0.3)
        count = len(wire.sixels)
        for name in ("losses", "accuracy"):  # left of it and below it: the frame's bounding box holds the picture
            app.screen.query_one(f"#{name}").refresh()
        await pilot.pause(0.3)
        assert len(wire.sixels) == count
        pane.refresh()
        await until(pilot, lambda: len(wire.sixels) > count)


async def test_no_color_makes_sixel_grey(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL, abilities=replace(RICH, no_color=True))
    app.cell = (8, 16)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await watching(app, pilot)
        await until(pilot, lambda: bool(wire.sixels))
        pixels = wire.sixels[-1][2]
        assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("size", SIZES)
async def test_the_mouse_finds_pictures_in_pixels(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    app.cell = (10, 20)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=size) as pilot:
        pane = await watching(app, pilot)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        assert pane._plan is not None
        grid = pane._plan.layout.grid
        step = (grid.width + grid.gap) / 10
        await pilot.click(GraphicsPane, offset=(int(1 + pane._left + step * 2.5), 2))
        assert pane.selected == 2


@pytest.mark.parametrize("size", SIZES)
async def test_what_cannot_be_is_said_and_characters_are_drawn(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = None
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: "no sixel here" in words(app))
        assert app.graphics is Graphics.OFF
        await watching(app, pilot)
        await until(pilot, lambda: "▀" in text(app))


async def test_the_way_of_drawing_reaches_a_run_that_is_not_seen(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30, hold=True))
    app.cell = (8, 16)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 30)
        pane = app.screen.query_one(GraphicsPane)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RunScreen))
        await pilot.press("a", "P", "l")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.graphics is Graphics.KITTY
        await until(pilot, lambda: pane.graphics is app.graphics and pane.mode is app.picture_mode)


async def test_another_font_has_other_cells(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = (10, 20)
    async with app.run_test(size=(100, 30)) as pilot:
        await watching(app, pilot)
        pane = app.screen.query_one(GraphicsPane)
        assert pane.cell == (10, 20)
        monkeypatch.setattr(pixels, "cell_pixels", lambda: (5, 10))
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: pane.cell == (5, 10))


@pytest.mark.parametrize("size", SIZES)
async def test_the_key_goes_through_what_is_possible_and_remembers_it(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=30))
    app.cell = (8, 16)
    async with app.run_test(size=size, notifications=True) as pilot:
        ways = []
        for _ in range(4):
            await pilot.press("P")
            ways.append(app.graphics)
        assert ways == [Graphics.KITTY, Graphics.SIXEL, Graphics.OFF, Graphics.KITTY]
        await until(pilot, lambda: "pictures: kitty" in told(app))
        assert "sixel" not in told(app), "what the presses before said is still there"
        await pilot.press("a")
        await until(pilot, lambda: "pictures are sent as pixels; as characters (P) they are ASCII now" in told(app))
        await pilot.press("a")
        await until(pilot, lambda: "they are half-blocks in" in told(app))
    assert Remembered.load().graphics == "kitty"
    again = make_app(FakeEngine(iterations=30))
    async with again.run_test(size=size):
        assert again.graphics is Graphics.KITTY
    monkeypatch.setenv("TERM", "foot")
    elsewhere = make_app(FakeEngine(iterations=30))
    async with elsewhere.run_test(size=size):
        assert elsewhere.graphics is Graphics.OFF, "a choice for one terminal was taken for another"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("term", "passed"), [("foot", "kitty graphics: foot (TERM) has none"), ("xterm-256color", "")])
async def test_the_picture_is_seen_beside_the_notice_that_tells_of_it(
    make_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, term: str, passed: str
) -> None:
    monkeypatch.setenv("TERM", term)
    app = make_app(FakeEngine(iterations=30), abilities=replace(RICH, term=term))
    app.cell = (9, 18)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=size, notifications=True) as pilot:
        await watching(app, pilot)
        await pilot.press("o")
        while app.graphics is not Graphics.SIXEL:
            await pilot.press("P")
        await until(pilot, lambda: "pictures: sixel; if nothing is seen" in told(app))
        await until(pilot, lambda: bool(wire.sixels))
        assert "pictures: sixel" in told(app), "it was painted after the notice had gone"
        assert passed in told(app)
        assert "tmux" not in told(app)


async def test_inside_tmux_nobody_is_told_of_kitty_without_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX", "/nowhere,1,0")
    app = make_app(FakeEngine(iterations=30))
    app.cell = (8, 16)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("P")
        await until(pilot, lambda: "pictures: kitty graphics through tmux" in told(app))
        assert app.graphics is Graphics.KITTY_TMUX
        assert "passed over" not in told(app)
        await pilot.press("P")
        await until(pilot, lambda: "passed over sixel: inside tmux" in told(app))
