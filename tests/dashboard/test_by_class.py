"""Images of several classes: where they lie, how keys move among them, and what is said of those out of sight."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from mim4dd_tui.by_class import Placed, at_a_glance, by_class
from mim4dd_tui.dashboard.app import DashboardApp
from mim4dd_tui.dashboard.leave import Leave
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.graphics import GraphicsPane
from mim4dd_tui.dashboard.widgets.pictures_title import caption
from mim4dd_tui.dashboard.widgets.sheet import Sheet
from mim4dd_tui.graphics.choice import Graphics
from mim4dd_tui.graphics.sheet import laid, paint
from mim4dd_tui.pictures import LEAST
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine, digits
from tests.dashboard.helpers import SIZES, run_screen, text, until

VIEW = {(60, 20): (58, 15), (80, 24): (78, 19), (100, 30): (98, 25), (160, 48): (158, 43)}
"""Cells for images where they alone are seen, by the size of the terminal."""
PAIR = 2.125
"""Width of an image beside its start."""


def sheet(each: int, classes: int = 10, names: tuple[str, ...] = ()) -> Sheet:
    images, start = (np.resize(np.repeat(digits(s), each, axis=0), (classes * each, 8, 8, 1)) for s in (1.0, 0.1))
    return Sheet(images, "iteration 30", classes, each, "clipped to 0..1", names, start, "noise")


def rows_of(placed: Placed) -> list[list[int | None]]:
    n = placed.grid.columns
    return [placed.places[start : start + n] for start in range(0, len(placed.places), n)]


@given(
    classes=st.integers(1, 120),
    each=st.integers(2, 60),
    pair=st.booleans(),
    columns=st.integers(4, 200),
    rows=st.integers(2, 60),
)
def test_a_row_holds_whole_classes_apart_or_an_equal_part_of_one(
    classes: int, each: int, pair: bool, columns: int, rows: int
) -> None:
    shape = (8, round(8 * PAIR) if pair else 8)
    placed = by_class(classes, each, shape, columns, rows)
    grid = placed.grid
    assert [number for number in placed.places if number is not None] == list(range(classes * each))
    if shape[1] * LEAST / 8 > columns:
        return  # nothing is as small as that
    assert grid.columns * (grid.width + grid.gap) - grid.gap <= columns
    assert grid.rows * (grid.height + grid.gap) - grid.gap <= 2 * rows
    assert min(grid.width, grid.height) >= LEAST
    parts = set()
    for row in rows_of(placed):
        for left, right in pairwise(row):
            assert left is None or right is None or left // each == right // each, "two classes touch"
        begins = [number for number in row if number is not None]
        assert begins[0] % each == 0 or len(row) == grid.columns
        assert begins[0] // each == begins[-1] // each or not placed.heads
        parts.add(sum(number // each == begins[0] // each for number in begins))
    assert len(parts) == 1, "the rows of a class are equally long, so that the next one begins with a row"
    assert each % parts.pop() == 0


async def finished(app: DashboardApp, pilot: Pilot[Leave], view: str) -> GraphicsPane:
    """The pane of pictures in a view of a run that has ended."""
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
    await pilot.press(view)
    await until(pilot, lambda: "iteration 30" in text(app))
    return app.screen.query_one(GraphicsPane)


@pytest.mark.parametrize("size", [param.values[0] for param in SIZES])
@pytest.mark.parametrize(
    ("classes", "each", "most"), [(10, 10, 10), (100, 10, 10), (10, 50, 25), (100, 50, 25)], ids=str
)
def test_a_class_is_a_row_or_rows_and_a_page_that_has_room_for_it_does_not_end_within_it(
    classes: int, each: int, most: int, size: tuple[int, int]
) -> None:
    placed = by_class(classes, each, (32, 32), *VIEW[size])
    grid = placed.grid
    assert grid.columns in (most, 10) or not placed.heads
    if grid.shown >= each:
        pages = [placed.places[start : start + grid.shown] for start in range(0, len(placed.places), grid.shown)]
        assert all(page[0] is not None and page[0] % each == 0 for page in pages)


def test_images_are_as_large_as_the_number_of_pages_allows() -> None:
    grid = by_class(10, 10, (8, 8), 78, 19).grid
    assert (grid.columns, grid.rows, grid.width) == (10, 5, 6), "seven rows of 4 pixels would take two pages too"
    assert by_class(10, 10, (8, 8), 158, 43).whole


def test_small_classes_share_rows_where_the_room_would_be_empty_else() -> None:
    placed = by_class(10, 2, (8, 8), 78, 19)
    assert rows_of(placed)[0] == [0, 1, None, 2, 3, None, 4, 5]
    assert (placed.whole, placed.heads) == (True, False)


def test_at_a_glance_there_is_one_of_every_class_where_not_all_fit() -> None:
    placed = at_a_glance(10, 10, (8, 8), 36, 7)
    shown = placed.grid.shown
    pages = [placed.places[start : start + shown] for start in range(0, len(placed.places), shown)]
    for number, page in enumerate(pages):
        assert [image for image in page if image is not None] == list(range(number, 100, 10))
    assert at_a_glance(10, 10, (8, 8), 158, 43) == by_class(10, 10, (8, 8), 158, 43)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("graphics", [Graphics.OFF, Graphics.KITTY])
async def test_keys_move_along_a_class_and_between_classes_as_they_are_seen(
    make_app: MakeApp, size: tuple[int, int], graphics: Graphics
) -> None:
    app = make_app(FakeEngine(iterations=30), graphics=graphics)
    app.cell = (10, 20)
    async with app.run_test(size=size) as pilot:
        pane = await finished(app, pilot, "3")
        pane.show(sheet(10))
        for keys, name in (
            (["right"], "class 0, 2 of 10"),
            (["j"], "class 1, 2 of 10"),
            (["j", "j", "j"], "class 4, 2 of 10"),
            (["j"] * 7, "class 9, 2 of 10"),
            (["k"], "class 8, 2 of 10"),
            (["h", "h"], "class 7, 10 of 10"),
            (["k"] * 9, "class 0, 10 of 10"),
            (["h"] * 12, "class 0, 1 of 10"),
        ):
            await pilot.press(*keys)
            await until(pilot, lambda name=name: f"{name} chosen" in text(app))  # type: ignore[misc]
            assert pane.selected in pane._seen()[1]
        await pilot.press(*["j"] * 8, "enter")
        await until(pilot, lambda: pane.extent == "class" and "class 8, 1 of 10" in text(app))
        assert pane.selected in pane._seen()[1]
        await pilot.press("escape")
        await until(pilot, lambda: pane.extent == "all" and pane.selected in pane._seen()[1])
        await pilot.press(*["k"] * 8)
        begins = [line.split()[0] for line in text(app).splitlines() if line.strip()[:1].isdigit()]
        seen = pane._seen()[1]
        assert begins == [str(label) for label in range(10) if label * 10 in seen]
        await pilot.press("o")
        await until(pilot, lambda: "left: noise" in text(app))
        assert pane.selected == 0
        assert [number for number in pane._order if number is not None] == list(range(100))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_overview_says_how_many_of_all_images_it_shows(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=size) as pilot:
        pane = await finished(app, pilot, "1")
        pane.show(sheet(10))
        await until(pilot, lambda: "images  iteration 30  1-10 of 100" in text(app))
        pane.focus()
        assert pane._grid is not None
        await pilot.press(*["j"] * pane._grid.rows)
        await until(pilot, lambda: "class 0, 2 of 10" in text(app))
        assert pane._seen()[1] == list(range(1, 100, 10)), "below the first of every class are the second ones"
        await pilot.press("3")
        await until(pilot, lambda: pane._order[:10] == list(range(10)))


@pytest.mark.parametrize(
    ("room", "name", "told"),
    [
        (80, "", ["iteration 50", "1-10 of 100", "left: noise it started from", "clipped"]),
        (60, "", ["iteration 50", "1-10 of 100", "left: noise it started from"]),
        (44, "", ["iteration 50", "1-10 of 100", "left: noise"]),
        (30, "", ["iteration 50", "1-10 of 100"]),
        (25, "", ["at 50", "1-10 of 100"]),
        (21, "", ["at 50", "1-10 of 100"]),
        (17, "", ["iteration 50"]),
        (50, "class 2", ["class 2 chosen", "at 50", "1-10 of 100", "left: noise"]),
        (36, "class 2", ["class 2 chosen", "at 50", "1-10 of 100"]),
    ],
)
def test_what_is_out_of_sight_is_said_before_how_contrast_was_treated(room: int, name: str, told: list[str]) -> None:
    start = np.zeros((100, 8, 8, 1), dtype=np.uint8)
    shown = Sheet(start, "iteration 50", 10, 10, "clipped", start=start, origin="noise")
    said = caption(shown, room, name=name, chosen=True, seen=(0, 10, 100), beside=True, playing=False)
    assert said == told
    later = caption(shown, 30, name="", chosen=True, seen=(10, 20, 100), beside=False, playing=False)
    assert later == ["iteration 50", "11-20 of 100"]


async def test_what_they_started_from_is_shown_beside_the_page_that_is_seen(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await finished(app, pilot, "3")
        pane.show(sheet(10))
        await until(pilot, lambda: "of 100" in text(app))
        await pilot.press("n")
        await until(pilot, lambda: pane.first > 0)
        seen = pane._seen()[1][0]
        assert pane.selected not in pane._seen()[1]
        for _ in range(2):
            await pilot.press("o")
            await until(pilot, lambda: seen in pane._seen()[1] and pane._rows is not None)


async def test_rows_are_called_by_their_classes_where_columns_are_left(make_app: MakeApp) -> None:
    app = make_app(FakeEngine(iterations=30))
    names = ("airplane", "automobile", "bird", "cat")
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await pilot.press("3")
        await until(pilot, lambda: "iteration 30" in text(app))
        pane = app.screen.query_one(GraphicsPane)
        pane.show(sheet(4, 4, names))
        for width, heads in ((60, names), (44, names), (36, ("0", "1", "2", "3")), (30, ())):
            pane.styles.width = width
            await until(pilot, lambda width=width: pane.content_size.width == width - 2 and bool(pane._rows))  # type: ignore[misc]
            assert tuple(pane._heads.values()) == heads
            assert pane._grid is not None
            taken = pane._grid.columns * (pane._grid.width + pane._grid.gap) - pane._grid.gap
            assert pane._left + taken <= pane.content_size.width
            assert all(name in text(app) for name in heads)


def test_pixels_have_an_empty_place_where_characters_have_one() -> None:
    placed = by_class(10, 2, (8, 8), 78, 19)
    layout = laid(lambda across, down: by_class(10, 2, (8, 8), across, down).grid, 78, 19, (10, 20))
    assert layout.grid.columns == placed.grid.columns
    places = [place for place, number in enumerate(placed.places) if number is not None]
    page = paint(np.full((20, 8, 8, 1), 200, dtype=np.uint8), layout, (0, 0, 1), places=places)
    grid = layout.grid
    for place in range(len(placed.places)):
        row, column = divmod(place, grid.columns)
        y, x = row * (grid.height + grid.gap), column * (grid.width + grid.gap)
        assert (page[y + 1, x + 1] == (200 if place in places else (0, 0, 1))).all(), place
