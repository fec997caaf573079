"""What a run that is taken up says and keeps: everything once, and aloud where its bits may differ."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import execution, sealed
from engine.errors import DataError
from engine.events import Evaluation, Notice, Snapshot
from engine.kernels import Kernels
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, JournalWriter, read_all
from engine.runs.status import Status, StatusWriter
from tests.distill.helpers import Place, Watch, outcome, quickly, tiny

SMALL: dict[str, Any] = {
    "evaluation__random_draws": 1, "evaluation__networks": 1, "evaluation__every": 2, "execution__snapshot_every": 2,
    "execution__checkpoint_every": 2, "objective__iterations": 4,
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with quickly(2):
        yield


def stop_at(iteration: int) -> Watch:
    return Watch(act=lambda w: w.request("stop") if w.after(kind="checkpoint", iteration=iteration) else None)


def test_what_was_said_of_the_resumed_point_stands_once(tmp_path: Path) -> None:
    """Even in the raw journal: baselines, pictures, evaluations and checkpoints of what is not computed again."""
    place = Place(tmp_path)
    place.start(tiny(**SMALL), stop_at(2))
    place.resume(stop_at(4))
    place.resume()
    records = JournalReader(place.folder / "journal.jsonl").poll()
    said = Counter(
        (event.kind, getattr(event, "iteration", 0), getattr(event, "subject", ""))
        for event in (record.event for record in records)
        if isinstance(event, (Evaluation, Snapshot)) or event.kind == "checkpoint"
    )
    assert {key: count for key, count in said.items() if count > 1} == {}
    assert {("evaluation", 0, "random_selection"), ("snapshot", 2, ""), ("checkpoint", 4, "")} <= set(said)


def test_baselines_that_were_lost_are_said_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.start(tiny(**SMALL), stop_at(2))
    journal = place.folder / "journal.jsonl"
    kept = [line for line in journal.read_bytes().splitlines(keepends=True) if b"random_selection" not in line]
    journal.write_bytes(b"".join(kept))
    result = place.resume()
    assert result["random_selection"] is not None


def test_sets_a_kill_left_behind_are_written_on_resuming(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.start(tiny(**SMALL), stop_at(2))
    last = place.folder / "distilled" / "last.safetensors"
    last.unlink()
    place.resume(Watch(act=lambda w: w.request("stop") if w.after(kind="phase", name="distill") else None))
    assert sealed.verify(last)["provenance"]["iteration"] == 2


@pytest.mark.parametrize("resuming", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_compilation_that_fails_on_resuming_only_withdraws_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resuming: bool
) -> None:
    place, watch, config = Place(tmp_path), Watch(), tiny(**SMALL)
    whole = execution.kernels

    def broken(net: Any, resolved: execution.Resolved) -> Kernels:
        def fail(*_: Any) -> Any:
            raise RuntimeError("no compiler here")

        return Kernels(fail, fail) if resolved.compile else whole(net, resolved)

    resolve = execution.resolve
    if resuming:
        place.start(config, stop_at(2))
        path = place.folder / "execution.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"compile": True}))
    monkeypatch.setattr(execution, "kernels", broken)
    monkeypatch.setattr(
        execution, "resolve", lambda c: execution.Resolved.from_dict(resolve(c).to_dict() | {"compile": True})
    )
    assert (place.resume(watch) if resuming else place.start(config, watch))["state"] == "done"
    (said,) = [e.message for e in watch.events if isinstance(e, Notice) and "compilation failed" in e.message]
    assert ("bits may no longer be those" in said) is resuming
    assert RunFolder.open(place.folder).execution()["compile"] is False


@pytest.mark.parametrize(
    "change", [{"threads": "many"}, {"device": None}, {"torch": ["2"]}, {"compile": 3}, {"drop": "device"}]
)
def test_a_damaged_record_of_how_it_computes_is_refused_in_words(tmp_path: Path, change: dict[str, Any]) -> None:
    place = Place(tmp_path)
    place.start(tiny(**SMALL), Watch(act=lambda w: w.request("stop")))
    path = place.folder / "execution.json"
    values = json.loads(path.read_text()) | change
    values.pop(values.pop("drop", ""), None)
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="begin it anew"):
        place.resume()


def test_a_clock_that_runs_backwards_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back at every look: the same result, no negative times, no live process taken for a dead one."""
    config = tiny(**SMALL)
    whole, back = Place(tmp_path / "whole"), Place(tmp_path / "back")
    whole.start(config)
    hours = itertools.count()

    def clock() -> float:
        return 1.8e9 - 3600.0 * next(hours)

    for cls in (JournalWriter, StatusWriter):
        monkeypatch.setattr(cls.__init__, "__kwdefaults__", {**(cls.__init__.__kwdefaults__ or {}), "clock": clock})
    seen: list[float | None] = []
    history = RunHistory()

    def look(watch: Watch) -> None:
        if watch.events and watch.ticks == 0:
            history.apply(watch.events[-1], time=clock())
            seen.append(history.eta(clock()))
            status = Status.read(back.folder)
            assert status is None or status.liveness(now=clock()) in ("alive", "queued", "ended")

    back.start(config, Watch(act=look))
    assert outcome(back) == outcome(whole)
    times = [record.time for record in read_all(back.folder / "journal.jsonl")]
    assert times == sorted(times, reverse=True)
    assert all(left is None or left >= 0 for left in seen)
    assert any(left is not None for left in seen)
