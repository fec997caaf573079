"""Pictures in focus: one class, one image, beside what it started from, through time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from engine.events import Snapshot
from mim4dd_tui.dashboard.album import Album
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.snapshots import read_sheet
from mim4dd_tui.dashboard.widgets.pictures import PicturesPane
from mim4dd_tui.dashboard.widgets.sheet import Sheet, pairs
from mim4dd_tui.pictures import Cell, Grid, Mode, arrange, bracketed, compose, framed, render
from mim4dd_tui.terminal import Colours
from tests.dashboard.conftest import RICH, MakeApp
from tests.dashboard.fake import FakeEngine, digits
from tests.dashboard.helpers import SIZES, run_screen, text, until, within
from tests.dashboard.shelves import make_run


def snapshots(*iterations: int) -> list[Snapshot]:
    return [Snapshot(i, f"snapshots/{i}.npy", 10, 1, "clipped") for i in iterations]


def test_an_album_follows_the_newest_until_an_earlier_one_is_chosen() -> None:
    album = Album()
    assert not len(album)
    album.update(snapshots(0, 10))
    album.update(pages := snapshots(0, 10, 20))
    assert album.shown is pages[2]
    assert album.start is pages[0]
    album.step(-1)
    album.update(pages := snapshots(0, 10, 20, 30))
    assert album.shown is pages[1]
    assert not album.follows
    album.step(-99)
    assert album.shown is pages[0]
    album.step(99)
    album.update(pages := snapshots(0, 10, 20, 30, 40))
    assert album.shown is pages[4]


def test_an_album_holds_its_place_when_a_resumed_run_takes_snapshots_back() -> None:
    album = Album()
    album.update(snapshots(0, 10, 20, 30, 40))
    album.step(-1)
    album.update(pages := snapshots(0, 10))
    assert album.shown is pages[1]


def test_the_start_is_the_set_before_the_first_iteration_alone() -> None:
    album = Album()
    album.update(snapshots(1, 10))
    assert album.start is None


@pytest.mark.parametrize(("columns", "rows"), [(37, 6), (36, 7), (40, 5), (50, 8)])
def test_tiny_images_never_touch(columns: int, rows: int) -> None:
    grid = arrange(10, (8, 8), columns, rows)
    assert grid.shown >= 10
    assert grid.gap == 1


def test_a_frame_lies_around_its_image_and_touches_no_other() -> None:
    grid = Grid(columns=3, rows=2, width=4, height=4, gap=1)
    images = np.full((6, 4, 4, 1), 200, dtype=np.uint8)
    sheet = compose(images, grid, (0, 0, 0))
    out = framed(sheet, grid, 4, (1, 2, 3))
    changed = np.argwhere((out != sheet).any(axis=2))
    assert len(changed)
    for index in range(6):
        row, column = divmod(index, 3)
        inner = out[row * 5 : row * 5 + 4, column * 5 : column * 5 + 4]
        if index != 4:
            assert (inner == 200).all(), index


@pytest.mark.parametrize("margin", [0, 2])
@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize("side", [4, 5])
def test_brackets_stand_at_both_sides_of_their_image_and_on_no_other(gap: int, side: int, margin: int) -> None:
    grid = Grid(columns=3, rows=2, width=side, height=side, gap=gap)
    page = compose(np.full((6, side, side, 1), 255, dtype=np.uint8), grid, (0, 0, 0))
    width = page.shape[1] + 2 * margin
    rows = [[Cell(" " * margin), *row] for row in render(page, Mode.ASCII)]
    for index in range(6):
        row, column = divmod(index, 3)
        marked = ["".join(cell.text for cell in line) for line in bracketed(rows, grid, index, margin, width)]
        assert {len(line) for line in marked} == {width}
        first, last = row * (side + gap) // 2, (row * (side + gap) + side - 1) // 2
        left = margin + column * (side + gap)
        ends = max(0, left - gap), min(width - 1, left + side - 1 + gap)
        for y, line in enumerate(marked):
            inside = first <= y <= last
            assert (line.find("["), line.find("]")) == (ends if inside else (-1, -1))
            if gap and margin:  # nothing of any image is hidden
                bare = "".join(cell.text for cell in rows[y]).ljust(width)
                assert line.replace("[", " ").replace("]", " ") == bare


def shown(app: object, words: str) -> bool:
    return words in text(app)


POOR = {
    "asked for": replace(RICH),
    "no colours": replace(RICH, no_color=True, colours=Colours.NONE),
    "vt220": replace(RICH, term="vt220", colours=Colours.NONE),
    "LC_ALL=C": replace(RICH, unicode=False, braille=False),
}


@pytest.mark.parametrize("name", POOR)
async def test_in_ascii_the_chosen_image_stands_in_brackets(make_app: MakeApp, name: str) -> None:
    app = make_app(FakeEngine(iterations=30), abilities=POOR[name])
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press(*(["a"] if name == "asked for" else []), "3")
        pane = app.screen.query_one(PicturesPane)
        assert pane.mode is Mode.ASCII
        for place in range(3):
            await until(pilot, partial(shown, app, f"class {place} chosen"))
            grid = pane._grid
            assert grid is not None
            lines = [line.text for line in map(pane.render_line, range(1, pane.content_size.height))]
            places = {(line.find("["), line.rfind("]")) for line in lines if "[" in line}
            left = pane._left + place * (grid.width + grid.gap)
            assert places == {(max(0, left - 1), min(pane.content_size.width - 1, left + grid.width))}
            assert sum("[" in line for line in lines) in {grid.height // 2, grid.height // 2 + 1}
            assert within(app, pane).count("[") == sum("[" in line for line in lines), "not what the terminal gets"
            await pilot.press("right")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: pane.extent == "one" and "[" not in within(app, pane))


@pytest.mark.parametrize("size", SIZES)
async def test_one_class_one_image_and_back(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        pane = app.screen.query_one(PicturesPane)
        await until(pilot, lambda: "iteration 30" in text(app))
        start = np.repeat(digits(0.1), 3, axis=0)
        pane.show(Sheet(np.repeat(digits(1.0), 3, axis=0), "iteration 30", 10, 3, start=start, origin="noise"))
        await pilot.press(*["right"] * 6)
        await pilot.pause()
        assert "class 2, 1 of 3" in text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert (pane.extent, pane._order) == ("class", [6, 7, 8])
        await pilot.press("l", "enter")
        await pilot.pause()
        assert (pane.extent, pane._order) == ("one", [7])
        assert "class 2, 2 of 3" in text(app)
        await pilot.press("o")
        await pilot.pause()
        assert "left: noise" in text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert pane.extent == "all"
        assert isinstance(app.screen, RunScreen), "escape left the screen while an image was enlarged"


@pytest.mark.parametrize("size", SIZES)
async def test_the_real_start_stands_beside_the_image(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30), overrides=("synthetic.init=real",), preset="digits-ipc1")
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        await until(pilot, lambda: "iteration 30" in text(app))
        await pilot.press("o")
        started = "left: the real image" + (" it started from" if size[0] > 60 else "")
        await until(pilot, lambda: started in text(app))


@pytest.mark.parametrize("same", [True, False])
async def test_it_stays_there_when_the_run_goes_on(make_app: MakeApp, tmp_path: Path, same: bool) -> None:
    stopped, other = (make_run(tmp_path / "runs", name, state="stopped") for name in ("lion", "tapir"))
    app = make_app(FakeEngine(iterations=60))
    async with app.run_test(size=(80, 24)) as pilot:
        app.open_run(stopped)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).history.iteration == 50)
        read = run_screen(app)
        read.query_one(PicturesPane).beside = True
        app.resume_run(stopped if same else other)
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen is not read)
        await until(pilot, lambda: run_screen(app).state == "done")
        assert run_screen(app).query_one(PicturesPane).beside == same


@pytest.mark.parametrize("size", SIZES)
async def test_the_mouse_selects_and_the_wheel_scrubs(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        await until(pilot, lambda: "iteration 30" in text(app))
        pane = app.screen.query_one(PicturesPane)
        grid = pane._grid
        assert grid is not None
        await pilot.click(PicturesPane, offset=(1 + pane._left + grid.width + grid.gap + 1, 2))
        assert pane.selected == 1
        await pilot.click(PicturesPane, offset=(1 + pane._left + grid.width + grid.gap + 1, 2))
        assert pane.extent == "one"
        centre = (pane.size.width // 2, pane.size.height // 2)
        await pilot._post_mouse_events([MouseScrollUp], PicturesPane, offset=centre)
        await until(pilot, lambda: "iteration 20" in text(app))
        await pilot._post_mouse_events([MouseScrollDown], PicturesPane, offset=centre)
        await until(pilot, lambda: "iteration 30" in text(app))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_and_its_origin_do_not_touch(channels: int) -> None:
    """Two bright images on a sheet of another colour, at the sizes that a terminal leaves them."""
    bright = np.full((2, 28, 28, channels), 255, dtype=np.uint8)
    both = pairs(bright, bright, (10, 20, 30))
    assert both.shape == (2, 28, 59, 3)
    for scale in (8, 14, 28):
        grid = Grid(1, 1, 59 * scale // 28, scale, 1)
        row = compose(both[:1], grid, (0, 0, 0))[0, :, 0]
        assert row[0] == row[-1] == 255
        assert row.min() < 200, "the two run into one another"


@pytest.mark.parametrize(
    ("init", "formation", "origin"),
    [("real", 1, "the real image"), ("real", 2, "the real images"), ("noise", 2, "the noise")],
)
def test_an_image_that_holds_several_started_from_as_many(
    tmp_path: Path, init: str, formation: int, origin: str
) -> None:
    folder = make_run(tmp_path, "lion", synthetic__init=init, synthetic__formation=formation)
    np.save(folder.path / "it.npy", np.zeros((10, 8, 8, 1), dtype=np.uint8))
    assert read_sheet(folder, Snapshot(5, "it.npy", 10, 1, "clipped")).origin == origin


def test_an_origin_of_another_shape_is_not_set_beside() -> None:
    images = np.zeros((2, 8, 8, 1), dtype=np.uint8)
    assert pairs(np.zeros((1, 8, 8, 1), dtype=np.uint8), images, (0, 0, 0)) is images
