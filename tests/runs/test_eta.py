"""How long a phase will still take, as its units have come so far."""

from __future__ import annotations

import pytest

from engine.events import (
    ExpertEpoch,
    Phase,
    Progress,
    StateChanged,
)
from engine.runs.eta import Estimate
from tests.runs.helpers import expert, iteration, live, started


def estimate(times: list[tuple[float, int]], total: int | None = 100) -> Estimate:
    made = Estimate()
    made.begin(total)
    for moment, done in times:
        made.advance(moment, done)
    return made


def test_a_steady_phase_is_foretold() -> None:
    steady = estimate([(2.0 * n, n) for n in range(51)])
    assert steady.remaining() == pytest.approx(100.0)
    assert steady.remaining(101.0) == pytest.approx(99.0)
    assert steady.remaining(1e9) == pytest.approx(98.0), "a late unit is not yet a slow one"


def test_nothing_is_foretold_from_nothing() -> None:
    assert estimate([]).remaining() is None
    assert estimate([(0.0, 0)]).remaining() is None
    assert estimate([(0.0, 0), (1.0, 1)], total=None).remaining() is None
    assert estimate([(0.0, 0), (1.0, 100)]).remaining() == 0.0


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_steps_does_not_spoil_it(jump: float) -> None:
    times = [(2.0 * n + (jump if n > 20 else 0.0), n) for n in range(51)]
    assert estimate(times).remaining() == pytest.approx(100.0, rel=0.05)


def test_regular_slow_units_are_counted_in() -> None:
    times, now = [], 0.0
    for n in range(101):
        now += 11.0 if n % 10 == 0 else 1.0  # an evaluation every ten
        times.append((now, n))
    assert estimate(times, total=200).remaining() == pytest.approx(200.0, rel=0.1)


def test_pauses_and_found_units_do_not_count() -> None:
    history = live([started(), StateChanged("running"), Phase("distill", 100)])
    for number in range(1, 11):
        history.apply(Progress("distill", number, 100), time=float(number))
    history.apply(StateChanged("paused"), time=11.0)
    assert history.eta(12.0) is None
    history.apply(StateChanged("running"), time=25.0)
    for number in range(11, 21):
        history.apply(Progress("distill", number, 100), time=20.0 + number)
    assert history.eta(40.0) == pytest.approx(80.0, rel=0.02)
    cached = live([started(), Phase("experts", 15)])
    cached.apply(expert(0, 5, reused=True), time=1.0)
    cached.apply(expert(1, 1), time=11.0)
    cached.apply(expert(1, 2), time=21.0)
    assert cached.eta(21.0) == pytest.approx(80.0)


def test_slow_first_iterations_do_not_make_those_to_come_seem_slow() -> None:
    """Compiling, and the evaluation of the first iterate, come once."""
    history = live([started(), StateChanged("running"), Phase("distill", 100)])
    now = 0.0
    history.apply(Progress("distill", 0, 100), time=now)
    foretold = []
    for number, seconds in enumerate((20.0, 2.0, 0.5, 1.0, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25), 1):
        now += seconds
        history.apply(iteration(number, seconds=seconds), time=now)
        foretold.append(history.eta(now))
    assert foretold[:3] == [None, pytest.approx(98 * 2.0), pytest.approx(97 * 0.5)]
    assert foretold[5:] == [pytest.approx(left * 0.25) for left in range(94, 89, -1)]
    history.apply(Phase("evaluate", 5), time=now)
    history.apply(Progress("evaluate", 0, 5), time=now)
    history.apply(Progress("evaluate", 1, 5), time=now + 3.0)
    assert history.eta(now + 3.0) == pytest.approx(12.0)


def test_epochs_of_an_expert_that_goes_on_do_not_make_those_to_come_seem_faster() -> None:
    """Of the second expert three epochs of five were in the cache: one was computed, like the others in ten seconds."""
    history = live([started(), Phase("experts", 15)])
    for epoch in range(1, 6):
        history.apply(expert(0, epoch), time=10.0 * epoch)
    history.apply(expert(1, 4), time=60.0)
    assert history.done == 9
    assert history.eta(60.0) == pytest.approx(60.0)
    history.apply(expert(1, 5), time=70.0)
    assert history.eta(70.0) == pytest.approx(50.0)


@pytest.mark.parametrize("progress", [True, False], ids=["live", "from the journal"])
def test_epochs_of_an_earlier_sitting_do_not_make_those_to_come_seem_faster(progress: bool) -> None:
    """What another sitting reached counts when it is found again, as in what the run says of its progress."""
    history = live([started(), Phase("experts", 15), *(expert(number, 3) for number in range(3)), started()])
    history.apply(Phase("experts", 15), time=100.0)
    done = 0
    for moment, event in ((110.0, expert(0, 4)), (120.0, expert(0, 5)), (130.0, expert(1, 4)), (140.0, expert(1, 5))):
        history.apply(event, time=moment)
        done += 4 if event.epoch == 4 else 1
        if progress:
            history.apply(Progress("experts", done, 15), time=moment)
        assert history.done == done
        assert history.eta(moment) in (None, pytest.approx(10.0 * (15 - done)))
    assert history.eta(140.0) is not None


def test_a_resumed_run_is_not_shown_at_its_beginning() -> None:
    """Between the phase's begin and its first iteration."""
    history = live([started(), Phase("distill", 100), iteration(40)])
    for event in (started(40, 10_000), StateChanged("running"), Phase("data"), Phase("distill", 100)):
        history.apply(event, time=50.0)
    assert (history.iteration, history.done, history.total) == (40, 40, 100)
    assert live([started(), Phase("distill", 100)]).done == 0


@pytest.mark.parametrize("seconds", [2.0, 45.0, 600.0])
@pytest.mark.parametrize("groups", [1, 2])
def test_epochs_of_experts_side_by_side_take_what_they_take_together(seconds: float, groups: int) -> None:
    """Ten experts say at one moment what an epoch has come to, and then nothing until the next."""
    total = groups * 10 * 8
    history = live([started(), StateChanged("running"), Phase("experts", total)])
    now, left = 0.0, groups * 8
    for group in range(groups):
        for epoch in range(1, 9):
            now, left = now + seconds, left - 1
            for number in range(10):
                event = ExpertEpoch(group * 10 + number, groups * 10, epoch, 8, 1.0, 0.5, None, seconds / 10)
                history.apply(event, time=now + 0.001 * number)
            if epoch > 1 or group:
                assert history.eta(now + 0.01) == pytest.approx(seconds * left, rel=0.02, abs=0.1)
                half = history.eta(now + seconds / 2)
                assert half == pytest.approx(seconds * max(0.0, left - 0.5), rel=0.02, abs=0.1)


def test_a_pause_while_experts_train_side_by_side_does_not_count() -> None:
    history = live([started(), StateChanged("running"), Phase("experts", 80)])
    for epoch in range(1, 9):
        now = 45.0 * epoch + (5000.0 if epoch > 4 else 0.0)
        if epoch == 5:
            history.apply(StateChanged("paused"), time=now - 5010.0)
            history.apply(StateChanged("running"), time=now - 10.0)
        for number in range(10):
            history.apply(ExpertEpoch(number, 10, epoch, 8, 1.0, 0.5, None, 4.5), time=now + 0.001 * number)
        if epoch > 1:
            assert history.eta(now + 0.01) == pytest.approx(45.0 * (8 - epoch), rel=0.02, abs=0.1)
