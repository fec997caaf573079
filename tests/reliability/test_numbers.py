"""Numbers that lose their meaning: the run goes back with smaller rates, a stated number of times, and never
lets such an iteration reach the synthetic set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine import recovery, sealed
from engine.errors import RunDiverged, RunFailed
from engine.events import Event, Iteration, Recovered
from engine.gradient import SyntheticGradient
from engine.objectives.trajectory import MatchedTrajectory, Trajectory
from engine.recovery import LEAST, MULTIPLE, PATIENCE, WINDOW, Diverged, Failures, Levers, Vigil, exhausted
from engine.runs import checkpoint
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, read_all
from engine.runs.status import Status
from tests.distill.helpers import Place, Watch, iterations_of, outcome, quickly, tiny

SMALL: dict[str, Any] = {
    "evaluation__random_draws": 0,
    "evaluation__networks": 1,
    "evaluation__every": 2,
    "execution__checkpoint_every": 2,
    "objective__iterations": 6,
}
Fault = Callable[[int], bool]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly(2):
        yield


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experts shared by the runs of this file."""
    return tmp_path_factory.getbasetemp() / "recovery-cache"


class Spoiled(MatchedTrajectory):
    """An iteration whose gradient is spoiled in one pixel."""

    def gradient(self) -> SyntheticGradient:
        pixels = super().gradient().pixels.clone()
        pixels.view(-1)[3] = math.nan
        return SyntheticGradient(pixels, torch.tensor(0.0))


def spoil(patch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Makes the iterations (counted from 1) for which ``fault`` says so give a gradient that is not a number."""
    whole = Trajectory.episode

    def episode(self: Trajectory, synthetic: Any, iteration: int) -> MatchedTrajectory:
        given = whole(self, synthetic, iteration)
        return Spoiled(**vars(given)) if fault(iteration + 1) else given

    patch.setattr(Trajectory, "episode", episode)


def once_at(iteration: int) -> Fault:
    left = [iteration]

    def fault(now: int) -> bool:
        return bool(left) and now == left[0] and left.pop() == now

    return fault


def recovered(events: list[Event]) -> list[tuple[int, int, int, float]]:
    return [(e.failed, e.iteration, e.recoveries, e.rates) for e in events if isinstance(e, Recovered)]


def place(path: Path, cache: Path) -> Place:
    found = Place(path)
    found.path.mkdir(parents=True, exist_ok=True)
    if not found.cache.exists():
        cache.mkdir(exist_ok=True)
        found.cache.symlink_to(cache)
    return found


def test_once_back_to_the_checkpoint_and_on_with_half_the_rates(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that went back ends in the bits of one that was given the smaller rates from that checkpoint on."""
    config = tiny(**SMALL)
    hit, watch = place(tmp_path / "hit", cache), Watch()
    with monkeypatch.context() as patch:
        spoil(patch, once_at(6))
        result = hit.start(config, watch)
    assert recovered(watch.events) == [(6, 4, 1, 0.5)]
    assert result["state"] == "done"
    assert [(r["failed"], r["iteration"], r["rates"]) for r in result["recoveries"]] == [(6, 4, 0.5)]
    assert "objective is not finite" in result["recoveries"][0]["reason"]

    slow = place(tmp_path / "slow", cache)
    slow.start(config, Watch(act=lambda w: w.request("stop") if w.after(kind="checkpoint", iteration=4) else None))
    found = checkpoint.latest(slow.folder)
    assert found is not None
    assert found.iteration == 4
    checkpoint.save(slow.folder, 4, found.tensors, found.state | {"recoveries": 1})
    slow.resume()
    mine, theirs = outcome(hit), outcome(slow)
    del mine["result"]["recoveries"], theirs["result"]["recoveries"]
    assert mine == theirs

    whole = place(tmp_path / "whole", cache)
    whole.start(config)
    assert outcome(whole)["last"] != mine["last"], "the smaller rates were used"
    assert outcome(whole)["iterations"][:4] == mine["iterations"][:4]


@pytest.mark.parametrize("way", ["clock", "request", "stop", "stop at a due one"])
def test_where_it_goes_back_to_is_decided_by_no_clock_no_request_and_no_stop(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A run that went back is as reproducible as any other, and goes on as exactly."""
    config = tiny(**{**SMALL, "execution__checkpoint_every": 3, "objective__iterations": 8})

    def run(name: str, act: Callable[[Watch], None], **changes: Any) -> dict[str, Any]:
        made, watch = place(tmp_path / name, cache), Watch(act=act)
        with monkeypatch.context() as patch:
            spoil(patch, once_at(6))
            state = made.start(config.model_copy(update=changes), watch)["state"]
            assert (state == "stopped") is (name == "other" and way.startswith("stop"))
            if state == "stopped":
                made.resume()
        assert [(r["failed"], r["iteration"]) for r in outcome(made)["result"]["recoveries"]] == [(6, 3)]
        return outcome(made)

    def act(watch: Watch) -> None:
        if way == "request" and watch.after(kind="iteration"):
            watch.request("checkpoint")
        if way.startswith("stop") and watch.after(kind="iteration", iteration=3 if "due" in way else 5):
            watch.request("stop")

    seconds = 1e-9 if way == "clock" else 300.0
    execution = config.execution.model_copy(update={"checkpoint_seconds": seconds})
    assert run("plain", lambda _: None) == run("other", act, execution=execution)


def test_no_reader_sees_an_iteration_twice(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hit, watch = place(tmp_path, cache), Watch()
    spoil(monkeypatch, once_at(4))
    hit.start(tiny(**SMALL, execution__snapshot_every=1), watch)
    journal = hit.folder / "journal.jsonl"
    told = [r.event.iteration for r in JournalReader(journal).poll() if isinstance(r.event, Iteration)]
    assert told == [1, 2, 3, 3, 4, 5, 6], "the raw journal keeps what was taken back"
    assert iterations_of([record.event for record in read_all(journal)]) == [1, 2, 3, 4, 5, 6]
    live = RunHistory()
    for event in watch.events:
        live.apply(event)
    for history in (live, RunHistory.load(journal), RunHistory.of(JournalReader(journal).poll())):
        assert history.series["objective"].iterations == [1, 2, 3, 4, 5, 6]
        assert [s.iteration for s in history.snapshots] == [0, 1, 2, 3, 4, 5, 6]
        assert [r.recoveries for r in history.recoveries] == [1]
        assert history.rewinds >= 1
        assert any("back to iteration 2" in line.text and line.level == "warning" for line in history.log)


def test_always_ends_in_words_and_with_a_good_set(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hit, watch = place(tmp_path, cache), Watch()
    spoil(monkeypatch, lambda now: now >= 4)
    with pytest.raises(RunDiverged, match=r"went back .* 3 times.*0\.125.*lower objective\.pixel_rate") as raised:
        hit.start(tiny(**SMALL), watch)
    told = "at iteration 4 each time: smaller rates did not help, and the cause may be the code of objective trajectory"
    assert told in str(raised.value)
    stuck = Failures([4, 4, 4])
    ran_away = str(exhausted(Diverged("the pixels diverge"), 3, Levers(tiny(**SMALL)), stuck, futile=False))
    assert "at iteration 4 each time: they are still too large by far, unless the cause is the code of" in ran_away
    assert recovered(watch.events) == [(4, 2, 1, 0.5), (4, 2, 2, 0.25), (4, 2, 3, 0.125)]
    found = checkpoint.latest(hit.folder)
    assert found is not None
    assert (found.iteration, found.state["recoveries"]) == (2, 3)
    assert all(bool(t.isfinite().all()) for t in found.tensors.values())
    assert sealed.verify(hit.folder / "distilled" / "last.safetensors")["provenance"]["iteration"] == 2
    history = RunHistory.load(hit.folder / "journal.jsonl")
    assert (history.state, history.iteration) == ("failed", 3)
    assert [r.recoveries for r in history.recoveries] == [1, 2, 3]
    status = Status.read(hit.folder)
    assert status is not None
    assert (history.diverged, status.diverged) == (True, True), "which is why no view offers to resume it"
    with pytest.raises(RunDiverged, match="went back"):
        hit.resume()  # no more chances than before


@pytest.mark.long
def test_a_first_iteration_goes_back_to_the_beginning(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit, watch = place(tmp_path, cache), Watch()
    spoil(monkeypatch, once_at(1))
    assert hit.start(tiny(**SMALL), watch)["state"] == "done"
    assert recovered(watch.events) == [(1, 0, 1, 0.5)]
    assert iterations_of(watch.events) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("recoveries", [0, pytest.param(1, marks=pytest.mark.long)])
def test_as_often_as_allowed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, recoveries: int) -> None:
    hit, watch = place(tmp_path, cache), Watch()
    spoil(monkeypatch, lambda now: now == 3)
    with pytest.raises(RunFailed, match="execution.recoveries is 0" if recoveries == 0 else "1 time,"):
        hit.start(tiny(**SMALL, execution__recoveries=recoveries, execution__recovery_factor=0.1), watch)
    assert recovered(watch.events) == [(3, 2, 1, 0.1)] * recoveries


def test_the_same_set_is_not_tried_a_third_time(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right after a checkpoint no rate has changed anything: once back, against a fault that passes, and no more."""
    hit, watch = place(tmp_path, cache), Watch()
    spoil(monkeypatch, lambda now: now == 3)
    told = r"went back .* 1 time, .*again, on the same set as before: smaller rates change nothing there"
    with pytest.raises(RunDiverged, match=rf"{told}, and the cause may be the code of objective trajectory"):
        hit.start(tiny(**SMALL), watch)
    assert recovered(watch.events) == [(3, 2, 1, 0.5)]


def test_a_set_that_smaller_rates_changed_is_tried_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss before it is the same each time, as it is the checkpoint's; what comes of the move is not."""
    whole, began, far = Trajectory.episode, list[Tensor](), list[float]()

    def episode(self: Trajectory, synthetic: Any, iteration: int) -> MatchedTrajectory:
        given = whole(self, synthetic, iteration)
        began.append(synthetic.pixels.clone())
        if iteration != 1:
            return given
        far.append(float((synthetic.pixels - began[0]).norm()))
        return Spoiled(**vars(given)) if far[-1] > 0.2 * far[0] else given

    monkeypatch.setattr(Trajectory, "episode", episode)
    hit, watch = place(tmp_path, cache), Watch()
    assert hit.start(tiny(**SMALL), watch)["state"] == "done"
    assert recovered(watch.events) == [(2, 0, 1, 0.5), (2, 0, 2, 0.25), (2, 0, 3, 0.125)]


@pytest.mark.parametrize("when", ["at once", pytest.param("later", marks=pytest.mark.long)])
def test_killed_after_it_went_back_it_keeps_the_smaller_rates(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """At once: between the event and the checkpoint that remembers it; the same is then met and done again."""

    class Killed(BaseException):
        pass

    config = tiny(**SMALL)
    whole, torn = place(tmp_path / "whole", cache), place(tmp_path / "torn", cache)
    spoil(monkeypatch, once_at(6))
    whole.start(config)

    def kill(watch: Watch) -> None:
        if (
            watch.after(kind="recovered")
            if when == "at once"
            else watch.after(kind="iteration", iteration=5) and (recovered(watch.events))
        ):
            raise Killed

    monkeypatch.undo()
    with quickly(2):
        with pytest.MonkeyPatch.context() as patch:
            spoil(patch, once_at(6))
            with pytest.raises(Killed):
                torn.start(config, Watch(act=kill))
        with pytest.MonkeyPatch.context() as patch:
            spoil(patch, once_at(6) if when == "at once" else lambda now: False)
            torn.resume()
        assert outcome(torn) == outcome(whole)


def test_an_expert_that_does_not_move_is_named(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0/0 in the matching loss: no smaller rate cures it, so that the run ends at once, in words."""
    hit, watch = place(tmp_path, cache), Watch()
    with pytest.raises(RunDiverged, match=r"expert 1 did not move from epoch 0 to 1.*experts\.learning_rate"):
        hit.start(tiny(**SMALL, experts__learning_rate=1e-30, experts__momentum=0.0), watch)
    assert recovered(watch.events) == []


# -- running away -------------------------------------------------------------------------------------------


def follow(vigil: Vigil, objectives: list[float]) -> Vigil:
    for number, value in enumerate(objectives, 1):
        vigil = vigil.after(value, number)
    return vigil


def test_five_far_above_what_was_normal_diverge_and_four_do_not() -> None:
    vigil = follow(Vigil(), [1.0] * 20)
    high = [MULTIPLE * 1.01] * (PATIENCE - 1)
    assert follow(vigil, high).streak == PATIENCE - 1
    with pytest.raises(Diverged, match=r"objective diverges: at iteration 5 .*objective\.pixel_rate"):
        follow(vigil, [*high, MULTIPLE * 1.01])
    assert follow(vigil, [*high, 1.0, *high]).streak == PATIENCE - 1, "a normal one between them starts anew"
    assert follow(vigil, high).recent == vigil.recent, "what is suspicious does not become what is normal"


def test_too_few_are_not_compared_with() -> None:
    follow(Vigil(), [1e-9] * (LEAST // 2 - 1) + [1.0] * 20)
    follow(Vigil(), [0.0] * 30 + [1.0] * 10)
    follow(Vigil(), [-1.0] * 30 + [1e6] * 10)


@given(
    base=st.floats(1e-6, 1e6),
    factors=st.lists(st.floats(0.1, 9.9), min_size=1, max_size=150),
)
def test_losses_that_differ_by_factors_do_not_diverge(base: float, factors: list[float]) -> None:
    """Experts and epochs whose matching losses differ by up to a hundred times, in any order."""
    vigil = follow(Vigil(), [base * factor for factor in factors])
    assert vigil.streak == 0
    assert len(vigil.recent) == min(len(factors), WINDOW)


def test_a_fresh_network_is_no_divergence() -> None:
    """Objectives on networks that learn: the loss falls a thousandfold, and leaps back with each new network."""
    life = [1.0] * 5 + [1e-3] * 95
    assert follow(Vigil(), life * 4).streak == 0
    with pytest.raises(Diverged):
        follow(Vigil(), life + [10.1] * PATIENCE)


@given(objectives=st.lists(st.floats(1e-3, 1e6), max_size=80))
def test_a_vigil_survives_its_checkpoint(objectives: list[float]) -> None:
    vigil = Vigil()
    for value in objectives:
        try:
            vigil = vigil.after(value, 1)
        except Diverged:
            break
    assert Vigil.restore(vigil.document()) == vigil


@pytest.mark.parametrize("kind", ["objective", "pixels"])
def test_running_away_with_finite_numbers(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The last checkpoint that was due is from before the suspicious stretch; one that was asked for does not count."""
    monkeypatch.setattr(recovery, "LEAST", 3)
    whole, left = Trajectory.episode, [PATIENCE if kind == "objective" else 1]

    def episode(self: Trajectory, synthetic: Any, iteration: int) -> MatchedTrajectory:
        given = whole(self, synthetic, iteration)
        if iteration < 5 or not left[0]:
            return given
        left[0] -= 1
        grown: dict[str, Tensor] = {"loss": 1e3 * given.loss}
        if kind == "pixels":
            grown = {"cotangent": 1e9 * given.cotangent}
        return MatchedTrajectory(**{**vars(given), **grown})

    monkeypatch.setattr(Trajectory, "episode", episode)

    def ask(watch: Watch) -> None:
        if watch.after(kind="iteration") and watch.ticks == 0:
            watch.request("checkpoint")

    hit, watch = place(tmp_path, cache), Watch(act=ask)
    config = tiny(**{**SMALL, "objective__iterations": 12, "objective__step_size_rate": 0.0})
    assert hit.start(config, watch)["state"] == "done"
    failed = 5 + PATIENCE if kind == "objective" else 6
    assert recovered(watch.events) == [(failed, 4, 1, 0.5)]
    (event,) = (e for e in watch.events if isinstance(e, Recovered))
    assert f"{kind} diverge" in event.reason
    assert iterations_of([r.event for r in read_all(hit.folder / "journal.jsonl")]) == list(range(1, 13))
