"""What commands say of a run that waits in the dashboard's queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from engine.config.load import resolve
from engine.runs.status import host_name
from mim4dd_tui.__main__ import main
from mim4dd_tui.cli import waiting
from mim4dd_tui.dashboard.run_queue import FILE, RunQueue
from tests.dashboard.shelves import make_run, stands
from tests.dashboard.test_longer import over

CONFIG = resolve("digits-ipc1").config
IN_TURN = "waits in the dashboard's queue, which continues it in its turn; `mim4dd resume early` does so at once"
LONGER = (
    "waits in the dashboard's queue, which continues it, lengthened to 1,000 iterations, in its turn; "
    "`mim4dd resume over --iterations 1000` does so at once"
)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunQueue]:
    """The queue of the usual folder of runs, where a line is as long as it likes."""
    monkeypatch.chdir(tmp_path)
    with mock.patch("mim4dd_tui.cli.output.columns", return_value=None):
        yield RunQueue(tmp_path / "runs")


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What a command prints, wherever, as one line."""
    main(command)
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


@pytest.mark.parametrize("command", [("show", "early"), ("attach", "early", "--headless"), ("stop", "early")])
def test_of_one_that_was_stopped(queue: RunQueue, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    queue.add_again(folder := make_run(queue.runs_dir, "early", state="stopped"))
    assert f"; it {IN_TURN}" in (told := said(capsys, *command))
    assert "continues it at once" not in told
    queue.drop(folder.name)
    told = said(capsys, *command)
    assert "`mim4dd resume early` continues it" in told
    assert "queue" not in told


@pytest.mark.parametrize("command", [("show", "early"), ("attach", "early", "--headless"), ("stop", "early")])
def test_of_one_whose_process_is_gone(
    queue: RunQueue, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    stands(folder := make_run(queue.runs_dir, "early", state="running"), pid=999_999_999, host=host_name())
    queue.add_again(folder)
    assert f"it {IN_TURN}" in said(capsys, *command)


def test_where_there_is_no_queue_nothing_of_the_dashboard_is_loaded() -> None:
    assert waiting.FILE == FILE


def test_of_one_that_never_began(queue: RunQueue, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = queue.add(CONFIG, [0])
    begins = f"waits in the dashboard's queue, which begins it in its turn; `mim4dd resume {folder.name}` does so"
    assert f"it {begins}" in said(capsys, "show", folder.name)
    assert f"run {folder.name} {begins}" in said(capsys, "stop", folder.name)


def test_of_one_that_is_done_and_is_to_be_lengthened(
    queue: RunQueue, capsys: pytest.CaptureFixture[str], opened: list[dict[str, Any]]
) -> None:
    queue.add_again(over(queue.runs_dir), 1000)
    assert f"done; it {LONGER}" in said(capsys, "show", "over")
    assert f"over is done: it {LONGER}" in said(capsys, "resume", "over", "--headless")
    assert main(["resume", "over"]) == 7
    assert opened[0]["notice"] == f"over is done: it {LONGER}"
    assert f"it {LONGER}" in said(capsys, "stop", "over")
