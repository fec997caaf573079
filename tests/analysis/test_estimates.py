"""Means and intervals against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from engine.analysis.estimates import estimate, paired


def test_the_interval_is_students() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.count == 5
    assert found.mean == 3.0
    assert found.half == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6), "t(4) from the table, s^2 = 2.5"
    assert (found.low, found.high) == (found.mean - found.half, found.mean + found.half)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    one, none = estimate([0.5]), estimate([])
    assert one.mean == one.low == one.high == 0.5
    assert math.isnan(one.half)
    assert math.isnan(none.mean)
    assert none.count == 0


def test_differences_are_taken_pair_by_pair() -> None:
    ours, theirs = [0.9, 0.5, None, 0.7], [0.8, 0.4, 0.3, None]
    found = paired(ours, theirs)
    assert found.count == 2
    assert found.mean == pytest.approx(0.1)
    assert found.half == pytest.approx(0, abs=1e-12), "seeds differ by far more than the pairs do"
    with pytest.raises(ValueError, match="longer"):
        paired([1.0], [1.0, 2.0])
