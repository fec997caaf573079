"""Plain progress lines."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest

from engine.events import (
    CheckpointWritten,
    Evaluation,
    ExpertEpoch,
    Iteration,
    Lengthened,
    Notice,
    Phase,
    Progress,
    Recovered,
    RunEnded,
    RunStarted,
    StateChanged,
)
from mim4dd_tui.plain import PlainObserver, ago, duration, percent

STARTED = RunStarted("mine", "digits-ipc1", 3, 10, 100, "here", 1, "0", {})


def iteration(number: int) -> Iteration:
    return Iteration(number, 0.5, 2.5, 1.25, math.log(10), None, 0.1, 0.8, 0.05, 0.1)


def test_progress_is_rare_and_the_last_iteration_is_never_left_out() -> None:
    now = [0.0]
    out = io.StringIO()
    observer = PlainObserver(out, interval=5.0, clock=lambda: now[0])
    observer(STARTED)
    for number in range(1, 101):
        now[0] += 0.1
        observer(iteration(number))
    lines = out.getvalue().splitlines()
    numbers = [int(line.split("/")[0].split()[-1]) for line in lines if "iteration" in line]
    assert numbers[0] == 1
    assert numbers[-1] == 100
    assert len(numbers) <= 4
    assert "objective 0.5" in lines[1]
    assert "MI >= 1.25/2.30 nats" in lines[1]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (STARTED, "run mine (preset digits-ipc1, seed 3)"),
        (replace(STARTED, again=True), "seed 3), begun again: there was no checkpoint to go on from"),
        (replace(STARTED, again=True, resumed_from=20), "seed 3), resumed from iteration 20"),
        (Phase("experts", 10, "8 experts"), "experts: 8 experts"),
        (Evaluation(50, "live", "quick-100", 0.873, 0.004, [0.87], "test", "test", 1.0, True), "87.3 ± 0.4 %"),
        (CheckpointWritten(50, "x", 0.1), "checkpoint at iteration 50"),
        (replace(STARTED, preset="c10.toml on digits-ipc1"), "run mine (preset c10.toml on digits-ipc1, seed 3)"),
        (
            Lengthened(1000, 1000, 2000, 0.8731, "live evaluations come every 20 iterations"),
            "lengthened from 1,000 to 2,000 iterations; its final accuracy was 87.3 %; live evaluations come every 20",
        ),
        (Lengthened(500, 1000, 2000), "lengthened from 1,000 to 2,000 iterations at iteration 500"),
        (
            Recovered(0, 2, 2, 3, 0.25, "the objective is not finite"),
            "  warning: back to iteration 0 (2 of 3 times), from here on with the rates times 0.25: the objective",
        ),
        (
            RunEnded("done", result={"recoveries": [{"iteration": 4, "rates": 0.5}, {"iteration": 0, "rates": 0.25}]}),
            "run done; it went back 2 times, the last time to iteration 0: its rates are now those set times 0.25",
        ),
        (Notice("warning", "the bound stands at chance"), "warning: the bound stands at chance"),
        (StateChanged("paused", "on request"), "paused: on request"),
        (StateChanged("paused", "paused on request"), "paused on request"),
        (RunEnded("stopped", "stopped on request"), "run stopped on request"),
        (RunEnded("failed", "not a number"), "run failed: not a number"),
        (ExpertEpoch(1, 4, 3, 3, 0.2, 0.9, 0.95, 1.0), "expert 2/4 trained  test 95.0 %"),
        (Progress("data", 3, 10, "mnist"), "data: 3 of 10 mnist"),
        (Progress("baselines", 3, 10), "baselines: 3 of 10 networks"),
        (Progress("baselines", 0, 1), "baselines: 0 of 1 network"),
        (Progress("experts", 4, 8), "experts: 4 of 8 epochs, all experts together"),
        (Progress("experts", 4, 8, "found in the cache"), "experts: 4 of 8 epochs, found in the cache"),
    ],
)
def test_every_event_has_its_words(event: object, words: str) -> None:
    out = io.StringIO()
    PlainObserver(out)(event)  # type: ignore[arg-type]
    assert words in out.getvalue()
    assert "paused: paused" not in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_experts_from_the_cache_have_one_line_and_no_progress() -> None:
    out, now = io.StringIO(), [0.0]
    observer = PlainObserver(out, interval=5.0, clock=lambda: now[0])
    for expert in range(2):
        observer(ExpertEpoch(expert, 4, 4, 4, 0.2, 0.9, 0.95, 1.0, reused=True))
        observer(Progress("experts", 4 * (expert + 1), 16, "found in the cache"))
    assert not out.getvalue()
    observer(Notice("warning", "expert 3 is trained again: it is damaged"))
    observer(ExpertEpoch(3, 4, 4, 4, 0.2, 0.9, 0.95, 1.0, reused=True))
    observer(Phase("distill"))
    assert out.getvalue().splitlines() == [
        "  experts 1 to 2 of 4: from the cache",
        "  warning: expert 3 is trained again: it is damaged",
        "  expert 4 of 4: from the cache",
        "distill",
    ]
    observer(ExpertEpoch(2, 3, 1, 4, 0.2, 0.9, None, 1.0))
    now[0] += 6.0
    observer(Progress("experts", 9, 12, "8 of them found in the cache"))
    assert "experts: 9 of 12 epochs, 8 of them found in the cache" in out.getvalue()


def test_a_cache_that_takes_long_to_read_is_told_of_meanwhile() -> None:
    out, now = io.StringIO(), [0.0]
    observer = PlainObserver(out, interval=5.0, clock=lambda: now[0])
    for expert in range(8):
        now[0] += 2.0
        observer(ExpertEpoch(expert, 8, 4, 4, 0.2, 0.9, 0.95, 1.0, reused=True))
        observer(Progress("experts", 4 * (expert + 1), 32, "found in the cache"))
    observer(RunEnded("stopped", "stopped on request"))
    assert out.getvalue().splitlines() == [
        "  experts 1 to 4 of 8: from the cache",
        "  experts 5 to 8 of 8: from the cache",
        "run stopped on request",
    ]


def test_a_stream_that_is_gone_silences_but_never_raises() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    observer = PlainObserver(Gone())
    observer(STARTED)
    observer(Phase("data"))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (45, "45 s"),
        (59.9, "59 s"),
        (187.9, "3:07"),
        (7509, "2:05:09"),
        (math.nan, "-"),
        (-1, "-"),
    ],
)
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "just now"),
        (59.9, "just now"),
        (119, "1 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (172_799, "47 h ago"),
        (172_800, "2 days ago"),
    ],
)
def test_ago(seconds: float, expected: str) -> None:
    assert ago(seconds) == expected


def test_percent() -> None:
    assert percent(0.873, 0.004) == "87.3 ± 0.4 %"
    assert percent(0.873, math.nan) == "87.3 %"
    assert percent(math.nan) == "-"


def test_why_a_run_failed_is_said_once() -> None:
    def written(*, reasons: bool) -> str:
        out = io.StringIO()
        observer = PlainObserver(out, reasons=reasons)
        observer(StateChanged("failed", "no network"))
        observer(RunEnded("failed", "no network"))
        return out.getvalue()

    assert written(reasons=True) == "run failed: no network\n"
    assert written(reasons=False) == "run failed\n", "the error that the command ends with says it"


def test_a_step_size_is_told_where_it_moved() -> None:
    out = io.StringIO()
    observer = PlainObserver(out, interval=0.0)
    for number, size in enumerate((0.02, 0.02, 0.02, 0.021), 1):
        observer(replace(FIGURES, iteration=number, step_size=size))
    told = [line.partition("  step ")[2] for line in out.getvalue().splitlines()]
    assert told == ["0.02", "", "", "0.021"]


FIGURES = Iteration(1234, 0.98765, 4.5678, 2.0432, 2.3026, [2.0], 0.1, 0.8, 0.012345, 0.1)


@pytest.mark.parametrize(
    ("width", "left"),
    [
        (200, "objective 0.9877  nce 4.568  MI >= 2.04/2.30 nats  step 0.0123"),
        (80, "objective 0.9877  nce 4.568  MI >= 2.04/2.30 nats"),
        (68, "objective 0.9877  MI >= 2.04/2.30 nats"),
        (60, "objective 0.9877"),
        (20, "objective 0.9877"),
        (None, "objective 0.9877  nce 4.568  MI >= 2.04/2.30 nats  step 0.0123"),
    ],
)
def test_on_a_terminal_an_iteration_is_one_line_of_what_is_asked_for_most(
    width: int | None, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width or 20))
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: width is not None)
    PlainObserver(out, iterations=10_000)(FIGURES)
    lines = out.getvalue().splitlines()
    assert " ".join(" ".join(lines).split()) == " ".join(f"iteration 1234/10000 {left}".split())
    if width != 20:
        assert len(lines) == 1
