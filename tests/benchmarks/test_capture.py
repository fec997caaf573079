"""The documentation's pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import capture


def test_a_picture_made_by_itself_is_the_one_made_among_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard remembers the last view: one picture's must not reach the next."""
    seen: list[tuple[str, Path, list[Path]]] = []

    async def picture(shot: capture.Shot, _run: Path, _size: tuple[int, int]) -> str:
        state = Path(os.environ["XDG_STATE_HOME"])
        seen.append((shot.name, state, [path for path in state.rglob("*.json") if "runs" not in path.parts]))
        (state / "dashboard.json").write_text("{}")
        return ""

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(capture, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(capture, "picture", picture)
    monkeypatch.setattr("sys.argv", ["capture", str(tmp_path)])
    (tmp_path / "docs").mkdir()
    assert capture.main() == 0
    assert {name for name, _, _ in seen} == {shot.name for shot in capture.SHOTS}
    assert not any(remembered for _, _, remembered in seen)
    assert not any(state.exists() for _, state, _ in seen)


def test_every_picture_on_the_pages_is_one_that_is_made() -> None:
    kept = {path.stem for path in (capture.DOCS / "dashboard").glob("*.svg")}
    assert kept == {shot.name for shot in capture.SHOTS}
