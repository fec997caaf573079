"""What comes by itself is done seldom, and when nobody types: full collections, and paintings of curves."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Callable

import pytest

from engine.events import Iteration, Phase
from mim4dd_tui.dashboard import settled
from mim4dd_tui.dashboard.pace import LONGEST, SHARE, TYPING_SECONDS, Pace
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.settled import APART_SECONDS, NEVER, OVERDUE, QUIET_SECONDS, Collector
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, until


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many collections of the young generation Python counts since the last full one."""

    def set_to(count: int) -> None:
        monkeypatch.setattr(gc, "get_count", lambda: (0, 0, count))

    return set_to


def test_costly_full_collections_are_made_more_seldom(waiting: Callable[[int], None]) -> None:
    usual, clock, processor = gc.get_threshold(), Clock(), Clock()

    def reading() -> float:
        processor.now += 0.05  # from one reading to the next, as if that had been the collection
        return processor.now

    collector = Collector(clock=clock, processor=reading)
    waiting(usual[2] + 1)
    collector.hold()
    try:
        clock.now += APART_SECONDS
        assert collector.tick()
        clock.now += 0.9 * 0.05 / settled.SHARE
        assert not collector.tick()
        clock.now += 0.2 * 0.05 / settled.SHARE
        assert collector.tick()
    finally:
        collector.release()


def test_full_collections_wait_until_nobody_types(waiting: Callable[[int], None]) -> None:
    usual, clock = gc.get_threshold(), Clock()
    collector = Collector(clock=clock)
    waiting(usual[2] + 1)
    assert not collector.tick(), "nothing is its business before it holds"
    collector.hold()
    try:
        assert gc.get_threshold()[2] == NEVER
        clock.now += APART_SECONDS
        collector.touched()
        assert not collector.tick()
        clock.now += QUIET_SECONDS
        waiting(usual[2])
        assert not collector.tick(), "too little to collect"
        waiting(usual[2] + 1)
        assert collector.tick()
        clock.now += APART_SECONDS / 2
        assert not collector.tick(), "too soon after the last"
        collector.touched()
        waiting(usual[2] * OVERDUE + 1)
        assert collector.tick(), "memory comes first at some point"
    finally:
        collector.release()
    assert gc.get_threshold() == usual


class Node:
    """Something that can hold itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_exists_when_a_phase_begins_is_set_aside_and_given_back() -> None:
    heard: list[object] = []
    garbage = weakref.ref(Node())
    before = gc.get_freeze_count()
    with settled.settled(heard.append) as observe:
        observe(Iteration(1, 1.0, None, None, None, None, 0.1, None, 0.05, 0.1))
        assert gc.get_freeze_count() == before
        observe(Phase("distill"))
        assert gc.get_freeze_count() > before
        assert garbage() is None, "garbage is collected before, or it would stay"
    assert gc.get_freeze_count() == 0
    assert [type(event) for event in heard] == [Iteration, Phase]


def test_what_the_engine_has_just_loaded_is_set_aside_without_going_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[None] = []
    monkeypatch.setattr(gc, "collect", lambda: made.append(None))
    with settled.settled(lambda _event: None) as observe:
        monkeypatch.setattr(sys, "modules", sys.modules | {f"loaded{number}": sys for number in range(settled.MANY)})
        observe(Phase("data"))
        assert not made
        assert gc.get_freeze_count() > 0
        observe(Phase("experts"))
        assert made, "the next time nothing was loaded"


def test_an_error_of_the_run_gives_back_what_was_set_aside() -> None:
    def fail() -> None:
        with settled.settled(lambda _event: None) as observe:
            observe(Phase("distill"))
            raise RuntimeError("of the run")

    with pytest.raises(RuntimeError, match="of the run"):
        fail()
    assert gc.get_freeze_count() == 0


async def test_python_collects_by_itself_again_when_the_interface_is_gone(make_app: MakeApp) -> None:
    usual = gc.get_threshold()
    app = make_app()
    async with app.run_test(size=(80, 24)):
        assert gc.get_threshold()[2] == NEVER
    assert gc.get_threshold() == usual


def test_a_painting_puts_off_the_next_one_by_its_cost() -> None:
    clock, processor = Clock(), Clock()
    pace = Pace(clock=clock, processor=processor)
    assert pace.due(0.4)
    pace.begin()
    processor.now += SHARE  # a second's worth
    pace.settle()
    processor.now += 5  # what a key cost later is not its cost
    pace.settle()
    assert pace.cost == pytest.approx(SHARE)
    clock.now += 0.9
    assert not pace.due(0.4)
    clock.now += 0.2
    assert pace.due(0.4)
    assert not pace.due(2.0)
    pace.begin()
    processor.now += 100
    pace.settle()
    clock.now += LONGEST + 0.1
    assert pace.due(0.4), "however slow the machine"


def test_nothing_is_painted_by_itself_while_somebody_types_but_not_for_ever() -> None:
    clock = Clock()
    pace = Pace(clock=clock, processor=Clock())
    assert pace.due(0.4, untouched=0.0), "the first painting"
    pace.begin()
    pace.settle()
    clock.now += 0.5
    assert pace.due(0.4, untouched=TYPING_SECONDS)
    assert not pace.due(0.4, untouched=TYPING_SECONDS - 0.1)
    clock.now += LONGEST
    assert pace.due(0.4, untouched=0.0), "a key held down does not stop the curves"


async def test_a_key_puts_off_the_curves(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(FakeEngine(iterations=20, hold=True), preset="digits-ipc1", autostart=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.history.iteration == 20)
        asked: list[float] = []

        def due(_least: float, *, untouched: float) -> bool:
            asked.append(untouched)
            return False

        screen = run_screen(app)
        monkeypatch.setattr(screen._pace, "due", due)
        begun = time.monotonic()
        await pilot.press("h")
        screen._dirty.add("losses")
        screen._paint()
        assert 0 <= asked[-1] <= time.monotonic() - begun
        app._collector._touched -= 100
        screen._paint()
        assert asked[-1] >= 100
