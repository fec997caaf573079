"""Pictures as pixels: what is written to the terminal, where it lies, and what can be used where."""

from __future__ import annotations

import os
import pty
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.color import Color, ColorSystem

from mim4dd_tui.graphics import kitty
from mim4dd_tui.graphics import sixel as sixels
from mim4dd_tui.graphics.choice import Graphics, cell_pixels, named, refusal
from mim4dd_tui.graphics.easel import Easel
from mim4dd_tui.graphics.sheet import lay, paint
from mim4dd_tui.terminal import Colours
from tests.dashboard.conftest import RICH
from tests.dashboard.drawn import Kitty, Pixels, sixel

DRAW = np.random.default_rng(0)


def noise(height: int, width: int) -> Pixels:
    return DRAW.integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: Pixels) -> str:
    """What paints a picture that terminals take whole."""
    ((_, _, painted),) = sixels.parts(pixels, (1, 1))
    return painted


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
    found = sixel(encoded(pixels))
    assert found.shape == pixels.shape
    assert np.abs(found.astype(int) - pixels).max() <= 2  # sixel counts colours in hundredths


def test_sixel_keeps_few_colours_and_serves_many_well() -> None:
    few = np.array([[255, 0, 0], [0, 128, 255], [10, 200, 90]], dtype=np.uint8)[DRAW.integers(0, 3, (20, 31))]
    assert np.abs(sixel(encoded(few)).astype(int) - few).max() <= 2
    ramp = np.stack(np.meshgrid(np.arange(0, 256, 4), np.arange(0, 256, 4)), axis=-1)
    many = np.concatenate([ramp, 255 - ramp[..., :1]], axis=-1).astype(np.uint8)
    assert np.abs(sixel(encoded(many)).astype(int) - many).mean() < 10


def test_enlarged_pixels_cost_little_in_sixel() -> None:
    small = np.repeat(DRAW.integers(0, 256, (16, 40, 1), dtype=np.uint8), 3, axis=2)
    large = small.repeat(12, axis=0).repeat(12, axis=1)
    assert (sixel(encoded(large)) == sixel(encoded(small)).repeat(12, axis=0).repeat(12, axis=1)).all()
    assert len(encoded(large)) < large.size / 10


@pytest.mark.parametrize("size", [(30, 50), (1000, 1000), (1200, 990), (864, 2040)])
@pytest.mark.parametrize("cell", [(10, 20), (9, 18), (24, 50)])
def test_sixel_pictures_are_cut_between_cells_where_terminals_take_no_larger_ones(
    size: tuple[int, int], cell: tuple[int, int]
) -> None:
    small = np.repeat(DRAW.integers(0, 256, (-(-size[0] // 12), -(-size[1] // 12), 1), dtype=np.uint8), 3, axis=2)
    pixels = small.repeat(12, axis=0).repeat(12, axis=1)[: size[0], : size[1]]
    whole = np.full_like(pixels, 7)
    for column, row, painted in sixels.parts(pixels, cell):
        part = sixel(painted)
        assert max(part.shape) <= 1000
        y, x = row * cell[1], column * cell[0]
        whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    assert np.abs(whole.astype(int) - pixels).max() <= 2


def test_grey_keeps_brightness() -> None:
    out = sixels.grey(np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8))
    assert out.tolist() == [[[76] * 3, [150] * 3]]


def test_more_pictures_than_names_take_the_oldest_name_again() -> None:
    easel = Easel(true_colour=True)
    taken = [easel.take(tmux=False) for _ in range(3 * len(kitty.NUMBERS))]
    assert set(taken) == set(kitty.NUMBERS)


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
        (Graphics.KITTY, {"term": "foot"}, {}, "foot (TERM) has none"),
        (Graphics.KITTY, {"term": "alacritty-direct"}, {}, "has none"),
        (Graphics.KITTY, {"term": "rxvt-unicode-256color"}, {}, "has none"),
        (Graphics.SIXEL, {"term": "foot"}, {}, ""),
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
