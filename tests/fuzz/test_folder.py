"""A run folder whose small files hold anything: journal, status, holder, result, record, requests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from engine import arithmetic
from engine import run as running
from engine.config.load import resolve
from engine.config.schema import Config
from engine.events import KINDS, Notice, to_dict
from engine.runs.control import Control
from engine.runs.finding import list_runs
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.journal import JournalReader, JournalWriter, read_all
from engine.runs.lock import NOTE, Holder, RunLock
from engine.runs.result import document
from engine.runs.status import FILE, Status
from tests.fuzz.cases import budget, changed, every, json_values, mutated, refused_or_given, within
from tests.runs.helpers import evaluation, iteration, make_folder, started


def lines() -> list[dict[str, Any]]:
    """Good lines of a journal, one of each kind that is written here."""
    events = [
        started(), iteration(1), iteration(2), evaluation(2), Notice("info", "x"), started(1, 2),
        evaluation(0, "full_set"),
        KINDS["recovered"](iteration=1, failed=2, recoveries=1, most=3, rates=0.5),  # type: ignore[call-arg]
        KINDS["snapshot"](iteration=1, pixels="a.npy", classes=2, images_per_class=1, contrast=""),  # type: ignore[call-arg]
        KINDS["phase"](name="distill"),  # type: ignore[call-arg]
        KINDS["run_ended"](state="done", result={}),  # type: ignore[call-arg]
    ]  # fmt: skip
    return [{"sequence": n + 1, "time": 1e9 + n, **to_dict(event)} for n, event in enumerate(events)]


def written(values: list[Any]) -> bytes:
    return b"".join(json.dumps(value).encode("utf-8", "surrogatepass") + b"\n" for value in values)


@budget(120, 5000)
def test_journals(tmp_path: Path, count: int) -> None:
    """Read, reduced, shown, continued: a line that is no event costs itself alone."""
    run = make_folder(tmp_path)
    good = lines()
    whole = written(good)

    def check(data: bytes) -> None:
        run.journal_path.write_bytes(data)
        records = refused_or_given(lambda: read_all(run.journal_path))
        refused_or_given(lambda: RunHistory.of(JournalReader(run.journal_path).poll()).eta(1e9))
        values = refused_or_given(lambda: document(run.path))
        if values is not None:
            json.dumps(values, allow_nan=False)
        if records is None:
            return
        sequences = [record.sequence for record in records]
        assert sequences == sorted(set(sequences))

        def go_on() -> None:
            with JournalWriter(run.journal_path) as writer:
                writer.append(Notice("info", "after"))

        refused_or_given(go_on)
        again = refused_or_given(lambda: JournalReader(run.journal_path).poll())
        assert again is None or getattr(again[-1].event, "message", "") == "after"

    strange = st.lists(st.sampled_from(good).flatmap(changed) | st.sampled_from(good) | json_values, max_size=6)
    with within(tmp_path):
        every(count, mutated(whole, whole) | strange.map(written) | st.binary(max_size=200), check)


def test_rates_that_are_no_number_are_null_in_the_result(tmp_path: Path) -> None:
    """Once found by :func:`test_journals`."""
    run, good = make_folder(tmp_path), lines()
    (recovered,) = (line for line in good if line["kind"] == "recovered")
    run.journal_path.write_bytes(written([good[0], recovered | {"rates": None}]))
    assert [back["rates"] for back in document(run.path)["recoveries"]] == [None]


def test_a_journal_whose_numbers_are_below_one_is_continued_where_readers_look(tmp_path: Path) -> None:
    """Once found by :func:`test_journals`."""
    run = make_folder(tmp_path)
    run.journal_path.write_bytes(written([lines()[3] | {"sequence": -1}]))
    with JournalWriter(run.journal_path) as writer:
        assert writer.append(Notice("info", "after")) == 1
    assert [record.sequence for record in JournalReader(run.journal_path).poll()] == [1]


@budget(120, 5000)
def test_small_files(tmp_path: Path, count: int) -> None:
    """Status, holder, result, origin and the record of how it computes: read as far as they make sense."""
    run = make_folder(tmp_path)
    run.write_execution(
        {"device": "cpu", "precision": "float32", "compile": False, "threads": 1, "torch": "2", "processor": "x"}
    )
    run.write_result({"state": "stopped"})
    with RunLock(run.path):
        (run.path / "holder.copy").write_bytes((run.path / NOTE).read_bytes())
    (run.path / "holder.copy").rename(run.path / NOTE)
    names = [FILE, NOTE, "result.json", "run.json", "execution.json"]
    good = {name: (run.path / name).read_bytes() for name in names}

    def check(case: tuple[str, bytes]) -> None:
        name, data = case
        for other, whole in good.items():
            (run.path / other).write_bytes(whole)
        (run.path / name).write_bytes(data)
        status = Status.read(run.path)
        if status is not None:
            assert status.effective_state() in ("queued", "running", "paused", "stopped", "failed", "done")
            assert status.liveness(now=1e9) in ("queued", "alive", "crashed", "ended")
        claim = Holder.read(run.path / NOTE)
        if claim is not None:
            assert "process" in claim.describe()
        refused_or_given(run.about)
        run.result()
        refused_or_given(lambda: running._recorded(run))
        assert arithmetic.parts_of(run) >= 1 if refused_or_given(run.execution) is not None else True
        assert len(list_runs(tmp_path)) == 1
        refused_or_given(lambda: document(run.path))

    def damaged(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        values = changed(json.loads(good[name])).map(lambda v: json.dumps(v).encode("utf-8", "surrogatepass"))
        return st.tuples(
            st.just(name), values | mutated(good[name]) | json_values.map(lambda v: json.dumps(v).encode())
        )

    with within(tmp_path):
        every(count, st.sampled_from(names).flatmap(damaged), check)


names_of_requests = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
) | st.builds(
    "{}-{}-{}.{}".format,
    st.integers(-1, 10**30),
    st.integers(-1, 10**14),
    st.text("0123456789abcdefg", max_size=34),
    st.sampled_from(["stop", "pause", "resume", "checkpoint", "evaluate", "delete", "stop.part"]),
)


@budget(60, 3000)
def test_control_folders(tmp_path: Path, count: int) -> None:
    folder, outside = tmp_path / "run" / "control", tmp_path / "outside"
    folder.mkdir(parents=True)
    outside.write_text("precious")

    def check(names: list[tuple[str, str]]) -> None:
        for name, kind in names:
            path = folder / name
            if name in (".", "..") or len(os.fsencode(name)) > 255 or os.path.lexists(path):
                continue
            if kind == "folder":
                path.mkdir()
            elif kind == "link":
                path.symlink_to(outside)
            else:
                path.write_bytes(b"anything")
        listened = Control()
        listened.watch(folder, discard=len(names) % 2 == 0)
        listened.take("checkpoint")
        assert outside.read_text() == "precious"
        for path in folder.iterdir():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    with within(tmp_path / "run"):
        every(
            count,
            st.lists(st.tuples(names_of_requests, st.sampled_from(["file", "link", "folder"])), max_size=5),
            check,
        )


typed = st.text(max_size=40) | st.builds(
    "{}={}".format,
    st.sampled_from([*Config.model_fields, "data.name", "objective.pixel_rate", "a.b.c"]),
    st.text(max_size=20),
)


@budget(60, 5000)
def test_what_is_typed(count: int) -> None:
    def check(words: list[str]) -> None:
        refused_or_given(lambda: resolve("digits-ipc1", words))

    every(count, st.lists(typed, max_size=3), check)


@budget(80, 5000)
def test_configuration_files(tmp_path: Path, count: int) -> None:
    path, preset = tmp_path / "mine.toml", Path(__file__).resolve().parents[2] / "presets" / "digits-ipc1.toml"
    whole = preset.read_bytes()
    run = make_folder(tmp_path / "runs")

    def check(data: bytes) -> None:
        path.write_bytes(data)
        refused_or_given(lambda: resolve(str(path)))
        run.config_path.write_bytes(data)
        refused_or_given(run.config)

    with within(tmp_path):
        every(count, mutated(whole, b"extends = '../x'\n" * 3), check)


@pytest.mark.parametrize("name", ["a" * 300 + ".toml", "a/" * 2000 + "b.toml", "x\0.toml", "é" * 200, "\udcff.toml"])
def test_names_no_system_takes(name: str) -> None:
    assert refused_or_given(lambda: resolve(name)) is None


def test_a_folder_that_is_read_is_a_folder(tmp_path: Path) -> None:
    assert refused_or_given(lambda: RunFolder.open(tmp_path / "no")) is None
