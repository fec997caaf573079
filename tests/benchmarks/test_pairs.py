"""The interval of a median, and what is said of pairs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pairs import interval, summary


def test_ten_pairs_are_bounded_by_the_second_from_either_end() -> None:
    low, high, covered = interval([float(i) for i in (7, 3, 9, 1, 10, 2, 8, 4, 6, 5)])
    assert (low, high) == (2.0, 9.0)
    assert covered == pytest.approx(1 - 2 * 11 / 1024)


def test_five_pairs_are_too_few() -> None:
    with pytest.raises(ValueError, match="5 values"):
        interval([1.0] * 5)


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    hits, trials = 0, 2000
    for _ in range(trials):
        low, high, covered = interval(draw.standard_exponential(10).tolist())
        hits += low <= np.log(2) <= high
    assert hits / trials == pytest.approx(covered, abs=0.012)


def test_a_summary_has_all_ratios() -> None:
    told = summary([0.99, 1.0, 1.01, 0.98, 1.02, 1.0])
    assert told["median"] == 1.0
    assert told["interval"] == [0.98, 1.02]
    assert len(told["pairs"]) == 6
