"""Which settings an objective reads, and what is said where one was changed that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.config import schema
from engine.config.consistency import LEARN_LABELS, TRAIN_STUDENTS
from engine.config.fields import by_key, unused
from engine.config.load import EDITED
from engine.events import Evaluation, Event, Notice, Phase
from engine.objectives import OBJECTIVES
from engine.run import resume, start
from tests.distill.helpers import Place, Watch, quickly, tiny

BEFORE = {"objective.step_size"}
"""Read by all, before the loop: what the set's own is at first."""


def small(base: str) -> dict[str, Any]:
    """A run that learns all that its objective can learn."""
    return {
        "objective__name": base,
        "objective__iterations": 3,
        "objective__real_batch": 2,
        "objective__window": 2,
        "objective__network_images": 20,
        "synthetic__labels": "free" if base in LEARN_LABELS else "hard",
        "evaluation__every": 0,
        "evaluation__random_draws": 0,
    }


@pytest.mark.parametrize("base", OBJECTIVES)
def test_an_objective_reads_all_settings_but_those_that_are_not_used_by_it(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    looping = False

    def reads(self: schema.Objective, name: str) -> Any:
        if looping and name in schema.Objective.model_fields:
            read.add(f"objective.{name}")
        return object.__getattribute__(self, name)

    class Listening(Watch):
        def hear(self, event: Event) -> None:
            nonlocal looping
            looping = event.name == "distill" if isinstance(event, Phase) else looping
            super().hear(event)

    monkeypatch.setattr(schema.Objective, "__getattribute__", reads)
    config = tiny(**small(base))
    with quickly():
        Place(tmp_path).start(config, Listening())
    idle = {key for key, field in by_key().items() if field.section == "objective" and unused(field, config)}
    assert read | BEFORE == {f"objective.{name}" for name in schema.Objective.model_fields} - idle
    kept = unused(by_key()["execution.keep_activations"], config)
    assert bool(kept) == (base not in TRAIN_STUDENTS)


def test_a_changed_setting_that_does_nothing_is_told_once(tmp_path: Path) -> None:
    config = tiny(**small("distribution") | {"objective__student_steps": 7})
    origins = dict.fromkeys(("objective.student_steps", "objective.window", "objective.real_batch"), EDITED)
    first, second = Watch(act=_stop_after_one), Watch()
    with quickly():
        start(config, runs_dir=tmp_path, name="one", origins=origins, cache_dir=tmp_path, observer=first.hear,
              control=first)  # fmt: skip
        done = resume(tmp_path / "one", cache_dir=tmp_path, observer=second.hear, control=second)
    assert done["state"] == "done"
    told = [(event.level, event.message) for event in first.events + second.events if isinstance(event, Notice)]
    assert [one for one in told if "not used" in one[1]] == [
        ("warning", "objective.student_steps and objective.window are not used by distribution")
    ]


def _stop_after_one(watch: Watch) -> None:
    if watch.after(kind="iteration", iteration=1):
        watch.request("stop")


@pytest.mark.parametrize(("base", "labels"), [("distribution", "hard"), ("trajectory", "softmax")])
def test_numbers_carry_the_step_size_and_whose_labels_they_are_of(base: str, labels: str, tmp_path: Path) -> None:
    changes = {"objective__step_size": 0.05, "synthetic__labels": labels, "evaluation__random_draws": 1}
    watch = Watch()
    with quickly():
        done = Place(tmp_path).start(tiny(**small(base) | changes), watch)
    found = {event.subject: event for event in watch.events if isinstance(event, Evaluation)}
    random, last = found["random_selection"], found["last"]
    assert (random.step_size, random.labelled, last.labelled) == (None, labels == "softmax", False)
    assert last.step_size == done["last"]["step_size"]
    assert (last.step_size == 0.05) == (base == "distribution")
    assert "step_size" not in done["random_selection"]
    assert found["full_set"].step_size is None
