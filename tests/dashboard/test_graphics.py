"""Pictures by kitty graphics and sixel: what is written decodes to the pixels, stands where it should, and goes."""

from __future__ import annotations

import os
import pty
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.color import Color, ColorSystem
from textual.pilot import Pilot

from mim4dd_tui.dashboard.app import DashboardApp, Leave
from mim4dd_tui.dashboard.remembered import Remembered
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.graphics import GraphicsPane
from mim4dd_tui.graphics import kitty
from mim4dd_tui.graphics import sixel as sixels
from mim4dd_tui.graphics.choice import Graphics, cell_pixels, named, refusal
from mim4dd_tui.graphics.easel import Easel
from mim4dd_tui.graphics.sheet import lay, paint
from mim4dd_tui.terminal import Colours
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.drawn import SIXEL, Kitty, Pixels, sixel
from tests.dashboard.fake import FakeEngine, digits
from tests.dashboard.helpers import SIZES, run_screen, text, until

DRAW = np.random.default_rng(0)


def noise(height: int, width: int) -> Pixels:
    return DRAW.integers(0, 256, (height, width, 3), dtype=np.uint8)


# ---- encodings


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 100)])
@pytest.mark.parametrize("tmux", [False, True])
def test_kitty_commands_carry_the_very_pixels(size: tuple[int, int], tmux: bool) -> None:
    pixels, terminal = noise(*size), Kitty()
    sent = kitty.transmit(77, size[::-1], kitty.packed(pixels), (4, 3), tmux=tmux)
    terminal.feed(sent, tmux=tmux)
    assert (terminal.images[77] == pixels).all()
    assert terminal.places == {77: (4, 3)}
    assert terminal.silent, "the terminal's answers would be taken for typing"
    blind = Kitty()
    blind.feed(sent, tmux=not tmux)
    assert not blind.images
    terminal.feed(kitty.forget(77, tmux=tmux), tmux=tmux)
    assert not terminal.images


def test_placeholders_are_one_column_wide_and_differ() -> None:
    assert kitty.LARGEST == 297
    cells = {kitty.placeholder(row, column) for row in range(0, 297, 9) for column in range(297)}
    assert len(cells) == 33 * 297
    assert {cell_len(cell) for cell in cells} == {1}
    assert kitty.placeholder(0, 1) == "\U0010eeee\u0305\u030d"
    assert kitty.placeholder(4, 296) == "\U0010eeee\u0312\U0001d244"


def test_a_picture_has_the_number_that_its_colour_spells_on_the_wire() -> None:
    for entry in kitty.NUMBERS:
        red, green, blue = kitty.palette_colour(entry)
        sent = Color.from_rgb(red, green, blue)
        assert sent.downgrade(ColorSystem.EIGHT_BIT).number == entry
        assert kitty.picture_number(entry, true_colour=False) == entry
        assert kitty.picture_number(entry, true_colour=True) == int(f"{red:02x}{green:02x}{blue:02x}", 16)


@pytest.mark.parametrize("size", [(1, 1), (6, 3), (13, 40), (48, 200)])
def test_sixel_paints_every_pixel_of_a_grey_picture(size: tuple[int, int]) -> None:
    pixels = np.repeat(DRAW.integers(0, 256, (*size, 1), dtype=np.uint8), 3, axis=2)
    found = sixel(sixels.encode(pixels))
    assert found.shape == pixels.shape
    assert np.abs(found.astype(int) - pixels).max() <= 2  # sixel counts colours in hundredths


def test_sixel_keeps_few_colours_and_serves_many_well() -> None:
    few = np.array([[255, 0, 0], [0, 128, 255], [10, 200, 90]], dtype=np.uint8)[DRAW.integers(0, 3, (20, 31))]
    assert np.abs(sixel(sixels.encode(few)).astype(int) - few).max() <= 2
    ramp = np.stack(np.meshgrid(np.arange(0, 256, 4), np.arange(0, 256, 4)), axis=-1)
    many = np.concatenate([ramp, 255 - ramp[..., :1]], axis=-1).astype(np.uint8)
    assert np.abs(sixel(sixels.encode(many)).astype(int) - many).mean() < 10


def test_enlarged_pixels_cost_little_in_sixel() -> None:
    small = np.repeat(DRAW.integers(0, 256, (16, 40, 1), dtype=np.uint8), 3, axis=2)
    large = small.repeat(12, axis=0).repeat(12, axis=1)
    assert (sixel(sixels.encode(large)) == sixel(sixels.encode(small)).repeat(12, axis=0).repeat(12, axis=1)).all()
    assert len(sixels.encode(large)) < large.size / 10


def test_grey_keeps_brightness() -> None:
    out = sixels.grey(np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8))
    assert out.tolist() == [[[76] * 3, [150] * 3]]


def test_names_come_back_only_after_all_others() -> None:
    easel, taken = Easel(true_colour=True), []
    for _ in range(200):
        taken.append(easel.take(tmux=False))
        if len(taken) > 2:
            terminal = Kitty(images={easel.number(taken[-3]): noise(1, 1)})
            terminal.feed(easel.drop(taken[-3]))
            assert not terminal.images
    assert all(len(set(taken[i : i + 5])) == 5 for i in range(190))
    assert easel.farewell().count("a=d") == 2
    assert easel.farewell() == ""
    assert easel.drop(taken[-1]) == ""


# ---- layout


@pytest.mark.parametrize("cell", [(10, 20), (7, 15), (2, 4), (24, 50)])
@pytest.mark.parametrize("space", [(78, 20), (40, 9), (20, 4), (156, 44)])
@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_sheet_covers_whole_cells_and_every_place_is_found(
    cell: tuple[int, int], space: tuple[int, int], count: int
) -> None:
    layout = lay(count, (8, 8), *space, cell)
    assert layout.columns <= space[0]
    assert layout.rows <= space[1]
    images = np.full((min(count, layout.grid.shown), 8, 8, 1), 200, dtype=np.uint8)
    sheet = paint(images, layout, (0, 0, 1))
    assert sheet.shape == (layout.rows * cell[1], layout.columns * cell[0], 3)
    grid = layout.grid
    for place in range(len(images)):
        row, column = divmod(place, grid.columns)
        y, x = row * (grid.height + grid.gap), column * (grid.width + grid.gap)
        assert (sheet[y : y + grid.height, x : x + grid.width] == 200).all(), place
        middle = (x + grid.width / 2) / cell[0], (y + grid.height / 2) / cell[1]
        assert layout.place(*middle) == place
    assert layout.place(-0.5, 0) is None


def test_a_frame_touches_no_other_picture() -> None:
    layout = lay(10, (8, 8), 78, 20, (10, 20))
    images = np.full((10, 8, 8, 1), 200, dtype=np.uint8)
    plain, framed = paint(images, layout, (0, 0, 0)), paint(images, layout, (0, 0, 0), (4, (1, 2, 3)))
    changed = np.argwhere((plain != framed).any(axis=2))
    assert len(changed)
    assert {tuple(colour) for colour in framed[tuple(changed.T)]} == {(1, 2, 3)}
    grid = layout.grid
    for place in set(range(10)) - {4}:
        row, column = divmod(place, grid.columns)
        y, x = row * (grid.height + grid.gap), column * (grid.width + grid.gap)
        assert (framed[y : y + grid.height, x : x + grid.width] == 200).all()


# ---- what can be used where


@pytest.mark.parametrize(
    ("wanted", "change", "environ", "word"),
    [
        (Graphics.KITTY, {"term": "linux"}, {}, "linux"),
        (Graphics.SIXEL, {"term": "vt100"}, {}, "characters alone"),
        (Graphics.KITTY, {"term": "screen-256color"}, {}, "GNU screen"),
        (Graphics.SIXEL, {"term": "tmux-256color"}, {"TMUX": "x"}, "kitty-tmux"),
        (Graphics.KITTY, {"term": "screen-256color"}, {"TMUX": "x"}, "kitty-tmux"),
        (Graphics.KITTY_TMUX, {}, {}, "not tmux"),
        (Graphics.KITTY, {"unicode": False}, {}, "locale"),
        (Graphics.KITTY, {"no_color": True}, {}, "NO_COLOR"),
        (Graphics.KITTY, {"colours": Colours.BASIC}, {}, "16"),
        (Graphics.OFF, {"term": "linux"}, {}, ""),
        (Graphics.KITTY, {}, {}, ""),
        (Graphics.KITTY, {"colours": Colours.PALETTE}, {}, ""),
        (Graphics.KITTY_TMUX, {"term": "screen-256color"}, {"TMUX": "x"}, ""),
        (Graphics.SIXEL, {"unicode": False, "no_color": True, "colours": Colours.BASIC}, {}, ""),
    ],
)
def test_a_refusal_says_why(wanted: Graphics, change: dict[str, Any], environ: dict[str, str], word: str) -> None:
    why = refusal(wanted, replace(RICH, **change), environ, cell=(10, 20))
    assert word in why
    assert bool(why) is bool(word)


def test_sixel_needs_the_measure_of_a_cell() -> None:
    assert "pixels" in refusal(Graphics.SIXEL, RICH, {}, cell=None)


def test_names_of_choices() -> None:
    assert [named(each.value) for each in Graphics] == list(Graphics)
    assert named(" Kitty ") is Graphics.KITTY
    assert named("iterm") is None


@pytest.mark.parametrize(
    ("size", "expected"),
    [((24, 80, 800, 480), (10, 20)), ((24, 80, 0, 0), None), ((24, 80, 80, 24), None), ((0, 0, 0, 0), None)],
)
def test_a_cell_is_measured_without_asking_the_terminal(
    size: tuple[int, int, int, int], expected: tuple[int, int] | None
) -> None:
    import fcntl
    import termios

    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
        assert cell_pixels(slave) == expected
    finally:
        os.close(slave)
        os.close(master)
    assert cell_pixels(slave) is None


# ---- in the dashboard


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


async def test_kitty_pictures_go_with_what_showed_them(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await watching(app, pilot)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        first = set(named_cells(app))
        await pilot.press("comma")
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)) and set(named_cells(app)) != first)
        await pilot.press("comma")
        await until(pilot, lambda: "iteration 10" in text(app) and first.isdisjoint(wire.kitty.images))
        await pilot.press("2")
        await until(pilot, lambda: "iterations a minute" in text(app))
        assert named_cells(app) == {}
        await pilot.press("3", "question_mark")
        await until(pilot, lambda: "Write a checkpoint now" in text(app))
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
async def test_sixel_pictures_are_painted_over_blank_cells(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = (8, 16)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=size) as pilot:
        pane = await watching(app, pilot)
        await until(pilot, lambda: bool(wire.sixels) and pane._made is not None and pane._made.plan is pane._plan)
        row, column, pixels = wire.sixels[-1]
        assert pane._plan is not None
        layout = pane._plan.layout
        assert (row, column) == (pane._place.y, pane._place.x)
        assert pixels.shape == (layout.rows * 16, layout.columns * 8, 3)
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
        await until(pilot, lambda: "Write a checkpoint now" in text(app))
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


async def test_the_mouse_finds_pictures_in_pixels(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.KITTY)
    app.cell = (10, 20)
    wire = Wire(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await watching(app, pilot)
        await until(pilot, lambda: whole(wire.kitty, named_cells(app)))
        assert pane._plan is not None
        grid = pane._plan.layout.grid
        step = (grid.width + grid.gap) / 10
        await pilot.click(GraphicsPane, offset=(int(1 + pane._left + step * 2.5), 2))
        assert pane.selected == 2


async def test_what_cannot_be_is_said_and_characters_are_drawn(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=Graphics.SIXEL)
    app.cell = None
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: "no sixel here" in text(app))
        assert app.graphics is Graphics.OFF
        await watching(app, pilot)
        await until(pilot, lambda: "▀" in text(app))


async def test_the_key_goes_through_what_is_possible_and_remembers_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(FakeEngine(iterations=30))
    app.cell = (8, 16)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        ways = []
        for _ in range(4):
            await pilot.press("P")
            ways.append(app.graphics)
        assert ways == [Graphics.KITTY, Graphics.SIXEL, Graphics.OFF, Graphics.KITTY]
        await until(pilot, lambda: "this is not tmux" in text(app))
    assert Remembered.load().graphics == "kitty"
    again = make_app(FakeEngine(iterations=30))
    async with again.run_test(size=(80, 24)):
        assert again.graphics is Graphics.KITTY
    monkeypatch.setenv("TERM", "foot")
    elsewhere = make_app(FakeEngine(iterations=30))
    async with elsewhere.run_test(size=(80, 24)):
        assert elsewhere.graphics is Graphics.OFF, "a choice for one terminal was taken for another"
