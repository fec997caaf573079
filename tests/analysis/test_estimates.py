"""Means and intervals against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from engine.analysis.estimates import estimate, paired, spread, unpaired


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


def test_the_deviation_is_that_of_a_sample() -> None:
    assert list(spread([0.5, 0.7, 0.9])) == pytest.approx([0.7, 0.2])
    mean, deviation = spread([0.5])
    assert mean == 0.5
    assert math.isnan(deviation)


def test_differences_are_taken_pair_by_pair() -> None:
    ours, theirs = [0.9, 0.5, None, 0.7], [0.8, 0.4, 0.3, None]
    found = paired(ours, theirs)
    assert found.count == 2
    assert found.mean == pytest.approx(0.1)
    assert found.half == pytest.approx(0, abs=1e-12), "seeds differ by far more than the pairs do"
    with pytest.raises(ValueError, match="longer"):
        paired([1.0], [1.0, 2.0])


def test_independent_samples_have_welchs_interval() -> None:
    ours, theirs = [0.82, 0.83, 0.86], [0.5, 0.61, 0.47, 0.55]
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    found = unpaired(ours, theirs)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.count == 3
    assert math.isnan(unpaired([0.8], theirs).half)
    assert unpaired([0.8], theirs).mean == pytest.approx(0.8 - 0.5325)
    assert unpaired([0.8, 0.8], [0.5, 0.5]).half == 0.0
