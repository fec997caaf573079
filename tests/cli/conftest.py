"""What tests of commands share."""

from __future__ import annotations

from typing import Any

import pytest

from mim4dd_tui.cli import running


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Has commands that open the dashboard say with what they do so, and end with 7."""
    calls: list[dict[str, Any]] = []

    def fake(**arguments: Any) -> int:
        calls.append(arguments)
        return 7

    monkeypatch.setattr("mim4dd_tui.dashboard.run_dashboard", fake)
    monkeypatch.setattr(running, "_dashboard_possible", lambda: True)
    return calls
