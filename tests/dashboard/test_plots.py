"""The braille plot: nothing lost, nothing invented, quick enough."""

from __future__ import annotations

import math
import re
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mim4dd_tui.dashboard.remembered import SMOOTHING
from mim4dd_tui.plots import Band, Figure, Level, Scale, Series, Viewport, draw, ema, short
from mim4dd_tui.plots.draw import CURSOR, DIM, Drawing, Glyphs, Stroke
from mim4dd_tui.plots.figure import Floats
from mim4dd_tui.plots.letters import length
from mim4dd_tui.plots.page import Words
from mim4dd_tui.plots.paper import lay_out
from mim4dd_tui.plots.scale import spread
from mim4dd_tui.quantities import labels


def dots(drawing: Drawing) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The lit dots of a braille drawing, as [4 * rows, 2 * columns] of the plotting area."""
    area = drawing.chars[:-1, drawing.left : drawing.right]
    rows, columns = area.shape
    out = np.zeros((rows * 4, columns * 2), dtype=bool)
    bits = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    for r in range(rows):
        for c in range(columns):
            code = ord(str(area[r, c])) - 0x2800
            if 0 < code < 256:
                for y in range(4):
                    for x in range(2):
                        out[4 * r + y, 2 * c + x] = bool(code & bits[y][x])
    return out


def line(y: Floats, **arguments: object) -> Series:
    return Series("a", np.arange(1, len(y) + 1, dtype=float), y, **arguments)  # type: ignore[arg-type]


@given(
    position=st.integers(0, 19_999),
    width=st.integers(20, 150),
    height=st.integers(5, 40),
)
def test_a_spike_of_one_sample_in_20000_is_seen_at_full_height(position: int, width: int, height: int) -> None:
    y = np.zeros(20_000)
    y[position] = 1.0
    lit = dots(draw(Figure((line(y),)), Viewport(), width, height))
    top, bottom = np.flatnonzero(lit.any(axis=1))[[0, -1]]
    assert top <= 0.1 * lit.shape[0]
    assert bottom >= 0.9 * (lit.shape[0] - 1)
    peak = np.flatnonzero(lit[top])
    expected = position / 19_999 * (lit.shape[1] - 1)
    assert np.abs(peak - expected).min() <= 1


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=300), st.integers(20, 90), st.integers(4, 24))
def test_smallest_and_largest_value_set_the_axis_and_are_drawn(values: list[float], width: int, height: int) -> None:
    drawing = draw(Figure((line(np.array(values)),)), Viewport(), width, height)
    lit = dots(drawing)
    assert lit.any()
    if max(values) - min(values) > 1e-3:
        # 4 % of air above and below
        assert lit[: max(2, lit.shape[0] // 8)].any()
        assert lit[-max(2, lit.shape[0] // 8) :].any()


def test_a_line_has_no_holes_between_its_points() -> None:
    lit = dots(draw(Figure((line(np.array([0.0, 1.0, -1.0, 0.5])),)), Viewport(), 60, 16))
    assert lit.any(axis=0).all()


def test_what_is_not_finite_is_a_gap() -> None:
    y = np.ones(1000)
    y[400:600] = math.nan
    y[500] = math.inf
    lit = np.asarray(dots(draw(Figure((line(y),)), Viewport(), 80, 10)).any(axis=0))
    columns = len(lit)
    assert lit[: int(0.39 * columns)].all()
    assert not lit[int(0.41 * columns) : int(0.59 * columns)].any()
    assert lit[int(0.61 * columns) :].all()


def test_zero_and_negative_values_are_gaps_on_a_log_axis_and_raise_nothing() -> None:
    y = np.array([0.0, -1.0, 10.0, 100.0, 0.0, 1000.0])
    drawing = draw(Figure((line(y),), (Level("l", -3.0),)), Viewport(log_y=True), 60, 12)
    assert dots(drawing).any()
    assert draw(Figure((line(np.zeros(4)),)), Viewport(log_y=True), 60, 12).chars.shape == (12, 60)


def test_a_log_axis_draws_a_power_law_as_a_straight_line() -> None:
    x = np.arange(1, 1001, dtype=float)
    lit = dots(draw(Figure((Series("a", x, x**-2),)), Viewport(log_x=True, log_y=True), 80, 20))
    centres = np.array([np.flatnonzero(lit[:, c]).mean() for c in np.flatnonzero(lit.any(axis=0))])
    straight = np.linspace(centres[0], centres[-1], len(centres))
    assert np.abs(centres - straight).max() <= 1.5


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9, 0.99, 0.999])
def test_ema_is_the_recursion_with_bias_correction(weight: float) -> None:
    values = np.random.default_rng(0).standard_normal(2000)
    values[700:720] = math.nan
    state, count, expected = 0.0, 0, []
    for value in values:
        if math.isnan(value):
            expected.append(math.nan)
            continue
        count += 1
        state = weight * state + (1 - weight) * value
        expected.append(state / (1 - weight**count))
    np.testing.assert_allclose(ema(values, weight), expected, rtol=1e-9, atol=1e-12)


def test_smoothing_does_not_depend_on_the_zoom() -> None:
    """The smoothed curve inside a zoomed view is the same function as in the whole one."""
    y = np.random.default_rng(1).standard_normal(500).cumsum()
    whole = ema(y, 0.95)
    x = np.arange(1, 501, dtype=float)
    smoothed = Series("a", x, y)
    exact = Series("a", x, whole)
    view = Viewport(x=(200.0, 230.0))
    zoomed = draw(Figure((smoothed,)), view.changed(smoothing=0.95), 60, 20)
    plain = draw(Figure((exact, Series("raw", x, y, ink=5))), view, 60, 20)
    own = {tuple(cell) for cell in np.argwhere(zoomed.inks == 1)}
    reference = {tuple(cell) for cell in np.argwhere(plain.inks == 1)}
    assert reference <= own


@given(
    value=st.floats(1e-12, 1e12),
    count=st.integers(1, 100),
    weight=st.sampled_from(SMOOTHING),
    log=st.booleans(),
)
def test_a_constant_stays_a_constant_when_it_is_smoothed(value: float, count: int, weight: float, log: bool) -> None:
    """Smoothing changes its last bits, and these are no range to draw."""
    view = Viewport(smoothing=weight, log_y=log)
    rows = np.flatnonzero(dots(draw(Figure((line(np.full(count, value)),)), view, 40, 8)).any(axis=1))
    assert rows.max() - rows.min() <= 1


@pytest.mark.parametrize(("low", "high"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_zoomed_line_is_the_same_line(low: bool, high: bool) -> None:
    """Its ends lie outside the window: it enters and leaves where it would without one."""
    x, y = np.array([1.0, 1001.0]), np.array([1.0, 1001.0])
    if low:
        x, y = np.r_[x[0], 300.0, x[1:]], np.r_[y[0], 300.0, y[1:]]
    if high:
        x, y = np.r_[x[:-1], 500.0, x[-1]], np.r_[y[:-1], 500.0, y[-1]]
    for view in (Viewport(x=(250.0, 650.0)), Viewport(x=(250.0, 650.0), log_x=True, log_y=True)):
        seen = draw(Figure((Series("a", x, y),)), view, 60, 21)
        dense = np.arange(1.0, 1002.0)
        expected = draw(Figure((Series("a", dense, dense),)), view, 60, 21)
        assert seen.left == expected.left
        near = dots(expected)
        near[1:] |= near[:-1].copy()
        near[:-1] |= near[1:].copy()
        assert dots(seen).any(axis=0).all(), "it goes from edge to edge"
        assert not (dots(seen) & ~near).any()


def test_where_a_marked_curve_crosses_the_edge_is_no_mark() -> None:
    x, flat = np.array([0.0, 100.0, 200.0, 1000.0]), np.ones(4)
    view = Viewport(x=(50.0, 250.0))
    seen = dots(draw(Figure((Series("a", x, flat, markers=True),)), view, 60, 20)).sum(axis=0)
    marked = np.flatnonzero(seen > 1)
    width = len(seen) - 1
    assert {round(c / width * 200 + 50, -1) for c in marked} == {100.0, 200.0}
    assert seen.all()


@pytest.mark.parametrize("weight", [-0.1, 1.0, 2.0])
def test_ema_refuses_an_impossible_weight(weight: float) -> None:
    with pytest.raises(ValueError, match="smoothing weight"):
        ema(np.ones(3), weight)


def test_two_axes_have_labels_in_the_inks_of_their_curves() -> None:
    x = np.arange(10, dtype=float)
    figure = Figure((Series("a", x, x), Series("b", x, 1000 * x, ink=2, side="right")))
    drawing = draw(figure, Viewport(), 60, 12)
    rows = list(drawing.rows())
    left = {ink for row in rows[:-1] for text, ink in row[:2] if text.strip().replace(".", "").isdigit()}
    right = {ink for row in rows[:-1] for text, ink in row[-1:] if text.strip().isalnum() and text.strip()}
    assert left == {1}
    assert right == {2}
    assert "k" in drawing.text() or "2000" in drawing.text()


def test_the_newest_curve_lies_on_top() -> None:
    x = np.arange(100, dtype=float)
    drawing = draw(Figure((Series("a", x, x), Series("b", x, x, ink=2))), Viewport(), 40, 10)
    lit = np.array([["⠀" < c <= "⣿" for c in row] for row in drawing.chars])
    assert set(drawing.inks[lit].tolist()) == {2}


def test_a_band_lies_behind_its_curve() -> None:
    x = np.arange(50, dtype=float)
    mean = np.linspace(0.2, 0.8, 50)
    figure = Figure((Series("acc", x, mean, ink=3, band=Band(mean - 0.1, mean + 0.1)),))
    inks = draw(figure, Viewport(), 60, 20).inks
    assert (inks == 3).any()
    assert (inks == 3 + DIM).sum() > (inks == 3).sum() / 2


def test_levels_widen_the_axis_and_are_dashed() -> None:
    x = np.arange(20, dtype=float)
    drawing = draw(Figure((line(x * 0 + 0.5),), (Level("log C", 2.3, ink=4),), y_floor=0.0), Viewport(), 60, 12)
    row = np.flatnonzero((drawing.inks == 4).any(axis=1))
    assert len(row) == 1
    assert row[0] <= 1
    marks = drawing.chars[row[0], drawing.left : drawing.right]
    assert 0.3 < np.mean(marks != " ") < 0.9


@given(
    low=st.floats(1e-3, 1.0),
    factor=st.floats(1.01, 1e4),
    height=st.integers(4, 70),
    log=st.booleans(),
    glyphs=st.sampled_from(get_args(Glyphs)),
)
@example(low=0.26, factor=3.722, height=24, log=True, glyphs="braille")
def test_a_label_stands_in_the_row_in_which_its_value_is_drawn(
    low: float, factor: float, height: int, log: bool, glyphs: Glyphs
) -> None:
    range_ = Series("range", np.arange(2.0), np.array([low, low * factor]))
    ticks = Scale(*spread(low, low * factor, log=log), log).ticks(max(2, min(6, (height - 1) // 2)))
    labelled = zip(ticks, labels(ticks, percent=True), strict=True)
    for tick, label in [(tick, label) for tick, label in labelled if low <= tick <= low * factor]:
        level = Figure((range_,), (Level("tick", tick, ink=4),), percent=True)
        curve = Figure((range_, Series("tick", np.arange(2.0), np.full(2, tick), ink=4)), percent=True)
        for figure in (level, curve):
            drawing = draw(figure, Viewport(log_y=log), 40, height, glyphs)
            (row,) = np.flatnonzero((drawing.inks == 4).any(axis=1))
            said = ["".join(line).strip() for line in drawing.chars[:, : drawing.left - 1]]
            assert said[row] == label or label not in said, f"{label} is drawn in row {row} of\n{drawing.text()}"


@pytest.mark.parametrize(
    ("low", "high", "height", "expected"),
    [(2.0, 80.0, 20, ["50", "20", "10", "5", "2"]), (2.0, 80.0, 6, ["50", "2"]), (0.45, 1.6, 6, ["1", "0.5"])],
)
def test_a_logarithmic_axis_has_two_labels_between_which_a_value_can_be_read(
    low: float, high: float, height: int, expected: list[str]
) -> None:
    drawing = draw(Figure((Series("range", np.arange(2.0), np.array([low, high])),)), Viewport(log_y=True), 40, height)
    said = ["".join(line).strip() for line in drawing.chars[:-1, : drawing.left - 1]]
    assert [label for label in said if label] == expected


def test_the_cursor_stands_where_it_is_asked_to() -> None:
    drawing = draw(Figure((line(np.arange(101.0)),)), Viewport(cursor=51.0), 60, 12)
    columns = np.flatnonzero((drawing.inks == CURSOR).any(axis=0))
    assert len(columns) == 1
    value = drawing.value_at(int(columns[0]))
    assert value is not None
    assert abs(value - 51.0) < 2


@given(
    place=st.integers(0, 1000),
    width=st.integers(16, 120),
    log=st.booleans(),
    glyphs=st.sampled_from(get_args(Glyphs)),
)
@example(place=500, width=21, log=False, glyphs="braille")
def test_the_cursor_stands_in_the_cell_of_its_point(place: int, width: int, log: bool, glyphs: Glyphs) -> None:
    x, y = np.arange(1.0, 1002.0), np.full(1001, np.nan)
    y[place] = 1.0
    drawing = draw(Figure((Series("a", x, y),)), Viewport(log_x=log, cursor=float(x[place])), width, 6, glyphs)
    area = drawing.inks[:-1, drawing.left : drawing.right]
    (drawn,) = np.flatnonzero((area == 1).any(axis=0))
    (crossed,) = np.flatnonzero((area == CURSOR).any(axis=0))
    assert crossed == drawn
    pointed = drawing.value_at(drawing.left + int(drawn))
    assert drawing.column_of(pointed) == drawing.left + drawn, "a click puts the cursor into the cell that was clicked"


def test_ascii_uses_nothing_but_ascii() -> None:
    y = np.random.default_rng(0).standard_normal(500)
    figure = Figure((line(y, band=Band(y - 1, y + 1)),), (Level("l", 0.0),))
    drawing = draw(figure, Viewport(cursor=100.0, smoothing=0.9), 60, 14, "ascii")
    assert drawing.text().isascii()
    assert "*" in drawing.text()


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (11, 5), (12, 3), (300, 2)])
def test_any_size_gives_a_drawing_of_that_size(size: tuple[int, int]) -> None:
    drawing = draw(Figure((line(np.arange(5.0)),)), Viewport(), *size)
    assert drawing.chars.shape == (size[1], size[0])


@pytest.mark.parametrize(
    "series",
    [
        (),
        (line(np.empty(0)),),
        (line(np.array([1.0])),),
        (line(np.full(5, math.nan)),),
        (line(np.array([1e300, -1e300])),),
        (line(np.full(9, 3.0)),),
    ],
)
def test_degenerate_series_draw_without_an_error(series: tuple[Series, ...]) -> None:
    for log in (False, True):
        drawing = draw(Figure(series, empty="nothing"), Viewport(log_x=log, log_y=log, smoothing=0.5), 50, 10)
        assert drawing.chars.shape == (10, 50)
    if not series:
        assert "nothing" in drawing.text()


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one length"):
        Series("a", np.arange(3.0), np.arange(4.0))


def written_along(first: float, last: float, columns: int) -> list[str]:
    """The labels of an x axis of so many columns."""
    x = np.array([first, last])
    drawing = draw(Figure((Series("a", x, np.array([1.0, 9.0])),)), Viewport(), columns + 2, 12)
    assert drawing.right - drawing.left == columns
    return drawing.text().splitlines()[-1].split()


@pytest.mark.parametrize(
    ("last", "columns", "expected"),
    [
        (300.0, 72, "50 100 150 200 250 300"),
        (300.0, 32, "100 200 300"),
        (300.0, 22, "100 200 300"),
        (300.0, 15, "100 300"),
        (9.0, 32, "2 4 6 8"),
        (10.0, 32, "2 4 6 8 10"),
        (20_000.0, 32, "5000 10k 15k 20k"),
    ],
)
def test_labels_of_an_x_axis_go_only_where_they_would_touch_and_are_those_of_its_neighbour(
    last: float, columns: int, expected: str
) -> None:
    """An evaluation comes before the first iteration: curves beside each other begin at 0 or at 1."""
    assert written_along(1.0, last, columns) == expected.split()
    if columns > 15:  # there 0 makes 100 touch
        assert written_along(0.0, last, columns) == ["0", *expected.split()]


@given(st.integers(0, 10_000), st.integers(1, 100_000), st.integers(12, 150))
def test_an_x_axis_has_two_labels_where_there_is_room(first: int, span: int, columns: int) -> None:
    x = np.array([first, first + span], dtype=float)
    row = draw(Figure((Series("a", x, np.array([1.0, 9.0])),)), Viewport(), columns + 2, 12).text().splitlines()[-1]
    assert len(row.split()) >= (2 if columns >= 18 else 1)
    assert all(len(blank) > 1 for blank in re.findall(" +", row.strip()))


@given(st.floats(1e-9, 1e9), st.floats(1.001, 1e6), st.booleans(), st.booleans(), st.integers(2, 10))
@example(low=3.0, factor=32.0, log=True, whole=False, most=6)
@example(low=0.45, factor=3.5, log=True, whole=False, most=2)
@example(low=2.0, factor=4.0, log=False, whole=True, most=3)
@example(low=1e-9, factor=2.0, log=False, whole=True, most=2)
def test_ticks_are_few_inside_and_ascending(low: float, factor: float, log: bool, whole: bool, most: int) -> None:
    """And two at least, where there are two round ones."""
    scale = Scale(low, low * factor, log)
    ticks = scale.ticks(most, whole=whole)
    there = math.floor(scale.high) - math.ceil(scale.low) + 1 if whole else 2
    assert min(2, there) <= len(ticks) <= max(2, most)
    assert ticks == sorted(set(ticks))
    assert not whole or all(tick == round(tick) for tick in ticks)
    slack = (scale.high - scale.low) * 1e-6
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.16, 2.0, 7, [0.2, 0.5, 1, 2]), (0.05, 1.1, 7, [0.05, 0.1, 0.2, 0.5, 1]), (0.16, 2.0, 3, [0.2, 1, 2]),
        (0.2, 12.0, 6, [0.2, 0.5, 1, 2, 5, 10]), (0.02, 8.0, 2, [0.1, 1]), (1.0, 100.0, 7, [1, 10, 100]),
        (0.3, 0.4, 3, [0.3, 0.35, 0.4]), (0.6, 2.4, 6, [0.6, 0.7, 0.8, 0.9, 1, 2]),
    ],
)  # fmt: skip
def test_no_large_part_of_a_logarithmic_axis_is_without_ticks(
    low: float, high: float, most: int, expected: list[float]
) -> None:
    assert Scale(low, high, log=True).ticks(most) == pytest.approx(expected)


@given(st.floats(1e-6, 1e3), st.floats(3.0, 1e3))
def test_less_than_two_fifths_lie_below_all_ticks_of_a_logarithmic_axis_or_above(low: float, factor: float) -> None:
    scale = Scale(low, low * factor, log=True)
    ticks = scale.ticks(7)
    first, last = scale.place(np.array([ticks[0], ticks[-1]]))
    assert first < 0.4
    assert last > 0.6


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.floats(0, 1))
def test_value_is_the_inverse_of_place(low: float, span: float, place: float) -> None:
    scale = Scale(low, low + span)
    assert float(scale.place(np.array([scale.value(place)]))[0]) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize(
    ("width", "said"),
    [(60, "the term is off (information.weight 0)"), (30, "the term is off"), (10, "the term i")],
)
def test_a_remark_in_brackets_is_left_out_where_it_has_no_room(width: int, said: str) -> None:
    drawing = draw(Figure(empty="the term is off (information.weight 0)"), Viewport(), width, 5)
    assert "".join(drawing.chars[2]).strip() == said


def test_an_empty_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Scale(1.0, 1.0)
    with pytest.raises(ValueError, match="empty"):
        Scale(0.0, 1.0, log=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"), (0.0125, "0.0125"), (1234.0, "1234"), (12_500.0, "12.5k"), (3.2e6, "3.2M"),
        (3.4e38, "3.4e38"), (9.996e14, "1e15"), (9.99e14, "999T"),
        (3e-7, "3e-7"), (-0.5, "-0.5"), (math.nan, "nan"), (math.inf, "inf"), (99.96, "100"),
    ],
)  # fmt: skip
def test_short_numbers(value: float, expected: str) -> None:
    assert short(value) == expected


@pytest.mark.parametrize("log", [False, True])
def test_numbers_too_large_for_an_axis_leave_the_frame(log: bool) -> None:
    most = sys.float_info.max
    figure = Figure((line(np.array([1.0, 2.0, most, -most, 3e38, 1.0])),))
    drawing = draw(figure, Viewport(log_y=log), 60, 12)
    assert dots(drawing).any()
    assert "3e38" in drawing.text() or log
    lay_out(figure, Viewport(log_y=log), {}, "t")
    all_of_it = draw(Figure((line(np.full(3, most)),)), Viewport(log_y=log), 60, 12)
    assert "no value in view" in all_of_it.text()


def test_short_percent() -> None:
    assert (short(0.873, percent=True), short(0.9, percent=True)) == ("87.3 %", "90 %")


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([10_000.0, 12_500.0], ["10k", "12.5k"]),
        ([12_340.0, 12_342.0, 12_344.0], ["12340", "12342", "12344"]),
        ([12_345_000.0, 12_346_000.0], ["12.345M", "12.346M"]),
        ([0.1234, 0.12345, 0.1235], ["0.1234", "0.12345", "0.1235"]),
        ([0.1225, 0.125], ["0.1225", "0.125"]),
        ([-1e-4, 0.0, 1e-4], ["-1e-4", "0", "1e-4"]),
        ([1.2345e-5, 1.235e-5], ["1.2345e-5", "1.235e-5"]),
        ([1234.5, 1235.0], ["1234.5", "1235"]),
        ([1e38, 1.5e38], ["1e38", "1.5e38"]),
        ([1e38, 1.00025e38], ["1e38", "1.00025e38"]),
        ([5.0], ["5"]),
        ([], []),
    ],
)
def test_an_axis_has_as_many_digits_as_tell_its_ticks_apart(ticks: list[float], expected: list[str]) -> None:
    assert labels(ticks) == expected


def test_an_axis_in_percent_has_as_many_digits_as_tell_its_ticks_apart() -> None:
    assert labels([0.1, 0.105, 0.11], percent=True) == ["10 %", "10.5 %", "11 %"]
    assert labels([0.1234, 0.12345], percent=True) == ["12.34 %", "12.345 %"]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6), st.booleans(), st.booleans())
def test_every_label_is_right_to_a_part_of_the_step(low: float, width: float, whole: bool, percent: bool) -> None:
    ticks = Scale(*spread(low, low + width, log=False)).ticks(7, whole=whole)
    step = min((b - a for a, b in pairwise(ticks)), default=math.inf)
    units = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    for tick, text in zip(ticks, labels(ticks, percent=percent), strict=True):
        told = text.removesuffix(" %")
        value = float(told.rstrip("kMGT")) * units.get(told[-1], 0.01 if percent else 1.0)
        assert step == math.inf or abs(value - tick) <= step / 10


@pytest.mark.parametrize("paper", [False, True])
def test_zoomed_far_into_a_long_run_its_axes_tell_the_iterations_apart(paper: bool) -> None:
    x = np.arange(1.0, 20_001.0)
    figure, view = Figure((Series("objective", x, 0.1234 + 1e-5 * np.sin(x)),)), Viewport(x=(12_340.0, 12_352.0))
    if paper:
        shapes = [shape for shape in lay_out(figure, view, {}, "t").shapes if isinstance(shape, Words)]
        down = [one.text for one in shapes if one.anchor == "end" and one.text != "iteration"]
        across = [one.text for one in shapes if one.anchor == "middle"]
        assert min(one.at[0] - 1.15 * length(one.text, one.size) for one in shapes if one.anchor == "end") > 0
    else:
        drawing = draw(figure, view, 60, 12)
        down = [said for line in drawing.chars[:-1, : drawing.left] if (said := "".join(line).strip())]
        across = "".join(drawing.chars[-1].tolist()).split()
    for told in (down, across):
        assert len(told) == len(set(told)) > 1
    assert all(12_340 <= int(tick) <= 12_352 for tick in across)


def test_20000_points_draw_quickly() -> None:
    """Under 15 ms on an idle core; here as a multiple of a fixed numpy workload, so that a busy machine passes."""
    rng = np.random.default_rng(0)
    y = np.exp(-np.arange(20_000) / 5000) + 0.05 * rng.standard_normal(20_000)
    figure = Figure((line(y),))
    matrix = rng.standard_normal((20_000, 8))

    def median(work: Callable[[], object]) -> float:
        times = []
        for _ in range(15):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    yardstick = median(lambda: np.sort(matrix, axis=0))
    assert median(lambda: list(draw(figure, Viewport(), 78, 20).rows())) < max(0.015, 3 * yardstick)


@pytest.mark.parametrize("glyphs", ["braille", "ascii"])
def test_without_colours_every_curve_is_drawn_in_its_own_way(glyphs: Glyphs) -> None:
    y = np.linspace(0.0, 1.0, 200)
    drawn = [draw(Figure((line(y, ink=ink),)), Viewport(), 60, 12, glyphs, strokes=True) for ink in range(1, 9)]
    looks = {(each.text(), Stroke.of(ink).dim) for ink, each in enumerate(drawn, 1)}
    assert len(looks) == 8
    assert len({(Stroke.of(ink).sample(glyphs), Stroke.of(ink).dim) for ink in range(1, 9)}) == 8
    plain = draw(Figure((line(y, ink=2),)), Viewport(), 60, 12, glyphs)
    assert plain.text() == draw(Figure((line(y, ink=1),)), Viewport(), 60, 12, glyphs).text(), "colours do it there"


@pytest.mark.parametrize("position", [3, 77, 141, 199])
def test_a_dash_hides_no_spike(position: int) -> None:
    y = np.zeros(200)
    y[position] = 1.0
    for ink in range(1, 9):
        lit = dots(draw(Figure((line(y, ink=ink),)), Viewport(), 60, 12, strokes=True))
        assert lit[: lit.shape[0] // 4].any(), ink
