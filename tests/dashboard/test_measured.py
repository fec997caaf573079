"""On which images and by which protocol an accuracy was measured is said wherever it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from engine.events import Evaluation, Event, Iteration, RunStarted, StateChanged
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.log import log_line
from engine.runs.status import Status, StatusWriter
from mim4dd_tui.dashboard import curves
from mim4dd_tui.dashboard.catalog import read_run
from mim4dd_tui.dashboard.comparison import BRIEF, figure, heading, legend, table
from mim4dd_tui.dashboard.contenders import Contender
from mim4dd_tui.dashboard.details import run_text
from mim4dd_tui.dashboard.exports import tables_of, tables_of_compared
from mim4dd_tui.dashboard.session import EngineSession
from mim4dd_tui.dashboard.widgets.plot_title import Title
from mim4dd_tui.plain import PlainObserver
from mim4dd_tui.plots.draw import draw
from mim4dd_tui.plots.figure import Figure, Series, Viewport
from mim4dd_tui.plots.page import Words
from mim4dd_tui.plots.paper import lay_out
from mim4dd_tui.plots.viewing import nothing
from tests.dashboard.conftest import MakeApp
from tests.dashboard.shelves import make_run, stands

START = RunStarted("run", "digits-ipc1", 0, 10, 300, "here", 1, "0", {"device": "cpu"})
READ = Iteration(50, 0.3, None, None, None, None, 0.1, None, None, 0.1)
LIVE = Evaluation(50, "live", "quick-100", 0.897, 0.012, [0.89], "test", "test", 1.0, True)
HELD_OUT = replace(LIVE, selected_on="validation", measured_on="validation")
RANDOM = Evaluation(0, "random_selection", "quick-100", 0.55, 0.01, [0.55], "none", "test", 1.0)
ASKED = Evaluation(60, "request", "quick-100", 0.95, 0.01, [0.95], "none", "test", 1.0)


def of(*events: Event) -> RunHistory:
    history = RunHistory()
    for event in (START, *events):
        history.apply(event)
    return history


def contender(mark: str, *events: Event) -> Contender:
    return Contender(mark, mark, 1, "running", of(*events), None)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (LIVE, "accuracy 89.7 ± 1.2 % (quick-100) at iteration 50, best so far"),
        (HELD_OUT, "accuracy on validation images 89.7 ± 1.2 % (quick-100) at iteration 50, best so far"),
        (
            replace(HELD_OUT, subject="request", best_so_far=False),
            "accuracy on validation images (asked for) 89.7 ± 1.2 % (quick-100) at iteration 50",
        ),
        (replace(LIVE, subject="best", best_so_far=False), "best iterate 89.7 ± 1.2 % (quick-100) at iteration 50"),
        (replace(LIVE, step_size=0.02), "accuracy 89.7 ± 1.2 % (quick-100) at iteration 50, best so far"),
        (
            replace(LIVE, subject="last", best_so_far=False, step_size=0.02),
            "last iterate 89.7 ± 1.2 % (quick-100 at step size 0.02) at iteration 50",
        ),
        (RANDOM, "random real images 55.0 ± 1.0 % (quick-100 at rate 0.01)"),
        (
            replace(RANDOM, labelled=True),
            "random real images 55.0 ± 1.0 % (labelled by an expert, quick-100 at rate 0.01)",
        ),
    ],
)
def test_log_and_headless_lines_say_the_same(event: Evaluation, text: str) -> None:
    assert log_line(event) == ("info", text)
    stream = io.StringIO()
    PlainObserver(stream)(event)
    assert stream.getvalue() == f"  {text}\n"


@pytest.mark.parametrize(
    ("live", "baseline", "name", "level", "fact"),
    [
        (LIVE, RANDOM, "live, quick-100", "random", "55.0 ± 1.0 %"),
        (HELD_OUT, RANDOM, "live validation, quick-100", "random (test)", "55.0 ± 1.0 %*"),
        (LIVE, replace(RANDOM, protocol="paper-300"), "live, quick-100", "random (paper-300)", "55.0 ± 1.0 %*"),
        (LIVE, replace(RANDOM, labelled=True), "live, quick-100", "random (expert's labels)", "55.0 ± 1.0 %"),
        (
            HELD_OUT,
            replace(RANDOM, labelled=True),
            "live validation, quick-100",
            "random (expert's labels, test)",
            "55.0 ± 1.0 %*",
        ),
    ],
)
def test_a_curve_and_what_it_stands_beside_say_how_they_were_measured(
    live: Evaluation, baseline: Evaluation, name: str, level: str, fact: str
) -> None:
    full = replace(RANDOM, subject="full_set", protocol="experts-last-epoch")
    history = of(baseline, full, READ, live)
    figure = curves.accuracy(history)
    assert [series.name for series in figure.series] == [name]
    assert [level.name for level in figure.levels] == [level, "full (test)" if live is HELD_OUT else "full"]
    facts = {name: value for name, value, _ in curves.facts(history)}
    assert facts["random"] == fact
    assert facts["best live"] == ("v" if live is HELD_OUT else "") + "89.7 ± 1.2 %"


def test_a_narrow_title_keeps_that_the_images_are_for_validation() -> None:
    figure = curves.accuracy(of(RANDOM, READ, HELD_OUT))
    _, said = Title(figure, Viewport(), ("accuracy", "acc."), "z", 34, {}, "->").said()
    assert "live validation 89.7 %" in "".join(text for text, _ in said)


def test_at_a_mark_under_the_cursor_its_value_comes_before_baselines() -> None:
    figure = curves.accuracy(of(RANDOM, replace(RANDOM, subject="full_set", mean=0.968), READ, LIVE, ASKED))
    for place, there in ((60.0, True), (50.0, False)):
        _, said = Title(figure, Viewport(cursor=place), ("accuracy", "acc."), "z", 80, {}, "->").said()
        words = "".join(text for text, _ in said)
        assert ("asked for 95.0" in words) == there, words
        assert "live, quick-100 89.7" in words


def test_the_newest_accuracy_is_not_called_live_where_it_was_asked_for() -> None:
    names = [name for name, _, _ in curves.facts(of(READ, LIVE, ASKED))]
    assert "best live" in names
    assert "asked for" in names
    assert "last live" not in names


def test_what_was_asked_for_is_marked_and_joined_to_nothing() -> None:
    figure = curves.accuracy(of(READ, LIVE, replace(LIVE, iteration=100, mean=0.898), ASKED))
    live, asked = figure.series
    assert (live.x.tolist(), asked.x.tolist()) == ([50, 100], [60])
    assert (asked.name, asked.line, asked.band) == ("asked for", False, None)
    twice = replace(asked, x=np.array([60.0, 90.0]), y=np.array([0.95, 0.95]))
    drawn = draw(replace(figure, series=(live, twice)), Viewport(), 60, 12, "ascii").text()
    assert drawn.count("o") == 2, drawn


@pytest.mark.parametrize("event", [LIVE, HELD_OUT])
def test_tables_say_how_every_accuracy_of_a_curve_was_measured(event: Evaluation) -> None:
    history = of(READ, event, replace(ASKED, measured_on=event.measured_on))
    rows = list(csv.DictReader(io.StringIO(tables_of(history)()["metrics.csv"])))
    known = [[row["iteration"], row["accuracy"], row["accuracy_asked"], row["accuracy_measured_on"]] for row in rows]
    assert known == [["50", "0.897", "", event.measured_on], ["60", "", "0.95", event.measured_on]]
    assert {row["accuracy_protocol"] for row in rows} == {"quick-100"}
    compared = tables_of_compared(["one"], [Contender("A", "one", 1, "running", history, None)])()
    assert event.measured_on in compared["curves.csv"].splitlines()[1]
    assert next(csv.DictReader(io.StringIO(compared["runs.csv"])))["best_measured_on"] == event.measured_on


def test_a_comparison_of_what_is_not_measured_alike_says_so() -> None:
    test, held_out = contender("A", READ, LIVE), contender("B", READ, HELD_OUT)
    other = contender("B", READ, replace(LIVE, protocol="paper-300"))
    assert heading("accuracy", [test, contender("B", READ)]) == ("live accuracy", BRIEF["accuracy"])
    assert heading("accuracy", [held_out, held_out])[1].endswith("(validation)")
    for beside in (held_out, other):
        assert heading("accuracy", [test, beside]) == (
            "live accuracy, measured differently",
            f"{BRIEF['accuracy']} (mixed)",
        )
    assert heading("objective", [test, held_out])[0] == "objective"
    lines = {line.name: line.values for line in table([test, held_out])}
    assert lines["live accuracy on"] == ("test", "validation")
    assert "live accuracy by" not in lines, "their protocol is the same"
    apart = {line.name: line.values for line in table([test, other, contender("C", READ)])}
    assert apart["live accuracy by"] == ("quick-100", "paper-300", "-")
    assert "live accuracy on" not in apart
    assert lines["best accuracy"] == ("~89.7 ± 1.2 %", "v89.7 ± 1.2 %")
    assert not [line for line in table([test, test]) if line.name.startswith("live accuracy")]
    both = [test, held_out]
    notes = [note for _, note in legend("accuracy", figure("accuracy", both), both)]
    assert [note.partition("(")[2] for note in notes] == ["test, quick-100)", "validation, quick-100)"]


def test_a_comparison_says_where_an_expert_labelled_random_real_images() -> None:
    hard, soft = contender("A", RANDOM), contender("B", replace(RANDOM, labelled=True))
    (line,) = (line for line in table([hard, soft, contender("C")]) if line.name == "random images' labels")
    assert line.values == ("hard", "expert's", "-")
    assert not [line for line in table([hard, hard]) if line.name == "random images' labels"]
    rows = [*csv.DictReader(io.StringIO(tables_of_compared(["a", "b"], [hard, soft])()["runs.csv"]))]
    assert [row["random_selection_labelled"] for row in rows] == ["false", "true"]
    (row,) = csv.DictReader(io.StringIO(tables_of(soft.history)()["evaluations.csv"]))
    assert (row["labelled"], row["train_images"]) == ("true", "")
    full = of(replace(RANDOM, subject="full_set", train_images=900))
    (row,) = csv.DictReader(io.StringIO(tables_of(full)()["evaluations.csv"]))
    assert (row["labelled"], row["train_images"]) == ("", "900")


def test_lists_mark_a_validation_accuracy(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", state="stopped", accuracy=0.9)
    assert read_run(run).score == "~90.0 %", "an older version did not say on what"
    stands(run, final=False, measured_on="validation")
    assert read_run(run).score == "v90.0 %"
    assert "live, of a few networks, on validation images" in run_text(read_run(run), "", unicode=True).plain
    stands(run, final=True, measured_on="test")
    assert read_run(run).score == "90.0 %"


def test_the_status_says_how_its_accuracy_was_measured(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", state="running", accuracy=None)
    writer = StatusWriter(run.path)

    def heard(event: Evaluation) -> tuple[float | None, bool, str]:
        writer.hear(event)
        writer.update()
        status = RunFolder(run.path).status()
        assert isinstance(status, Status)
        return status.accuracy, status.live, status.measured_on

    assert heard(HELD_OUT) == (0.897, True, "validation")
    final = replace(HELD_OUT, subject="best", measured_on="test", mean=0.88, best_so_far=False)
    assert heard(final) == (0.88, False, "test")


def test_what_is_announced_at_a_runs_end_marks_its_accuracy(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "one", state="stopped", accuracy=0.9)
    stands(run, final=False, measured_on="validation")
    said: list[str] = []
    app = make_app()
    monkeypatch.setattr(app, "announce", lambda _mark, name, what: said.append(f"{name} {what}"))
    ended = SimpleNamespace(error=None, failed=False, left="", result={"state": "stopped"}, path=run.path)
    app._announce_end(cast("EngineSession", ended))
    assert said == ["one stopped, v90.0 %"]


def test_panes_of_a_run_without_the_term_promise_nothing() -> None:
    off = "the term is off (information.weight 0)"
    history = of(READ)
    assert (curves.information(history).empty, curves.ratio(history).empty) == (off, off)
    assert curves.step_size(history).empty == "this objective learns none"
    before = of(replace(START, changes={"information.weight": 0.0}))
    assert curves.information(before).empty == off
    assert curves.information(of()).empty == "no bound read yet"
    assert curves.ratio(of()).empty == curves.step_size(of()).empty == "no iteration yet"


def test_a_step_size_is_a_curve_where_it_is_learned() -> None:
    def facts(history: RunHistory) -> str:
        return next(value for name, value, _ in curves.facts(history) if name == "step size")

    still = [replace(READ, iteration=number, step_size=0.02) for number in (1, 2, 3)]
    figure = curves.step_size(of(*still))
    assert (figure.series, figure.empty) == ((), "not learned: 0.02 throughout")
    assert facts(of(*still)) == "0.02, fixed"
    learned = of(*still, replace(READ, iteration=4, step_size=0.021))
    assert [len(series.x) for series in curves.step_size(learned).series] == [4]
    assert facts(learned) == "0.021"
    assert curves.step_size(of(still[0])).series, "whether it is learned is not known yet"


def test_a_title_says_how_a_curve_is_looked_at_before_it_names_marks_and_smooths_no_measurement() -> None:
    x = np.array([0.0, 50.0])
    live = Series("live validation, quick-100", x, np.array([0.09, 0.89]), 5, markers=True)
    asked = Series("asked for", x[1:], np.array([0.89]), 2, markers=True, line=False)
    accuracies = Figure((live, asked), percent=True, told=lambda value, _: f"{value:.1%}")
    view = Viewport(log_y=True, smoothing=0.5)

    def told(figure: Figure, width: int) -> str:
        heading, said = Title(figure, view, ("accuracy", "acc."), "z", width, {}, "->").said()
        return heading + "".join(part for part, _ in said)

    assert told(accuracies, 38).endswith(" [y]")
    assert "asked for 89.0%" in told(accuracies, 90)
    assert "smooth" not in told(accuracies, 90)
    assert "smooth 0.5" in told(Figure((Series("objective", x, x),)), 90)
    for figure_, smoothed in ((accuracies, False), (Figure((Series("objective", x, x),)), True)):
        words = [
            shape.text
            for shape in lay_out(figure_, view, {1: "#aa0000", 2: "#00aa00", 5: "#0000aa"}, "t").shapes
            if isinstance(shape, Words)
        ]
        assert any("smooth" in word for word in words) is smoothed


@pytest.mark.parametrize(
    ("states", "without", "words"),
    [
        (("running", "done"), False, "no run has it yet"),
        (("done", "done"), False, "no run has it"),
        (("done", "done"), True, "the term is off (information.weight 0)"),
        (("running", "running"), True, "the term is off (information.weight 0)"),
    ],
)
def test_a_metric_that_compared_runs_lack_is_said_to_come_only_if_it_can(
    states: Sequence[str], without: bool, words: str
) -> None:
    begun = replace(START, changes={"information.weight": 0.0} if without else {})
    history = RunHistory()
    history.apply(begun)
    runs = [Contender(mark, mark, 1, state, history, None) for mark, state in zip("AB", states, strict=True)]
    assert figure("bound", runs).empty == words
    if without:
        assert figure("objective", runs).empty.startswith("no run has it")


@pytest.mark.parametrize(
    ("state", "words"), [("running", "no iteration yet"), ("stopped", "no iteration yet"), ("failed", "no iteration")]
)
def test_what_a_run_that_is_over_lacks_is_not_said_to_come(state: str, words: str) -> None:
    history = of(StateChanged(state))
    assert curves.drawn("losses", history).empty == words
    only = of(replace(LIVE, iteration=0), StateChanged(state))
    yet = words.endswith(" yet")
    told = "nothing right of 0 yet" if yet else "nothing right of 0"
    assert nothing(curves.drawn("accuracy", only), Viewport(log_x=True)) == told
    assert figure("accuracy", [Contender("A", "A", 1, state, only, None)]).over is not yet


def test_the_last_iterate_was_chosen_on_no_images() -> None:
    """Also of a run that has not come to its end, whose newest live evaluation stands for it."""
    tables = tables_of_compared(["one"], [contender("A", LIVE)])()
    row = next(csv.DictReader(io.StringIO(tables["runs.csv"])))
    assert (row["best_selected_on"], row["last_selected_on"], row["last_mean"]) == ("test", "none", "0.897")
