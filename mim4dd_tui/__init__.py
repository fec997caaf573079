"""The terminal side of mim4dd: command line, dashboard, plots. Knows a run only by its events."""

from __future__ import annotations

from engine import __version__

__all__ = ["__version__"]
