"""The dashboard: choose, start and watch a run in a terminal."""

from __future__ import annotations

from mim4dd_tui.dashboard.entry import run_dashboard

__all__ = ["run_dashboard"]
