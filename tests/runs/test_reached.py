"""How far a run had come whose process was killed: the later of what its status and its journal tell."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from engine.events import Event, Notice, Recovered
from engine.files import write_json
from engine.runs.folder import RunFolder
from engine.runs.journal import JournalWriter
from engine.runs.reached import TAIL, standing
from engine.runs.result import document
from engine.runs.status import Status, host_name
from tests.runs.helpers import iteration, make_folder, started

GONE = 2**22 - 3
"""The id of no process."""


def killed(tmp_path: Path, status: int, *events: Event) -> RunFolder:
    folder = make_folder(tmp_path)
    with JournalWriter(folder.journal_path) as journal:
        for event in (started(), *events):
            journal.append(event)
    values = Status("running", GONE, host_name(), "x", phase="distill", iteration=status, iterations=100)
    write_json(folder.status_path, asdict(values))
    return folder


def told(folder: RunFolder) -> tuple[int, int]:
    """By its result document, and by what lists are made of."""
    status = standing(folder)
    assert status is not None
    return document(folder.path)["iteration"], status.iteration


@pytest.mark.parametrize(("status", "later"), [(3, 4), (4, 4), (5, 5)])
def test_the_later_of_both_counts(tmp_path: Path, status: int, later: int) -> None:
    folder = killed(tmp_path, status, *(iteration(i) for i in range(1, 5)), Notice("info", "x"))
    with folder.journal_path.open("ab") as file:
        file.write(b'{"sequence":9,"kind":"iteration","iteration":9')
    assert told(folder) == (later, later)


def test_what_went_back_before_the_kill_counts(tmp_path: Path) -> None:
    folder = killed(tmp_path, 1, iteration(1), iteration(2), iteration(3), Recovered(2, 4, 1, 3, 0.5))
    assert told(folder) == (2, 2)
    folder = killed(tmp_path / "again", 0, iteration(1), iteration(2), iteration(3), started(2, 4))
    assert told(folder) == (2, 2)


def test_a_journal_whose_end_tells_of_none_leaves_the_status(tmp_path: Path) -> None:
    folder = killed(tmp_path, 1, iteration(1), *[Notice("info", "x" * 3000)] * (TAIL // 3000 + 1))
    assert told(folder) == (1, 1)
    folder.journal_path.unlink()
    assert told(folder) == (1, 1)
