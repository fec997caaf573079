"""Curves that grow: nothing of them is copied, smoothed or spelt twice."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Iteration
from engine.runs.history import RunHistory
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.growing import grown
from mim4dd_tui.plots.draw import Drawing
from mim4dd_tui.plots.smooth import Smoothing, ema


@given(st.integers(1, 6), st.integers(0, 9), st.data())
def test_rows_are_the_cells_in_runs_of_one_ink(height: int, width: int, data: st.DataObject) -> None:
    cells = st.lists(
        st.lists(st.sampled_from(" ⣿│x"), min_size=width, max_size=width), min_size=height, max_size=height
    )
    inks = st.lists(st.lists(st.integers(-1, 2), min_size=width, max_size=width), min_size=height, max_size=height)
    drawn, inked = data.draw(cells), data.draw(inks)
    chars = np.array(drawn, dtype="<U1").reshape(height, width)
    drawing = Drawing(chars, np.array(inked, dtype=np.int16).reshape(height, width), 0, width, None)
    rows = list(drawing.rows())
    assert [[(cell, ink) for text, ink in row for cell in text] for row in rows] == [
        list(zip(line, line_inks, strict=True)) for line, line_inks in zip(drawn, inked, strict=True)
    ]
    assert all(a[1] != b[1] for row in rows for a, b in pairwise(row))


numbers = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf]))
weights = st.sampled_from([0.5, 0.9, 0.99])


@given(st.lists(numbers, max_size=300), st.lists(st.integers(0, 300), max_size=8), weights)
def test_smoothing_piece_by_piece_is_smoothing_of_the_whole(
    values: list[float], cuts: list[int], weight: float
) -> None:
    whole, smoothing = np.array(values, dtype=float), Smoothing(weight)
    for cut in [*sorted(cuts), len(values)]:
        seen = smoothing.of(whole[:cut])
        np.testing.assert_allclose(seen, ema(whole[:cut], weight), rtol=1e-9, atol=1e-9)


def iterated(history: RunHistory, first: int, last: int, value: float = 1.0) -> None:
    """Iterations into a history; the objective is ``value`` times their number."""
    for i in range(first, last + 1):
        history.apply(Iteration(i, value * i, None, None, None, None, 0.1, 0.5, 0.05, 0.1), time=float(i))


def test_what_was_copied_once_is_not_copied_again(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    real = np.array

    def counting(values: Any, *arguments: Any, **named: Any) -> Any:
        copied.append(len(values))
        return real(values, *arguments, **named)

    history = RunHistory()
    iterated(history, 1, 1000)
    grown(history, "objective")
    iterated(history, 1001, 1003)
    monkeypatch.setattr(np, "array", counting)
    points = grown(history, "objective")
    assert copied == [3, 3]
    monkeypatch.undo()
    assert points.x.tolist() == list(range(1, 1004))
    assert points.y.tolist() == [float(i) for i in range(1, 1004)]
    copied.clear()
    assert grown(history, "objective").y is not None
    assert not copied


def test_points_taken_back_are_not_shown_and_an_earlier_figure_keeps_its_own() -> None:
    history = RunHistory()
    iterated(history, 1, 100)
    before = curves.losses(history).series[0]
    iterated(history, 51, 80, value=-1.0)  # the run went back
    now = curves.losses(history).series[0]
    assert now.y.tolist() == [*map(float, range(1, 51)), *(-float(i) for i in range(51, 81))]
    assert before.y.tolist() == list(map(float, range(1, 101)))
    assert before.smoother is not None
    assert now.smoother is not None
    np.testing.assert_allclose(before.smoother(0.9), ema(before.y, 0.9))
    np.testing.assert_allclose(now.smoother(0.9), ema(now.y, 0.9))
    iterated(history, 81, 90)
    np.testing.assert_allclose(now.smoother(0.9), ema(now.y, 0.9), err_msg="a figure's curve has its figure's length")
