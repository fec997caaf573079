"""What a run is asked for and a stop comes before: said, unless the stop itself gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.events import Evaluation, ExpertEpoch, Iteration, Notice
from tests.distill.helpers import MOMENTS, Place, Watch, quickly, tiny

EVALUATION, CHECKPOINT = (f"the {what} that was asked for was not made" for what in ("evaluation", "checkpoint"))


@pytest.mark.parametrize(
    ("moment", "unanswered"),
    [
        ("within the first expert's first epoch", [EVALUATION, CHECKPOINT]),
        ("within an iteration", [EVALUATION]),  # whose state is saved
        ("final evaluation", [EVALUATION, CHECKPOINT]),
    ],
)
def test_a_request_that_a_stop_comes_before_is_told_of(tmp_path: Path, moment: str, unanswered: list[str]) -> None:
    def act(watch: Watch) -> None:
        if MOMENTS[moment](watch):
            for what in ("evaluate", "checkpoint", "stop"):
                watch.request(what)

    place, watch = Place(tmp_path), Watch(act=act)
    with quickly():
        assert place.start(tiny(), watch)["state"] == "stopped"
    said = [event.message.partition(":")[0] for event in watch.events if isinstance(event, Notice)]
    assert [text for text in said if "asked for" in text] == unanswered


def test_an_evaluation_that_a_stop_breaks_off_is_told_of(tmp_path: Path) -> None:
    def act(watch: Watch) -> None:
        if watch.after(kind="iteration", iteration=1):
            watch.request("evaluate" if watch.ticks == 0 else "stop")

    place, watch = Place(tmp_path), Watch(act=act)
    with quickly():
        place.start(tiny(execution__checkpoint_every=5), watch)
    said = [event.message for event in watch.events if isinstance(event, Notice)]
    assert sum(EVALUATION in text for text in said) == 1


class Still(Watch):
    """All of the run is a pause."""

    def working_time(self) -> float:
        return 7.0


def test_a_pause_is_no_part_of_what_anything_took(tmp_path: Path) -> None:
    place, watch = Place(tmp_path), Still()
    with quickly():
        place.start(tiny(), watch)
    taken = [event for event in watch.events if isinstance(event, ExpertEpoch | Evaluation | Iteration)]
    assert {event.kind for event in taken} == {"expert_epoch", "evaluation", "iteration"}
    assert [event for event in taken if event.seconds != 0.0] == []
