"""Which iterate a run is known by: chosen on which images, measured on which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import phases
from engine.artifact import DistilledSet
from engine.budget import live_every
from engine.config.selection import measured_live, selected_on
from engine.data.prepare import split
from engine.data.types import Images, RawSet, fingerprint
from engine.evaluation.evaluate import Score, evaluate
from engine.events import Evaluation, Iteration, Notice
from engine.judge import Judge
from engine.sealed import verify
from engine.state import Best, State
from mim4dd_tui.cli.beside import beside
from tests.distill.helpers import Place, Watch, evaluations_of, plain, quickly, tiny
from tests.evaluation.helpers import Court

CHANGES: dict[str, Any] = {"data__train_limit": 0, "data__validation": 0.2, "objective__iterations": 6}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly():
        yield


def best_of(live: list[Evaluation]) -> Evaluation:
    """The first of the highest."""
    return max(live, key=lambda e: (e.mean, -e.iteration))


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_the_best_live_iterate_is_measured_on_test_images(validation: float, tmp_path: Path, digits: RawSet) -> None:
    config = tiny(**CHANGES | {"data__validation": validation, "evaluation__every": 1})
    place, watch = Place(tmp_path), Watch()
    result = place.start(config, watch)
    chosen_on = "validation" if validation else "test"
    live = evaluations_of(watch.events, "live")
    assert [e.iteration for e in live] == list(range(7))
    assert {(e.measured_on, e.selected_on) for e in live} == {(chosen_on, chosen_on)}
    seen: list[float] = []
    for event in live:
        assert event.best_so_far == (not seen or event.mean > max(seen))
        seen.append(event.mean)
    best, last = (evaluations_of(watch.events, subject)[0] for subject in ("best", "last"))
    assert best.iteration == best_of(live).iteration
    assert last.iteration == 6
    assert (best.measured_on, best.selected_on) == ("test", chosen_on)
    assert (last.measured_on, last.selected_on) == ("test", "none")
    assert result["accuracy"]["selected_on"] == selected_on(config) == chosen_on
    said_later = beside(place.folder / "distilled" / "best.safetensors", config, "quick-100")
    assert said_later["selected_on"] == chosen_on, "evaluate says another thing than the run"
    assert result["accuracy"]["networks"] == 2
    assert result["accuracy"]["mean"] == best.mean
    assert result["last"]["mean"] == last.mean
    said = [e.message for e in watch.events if isinstance(e, Notice)]
    assert any("chosen on the test images" in message for message in said) is (not validation)
    tested = evaluations_of(watch.events, "live_on_test")
    if validation:
        assert [(e.iteration, e.measured_on, e.selected_on) for e in tested] == [(i, "test", "none") for i in range(7)]
        by_test = evaluations_of(watch.events, "best_on_test")[0]
        assert by_test.iteration == best_of(tested).iteration
        assert (by_test.measured_on, by_test.selected_on) == ("test", "test")
        assert result["accuracy_by_test"]["mean"] == by_test.mean
        assert result["accuracy_by_test"]["selected_on"] == "test"
    else:
        assert not tested
        assert not evaluations_of(watch.events, "best_on_test")
        assert result["accuracy_by_test"] is None
        assert "test images chose" in result["accuracy_by_test_reason"]
    # The artifacts are the sets that were measured: judged again they give the same numbers.
    setting = Court(digits, config)
    for event in (best, last):
        item = DistilledSet.load(place.folder / "distilled" / f"{event.subject}.safetensors")
        assert item.provenance["iteration"] == event.iteration
        again = evaluate(
            item.pixels, item.labels, item.step_size, net=setting.net, real=setting.real, protocol="quick-100",
            networks=2, augment=setting.augment, seed=config.seed, purpose=("final",),
        )  # fmt: skip
        assert list(again.accuracies) == event.accuracies


@pytest.mark.parametrize("every", [0, 5])
@pytest.mark.parametrize("validation", [0.0, 0.001, 0.2])
def test_which_images_choose_is_known_from_the_settings(validation: float, every: int, digits: RawSet) -> None:
    """Images are held out just where the settings say that these choose."""
    config = tiny(data__train_limit=0, data__validation=validation, evaluation__every=every)
    held_out = len(split(digits, config.data, seed=0).validation) > 0
    assert measured_live(config) == ("validation" if held_out else "test")
    assert selected_on(config) == (measured_live(config) if every else "none")


def test_where_the_best_is_the_last_it_is_measured_once(tmp_path: Path) -> None:
    place, watch = Place(tmp_path), Watch()
    result = place.start(tiny(objective__iterations=2, evaluation__every=0), watch)
    best, last = (evaluations_of(watch.events, subject)[0] for subject in ("best", "last"))
    assert evaluations_of(watch.events, "live") == []
    assert (best.iteration, best.selected_on, best.accuracies) == (2, "none", last.accuracies)
    assert result["accuracy"]["selected_on"] == "none"
    (phase,) = [e for e in watch.events if getattr(e, "name", "") == "evaluate"]
    assert phase.total == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("newest", [True, False])
def test_a_best_iterate_is_called_optimistic_where_it_is_not_the_last(
    newest: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def better(best: Best | None, state: State, score: Score) -> Best:
        return Best.of(state, score.mean) if newest or best is None else best

    monkeypatch.setattr(Judge, "_better", staticmethod(better))
    watch = Watch()
    Place(tmp_path).start(tiny(objective__iterations=2, evaluation__every=1), watch)
    (said,) = (e.message for e in watch.events if isinstance(e, Notice) and "chosen on the test images" in e.message)
    assert ("the last iterate's is not" in said) is not newest


def changed_in(raw: RawSet, positions: torch.Tensor, part: str) -> RawSet:
    """The same set with other images at some positions: their negatives."""
    images: Images = getattr(raw, part)
    pixels = images.pixels.clone()
    pixels[positions] = 255 - pixels[positions]
    other = Images(pixels, images.labels)
    train, test = (other, raw.test) if part == "train" else (raw.train, other)
    return replace(raw, train=train, test=test, fingerprint=fingerprint(train, test))


def followed(raw: RawSet, place: Place, monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    with monkeypatch.context() as patch:
        patch.setattr(phases, "load", lambda *arguments, **named: raw)
        place.start(tiny(**CHANGES | {"evaluation__every": 2, "data__zca": True}), watch)
    return watch


def fingerprint_of(place: Place, which: str) -> str:
    """As the file says; reading the set itself would need its whitening."""
    return str(verify(place.folder / "distilled" / f"{which}.safetensors")["fingerprint"])


def test_validation_images_choose_and_do_nothing_else(
    digits: RawSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Experts, whitening, initial images, contrastive batches, bounds, random draws: the same bits with others."""
    config = tiny(**CHANGES)
    positions = split(digits, config.data, seed=config.experts.seed, readout=config.information.readout).validation
    assert len(positions) > 200
    places = [Place(tmp_path / name) for name in ("a", "b")]
    one = followed(digits, places[0], monkeypatch)
    other = followed(changed_in(digits, positions, "train"), places[1], monkeypatch)

    def of(watch: Watch, *subjects: str) -> list[dict[str, Any]]:
        return [plain(e) for e in watch.events if isinstance(e, Evaluation) and e.subject in subjects]

    def metrics(watch: Watch) -> list[dict[str, Any]]:
        return [plain(e) for e in watch.events if isinstance(e, Iteration)]

    assert metrics(one) == metrics(other)
    assert of(one, "full_set", "random_selection", "last") == of(other, "full_set", "random_selection", "last")
    assert fingerprint_of(places[0], "last") == fingerprint_of(places[1], "last")
    assert of(one, "live") != of(other, "live"), "only the choice may differ"


def test_test_images_choose_nothing_where_there_are_validation_images(
    digits: RawSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [Place(tmp_path / name) for name in ("a", "b")]
    one = followed(digits, places[0], monkeypatch)
    other = followed(changed_in(digits, torch.arange(len(digits.test)), "test"), places[1], monkeypatch)
    live = [[plain(e) for e in evaluations_of(watch.events, "live")] for watch in (one, other)]
    assert live[0] == live[1]
    best = [evaluations_of(watch.events, "best")[0] for watch in (one, other)]
    assert best[0].iteration == best[1].iteration
    assert best[0].accuracies != best[1].accuracies
    for which in ("best", "last"):
        assert fingerprint_of(places[0], which) == fingerprint_of(places[1], which)


def test_live_evaluations_stay_within_their_share(tmp_path: Path, digits: RawSet) -> None:
    config = tiny(**CHANGES | {"evaluation__every": 1, "evaluation__share": 0.3})
    every, watch = live_every(config), Watch()
    assert 1 < every <= 6
    Place(tmp_path).start(config, watch)
    expected = sorted({*range(0, 7, every), 6})
    assert [e.iteration for e in evaluations_of(watch.events, "live")] == expected
    said = [e.message for e in watch.events if isinstance(e, Notice)]
    assert any(f"every {every} iterations, not every 1" in message for message in said)


def test_a_share_that_the_first_and_the_last_evaluation_exceed_is_told_of(tmp_path: Path, digits: RawSet) -> None:
    config, watch = tiny(**CHANGES | {"evaluation__every": 1, "evaluation__share": 0.01}), Watch()
    Place(tmp_path).start(config, watch)
    assert [e.iteration for e in evaluations_of(watch.events, "live")] == [0, 6]
    said = [e.message for e in watch.events if isinstance(e, Notice)]
    assert any("the first and the last iterate, which are always made, take" in message for message in said)
