"""The history of a run is the same live and from the journal, and shows no iteration twice."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import (
    CheckpointWritten,
    Event,
    Notice,
    Phase,
    Progress,
    Recovered,
    RunEnded,
    Snapshot,
    StateChanged,
)
from engine.runs.history import LOG_LINES, RunHistory
from engine.runs.journal import JournalReader, JournalWriter, Record, read_all, without_superseded
from engine.runs.series import Series
from tests.runs.helpers import evaluation, expert, iteration, live, started


def picture(number: int) -> Snapshot:
    return Snapshot(number, f"snapshots/{number}.npy", 10, 1, "clipped")


def shown(history: RunHistory) -> dict[str, object]:
    """Everything a view draws."""
    return {
        "state": history.state,
        "iteration": history.iteration,
        "series": {name: s.points() for name, s in history.series.items() if len(s)},
        "evaluations": history.evaluations,
        "snapshots": history.snapshots,
        "checkpoint": history.checkpoint,
        "experts": {n: (e.last, e.loss.points()) for n, e in history.experts.items()},
        "result": history.result,
    }


def test_a_whole_run() -> None:
    document: dict[str, object] = {"state": "done"}
    events: list[Event] = [
        started(),
        StateChanged("running"),
        Phase("experts", 15),
        expert(0, 4),
        expert(0, 5),
        expert(1, 5, reused=True),
        Phase("baselines", 3),
        evaluation(0, "random_selection", 0.3),
        evaluation(0, "full_set", 0.95),
        Phase("distill", 100),
        *(iteration(n, bound=0.5 if n % 2 else None) for n in range(1, 11)),
        picture(5),
        picture(10),
        evaluation(5, mean=0.7, best_so_far=True),
        evaluation(10, mean=0.6),
        evaluation(10, "request", 0.1),
        CheckpointWritten(10, "checkpoints/x", 0.1),
        Progress("distill", 10, 100, "half-way"),
    ]
    history = live(events)
    assert (history.state, history.phase, history.iteration, history.iterations) == ("running", "distill", 10, 100)
    assert (history.done, history.total, history.detail) == (10, 100, "half-way")
    assert history.series["objective"].points() == [(n, 1.0 / n) for n in range(1, 11)]
    assert history.series["bound"].iterations == [1, 3, 5, 7, 9]
    assert history.series["bound.1"].last == 0.5
    assert history.series["accuracy"].points() == [(5, 0.7), (10, 0.6)]
    assert "memory" not in history.series
    assert history.best == evaluation(5, mean=0.7, best_so_far=True)
    assert history.last == evaluation(10, mean=0.6)
    assert history.random_selection == evaluation(0, "random_selection", 0.3)
    assert history.full_set == evaluation(0, "full_set", 0.95)
    assert history.snapshot == picture(10)
    assert history.checkpoint == CheckpointWritten(10, "checkpoints/x", 0.1)
    assert [history.experts[n].finished for n in (0, 1)] == [True, True]
    assert history.experts[0].loss.points() == [(4, 0.25), (5, 0.2)]
    assert not history.result
    for event in (evaluation(5, "best", 0.8), evaluation(10, "last", 0.75), RunEnded("done", "", document)):
        history.apply(event, time=99.0)
    assert (history.best.mean, history.last.mean) == (0.8, 0.75)
    assert (history.state, history.result) == ("done", document)
    assert any("expert 1 of 3 trained, test 90.0 %" in line.text for line in history.log)


def test_experts_from_the_cache_have_one_line_and_those_trained_one_each() -> None:
    found, trained = [expert(n, 5, reused=True) for n in (0, 1)], expert(2, 5)
    again = [expert(n, 5, reused=True) for n in range(3)]
    history = live([started(), Phase("experts", 15), *found, trained, started(resumed_from=0), *again])
    lines = [line for line in history.log if line.text.startswith("expert")][1:]
    assert [(line.text, line.worked) for line in lines] == [
        ("experts 1 to 2 of 3: from the cache", 3.0),
        ("expert 3 of 3 trained, test 90.0 %", 4.0),
        ("experts 1 to 3 of 3: from the cache", 7.0),
    ]
    apart = live([started(), expert(0, 5, reused=True), Notice("warning", "damaged"), expert(2, 5, reused=True)])
    assert [line.text for line in apart.log][-3:] == [
        "expert 1 of 3: from the cache",
        "damaged",
        "expert 3 of 3: from the cache",
    ]


def test_a_reading_that_was_asked_for_is_the_newest_live_one_and_no_point_of_the_curve() -> None:
    history = live([started(), *(iteration(n) for n in range(1, 13)), evaluation(10, mean=0.6, best_so_far=True)])
    history.apply(evaluation(12, "request", 0.9), time=50.0)
    assert history.series["accuracy"].points() == [(10, 0.6)], "what is drawn is what chooses the best"
    assert history.series["accuracy_asked"].points() == [(12, 0.9)]
    assert history.series["accuracy_asked_std"].points() == [(12, 0.01)]
    assert history.last == history.live == evaluation(12, "request", 0.9)
    assert history.best == evaluation(10, mean=0.6, best_so_far=True), "it chooses nothing"
    history.apply(started(resumed_from=11, after_sequence=None), time=60.0)
    assert "accuracy_asked" not in history.series
    assert history.series["accuracy"].points() == [(10, 0.6)]


def test_a_continued_run_takes_back_what_is_replaced() -> None:
    before: list[Event] = [
        started(),
        Phase("distill", 100),
        *(iteration(n) for n in range(1, 6)),
        evaluation(2, mean=0.4, best_so_far=True),
        evaluation(4, mean=0.9, best_so_far=True),
        picture(2),
        picture(4),
        CheckpointWritten(5, "checkpoints/5", 0.1),
        RunEnded("stopped", "asked", {"state": "stopped"}),
    ]
    history = live([*before, started(resumed_from=3), StateChanged("running")])
    assert (history.state, history.result, history.iteration) == ("running", None, 3)
    assert history.series["objective"].iterations == [1, 2, 3]
    assert history.series["bound.0"].iterations == [1, 2, 3]
    assert history.series["accuracy"].iterations == [2]
    assert history.best == evaluation(2, mean=0.4, best_so_far=True)
    assert history.snapshots == [picture(2)]
    assert history.checkpoint is None
    assert history.rewinds == 1
    for n in (4, 5):
        history.apply(iteration(n))
    assert history.series["objective"].iterations == [1, 2, 3, 4, 5]


def test_a_final_evaluation_after_the_last_checkpoint_is_taken_back() -> None:
    records = [
        Record(n, float(n), event)
        for n, event in enumerate(
            [
                started(),
                iteration(1),
                evaluation(1, best_so_far=True),
                evaluation(1, "best", 0.1),
                Notice("info", "gone"),
                started(resumed_from=1, after_sequence=3),
            ],
            start=1,
        )
    ]
    history = RunHistory.of(records)
    assert [e.subject for e in history.evaluations] == ["live"]
    assert all(line.text != "gone" for line in history.log)


def test_how_a_run_ended_and_what_it_goes_on_from_stay_in_its_log() -> None:
    said: list[Event] = [
        started(),
        iteration(1),
        Notice("info", "before the checkpoint"),
        CheckpointWritten(1, "checkpoints/1", 0.1),
        iteration(2),
        Notice("info", "done once more"),
        Notice("info", "not made: the run stopped before", stands=True),
        CheckpointWritten(2, "checkpoints/2", 0.1),
        StateChanged("stopped", "stopped on request"),
        started(resumed_from=1, after_sequence=3),
    ]
    history = RunHistory.of([Record(n, float(n), event) for n, event in enumerate(said, start=1)])
    lines = [line.text for line in history.log]
    assert "before the checkpoint" in lines
    assert "done once more" not in lines
    assert "checkpoint at iteration 1" in lines
    assert "checkpoint at iteration 2" not in lines
    assert "not made: the run stopped before" in lines
    assert any("stopped on request" in line for line in lines)
    assert "continued from iteration 1" in lines[-1]


BEGUN_TWICE: list[Event] = [
    started(),
    Phase("experts", 15),
    expert(0, 4),
    expert(0, 5),
    expert(1, 1),
    evaluation(0, "full_set", 0.95),
    Notice("info", "said in the first sitting"),
    picture(0),
    evaluation(0, mean=0.1, best_so_far=True),
    iteration(1),
    evaluation(1),
    picture(1),
    CheckpointWritten(1, "checkpoints/1", 0.1),
    Recovered(0, 1, 1, 3, 0.5),
    StateChanged("stopped", "stopped on request"),
    RunEnded("stopped", "stopped on request", {"state": "stopped"}),
    started(again=True),
]
"""A run that is resumed where no checkpoint is left."""


def begun_twice() -> tuple[RunHistory, RunHistory]:
    """Its history live, and read again without what was superseded."""
    records = [Record(n, float(n), event) for n, event in enumerate(BEGUN_TWICE, start=1)]
    return live(BEGUN_TWICE), RunHistory.of(without_superseded(records))


def test_a_run_that_begins_again_takes_back_its_loop_alone() -> None:
    for history in begun_twice():
        assert (history.state, history.iteration, history.result, history.recoveries) == ("running", 0, None, [])
        assert (history.series, history.snapshots, history.checkpoint) == ({}, [], None)
        assert history.evaluations == [evaluation(0, "full_set", 0.95)], "a baseline is of no iterate"
        assert history.experts[0].loss.iterations == [4, 5]
        assert history.experts[1].last == expert(1, 1)
        history.apply(expert(0, 5, reused=True))
        history.apply(expert(1, 2))
        assert history.experts[0].loss.iterations == [4, 5]
        assert (history.experts[1].loss.iterations, history.done) == ([1, 2], 7)
    assert live(BEGUN_TWICE).rewinds == 2  # the recovery's and this


def test_the_log_of_a_run_that_begins_again_keeps_its_first_sitting_and_says_that_it_is_the_second() -> None:
    for history in begun_twice():
        lines = [line.text for line in history.log]
        assert "said in the first sitting" in lines
        assert "stopped on request" in lines
        starts = [line for line in lines if line.startswith("run one")]
        assert [", begun again: there was no checkpoint to go on from" in line for line in starts] == [False, True]


def test_seconds_are_those_of_all_sittings_without_what_lies_between() -> None:
    times: list[tuple[float, Event]] = [
        (0.0, started()),
        (5.0, Phase("data", None)),
        (4.0, Phase("data", None)),  # the clock was set back
        (100.0, started()),
        (103.0, Phase("data", None)),
    ]
    assert RunHistory.of(Record(number, *said) for number, said in enumerate(times, 1)).worked == 8.0
    assert RunHistory().worked == 0.0


def test_going_back_without_a_word_shows_no_iteration_twice() -> None:
    history = live([started(), *(iteration(n) for n in (1, 2, 3, 4)), iteration(2, objective=9.0)])
    assert history.series["objective"].points() == [(1, 1.0), (2, 9.0)]
    assert history.iteration == 2


def test_records_are_applied_once() -> None:
    record = Record(1, 0.0, iteration(1))
    history = RunHistory.of([record, record, Record(2, 0.0, iteration(2)), record])
    assert history.series["objective"].iterations == [1, 2]


def test_the_same_evaluation_again_replaces_the_first() -> None:
    history = live([started(), evaluation(1, mean=0.1), picture(1), evaluation(1, mean=0.2), picture(1)])
    assert [e.mean for e in history.evaluations] == [0.2]
    assert history.series["accuracy"].points() == [(1, 0.2)]
    assert len(history.snapshots) == 1


def test_nan_stays_a_gap() -> None:
    history = live([started(), iteration(1, objective=math.nan), evaluation(1, std=math.nan)])
    assert math.isnan(history.series["objective"].values[0])
    assert "±" not in history.log[-1].text


def test_the_log_is_bounded() -> None:
    history = live([started(), *(Notice("info", str(n)) for n in range(LOG_LINES + 5))])
    assert len(history.log) == LOG_LINES
    assert history.log[-1].text == str(LOG_LINES + 4)
    history.apply(Notice("warning", "careful"))
    history.apply(StateChanged("failed", "why"))
    assert [line.level for line in list(history.log)[-3:]] == ["info", "warning", "warning"]


STEP = st.sampled_from(["iterate", "iterate", "iterate", "evaluate", "picture", "checkpoint", "kill"])


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEP, max_size=40))
def test_killed_anywhere_the_history_is_that_of_an_uninterrupted_run(steps: list[str]) -> None:
    """A run that does what it does at fixed iterations, killed at random, against one never killed."""
    records: list[Record] = []
    saved, now = (0, 1), 0

    def say(event: Event) -> None:
        records.append(Record(len(records) + 1, float(len(records)), event))

    say(started())
    furthest = 0
    for step in [*steps, "kill"]:
        if step == "iterate":
            now += 1
            say(iteration(now))
        elif step == "evaluate" and now:
            say(evaluation(now, mean=now / 100))
        elif step == "picture":
            say(picture(now))
        elif step == "checkpoint":
            saved = (now, len(records))
        elif step == "kill":
            furthest = now
            now = saved[0]
            say(started(resumed_from=saved[0], after_sequence=saved[1]))
    for number in range(now + 1, furthest + 1):
        say(iteration(number))
    followed, reread = RunHistory.of(records), RunHistory.of(without_superseded(records))
    drawn = followed.series.get("objective", Series())
    assert drawn.iterations == list(range(1, furthest + 1))
    assert shown(followed) == shown(reread)


def test_live_and_journal_agree(tmp_path: Path) -> None:
    events: list[Event] = [
        started(),
        Phase("experts", 15),
        expert(0, 5),
        Phase("distill", 100),
        *(iteration(n, bounds=None) for n in range(1, 8)),
        evaluation(7, best_so_far=True),
        picture(7),
        RunEnded("done", "", {"a": 1}),
    ]
    with JournalWriter(tmp_path / "j") as writer:
        for event in events:
            writer.append(event)
    reader, history = JournalReader(tmp_path / "j"), RunHistory()
    for record in reader.poll():
        history.apply(record)
    assert shown(history) == shown(live(events)) == shown(RunHistory.load(tmp_path / "j"))
    assert len(read_all(tmp_path / "j")) == len(events)


def test_twenty_thousand_iterations_stay_cheap() -> None:
    def cost(numbers: range) -> float:
        began = time.process_time()
        for number in numbers:
            history.apply(iteration(number), time=float(number))
        return time.process_time() - began

    history = RunHistory()
    history.apply(started())
    first = cost(range(1, 2001))
    cost(range(2001, 18_001))
    last = cost(range(18_001, 20_001))
    assert len(history.series["objective"]) == 20_000
    assert last < 5 * first + 0.05, "an append must not depend on how many came before"


def test_series_keep_strict_order() -> None:
    series = Series()
    for number in (1, 2, 5, 3):
        series.add(number, float(number))
    assert series.points() == [(1, 1.0), (2, 2.0), (3, 3.0)]
    series.cut(0)
    assert (len(series), series.last) == (0, None)


def test_the_most_memory_stays_what_it_was_where_a_run_goes_back() -> None:
    taken = [replace(iteration(n), memory=memory) for n, memory in ((1, 858.0), (2, 860.0), (3, math.nan))]
    history = live([started(), *taken, Recovered(1, 3, 1, 3, 0.5)])
    assert (history.iteration, history.series["memory"].last, history.peak) == (1, 858.0, 860.0)
    history.apply(replace(iteration(2), memory=859.0))
    assert history.peak == 860.0
    history.apply(started(again=True))
    assert history.peak is None, "of a loop that was taken back"
