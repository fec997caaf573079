"""Killed at any moment, a run folder holds whole events in order, a readable status and a whole checkpoint."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.events import Notice
from engine.files import remove_leftovers
from engine.runs import checkpoint
from engine.runs.journal import JournalReader, JournalWriter, read_all
from engine.runs.lock import RunLock
from engine.runs.status import Status
from tests.runs.helpers import make_folder

TALKER = """
import sys
from pathlib import Path
from engine.events import Notice
from engine.runs.journal import JournalWriter
from engine.runs.lock import RunLock
from engine.runs.status import StatusWriter
folder = Path(sys.argv[1])
with RunLock(folder), JournalWriter(folder / "journal.jsonl") as journal:
    status = StatusWriter(folder)
    status.update(state="running")
    print("go", flush=True)
    while True:
        number = journal.append(Notice("info", "x" * 3000))
        print(number, flush=True)
        status.update(iteration=number)
"""

SAVER = """
import sys
from pathlib import Path
import torch
from engine.runs.checkpoint import latest, save
folder = Path(sys.argv[1])
found = latest(folder)
number = found.iteration if found else 0
print("go", flush=True)
while True:
    number += 1
    save(folder, number, {"a": torch.full((200_000,), float(number))}, {"number": number})
    print(number, flush=True)
"""


def killed(code: str, folder: Path, after: float) -> int:
    """Runs a child, kills it so many seconds after it began its work, and returns the last number it said."""
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "go\n"
    time.sleep(after)
    child.kill()
    said = [line for line in child.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    return int(said[-1]) if said else 0


def test_events_survive_kills(tmp_path: Path) -> None:
    run = make_folder(tmp_path)
    chance = random.Random(5)
    for _ in range(6):
        said = killed(TALKER, run.path, chance.uniform(0.01, 0.15))
        sequences = [record.sequence for record in read_all(run.journal_path)]
        assert sequences == list(range(1, len(sequences) + 1))
        assert len(sequences) >= said, "what was said to be written is there"
        status = Status.read(run.path)
        assert status is not None
        assert status.liveness() == "crashed"
        assert status.iteration in (len(sequences), len(sequences) - 1)
    with RunLock(run.path) as lock, JournalWriter(run.journal_path) as writer:
        assert lock.recovered is not None
        assert writer.append(Notice("info", "after")) == len(sequences) + 1
        remove_leftovers(run.path)
    reader = JournalReader(run.journal_path)
    assert len(reader.poll()) == len(sequences) + 1
    assert reader.damaged == 0
    assert list(run.path.rglob("*.part")) == []


def survives(tmp_path: Path, kills: int) -> None:
    chance = random.Random(6)
    for _ in range(kills):
        said = killed(SAVER, tmp_path, chance.uniform(0.02, 0.3))
        found = checkpoint.latest(tmp_path)
        if found is None:
            assert said == 0
            continue
        assert found.skipped == [], "a checkpoint is whole or not there"
        assert found.iteration in (said, said + 1) or said == 0
        assert found.state == {"number": found.iteration}
        assert found.tensors["a"].eq(found.iteration).all()
        remove_leftovers(tmp_path)


def test_checkpoints_survive_kills(tmp_path: Path) -> None:
    survives(tmp_path, 2)


@pytest.mark.long
def test_checkpoints_survive_many_kills(tmp_path: Path) -> None:
    survives(tmp_path, 25)
    checkpoint.save(tmp_path, 10**6, {}, {})
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2, "what kills left over goes with the next one"
