"""Compared runs of several seeds: their means, their paired differences, and where there are none."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.analysis.estimates import paired
from engine.config.load import changed, resolve
from engine.events import Evaluation, Iteration
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalWriter
from mim4dd_tui.characters import plain
from mim4dd_tui.dashboard.comparison import figure, heading, legend, table
from mim4dd_tui.dashboard.contenders import Contender, Line
from mim4dd_tui.dashboard.exports import tables_of_compared
from mim4dd_tui.dashboard.screens.compare import CompareScreen
from mim4dd_tui.dashboard.shelf import Shelf
from mim4dd_tui.dashboard.together import differences, groups, lines, means, rows
from mim4dd_tui.plain import percent
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import SIZES, text, until
from tests.dashboard.shelves import make_run

HEAVIER: dict[str, Any] = {"information.weight": 0.5}


def contender(
    mark: str, seed: int, best: float | None, last: float | None = None, *, chosen: str = "test", **settings: Any
) -> Contender:
    """A run of which the finished evaluations are known; ``best`` None: only a live one."""
    history = RunHistory()
    history.apply(Evaluation(10, "live", "quick-100", 0.3, 0.01, [0.3], "none", "test", 1.0, True))
    protocol = str(settings.get("evaluation.protocol", "quick-100"))
    if best is not None:
        history.apply(Evaluation(10, "best", protocol, best, 0.01, [best], chosen, "test", 1.0))
        last = best if last is None else last
        history.apply(Evaluation(20, "last", protocol, last, 0.01, [last], "none", "test", 1.0))
    config = changed(resolve("digits-ipc1", seed=seed).config, settings)
    return Contender(mark, mark, 1, "done" if best else "running", history, config)


def finished(folder: RunFolder, accuracy: float) -> None:
    """The run's final evaluations, of both iterates."""
    with JournalWriter(folder.journal_path) as writer:
        for subject in ("best", "last"):
            writer.append(Evaluation(50, subject, "quick-100", accuracy, 0.01, [accuracy], "test", "test", 1.0))


def told(found: list[Line]) -> dict[str, str]:
    return {line.name: line.words[0] for line in found if line.words}


def six(**settings: Any) -> list[Contender]:
    """Three seeds without a change, three with one, in turns."""
    plain_ones = [contender(m, s, v, v - 0.01) for m, s, v in (("A", 0, 0.80), ("C", 1, 0.82), ("E", 2, 0.84))]
    others = [
        contender(m, s, v, v - 0.02, **(settings or HEAVIER))
        for m, s, v in (("B", 0, 0.83), ("D", 1, 0.84), ("F", 2, 0.87))
    ]
    return [one for pair in zip(plain_ones, others, strict=True) for one in pair]


def test_means_and_paired_differences_over_seeds() -> None:
    found = told(list(lines(six())))
    assert found["A C E, 3 seeds"] == "best 82.0 ± 2.0 %, last 81.0 ± 2.0 % (± over seeds)"
    assert (
        found["B D F, 3 seeds"]
        == f"best {percent(0.8466667, 0.0208167)}, last {percent(0.8266667, 0.0208167)} (± over seeds)"
    )
    best, last = paired([0.83, 0.84, 0.87], [0.80, 0.82, 0.84]), paired([0.81, 0.82, 0.85], [0.79, 0.81, 0.83])
    words = found["B D F − A C E, 3 pairs"]
    assert words == f"best +2.7 ± {100 * best.half:.1f}, last +1.7 ± {100 * last.half:.1f} points (± 95 %)"
    assert plain("B D F − A C E").isascii()
    assert "-" in plain("−")


def test_they_stand_below_the_accuracies_and_before_the_settings() -> None:
    names = [line.name for line in table(six())]
    assert names[names.index("last accuracy") + 1] == "A C E, 3 seeds"
    assert names[names.index("B D F − A C E, 3 pairs") + 1] == "seed"


def test_runs_without_a_second_seed_have_no_such_line() -> None:
    assert not list(lines([contender("A", 0, 0.8), contender("B", 0, 0.8, **HEAVIER)]))
    assert not list(rows([contender("A", 0, 0.8), contender("B", 1, 0.8, **HEAVIER)]))


def test_a_live_accuracy_is_in_no_mean() -> None:
    going = contender("C", 2, None)
    found = told(list(lines([contender("A", 0, 0.8), contender("B", 1, 0.9), going])))
    assert found == {"A B, 2 seeds": "best 85.0 ± 7.1 %, last 85.0 ± 7.1 % (± over seeds)"}
    found = told(list(lines([contender("A", 0, 0.8), contender("B", 1, None), going])))
    assert found == {"A B C, 3 seeds": "no mean yet: 1 of 3 seeds finished"}
    over = [replace(one, state="failed") for one in (contender("B", 1, None), going)]
    found = told(list(lines([contender("A", 0, 0.8), *over])))
    assert found == {"A B C, 3 seeds": "no mean: 1 of 3 seeds finished"}, "no more come as they are"


def test_means_and_differences_are_named_by_the_runs_they_are_of() -> None:
    plain_ones = [contender("A", 0, None), contender("B", 1, 0.8), contender("C", 2, 0.9)]
    others = [contender("D", 2, 0.9, **HEAVIER), contender("E", 0, 0.8, **HEAVIER), contender("F", 1, 0.85, **HEAVIER)]
    found = told(list(lines([*plain_ones, *others])))
    assert list(found) == ["B C, 2 seeds", "D E F, 3 seeds", "D F − B C, 2 pairs"]
    assert [(row["runs"], row["minus"]) for row in rows([*plain_ones, *others])][::2] == [
        ("B C", ""),
        ("D E F", ""),
        ("D F", "B C"),
    ]


def test_a_mean_of_fewer_runs_waits_until_they_are_all_measured() -> None:
    """The last iterates are measured after the best ones, and one name is for both."""
    ending = contender("C", 2, None)
    ending.history.apply(Evaluation(10, "best", "quick-100", 0.7, 0.01, [0.7], "test", "test", 1.0))
    found = told(list(lines([contender("A", 0, 0.8), contender("B", 1, 0.9), ending])))
    assert found == {"A B C, 3 seeds": "best 80.0 ± 10.0 % (± over seeds)"}


def test_one_seed_twice_makes_no_mean() -> None:
    twice = [contender("A", 0, 0.8), contender("B", 0, 0.8), contender("C", 1, 0.9)]
    others = [contender("D", 0, 0.8, **HEAVIER), contender("E", 1, 0.8, **HEAVIER)]
    found = told(list(lines([*twice, *others])))
    assert found["A B C, 3 runs"] == "no mean: seed 0 is there more than once"
    assert found["D E − A B C"] == "no pairs: a seed is there more than once"
    assert [row["runs"] for row in rows([*twice, *others])] == ["D E", "D E"]


def test_what_is_not_measured_alike_is_not_subtracted() -> None:
    found = told(list(lines(six(**{"evaluation.protocol": "paper-300"}))))
    assert found["B D F − A C E"] == "not measured alike: protocol or images differ"
    ours, theirs = groups(six(**{"evaluation.protocol": "paper-300"}))
    assert not differences(theirs, ours)
    assert {row["protocol"] for row in rows(six(**{"evaluation.protocol": "paper-300"}))} == {"quick-100", "paper-300"}


def test_pairs_are_of_the_seeds_that_both_have() -> None:
    ours = [contender("A", 0, 0.8), contender("B", 1, 0.82), contender("C", 2, 0.9)]
    theirs = [contender("D", 1, 0.84, **HEAVIER), contender("E", 2, 0.91, **HEAVIER), contender("F", 3, 0.1, **HEAVIER)]
    first, second = groups([*ours, *theirs])
    (best, _) = differences(second, first)
    assert (best.count, best.of, best.beside) == (2, "D E", "B C")
    assert "D E − B C, 2 pairs" in told(list(lines([*ours, *theirs])))
    assert math.isclose(best.mean, 0.015)
    (found,) = [words for name, words in told(list(lines([*ours, theirs[0], theirs[2]]))).items() if "−" in name]
    assert found == "no interval: 1 finished seed in common"
    (line,) = [one for one in lines([*ours, theirs[0], theirs[2]]) if "−" in one.name]
    assert line.words[-1] == "1 finished seed in common", "others may be common and not finished"


def test_where_nothing_was_chosen_there_is_the_last_iterate_alone() -> None:
    (group,) = groups([contender("A", 0, 0.8, 0.7, chosen="none"), contender("B", 1, 0.8, 0.72, chosen="none")])
    (found,) = means(group)
    assert (found.which, round(found.mean, 4)) == ("last", 0.71)


def test_the_exported_table_has_them(tmp_path: Path) -> None:
    found = tables_of_compared([f"run-{one.mark}" for one in six()], six())()
    table_of_seeds = list(csv.DictReader(io.StringIO(found["seeds.csv"])))
    assert [(row["runs"], row["minus"], row["which"], row["count"]) for row in table_of_seeds] == [
        ("A C E", "", "best", "3"),
        ("A C E", "", "last", "3"),
        ("B D F", "", "best", "3"),
        ("B D F", "", "last", "3"),
        ("B D F", "A C E", "best", "3"),
        ("B D F", "A C E", "last", "3"),
    ]
    assert math.isclose(float(table_of_seeds[0]["mean"]), 0.82)
    assert table_of_seeds[0]["selected_on"] == "test"
    assert "95 %" in table_of_seeds[-1]["spread_is"]
    assert "seeds.csv" not in tables_of_compared(["a", "b"], six()[:2])()


@pytest.mark.parametrize("size", SIZES)
async def test_they_are_whole_on_every_size(make_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for seed, accuracy in enumerate((0.80, 0.82, 0.84)):
        finished(make_run(runs, f"plain-{seed}", seed=seed), accuracy)
        finished(make_run(runs, f"heavy-{seed}", seed=seed, information__weight=0.5), accuracy + 0.01 * (seed + 1))
    app = make_app()
    async with app.run_test(size=size) as pilot:
        infos = sorted(Shelf(runs).read(), key=lambda info: info.name)
        app.compare(infos, {info.name: k for k, info in enumerate(infos, 1)})
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "3 seeds" in text(app))
        for _ in range(6):
            await pilot.press("j")
        await until(pilot, lambda: "D E F − A B C, 3 pairs" in text(app))
        (line,) = [each for each in text(app).splitlines() if "3 pairs" in each]
        assert "best -2.0 ± 2.5, last -2.0 ± 2.5" in line
        assert "…" not in line


@pytest.mark.parametrize(
    ("settings", "images"),
    [({"data.name": "mnist"}, ("digits test", "mnist test")), ({"data.test_limit": 100}, ("test", "test of 100"))],
)
def test_what_other_images_measured_is_not_subtracted_and_is_said(
    settings: dict[str, Any], images: tuple[str, str]
) -> None:
    contenders = six(**settings)
    found = told(list(lines(contenders)))
    assert "A C E, 3 seeds" in found
    assert found["B D F − A C E"] == "not measured alike: protocol or images differ"
    assert not [row for row in rows(contenders) if row["minus"]]
    assert heading("accuracy", contenders) == ("live accuracy, measured differently", "live acc. (mixed)")
    (line,) = (line for line in table(contenders) if line.name == "live accuracy on")
    assert line.values == images * 3
    notes = [note for _, note in legend("accuracy", figure("accuracy", contenders), contenders)]
    assert notes[0].startswith(f"A  A ({images[0]}, quick-100): ")
    assert heading("accuracy", six()) == ("live accuracy", "live acc.")
    assert not [line for line in table(six()) if line.name == "live accuracy on"]


def held_out(mark: str, share: float, **settings: Any) -> Contender:
    history = RunHistory()
    event = Evaluation(10, "live", "quick-100", 0.3, 0.01, [0.3], "validation", "validation", 1.0, True)
    history.apply(event)
    values = {key.replace("__", "."): value for key, value in settings.items()}
    config = changed(resolve("digits-ipc1").config, {"data.validation": share, **values})
    return Contender(mark, mark, 1, "running", history, config)


def test_images_drawn_by_another_seed_of_the_experts_are_others() -> None:
    """Images are held out before training images are left out: how many of these there are changes none of them."""
    one, limited = held_out("A", 0.1), held_out("B", 0.1, data__train_limit=500)
    assert heading("accuracy", [one, limited])[0] == "live accuracy on validation images"
    other = held_out("B", 0.1, experts__seed=3)
    assert heading("accuracy", [one, other])[0] == "live accuracy, measured differently"
    (line,) = (line for line in table([one, other]) if line.name == "live accuracy on")
    drawn = "validation of 10 %, drawn by experts.seed"
    assert line.values == (f"{drawn} 0", f"{drawn} 3")
    assert one.images == other.images, "of all test images none is drawn"
    less = [held_out(mark, 0.1, experts__seed=seed, data__test_limit=100) for mark, seed in (("A", 0), ("B", 3))]
    assert less[0].images != less[1].images


def test_validation_images_of_another_share_are_others() -> None:
    assert heading("accuracy", [held_out("A", 0.1), held_out("B", 0.2)])[0] == "live accuracy, measured differently"
    assert heading("accuracy", [held_out("A", 0.1), held_out("B", 0.1)])[0] == "live accuracy on validation images"


def test_ceilings_of_several_class_counts_are_told_apart() -> None:
    def bounded(mark: str, classes: int) -> Contender:
        history = RunHistory()
        history.apply(Iteration(1, 1.0, 3.0, 1.0, math.log(classes), [1.0], 0.1, 0.8, 0.05, 0.1))
        return Contender(mark, mark, 1, "running", history, None)

    assert [level.name for level in figure("bound", [bounded("A", 10), bounded("B", 10)]).levels] == ["log C"]
    both = [bounded("A", 100), bounded("B", 10)]
    assert [level.name for level in figure("bound", both).levels] == ["log 10", "log 100"]
