"""The small curve of a run: right for short, long, torn and foreign journals, and cheap for all."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from engine.events import Event, Iteration, Notice, Recovered, RunStarted
from engine.runs.journal import JournalWriter
from mim4dd_tui.dashboard.glance import PLACES, WINDOW, losses, sparkline
from mim4dd_tui.dashboard.screens.runs import RunsScreen
from mim4dd_tui.dashboard.sittings import read_sittings
from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import text, until
from tests.dashboard.shelves import make_run


def journal(path: Path, values: list[float], *, notices: int = 0) -> Path:
    with JournalWriter(path) as writer:
        for i, value in enumerate(values, 1):
            writer.append(Iteration(i, value, 3.0, 1.0, 2.3, [1.0], 0.1, 0.8, 0.05, 0.1))
            for _ in range(notices):
                writer.append(Notice("info", "iteration by iteration " * 20))
    return path


def test_a_long_journal_is_sampled_from_end_to_end(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", [float(i) for i in range(5000)])
    found = losses(path)
    assert len(found) == PLACES
    assert list(found) == sorted(found)
    assert found[0] == 0
    assert found[-1] > 4950
    steps = [b - a for a, b in pairwise(found)]
    assert max(steps) < 1.3 * min(steps)


STARTED = RunStarted("run", "digits-ipc1", 0, 10, 400, "here", 1, "0", {"device": "cpu"})


@pytest.mark.parametrize(
    ("back", "left"),
    [
        (replace(STARTED, resumed_from=100, after_sequence=101, again=True), 100),
        (replace(STARTED, again=True), 0),
        (Recovered(40, 300, 1, 3, 0.5, "the objective is not finite"), 40),
    ],
    ids=["resumed", "begun again", "recovered"],
)
def test_what_a_run_went_back_behind_is_not_shown(tmp_path: Path, back: Event, left: int) -> None:
    """Neither before new iterations are written nor after; what was read before, is not read again for it."""
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(STARTED)
    journal(path, [float(i) for i in range(1, 301)])
    before = read_sittings(path)
    assert max(losses(path, before.backs)) > 280
    with JournalWriter(path) as writer:
        writer.append(back)
    sittings = read_sittings(path, before)
    assert sittings == read_sittings(path)
    found = losses(path, sittings.backs)
    assert max(found, default=0) <= left
    assert (len(found) > 1) is (left > 0)
    with JournalWriter(path) as writer:
        for i in range(left + 1, left + 61):
            writer.append(Iteration(i, i + 0.5, 3.0, 1.0, 2.3, [1.0], 0.1, 0.8, 0.05, 0.1))
    now = losses(path, read_sittings(path, sittings).backs)
    assert list(now) == sorted(now)
    assert left + 20 < now[-1] < left + 61
    assert all(value <= left or value % 1 for value in now)


def test_a_short_one_is_read_once(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", [3.0, 2.0])
    assert path.stat().st_size < WINDOW
    assert losses(path) == (3.0,)


def test_what_is_no_iteration_or_no_number_is_passed_over(tmp_path: Path) -> None:
    assert losses(journal(tmp_path / "a", [math.nan, math.inf, 5.0])) == (5.0,)
    assert 2 <= len(losses(journal(tmp_path / "b", [1.0] * 40, notices=8))) <= PLACES
    (tmp_path / "c").write_bytes(b'{"kind": "iteration"}\n\x00\x00"iteration"\n[1]\n')
    assert losses(tmp_path / "c") == ()
    assert losses(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("values", "unicode", "expected"),
    [
        ((0.0, 7.0), True, "▁█"),
        ((7.0, 3.5, 0.0), False, "#=_"),
        ((2.0, 2.0, 2.0), True, "▁▁▁"),
        ((1.0,), True, ""),
        ((), True, ""),
    ],
)
def test_characters(values: tuple[float, ...], unicode: bool, expected: str) -> None:
    assert sparkline(values, unicode=unicode) == expected


async def test_the_browser_shows_what_counts(make_app: MakeApp, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs", "falling", iterations=400)
    with JournalWriter(folder.journal_path) as writer:
        writer.append(replace(STARTED, again=True))
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "falling" in text(app))
        assert "█" not in next(line for line in text(app).splitlines() if "falling" in line)


async def test_the_browser_shows_it_where_there_is_room(make_app: MakeApp, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "falling", iterations=400)
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "█" in text(app))
        line = next(line for line in text(app).splitlines() if "falling" in line)
        assert line.rstrip().endswith("▁")
        assert "loss" in text(app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "loss" not in text(app))
