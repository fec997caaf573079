"""One spelling of a number wherever it stands, and live values told from final ones."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from engine.config.load import changed
from engine.config.schema import Config
from engine.events import Evaluation, Event, Iteration, RunStarted
from engine.runs.history import RunHistory
from engine.runs.log import evaluated
from mim4dd_tui.dashboard.comparison import table
from mim4dd_tui.dashboard.contenders import Contender
from mim4dd_tui.dashboard.curves import accuracy, facts, information
from mim4dd_tui.dashboard.screens.run import RunScreen
from mim4dd_tui.dashboard.widgets.facts import FactsPane
from mim4dd_tui.dashboard.widgets.plot import PlotPane
from mim4dd_tui.quantities import bound_of, nats, number
from tests.dashboard.conftest import MakeApp
from tests.dashboard.fake import FakeEngine
from tests.dashboard.helpers import run_screen, text, until


def test_numbers_have_one_spelling() -> None:
    assert (number(0.36789), number(0.36789, 0.0213), number(12345.0)) == ("0.368", "0.368 ± 0.0213", "12.3k")
    assert (nats(2.2), nats(2.2, 0.1), nats(math.nan)) == ("2.20", "2.20", "-")
    assert (bound_of(2, 2.302), bound_of(2.0, None), bound_of(None, 2.3)) == ("2.00/2.30 nats", "2.00 nats", "-")


@pytest.mark.parametrize("size", [(80, 24), pytest.param((60, 20), marks=pytest.mark.long)])
async def test_pane_and_facts_spell_alike_and_live_is_told_from_final(make_app: MakeApp, size: tuple[int, int]) -> None:
    """The last live value stands beside the final ones, of another protocol: both say what they are."""
    app = make_app(FakeEngine(iterations=60))
    async with app.run_test(size=size) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and run_screen(app).state == "done")
        await until(pilot, lambda: "87.2 ± 1.2 %" in text(app))
        screen = run_screen(app)
        live = screen.history.live
        assert live is not None
        said = screen.query_one("#accuracy", PlotPane).render_line(0).text
        assert f"live, quick-100 {live.mean * 100:.1f}" in said
        assert ("± 1.2 %" in said) is (size[0] >= 80)
        shown = {name: value for name, value, _ in screen.query_one(FactsPane).facts}
        assert shown["best final"] == "87.2 ± 1.2 %"
        bound = screen.history.series["bound"].last
        assert f"MI bound {bound:.2f}" in screen.query_one("#information", PlotPane).render_line(0).text
        assert shown["MI bound"].startswith(f"{bound:.2f}/")


def test_memory_that_earlier_runs_share_is_marked_as_a_bound() -> None:
    start = RunStarted("run", "digits-ipc1", 0, 10, 300, "here", 1, "0", {"device": "cpu"})
    on_card = replace(start, execution={"device": "cuda:0"})
    read = Iteration(1, 0.3, None, None, None, None, 0.1, None, 0.04, 0.1, 1174.0)
    cases: list[tuple[tuple[Event, ...], str]] = [
        ((start, read), "1,174 MiB"),
        ((replace(start, earlier=1), read), "<= 1,174 MiB"),
        ((replace(start, earlier=1), read, replace(start, resumed_from=1)), "<= 1,174 MiB"),
        ((replace(start, earlier=1), read, start, read), "1,174 MiB"),  # begun again, in a process of its own
        ((replace(on_card, earlier=1), read), "1,174 MiB"),
    ]
    for events, said in cases:
        history = RunHistory()
        for event in events:
            history.apply(event)
        assert {name: value for name, value, _ in facts(history)}["memory"] == said


@pytest.mark.parametrize(
    ("settings", "protocol", "on"),
    [
        ({}, "quick-100", "test"),
        ({"data.validation": 0.1}, "quick-100", "validation"),
        ({"evaluation.every": 0}, "mtt-1000", "none"),
    ],
)
def test_what_chooses_the_best_is_told_by_the_settings_until_one_is_measured(
    settings: dict[str, object], protocol: str, on: str
) -> None:
    config = changed(Config(), settings)
    history = RunHistory()
    told = {name: value for name, value, _ in facts(history, None, config)}
    assert (told["protocol"], told["chosen on"], told["best"]) == (protocol, on, "-")
    history.apply(Evaluation(1, "live", "paper-300", 0.8, 0.02, [0.8], "test", "test", 1.0, True))
    told = {name: value for name, value, _ in facts(history, None, config)}
    assert (told["protocol"], told["chosen on"]) == ("paper-300", "test")


def test_a_full_set_that_is_not_whole_says_of_how_many_images_it_is() -> None:
    history = RunHistory()
    whole = Evaluation(0, "full_set", "experts-last-epoch", 0.9, 0.01, [0.9], "none", "test", 1.0)
    history.apply(whole)
    assert [level.name for level in accuracy(history).levels] == ["full"]
    part = replace(whole, train_images=5000)
    history.apply(part)
    assert [level.name for level in accuracy(history).levels] == ["full (5,000 images)"]
    assert {name: value for name, value, _ in facts(history)}["full set"] == "90.0 ± 1.0 %*"
    assert evaluated(part) == "full set 90.0 ± 1.0 % (experts-last-epoch, 5,000 training images)"


def test_a_layer_that_lies_under_the_bound_says_so() -> None:
    def named(*readings: list[float]) -> list[str]:
        history = RunHistory()
        for i, bounds in enumerate(readings, 1):
            history.apply(Iteration(i, 0.3, 2.9, max(bounds), 2.3, bounds, 0.1, 0.7, 0.04, 0.1, 600.0))
        return [series.name for series in information(history).series]

    assert named([0.5, 1.0], [0.6, 1.1]) == ["layer 0", "layer 1 (the bound)", "MI bound"]
    assert named([0.5, 1.0], [1.2, 1.1]) == ["layer 0 (partly the bound)", "layer 1 (partly the bound)", "MI bound"]
    assert named([0.5], [1.2]) == ["MI bound"]


def test_facts_and_comparison_say_the_same_of_a_run() -> None:
    history = RunHistory()
    history.apply(Iteration(1, 0.36789, 2.9694, 2.0, math.log(10), None, 0.1, 0.77419, 0.040213, 0.1, 600.0))
    history.apply(Evaluation(1, "live", "quick-100", 0.8888, 0.02, [0.8], "test", "test", 1.0, True))
    known = {name: value for name, value, _ in facts(history)}
    assert known["best live"] == known["last live"] == "88.9 ± 2.0 %"
    history.apply(Evaluation(2, "request", "quick-100", 0.9, 0.02, [0.8], "none", "test", 1.0))
    assert {name: value for name, value, _ in facts(history)}["asked for"] == "90.0 ± 2.0 %"
    lines = {line.name: line.values[0] for line in table([Contender("A", "A", 1, "running", history, None)])}
    assert lines["best accuracy"] == "~88.9 ± 2.0 %"
    assert (lines["MI bound, last reading"], lines["objective"]) == ("2.00", "0.368")
    assert lines["MI bound, mean at end"] == "2.00"
    assert lines["step size"] == known["step size"] == "0.0402"
