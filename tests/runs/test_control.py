"""Requests arrive once, from threads and from files, and a pause really waits."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import RunFailed
from engine.runs.control import REQUESTS, Control, StopRequested, post

SOON = 5.0


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watched(tmp_path: Path) -> tuple[Control, Clock, Path]:
    clock = Clock()
    control = Control(ticker=clock)
    control.watch(tmp_path / "control")
    return control, clock, tmp_path / "control"


def test_without_requests_nothing_happens() -> None:
    control = Control()
    control.tick()
    assert not control.take("checkpoint")
    assert not control.take("evaluate")
    assert not control.paused
    assert not control.stopping


@pytest.mark.parametrize("name", ["checkpoint", "evaluate"])
def test_a_request_is_answered_once(name: str, watched: tuple[Control, Clock, Path]) -> None:
    control, clock, directory = watched
    control.request(name)
    control.request(name)
    assert control.pending(name)
    assert [control.take(name), control.take(name)] == [True, False]
    post(directory, name)
    clock.now += 1
    control.tick()
    assert list(directory.iterdir()) == []
    assert [control.take(name), control.take(name)] == [True, False]


def test_stop_is_heard_by_every_tick() -> None:
    control = Control()
    control.request("stop")
    assert control.stopping
    for _ in range(2):
        with pytest.raises(StopRequested):
            control.tick()


def test_unknown_requests_are_refused(tmp_path: Path) -> None:
    control = Control()
    for ask in (control.request, control.take, control.pending, lambda name: post(tmp_path, name)):
        with pytest.raises(ValueError, match="unknown request"):
            ask("../stop")
    assert list(tmp_path.iterdir()) == []


def test_files_are_looked_for_five_times_a_second(watched: tuple[Control, Clock, Path]) -> None:
    control, clock, directory = watched
    control.tick()
    post(directory, "stop")
    clock.now = 0.19
    control.tick()
    clock.now = 0.21
    with pytest.raises(StopRequested):
        control.tick()


def test_the_order_of_requests_counts(watched: tuple[Control, Clock, Path]) -> None:
    control, clock, directory = watched
    for name in ("pause", "resume", "pause", "resume"):
        post(directory, name)
    clock.now = 1
    control.tick()  # would block for ever if a pause came last
    assert not control.paused


def worker(control: Control) -> tuple[threading.Thread, list[str]]:
    """A thread that ticks until it is stopped, and what happened to it."""
    happened: list[str] = []

    def work() -> None:
        try:
            while True:
                control.tick()
                time.sleep(0.001)
        except StopRequested:
            happened.append("stopped")

    return threading.Thread(target=work, daemon=True), happened


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + SOON
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


@pytest.mark.parametrize("through", ["thread", "file"])
def test_a_pause_blocks_beats_and_ends(tmp_path: Path, through: str) -> None:
    control = Control()
    thread, happened = worker(control)
    beats: list[float] = []
    control.watch(
        tmp_path,
        on_pause=lambda: happened.append("pause"),
        on_resume=lambda: happened.append("resume"),
        on_idle=lambda: beats.append(time.monotonic()),
    )

    def ask(name: str) -> None:
        if through == "thread":
            control.request(name)
        else:
            post(tmp_path, name)

    thread.start()
    ask("pause")
    wait_for(lambda: happened == ["pause"], "paused")
    wait_for(lambda: len(beats) >= 3, "the heart beats in a pause")
    assert happened == ["pause"]
    ask("checkpoint")
    ask("resume")
    wait_for(lambda: happened == ["pause", "resume"], "resumed")
    wait_for(lambda: control.take("checkpoint"), "kept through the pause")
    ask("pause")
    wait_for(lambda: len(happened) == 3, "paused again")
    ask("stop")
    wait_for(lambda: happened[-1] == "stopped", "a pause can be stopped")
    thread.join(SOON)
    assert happened == ["pause", "resume", "pause", "stopped"]


def test_a_pause_is_no_working_time() -> None:
    control = Control()
    control.request("pause")
    begun, worked = time.perf_counter(), control.working_time()
    threading.Timer(0.5, control.request, ("resume",)).start()
    control.tick()
    taken = time.perf_counter() - begun
    assert taken >= 0.45
    assert control.working_time() - worked < taken - 0.4


def test_many_threads_asking_at_once_lose_nothing(tmp_path: Path) -> None:
    for _ in range(40):
        post(tmp_path, "checkpoint")
    taken: list[bool] = []
    lock = threading.Lock()

    def consume() -> None:
        from engine.runs.control import _consume

        names = _consume(tmp_path)
        with lock:
            taken.extend(name == "checkpoint" for name in names)

    threads = [threading.Thread(target=consume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert taken == [True] * 40
    assert list(tmp_path.iterdir()) == []


def test_requests_left_for_a_dead_process_can_be_dropped(tmp_path: Path) -> None:
    post(tmp_path, "stop")
    assert Control().watch(tmp_path, discard=True) == ["stop"]
    control = Control()
    control.watch(tmp_path, discard=True)
    control.tick()
    post(tmp_path, "stop")
    late = Control()
    assert late.watch(tmp_path) == []
    with pytest.raises(StopRequested):
        late.tick()


def test_after_unwatch_files_and_callbacks_are_left_alone(watched: tuple[Control, Clock, Path]) -> None:
    control, clock, directory = watched
    control.unwatch()
    post(directory, "stop")
    clock.now = 1
    control.tick()
    assert len(list(directory.iterdir())) == 1


def test_a_vanished_folder_is_no_error(tmp_path: Path) -> None:
    control = Control()
    control.watch(tmp_path / "control")
    (tmp_path / "control").rmdir()
    control.tick()


def test_the_folder_and_its_files_are_private(tmp_path: Path) -> None:
    path = post(tmp_path / "control", "pause")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


NAMES = st.text(
    alphabet=st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=40
) | st.builds(lambda a, b: f"{a}.{b}", st.text("0123456789-abcdef", max_size=30), st.sampled_from(REQUESTS))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES)
def test_foreign_files_are_neither_obeyed_nor_touched(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "control"
    control = Control(ticker=iter(range(10**6)).__next__)
    control.watch(directory, discard=True)
    for old in directory.iterdir():
        old.unlink()
    if name in (".", "..") or re.fullmatch(r"[0-9]+-[0-9]+-[0-9a-f]{8,}\.[a-z]+", name):  # as requests are called
        return
    (directory / name).write_text("stop")
    control.tick()
    assert [child.name for child in directory.iterdir()] == [name]


def test_a_folder_or_link_of_a_request_name_reaches_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("keep")
    directory = tmp_path / "control"
    control = Control()
    control.watch(directory)
    (directory / "1-1-00000000aaaaaaaa.stop").mkdir()
    (directory / "2-1-00000000aaaaaaaa.checkpoint").symlink_to(outside)
    control.tick()
    assert control.take("checkpoint")
    assert outside.read_text() == "keep"


def test_the_last_word_is_given_on_by_another_thread_and_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runs.control.WORD_SECONDS", 0.2)
    control, words, release = Control(), list[str](), threading.Event()
    control.abandon("nobody is there")

    def slow(word: str) -> None:
        words.append(word)
        release.wait(10)

    control.watch(tmp_path / "control", on_abandon=slow)
    begun = time.monotonic()
    control.abandon("ended at once")
    assert time.monotonic() - begun < 5
    assert words == ["ended at once"]
    release.set()

    def refused(_word: str) -> None:
        raise RunFailed("the disk is full")

    control.watch(tmp_path / "control", on_abandon=refused)
    control.abandon("ended at once")
    control.unwatch()
    control.abandon("the run is over")
    assert words == ["ended at once"]
