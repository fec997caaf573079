"""Notices: as they are written, and with paths that can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dashboard.conftest import MakeApp
from tests.dashboard.helpers import text, until


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (40, 20)])
async def test_a_path_is_broken_after_slashes(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = ["experiments-of-this-year", "the-runs-of-digits", "digits-ipc1-s0-20260101", "exports"]
    app = make_app()
    async with app.run_test(size=size, notifications=True) as pilot:
        app.screen.notify(f"3 plots (SVG, PNG) in {tmp_path.joinpath(*folders)}", timeout=60)
        await until(pilot, lambda: "3 plots" in text(app))
        lines = text(app).splitlines()
    assert any("~/" in line for line in lines)
    for folder in folders:
        assert any(folder in line for line in lines), "\n".join(lines)


async def test_what_looks_like_markup_is_shown(make_app: MakeApp) -> None:
    app = make_app()
    told = "[Errno 28] no space left: /data/[bold]/x [/y]"
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.notify(told, timeout=60)
        await until(pilot, lambda: told in text(app))
        app.clear_notifications()
        app.screen.notify(told, timeout=60)
        await until(pilot, lambda: told in text(app))


async def test_a_key_pressed_again_does_not_stack_its_notice(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for _ in range(5):
            app.notify("the run is done", severity="warning", timeout=60)
        app.notify("the run is done", timeout=60)  # another kind of notice
        await until(pilot, lambda: text(app).count("the run is done") == 2)
        assert [notice.severity for notice in app._notifications] == ["warning", "information"]
