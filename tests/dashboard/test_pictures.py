"""Pictures as characters, in every mode a terminal may have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import BLACK

from mim4dd_tui.colours import COLOURS, FIRST, nearest
from mim4dd_tui.dashboard.palette import NearestColours, as_shown
from mim4dd_tui.dashboard.themes import DARK, LIGHT, SAFE
from mim4dd_tui.pictures import RAMP, RGB, Mode, arrange, compose, mode_for, render, resize
from mim4dd_tui.terminal import Abilities, Colours
from tests.dashboard.fake import digits


def able(colours: Colours, *, unicode: bool = True) -> Abilities:
    return Abilities("xterm", colours, False, unicode, unicode, False, "")


def test_half_blocks_hold_two_pixels_a_cell_exactly() -> None:
    sheet = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    rows = render(sheet, Mode.TRUE)
    assert len(rows) == 3
    for y, row in enumerate(rows):
        cells = [cell for cell in row for _ in cell.text]
        assert [cell.top for cell in cells] == [tuple(p) for p in sheet[2 * y].tolist()]
        assert [cell.bottom for cell in cells] == [tuple(p) for p in sheet[2 * y + 1].tolist()]


@pytest.mark.parametrize(
    ("mode", "system"), [(Mode.PALETTE, ColorSystem.EIGHT_BIT), (Mode.BASIC, ColorSystem.STANDARD)]
)
def test_reduced_colours_survive_the_terminals_own_reduction(mode: Mode, system: ColorSystem) -> None:
    """Each colour sent must be one that the palette has: two sheets' colours stay as distinct as they are."""
    sheet = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    colours = {c for row in render(sheet, mode) for cell in row for c in (cell.top, cell.bottom) if c}
    reduced = {Color.from_rgb(*c).downgrade(system).number for c in colours}
    assert len(reduced) >= 0.8 * len(colours)
    assert len(colours) <= (16 if mode is Mode.BASIC else 240)


def test_256_colours_are_near_the_truth() -> None:
    sheet = np.random.default_rng(2).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    seen = np.array([[c.top for c in row for _ in c.text] for row in render(sheet, Mode.PALETTE)])
    error = np.abs(seen.astype(int) - sheet[0::2].astype(int))
    assert error.max() <= 48
    assert error.mean() < 20


def test_sixteen_colours_keep_the_mean_brightness_by_dithering() -> None:
    for level in (40, 100, 150, 210):
        sheet = np.full((32, 32, 3), level, dtype=np.uint8)
        seen = np.array([[c.top for c in row for _ in c.text] for row in render(sheet, Mode.BASIC)], dtype=float)
        assert abs(seen.mean() - level) < 35


def test_ascii_is_brighter_where_the_picture_is() -> None:
    ramp = np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    (first, *_) = render(ramp, Mode.ASCII)
    text = first[0].text
    assert text.isascii()
    ranks = [RAMP.index(character) for character in text]
    assert ranks == sorted(ranks)
    assert (ranks[0], ranks[-1]) == (0, len(RAMP) - 1)


def test_ascii_digits_are_told_apart() -> None:
    images = digits(1.0)
    shapes = {str(render(compose(image[None], arrange(1, (8, 8), 16, 8), (0, 0, 0)), Mode.ASCII)) for image in images}
    assert len(shapes) == 10


@given(st.integers(1, 500), st.sampled_from([(8, 8), (28, 28), (32, 32)]), st.integers(1, 200), st.integers(1, 60))
def test_a_layout_always_fits_its_space(count: int, shape: tuple[int, int], columns: int, rows: int) -> None:
    grid = arrange(count, shape, columns, rows)
    width = grid.columns * grid.width + (grid.columns - 1) * grid.gap
    height = grid.rows * grid.height + (grid.rows - 1) * grid.gap
    assert grid.shown >= 1
    if columns >= 4 and rows >= 2:
        assert width <= columns
        assert height <= 2 * rows


def test_ten_classes_at_80_columns_are_all_shown() -> None:
    assert arrange(10, (8, 8), 38, 8).shown >= 10
    assert arrange(10, (28, 28), 38, 8).shown >= 10


def test_whole_factors_are_exact_and_reduction_is_the_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    assert (resize(image, 8, 8) == image.repeat(2, axis=0).repeat(2, axis=1)).all()
    half = image.reshape(2, 2, 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, 2, 2).astype(float) - half).max() <= 0.5


def test_grey_images_become_grey_pixels() -> None:
    out = resize(np.full((3, 3, 1), 77, dtype=np.uint8), 5, 5)
    assert out.shape == (5, 5, 3)
    assert (out == 77).all()


def test_the_sheet_keeps_images_apart() -> None:
    images = np.full((4, 8, 8, 1), 255, dtype=np.uint8)
    grid = arrange(4, (8, 8), 17, 9)
    sheet = compose(images, grid, (1, 2, 3))
    assert sheet.shape[0] % 2 == 0
    if grid.gap:
        assert tuple(sheet[0, grid.width]) == (1, 2, 3)


@pytest.mark.parametrize(
    ("abilities", "wanted", "expected"),
    [
        (able(Colours.TRUE), False, Mode.TRUE),
        (able(Colours.PALETTE), False, Mode.PALETTE),
        (able(Colours.BASIC), False, Mode.BASIC),
        (able(Colours.NONE), False, Mode.ASCII),
        (able(Colours.TRUE), True, Mode.ASCII),
        (able(Colours.TRUE, unicode=False), False, Mode.ASCII),
    ],
)
def test_the_mode_follows_the_terminal(abilities: Abilities, wanted: bool, expected: Mode) -> None:
    assert mode_for(abilities, ascii_wanted=wanted) is expected


def rgb(colour: str | None) -> RGB:
    red, green, blue = Color.parse(str(colour)).get_truecolor()
    return red, green, blue


def test_what_lies_between_images_is_what_surrounds_them_where_there_are_256_colours() -> None:
    for theme in (DARK, LIGHT, SAFE):
        sheet = np.empty((2, 1, 3), np.uint8)
        sheet[:] = as_shown(rgb(theme.background))
        (row,) = render(sheet, Mode.PALETTE)
        (around,) = NearestColours().apply([Segment(" ", Style(bgcolor=str(theme.background)))], BLACK)
        assert around.style is not None
        assert around.style.bgcolor is not None
        shown = around.style.bgcolor.get_truecolor()
        assert row[0].top == row[0].bottom == tuple(shown)


def test_a_pixel_has_the_colour_that_a_text_of_its_colour_has_where_there_are_256() -> None:
    """Dark and pale ones too, of which a distance that weighs red, green and blue alike finds others."""
    random = np.random.default_rng(3)
    for least, most in ((0, 256), (0, 60), (150, 256)):
        sheet = random.integers(least, most, (2, 200, 3), dtype=np.uint8)
        (row,) = render(sheet, Mode.PALETTE)
        pixels = [cell.top for cell in row for _ in cell.text]
        assert pixels == [as_shown((r, g, b)) for r, g, b in sheet[0].tolist()]


def test_the_nearest_of_256_colours_is_the_one_at_the_least_weighted_distance() -> None:
    colours = np.random.default_rng(4).integers(0, 256, (500, 3))
    mean = (colours[:, None, 0] + COLOURS[:, 0]) / 2
    weights = np.stack([2 + mean / 256, np.full_like(mean, 4), 2 + (255 - mean) / 256], axis=-1)
    apart = (weights * (colours[:, None] - COLOURS) ** 2).sum(axis=-1)
    found = apart[np.arange(len(colours)), nearest(colours) - FIRST]
    assert found == pytest.approx(apart.min(axis=1))


def test_of_256_colours_each_is_itself_and_greys_with_a_tint_stay_greys() -> None:
    for number, colour in enumerate(COLOURS.tolist(), FIRST):
        assert COLOURS[nearest(np.array(colour)) - FIRST].tolist() == colour, number
    for theme in (DARK, LIGHT, SAFE):
        for ground in (theme.background, theme.surface, theme.panel):
            shown = as_shown(rgb(ground))
            assert max(shown) - min(shown) == 0, f"{ground} of {theme.name} becomes {shown}"


def test_dark_ink_on_light_shows_what_is_bright_as_bright() -> None:
    ramp = np.repeat(np.linspace(0, 255, 20).astype(np.uint8)[None, :, None], 2, axis=0).repeat(3, axis=2)
    ((light,),), ((dark,),) = (render(ramp, Mode.ASCII, ink_is_dark=ink) for ink in (False, True))
    ink = [[RAMP.index(character) for character in cell.text] for cell in (light, dark)]
    assert ink[0] == sorted(ink[0])
    assert ink[1] == sorted(ink[1], reverse=True)
    assert light.text[0] == dark.text[-1] == " "
